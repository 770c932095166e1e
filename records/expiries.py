"""What of closed requests has expired, by each request's own schedule, and still exists (§1)."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deadlines import Terms
from policy.registry import pack
from policy.retention import Expiry, expiries
from policy.vocabulary import ANSWERS, LetterState
from records import certificates, holds, requests
from records.tables import invoices, letters


@dataclass(frozen=True)
class Due:
    """A class of a request that has expired and still exists; ``held`` while a hold stands against it."""

    request_id: str
    expiry: Expiry
    held: bool


async def due(conn: AsyncConnection, on: date) -> list[Due]:
    """What has expired by this day and still exists, the earliest first, by each request's own pack."""
    found = []
    for request in await requests.list_closed(conn):
        expired = [expiry for expiry in await outstanding(conn, request) if expiry.on <= on]
        if expired:
            held = await holds.is_held(conn, request.id)
            found += [Due(request.id, expiry, held) for expiry in expired]
    return sorted(found, key=lambda entry: (entry.expiry.on, entry.request_id))


async def outstanding(conn: AsyncConnection, request: requests.RequestRow) -> list[Expiry]:
    """When each class of a closed request that still exists expires, by its own pack; none of an open one."""
    if request.closed_on is None or request.destroyed_on is not None:
        return []
    gone = {done.record_class for done in await certificates.of_request(conn, request.id)}
    terms = expiries(
        Terms.of(pack(request.pack_version)),
        delivered_on=await delivered_on(conn, request.id),
        closed_on=request.closed_on,
        invoiced_on=await conn.scalar(
            select(invoices.c.issued_on).where(invoices.c.request_id == request.id)
        ),
    )
    return [expiry for expiry in terms if expiry.record_class not in gone]


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
