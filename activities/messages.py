"""What travels between the workflows and the activities: ids, words of the policy, dates and amounts.

Nothing personal stands in any of these. Every order names the request and, where something must happen once,
the key under which it happens once; no key holds a run id, so a reset repeats nothing. Dates are dates of
Tokyo.
"""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from policy.deadlines import Terms
from policy.findings import Finding
from policy.retention import Expiry
from policy.vocabulary import (
    Capacity,
    CustodyEvent,
    Decision,
    Holder,
    Kind,
    Language,
    LetterKind,
    MailEvent,
    Outcome,
    RecordClass,
    StandingEnd,
    SubjectMatter,
)
from policy.withholding import Withholding

Yen = Annotated[int, Field(ge=0)]
Scalar = str | int | bool | None


class Message(BaseModel):
    """Base of every message: frozen, and tolerant of fields a later version adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


# ── acts of staff ─────────────────────────────────────────────────────────────────────────────────────────


class ActToRecord(Message):
    """One act of a member of staff, to be checked against the register and audited once."""

    request_id: str
    act: str  # policy.roles.Act
    by: str
    key: str
    on: date
    detail: dict[str, Scalar | list[str]] = {}


class MailToRecord(Message):
    """An event of a letter, checked, audited and written to the letter in one transaction."""

    request_id: str
    by: str
    key: str
    letter_id: str
    event: MailEvent
    on: date
    tracking_number: str | None = None
    note_id: str | None = None
    address_checked: bool = True  # else whoever posts it must be one who may check the address


class DocumentToRecord(Message):
    """What became of one document of a request: struck out, replaced by another, copied (§5(2)(3))."""

    request_id: str
    by: str
    key: str
    document: int  # its number within the request
    event: CustodyEvent
    on: date
    replaced_by: int | None = None
    note_id: str | None = None


class AddressToRecord(Message):
    """An officer confirms the address a letter came back from, or takes the one that an envelope proves;
    only another address helps a letter that is `held`.
    """

    request_id: str
    by: str
    key: str
    on: date
    letter_id: str
    envelope: int | None = None
    held: bool = False


class ReopenToRecord(Message):
    """A lapsed request goes on, for a sealed reason; `number` counts the reopenings."""

    request_id: str
    by: str
    key: str
    number: int
    on: date
    note_id: str


class ResponseToTakeBack(Message):
    """An approved response is taken back before its letter is posted: the letter leaves the queue, what was
    carried out in the register is undone.
    """

    request_id: str
    by: str
    key: str
    on: date
    letter_id: str
    note_id: str


class HoldToRecord(Message):
    """A hold placed on a request's records, or taken off (`release`)."""

    request_id: str
    by: str
    key: str
    number: int
    on: date
    note_id: str | None = None
    release: bool = False


# ── documents ─────────────────────────────────────────────────────────────────────────────────────────────


class Assessed(Message):
    """What the rules say of all documents attached so far, and the terms of the day of the first receipt.

    `received_on` is None while nothing is attached.
    """

    terms: Terms
    kind: Kind
    capacity: Capacity
    subject_matter: SubjectMatter
    language: Language
    services: tuple[str, ...]
    envelopes: int
    received_on: date | None
    arrived_on: date | None = None  # the first of its envelopes
    complete: bool
    findings: tuple[Finding, ...] = ()
    originals: int = 0  # documents that go back to the sender when the procedure ends
    duplicates: tuple[str, ...] = ()  # other requests of the same principal, kind and service


# ── data ──────────────────────────────────────────────────────────────────────────────────────────────────


class LocateOrder(Message):
    """Search the register of personal data for the principal, in these services."""

    request_id: str
    services: tuple[str, ...]


class Located(Message):
    """The services in which data was found."""

    services: tuple[str, ...]


class ServiceDecision(Message):
    """What is proposed, or was decided, for one service. `withhold` names categories or `category.field`,
    each with its legal ground; `changes_id` is the sealed list of what an amendment changes.
    """

    service: str
    decision: Decision
    ground: str | None = None
    withhold: tuple[Withholding, ...] = ()
    note_id: str | None = None
    changes_id: str | None = None


class PrepareOrder(Message):
    """Gather the response for these decisions, one sealed draft a service; `number` counts the gatherings."""

    request_id: str
    number: int
    on: date
    decisions: tuple[ServiceDecision, ...]


class Prepared(Message):
    """The sealed drafts by service: what the approver approves, word for word."""

    drafts: dict[str, str]


class CarryOutOrder(Message):
    """Carry out in the register what was decided; `number` is that of the gathering that was approved."""

    request_id: str
    number: int
    on: date
    decisions: tuple[ServiceDecision, ...]


class CarriedOut(Message):
    """How many changes the register has of this request; `conflict` when it could not be changed as decided,
    and nothing was.
    """

    changes: int
    conflict: bool = False


class UndoOrder(Message):
    """Undo in the register what was carried out and is not final: the answer will not be posted."""

    request_id: str
    on: date


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────


class InvoiceOrder(Message):
    """One invoice for the services in which data was found (§5(2)(6)); `key` is its letter's."""

    request_id: str
    key: str
    on: date
    due_on: date
    services: tuple[str, ...]


class Invoice(Message):
    """The invoice as issued; amounts in yen, tax included. A total of 0 means that no fee is due and nothing
    was issued.
    """

    number: str
    letter_id: str
    payment_reference: str
    total: Yen
    due_on: date


class InvoiceReopened(Message):
    """The invoice of a reopened request may be paid again, until `due_on`."""

    request_id: str
    on: date
    due_on: date


class Payments(Message):
    """What the ledger holds for a request's invoice, in yen."""

    invoiced: Yen
    received: Yen
    paid: bool
    deposits: tuple[str, ...] = ()


class InvoiceEnd(Message):
    """Close a request's invoice if it is still unpaid: no later deposit counts towards it."""

    request_id: str
    lapsed: bool
    on: date


class DepositKey(Message):
    """A deposit in the ledger."""

    source: str
    deposit_id: str


class DepositMatch(Message):
    """Where a deposit belongs: a request or several, or suspense with the reason, or both in parts.

    What is in suspense is to be cleared by ``due_on``; until then there is a reminder every ``remind_every``
    days.
    """

    state: str
    request_id: str | None = None
    suspense_reason: str | None = None
    requests: tuple[str, ...] = ()
    due_on: date | None = None
    remind_every: int = 14


class Assignment(Message):
    """An accounts clerk assigns a deposit in suspense to a request."""

    source: str
    deposit_id: str
    request_id: str
    by: str
    on: date
    key: str


class RefundToPropose(Message):
    """An accounts clerk proposes to give back what is left of a deposit, or `amount` yen of it, to the
    account that is sealed under `account_id`.
    """

    source: str
    deposit_id: str
    amount: Yen | None = None
    account_id: str
    by: str
    on: date
    key: str


class RefundProposed(Message):
    """The refund that another person is to approve, and where its deposit stands now."""

    number: str
    match: DepositMatch


class SuspenseNotice(Message):
    """A deposit still waits for a clerk: the `reminder`-th time of saying so, or it is `overdue`."""

    source: str
    deposit_id: str
    reminder: int
    overdue: bool = False


class FeeToReturn(Message):
    """Services whose data was not disclosed: no fee is due for them, and what was paid of it goes back."""

    request_id: str
    on: date
    services: tuple[str, ...]


# ── letters ───────────────────────────────────────────────────────────────────────────────────────────────


class LetterOrder(Message):
    """Render one letter and queue it for the mail room, once for its `key`, with what its kind needs.

    `to` is whom it is written to where that is not the sender.
    """

    request_id: str
    key: str
    kind: LetterKind
    on: date
    to: Holder | None = None
    due_on: date | None = None
    previous_due_on: date | None = None
    findings: tuple[Finding, ...] = ()
    drafts: tuple[str, ...] = ()
    note_id: str | None = None
    standing_end: StandingEnd | None = None
    duplicate_of: str | None = None
    received: Yen | None = None  # what was paid of the fee by then


class LetterQueued(Message):
    """The letter waits in the print queue, under the number that the records gave it; or it was `cancelled`
    before, and stays so.
    """

    letter_id: str
    cancelled: bool = False


class CancelOrder(Message):
    """Take letters that became pointless from the print queue; one that is posted stays posted."""

    request_id: str
    on: date
    letters: tuple[str, ...]


class Cancelled(Message):
    """The letters that were taken from the queue."""

    letters: tuple[str, ...]


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────


class CloseOrder(Message):
    """Close a request: its outcome, and the day from which its records are kept. A reopened request is closed
    again (`number`).
    """

    request_id: str
    outcome: Outcome
    on: date
    number: int = 1
    delivered_on: date | None = None
    invoiced_on: date | None = None
    terms: Terms


class Closed(Message):
    """When each record class expires, the earliest first."""

    expiries: tuple[Expiry, ...]


class DestroyOrder(Message):
    """Destroy one record class of a request under the rule that says so."""

    request_id: str
    record_class: RecordClass
    on: date
    rule: str
    clause: str
    pack_version: str
    last: bool = False


class Destroyed(Message):
    """What was destroyed; `held` when a hold stood against it and nothing was."""

    record_class: RecordClass
    records: int = 0
    held: bool = False
