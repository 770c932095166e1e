"""The handling fee: invoiced once, and what was paid towards it (§5(2)(6))."""

from collections.abc import Sequence
from dataclasses import replace

from temporalio import activity

from activities.correspondence import compose_invoice
from activities.mailing import open_file, queue
from activities.messages import (
    FeeToReturn,
    Invoice,
    InvoiceEnd,
    InvoiceOrder,
    InvoiceReopened,
    LetterOrder,
    Payments,
)
from policy.checkdigits import invoice_number, payment_reference
from policy.fees import quote
from policy.registry import pack
from policy.vocabulary import LetterKind
from records import audit, closing, invoices, ledger, letters, requests, virtual_accounts
from records.database import Database
from records.locks import lock
from records.numbers import next_number


class InvoicingActivities:
    """Number, tax, PDF and queue in one transaction: a number is drawn only for an invoice that is issued."""

    def __init__(self, database: Database, accounts: Sequence[str] = ()) -> None:
        """``accounts`` are the virtual accounts that an invoice may be paid into."""
        self._database = database
        self._accounts = accounts

    @activity.defn
    async def issue_invoice(self, order: InvoiceOrder) -> Invoice:
        """Issue the request's one invoice and queue its letter; a repeat answers the invoice there is."""
        letter = LetterOrder(request_id=order.request_id, key=order.key, kind=LetterKind.INVOICE, on=order.on)
        async with self._database.begin() as conn:
            await lock(conn, f"invoice/{order.request_id}")  # a first try may still be under way
            issued = await invoices.of_request(conn, order.request_id)
            if issued is None:
                request = await requests.find(conn, order.request_id)
                fee = quote(pack(request.pack_version), request.kind, order.services, order.on)
                letter_id = (await letters.number(conn, order.request_id, order.key)).letter_id
                # the series waits for this transaction from here on: gapless, whatever happens to it
                year, reference = order.on.year, await next_number(conn, "payment_reference")
                issued = invoices.InvoiceRow(
                    number=invoice_number(year, await next_number(conn, f"invoice/{year}")),
                    request_id=order.request_id,
                    letter_id=letter_id,
                    payment_reference=payment_reference(reference),
                    issued_on=order.on,
                    due_on=order.due_on,
                    lines=fee.lines,
                    total=fee.total,
                    tax=fee.tax,
                    tax_rate=fee.rate,
                    state="open",
                    moved_on=order.on,
                )
                account = await virtual_accounts.give(conn, self._accounts, issued.number, on=order.on)
                file = await open_file(conn, self._database, letter, letter_id)
                file = replace(file, virtual_account=account)
                await queue(conn, self._database, letter, compose_invoice(letter, file, issued))
                await invoices.issue(
                    conn,
                    number=issued.number,
                    request_id=issued.request_id,
                    letter_id=issued.letter_id,
                    payment_reference=issued.payment_reference,
                    issued_on=issued.issued_on,
                    due_on=issued.due_on,
                    quote=fee,
                )
                await audit.append(
                    conn,
                    order.request_id,
                    actor=audit.AUTOMATIC,
                    act="invoiced",
                    detail={
                        "invoice": issued.number,
                        "total": issued.total,
                        "services": list(order.services),
                    },
                    key="invoiced",
                )
        return _invoice(issued)

    @activity.defn
    async def read_payments(self, request_id: str) -> Payments:
        """What the ledger holds for the request's invoice."""
        async with self._database.begin() as conn:
            return _payments(await ledger.payments(conn, request_id))

    @activity.defn
    async def close_invoice(self, order: InvoiceEnd) -> Payments:
        """Close the invoice unless it is paid by now: a later deposit goes to suspense, one in time still
        counts. What was paid in part is set free, to go back.
        """
        async with self._database.begin() as conn:
            await closing.close_invoice(
                conn, order.request_id, "lapsed" if order.lapsed else "cancelled", on=order.on
            )
            return _payments(await ledger.payments(conn, order.request_id))

    @activity.defn
    async def return_fee(self, order: FeeToReturn) -> Payments:
        """Credit the fee of services of which nothing is disclosed; what was paid for them is set free, to go
        back (§5(2)(6)). Services whose fee is returned already change nothing.
        """
        async with self._database.begin() as conn:
            await closing.return_fee(conn, order.request_id, order.services, on=order.on)
            return _payments(await ledger.payments(conn, order.request_id))

    @activity.defn
    async def reopen_invoice(self, order: InvoiceReopened) -> Invoice:
        """Let the lapsed invoice of a reopened request be paid again; what came in for it counts again."""
        async with self._database.begin() as conn:
            reopened = await closing.reopen(conn, order.request_id, due_on=order.due_on, on=order.on)
        return _invoice(reopened)


def _invoice(issued: invoices.InvoiceRow) -> Invoice:
    return Invoice(
        number=issued.number,
        letter_id=issued.letter_id,
        payment_reference=issued.payment_reference,
        total=issued.total,
        due_on=issued.due_on,
    )


def _payments(found: ledger.Payments) -> Payments:
    return Payments(
        invoiced=found.invoiced, received=found.received, paid=found.paid, deposits=found.deposits
    )
