"""Until when each category that a service holds of a customer is kept, as the register has it (§1)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from types import MappingProxyType
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


@dataclass(frozen=True)
class Kept:
    """Until when all that a service holds of a customer is kept; a contract that lasts has no end."""

    contract_ended_on: date | None
    terms: Mapping[Category, Term]


NOTHING = Kept(None, MappingProxyType({}))
"""Of whom nothing is held."""


def of_holding(pack: Pack, holding: Holding) -> Kept:
    """The terms of all that is told of a customer by a pack's schedule, whatever day it is."""
    terms = {
        category: reckon(
            pack,
            holding.service,
            category,
            contract_ended_on=holding.contract_ended_on,
            purpose_achieved_on=holding.purpose_achieved_on.get(category),
        )
        for category in holding.categories
    }
    return Kept(holding.contract_ended_on, terms)


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


async def read(conn: AsyncConnection, subject_id: UUID) -> Kept:
    """The terms of all that is held of a customer; none of one whom the register does not know."""
    found = await conn.execute(
        select(
            holding_subjects.c.contract_ended_on,
            holdings.c.category,
            holdings.c.purpose_achieved_on,
            holdings.c.expires_on,
            holdings.c.reckoned_by,
        )
        .outerjoin(holdings, holdings.c.subject_id == holding_subjects.c.id)
        .where(holding_subjects.c.id == subject_id)
    )
    rows = found.all()
    terms = {Category(row.category): Term(*row[2:]) for row in rows if row.category is not None}
    return Kept(rows[0].contract_ended_on, terms) if rows else NOTHING


async def redate(conn: AsyncConnection, subject_id: UUID, before: Kept, now: Kept) -> bool:
    """Give what is held of a customer the days that are told now; False where they are those from before.

    What was reckoned from a day that was known before stays so.
    """
    changed = {
        category: now.terms[category]
        for category, term in before.terms.items()
        if term.purpose_achieved_on != now.terms[category].purpose_achieved_on
    }
    if before.contract_ended_on != now.contract_ended_on:
        of_subject = holding_subjects.c.id == subject_id
        column = {"contract_ended_on": now.contract_ended_on}
        await conn.execute(update(holding_subjects).where(of_subject).values(column))
        changed = {category: now.terms[category] for category in before.terms}
    elif not changed:
        return False
    for category, term in changed.items():
        of_category = (holdings.c.subject_id == subject_id) & (holdings.c.category == category)
        await conn.execute(update(holdings).where(of_category).values(**asdict(term)))
    return True
