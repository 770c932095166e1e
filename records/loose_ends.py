"""Where a sweep looks for what hangs: the envelopes of requests, their letters, errands, imports (§1).

Whether something really hangs, Temporal knows; here is what the records know of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from records.tables import envelopes, errands, imports, letters


@dataclass(frozen=True)
class Stale:
    """Errands of a deposit that nobody has run for a day, the oldest since that day."""

    source: str
    deposit_id: str
    count: int
    since: date


async def attached_envelopes(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, list[str]]:
    """The ids of the envelopes attached to each of these requests, in the order they came."""
    rows = await conn.execute(
        select(envelopes.c.request_id, envelopes.c.id)
        .where(envelopes.c.request_id.in_(list(ids)), envelopes.c.attached)
        .order_by(envelopes.c.request_id, envelopes.c.number)
    )
    found: dict[str, list[str]] = {}
    for request_id, id in rows:
        found.setdefault(request_id, []).append(str(id))
    return found


async def wrote_letters(conn: AsyncConnection, request_id: str) -> bool:
    """Whether a request has ever written to anybody: then its workflow was there once."""
    query = select(letters.c.id).where(letters.c.request_id == request_id).limit(1)
    return await conn.scalar(query) is not None


async def stale_errands(conn: AsyncConnection, limit: int) -> list[Stale]:
    """Of which deposits nobody was told for more than a day, at most so many."""
    since = func.min(errands.c.recorded_at)
    rows = await conn.execute(
        select(errands.c.source, errands.c.deposit_id, func.count(), since)
        .where(errands.c.done_at.is_(None), errands.c.recorded_at < func.now() - text("interval '1 day'"))
        .group_by(errands.c.source, errands.c.deposit_id)
        .order_by(since)
        .limit(limit)
    )
    return [Stale(source, deposit_id, count, at.date()) for source, deposit_id, count, at in rows]


async def broken_imports(conn: AsyncConnection, on: date) -> list[tuple[str, date]]:
    """Files of banks whose import began before this day and never came to its end, and when it began."""
    rows = await conn.execute(
        select(imports.c.id, imports.c.begun_on)
        .where(imports.c.finished_on.is_(None), imports.c.begun_on < on)
        .order_by(imports.c.begun_on, imports.c.id)
    )
    return [(id, begun_on) for id, begun_on in rows]
