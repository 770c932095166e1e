"""Named locks of the database, held until the transaction ends.

They serialise what no single row stands for: a chain of events that has no last event yet, a deposit nobody
has recorded, the holds of a request. Whoever takes two takes the deposit's before the request's.
"""

from collections.abc import Sequence

from sqlalchemy import Text, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection


async def lock(conn: AsyncConnection, name: str) -> None:
    """Wait for the lock of this name; the end of the transaction frees it."""
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def lock_shared(conn: AsyncConnection, name: str) -> None:
    """Wait for whoever has the lock of this name alone; many may share it."""
    await conn.execute(select(func.pg_advisory_xact_lock_shared(func.hashtextextended(name, 0))))


async def lock_all(conn: AsyncConnection, names: Sequence[str]) -> None:
    """Wait for the locks of all these names, in this order."""
    if names:
        each = func.unnest(literal(list(names), ARRAY(Text))).column_valued("name")
        await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(each, 0))))
