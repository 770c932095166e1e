"""Gapless numbers: one that is rolled back is given to the next."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from records.tables import counters


async def next_number(conn: AsyncConnection, name: str) -> int:
    """1, 2, … of the series of this name. Whoever asks next waits until this transaction ends."""
    number: int | None = await conn.scalar(
        insert(counters)
        .values(name=name, value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + 1})
        .returning(counters.c.value)
    )
    assert number is not None  # an upsert always returns its row
    return number
