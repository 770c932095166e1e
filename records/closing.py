"""Invoices that are closed unpaid, and those that count again; fees that are returned (§5(2)(6)).

Closing an invoice credits it with a credit note; what was paid towards it is set free and waits in suspense
to go back. When its request is reopened, the credit note is reversed by another and those yen count again,
and so does what came in too late meanwhile. The fee is for services of which information is disclosed: the
lines of others are credited, and what was paid for them waits to go back.
"""

from collections.abc import Iterable
from datetime import date
from typing import Literal

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from policy.refusals import Code, Refusal
from records import audit, credit_notes, deposits, errands, invoices
from records.allocations import credit, set_free, told_of
from records.credit_notes import Reason
from records.deposits import DepositRow, DepositState, Suspense, is_live
from records.invoices import InvoiceRow
from records.tables import allocations
from records.tables import deposits as deposit_rows


async def close_invoice(
    conn: AsyncConnection, request_id: str, state: Literal["lapsed", "cancelled"], *, on: date
) -> None:
    """End an open invoice without payment; one that is paid, closed or was never issued stays as it is.

    Audited in the trails of the request and of each deposit that is set free.
    """
    invoice = await invoices.locked_of(conn, request_id)
    if invoice is None or invoice.state != "open":
        return
    paying = await _paying(conn, request_id)
    day = max(on, invoice.moved_on, *(deposit.moved_on for deposit in paying))
    reason = Reason.LAPSED if state == "lapsed" else Reason.WITHDRAWN
    note = await credit_notes.close(conn, invoice, on=day, reason=reason)
    await invoices.end(conn, invoice, state, on=day)
    for deposit in paying:
        await set_free(
            conn,
            deposit,
            invoice,
            deposit.amount,
            on=day,
            credit_note=note.number,
            reason=Suspense.LAPSED,
        )


async def return_fee(conn: AsyncConnection, request_id: str, services: Iterable[str], *, on: date) -> None:
    """Credit the lines of services of which no information is disclosed, with one credit note; audited.

    What was paid is now too much by that: so many yen wait in suspense to go back, the latest deposits
    first. Services that were not invoiced, or are credited already, and a closed invoice stay as they are:
    the same again changes nothing.
    """
    invoice = await invoices.locked_of(conn, request_id)
    if invoice is None or invoice.state not in ("open", "paid"):
        return
    paying = await _paying(conn, request_id)
    day = max(on, invoice.moved_on, *(deposit.moved_on for deposit in paying))
    note = await credit_notes.refuse(conn, invoice, services, on=day)
    if note is None:
        return
    await invoices.settle(conn, {invoice.number: day})
    for deposit in sorted(paying, key=lambda each: (each.day, each.source, each.deposit_id), reverse=True):
        too_much = await invoices.overpaid(conn, invoice)
        if too_much > 0:
            await set_free(
                conn,
                deposit,
                invoice,
                too_much,
                on=day,
                credit_note=note.number,
                reason=Suspense.RETURNED,
            )


async def reopen(conn: AsyncConnection, request_id: str, *, due_on: date, on: date) -> InvoiceRow:
    """Let a lapsed invoice be paid until another day, and credit it with what came in for it; audited.

    An invoice that is open or paid stays as it is: again changes nothing. Raises ``Refusal``: not_lapsed
    where it was cancelled or none was issued.
    """
    invoice = await invoices.locked_of(conn, request_id)
    if invoice is None or invoice.state == "cancelled":
        raise Refusal(Code.NOT_LAPSED, "the request has no invoice that lapsed")
    if invoice.state != "lapsed":
        return invoice
    day = max(on, invoice.moved_on)
    note = await credit_notes.reverse(conn, invoice, on=day)
    await invoices.begin_again(conn, invoice, due_on=due_on, on=day)
    freed = {} if note is None else await _freed(conn, note.number)
    late = deposit_rows.c.suspense_reason.in_([Suspense.LATE]) & _means(invoice)
    for key in sorted({*freed, *await _deposit_keys(conn, late)}):
        deposit = await deposits.locked(conn, *key)
        needed = (await invoices.needed(conn, [request_id])).get(request_id, 0)
        amount = min(deposit.remainder, needed, freed.get(key, deposit.amount))
        if amount > 0 and deposit.currency == YEN:
            counts = await invoices.locked_of(conn, request_id)
            assert counts is not None  # it is locked
            moved = await credit(
                conn, deposit, counts, amount, by=audit.AUTOMATIC, on=day, act="deposit_counts_again"
            )
            await errands.add(conn, *told_of(moved))
    await audit.append(
        conn,
        request_id,
        actor=audit.AUTOMATIC,
        act="invoice_reopened",
        detail={"invoice": invoice.number, "due_on": due_on.isoformat()},
    )
    reopened = await invoices.of_request(conn, request_id)
    assert reopened is not None
    return reopened


def _means(invoice: InvoiceRow) -> ColumnElement[bool]:
    """Whether the payer of a deposit meant this invoice."""
    return or_(
        deposit_rows.c.account_invoice == invoice.number,
        deposit_rows.c.payment_reference == invoice.payment_reference,
        deposit_rows.c.invoice_number == invoice.number,
    )


async def _paying(conn: AsyncConnection, request_id: str) -> list[DepositRow]:
    """The deposits that pay a locked invoice now, locked."""
    rows = await conn.execute(
        select(allocations.c.source, allocations.c.deposit_id)
        .where(allocations.c.request_id == request_id, is_live())
        .distinct()
        .order_by(allocations.c.source, allocations.c.deposit_id)
    )
    return [await deposits.locked(conn, source, deposit_id) for source, deposit_id in rows.all()]


async def _deposit_keys(conn: AsyncConnection, condition: ColumnElement[bool]) -> list[tuple[str, str]]:
    rows = await conn.execute(
        select(deposit_rows.c.source, deposit_rows.c.deposit_id).where(
            deposit_rows.c.state == DepositState.SUSPENSE, condition
        )
    )
    return [(source, deposit_id) for source, deposit_id in rows]


async def _freed(conn: AsyncConnection, credit_note: str) -> dict[tuple[str, str], int]:
    """The yen of each deposit that were set free with a credit note."""
    rows = await conn.execute(
        select(allocations.c.source, allocations.c.deposit_id, allocations.c.amount).where(
            allocations.c.reversed_with == credit_note
        )
    )
    freed: dict[tuple[str, str], int] = {}
    for source, deposit_id, amount in rows:
        freed[source, deposit_id] = freed.get((source, deposit_id), 0) + amount
    return freed
