"""Each order becomes its letter: for every kind, language and capacity, to whom, and saying what."""

from dataclasses import replace
from datetime import date

import pytest

from activities.correspondence import compose, compose_invoice
from activities.file import File
from activities.letters import content
from activities.letters.render import render_letter
from activities.messages import LetterOrder
from policy.envelope import Party
from policy.fees import QuoteLine
from policy.findings import Finding
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.vocabulary import (
    Amendment,
    Capacity,
    DocumentKind,
    FindingCode,
    Holder,
    Kind,
    Language,
    LetterKind,
    Outcome,
    StandingEnd,
    SubjectMatter,
)
from records.invoices import InvoiceRow
from records.receipts import Arrived
from records.requests import Parties, RequestRow
from tests.activities.letters.reading import squeezed, words

DAY = date(2018, 11, 20)
PACK = pack_in_force(DAY)
REQUEST_ID = "DR-2018-000001-8"
PRINCIPAL = Party(name="見本 花子", postal_code="150-8512", address="東京都渋谷区桜丘町26-1")
APPLICANT = Party(name="代理 太郎", postal_code="530-0001", address="大阪府大阪市北区梅田1-1")
INVOICE = InvoiceRow(
    number="INV-2018-000001",
    request_id=REQUEST_ID,
    letter_id=f"{REQUEST_ID}-2",
    payment_reference="12345674",
    issued_on=DAY,
    due_on=date(2018, 12, 20),
    lines=(QuoteLine(service="gmo-appscloud", amount=5_400),),
    total=5_400,
    tax=400,
    tax_rate=8,
    state="open",
    moved_on=date(2018, 11, 5),
)
FINDING = Finding(
    code=FindingCode.STALE,
    document="certificate_of_residence",
    clause="§5(2)(3)",
    message="The one received is too old.",
    requirement="self-residence",
)
ABOUT_MONEY = {
    LetterKind.INVOICE,
    LetterKind.PAYMENT_REMINDER,
    LetterKind.SHORT_PAYMENT,
    LetterKind.PAYMENT_TAKEN_BACK,
    LetterKind.PAYMENT_LAPSED,
    LetterKind.RECEIPT,
}


def order(kind: LetterKind, **content: object) -> LetterOrder:
    values: dict[str, object] = {
        "due_on": date(2018, 12, 20),
        "previous_due_on": date(2018, 12, 3),
        "findings": (FINDING,),
        "standing_end": StandingEnd.MANDATE_WITHDRAWN if kind is LetterKind.STANDING_ENDED else None,
        "duplicate_of": "DR-2018-000002-6" if kind is LetterKind.DUPLICATE else None,
    }
    return LetterOrder.model_validate(
        {"request_id": REQUEST_ID, "key": "a", "kind": kind, "on": DAY} | values | content
    )


def file(
    capacity: Capacity, language: Language = Language.JA, kind: Kind = Kind.DISCLOSURE, **changes: object
) -> File:
    request = RequestRow(
        id=REQUEST_ID,
        opened_on=date(2018, 11, 1),
        opened_by="officer-1",
        kind=kind,
        detail_kind=Amendment.CORRECTION if kind is Kind.AMENDMENT else None,
        capacity=capacity,
        subject_matter=SubjectMatter.CUSTOMER,
        language=language,
        services=("gmo-appscloud",),
        pack_version=PACK.version,
        outcome=None,
        closed_on=None,
        destroyed_on=None,
        duplicate_of=None,
    )
    applicant = None if capacity is Capacity.SELF else APPLICANT
    whole = File(
        letter_id=f"{REQUEST_ID}-7",
        pack=PACK,
        request=request,
        parties=Parties(principal=PRINCIPAL, applicant=applicant),
        received_on=date(2018, 11, 2),
        responses=(content.ServiceResponse(service="GMO AppsCloud", outcome=Outcome.NO_DATA),),
        originals=(content.EnclosedOriginal(kind=DocumentKind.CERTIFICATE_OF_RESIDENCE),),
        arrived=(Arrived(on=date(2018, 11, 30), amount=5_400),),
        reason="調査に時間を要するため",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def letter(kind: LetterKind, of: File, **content: object) -> content.Letter:
    if kind is LetterKind.INVOICE:
        return compose_invoice(order(kind), of, INVOICE)
    return compose(order(kind, **content), of)


COURSES = [
    (kind, language, capacity)
    for kind in LetterKind
    for language in Language
    for capacity in Capacity
    if kind is not LetterKind.STANDING_ENDED or capacity is not Capacity.SELF
]


@pytest.mark.parametrize(("kind", "language", "capacity"), COURSES)
def test_every_letter_goes_to_the_sender_and_names_the_principal(
    kind: LetterKind, language: Language, capacity: Capacity
) -> None:
    written = letter(kind, file(capacity, language, invoice=INVOICE if kind in ABOUT_MONEY else None))
    assert (written.kind, written.language, written.letter_id) == (kind, language, f"{REQUEST_ID}-7")
    text = words(render_letter(written))
    sender = PRINCIPAL if capacity is Capacity.SELF else APPLICANT
    assert written.addressee.name == sender.name
    assert squeezed(PRINCIPAL.name) in text
    assert squeezed(sender.address) in text
    assert "None" not in text


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("end", [StandingEnd.MANDATE_WITHDRAWN, StandingEnd.MAJORITY])
def test_the_principal_is_told_too_that_nobody_acts_for_them(language: Language, end: StandingEnd) -> None:
    written = letter(
        LetterKind.STANDING_ENDED, file(Capacity.PROXY, language), to=Holder.PRINCIPAL, standing_end=end
    )
    assert (written.addressee.name, written.addressee.address) == (PRINCIPAL.name, PRINCIPAL.address)
    assert written.addressee.on_behalf_of is None
    assert squeezed(APPLICANT.name) in words(render_letter(written))


def test_nobody_is_addressed_as_the_representative_of_whom_they_no_longer_stand_for() -> None:
    of = file(Capacity.STATUTORY_REPRESENTATIVE)
    for kind in (LetterKind.STANDING_ENDED, LetterKind.ORIGINALS_RETURNED):
        written = letter(kind, of, standing_end=StandingEnd.PRINCIPAL_DIED)
        assert written.addressee.on_behalf_of is None
        assert written.addressee.name == APPLICANT.name
    assert letter(LetterKind.ORIGINALS_RETURNED, of).addressee.on_behalf_of == PRINCIPAL.name


def test_nothing_is_written_to_a_principal_who_has_died() -> None:
    with pytest.raises(ValueError, match="died"):
        letter(
            LetterKind.STANDING_ENDED,
            file(Capacity.PROXY),
            to=Holder.PRINCIPAL,
            standing_end=StandingEnd.PRINCIPAL_DIED,
        )


@pytest.mark.parametrize("kind", [LetterKind.DOCUMENTS_LAPSED, LetterKind.PAYMENT_LAPSED])
def test_a_lapse_tells_until_when_it_may_be_undone(kind: LetterKind) -> None:
    written = letter(kind, file(Capacity.SELF, invoice=INVOICE))
    assert isinstance(written, content.DocumentsLapsedLetter | content.PaymentLapsedLetter)
    assert PACK.deadlines.grace.days == 14
    assert written.reopenable_until == date(2018, 12, 4)
    assert "2018年12月4日" in words(render_letter(written))


def test_a_reopened_request_waits_for_documents_or_for_what_is_still_to_pay() -> None:
    for_documents = letter(LetterKind.REOPENED, file(Capacity.SELF))
    assert isinstance(for_documents, content.ReopenedLetter)
    assert (for_documents.clause, for_documents.answer_by) == ("§5(2)(3)", date(2018, 12, 20))
    assert [shortcoming.code for shortcoming in for_documents.shortcomings] == [FindingCode.STALE]
    for_the_fee = letter(LetterKind.REOPENED, file(Capacity.SELF, invoice=INVOICE, paid=400))
    assert isinstance(for_the_fee, content.ReopenedLetter)
    assert for_the_fee.clause == "§5(2)(6)"
    assert for_the_fee.payment is not None
    assert (for_the_fee.payment.amount, for_the_fee.payment.due_on) == (5_000, date(2018, 12, 20))


def test_a_reopened_request_whose_fee_came_in_late_asks_for_nothing() -> None:
    written = letter(LetterKind.REOPENED, file(Capacity.SELF, invoice=INVOICE, paid=5_400))
    assert isinstance(written, content.ReopenedLetter)
    assert (written.payment, written.paid, written.invoice_number) == (None, 5_400, INVOICE.number)


@pytest.mark.parametrize(
    ("received", "paid", "rest"), [(5_000, 5_000, 400), (0, 0, 5_400), (None, 1_000, 4_400)]
)
@pytest.mark.parametrize("kind", [LetterKind.SHORT_PAYMENT, LetterKind.PAYMENT_TAKEN_BACK])
def test_the_rest_is_asked_for_by_the_orders_day(
    kind: LetterKind, received: int | None, paid: int, rest: int
) -> None:
    of = file(Capacity.SELF, invoice=INVOICE, paid=1_000)
    written = letter(kind, of, received=received, due_on=date(2018, 12, 27))
    assert isinstance(written, content.ShortPaymentLetter | content.PaymentTakenBackLetter)
    assert (written.paid, written.payment.amount, written.payment.due_on) == (paid, rest, date(2018, 12, 27))


@pytest.mark.parametrize(
    ("account", "branch_code", "number", "branch"),
    [
        (None, PACK.operator.bank_account.branch_code, PACK.operator.bank_account.number, True),
        ("7654321", PACK.operator.bank_account.branch_code, "7654321", True),
        ("1017654321", "101", "7654321", False),
        ("99991017654321", "101", "7654321", False),
    ],
)
@pytest.mark.parametrize("kind", [LetterKind.INVOICE, LetterKind.PAYMENT_REMINDER, LetterKind.REOPENED])
def test_it_is_paid_into_the_account_that_stands_for_the_invoice(
    kind: LetterKind, account: str | None, branch_code: str, number: str, branch: bool
) -> None:
    written = letter(kind, file(Capacity.SELF, invoice=INVOICE, virtual_account=account))
    assert isinstance(written, content.InvoiceLetter | content.PaymentReminderLetter | content.ReopenedLetter)
    assert written.payment is not None
    printed = written.payment.account
    assert (printed.branch_code, printed.number, bool(printed.branch)) == (branch_code, number, branch)
    assert printed.bank_code == PACK.operator.bank_account.bank_code
    assert written.payment.own_account is (account is not None)


@pytest.mark.parametrize(
    "kind",
    [
        LetterKind.PAYMENT_LAPSED,
        LetterKind.WITHDRAWAL,
        LetterKind.STANDING_ENDED,
        LetterKind.DUPLICATE,
    ],
)
def test_who_need_not_pay_any_more_is_told_so(kind: LetterKind) -> None:
    of = file(Capacity.PROXY, invoice=INVOICE, credit_note="CN-2018-000001", paid=400)
    for received, goes_back in ((None, 400), (0, 0), (5_000, 5_000)):
        written = letter(kind, of, received=received)
        assert isinstance(
            written,
            content.PaymentLapsedLetter
            | content.WithdrawalLetter
            | content.StandingEndedLetter
            | content.DuplicateLetter,
        )
        assert (written.invoice_number, written.credit_note) == (INVOICE.number, "CN-2018-000001")
        assert written.paid == goes_back


@pytest.mark.parametrize(
    ("day", "number"), [(date(2023, 9, 30), None), (date(2023, 10, 1), "T9999999999999")]
)
@pytest.mark.parametrize("kind", [LetterKind.INVOICE, LetterKind.RECEIPT])
def test_invoices_and_receipts_are_qualified_since_their_day(
    kind: LetterKind, day: date, number: str | None
) -> None:
    of = file(Capacity.SELF, invoice=INVOICE)
    if kind is LetterKind.INVOICE:
        written: content.Letter = compose_invoice(order(kind, on=day), of, INVOICE)
    else:
        written = compose(order(kind, on=day), of)
    assert isinstance(written, content.InvoiceLetter | content.ReceiptLetter)
    assert written.registration_number == number


def test_a_receipt_is_for_what_counts_and_says_when_it_is_a_second() -> None:
    arrived = (Arrived(date(2018, 11, 30), 50_000), Arrived(date(2018, 12, 3), 4_000))
    first, second = (
        letter(LetterKind.RECEIPT, file(Capacity.SELF, invoice=INVOICE, arrived=arrived, has_receipt=has))
        for has in (False, True)
    )
    assert isinstance(first, content.ReceiptLetter)
    assert isinstance(second, content.ReceiptLetter)
    assert (first.total, first.tax, first.tax_rate, first.stamp) == (54_000, 4_000, 8, True)
    assert (first.reissued, second.reissued) == (False, True)
    (less,) = file(Capacity.SELF).arrived
    usual = letter(LetterKind.RECEIPT, file(Capacity.SELF, invoice=INVOICE, arrived=(less,)))
    assert isinstance(usual, content.ReceiptLetter)
    assert (usual.total, usual.tax, usual.stamp) == (5_400, 400, False)


def test_there_is_no_receipt_for_nothing() -> None:
    for of in (file(Capacity.SELF, invoice=INVOICE, arrived=()), file(Capacity.SELF)):
        with pytest.raises(Refusal) as refused:
            letter(LetterKind.RECEIPT, of)
        assert refused.value.code is Code.NOTHING_PAID


TWO = replace(
    INVOICE,
    lines=tuple(QuoteLine(service=code, amount=5_400) for code in ("gmo-appscloud", "sample-hosting")),
    total=10_800,
    tax=800,
)


@pytest.mark.parametrize(
    ("outcomes", "paid", "returned"),
    [
        ((Outcome.GRANTED, Outcome.PARTIAL), 10_800, None),
        ((Outcome.GRANTED, Outcome.REFUSED), 10_800, (5_400, 400, 5_400)),
        ((Outcome.REFUSED, Outcome.REFUSED), 10_800, (10_800, 800, 10_800)),
        ((Outcome.GRANTED, Outcome.REFUSED), 7_000, (5_400, 400, 1_600)),
        ((Outcome.GRANTED, Outcome.REFUSED), 5_000, (5_400, 400, 0)),
    ],
)
@pytest.mark.parametrize("language", Language)
def test_the_fee_of_what_is_not_disclosed_goes_back(
    language: Language, outcomes: tuple[Outcome, Outcome], paid: int, returned: tuple[int, int, int] | None
) -> None:
    responses = tuple(
        content.ServiceResponse(
            service=PACK.service(line.service).name.of(language),
            outcome=outcome,
            refused=REFUSED if outcome is Outcome.REFUSED else None,
        )
        for line, outcome in zip(TWO.lines, outcomes, strict=True)
    )
    written = letter(
        LetterKind.RESPONSE, file(Capacity.SELF, language, invoice=TWO, paid=paid, responses=responses)
    )
    assert isinstance(written, content.ResponseLetter)
    fee = written.fee_returned
    assert (None if fee is None else (fee.total, fee.tax, fee.back)) == returned


REFUSED = content.Refused(ground="a ground", article="an article", reasons="reasons")
WITHHELD = content.Withheld(item="an item", ground="a ground", article="an article")


@pytest.mark.parametrize(
    ("answer", "explained"),
    [
        ({"outcome": Outcome.GRANTED}, False),
        ({"outcome": Outcome.NO_DATA}, False),
        ({"outcome": Outcome.PARTIAL, "withheld": (WITHHELD,)}, True),
        ({"outcome": Outcome.REFUSED, "refused": REFUSED}, True),
        ({"outcome": Outcome.ALTERNATIVE, "refused": REFUSED, "actions": ("another measure",)}, True),
    ],
)
def test_the_article_on_explaining_reasons_stands_wherever_something_is_not_done_as_asked(
    answer: dict[str, object], explained: bool
) -> None:
    responses = (content.ServiceResponse.model_validate({"service": "GMO AppsCloud"} | answer),)
    of = file(Capacity.SELF, Language.EN, Kind.CESSATION, responses=responses)
    written = letter(LetterKind.RESPONSE, of)
    assert isinstance(written, content.ResponseLetter)
    assert (written.reasons_article is not None) is explained
    assert ("Article31" in words(render_letter(written))) is explained


def test_an_order_that_lacks_what_its_letter_needs_is_an_error() -> None:
    for kind, lacking in [
        (LetterKind.DEFICIENCY, {"due_on": None}),
        (LetterKind.STANDING_ENDED, {"standing_end": None}),
        (LetterKind.DUPLICATE, {"duplicate_of": None}),
        (LetterKind.PAYMENT_LAPSED, {}),
        (LetterKind.SHORT_PAYMENT, {}),
    ]:
        with pytest.raises(ValueError):
            letter(kind, file(Capacity.PROXY), **lacking)


@pytest.mark.parametrize("language", Language)
def test_where_to_write_to_stands_at_the_end_of_every_letter(language: Language) -> None:
    (line,) = letter(LetterKind.DUPLICATE, file(Capacity.SELF, language)).letterhead.contact.lines
    assert "150-8512" in line
    assert PACK.operator.address.lines.of(language) in line
