"""Writes a letter: what the policy pack, the case file and the order say, as the content the templates print.

Letters go to the sender whose identity is verified: a proxy or representative gets them in their own name,
with the principal named (§5(2)(6), §5(2)(7)). Where the order says so, the principal is written to instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from activities.letters.characters import printable
from activities.letters.content import (
    Addressee,
    BankAccount,
    ContactPoint,
    DeficiencyLetter,
    DocumentsLapsedLetter,
    DocumentsReminderLetter,
    DuplicateLetter,
    EnclosedOriginal,
    ExtensionLetter,
    FeeReturned,
    InvoiceLetter,
    InvoiceLine,
    Letter,
    Letterhead,
    Matter,
    NoDataLetter,
    OriginalsReturnedLetter,
    PaidOn,
    Payment,
    PaymentLapsedLetter,
    PaymentReminderLetter,
    PaymentTakenBackLetter,
    PostalAddress,
    ReceiptLetter,
    RedirectLetter,
    ReopenedLetter,
    ResponseLetter,
    ServiceResponse,
    Shortcoming,
    ShortPaymentLetter,
    StandingEndedLetter,
    WithdrawalLetter,
)
from activities.messages import LetterOrder
from policy.deadlines import Terms, reopenable_until
from policy.fees import registration_number
from policy.findings import Finding
from policy.law import SUBJECT_OF, Subject, article, bears_revenue_stamp, included_tax
from policy.pack import Pack
from policy.refusals import Code, Refusal
from policy.vocabulary import DocumentKind, Holder, Kind, Language, LetterKind, Outcome
from records.invoices import InvoiceRow
from records.receipts import Arrived
from records.requests import Parties, RequestRow


@dataclass(frozen=True)
class File:
    """What a letter draws on, read and opened in one transaction; forgotten when the letter is rendered.

    `credit_note` is the one by which nothing is owed on the invoice any more; `arrived` and `has_receipt` are
    what a receipt asks for.
    """

    letter_id: str
    pack: Pack
    request: RequestRow
    parties: Parties
    received_on: date | None
    invoice: InvoiceRow | None = None
    paid: int = 0
    virtual_account: str | None = None
    credit_note: str | None = None
    arrived: tuple[Arrived, ...] = ()
    has_receipt: bool = False
    responses: tuple[ServiceResponse, ...] = ()
    originals: tuple[EnclosedOriginal, ...] = ()
    reason: str | None = None


def compose(order: LetterOrder, file: File) -> Letter:
    """The content of any letter but the invoice.

    Raises `KeyError` for a kind that is not written here, `Refusal` (nothing_paid) for a receipt of nothing.
    """
    return _WRITERS[order.kind](order, file, _common(order, file))


def compose_invoice(order: LetterOrder, file: File, invoice: InvoiceRow) -> InvoiceLetter:
    """The invoice for the handling fee: one line per service in which data was found (§5(2)(6))."""
    return InvoiceLetter(
        **_common(order, file),
        clause="§5(2)(6)",
        invoice_number=invoice.number,
        lines=_lines(file, invoice),
        total=invoice.total,
        tax=invoice.tax,
        tax_rate=invoice.tax_rate,
        registration_number=registration_number(file.pack, order.on),
        payment=_payment(order, file, invoice, invoice.total),
    )


def letterhead(pack: Pack, language: Language) -> Letterhead:
    """Who writes, and where to complain (§6): in writing, so with the address."""
    operator, point = pack.operator, pack.contact_points[0]
    code, place = operator.address.postal_code, operator.address.lines.of(language)
    in_writing = f"〒{code} {place}" if language is Language.JA else f"{place} {code}"
    return Letterhead(
        company=operator.name.of(language),
        department=operator.department.of(language),
        postal_code=operator.address.postal_code,
        address=operator.address.lines.of(language),
        contact=ContactPoint(name=point.name.of(language), lines=(in_writing,), clause=point.citation),
    )


def envelope_address(pack: Pack, language: Language) -> PostalAddress:
    """Where envelopes are sent to, by certified mail (§5(2)(5))."""
    operator = pack.operator
    return PostalAddress(
        name=f"{operator.name.of(language)} {operator.department.of(language)}",
        postal_code=operator.address.postal_code,
        address=operator.address.lines.of(language),
    )


def _common(order: LetterOrder, file: File) -> dict[str, Any]:
    request, language = file.request, file.request.language
    principal, applicant = file.parties.principal, file.parties.applicant
    reader = principal if order.to is Holder.PRINCIPAL or applicant is None else applicant
    # nobody stands for a principal whose representative's standing has ended
    represents = reader is applicant and order.standing_end is None
    return {
        "language": language,
        "letter_id": file.letter_id,
        "date": order.on,
        "letterhead": letterhead(file.pack, language),
        "addressee": Addressee(
            name=printable(reader.name),
            postal_code=reader.postal_code or "",
            address=printable(reader.address),
            on_behalf_of=printable(principal.name) if represents else None,
        ),
        "matter": Matter(
            request_id=request.id,
            kind=request.kind,
            amendment=request.detail_kind if request.kind is Kind.AMENDMENT else None,
            cessation=request.detail_kind if request.kind is Kind.CESSATION else None,
            services=tuple(file.pack.service(service).name.of(language) for service in request.services),
            received_on=file.received_on,
        ),
    }


def _deficiency(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return DeficiencyLetter(
        **common,
        clause="§5(2)(3)",
        shortcomings=tuple(_shortcoming(file.pack, finding) for finding in order.findings),
        answer_by=_due(order),
        send_to=envelope_address(file.pack, file.request.language),
    )


def _documents_reminder(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return DocumentsReminderLetter(
        **common,
        clause="§5(2)(3)",
        shortcomings=tuple(_shortcoming(file.pack, finding) for finding in order.findings),
        answer_by=_due(order),
        send_to=envelope_address(file.pack, file.request.language),
    )


def _documents_lapsed(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return DocumentsLapsedLetter(
        **common, clause="§5(2)(3)", due_on=_due(order), reopenable_until=_reopenable(order, file)
    )


def _payment_reminder(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return PaymentReminderLetter(**common, **_fee_asked_again(order, file))


def _short_payment(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return ShortPaymentLetter(**common, **_fee_asked_again(order, file))


def _payment_taken_back(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return PaymentTakenBackLetter(**common, **_fee_asked_again(order, file))


def _payment_lapsed(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    invoice = _invoice(file)
    return PaymentLapsedLetter(
        **common,
        **_nothing_owed(order, file),
        clause="§5(2)(6)",
        invoiced_on=invoice.issued_on,
        total=invoice.total,
        due_on=order.due_on or invoice.due_on,
        reopenable_until=_reopenable(order, file),
    )


def _receipt(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    if file.invoice is None or not file.arrived:
        raise Refusal(
            Code.NOTHING_PAID, "nothing was paid for the request: there is nothing to give a receipt for"
        )
    invoice, total = file.invoice, sum(each.amount for each in file.arrived)
    tax = included_tax(total, invoice.tax_rate)
    return ReceiptLetter(
        **common,
        clause="§5(2)(6)",
        invoice_number=invoice.number,
        invoiced_on=invoice.issued_on,
        payments=tuple(PaidOn(on=each.on, amount=each.amount) for each in file.arrived),
        total=total,
        tax=tax,
        tax_rate=invoice.tax_rate,
        registration_number=registration_number(file.pack, order.on),
        reissued=file.has_receipt,
        stamp=bears_revenue_stamp(total, tax),
    )


def _response(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    language = file.request.language
    explained = any(
        answer.outcome in (Outcome.REFUSED, Outcome.ALTERNATIVE) or answer.withheld
        for answer in file.responses
    )
    returned = _fee_returned(order, file)
    return ResponseLetter(
        **common,
        clause="§5(2)(7)",
        article=_article(order, file),
        reasons_article=article(Subject.EXPLAINING_REASONS, order.on, language) if explained else None,
        services=file.responses,
        fee_returned=returned,
        registration_number=registration_number(file.pack, order.on) if returned else None,
    )


def _no_data(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return NoDataLetter(**common, clause="§5(1)", article=_article(order, file))


def _redirect(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    administrator = file.pack.shareholder_register_administrator
    return RedirectLetter(
        **common,
        clause="§5(1)",
        administrator=ContactPoint(
            name=administrator.name.of(file.request.language), clause=administrator.citation
        ),
    )


def _withdrawal(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return WithdrawalLetter(**common, **_nothing_owed(order, file), clause="§5(2)", withdrawn_on=order.on)


def _extension(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return ExtensionLetter(
        **common,
        clause="§5(1)",
        previous_until=order.previous_due_on or order.on,
        until=_due(order),
        reason=printable(file.reason or ""),
    )


def _reopened(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    if file.invoice is None:  # it lapsed before there was one: documents are what it waits for
        return ReopenedLetter(
            **common,
            clause="§5(2)(3)",
            shortcomings=tuple(_shortcoming(file.pack, finding) for finding in order.findings),
            answer_by=_due(order),
            send_to=envelope_address(file.pack, file.request.language),
        )
    paid = _paid(order, file)
    rest = file.invoice.total - paid
    return ReopenedLetter(
        **common,
        clause="§5(2)(6)",
        invoice_number=file.invoice.number,
        paid=paid,
        payment=_payment(order, file, file.invoice, rest) if rest > 0 else None,
    )


def _standing_ended(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    parties = file.parties
    if order.standing_end is None or parties.applicant is None:
        raise ValueError("the standing of nobody has ended")
    return StandingEndedLetter(
        **common,
        **_nothing_owed(order, file),
        clause="§5(2)(4)",
        end=order.standing_end,
        to_principal=order.to is Holder.PRINCIPAL,
        principal=printable(parties.principal.name),
        representative=printable(parties.applicant.name),
    )


def _duplicate(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    if order.duplicate_of is None:
        raise ValueError("a duplicate is one of another request")
    return DuplicateLetter(
        **common, **_nothing_owed(order, file), clause="§5(1)", duplicate_of=order.duplicate_of
    )


def _originals_returned(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return OriginalsReturnedLetter(**common, clause="§5(2)(4)", documents=file.originals)


_WRITERS: dict[LetterKind, Callable[[LetterOrder, File, dict[str, Any]], Letter]] = {
    LetterKind.DEFICIENCY: _deficiency,
    LetterKind.DOCUMENTS_REMINDER: _documents_reminder,
    LetterKind.DOCUMENTS_LAPSED: _documents_lapsed,
    LetterKind.PAYMENT_REMINDER: _payment_reminder,
    LetterKind.SHORT_PAYMENT: _short_payment,
    LetterKind.PAYMENT_TAKEN_BACK: _payment_taken_back,
    LetterKind.PAYMENT_LAPSED: _payment_lapsed,
    LetterKind.RECEIPT: _receipt,
    LetterKind.RESPONSE: _response,
    LetterKind.NO_DATA: _no_data,
    LetterKind.REDIRECT: _redirect,
    LetterKind.WITHDRAWAL: _withdrawal,
    LetterKind.EXTENSION: _extension,
    LetterKind.REOPENED: _reopened,
    LetterKind.STANDING_ENDED: _standing_ended,
    LetterKind.DUPLICATE: _duplicate,
    LetterKind.ORIGINALS_RETURNED: _originals_returned,
}


def _article(order: LetterOrder, file: File) -> str:
    return article(SUBJECT_OF[file.request.kind], order.on, file.request.language) or ""


def _reopenable(order: LetterOrder, file: File) -> date:
    return reopenable_until(Terms.of(file.pack), order.on)


def _due(order: LetterOrder) -> date:
    if order.due_on is None:
        raise ValueError(f"a {order.kind} letter needs a date")
    return order.due_on


def _invoice(file: File) -> InvoiceRow:
    if file.invoice is None:
        raise ValueError("this letter is about an invoice, and there is none")
    return file.invoice


def _paid(order: LetterOrder, file: File) -> int:
    """What was paid of the fee: by the order's word for it, which the ledger may have left behind by now."""
    return file.paid if order.received is None else order.received


def _fee_asked_again(order: LetterOrder, file: File) -> dict[str, Any]:
    invoice, paid = _invoice(file), _paid(order, file)
    return {
        "clause": "§5(2)(6)",
        "invoice_number": invoice.number,
        "invoiced_on": invoice.issued_on,
        "total": invoice.total,
        "paid": paid,
        "payment": _payment(order, file, invoice, max(0, invoice.total - paid)),
    }


def _nothing_owed(order: LetterOrder, file: File) -> dict[str, Any]:
    return {
        "invoice_number": file.invoice and file.invoice.number,
        "credit_note": file.credit_note,
        "paid": _paid(order, file),
    }


def _lines(file: File, invoice: InvoiceRow) -> tuple[InvoiceLine, ...]:
    return tuple(
        InvoiceLine(
            service=file.pack.service(line.service).name.of(file.request.language), amount=line.amount
        )
        for line in invoice.lines
    )


def _fee_returned(order: LetterOrder, file: File) -> FeeReturned | None:
    """The fee of the services of which nothing is disclosed; None where there is no such line (§5(2)(6))."""
    invoice = file.invoice
    refused = {answer.service for answer in file.responses if answer.outcome is Outcome.REFUSED}
    lines = tuple(line for line in _lines(file, invoice) if line.service in refused) if invoice else ()
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
        back=max(0, _paid(order, file) - (invoice.total - total)),
    )


def _payment(order: LetterOrder, file: File, invoice: InvoiceRow, amount: int) -> Payment:
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


def _shortcoming(pack: Pack, finding: Finding) -> Shortcoming:
    line = pack.requirement(finding.requirement) if finding.requirement else None
    return Shortcoming(
        code=finding.code,
        documents=line.any_of if line else tuple(DocumentKind(kind) for kind in finding.document.split("|")),
        medium=line.medium if line else None,
        holder=line.holder if line else None,
        fresh_months=line.fresh.months if line and line.fresh else None,
        clause=finding.clause,
    )
