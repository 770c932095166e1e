"""Certificates of destruction: what remains of records that are gone, signed, without personal data (§1).

A case is a request, or a page of a sweep over what services hold (`holdings/2026-11-24/1`). The event that
tells of a certificate in the audit trail carries the digest of what is signed: neither can be changed alone.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import JsonValue
from sqlalchemy import ColumnElement, Row, Select, Text, cast, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit
from records.encoding import canonical_json, joined
from records.heads import PublicKeys
from records.instants import from_microseconds, seconds, whole_microseconds
from records.tables import audit as events
from records.tables import certificates
from runtime.key_service import KeyService

_VERSION = "kaiji certificate 1"

_PENDING = "kaiji certificates"
"""Where a connection keeps the cases certified in its transaction, until that is committed."""

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a certificate raises that was never written so."""


@dataclass(frozen=True)
class Certificate:
    """What was destroyed, when, by whom and under which rule: no personal data, kept for good.

    ``sealed`` counts destroyed records by what they were, ``rows`` deleted rows by table or by service and
    category, ``key_ids`` are the data keys that are gone. ``audit_digest`` is the digest that the event of
    the destruction follows in its chain. What was certified before there were signatures has none.
    """

    case_id: str
    record_class: str
    destroyed_on: date
    destroyed_by: str
    rule: str
    clause: str
    pack_version: str
    sealed: Mapping[str, int]
    rows: Mapping[str, int]
    key_ids: tuple[UUID, ...]
    audit_digest: bytes
    certified_at: datetime | None = None
    signing_key: str | None = None
    signature: bytes | None = None

    @property
    def records(self) -> int:
        """How many sealed records are gone."""
        return sum(self.sealed.values())

    @property
    def is_signed(self) -> bool:
        return (self.certified_at, self.signing_key, self.signature) != (None, None, None)

    def digest(self) -> str:
        """SHA-256 of what is signed, in hexadecimal digits, as the event of the destruction carries it."""
        return hashlib.sha256(self._signed()).hexdigest()

    def signed_by(self, key: Ed25519PrivateKey) -> bytes:
        """The signature of this certificate under a key."""
        return key.sign(self._signed())

    def unsigned_because(self, keys: PublicKeys) -> str | None:
        """Why its signature proves nothing; None where it holds, and where there was none at the time."""
        if not self.is_signed:
            return None
        key = keys.get(self.signing_key or "")
        if key is None:
            return "its signing key is not known here"
        try:
            key.verify(self.signature or b"", self._signed())
        except InvalidSignature:
            return "its signature does not hold"
        return None

    def to_document(self) -> dict[str, JsonValue]:
        """As JSON has it: bytes in hexadecimal digits, the instant as ISO 8601 in UTC."""
        at = self.certified_at
        return {
            "case_id": self.case_id,
            "record_class": str(self.record_class),
            "destroyed_on": self.destroyed_on.isoformat(),
            "destroyed_by": self.destroyed_by,
            "rule": self.rule,
            "clause": self.clause,
            "counts": {"sealed": dict(self.sealed), "rows": dict(self.rows)},
            "key_ids": [str(key_id) for key_id in self.key_ids],
            "pack_version": self.pack_version,
            "audit_digest": self.audit_digest.hex(),
            "certified_at": None if at is None else at.isoformat(timespec="microseconds"),
            "signing_key": self.signing_key,
            "signature": None if self.signature is None else self.signature.hex(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, JsonValue]) -> Self:
        """Raises one of ``UNREADABLE`` for what is no certificate, letter by letter."""
        at, signature = document["certified_at"], document["signature"]
        read = cls(
            case_id=_text(document["case_id"]),
            record_class=_text(document["record_class"]),
            destroyed_on=date.fromisoformat(_text(document["destroyed_on"])),
            destroyed_by=_text(document["destroyed_by"]),
            rule=_text(document["rule"]),
            clause=_text(document["clause"]),
            pack_version=_text(document["pack_version"]),
            **_counts(document["counts"]),
            key_ids=tuple(UUID(_text(key_id)) for key_id in _list(document["key_ids"])),
            audit_digest=bytes.fromhex(_text(document["audit_digest"])),
            certified_at=None if at is None else datetime.fromisoformat(_text(at)),
            signing_key=None if document["signing_key"] is None else _text(document["signing_key"]),
            signature=None if signature is None else bytes.fromhex(_text(signature)),
        )
        if read.to_document() != document:
            raise ValueError("not what was written")
        return read

    def _signed(self) -> bytes:
        document = self.to_document()
        del document["signature"]
        return joined(_VERSION, canonical_json(document))


@dataclass(frozen=True)
class Fault:
    """A certificate that is not what was written, or is gone."""

    case_id: str
    record_class: str
    why: str


async def issue(
    conn: AsyncConnection,
    keyring: KeyService,
    *,
    case_id: str,
    record_class: str,
    on: date,
    by: str,
    rule: str,
    clause: str,
    pack_version: str,
    sealed: Mapping[str, int],
    rows: Mapping[str, int],
    key_ids: Sequence[UUID],
) -> Certificate:
    """Certify a destruction in its own transaction, with the event of it in the case's chain.

    A page of a sweep has its event in the chain of the register, `holdings`. The file of the certificate
    follows when the transaction is committed (``Database.begin``).
    """
    chain = case_id.partition("/")[0]
    await audit.lock_chain(conn, chain)
    key_id, key = keyring.signing_key()
    now = await conn.scalar(select(seconds(func.clock_timestamp())))
    unsigned = Certificate(
        case_id=case_id,
        record_class=str(record_class),
        destroyed_on=on,
        destroyed_by=by,
        rule=rule,
        clause=clause,
        pack_version=pack_version,
        sealed=sealed,
        rows={table: count for table, count in rows.items() if count},
        key_ids=tuple(key_ids),
        audit_digest=await audit.head(conn, chain),
        certified_at=from_microseconds(whole_microseconds(now) or 0),
        signing_key=key_id,
    )
    written = replace(unsigned, signature=unsigned.signed_by(key))
    columns = {name: value for name, value in vars(written).items() if name not in ("sealed", "rows")}
    counts = {"sealed": dict(written.sealed), "rows": dict(written.rows)}
    await conn.execute(insert(certificates).values(**columns | {"key_ids": list(key_ids), "counts": counts}))
    await audit.append(
        conn,
        chain,
        actor=by,
        act="records_destroyed",
        detail={
            "record_class": str(record_class),
            "on": on.isoformat(),
            "rule": rule,
            "clause": clause,
            "records": written.records,
            "keys": [str(key_id) for key_id in key_ids],
            "certificate": written.digest(),
        },
        key=f"destroyed/{record_class}" if chain == case_id else f"destroyed/{case_id}",
    )
    conn.info.setdefault(_PENDING, set()).add(case_id)
    return written


def take_pending(conn: AsyncConnection) -> set[str]:
    """The cases certified in this transaction, whose files are written once it is committed."""
    pending: set[str] = conn.info.pop(_PENDING, set())
    return pending


async def of_request(conn: AsyncConnection, case_id: str) -> list[Certificate]:
    """What was destroyed of a request, or in a page of a sweep, in order; empty while all of it is kept."""
    in_order = _query().order_by(certificates.c.destroyed_on, certificates.c.recorded_at)
    return [
        _certificate(row) for row in await conn.execute(in_order.where(certificates.c.case_id == case_id))
    ]


async def verify_all(conn: AsyncConnection, keys: PublicKeys, case_id: str | None = None) -> list[Fault]:
    """Check every certificate, or those of a case, against its signature and the event that tells of it.

    Few at a time are in memory. That an unsigned one has no event at all, `audit.cut_off` finds.
    """
    faults: list[Fault] = []
    told = events.c.detail["certificate"].astext
    wanted = (
        _query()
        .add_columns(told.label("told"), events.c.seq.label("event"))
        .select_from(certificates.outerjoin(events, _tells_of()))
        .order_by(certificates.c.case_id, certificates.c.record_class)
    )
    untold = (
        select(events.c.case_id, events.c.detail["record_class"].astext.label("record_class"))
        .where(events.c.act == "records_destroyed", told.is_not(None), ~exists().where(_tells_of()))
        .order_by(events.c.case_id, events.c.seq)
    )
    if case_id is not None:
        wanted = wanted.where(certificates.c.case_id == case_id)
        untold = untold.where(events.c.case_id == case_id)
    async with conn.stream(wanted.execution_options(yield_per=500)) as rows:
        async for row in rows:
            if why := _fault(row, keys):
                faults.append(Fault(row.case_id, row.record_class, why))
    for row in await conn.execute(untold):
        faults.append(Fault(row.case_id, row.record_class, "the trail tells of a certificate that is gone"))
    return faults


def _fault(row: Row[tuple[object, ...]], keys: PublicKeys) -> str | None:
    try:
        found = _certificate(row)
        digest = found.digest()
    except UNREADABLE:
        return "was altered: it cannot be read"
    if why := found.unsigned_because(keys):
        return why
    if row.event is None or row.told == (digest if found.is_signed else None):
        return None
    return "is not the one that the trail tells of" if found.is_signed else "its signature was taken off"


def _tells_of() -> ColumnElement[bool]:
    """Joins a certificate and the event of its destruction."""
    chain = func.split_part(certificates.c.case_id, "/", 1)
    return (events.c.case_id == chain) & (events.c.previous == certificates.c.audit_digest)


def _query() -> Select[tuple[object, ...]]:
    """Every column in a form that can be read whatever was made of it."""
    plain = [c for c in certificates.c if c.name not in ("destroyed_on", "counts", "certified_at")]
    return select(
        *plain,
        cast(certificates.c.destroyed_on, Text).label("destroyed_on"),
        cast(certificates.c.counts, Text).label("counts"),
        seconds(certificates.c.certified_at).label("certified_at"),
    )


def _certificate(row: Row[tuple[object, ...]]) -> Certificate:
    """Raises one of ``UNREADABLE``."""
    at = row.certified_at
    return Certificate(
        case_id=row.case_id,
        record_class=row.record_class,
        destroyed_on=date.fromisoformat(row.destroyed_on),
        destroyed_by=row.destroyed_by,
        rule=row.rule,
        clause=row.clause,
        pack_version=row.pack_version,
        **_counts(json.loads(row.counts)),
        key_ids=tuple(row.key_ids),
        audit_digest=row.audit_digest,
        certified_at=None if at is None else _instant(whole_microseconds(at)),
        signing_key=row.signing_key,
        signature=row.signature,
    )


def _instant(count: int | None) -> datetime:
    at = None if count is None else from_microseconds(count)
    if at is None:
        raise ValueError("no instant of any calendar")
    return at


def _counts(value: JsonValue) -> dict[str, dict[str, int]]:
    if not isinstance(value, dict) or set(value) != {"sealed", "rows"}:
        raise TypeError("counts")
    return {name: _numbers(counted) for name, counted in value.items()}


def _numbers(value: JsonValue) -> dict[str, int]:
    if not isinstance(value, dict):
        raise TypeError("counts")
    numbers = {name: count for name, count in value.items() if type(count) is int}
    if len(numbers) < len(value):
        raise TypeError("counts")
    return numbers


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value
