"""Writes a letter: what the policy pack, the case file and the order say, as the content the templates print.

Letters go to the sender whose identity is verified: a proxy or representative gets them in their own name,
with the principal named (§5(2)(6), §5(2)(7)). Where the order says so, the principal is written to instead.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

from activities.fee import asked_again, invoice_of, lines_of, nothing_owed, paid_of, payment_of, returned
from activities.file import File
from activities.letters.characters import printable
from activities.letters.content import (
    Addressee,
    ContactPoint,
    DeficiencyLetter,
    DocumentsLapsedLetter,
    DocumentsReminderLetter,
    DuplicateLetter,
    ExtensionLetter,
    InvoiceLetter,
    Letter,
    Letterhead,
    Matter,
    NoDataLetter,
    OriginalsReturnedLetter,
    PaidOn,
    PaymentLapsedLetter,
    PaymentReminderLetter,
    PaymentTakenBackLetter,
    PostalAddress,
    ReceiptLetter,
    RedirectLetter,
    ReopenedLetter,
    ResponseLetter,
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
        lines=lines_of(file, invoice),
        total=invoice.total,
        tax=invoice.tax,
        tax_rate=invoice.tax_rate,
        registration_number=registration_number(file.pack, order.on),
        payment=payment_of(order, file, invoice, invoice.total),
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
    return PaymentReminderLetter(**common, **asked_again(order, file))


def _short_payment(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return ShortPaymentLetter(**common, **asked_again(order, file))


def _payment_taken_back(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    return PaymentTakenBackLetter(**common, **asked_again(order, file))


def _payment_lapsed(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    invoice = invoice_of(file)
    return PaymentLapsedLetter(
        **common,
        **nothing_owed(order, file),
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
    fee_returned = returned(order, file)
    return ResponseLetter(
        **common,
        clause="§5(2)(7)",
        article=_article(order, file),
        reasons_article=article(Subject.EXPLAINING_REASONS, order.on, language) if explained else None,
        services=file.responses,
        fee_returned=fee_returned,
        registration_number=registration_number(file.pack, order.on) if fee_returned else None,
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
    return WithdrawalLetter(**common, **nothing_owed(order, file), clause="§5(2)", withdrawn_on=order.on)


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
    paid = paid_of(order, file)
    rest = file.invoice.total - paid
    return ReopenedLetter(
        **common,
        clause="§5(2)(6)",
        invoice_number=file.invoice.number,
        paid=paid,
        payment=payment_of(order, file, file.invoice, rest) if rest > 0 else None,
    )


def _standing_ended(order: LetterOrder, file: File, common: dict[str, Any]) -> Letter:
    parties = file.parties
    if order.standing_end is None or parties.applicant is None:
        raise ValueError("the standing of nobody has ended")
    return StandingEndedLetter(
        **common,
        **nothing_owed(order, file),
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
        **common, **nothing_owed(order, file), clause="§5(1)", duplicate_of=order.duplicate_of
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
