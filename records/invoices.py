"""Invoices: issued once per request, open until they are paid or the request ends (§5(2)(6)).

One that lapsed is open again, under the same number and reference, when its request is reopened.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.fees import Quote, QuoteLine
from records.tables import deposits, invoices

State = Literal["open", "paid", "lapsed", "cancelled"]


@dataclass(frozen=True)
class InvoiceRow:
    """An invoice as issued; amounts in yen, tax included, ``tax_rate`` in percent."""

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
        )
        .on_conflict_do_nothing(index_elements=["request_id"])
        .returning(invoices.c.number)
    )
    return issued.one_or_none() is not None


async def of_request(conn: AsyncConnection, request_id: str) -> InvoiceRow | None:
    """The invoice of a request, if one was issued."""
    return await _one(conn, select(invoices).where(invoices.c.request_id == request_id))


async def locked_for(
    conn: AsyncConnection, *, reference: str | None = None, request_id: str | None = None
) -> InvoiceRow | None:
    """The invoice of a payment reference or of a request, locked until the transaction ends."""
    condition = (
        invoices.c.payment_reference == reference
        if request_id is None
        else invoices.c.request_id == request_id
    )
    return await _one(conn, select(invoices).where(condition).with_for_update())


async def close_invoice(
    conn: AsyncConnection, request_id: str, state: Literal["lapsed", "cancelled"]
) -> None:
    """End an open invoice without payment; one that is paid, closed or was never issued stays as it is."""
    await conn.execute(
        update(invoices)
        .where(invoices.c.request_id == request_id, invoices.c.state == "open")
        .values(state=state)
    )


async def reopen(conn: AsyncConnection, request_id: str, due_on: date) -> bool:
    """A lapsed invoice may be paid again until ``due_on``; False where none has lapsed."""
    reopened = await conn.execute(
        update(invoices)
        .where(invoices.c.request_id == request_id, invoices.c.state == "lapsed")
        .values(state="open", due_on=due_on)
        .returning(invoices.c.number)
    )
    return reopened.one_or_none() is not None


async def received(conn: AsyncConnection, request_id: str) -> int:
    """The sum of the deposits matched to a request, in yen."""
    total = await conn.scalar(
        select(func.coalesce(func.sum(deposits.c.amount), 0)).where(
            deposits.c.request_id == request_id, deposits.c.state == "matched"
        )
    )
    return int(total or 0)


async def settle(conn: AsyncConnection, invoice: InvoiceRow) -> None:
    """Make an invoice paid when its deposits reach the total, and open again when they no longer do."""
    paid = await received(conn, invoice.request_id) >= invoice.total
    if invoice.state in ("open", "paid"):
        await conn.execute(
            update(invoices)
            .where(invoices.c.number == invoice.number)
            .values(state="paid" if paid else "open")
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
    )
