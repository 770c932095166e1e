"""Credit notes: an invoice is never deleted or changed, it is credited.

A credit note is itself never taken back: one that no longer holds is reversed by another over the negative
amount, with a number of its own.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit
from records.invoices import InvoiceRow
from records.numbers import next_number
from records.tables import credit_notes


class Reason(StrEnum):
    """Why an invoice was credited; ``reopened`` reverses an earlier credit note."""

    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    REOPENED = "reopened"


@dataclass(frozen=True)
class CreditNote:
    """``amount`` in yen, tax included: negative where it reverses another credit note."""

    number: str
    invoice_number: str
    amount: int
    issued_on: date
    reason: Reason
    reverses: str | None


async def issue(conn: AsyncConnection, invoice: InvoiceRow, *, on: date, reason: Reason) -> CreditNote:
    """Credit a locked invoice in full: nothing is owed on it any more. Gapless; audited."""
    return await _issue(conn, invoice, invoice.total, on=on, reason=reason)


async def reverse(conn: AsyncConnection, invoice: InvoiceRow, *, on: date) -> CreditNote | None:
    """Take back a locked invoice's standing credit note, by another; answers the one that is reversed."""
    notes = await of_invoice(conn, invoice.number)
    if not notes or notes[-1].reverses is not None:
        return None
    await _issue(conn, invoice, -notes[-1].amount, on=on, reason=Reason.REOPENED, reverses=notes[-1].number)
    return notes[-1]


async def of_invoice(conn: AsyncConnection, invoice_number: str) -> list[CreditNote]:
    """Every credit note of an invoice in the order they were issued."""
    rows = await conn.execute(
        select(credit_notes)
        .where(credit_notes.c.invoice_number == invoice_number)
        .order_by(credit_notes.c.number)
    )
    return [
        CreditNote(
            row.number, row.invoice_number, row.amount, row.issued_on, Reason(row.reason), row.reverses
        )
        for row in rows
    ]


async def _issue(
    conn: AsyncConnection,
    invoice: InvoiceRow,
    amount: int,
    *,
    on: date,
    reason: Reason,
    reverses: str | None = None,
) -> CreditNote:
    number = f"CN-{on.year:04}-{await next_number(conn, f'credit_note/{on.year}'):06}"
    note = CreditNote(number, invoice.number, amount, on, reason, reverses)
    await conn.execute(
        insert(credit_notes).values(
            number=number,
            invoice_number=invoice.number,
            amount=amount,
            issued_on=on,
            reason=reason,
            reverses=reverses,
        )
    )
    await audit.append(
        conn,
        invoice.request_id,
        actor=audit.AUTOMATIC,
        act="credit_note_issued",
        detail={
            "credit_note": number,
            "invoice": invoice.number,
            "amount": amount,
            "reason": reason,
            "reverses": reverses,
        },
        key=f"credit_note/{number}",
    )
    return note
