"""Holds on a principal, whatever is held of them, or on a class of records, whoever they are of (§1)."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from records.tables import holding_subjects, holdings, wide_holds


@dataclass(frozen=True)
class WideHold:
    """A hold that stands until it is released; by ``review_on`` somebody looks whether it is still needed."""

    id: str
    review_on: date


async def lock_for_sweep(conn: AsyncConnection) -> None:
    """Keep wide holds from being placed until the transaction ends; many sweeps may do so at once."""
    await conn.execute(select(func.pg_advisory_xact_lock_shared(func.hashtextextended("wide_holds", 0))))


def stands_on_holding() -> ColumnElement[bool]:
    """Whether a hold stands on a category of somebody: on ``holding_subjects`` and ``holdings`` of the query
    around it.
    """
    of_class = (
        (wide_holds.c.record_class == "holdings")
        & or_(wide_holds.c.service.is_(None), wide_holds.c.service == holdings.c.service)
        & or_(wide_holds.c.category.is_(None), wide_holds.c.category == holdings.c.category)
    )
    return exists().where(
        wide_holds.c.released_on.is_(None),
        or_(wide_holds.c.name_index == holding_subjects.c.name_index, of_class),
    )


async def to_review(conn: AsyncConnection, on: date) -> list[WideHold]:
    """The holds that stand and whose review is due by this day."""
    due = wide_holds.c.released_on.is_(None) & (wide_holds.c.review_on <= on)
    query = select(wide_holds.c.id, wide_holds.c.review_on).where(due).order_by(wide_holds.c.id)
    return [WideHold(row.id, row.review_on) for row in await conn.execute(query)]
