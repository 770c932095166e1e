"""Until when each class of a closed request is kept, by the request's own schedule (§1).

A row per class is written when the request closes, and goes with the records of the class: what is there and
past its day is due.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy import exists as exists_
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deadlines import Terms
from policy.registry import pack
from policy.retention import Expiry
from policy.retention import expiries as reckon
from policy.vocabulary import ANSWERS, LetterState, RecordClass
from records import holds, requests
from records.tables import certificates, data_keys, expiries, invoices, letters
from records.tables import requests as request_rows

_COLUMNS = (expiries.c.record_class, expiries.c.expires_on, expiries.c.rule, expiries.c.clause)


@dataclass(frozen=True)
class Due:
    """A class of a request that has expired and still exists; ``held`` while a hold stands against it."""

    request_id: str
    expiry: Expiry
    held: bool


async def write(conn: AsyncConnection, request_id: str, found: Iterable[Expiry], pack_version: str) -> int:
    """Put down when each class of a request expires, in the place of whatever was put down before.

    A class that is destroyed already has no day any more. Answers how many have one.
    """
    await clear(conn, request_id)
    done = await _destroyed(conn, request_id)
    rows = [
        {
            "request_id": request_id,
            "record_class": expiry.record_class,
            "expires_on": expiry.on,
            "rule": expiry.rule,
            "clause": expiry.clause,
            "pack_version": pack_version,
        }
        for expiry in found
        if expiry.record_class not in done
    ]
    if rows:
        await conn.execute(insert(expiries), rows)
    return len(rows)


async def clear(conn: AsyncConnection, request_id: str) -> None:
    """A request goes on: nothing of it expires until it closes again."""
    await conn.execute(delete(expiries).where(expiries.c.request_id == request_id))


async def gone(conn: AsyncConnection, request_id: str, record_class: RecordClass) -> None:
    """A class of a request is destroyed."""
    await conn.execute(
        delete(expiries).where(expiries.c.request_id == request_id, expiries.c.record_class == record_class)
    )


async def due(conn: AsyncConnection, on: date) -> list[Due]:
    """What has expired by this day and still exists, the earliest first; found by the day alone."""
    rows = await conn.execute(
        select(expiries.c.request_id, *_COLUMNS)
        .where(expiries.c.expires_on <= on)
        .order_by(expiries.c.expires_on, expiries.c.request_id, expiries.c.record_class)
    )
    found = [(request_id, _expiry(*columns)) for request_id, *columns in rows]
    held = {id: await holds.is_held(conn, id) for id in dict.fromkeys(id for id, _ in found)}
    return [Due(request_id, expiry, held[request_id]) for request_id, expiry in found]


async def outstanding(conn: AsyncConnection, request: requests.RequestRow) -> list[Expiry]:
    """When each class of a closed request that still exists expires, the earliest first; of no open one."""
    if request.closed_on is None or request.destroyed_on is not None:
        return []
    rows = await conn.execute(
        select(*_COLUMNS)
        .where(expiries.c.request_id == request.id)
        .order_by(expiries.c.expires_on, expiries.c.record_class)
    )
    written = [_expiry(*columns) for columns in rows]
    if written:
        return written
    done = await _destroyed(conn, request.id)
    _, found = await _reckon(conn, request)
    return [expiry for expiry in found if expiry.record_class not in done]


async def write_missing(conn: AsyncConnection, limit: int) -> int:
    """Put down when the classes expire of requests that closed before that was put down, so many at most.

    Answers of how many that was: repeat it until there are none.
    """
    nothing_done = ~exists_().where(certificates.c.case_id == request_rows.c.id)
    something_left = exists_().where(data_keys.c.case_id == request_rows.c.id)
    ids = await conn.scalars(
        select(request_rows.c.id)
        .where(
            request_rows.c.closed_on.is_not(None),
            request_rows.c.destroyed_on.is_(None),
            ~exists_().where(expiries.c.request_id == request_rows.c.id),
            or_(nothing_done, something_left),
        )
        .order_by(request_rows.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    written = 0
    for id in ids.all():
        version, found = await _reckon(conn, await requests.find(conn, id))
        written += await write(conn, id, found, version) > 0
    return written


async def delivered_on(conn: AsyncConnection, request_id: str) -> date | None:
    """The day on which a request's answer was delivered, None while it was not."""
    day: date | None = await conn.scalar(
        select(func.max(letters.c.ended_on)).where(
            letters.c.request_id == request_id,
            letters.c.kind.in_(ANSWERS),
            letters.c.state == LetterState.DELIVERED,
        )
    )
    return day


async def _destroyed(conn: AsyncConnection, request_id: str) -> set[str]:
    """The classes of a request that are destroyed."""
    of_request = certificates.c.case_id == request_id
    return set(await conn.scalars(select(certificates.c.record_class).where(of_request)))


async def _reckon(conn: AsyncConnection, request: requests.RequestRow) -> tuple[str, tuple[Expiry, ...]]:
    """When the classes of a closed request expire, and the pack whose schedule says so."""
    assert request.closed_on is not None
    version: str = (
        await conn.scalar(select(request_rows.c.retention_pack).where(request_rows.c.id == request.id))
        or request.pack_version
    )
    return version, reckon(
        Terms.of(pack(version)),
        delivered_on=await delivered_on(conn, request.id),
        closed_on=request.closed_on,
        invoiced_on=await conn.scalar(
            select(invoices.c.issued_on).where(invoices.c.request_id == request.id)
        ),
    )


def _expiry(record_class: str, on: date, rule: str, clause: str) -> Expiry:
    return Expiry(record_class=RecordClass(record_class), on=on, rule=rule, clause=clause)
