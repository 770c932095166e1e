"""What letters say of the handling fee: what is owed and paid, where to pay, what goes back (§5(2)(6))."""

from typing import Any

from activities.file import File
from activities.letters.content import BankAccount, FeeReturned, InvoiceLine, Payment
from activities.messages import LetterOrder
from policy.law import included_tax
from policy.vocabulary import Outcome
from records.invoices import InvoiceRow


def invoice_of(file: File) -> InvoiceRow:
    """The invoice a letter is about. Raises `ValueError` where there is none."""
    if file.invoice is None:
        raise ValueError("this letter is about an invoice, and there is none")
    return file.invoice


def paid_of(order: LetterOrder, file: File) -> int:
    """What was paid of the fee: by the order's word for it, which the ledger may have left behind by now."""
    return file.paid if order.received is None else order.received


def asked_again(order: LetterOrder, file: File) -> dict[str, Any]:
    """What every letter says that asks for what is still to pay."""
    invoice, paid = invoice_of(file), paid_of(order, file)
    return {
        "clause": "§5(2)(6)",
        "invoice_number": invoice.number,
        "invoiced_on": invoice.issued_on,
        "total": invoice.total,
        "paid": paid,
        "payment": payment_of(order, file, invoice, max(0, invoice.total - paid)),
    }


def nothing_owed(order: LetterOrder, file: File) -> dict[str, Any]:
    """What every letter says that ends a request: its invoice cancelled, what was paid going back."""
    return {
        "invoice_number": file.invoice and file.invoice.number,
        "credit_note": file.credit_note,
        "paid": paid_of(order, file),
    }


def lines_of(file: File, invoice: InvoiceRow) -> tuple[InvoiceLine, ...]:
    """The lines of an invoice, under the names of their services."""
    return tuple(
        InvoiceLine(
            service=file.pack.service(line.service).name.of(file.request.language), amount=line.amount
        )
        for line in invoice.lines
    )


def returned(order: LetterOrder, file: File) -> FeeReturned | None:
    """The fee of the services of which nothing is disclosed; None where there is no such line (§5(2)(6))."""
    invoice = file.invoice
    refused = {answer.service for answer in file.responses if answer.outcome is Outcome.REFUSED}
    lines = tuple(line for line in lines_of(file, invoice) if line.service in refused) if invoice else ()
    if invoice is None or not lines:
        return None
    total = sum(line.amount for line in lines)
    return FeeReturned(
        invoice_number=invoice.number,
        invoiced_on=invoice.issued_on,
        lines=lines,
        total=total,
        tax=included_tax(total, invoice.tax_rate),
        tax_rate=invoice.tax_rate,
        back=max(0, paid_of(order, file) - (invoice.total - total)),
    )


def payment_of(order: LetterOrder, file: File, invoice: InvoiceRow, amount: int) -> Payment:
    """How to pay so many yen of an invoice, by the order's day or the invoice's own."""
    return Payment(
        amount=amount,
        reference=invoice.payment_reference,
        account=_account(file),
        own_account=file.virtual_account is not None,
        due_on=order.due_on or invoice.due_on,
    )


def _account(file: File) -> BankAccount:
    """The account that stands for the invoice, else the operator's own.

    A virtual account is one of the operator's bank: its last seven digits are the number, those before it the
    codes of bank and branch, where it is given with them.
    """
    language, account = file.request.language, file.pack.operator.bank_account
    own = BankAccount(
        bank=account.bank.of(language),
        bank_code=account.bank_code,
        branch=account.branch.of(language),
        branch_code=account.branch_code,
        account_type=account.account_type.of(language),
        number=account.number,
        holder=file.pack.operator.name.of(language),
        holder_kana=account.holder_kana,
    )
    if file.virtual_account is None:
        return own
    branch_code = file.virtual_account[-10:-7] or own.branch_code
    elsewhere = {} if branch_code == own.branch_code else {"branch": "", "branch_code": branch_code}
    return own.model_copy(update={"number": file.virtual_account[-7:], **elsewhere})
