"""Sealing: the only place where personal data is written, and the only one where it is read.

Each case has a data key per record class, 32 random bytes, kept wrapped by a key-encryption key of the
keyring. From the data key come an encryption key and a commitment (HKDF): AES-GCM alone does not say under
which key a text was sealed, so the commitment is checked before anything is decrypted. Every wrapped key and
every sealed row is bound to where it stands, as associated data: moved to another row, case, class or label
it does not open.

A case is a request (`DR-2018-000001-8`), a deposit (`deposit/<source>/<id>`) or a person in the register
(`holding/<uuid>`). Destroying a class of a case deletes its rows and its wrapped key in the caller's
transaction.
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, TypeVar
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ValidationError
from sqlalchemy import Row, Select, bindparam, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from records import destruction_log
from records.arrays import any_of
from records.encoding import joined
from records.locks import lock_shared
from records.tables import certificates, data_keys, vault
from runtime.errors import UnknownKey
from runtime.key_service import KeyService, WrongKey
from runtime.keyset import KeyKind

KEY_BYTES = 32
NONCE_BYTES = 12

Model = TypeVar("Model", bound=BaseModel)


class Destroyed(LookupError):
    """What was sealed, or the key to it, is gone: nobody can open it any more."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is destroyed")


class Tampered(Exception):
    """A sealed record or a wrapped key is not what was written there. Never a fault of the caller."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was altered since it was sealed")


Place = tuple[str, str]
"""Case and record class of a data key, in the order in which they are wrapped anew."""

START: Place = ("", "")
WRAPPING = "keys/wrapping"
"""The lock shared by all who wrap a new data key, until they commit: who waits for it alone has waited for
everybody that may have used an older key-encryption key."""

_PLACE = (data_keys.c.case_id, data_keys.c.record_class)


@dataclass(frozen=True)
class Rewrapped:
    """How many data keys were wrapped anew, and behind which to go on; None at the end."""

    count: int
    last: Place | None


@dataclass(frozen=True)
class Destruction:
    """What a destruction removed: sealed rows by label, and the ids of the keys."""

    counts: dict[str, int]
    key_ids: tuple[UUID, ...]


class Vault:
    """Seals and opens records with the keys of its ``keyring``. Holds no unwrapped key between two calls."""

    def __init__(self, keyring: KeyService) -> None:
        self.keyring = keyring

    async def seal(
        self,
        conn: AsyncConnection,
        case_id: str,
        record_class: str,
        label: str,
        data: bytes,
        *,
        id: UUID | None = None,
    ) -> UUID:
        """Encrypt and store data; answers the id to open it with.

        The first record of a (case, class) makes its data key; of many at once, one makes it and all use it.
        Raises ``IntegrityError`` for an id that is already taken, ``Tampered`` for a data key that was
        altered.
        """
        row_id = id or uuid4()
        key = await self._data_key(conn, case_id, record_class)
        await conn.execute(insert(vault).values(_sealed(row_id, case_id, record_class, label, key, data)))
        return row_id

    async def seal_new(
        self, conn: AsyncConnection, record_class: str, label: str, data: Mapping[str, bytes]
    ) -> dict[str, UUID]:
        """Seal the first record of each of many cases in two round trips; answers their ids by case.

        Every case gets a data key of its own, so that each can be destroyed alone. Raises ``IntegrityError``
        where a case has a key of this class already.
        """
        keys, rows = [], []
        await lock_shared(conn, WRAPPING)
        for case_id, content in data.items():
            key = _DataKey.derive(uuid4(), case_id, record_class, os.urandom(KEY_BYTES))
            wrapped = await self._wrap(case_id, record_class, key)
            keys.append({"case_id": case_id, "record_class": record_class, **wrapped})
            rows.append(_sealed(uuid4(), case_id, record_class, label, key, content))
        if rows:
            await conn.execute(insert(data_keys), keys)
            await conn.execute(insert(vault), rows)
        return {row["case_id"]: row["id"] for row in rows}

    async def unseal(self, conn: AsyncConnection, id: UUID) -> bytes:
        """The data sealed under an id. Raises ``Destroyed``, ``Tampered`` or ``UnknownKey``."""
        found = await self._with_key(
            conn,
            select(vault, data_keys.c.kek_id, data_keys.c.wrapped, data_keys.c.commitment)
            .join(
                data_keys,
                (data_keys.c.case_id == vault.c.case_id)
                & (data_keys.c.record_class == vault.c.record_class)
                & (data_keys.c.key_id == vault.c.key_id),
            )
            .where(vault.c.id == id),
        )
        if found is None:
            raise Destroyed(f"sealed record {id}")
        row, key = found
        nonce, sealed = row.ciphertext[:NONCE_BYTES], row.ciphertext[NONCE_BYTES:]
        bound = _bound(row.id, row.case_id, row.record_class, row.label, row.key_id)
        try:
            return AESGCM(key.encryption).decrypt(nonce, sealed, bound)
        except (InvalidTag, ValueError):
            raise Tampered(f"sealed record {id}") from None

    async def seal_model(
        self,
        conn: AsyncConnection,
        case_id: str,
        record_class: str,
        label: str,
        model: BaseModel,
        *,
        id: UUID | None = None,
    ) -> UUID:
        """Seal a model as JSON; see ``seal``."""
        return await self.seal(conn, case_id, record_class, label, model.model_dump_json().encode(), id=id)

    async def unseal_model(self, conn: AsyncConnection, id: UUID, model: type[Model]) -> Model:
        """The model sealed under an id; see ``unseal``. Raises ``Tampered`` when it is no such model."""
        data = await self.unseal(conn, id)
        try:
            return model.model_validate_json(data)
        except ValidationError:
            raise Tampered(f"sealed record {id}") from None

    async def forget(self, conn: AsyncConnection, id: UUID) -> None:
        """Delete one sealed record, because another takes its place; its key goes with its class."""
        await conn.execute(delete(vault).where(vault.c.id == id))

    async def destroy(
        self, conn: AsyncConnection, case_id: str, record_class: str, *, rule: str
    ) -> Destruction:
        """Delete every sealed record and the key of a class of a case, when the caller commits; logged (§1).

        The key goes first: that waits for whoever is sealing with it, whose record is then deleted too.
        """
        keys = await conn.execute(
            delete(data_keys)
            .where(data_keys.c.case_id == case_id, data_keys.c.record_class == record_class)
            .returning(data_keys.c.key_id)
        )
        key_ids = tuple(keys.scalars())
        gone = (
            delete(vault)
            .where(vault.c.case_id == case_id, vault.c.record_class == record_class)
            .returning(vault.c.label)
            .cte("gone")
        )
        counts = await conn.execute(select(gone.c.label, func.count()).group_by(gone.c.label))
        if key_ids:
            await destruction_log.record(conn, case_id, record_class, key_ids, rule)
        return Destruction(counts=dict(counts.all()), key_ids=key_ids)

    async def destroy_many(
        self, conn: AsyncConnection, rules: Mapping[str, str], record_class: str
    ) -> Destruction:
        """Destroy this class of many cases, each under its rule, in few round trips; see ``destroy``."""
        cases = any_of(rules)
        keys = await conn.execute(
            delete(data_keys)
            .where(data_keys.c.case_id == cases, data_keys.c.record_class == record_class)
            .returning(data_keys.c.case_id, data_keys.c.key_id)
        )
        destroyed = [(row.case_id, row.key_id, rules[row.case_id]) for row in keys]
        gone = (
            delete(vault)
            .where(vault.c.case_id == cases, vault.c.record_class == record_class)
            .returning(vault.c.label)
            .cte("gone")
        )
        counts = await conn.execute(select(gone.c.label, func.count()).group_by(gone.c.label))
        await destruction_log.record_many(conn, record_class, destroyed)
        return Destruction(counts=dict(counts.all()), key_ids=tuple(key_id for _, key_id, _ in destroyed))

    async def rewrap(
        self, conn: AsyncConnection, *, after: Place = START, limit: int = 500, wait: bool = False
    ) -> Rewrapped:
        """Wrap up to ``limit`` data keys behind ``after`` anew, under the current key-encryption key.

        Those on which somebody else is at work are left out, unless told to ``wait``.
        """
        current = self.keyring.versions(KeyKind.KEK)[-1].id
        page = (
            select(data_keys)
            .where(data_keys.c.kek_id != current, tuple_(*_PLACE) > after)
            .order_by(*_PLACE)
            .limit(limit)
            .with_for_update(key_share=True, skip_locked=not wait)  # who seals with them goes on
        )
        rows = (await conn.execute(page)).all()
        changed = []
        for row in rows:
            wrapped = await self._wrap(row.case_id, row.record_class, await self._unwrap(row))
            changed.append({"of": row.key_id, "kek_id": wrapped["kek_id"], "wrapped": wrapped["wrapped"]})
        if changed:
            anew = update(data_keys).where(data_keys.c.key_id == bindparam("of"))
            await conn.execute(anew.values(kek_id=bindparam("kek_id"), wrapped=bindparam("wrapped")), changed)
        last = (rows[-1].case_id, rows[-1].record_class) if len(rows) == limit else None
        return Rewrapped(len(rows), last)

    async def _data_key(self, conn: AsyncConnection, case_id: str, record_class: str) -> "_DataKey":
        # The share lock keeps a destruction from passing between this look at the key and the record's
        # commit.
        wanted = (
            select(data_keys)
            .where(data_keys.c.case_id == case_id, data_keys.c.record_class == record_class)
            .with_for_update(read=True, key_share=True)
        )
        found = await self._with_key(conn, wanted)
        if found is None and not await self._certified(conn, case_id, record_class):
            await lock_shared(conn, WRAPPING)
            key = _DataKey.derive(uuid4(), case_id, record_class, os.urandom(KEY_BYTES))
            await conn.execute(
                insert(data_keys)
                .values(
                    case_id=case_id,
                    record_class=record_class,
                    **await self._wrap(case_id, record_class, key),
                )
                .on_conflict_do_nothing(index_elements=["case_id", "record_class"])
            )
            found = await self._with_key(conn, wanted)
        if found is None:
            raise Destroyed(f"the key of {record_class} of {case_id}")
        return found[1]

    async def _certified(self, conn: AsyncConnection, case_id: str, record_class: str) -> bool:
        """Whether this class was destroyed: nothing is sealed in it any more, or it would outlive its end."""
        ended = exists().where(certificates.c.case_id == case_id, certificates.c.record_class == record_class)
        return bool(await conn.scalar(select(ended)))

    async def _with_key(
        self, conn: AsyncConnection, query: Select[tuple[object, ...]]
    ) -> tuple[Row[tuple[object, ...]], "_DataKey"] | None:
        """The row of a data key and the key. Where a rotation passes between the look at the row and the look
        at the keyring, the row is wrapped under another key by then."""
        for again in (True, False):
            row = (await conn.execute(query)).one_or_none()
            try:
                return None if row is None else (row, await self._unwrap(row))
            except UnknownKey:
                if not again:
                    raise
        return None

    async def _wrap(self, case_id: str, record_class: str, key: "_DataKey") -> dict[str, object]:
        bound = joined("data_keys", case_id, record_class, key.id.bytes)
        kek_id, wrapped = await self.keyring.wrap(key.secret, bound)
        return {"key_id": key.id, "kek_id": kek_id, "wrapped": wrapped, "commitment": key.commitment}

    async def _unwrap(self, row: Row[tuple[object, ...]]) -> "_DataKey":
        what = f"data key {row.key_id}"
        bound = joined("data_keys", row.case_id, row.record_class, row.key_id.bytes)
        try:
            secret = await self.keyring.unwrap(row.kek_id, row.wrapped, bound)
        except WrongKey:
            raise Tampered(what) from None
        key = _DataKey.derive(row.key_id, row.case_id, row.record_class, secret)
        if not hmac.compare_digest(key.commitment, row.commitment):
            raise Tampered(what)
        return key


class _VaultRow(TypedDict):
    id: UUID
    case_id: str
    record_class: str
    label: str
    key_id: UUID
    ciphertext: bytes


@dataclass(frozen=True, repr=False)
class _DataKey:
    id: UUID
    secret: bytes
    encryption: bytes
    commitment: bytes

    @classmethod
    def derive(cls, id: UUID, case_id: str, record_class: str, secret: bytes) -> "_DataKey":
        info = joined("kaiji vault 1", case_id, record_class, id.bytes)
        derived = HKDF(algorithm=SHA256(), length=2 * KEY_BYTES, salt=None, info=info).derive(secret)
        return cls(id, secret, encryption=derived[:KEY_BYTES], commitment=derived[KEY_BYTES:])


def _sealed(id: UUID, case_id: str, record_class: str, label: str, key: _DataKey, data: bytes) -> "_VaultRow":
    """The row of the vault that holds this data."""
    nonce = os.urandom(NONCE_BYTES)
    bound = _bound(id, case_id, record_class, label, key.id)
    return {
        "id": id,
        "case_id": case_id,
        "record_class": record_class,
        "label": label,
        "key_id": key.id,
        "ciphertext": nonce + AESGCM(key.encryption).encrypt(nonce, data, bound),
    }


def _bound(id: UUID, case_id: str, record_class: str, label: str, key_id: UUID) -> bytes:
    return joined("vault", id.bytes, case_id, record_class, label, key_id.bytes)
