"""What each letter and form says, as plain values: all that passes from the case to the typst templates.

The caller has already chosen the language of every name that comes from the policy pack; the wording around
it belongs to the templates (`texts-ja.typ`, `texts-en.typ`). Amounts are in yen, dates are dates of Tokyo.
These models hold personal data: they are built, rendered and forgotten, never logged, never sent to Temporal.
"""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from policy.vocabulary import (
    Amendment,
    Capacity,
    Cessation,
    ChangeAction,
    DocumentKind,
    FindingCode,
    FormKind,
    Holder,
    Kind,
    Language,
    LetterKind,
    Medium,
    Outcome,
    StandingEnd,
)

Yen = Annotated[int, Field(ge=0)]


class Content(BaseModel):
    """Base of everything printed: frozen, closed, and silent about its values in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PostalAddress(Content):
    """Where an envelope goes: name, postal code (`150-8512`, empty where there is none), address."""

    name: str
    postal_code: str
    address: str


class Addressee(PostalAddress):
    """To whom a letter is sent; `on_behalf_of` is the principal's name where a representative applied."""

    on_behalf_of: str | None = None


class ContactPoint(Content):
    """Where to ask or complain: a name, its lines (address, …) and the clause that names it (§6)."""

    name: str
    lines: tuple[str, ...] = ()
    clause: str


class Letterhead(Content):
    """Who writes: company, the department that signs, its address, and where to complain (§6)."""

    company: str
    department: str
    postal_code: str
    address: str
    contact: ContactPoint


class Matter(Content):
    """What the letter is about: the request, in the words every letter repeats.

    `received_on` is None while only the form has been sent. `services` are names, as printed.
    """

    request_id: str
    kind: Kind
    amendment: Amendment | None = None
    cessation: Cessation | None = None
    services: tuple[str, ...]
    received_on: date | None = None


class _Letter(Content):
    """What every letter carries. `clause` is what the letter rests on, such as `§5(2)(6)`; `date` is the day
    it is queued; `letter_id` is the reference printed beside the request id. A `draft` says so in the head of
    every page: it is what an approver looks at, and is never posted."""

    language: Language
    letter_id: str
    date: date
    letterhead: Letterhead
    addressee: Addressee
    matter: Matter
    clause: str
    draft: bool = False


class Shortcoming(Content):
    """One thing wrong with the documents. `documents` are the alternatives that would satisfy the rule, in
    the order of the policy; `medium`, `holder` and `fresh_months` are what the rule asks for, where it says
    so; `remark` is an officer's own sentence, in the letter's language."""

    code: FindingCode
    documents: tuple[DocumentKind, ...]
    medium: Medium | None = None
    holder: Holder | None = None
    fresh_months: int | None = None
    clause: str
    remark: str | None = None


class DeficiencyLetter(_Letter):
    """Documents are missing or do not satisfy the policy: what, by when, and where to send them."""

    kind: Literal[LetterKind.DEFICIENCY] = LetterKind.DEFICIENCY
    shortcomings: tuple[Shortcoming, ...]
    answer_by: date
    send_to: PostalAddress


class DocumentsReminderLetter(_Letter):
    """The documents have not come yet. `shortcomings` is empty while nothing at all was received."""

    kind: Literal[LetterKind.DOCUMENTS_REMINDER] = LetterKind.DOCUMENTS_REMINDER
    shortcomings: tuple[Shortcoming, ...] = ()
    answer_by: date
    send_to: PostalAddress


class DocumentsLapsedLetter(_Letter):
    """The documents did not come by `due_on`: the request is closed; a new one may be made. Until
    `reopenable_until` the requester may ask for this one to be taken up again; None where they may not."""

    kind: Literal[LetterKind.DOCUMENTS_LAPSED] = LetterKind.DOCUMENTS_LAPSED
    due_on: date
    reopenable_until: date | None = None


class BankAccount(Content):
    """The account to pay into, as the operator wants it printed; codes are digits. `branch` is empty where
    only its code is known."""

    bank: str
    bank_code: str
    branch: str
    branch_code: str
    account_type: str
    number: str
    holder: str
    holder_kana: str


class Payment(Content):
    """How to pay: what is still to pay, the eight-digit reference typed before the payer's name, into which
    account, by when. The payer bears the cost of the transfer (§5(2)(6)). The reference may be left out where
    the account is for this invoice alone (`own_account`)."""

    amount: Yen
    reference: str
    account: BankAccount
    own_account: bool = False
    due_on: date


class InvoiceLine(Content):
    """The fee for one service in which data was found, tax included (§5(2)(6))."""

    service: str
    amount: Yen


class InvoiceLetter(_Letter):
    """The invoice (§5(2)(6)): `total` includes `tax`, computed at `tax_rate` percent. With a
    `registration_number`, T and 13 digits, it is a qualified invoice."""

    kind: Literal[LetterKind.INVOICE] = LetterKind.INVOICE
    invoice_number: str
    lines: tuple[InvoiceLine, ...]
    total: Yen
    tax: Yen
    tax_rate: int
    registration_number: str | None = None
    payment: Payment


class _FeeAskedAgain(_Letter):
    """An invoice of which `paid` counts now: `payment.amount` is what is still to pay of `total`."""

    invoice_number: str
    invoiced_on: date
    total: Yen
    paid: Yen = 0
    payment: Payment


class PaymentReminderLetter(_FeeAskedAgain):
    """The fee has not been paid in full."""

    kind: Literal[LetterKind.PAYMENT_REMINDER] = LetterKind.PAYMENT_REMINDER


class ShortPaymentLetter(_FeeAskedAgain):
    """Part of the fee has arrived: asks for the rest."""

    kind: Literal[LetterKind.SHORT_PAYMENT] = LetterKind.SHORT_PAYMENT


class PaymentTakenBackLetter(_FeeAskedAgain):
    """The bank took back what it had paid in: asks for what is lacking now. The time until it arrives does
    not count towards the time for the response."""

    kind: Literal[LetterKind.PAYMENT_TAKEN_BACK] = LetterKind.PAYMENT_TAKEN_BACK


class _NothingOwed(_Letter):
    """The end of a request: its invoice, if there was one, is cancelled by `credit_note`, and what was `paid`
    goes back."""

    invoice_number: str | None = None
    credit_note: str | None = None
    paid: Yen = 0


class PaymentLapsedLetter(_NothingOwed):
    """The fee was not paid in full by `due_on`: the request is closed. `reopenable_until` as for
    documents."""

    kind: Literal[LetterKind.PAYMENT_LAPSED] = LetterKind.PAYMENT_LAPSED
    invoice_number: str
    invoiced_on: date
    total: Yen
    due_on: date
    reopenable_until: date | None = None


class PaidOn(Content):
    """What arrived on one day."""

    on: date
    amount: Yen


class ReceiptLetter(_Letter):
    """The receipt for a fee: `total` arrived in `payments`, `tax` at `tax_rate` percent among it. One that
    was given before is `reissued`; `stamp`: printed, it needs a revenue stamp. With a `registration_number`
    it is a qualified one."""

    kind: Literal[LetterKind.RECEIPT] = LetterKind.RECEIPT
    invoice_number: str
    invoiced_on: date
    payments: tuple[PaidOn, ...] = Field(min_length=1)
    total: Yen
    tax: Yen
    tax_rate: int
    registration_number: str | None = None
    reissued: bool = False
    stamp: bool = False


class DataRow(Content):
    """One datum: the field's label and its value."""

    label: str
    value: str


class DataTable(Content):
    """The data of one category (§3), in the order it is to be read."""

    category: str
    rows: tuple[DataRow, ...]


class Withheld(Content):
    """A datum or group of data that is not disclosed, the legal ground in words, and the article in force."""

    item: str
    ground: str
    article: str


class Refused(Content):
    """Why nothing is disclosed or done, or something else than was asked for: the ground in words, the
    article in force, the reasons."""

    ground: str
    article: str
    reasons: str


class Purpose(Content):
    """One usage purpose (§2), with the policy's own number."""

    number: int
    text: str


class PurposeTable(Content):
    """The usage purposes of one category of personal information (§2, §3)."""

    category: str
    purposes: tuple[Purpose, ...]


class ChangeLine(Content):
    """One change carried out in what a service holds: the item, what was done to it, its value before and
    after; None where there was or is nothing, or where an action has no value to show."""

    item: str
    action: ChangeAction
    before: str | None = None
    after: str | None = None


class ServiceResponse(Content):
    """The answer for one service. Which parts are filled depends on what was asked:

    disclosure: `data` and `withheld`; usage purposes: `purposes`; amendment and cessation: `changes`, and
    `actions`, one sentence for anything else done, and `withheld` for what was left undone. `refused` goes
    with REFUSED, and with ALTERNATIVE, where it says why the measures in `actions` replace cessation.
    """

    service: str
    outcome: Literal[Outcome.GRANTED, Outcome.PARTIAL, Outcome.REFUSED, Outcome.NO_DATA, Outcome.ALTERNATIVE]
    data: tuple[DataTable, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    purposes: tuple[PurposeTable, ...] = ()
    changes: tuple[ChangeLine, ...] = ()
    reasons: str | None = None
    actions: tuple[str, ...] = ()
    refused: Refused | None = None


class FeeReturned(Content):
    """What is no longer charged of an invoice: the fee of services of which nothing is disclosed (§5(2)(6)),
    with the tax in it as in an invoice. `back` is how much of it was paid and goes back."""

    invoice_number: str
    invoiced_on: date
    lines: tuple[InvoiceLine, ...] = Field(min_length=1)
    total: Yen
    tax: Yen
    tax_rate: int
    back: Yen


class ResponseLetter(_Letter):
    """The answer to the request (§5(2)(7)). `article` is the law's article on the request's kind in force on
    the day of the decision, as a noun (`個人情報の保護に関する法律第28条`, `Act on …, Article 28`);
    `reasons_article` the one on explaining reasons, printed where something is refused, withheld or
    replaced. `registration_number` stands where it tells of a qualified invoice that is credited."""

    kind: Literal[LetterKind.RESPONSE] = LetterKind.RESPONSE
    article: str
    reasons_article: str | None = None
    services: tuple[ServiceResponse, ...]
    fee_returned: FeeReturned | None = None
    registration_number: str | None = None


class NoDataLetter(_Letter):
    """No such data exists: told at once, and no fee is asked (§5(1)). `article` as in a response."""

    kind: Literal[LetterKind.NO_DATA] = LetterKind.NO_DATA
    article: str


class RedirectLetter(_Letter):
    """Shareholder data: the register administrator answers, not the company (§5(1))."""

    kind: Literal[LetterKind.REDIRECT] = LetterKind.REDIRECT
    administrator: ContactPoint


class WithdrawalLetter(_NothingOwed):
    """Confirms that the request was withdrawn on `withdrawn_on`."""

    kind: Literal[LetterKind.WITHDRAWAL] = LetterKind.WITHDRAWAL
    withdrawn_on: date


class ExtensionLetter(_Letter):
    """The answer takes longer: until when, until when it was promised before, and why."""

    kind: Literal[LetterKind.EXTENSION] = LetterKind.EXTENSION
    previous_until: date
    until: date
    reason: str


class ReopenedLetter(_Letter):
    """A request that lapsed goes on. What it waits for is either documents (`answer_by`, `send_to`, and the
    `shortcomings` where any were received) or the fee (`payment` with its new due date, `paid` what came in
    before), unless that is all paid by now (`payment` is None). Why it was reopened is not printed."""

    kind: Literal[LetterKind.REOPENED] = LetterKind.REOPENED
    shortcomings: tuple[Shortcoming, ...] = ()
    answer_by: date | None = None
    send_to: PostalAddress | None = None
    invoice_number: str | None = None
    paid: Yen = 0
    payment: Payment | None = None

    @model_validator(mode="after")
    def _waits_for_one_thing(self) -> Self:
        documents = self.answer_by is not None and self.send_to is not None
        fee = self.invoice_number is not None
        if documents == fee or (documents and self.payment is not None):
            raise ValueError("a reopened request waits for documents or for the fee")
        return self


class StandingEndedLetter(_NothingOwed):
    """The standing of `representative` for `principal` has ended, and with it the request. Written to the
    representative, or to the principal (`to_principal`), who may apply themselves; what was `paid` goes back
    to whoever paid it."""

    kind: Literal[LetterKind.STANDING_ENDED] = LetterKind.STANDING_ENDED
    end: StandingEnd
    to_principal: bool = False
    principal: str
    representative: str

    @model_validator(mode="after")
    def _to_the_living(self) -> Self:
        if self.to_principal and self.end is StandingEnd.PRINCIPAL_DIED:
            raise ValueError("nobody writes to a principal who has died")
        return self


class DuplicateLetter(_NothingOwed):
    """The request asks for what another of the same principal asks for already, and is dealt with under that
    one's id, `duplicate_of`. Nothing more is needed of the requester."""

    kind: Literal[LetterKind.DUPLICATE] = LetterKind.DUPLICATE
    duplicate_of: str


class EnclosedOriginal(Content):
    """An original document that goes back to its sender; `issued_on` is None where it bears no date."""

    kind: DocumentKind
    issued_on: date | None = None


class OriginalsReturnedLetter(_Letter):
    """The procedure has ended: the originals that were submitted go back with this letter, by certified
    mail."""

    kind: Literal[LetterKind.ORIGINALS_RETURNED] = LetterKind.ORIGINALS_RETURNED
    documents: tuple[EnclosedOriginal, ...] = Field(min_length=1)


Letter = Annotated[
    DeficiencyLetter
    | DocumentsReminderLetter
    | DocumentsLapsedLetter
    | InvoiceLetter
    | PaymentReminderLetter
    | ShortPaymentLetter
    | PaymentTakenBackLetter
    | PaymentLapsedLetter
    | ReceiptLetter
    | ResponseLetter
    | NoDataLetter
    | RedirectLetter
    | WithdrawalLetter
    | ExtensionLetter
    | ReopenedLetter
    | StandingEndedLetter
    | DuplicateLetter
    | OriginalsReturnedLetter,
    Field(discriminator="kind"),
]
"""Any letter; `TypeAdapter(Letter)` reads one back from JSON by its `kind`."""


class Enclosure(Content):
    """One requirement of the envelope: any of these documents, in this medium, about this person where that
    is said; `fresh_months` is the age it must be under when sent (§5(2)(3), §5(2)(4)).
    """

    any_of: tuple[DocumentKind, ...]
    medium: Medium
    holder: Holder | None = None
    fresh_months: int | None = None
    clause: str


class Enclosures(Content):
    """What goes into the envelope with the form, for one capacity."""

    capacity: Capacity
    items: tuple[Enclosure, ...]


class Form(Content):
    """A blank form to be filled by hand (§5(2)(1), §5(2)(2)). `request_id` is None on a form handed out
    before a request is opened; `fee` is per service, None where none is due; `services` the names to tick."""

    kind: FormKind
    language: Language
    request_id: str | None = None
    issued_on: date
    return_by: date | None = None
    letterhead: Letterhead
    send_to: PostalAddress
    services: tuple[str, ...]
    enclosures: tuple[Enclosures, ...]
    fee: Yen | None = None
    originals_returned: bool = False
