"""Entries of statements told twice: as a lump sum in one kind of file, payment by payment in another.

Both are the same money, in other amounts and under other ids, and it counts once: the lump is a twin of its
details, for only they say who paid. Where a clerk dealt with the lump already, the details are its twins.

A lump and details are the same where the bank's own reference of the entry says so, or else where account,
day and amount of the entry are the same and no kind of file tells of both: one file does not tell an entry
twice. Details count in money, for the details of an entry add up to it; so two equal lumps are two unless two
lots of details are there. A twin too many is seen by a clerk, and one too few by nobody.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Row, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import String

from records import audit, deposits, errands
from records.arrays import any_of
from records.deposits import DepositState, Suspense, case_id, is_dismissed, is_live, same_deposit, stands
from records.errands import NewErrand
from records.tables import allocations, refunds
from records.tables import deposits as rows
from records.told import Told

_WAITING = (DepositState.SUSPENSE, DepositState.CANCELLED)
"""Where a twin is: not dismissed yet, or dismissed."""

_Deposit = Row[*tuple[Any, ...]]


@dataclass
class _Lump:
    """A lump; ``recorded`` unless it is just about to be, ``moved`` where a clerk dealt with it."""

    deposit_id: str
    amount: int
    reference: str | None
    kinds: frozenset[str]
    recorded: bool
    is_twin: bool = False
    moved: bool = False


@dataclass
class _Details:
    """Details that say the same of their entry: how much money, how much of it is counted as a twin, and how
    much no lump stands for yet.
    """

    reference: str | None
    kinds: frozenset[str]
    money: int
    twins: int = 0
    left: int = 0


async def told_otherwise(conn: AsyncConnection, told: Sequence[Told]) -> set[str]:
    """The ids of those of these settled deposits of a source that are twins: lumps, or details of a lump that
    a clerk dealt with. Lock the deposits of the source first.

    Lumps that still wait in suspense become twins of their details here; audited, and errands tell of it.
    """
    fresh: dict[str, list[Told]] = {}
    for deposit in told:
        if deposit.entry:
            fresh.setdefault(deposit.entry, []).append(deposit)
    if not fresh:
        return set()
    source = told[0].source
    # one kind alone is in most ledgers, and may be there very often: then the other is not even looked for
    with_parts = {entry for entry, new in fresh.items() if not all(each.lump for each in new)}
    with_lumps = {entry for entry, new in fresh.items() if any(each.lump for each in new)}
    lumps = await _lumps(conn, source, with_parts)
    details = await _details(conn, source, with_lumps | lumps.keys())
    lumps |= await _lumps(conn, source, details.keys() - with_parts)
    twins = set[str]()
    for entry, new in fresh.items():
        twins |= await _settle(conn, source, new, lumps.get(entry, []), details.get(entry, []))
    return twins


async def counterparts(conn: AsyncConnection, source: str, deposit_id: str) -> list[_Deposit]:
    """What may tell of the same entry in the other way, dismissed twins too: rows of deposits."""
    own = await _row(conn, source, deposit_id)
    if own.entry is None:
        return []
    found = await conn.execute(
        select(rows)
        .where(rows.c.source == source, rows.c.entry == own.entry, rows.c.lump != own.lump, _is_told())
        .order_by(rows.c.deposit_id)
    )
    return [row for row in found.all() if _same(_details_of(own), _details_of(row))]


async def stands_otherwise(conn: AsyncConnection, source: str, deposit_id: str) -> bool:
    """Whether all the money of a deposit is in what tells of its entry in the other way, and stands."""
    others = await counterparts(conn, source, deposit_id)
    if not others:
        return False
    own = await _row(conn, source, deposit_id)
    alike = await conn.scalar(
        select(func.coalesce(func.sum(rows.c.amount), 0)).where(
            rows.c.source == source,
            rows.c.entry == own.entry,
            rows.c.lump == own.lump,
            is_dismissed(),
        )
    )
    standing = sum(other.amount for other in others if other.state != DepositState.CANCELLED)
    return bool(standing - int(alike or 0) >= own.amount)


async def _row(conn: AsyncConnection, source: str, deposit_id: str) -> _Deposit:
    return (await conn.execute(select(rows).where(deposits.is_deposit(source, deposit_id)))).one()


async def _settle(
    conn: AsyncConnection, source: str, new: Sequence[Told], lumps: list[_Lump], details: list[_Details]
) -> set[str]:
    """What of one entry, or of several that are alike, are twins."""
    parts = [deposit for deposit in new if not deposit.lump]
    lumps = [*lumps, *(_new_lump(deposit) for deposit in new if deposit.lump)]
    if not lumps:
        return set()
    known = [*details, *(_details_of(part) for part in parts)]
    twins, day = set[str](), max(deposit.value_date for deposit in new)
    moved = list[_Lump]()
    for lump in _paired(lumps, known):
        if lump.moved:
            moved.append(lump)
        elif not lump.recorded:
            twins.add(lump.deposit_id)
        elif not lump.is_twin:
            await _give_way(conn, source, lump.deposit_id, day)
    covered = sum(lump.amount for lump in moved) - sum(each.twins for each in details)
    for part in parts:
        if covered > 0 and any(_same(lump, _details_of(part)) for lump in moved):
            twins.add(part.deposit_id)
            covered -= part.amount
    return twins


def _paired(lumps: Sequence[_Lump], details: Sequence[_Details]) -> list[_Lump]:
    """The lumps of which there are details: by reference first, and those that are twins before others."""
    paired = dict[str, _Lump]()
    for each in details:
        each.left = each.money
    for by_reference in (True, False):
        for lump in sorted(lumps, key=lambda lump: (not lump.is_twin, lump.recorded, lump.moved)):
            if lump.deposit_id in paired:
                continue
            of_it = [
                each
                for each in details
                if each.left and (_refers(lump, each) if by_reference else _same(lump, each))
            ]
            if of_it:
                paired[lump.deposit_id] = lump
            wanted = lump.amount
            for each in of_it:
                taken = min(wanted, each.left)
                each.left -= taken
                wanted -= taken
    return [*paired.values()]


async def _give_way(conn: AsyncConnection, source: str, deposit_id: str, on: date) -> None:
    await deposits.restate(conn, source, deposit_id, on=on, reason=Suspense.TWIN)
    await audit.append(
        conn,
        case_id(source, deposit_id),
        actor=audit.AUTOMATIC,
        act="deposit_in_suspense",
        detail={"reason": Suspense.TWIN},
    )
    await errands.add(conn, NewErrand(source, deposit_id))


async def _lumps(conn: AsyncConnection, source: str, entries: Collection[str]) -> dict[str, list[_Lump]]:
    """The lumps that are in the ledger, locked, by entry."""
    lumps: dict[str, list[_Lump]] = {}
    if not entries:
        return lumps
    credited = exists().where(same_deposit(allocations), is_live())
    touched = credited | exists().where(same_deposit(refunds), refunds.c.state != "rejected")
    of_these = (rows.c.source == source) & (rows.c.entry == any_of(entries)) & rows.c.lump & _is_told()
    # locked first, and only then looked at: a clerk may have dealt with them while we waited
    await conn.execute(
        select(rows.c.deposit_id).where(of_these).order_by(rows.c.deposit_id).with_for_update()
    )
    query = select(rows, touched.label("touched")).where(of_these).order_by(rows.c.deposit_id)
    for row in await conn.execute(query):
        is_twin = row.state in _WAITING and row.suspense_reason == Suspense.TWIN and not row.touched
        lump = _Lump(
            deposit_id=row.deposit_id,
            amount=row.amount,
            reference=row.entry_reference,
            kinds=frozenset(row.tellings),
            recorded=True,
            is_twin=is_twin,
            moved=not is_twin and (row.touched or row.state != DepositState.SUSPENSE),
        )
        lumps.setdefault(row.entry, []).append(lump)
    return lumps


async def _details(conn: AsyncConnection, source: str, entries: Collection[str]) -> dict[str, list[_Details]]:
    """The details that are in the ledger, by entry; they may be very many, so they come added up."""
    details: dict[str, list[_Details]] = {}
    if not entries:
        return details
    kinds = select(func.jsonb_object_keys(rows.c.tellings)).correlate(rows).scalar_subquery()
    as_twins = rows.c.state.in_(_WAITING) & (rows.c.suspense_reason == Suspense.TWIN)
    columns = rows.c.entry, rows.c.entry_reference, func.array(kinds, type_=ARRAY(String)).label("kinds")
    found = await conn.execute(
        select(
            *columns,
            func.sum(rows.c.amount).label("money"),
            func.coalesce(func.sum(rows.c.amount).filter(as_twins), 0).label("twins"),
        )
        .where(rows.c.source == source, rows.c.entry == any_of(entries), ~rows.c.lump, _is_told())
        .group_by(*columns)
    )
    for row in found:
        told = _Details(row.entry_reference, frozenset(row.kinds), int(row.money), int(row.twins))
        details.setdefault(row.entry, []).append(told)
    return details


def _is_told() -> ColumnElement[bool]:
    return stands() | is_dismissed()


def _new_lump(deposit: Told) -> _Lump:
    kinds = frozenset(deposit.tellings)
    return _Lump(deposit.deposit_id, deposit.amount, deposit.entry_reference, kinds, recorded=False)


def _details_of(deposit: Told | _Deposit) -> _Details:
    return _Details(deposit.entry_reference, frozenset(deposit.tellings), deposit.amount)


def _refers(lump: _Lump | _Details, details: _Details) -> bool:
    return lump.reference is not None and lump.reference == details.reference


def _same(lump: _Lump | _Details, details: _Details) -> bool:
    return _refers(lump, details) or lump.kinds.isdisjoint(details.kinds)
