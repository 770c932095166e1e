"""The retention schedule over the whole register: reckoned anew for another pack, and what is due (§1)."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.pack import Pack
from policy.registry import pack as pack_of
from policy.retention import said
from policy.vocabulary import Category
from records import holding_terms, wide_holds
from records.holdings import lock_register
from records.tables import holding_subjects, holdings


@dataclass(frozen=True)
class DueHoldings:
    """Of how many customers a category has expired in a service and still exists, the first ``since``; and
    of how many of them it is ``held``.
    """

    service: str
    category: Category
    rule: str
    clause: str
    count: int
    since: date
    held: int = 0


async def reckon_anew(conn: AsyncConnection, pack: Pack, *, limit: int = 500) -> int:
    """Reckon until when the next ``limit`` categories are kept that another pack reckoned, or none.

    Answers how many they were: repeat it, in a transaction each, until there are none. They are found by an
    index, however much is kept. Under the lock of the register, as everything that changes it.
    """
    await lock_register(conn)
    rows = await conn.execute(
        select(
            holdings.c.id,
            holdings.c.service,
            holdings.c.category,
            holdings.c.purpose_achieved_on,
            holding_subjects.c.contract_ended_on,
        )
        .join(holding_subjects, holding_subjects.c.id == holdings.c.subject_id)
        .where(holdings.c.id.in_(reckoned_otherwise(pack.version, limit)))
    )
    terms = [
        {
            "row": row.id,
            **asdict(
                holding_terms.reckon(
                    pack,
                    row.service,
                    Category(row.category),
                    contract_ended_on=row.contract_ended_on,
                    purpose_achieved_on=row.purpose_achieved_on,
                )
            ),
        }
        for row in rows
    ]
    if terms:
        of_row = update(holdings).where(holdings.c.id == bindparam("row"))
        new = of_row.values(expires_on=bindparam("expires_on"), reckoned_by=bindparam("reckoned_by"))
        await conn.execute(new, terms)
    return len(terms)


def reckoned_otherwise(version: str, limit: int) -> Select[tuple[UUID]]:
    """So many rows of the register at most that the pack of this version has not reckoned.

    Each part follows the index over the packs, in its order: a condition "is another" could not.
    """
    by = holdings.c.reckoned_by
    parts = (
        select(holdings.c.id).where(condition).order_by(by).limit(limit)
        for condition in (by.is_(None), by < version, by > version)
    )
    found = union_all(*parts).subquery()
    return select(found.c.id).limit(limit)


async def due(conn: AsyncConnection, on: date) -> list[DueHoldings]:
    """What of the register has expired by this day and still exists, the oldest first.

    Packs with the same rule for it count together.
    """
    rows = await conn.execute(
        select(
            holdings.c.service,
            holdings.c.category,
            holdings.c.reckoned_by,
            func.count(),
            func.min(holdings.c.expires_on),
            func.count().filter(wide_holds.stands_on_holding()),
        )
        .join(holding_subjects, holding_subjects.c.id == holdings.c.subject_id)
        .where(holdings.c.expires_on <= on)
        .group_by(holdings.c.service, holdings.c.category, holdings.c.reckoned_by)
    )
    counts: Counter[tuple[str, Category, str, str]] = Counter()
    first: dict[tuple[str, Category, str, str], date] = {}
    held: Counter[tuple[str, Category, str, str]] = Counter()
    for service, name, version, count, since, of_held in rows:
        category = Category(name)
        rule = pack_of(version).holdings[category].of(service)
        if rule is not None:
            what = (service, category, said(rule), rule.citation)
            counts[what] += count
            held[what] += of_held
            first[what] = min(since, first.get(what, since))
    return [
        DueHoldings(*what, counts[what], first[what], held[what])
        for what in sorted(first, key=lambda w: (first[w], w))
    ]
