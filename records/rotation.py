"""Keys come and go: the living wrapped anew under another key, the old key discarded once nobody needs it.

A destroyed data key is still wrapped in write-ahead logs, dead rows and backups. Once the key-encryption key
it was wrapped under is discarded, nothing on any disk opens what it sealed (§1). A key may go when the pack's
backup horizon is over since it was retired, so that every backup that is kept can be restored.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.calendar import today_in_tokyo
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.roles import Act
from records import audit
from records.database import Database
from records.locks import lock
from records.tables import (
    allocations,
    credit_notes,
    custody,
    data_keys,
    deposits,
    documents,
    envelopes,
    errands,
    holding_changes,
    holding_subjects,
    holdings,
    invoices,
    letters,
    notes,
    refunds,
    vault,
    virtual_accounts,
    webhooks,
)
from records.vault import START, WRAPPING, Place
from runtime.errors import KeyringError, UnknownKey
from runtime.key_service import KeyService
from runtime.keyset import KeyKind, KeyVersion

CASE = "keys"
"""The case under which the audit trail has what becomes of keys."""

Advance = Callable[[int], None]
"""Is told how many data keys were wrapped anew since the last time."""
BegunBefore = Callable[[datetime], Awaitable[int]]
"""How many executions, running or closed, Temporal still has that began before then."""

_ROTATION = "keys/rotation"
_PAGE = 500
_HELD = (
    *(data_keys, vault, documents, envelopes, custody, letters, notes, holdings, holding_subjects),
    *(holding_changes, invoices, credit_notes, virtual_accounts, deposits, allocations, refunds),
    *(webhooks, errands),
)
"""Every table that destructions delete from."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class KeyUse:
    """A key, how much it is still needed for, and the first day on which it may be discarded.

    ``uses`` are the data keys a key-encryption key wraps, and the executions in which a codec key may stand;
    None where they were not counted. ``from_on`` is None for a key that is current, or not retired yet.
    """

    key: KeyVersion
    current: bool
    uses: int | None
    from_on: date | None

    def kept_on(self, on: date) -> str | None:
        """Why the key cannot be discarded on a day, and what to do; None where it can."""
        if self.current:
            return f"{self.key.id} is the current key: `kaiji keys rotate` puts another in its place"
        if self.key.kind is KeyKind.SIGN:
            return f"{self.key.id} is what signatures are checked with: signing keys are kept"
        if self.from_on is None:
            return f"{self.key.id} is not retired yet: `kaiji keys rotate` ends what was begun"
        if on < self.from_on:
            return (
                f"{self.key.id} may be discarded from {self.from_on} on: until then a backup may be restored"
            )
        if self.uses is None:
            return f"{self.key.id} may stand in what Temporal has, which was not asked"
        if self.uses and self.key.kind is KeyKind.KEK:
            return f"{self.key.id} wraps {self.uses:,} data keys: `kaiji keys rotate` wraps them anew"
        if self.uses:
            return (
                f"{self.key.id} may stand in {self.uses:,} executions begun before it was retired: "
                "it may be discarded when Temporal has none of them any more"
            )
        return None


async def begin(conn: AsyncConnection, keys: KeyService, kind: KeyKind, *, by: str, at: datetime) -> str:
    """Have a new current key of a kind; answers its id. Audited.

    Where older keys are not retired yet, a rotation stopped on its way, or a key was put into the keyring by
    hand: then the current one stays. Raises ``KeyringError`` where keys are added somewhere else.
    """
    await lock(conn, _ROTATION)
    versions = keys.versions(kind)
    if any(version.retired is None for version in versions[:-1]):
        return versions[-1].id
    key_id = keys.add(kind, at)
    await audit.append(conn, CASE, actor=by, act=Act.ROTATE_KEYS.value, detail={"key": key_id})
    return key_id


async def count_to_wrap(conn: AsyncConnection, keys: KeyService) -> int:
    """How many data keys are wrapped by a key-encryption key that is not the current one."""
    current = keys.versions(KeyKind.KEK)[-1].id
    query = select(func.count()).select_from(data_keys).where(data_keys.c.kek_id != current)
    return (await conn.execute(query)).scalar_one()


async def rewrap(database: Database, advance: Advance) -> int:
    """Wrap every data key under the current key-encryption key, in pages; answers how many were.

    Sealing goes on meanwhile; at the end no older key wraps anything, what was just being sealed included.
    Two at once share the work, and who goes on after a killed one finds what is left.
    """
    vault = database.vault
    async with database.begin() as conn:
        await lock(conn, WRAPPING)  # whoever wrapped a new data key before has committed then
    wrapped, wait = 0, False
    while True:
        after: Place | None = START
        while after is not None:
            async with database.begin() as conn:
                page = await vault.rewrap(conn, after=after, limit=_PAGE, wait=wait)
            wrapped += page.count
            advance(page.count)
            after = page.last
        async with database.begin() as conn:
            if not await count_to_wrap(conn, vault.keyring):
                return wrapped
        wait = True


async def retire(
    conn: AsyncConnection, keys: KeyService, kind: KeyKind, *, by: str, at: datetime
) -> list[str]:
    """Retire the older keys of a kind that wrap nothing any more; answers which. Audited.

    Raises ``KeyringError`` where that is written down somewhere else.
    """
    await lock(conn, _ROTATION)
    wrapping = await _wrapped_by(conn) if kind is KeyKind.KEK else {}
    *older, current = keys.versions(kind)
    ended = [key.id for key in older if key.retired is None and not wrapping.get(key.id)]
    if ended:
        detail: audit.Detail = {"retired": ended, "key": current.id}
        await audit.append(conn, CASE, actor=by, act="keys_retired", detail=detail)
    for key_id in ended:
        keys.retire(key_id, at)
    return ended


async def in_use(
    conn: AsyncConnection, keys: KeyService, on: date, begun_before: BegunBefore | None = None
) -> list[KeyUse]:
    """Every key, by kind and age, and what it is needed for.

    Codec keys' uses are counted where Temporal can be asked (``begun_before``, which may raise
    ``Unreachable``).
    """
    wrapping, horizon = await _wrapped_by(conn), pack_in_force(on).backup.horizon
    found = []
    for kind in KeyKind:
        versions = keys.versions(kind)
        for key in versions:
            uses = wrapping.get(key.id, 0) if kind is KeyKind.KEK else None
            if kind is KeyKind.CODEC and key.retired and begun_before:
                uses = await begun_before(key.retired)
            from_on = horizon.after(today_in_tokyo(key.retired)) if key.retired else None
            kept = kind is KeyKind.SIGN
            found.append(KeyUse(key, key == versions[-1], uses, None if kept else from_on))
    return found


async def discard(
    database: Database,
    keys: KeyService,
    key_id: str,
    *,
    on: date,
    by: str,
    begun_before: BegunBefore | None,
) -> None:
    """Discard a retired key that nothing needs any more. Audited.

    Raises ``UnknownKey``, ``Refusal`` (key_in_use, with why or the day from which on), ``KeyringError``.
    """
    async with database.begin() as conn:
        uses = {use.key.id: use for use in await in_use(conn, keys, on, begun_before)}
    if key_id not in uses:
        raise UnknownKey(key_id)
    if why := uses[key_id].kept_on(on):
        raise Refusal(Code.KEY_IN_USE, why)
    keys.check_changeable()
    async with database.begin() as conn:
        await lock(conn, WRAPPING)
        if count := (await _wrapped_by(conn)).get(key_id):
            raise Refusal(Code.KEY_IN_USE, replace(uses[key_id], uses=count).kept_on(on) or "")
        await _audit_discarded(conn, key_id, by)
    keys.discard(key_id)


async def discard_expired(
    database: Database,
    keys: KeyService,
    on: date,
    begun_before: BegunBefore | None = None,
    *,
    by: str = audit.AUTOMATIC,
) -> list[str]:
    """Discard every key that may be discarded on a day; answers which. Audited.

    Codec keys only where Temporal can be asked. Where keys are kept somewhere else, whoever keeps them is
    told by a warning in the log.
    """
    async with database.begin() as conn:
        uses = await in_use(conn, keys, on, begun_before)
    expired = [use.key.id for use in uses if use.kept_on(on) is None]
    discarded = []
    try:
        for key_id in expired:
            with suppress(UnknownKey):  # somebody else was quicker
                await discard(database, keys, key_id, on=on, by=by, begun_before=begun_before)
                discarded.append(key_id)
    except KeyringError as error:
        log.warning("keys are to be taken away where the keyring is kept", keys=expired, why=str(error))
    return discarded


async def discard_older(database: Database, keys: KeyService, *, by: str) -> list[str]:
    """Discard every key-encryption key but the current one at once, whatever backups may need; answers which.

    Audited. Raises ``Refusal`` (key_in_use) where one still wraps a data key, ``KeyringError``.
    """
    keys.check_changeable()
    async with database.begin() as conn:
        await lock(conn, _ROTATION)
        await lock(conn, WRAPPING)
        older = [key.id for key in keys.versions(KeyKind.KEK)[:-1]]
        if left := await count_to_wrap(conn, keys):
            raise Refusal(Code.KEY_IN_USE, f"{left:,} data keys are wrapped by older keys: rotate again")
        for key_id in older:
            await _audit_discarded(conn, key_id, by)
    for key_id in older:
        keys.discard(key_id)
    return older


async def vacuum(database: Database) -> list[str]:
    """Have the database clear away the dead rows of what was destroyed; answers the tables it would not.

    That is tidiness: what such rows hold is sealed, and its key gone. Raises ``Unreachable``.
    """
    left: list[str] = []
    async with database.no_transaction() as conn:
        driver = (await conn.get_raw_connection()).driver_connection
        assert driver is not None

        def told(notice: object) -> None:
            warned.append(notice)

        driver.add_notice_handler(told)
        try:
            for table in _HELD:
                warned: list[object] = []
                await conn.execute(text(f"VACUUM (INDEX_CLEANUP ON) {table.name}"))
                if warned:  # there is no other: it says so and skips the table where it may not
                    left.append(table.name)
        finally:
            driver.remove_notice_handler(told)
    if left:
        log.warning("the database's user may not vacuum: grant it MAINTAIN on these tables", tables=left)
    return left


async def _wrapped_by(conn: AsyncConnection) -> dict[str, int]:
    counts = await conn.execute(
        select(data_keys.c.kek_id, func.count().label("wrapped")).group_by(data_keys.c.kek_id)
    )
    return {row.kek_id: row.wrapped for row in counts}


async def _audit_discarded(conn: AsyncConnection, key_id: str, by: str) -> None:
    await audit.append(
        conn,
        CASE,
        actor=by,
        act=Act.DISCARD_KEYS.value,
        detail={"key": key_id},
        key=f"discarded/{key_id}",
    )
