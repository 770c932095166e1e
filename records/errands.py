"""Errands: who is still to be told of a deposit.

Each is written in the transaction of what happened, so that word of it gets out however often the way there
breaks; telling twice does no harm, because whoever is told reads the ledger. An errand with a request goes to
that request; one without goes to the deposit's own workflow, which watches over what waits in suspense.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from records.tables import errands


@dataclass(frozen=True)
class NewErrand:
    """An errand to be run."""

    source: str
    deposit_id: str
    request_id: str | None = None


@dataclass(frozen=True)
class Errand:
    """An errand that is to be run, ``id`` in the order they came up."""

    id: int
    source: str
    deposit_id: str
    request_id: str | None


async def add(conn: AsyncConnection, *new: NewErrand) -> None:
    """Note errands, to be run once the transaction is committed."""
    if new:
        await conn.execute(insert(errands), [vars(errand) for errand in new])


async def pending(
    conn: AsyncConnection, limit: int = 100, *, of: tuple[str, str] | None = None
) -> list[Errand]:
    """The oldest errands that are due and that nobody else is running: they are this transaction's.

    ``of`` asks for all those of one deposit, by source and id, and waits for whoever is running them.
    """
    query = select(errands.c.id, errands.c.source, errands.c.deposit_id, errands.c.request_id)
    if of is None:
        query = query.where(or_(errands.c.not_before.is_(None), errands.c.not_before <= func.now()))
    else:
        query = query.where(errands.c.source == of[0], errands.c.deposit_id == of[1])
    rows = await conn.execute(
        query.where(errands.c.done_at.is_(None))
        .order_by(errands.c.id)
        .limit(limit)
        .with_for_update(skip_locked=of is None)
    )
    return [Errand(row.id, row.source, row.deposit_id, row.request_id) for row in rows]


async def put_off(conn: AsyncConnection, ids: Iterable[int]) -> None:
    """These errands failed for a reason of their own: each is tried again later, twice as late every time up
    to an hour, and keeps nobody else's waiting.
    """
    seconds = func.least(func.power(2, errands.c.attempts), 3600)
    await conn.execute(
        update(errands)
        .where(errands.c.id.in_(list(ids)))
        .values(
            attempts=errands.c.attempts + 1,
            not_before=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds),
        )
    )


async def count_pending(conn: AsyncConnection) -> int:
    """How many errands are not done."""
    return await conn.scalar(select(func.count()).where(errands.c.done_at.is_(None))) or 0


async def done(conn: AsyncConnection, ids: Iterable[int]) -> None:
    """These errands are done; again changes nothing."""
    await conn.execute(
        update(errands)
        .where(errands.c.id.in_(list(ids)), errands.c.done_at.is_(None))
        .values(done_at=func.now())
    )
