"""What Temporal still tells of records that are gone: histories of destroyed requests and of their deposits.

They hold nothing personal, but whoever reads that everything is destroyed should find nothing elsewhere.
"""

from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit
from records.tables import destructions, requests


async def destroyed_requests(conn: AsyncConnection, after: str, limit: int) -> list[str]:
    """Destroyed requests that are not forgotten, the next behind ``after``."""
    to_forget = requests.c.destroyed_on.is_not(None) & requests.c.forgotten_on.is_(None)
    query = select(requests.c.id).where(to_forget, requests.c.id > after).order_by(requests.c.id)
    return list(await conn.scalars(query.limit(limit)))


async def destroyed_deposits(
    conn: AsyncConnection, since: datetime | None, after: str, limit: int
) -> list[str]:
    """The cases of deposits that were destroyed since then, or ever, the next behind ``after``."""
    case_id = destructions.c.case_id
    query = select(case_id).where(case_id.startswith("deposit/"), case_id > after).distinct()
    if since is not None:
        query = query.where(destructions.c.recorded_at >= since)
    return list(await conn.scalars(query.order_by(case_id).limit(limit)))


async def forgotten(conn: AsyncConnection, request_id: str, on: date) -> None:
    """Record that Temporal has no history of a destroyed request any more. Audited."""
    await conn.execute(
        update(requests)
        .where(requests.c.id == request_id, requests.c.forgotten_on.is_(None))
        .values(forgotten_on=on)
    )
    detail: audit.Detail = {"on": on.isoformat()}
    await audit.append(
        conn, request_id, actor=audit.AUTOMATIC, act="request_forgotten", detail=detail, key="forgotten"
    )
