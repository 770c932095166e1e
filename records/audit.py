"""The audit trail: who did what, when, in a chain per case that shows any change afterwards.

The table refuses UPDATE, DELETE and TRUNCATE by a trigger. A detail holds ids, words of the
vocabulary, dates and amounts, never personal data: the trail outlives the request by years.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue
from sqlalchemy import Row, Select, Text, cast, exists, false, func, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from records.arrays import any_of
from records.chains import GENESIS, START, Stored, digest_of, fault
from records.instants import seconds, to_microseconds, whole_microseconds
from records.locks import lock, lock_all
from records.tables import audit, certificates, requests

Scalar = str | int | bool | None
Detail = Mapping[str, Scalar | Sequence[Scalar]]

AUTOMATIC = "kaiji"
"""The actor of what no person did; nobody in the staff register has this id."""


@dataclass(frozen=True)
class Event:
    """One act, as it stands in the chain of its case."""

    case_id: str
    seq: int
    at: datetime
    actor: str
    act: str
    detail: Mapping[str, JsonValue]
    key: str | None
    previous: bytes
    digest: bytes


@dataclass(frozen=True)
class Entry:
    """An event to be added to the chain of a case; see ``append``."""

    case_id: str
    actor: str
    act: str
    detail: Detail
    key: str | None = None


@dataclass(frozen=True)
class Broken:
    """Where a chain is not what was written."""

    case_id: str
    seq: int
    why: str


@dataclass(frozen=True)
class Verification:
    """How many chains and events were read, and what was found broken."""

    cases: int
    events: int
    broken: tuple[Broken, ...]


async def append(
    conn: AsyncConnection,
    case_id: str,
    *,
    actor: str,
    act: str,
    detail: Detail | None = None,
    key: str | None = None,
    at: datetime | None = None,
) -> bool:
    """Add an event to the chain of a case; False when the case has an event of this ``key`` already.

    ``at`` is an instant of the workflow; without it, the database's clock. Appending to one case waits for
    other transactions that have appended to it. Raises ``TypeError`` for a detail that is not JSON scalars or
    lists of them, ``ValueError`` for an instant without time zone.
    """
    checked = _checked(detail or {})
    await lock_chain(conn, case_id)
    state = (await conn.execute(_state(case_id, key))).one()
    if state.known:
        return False
    seq, previous = (state.seq + 1, state.digest) if state.seq else (1, GENESIS)
    instant = _utc(at or state.now)
    digest = digest_of(case_id, seq, to_microseconds(instant), actor, act, checked, key, previous)
    await conn.execute(
        insert(audit).values(
            case_id=case_id,
            seq=seq,
            at=instant,
            actor=actor,
            act=act,
            detail=checked,
            key=key,
            previous=previous,
            digest=digest,
        )
    )
    return True


async def append_many(
    conn: AsyncConnection, entries: Sequence[Entry], *, new: Collection[str] = frozenset()
) -> None:
    """Add events to the chains of many cases in few round trips; one whose ``key`` a case has is left out.

    ``new`` are cases that begin in this transaction, so that nobody else appends to them: a lock for each of
    very many would be more than the database holds. Raises as ``append`` does.
    """
    cases = sorted({entry.case_id for entry in entries})
    await lock_all(conn, [f"audit/{case_id}" for case_id in cases if case_id not in new])
    of_cases = audit.c.case_id == any_of(cases)
    lasts = await conn.execute(
        select(audit.c.case_id, audit.c.seq, audit.c.digest)
        .where(of_cases)
        .ext(distinct_on(audit.c.case_id))
        .order_by(audit.c.case_id, audit.c.seq.desc())
    )
    heads = {row.case_id: (row.seq, row.digest) for row in lasts}
    keys = {entry.key for entry in entries}
    known = {
        tuple(row)
        for row in await conn.execute(
            select(audit.c.case_id, audit.c.key).where(of_cases, audit.c.key == any_of(keys))
        )
    }
    now = _utc((await conn.execute(select(func.clock_timestamp()))).scalar_one())
    rows: list[dict[str, object]] = []
    for entry in entries:
        if entry.key is not None:
            if (entry.case_id, entry.key) in known:
                continue
            known.add((entry.case_id, entry.key))
        seq, previous = heads.get(entry.case_id, (0, GENESIS))
        detail = _checked(entry.detail)
        digest = digest_of(
            entry.case_id,
            seq + 1,
            to_microseconds(now),
            entry.actor,
            entry.act,
            detail,
            entry.key,
            previous,
        )
        heads[entry.case_id] = (seq + 1, digest)
        rows.append(
            {
                **vars(entry),
                "detail": detail,
                "seq": seq + 1,
                "at": now,
                "previous": previous,
                "digest": digest,
            }
        )
    if rows:
        await conn.execute(insert(audit), rows)


async def lock_chain(conn: AsyncConnection, case_id: str) -> None:
    """Keep everybody else from appending to a case until the transaction ends."""
    await lock(conn, f"audit/{case_id}")


async def events(conn: AsyncConnection, case_id: str) -> list[Event]:
    """The chain of a case, oldest event first; empty for a case nobody has acted on."""
    rows = await conn.execute(select(audit).where(audit.c.case_id == case_id).order_by(audit.c.seq))
    return [_event(row) for row in rows]


async def recorded(conn: AsyncConnection, case_id: str, key: str) -> Event | None:
    """The event of this key in the chain of a case, if it is there."""
    row = (
        await conn.execute(select(audit).where(audit.c.case_id == case_id, audit.c.key == key))
    ).one_or_none()
    return None if row is None else _event(row)


async def with_event(conn: AsyncConnection, case_ids: Sequence[str], key: str) -> list[str]:
    """Which of these cases have the event of this key; events outlive the records they tell of."""
    query = select(audit.c.case_id).where(audit.c.case_id == any_of(case_ids), audit.c.key == key)
    return list(await conn.scalars(query))


async def head(conn: AsyncConnection, case_id: str) -> bytes:
    """The digest of a case's last event, ``GENESIS`` where there is none."""
    digest = await conn.scalar(
        select(audit.c.digest).where(audit.c.case_id == case_id).order_by(audit.c.seq.desc()).limit(1)
    )
    return GENESIS if digest is None else digest


async def verify(conn: AsyncConnection, case_id: str | None = None) -> Verification:
    """Recompute the chain of a case, or of all; constant memory however many there are.

    A chain alone does not show that its end was cut off: ``records.trail`` looks at everything that does.
    """
    wanted = as_stored().order_by(audit.c.case_id, audit.c.seq)
    if case_id is not None:
        wanted = wanted.where(audit.c.case_id == case_id)
    cases = count = 0
    broken: list[Broken] = []
    before: Stored | None = None
    async with conn.stream(wanted.execution_options(yield_per=500)) as rows:
        async for row in rows:
            event = stored(row)
            if before is None or before.case_id != event.case_id:
                cases += 1
                after = START
            else:
                after = before.link
            if why := fault(event, after):
                broken.append(Broken(event.case_id, event.seq, why))
            before = event
            count += 1
    broken += await cut_off(conn, case_id)
    return Verification(cases, count, tuple(broken))


def as_stored() -> Select[tuple[object, ...]]:
    """Every event in a form that can be read whatever was made of it; see ``stored``."""
    plain = [column for column in audit.c if column.name not in ("at", "detail")]
    return select(*plain, seconds(audit.c.at).label("at"), cast(audit.c.detail, Text).label("detail"))


def stored(row: Row[tuple[object, ...]]) -> Stored:
    """An event of ``as_stored``."""
    try:
        detail: JsonValue = json.loads(row.detail)
    except (ValueError, RecursionError):
        detail = None
    return Stored(
        case_id=row.case_id,
        seq=row.seq,
        at=whole_microseconds(row.at),
        actor=row.actor,
        act=row.act,
        detail=detail,
        key=row.key,
        previous=row.previous,
        digest=row.digest,
    )


async def cut_off(conn: AsyncConnection, case_id: str | None = None) -> list[Broken]:
    """Chains that cannot be whole, by what is known outside them: a request has at least the event of its
    opening, and a certificate names the digest that the event of the destruction follows."""
    unopened = select(requests.c.id.label("case_id")).where(~exists().where(audit.c.case_id == requests.c.id))
    unwitnessed = select(certificates.c.case_id, certificates.c.record_class).where(
        ~exists().where(
            audit.c.case_id == func.split_part(certificates.c.case_id, "/", 1),
            audit.c.previous == certificates.c.audit_digest,
        )
    )
    if case_id is not None:
        unopened = unopened.where(requests.c.id == case_id)
        unwitnessed = unwitnessed.where(certificates.c.case_id == case_id)
    found = [Broken(row.case_id, 0, "the request has no events") for row in await conn.execute(unopened)]
    found += [
        Broken(row.case_id, 0, f"the destruction of {row.record_class} is certified but not in the chain")
        for row in await conn.execute(unwitnessed)
    ]
    return found


def _state(case_id: str, key: str | None) -> Select[tuple[datetime, bool, int | None, bytes | None]]:
    """What the next event needs to know of its chain: whether its key is there, the last event, the time."""
    of_case = audit.c.case_id == case_id
    last = select(audit).where(of_case).order_by(audit.c.seq.desc()).limit(1).subquery()
    return select(
        func.clock_timestamp().label("now"),
        (false() if key is None else exists().where(of_case, audit.c.key == key)).label("known"),
        select(last.c.seq).scalar_subquery().label("seq"),
        select(last.c.digest).scalar_subquery().label("digest"),
    )


def _event(row: Row[tuple[object, ...]]) -> Event:
    return Event(**{**row._mapping, "at": _utc(row.at)})


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("the instant of an event needs a time zone")
    return at.astimezone(UTC)


def _checked(detail: Detail) -> dict[str, JsonValue]:
    """Only what comes back from the database as it went in: no floating point, no nesting, no NUL."""
    checked: dict[str, JsonValue] = {}
    for name, value in detail.items():
        values = [value] if value is None or isinstance(value, (str, int)) else value
        if not isinstance(values, (list, tuple)) or not all(map(_is_scalar, (name, *values))):
            raise TypeError(
                f"the detail {name!r} of an event must be a text, an integer, a truth value or a list of them"
            )
        checked[name] = list(values) if values is value else values[0]
    return checked


def _is_scalar(value: object) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    return value is None or isinstance(value, int)
