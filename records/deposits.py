"""Deposits as they stand: how much of each is credited, goes back, or is left in suspense.

A deposit is known by its source and its id there. What is left of it is its amount less what is credited to
requests and what is refunded or about to be; while anything is left, it waits for a clerk.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import ColumnElement, FromClause, Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import String

from policy.refusals import Code, Refusal
from records.tables import allocations, deposits, refunds


class DepositState(StrEnum):
    """Where a deposit stands: ``settled`` is not looked at yet, ``suspense`` has something left for a clerk;
    of ``matched`` and ``refunded`` nothing is left, and of ``refunded`` nothing is credited.
    """

    PRELIMINARY = "preliminary"
    SETTLED = "settled"
    MATCHED = "matched"
    SUSPENSE = "suspense"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Suspense(StrEnum):
    """Why something of a deposit waits for a clerk."""

    UNIDENTIFIED = "unidentified"
    DOUBLE = "double"
    LATE = "late"
    CURRENCY = "currency"
    TWIN = "twin"
    OVER = "over"
    LAPSED = "lapsed"
    RETURNED = "returned"
    SPLIT = "split"


WAITING = (DepositState.SETTLED, DepositState.SUSPENSE)
"""The states in which something of a deposit waits: for the worker to look at it, or for a clerk."""


@dataclass(frozen=True)
class Match:
    """Where a deposit belongs: to a request, or in suspense for a reason, or neither yet; what is over waits
    in suspense while the rest belongs to a request.
    """

    state: DepositState
    request_id: str | None = None
    suspense_reason: Suspense | None = None


@dataclass(frozen=True)
class DepositRow:
    """A deposit without the payer's words; amounts in the smallest unit of its currency.

    ``requests`` are those it is credited to, or was when the bank took it back; ``request_id`` is the one
    where there is exactly one. ``remainder`` is what a clerk still has to deal with, ``waits_since`` the day
    from which it waits for the reason it has; None unless it is in suspense.
    """

    source: str
    deposit_id: str
    state: DepositState
    amount: int
    currency: str
    value_date: date
    request_id: str | None
    suspense_reason: Suspense | None
    booked_on: date | None
    requests: tuple[str, ...]
    allocated: int
    refunded: int
    remainder: int
    waits_since: date | None
    moved_on: date
    import_id: str | None

    @property
    def day(self) -> date:
        """The day from which the books know it."""
        return self.booked_on or self.value_date

    @property
    def match(self) -> Match:
        return Match(self.state, self.request_id, self.suspense_reason)


@dataclass(frozen=True)
class AllocationRow:
    """Yen credited to a request; from ``reversed_on`` they count no more: by a clerk or with a credit note,
    else because the bank took them back.
    """

    request_id: str
    amount: int
    on: date
    by: str
    reversed_on: date | None
    reversed_by: str | None
    credit_note: str | None


def case_id(source: str, deposit_id: str) -> str:
    """The case under which a deposit's words are sealed and its events audited; its workflow's id too."""
    return f"deposit/{source}/{deposit_id}"


async def find(conn: AsyncConnection, source: str, deposit_id: str) -> DepositRow:
    """The deposit of an id. Raises ``Refusal`` (unknown_deposit)."""
    row = (await conn.execute(_query().where(is_deposit(source, deposit_id)))).one_or_none()
    if row is None:
        raise _unknown()
    return _deposit(row)


async def list_deposits(
    conn: AsyncConnection, *, unmatched: bool = False, latest: int | None = None
) -> list[DepositRow]:
    """All deposits in the order they came, or only those of which something still waits; of those the latest,
    where so many are asked for.
    """
    order = deposits.c.recorded_at, deposits.c.source, deposits.c.deposit_id
    query = _query()
    if unmatched:
        query = query.where(deposits.c.state.in_(WAITING))
    if latest is None:
        return [_deposit(row) for row in await conn.execute(query.order_by(*order))]
    backwards = query.order_by(*(column.desc() for column in order)).limit(latest)
    return [_deposit(row) for row in await conn.execute(backwards)][::-1]


async def with_id(conn: AsyncConnection, deposit_id: str) -> list[DepositRow]:
    """The deposits of an id, each of another source."""
    query = _query().where(deposits.c.deposit_id == deposit_id).order_by(deposits.c.source)
    return [_deposit(row) for row in await conn.execute(query)]


async def allocations_of(conn: AsyncConnection, source: str, deposit_id: str) -> list[AllocationRow]:
    """Whatever of a deposit was ever credited to a request, in order."""
    query = select(allocations).where(allocations.c.source == source, allocations.c.deposit_id == deposit_id)
    return [
        AllocationRow(
            row.request_id, row.amount, row.on, row.by, row.reversed_on, row.reversed_by, row.reversed_with
        )
        for row in await conn.execute(query.order_by(allocations.c.seq))
    ]


async def locked(conn: AsyncConnection, source: str, deposit_id: str) -> DepositRow:
    """The deposit, nobody else's to move until the transaction ends; lock the invoices it moves to or from
    before it. Raises ``Refusal`` (unknown_deposit).
    """
    lock = select(deposits.c.deposit_id).where(is_deposit(source, deposit_id)).with_for_update()
    if (await conn.execute(lock)).one_or_none() is None:
        raise _unknown()
    return await find(conn, source, deposit_id)


async def restate(
    conn: AsyncConnection, source: str, deposit_id: str, *, on: date, reason: Suspense | None = None
) -> DepositRow:
    """Say anew where a locked deposit stands, after it was moved; a ``reason`` replaces the one it had."""
    moved = await find(conn, source, deposit_id)
    day = max(on, moved.moved_on)
    changes: dict[str, object] = {"moved_on": day}
    if moved.state is not DepositState.CANCELLED:
        changes["state"] = standing(moved.amount, moved.allocated, moved.refunded)
        if reason is not None:
            changes["suspense_reason"] = reason
        if moved.waits_since is None or reason not in (None, moved.suspense_reason):
            changes["waits_since"] = day
    await conn.execute(update(deposits).where(is_deposit(source, deposit_id)).values(changes))
    return await find(conn, source, deposit_id)


def standing(amount: int, allocated: int, refunded: int) -> DepositState:
    """Where a settled deposit stands that was looked at."""
    if allocated + refunded < amount:
        return DepositState.SUSPENSE
    return DepositState.MATCHED if allocated else DepositState.REFUNDED


def is_deposit(source: str, deposit_id: str) -> ColumnElement[bool]:
    return (deposits.c.source == source) & (deposits.c.deposit_id == deposit_id)


def same_deposit(other: FromClause) -> ColumnElement[bool]:
    """Whether a row of another table, or of a query, is about a deposit."""
    return (other.c.source == deposits.c.source) & (other.c.deposit_id == deposits.c.deposit_id)


def known_from() -> ColumnElement[date]:
    """The day from which the books know a deposit."""
    return func.coalesce(deposits.c.booked_on, deposits.c.value_date)


def is_live() -> ColumnElement[bool]:
    """Whether an allocation credits its request still."""
    return allocations.c.reversed_on.is_(None)


def stands() -> ColumnElement[bool]:
    """Whether a deposit is there, for all that is told of it."""
    return deposits.c.state.not_in([DepositState.PRELIMINARY, DepositState.CANCELLED])


def is_dismissed() -> ColumnElement[bool]:
    """Whether a deposit was struck out as a twin."""
    return (deposits.c.state == DepositState.CANCELLED) & (deposits.c.suspense_reason == Suspense.TWIN)


def _query() -> "Select[tuple[object, ...]]":
    allocated = same_deposit(allocations)
    return select(
        deposits,
        select(func.coalesce(func.sum(allocations.c.amount), 0))
        .where(allocated, is_live())
        .scalar_subquery()
        .label("allocated"),
        select(func.coalesce(func.sum(refunds.c.amount), 0))
        .where(same_deposit(refunds), refunds.c.state != "rejected")
        .scalar_subquery()
        .label("refunded"),
        # what the bank took back was reversed by nobody of ours: it says whom the deposit had paid
        select(func.array_agg(allocations.c.request_id.distinct(), type_=ARRAY(String)))
        .where(allocated, allocations.c.reversed_with.is_(None), allocations.c.reversed_by.is_(None))
        .scalar_subquery()
        .label("requests"),
    )


def _deposit(row: Row[tuple[object, ...]]) -> DepositRow:
    state = DepositState(row.state)
    requests = tuple(row.requests or ())
    counts = state not in (DepositState.PRELIMINARY, DepositState.CANCELLED)
    waited = state is DepositState.SUSPENSE or (state is DepositState.CANCELLED and not requests)
    return DepositRow(
        source=row.source,
        deposit_id=row.deposit_id,
        state=state,
        amount=row.amount,
        currency=row.currency,
        value_date=row.value_date,
        request_id=requests[0] if len(requests) == 1 else None,
        suspense_reason=Suspense(row.suspense_reason) if waited and row.suspense_reason else None,
        booked_on=row.booked_on,
        requests=requests,
        allocated=int(row.allocated),
        refunded=int(row.refunded),
        remainder=row.amount - int(row.allocated) - int(row.refunded) if counts else 0,
        waits_since=row.waits_since if state is DepositState.SUSPENSE else None,
        moved_on=row.moved_on,
        import_id=row.import_id,
    )


def _unknown() -> Refusal:
    return Refusal(Code.UNKNOWN_DEPOSIT, "no deposit has this id: `kaiji deposits list` shows them")
