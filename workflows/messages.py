"""What the world tells the workflows, and what they answer.

Signals carry facts that cannot be refused; updates carry people's decisions and are refused at once with a
reason code. Every act names its actor. Free text is sealed before it gets here: only a note's id travels.
"""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from activities.messages import Message, Payments, Yen
from policy.clock import Stretch
from policy.findings import Finding
from policy.vocabulary import (
    Capacity,
    CustodyEvent,
    Decision,
    Kind,
    Language,
    LetterKind,
    LetterState,
    MailEvent,
    Outcome,
    Phase,
    StandingEnd,
    SubjectMatter,
)
from policy.withholding import Withholding

RequestId = Annotated[str, Field(pattern=r"^DR-[0-9]{4}-[0-9]{6}-[0-9]$")]
Staff = Annotated[str, Field(pattern=r"^[a-z0-9-]{2,32}$")]
NoteId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""A sealed note, so that no free text stands in its place."""


# ── signals ───────────────────────────────────────────────────────────────────────────────────────────────


class DocumentsReceived(Message):
    """An envelope was recorded in the case file and attached to the request."""

    envelope_id: str


class PaymentReceived(Message):
    """The ledger of deposits changed for this request; the workflow reads the ledger, not the signal."""

    deposit_id: str


# ── updates ───────────────────────────────────────────────────────────────────────────────────────────────


class Act(Message):
    """Base of every act: who does it."""

    by: Staff


class VerifyIdentity(Act):
    """Confirm the sender's identity, or say what is missing (§5(2)(3) to (6)).

    With `deficient`, a letter asks for what `codes` name: finding codes, or document kinds the policy lists;
    empty means all that the rules found. Without it, identity is confirmed; against open findings only with a
    sealed reason (`note_id`).
    """

    deficient: bool = False
    codes: tuple[str, ...] = ()
    note_id: NoteId | None = None


class RecordDocument(Act):
    """A document of the request, by its number, is struck out, replaced by another, or was copied.

    Striking out needs a sealed reason; what is struck out or replaced no longer counts for the rules.
    """

    document: Annotated[int, Field(ge=1)]
    event: CustodyEvent
    replaced_by: Annotated[int, Field(ge=1)] | None = None
    note_id: NoteId | None = None


class EndStanding(Act):
    """A proxy or statutory representative no longer stands for the principal (§5(2)(4)): the request ends."""

    cause: StandingEnd


class LinkDuplicate(Act):
    """The same principal has asked for the same before: this request ends, the other one answers."""

    duplicate_of: RequestId


class ProposeResponse(Act):
    """Propose a decision for one service, or for every service still undecided (`service` None).

    A refusal, whole or in part, needs a legal ground. `withhold` names what is not disclosed or not amended,
    each with a ground of its own or, as plain text, with `ground`. `changes_id` is the sealed list of what an
    amendment changes in the register. `alternative` stands for a cessation alone; its note says the measures.
    """

    decision: Decision
    service: str | None = None
    ground: str | None = None
    withhold: tuple[Withholding | str, ...] = ()
    note_id: NoteId | None = None
    changes_id: NoteId | None = None

    @property
    def withholdings(self) -> tuple[Withholding, ...]:
        """What is withheld, each with its ground."""
        return tuple(
            Withholding.model_construct(item=each, ground=self.ground or "")
            if isinstance(each, str)
            else each
            for each in self.withhold
        )


class ApproveResponse(Act):
    """Approve what another person proposed, for one service or for all; with `draft`, only if that is still
    what waits for approval.
    """

    service: str | None = None
    draft: str | None = None


class ReturnProposal(Act):
    """Send a proposal back with a sealed reason, for one service or for all."""

    note_id: NoteId
    service: str | None = None


class TakeBackResponse(Act):
    """An approved answer is taken back, with a sealed reason; possible until its letter is posted.

    What was carried out in the register is undone, and the decision is made anew.
    """

    note_id: NoteId


class SendReceipt(Act):
    """Somebody who paid the fee wants a receipt."""


class Withdraw(Act):
    """The requester withdraws; possible until the answer is posted."""


class Reopen(Act):
    """A lapsed request goes on, for a sealed reason; possible within the pack's grace period."""

    note_id: NoteId


class Extend(Act):
    """Extend the time to answer once, to `until`, with a sealed reason and a letter."""

    until: date
    note_id: NoteId


class RecordMail(Act):
    """A letter was posted, delivered or returned, or nobody is sure; `on` defaults to today."""

    letter_id: str
    event: MailEvent
    tracking_number: str | None = None
    on: date | None = None
    note_id: NoteId | None = None


class ConfirmAddress(Act):
    """An officer has checked the address a letter came back from; by default that of the answer.

    With `envelope`, the number of one that proves another address, the answer is written to that one.
    """

    letter_id: str | None = None
    envelope: Annotated[int, Field(ge=1)] | None = None


class PlaceHold(Act):
    """Records of this request must not be destroyed, for the sealed reason."""

    note_id: NoteId


class ReleaseHold(Act):
    """The holds of this request are released."""


class Acknowledged(Message):
    """The answer to an act: where the request stands after it."""

    request_id: str
    phase: Phase


# ── status ────────────────────────────────────────────────────────────────────────────────────────────────


class Wait(Message):
    """What a request waits for, from whom, until when, and the clause that says so."""

    what: str
    who: str
    until: datetime | None = None
    clause: str | None = None


class Deadline(Message):
    """A date that matters, and why."""

    what: str
    on: date
    clause: str | None = None


class Milestone(Message):
    """One step of the timeline: what happened, on which day, who did it, and the clause it rests on."""

    on: date
    what: str
    by: str = "kaiji"
    clause: str | None = None
    ref: str | None = None


class ServiceStatus(Message):
    """One service of a request: whether data was found, what is proposed, and how it ended."""

    service: str
    located: bool | None = None
    decision: Decision | None = None
    ground: str | None = None
    withhold: tuple[Withholding, ...] = ()
    note_id: NoteId | None = None
    changes_id: NoteId | None = None
    draft_id: str | None = None
    proposed_by: str | None = None
    approved_by: str | None = None
    outcome: Outcome | None = None


class LetterStatus(Message):
    """One letter of a request and where it is."""

    letter_id: str
    kind: LetterKind
    queued_on: date
    state: LetterState = LetterState.QUEUED
    tracking_number: str | None = None
    posted_on: date | None = None
    ended_on: date | None = None
    postings: int = 0
    events: int = 0
    last_event: MailEvent | None = None


class HoldStatus(Message):
    """A legal hold on the records of a request."""

    number: int
    placed_by: str
    placed_on: date
    note_id: NoteId
    released_on: date | None = None


class Status(Message):
    """Everything `status` answers. `today` is the workflow's own day in Tokyo."""

    request_id: str
    today: date
    phase: Phase
    outcome: Outcome | None
    explanation: str
    waiting: Wait | None
    kind: Kind
    capacity: Capacity
    subject_matter: SubjectMatter
    language: Language
    pack_version: str
    opened_on: date
    received_on: date | None
    envelopes: int
    findings: tuple[Finding, ...]
    duplicates: tuple[str, ...] = ()
    duplicate_of: str | None = None
    standing_end: StandingEnd | None = None
    services: tuple[ServiceStatus, ...]
    draft: str | None = None  # what waits for approval, or was approved: changes with every word of it
    invoice_number: str | None
    payment_reference: str | None
    fee: Yen
    payments: Payments
    letters: tuple[LetterStatus, ...]
    holds: tuple[HoldStatus, ...]
    deadlines: tuple[Deadline, ...]
    clock: tuple[Stretch, ...]
    clock_used: int
    clock_allowance: int
    response_due: date | None
    records: tuple[Deadline, ...]
    timeline: tuple[Milestone, ...]


# ── deposits ──────────────────────────────────────────────────────────────────────────────────────────────


class AssignDeposit(Act):
    """An accounts clerk says which request a deposit in suspense belongs to."""

    request_id: RequestId


class RefundDeposit(Act):
    """An accounts clerk proposes to give back what is left of a deposit in suspense, or `amount` yen of it,
    to the account that is sealed under `account_id`.
    """

    account_id: str
    amount: Annotated[int, Field(gt=0)] | None = None


class DepositStatus(Message):
    """Where a deposit stands; one in suspense is to be cleared by `due_on`. `refund` is the one proposed."""

    source: str
    deposit_id: str
    state: str
    request_id: str | None = None
    suspense_reason: str | None = None
    due_on: date | None = None
    refund: str | None = None
    reminders: int = 0
