"""Legal holds: while one stands, nothing of what it holds is destroyed (§1).

A hold is placed under the lock under which records are destroyed: it stops a destruction that has not begun,
or waits for one that has.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from records import requests
from records.locks import lock
from records.tables import holds


@dataclass(frozen=True)
class Hold:
    """A legal hold; it lasts while ``released_on`` is None."""

    number: int
    placed_by: str
    placed_on: date
    note_id: UUID | None
    released_by: str | None
    released_on: date | None


async def place(
    conn: AsyncConnection,
    *,
    request_id: str,
    number: int,
    by: str,
    on: date,
    note_id: UUID | None = None,
) -> bool:
    """Forbid any destruction of a request's records; False when this hold is there already.

    Waits for a destruction that has begun. The act itself is the caller's to audit. Raises ``Refusal``
    (unknown_request).
    """
    await lock_holds(conn, request_id)
    await requests.find(conn, request_id)
    placed = await conn.execute(
        upsert(holds)
        .values(request_id=request_id, number=number, placed_by=by, placed_on=on, note_id=note_id)
        .on_conflict_do_nothing(index_elements=["request_id", "number"])
        .returning(holds.c.number)
    )
    return placed.one_or_none() is not None


async def release(
    conn: AsyncConnection, *, request_id: str, by: str, on: date, number: int | None = None
) -> int:
    """Release one hold of a request, or all of them; answers how many lasted until now."""
    await lock_holds(conn, request_id)
    wanted = (holds.c.request_id == request_id) & holds.c.released_on.is_(None)
    if number is not None:
        wanted &= holds.c.number == number
    released = await conn.execute(
        update(holds).where(wanted).values(released_by=by, released_on=on).returning(holds.c.number)
    )
    return len(released.all())


async def of_request(conn: AsyncConnection, request_id: str) -> list[Hold]:
    """Every hold ever placed on a request, released or not."""
    rows = await conn.execute(
        select(
            holds.c.number,
            holds.c.placed_by,
            holds.c.placed_on,
            holds.c.note_id,
            holds.c.released_by,
            holds.c.released_on,
        )
        .where(holds.c.request_id == request_id)
        .order_by(holds.c.number)
    )
    return [Hold(*row) for row in rows]


async def lock_holds(conn: AsyncConnection, request_id: str) -> None:
    """Keep holds of a request from changing, and anything of it from being destroyed, until the transaction
    ends.
    """
    await lock(conn, f"holds/{request_id}")


async def is_held(conn: AsyncConnection, request_id: str) -> bool:
    """Whether a hold stands on a request."""
    lasting = exists().where(holds.c.request_id == request_id, holds.c.released_on.is_(None))
    return bool(await conn.scalar(select(lasting)))
