"""What a request leaves on a person in the register beside the content: deleted, use stopped, provision to a
third party stopped (§1, §3).
"""

from datetime import date
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.vocabulary import ChangeAction
from records.tables import holding_subjects, provision_stops

_COLUMN = {
    ChangeAction.DELETION: holding_subjects.c.deleted_on,
    ChangeAction.CEASE_USE: holding_subjects.c.use_stopped_on,
}


async def marked_on(
    conn: AsyncConnection, subject_id: UUID, action: ChangeAction, recipient: str | None = None
) -> date | None:
    """Since when somebody is deleted, or use or the provision to a recipient stopped; None while not."""
    if action is ChangeAction.STOP_THIRD_PARTY_PROVISION:
        return (await stops(conn, subject_id)).get(recipient or "")
    day: date | None = await conn.scalar(select(_COLUMN[action]).where(holding_subjects.c.id == subject_id))
    return day


async def mark(
    conn: AsyncConnection, subject_id: UUID, action: ChangeAction, recipient: str | None, on: date
) -> None:
    """Set a mark; one that is set keeps its day."""
    if action is ChangeAction.STOP_THIRD_PARTY_PROVISION:
        stop = insert(provision_stops).values(subject_id=subject_id, recipient=recipient, stopped_on=on)
        await conn.execute(stop.on_conflict_do_nothing())
        return
    column = _COLUMN[action]
    await conn.execute(
        update(holding_subjects)
        .where(holding_subjects.c.id == subject_id, column.is_(None))
        .values({column: on})
    )


async def unmark(
    conn: AsyncConnection, subject_id: UUID, action: ChangeAction, recipient: str | None
) -> None:
    """Take a mark off; nothing where there is none."""
    if action is ChangeAction.STOP_THIRD_PARTY_PROVISION:
        of_subject = provision_stops.c.subject_id == subject_id
        await conn.execute(
            delete(provision_stops).where(of_subject, provision_stops.c.recipient == recipient)
        )
        return
    await conn.execute(
        update(holding_subjects).where(holding_subjects.c.id == subject_id).values({_COLUMN[action]: None})
    )


async def stops(conn: AsyncConnection, subject_id: UUID) -> dict[str, date]:
    """To which recipients, by the pack's code, nothing of somebody is provided any more, and since when."""
    rows = await conn.execute(
        select(provision_stops.c.recipient, provision_stops.c.stopped_on)
        .where(provision_stops.c.subject_id == subject_id)
        .order_by(provision_stops.c.recipient)
    )
    return dict(rows.all())


async def count_stops(conn: AsyncConnection, service: str | None = None) -> dict[str, int]:
    """For how many customers, of one service or of all, the provision to each recipient is stopped."""
    stopped = (
        select(provision_stops.c.recipient, func.count())
        .join(holding_subjects)
        .where(holding_subjects.c.deleted_on.is_(None))
        .group_by(provision_stops.c.recipient)
    )
    if service is not None:
        stopped = stopped.where(holding_subjects.c.service == service)
    return dict((await conn.execute(stopped)).all())
