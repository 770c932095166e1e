"""Until when each category that a service holds of a customer is kept, as the register has it (§1)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.holdings import Holding
from policy.pack import Pack
from policy.retention import holding_expiry
from policy.vocabulary import Category
from records.tables import holding_subjects, holdings


@dataclass(frozen=True)
class Term:
    """Until when one category is kept: from ``expires_on`` on it is destroyed; None while nothing has begun
    its period. ``reckoned_by`` is the pack that says so; None while none was asked.
    """

    purpose_achieved_on: date | None = None
    expires_on: date | None = None
    reckoned_by: str | None = None

    def has_expired(self, on: date) -> bool:
        """Whether it is destroyed on this day."""
        return self.expires_on is not None and self.expires_on <= on


def of_holding(pack: Pack, holding: Holding) -> dict[Category, Term]:
    """The terms of all that is held of a customer by a pack's schedule, whatever day it is."""
    return {
        category: reckon(
            pack,
            holding.service,
            category,
            contract_ended_on=holding.contract_ended_on,
            purpose_achieved_on=holding.purpose_achieved_on.get(category),
        )
        for category in holding.categories
    }


def reckon(
    pack: Pack,
    service: str,
    category: Category,
    *,
    contract_ended_on: date | None,
    purpose_achieved_on: date | None,
) -> Term:
    """The term of one category by a pack's schedule."""
    expiry = holding_expiry(
        pack,
        service,
        category,
        contract_ended_on=contract_ended_on,
        purpose_achieved_on=purpose_achieved_on,
    )
    return Term(purpose_achieved_on, None if expiry is None else expiry.on, pack.version)


async def read(conn: AsyncConnection, subject_id: UUID) -> dict[Category, Term]:
    """The terms of all that is held of a customer."""
    rows = await conn.execute(
        select(
            holdings.c.category,
            holdings.c.purpose_achieved_on,
            holdings.c.expires_on,
            holdings.c.reckoned_by,
        ).where(holdings.c.subject_id == subject_id)
    )
    return {Category(category): Term(*columns) for category, *columns in rows}


async def contract_ended_on(conn: AsyncConnection, subject_id: UUID) -> date | None:
    """The day on which a customer's contract ended, or will end, None while nobody told."""
    of_subject = holding_subjects.c.id == subject_id
    day: date | None = await conn.scalar(select(holding_subjects.c.contract_ended_on).where(of_subject))
    return day


async def redate(
    conn: AsyncConnection, subject_id: UUID, ended_on: date | None, terms: Mapping[Category, Term]
) -> bool:
    """Give what is held of a customer the day its contract ended on, and terms; False where none has changed.

    A day that was known before stays as it was reckoned.
    """
    before = await read(conn, subject_id)
    changed = {
        category: new
        for category, new in terms.items()
        if category in before and before[category].purpose_achieved_on != new.purpose_achieved_on
    }
    if await contract_ended_on(conn, subject_id) != ended_on:
        of_subject = holding_subjects.c.id == subject_id
        await conn.execute(update(holding_subjects).where(of_subject).values(contract_ended_on=ended_on))
        changed = {category: new for category, new in terms.items() if category in before}
    elif not changed:
        return False
    for category, new in changed.items():
        of_category = (holdings.c.subject_id == subject_id) & (holdings.c.category == category)
        await conn.execute(update(holdings).where(of_category).values(**asdict(new)))
    return True
