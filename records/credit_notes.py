"""Credit notes: an invoice is never deleted or changed, it is credited.

One credits what is left of an invoice, or the lines of some services. A credit note is itself never taken
back: one that no longer holds is reversed by another over the negative amount, with a number of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.law import included_tax
from records import audit
from records.invoices import InvoiceRow
from records.numbers import next_number
from records.tables import credit_notes


class Reason(StrEnum):
    """Why an invoice was credited; ``refused`` credits services of which no information is disclosed
    (§5(2)(6)), ``reopened`` reverses an earlier credit note.
    """

    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    REOPENED = "reopened"


@dataclass(frozen=True)
class CreditNote:
    """``amount`` in yen, of which ``tax`` at the rate of the invoice, rounded down once: both are negative
    where it reverses another credit note. ``services`` are those whose lines it credits; None where it
    credits what was left of the invoice.
    """

    number: str
    invoice_number: str
    amount: int
    issued_on: date
    reason: Reason
    reverses: str | None
    tax: int
    services: tuple[str, ...] | None


async def close(conn: AsyncConnection, invoice: InvoiceRow, *, on: date, reason: Reason) -> CreditNote:
    """Credit what is left of a locked invoice: nothing is owed on it any more. Gapless; audited."""
    amount = invoice.total - await standing(conn, invoice.number)
    return await _issue(conn, invoice, amount, included_tax(amount, invoice.tax_rate), on=on, reason=reason)


async def refuse(
    conn: AsyncConnection, invoice: InvoiceRow, services: Iterable[str], *, on: date
) -> CreditNote | None:
    """Credit the lines of these services in a locked invoice, each once; None where none is left. Gapless;
    audited.
    """
    notes = await of_invoice(conn, invoice.number)
    left = set(services).difference(*(note.services or () for note in notes))
    lines = [line for line in invoice.lines if line.service in left]
    amount = sum(line.amount for line in lines)
    if amount == 0:
        return None
    return await _issue(
        conn,
        invoice,
        amount,
        included_tax(amount, invoice.tax_rate),
        on=on,
        reason=Reason.REFUSED,
        services=tuple(line.service for line in lines),
    )


async def reverse(conn: AsyncConnection, invoice: InvoiceRow, *, on: date) -> CreditNote | None:
    """Take back the credit note that closed a locked invoice, by another; answers the one taken back."""
    notes = await of_invoice(conn, invoice.number)
    closing = next((note for note in reversed(notes) if note.services is None), None)
    if closing is None or closing.reverses is not None:
        return None
    await _issue(
        conn,
        invoice,
        -closing.amount,
        -closing.tax,
        on=on,
        reason=Reason.REOPENED,
        reverses=closing.number,
    )
    return closing


async def standing(conn: AsyncConnection, invoice_number: str, reason: Reason | None = None) -> int:
    """The yen an invoice is credited with by notes, all of them or those of a reason."""
    query = select(func.coalesce(func.sum(credit_notes.c.amount), 0)).where(
        credit_notes.c.invoice_number == invoice_number
    )
    if reason is not None:
        query = query.where(credit_notes.c.reason == reason)
    return int(await conn.scalar(query) or 0)


async def of_invoice(conn: AsyncConnection, invoice_number: str) -> list[CreditNote]:
    """Every credit note of an invoice in the order they were issued."""
    rows = await conn.execute(
        select(credit_notes)
        .where(credit_notes.c.invoice_number == invoice_number)
        .order_by(credit_notes.c.number)
    )
    return [
        CreditNote(
            row.number,
            row.invoice_number,
            row.amount,
            row.issued_on,
            Reason(row.reason),
            row.reverses,
            row.tax,
            None if row.services is None else tuple(row.services),
        )
        for row in rows
    ]


async def _issue(
    conn: AsyncConnection,
    invoice: InvoiceRow,
    amount: int,
    tax: int,
    *,
    on: date,
    reason: Reason,
    reverses: str | None = None,
    services: tuple[str, ...] | None = None,
) -> CreditNote:
    number = f"CN-{on.year:04}-{await next_number(conn, f'credit_note/{on.year}'):06}"
    note = CreditNote(number, invoice.number, amount, on, reason, reverses, tax, services)
    await conn.execute(
        insert(credit_notes).values(
            number=number,
            invoice_number=invoice.number,
            amount=amount,
            tax=tax,
            services=services,
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
            **({"services": list(services)} if services else {}),
        },
        key=f"credit_note/{number}",
    )
    return note
