"""Invoices: issued once per request, open until they are paid or the request ends (§5(2)(6)).

One that lapsed is open again, under the same number and reference, when its request is reopened: see
``closing``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import ColumnElement, Date, Row, Select, String, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.fees import Quote, QuoteLine
from records.deposits import is_live, same_deposit
from records.tables import allocations, credit_notes, deposits, invoices

State = Literal["open", "paid", "lapsed", "cancelled"]


@dataclass(frozen=True)
class InvoiceRow:
    """An invoice; amounts in yen, tax included, ``tax_rate`` in percent. ``moved_on`` is the day of the last
    thing that happened to it: nothing counts from an earlier one.
    """

    number: str
    request_id: str
    letter_id: str
    payment_reference: str
    issued_on: date
    due_on: date
    lines: tuple[QuoteLine, ...]
    total: int
    tax: int
    tax_rate: int
    state: State
    moved_on: date


async def issue(
    conn: AsyncConnection,
    *,
    number: str,
    request_id: str,
    letter_id: str,
    payment_reference: str,
    issued_on: date,
    due_on: date,
    quote: Quote,
) -> bool:
    """Issue a request's invoice; False when the request has one. Its letter must be queued already.

    Draw the numbers in the same transaction, after ``of_request`` found none: then none is lost.
    """
    issued = await conn.execute(
        insert(invoices)
        .values(
            number=number,
            request_id=request_id,
            letter_id=letter_id,
            payment_reference=payment_reference,
            issued_on=issued_on,
            due_on=due_on,
            lines=[line.model_dump(mode="json") for line in quote.lines],
            total=quote.total,
            tax=quote.tax,
            tax_rate=quote.rate,
            state="open",
            moved_on=issued_on,
        )
        .on_conflict_do_nothing(index_elements=["request_id"])
        .returning(invoices.c.number)
    )
    return issued.one_or_none() is not None


async def of_request(conn: AsyncConnection, request_id: str) -> InvoiceRow | None:
    """The invoice of a request, if one was issued."""
    return await _one(conn, select(invoices).where(invoices.c.request_id == request_id))


async def locked_of(conn: AsyncConnection, request_id: str) -> InvoiceRow | None:
    """The invoice of a request, nobody else's to move until the transaction ends."""
    return await _one(conn, select(invoices).where(invoices.c.request_id == request_id).with_for_update())


async def locked_all(conn: AsyncConnection, condition: ColumnElement[bool]) -> list[InvoiceRow]:
    """Every invoice of which this holds, locked in the order in which everybody locks them."""
    query = select(invoices).where(condition).order_by(invoices.c.number).with_for_update()
    return [_invoice(row) for row in await conn.execute(query)]


async def needed(conn: AsyncConnection, request_ids: Iterable[str]) -> dict[str, int]:
    """The yen that each request's invoice still needs; one that has no open invoice is missing."""
    found = await conn.execute(
        select(invoices.c.request_id, owed()).where(
            invoices.c.request_id.in_(list(request_ids)), invoices.c.state == "open"
        )
    )
    return {request_id: int(amount) for request_id, amount in found}


async def overpaid(conn: AsyncConnection, invoice: InvoiceRow) -> int:
    """How many yen a locked invoice is credited with beyond its total; none while it needs more."""
    left: int | None = await conn.scalar(select(owed()).where(invoices.c.number == invoice.number))
    return max(0, -int(left or 0))


def owed() -> ColumnElement[int]:
    """What is left of the total of an invoice, less what credit notes and deposits credit it with.

    Ask once the invoice is locked, not while it is: the sums are those of the moment the question was put.
    """
    by_notes = (
        select(func.coalesce(func.sum(credit_notes.c.amount), 0))
        .where(credit_notes.c.invoice_number == invoices.c.number)
        .scalar_subquery()
    )
    by_deposits = (
        select(func.coalesce(func.sum(allocations.c.amount), 0))
        .where(allocations.c.request_id == invoices.c.request_id, is_live())
        .scalar_subquery()
    )
    return invoices.c.total - by_notes - by_deposits


async def received(conn: AsyncConnection, request_id: str) -> int:
    """What came in for a request, in yen: see ``contributions``."""
    return sum(amount for _, amount in await contributions(conn, request_id))


async def contributions(conn: AsyncConnection, request_id: str) -> list[tuple[str, int]]:
    """The deposits that came in for a request, with the yen of each that counted towards its invoice.

    They are those credited to it; once the invoice is closed, those that were until then. What is taken back
    by the bank came in no more.
    """
    closing = (
        select(func.max(credit_notes.c.number))
        .join(invoices, invoices.c.number == credit_notes.c.invoice_number)
        .where(invoices.c.request_id == request_id, invoices.c.state.in_(["lapsed", "cancelled"]))
        .scalar_subquery()
    )
    rows = await conn.execute(
        select(allocations.c.deposit_id, func.sum(allocations.c.amount))
        .join(deposits, same_deposit(allocations))
        .where(
            allocations.c.request_id == request_id,
            is_live() | (allocations.c.reversed_with == closing),
            deposits.c.state != "cancelled",
        )
        .group_by(deposits.c.source, allocations.c.deposit_id, deposits.c.recorded_at)
        .order_by(deposits.c.recorded_at, allocations.c.deposit_id)
    )
    return [(deposit_id, int(amount)) for deposit_id, amount in rows]


async def settle(conn: AsyncConnection, moved: Mapping[str, date]) -> None:
    """Make locked invoices paid where nothing is owed on them any more, and open where something is again.

    ``moved`` are their numbers, each with the day from which the change counts.
    """
    change = (
        func.unnest(literal(list(moved), ARRAY(String)), literal(list(moved.values()), ARRAY(Date)))
        .table_valued("number", "day")
        .render_derived()
    )
    await conn.execute(
        update(invoices)
        .where(invoices.c.number == change.c.number, invoices.c.state.in_(["open", "paid"]))
        .values(
            state=case((owed() <= 0, "paid"), else_="open"),
            moved_on=func.greatest(invoices.c.moved_on, change.c.day),
        )
    )


async def end(
    conn: AsyncConnection, invoice: InvoiceRow, state: Literal["lapsed", "cancelled"], *, on: date
) -> None:
    """Close a locked invoice: nothing counts towards it any more. Credit what is owed on it yourself."""
    await _move(conn, invoice, state, on=on)


async def begin_again(conn: AsyncConnection, invoice: InvoiceRow, *, due_on: date, on: date) -> None:
    """Let a locked invoice be paid again until another day."""
    await _move(conn, invoice, "open", on=on, due_on=due_on)


async def _move(
    conn: AsyncConnection, invoice: InvoiceRow, state: State, *, on: date, **changes: date
) -> None:
    await conn.execute(
        update(invoices)
        .where(invoices.c.number == invoice.number)
        .values(state=state, moved_on=func.greatest(invoices.c.moved_on, on), **changes)
    )


async def _one(conn: AsyncConnection, query: "Select[tuple[object, ...]]") -> InvoiceRow | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _invoice(row)


def _invoice(row: Row[tuple[object, ...]]) -> InvoiceRow:
    return InvoiceRow(
        number=row.number,
        request_id=row.request_id,
        letter_id=row.letter_id,
        payment_reference=row.payment_reference,
        issued_on=row.issued_on,
        due_on=row.due_on,
        lines=tuple(QuoteLine.model_validate(line) for line in row.lines),
        total=row.total,
        tax=row.tax,
        tax_rate=row.tax_rate,
        state=row.state,
        moved_on=row.moved_on,
    )
