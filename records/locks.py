"""Named locks of the database, held until the transaction ends.

They serialise what no single row stands for: a chain of events that has no last event yet, a deposit nobody
has recorded, the holds of a request. Whoever takes two takes the deposit's before the request's.
"""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection


async def lock(conn: AsyncConnection, name: str) -> None:
    """Wait for the lock of this name; the end of the transaction frees it."""
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
