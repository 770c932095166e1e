"""The state of one request: what is carried from its first day through continue-as-new to its destruction.

Lists stand where one is a special case of many. New fields are optional; none is ever renamed.
"""

from collections.abc import Iterable
from datetime import date

from pydantic import BaseModel, ConfigDict

from activities.messages import Assessed, Invoice, Payments
from policy.clock import Clock
from policy.deadlines import Terms
from policy.findings import Finding
from policy.vocabulary import (
    ANSWERS,
    Capacity,
    Kind,
    Language,
    LetterKind,
    LetterState,
    Outcome,
    Phase,
    RecordClass,
    StandingEnd,
    SubjectMatter,
)
from workflows.messages import HoldStatus, LetterStatus, Milestone, ServiceStatus


class RecordStatus(BaseModel):
    """One record class of a closed request: when it expires, under which rule, and when it was destroyed."""

    model_config = ConfigDict(frozen=True)

    record_class: RecordClass
    on: date
    rule: str
    clause: str
    destroyed_on: date | None = None


class Case(BaseModel):
    """A request as its workflow knows it: no name, no address, no free text. Also the workflow's input."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    request_id: str
    opened_on: date
    kind: Kind
    terms: Terms
    capacity: Capacity = Capacity.SELF
    subject_matter: SubjectMatter = SubjectMatter.CUSTOMER
    language: Language = Language.JA
    services: list[ServiceStatus]

    phase: Phase = Phase.AWAITING_DOCUMENTS
    outcome: Outcome | None = None
    closed_on: date | None = None

    # documents: ids of the envelopes heard of, how many the rules looked at, how many the case file has
    heard: list[str] = []
    looked_at: int = 0
    envelopes: int = 0
    received_on: date | None = None
    arrived_on: date | None = None
    findings: list[Finding] = []
    complete: bool = False
    originals: int = 0
    duplicates: tuple[str, ...] = ()
    struck_out: bool = False  # since the rules last looked
    verified: bool = False
    asked_for: list[Finding] = []
    documents_due: date | None = None

    # money
    invoice: Invoice | None = None
    invoiced_on: date | None = None
    ledger_changes: int = 0
    ledger_read: int = 0
    payments: Payments = Payments(invoiced=0, received=0, paid=False)

    # the answer
    drafts: int = 0
    answer: str | None = None  # id of the letter that answers
    returns: int = 0  # how often an answer came back
    addresses: int = 0  # how often another address was proven
    answer_address: int = 0  # which of them the answer is written to
    allowance: int  # business days to answer in
    extensions: int = 0

    # an end before an answer, and going on after it
    ending: Outcome | None = None
    standing_end: StandingEnd | None = None
    duplicate_of: str | None = None
    reopenings: int = 0
    reopened_on: date | None = None
    reopening: bool = False  # until the requester is told what is expected

    letters: list[LetterStatus] = []
    holds: list[HoldStatus] = []
    clock: Clock = ()
    records: list[RecordStatus] = []
    timeline: list[Milestone] = []

    @property
    def held(self) -> bool:
        """Whether an unreleased hold stands against destruction."""
        return any(hold.released_on is None for hold in self.holds)

    @property
    def owes(self) -> bool:
        """Whether the answer went out and its fee is not paid: the bank took it back since (§5(2)(6))."""
        return self.invoice is not None and self.answer_left and not self.payments.paid

    @property
    def in_play(self) -> list[ServiceStatus]:
        """The services in which data was found: those a decision is made about."""
        return [service for service in self.services if service.located]

    def take(self, found: Assessed) -> None:
        """Take over what the rules said of the documents; the first time, also what the form asks for
        (§5(2)(2)).

        A request is decided by the policy in force on the day it was first received.
        """
        if self.received_on is None:
            self.terms = found.terms
            self.allowance = found.terms.response_business_days
            self.capacity = found.capacity
            self.subject_matter = found.subject_matter
            self.language = found.language
            self.services = [ServiceStatus(service=name) for name in found.services]
        self.envelopes = found.envelopes
        self.received_on = found.received_on
        self.arrived_on = found.arrived_on
        self.complete = found.complete
        self.findings = list(found.findings)
        self.originals = found.originals
        self.duplicates = found.duplicates

    def combined_outcome(self) -> Outcome:
        """How the request ended, all services together."""
        outcomes = {service.outcome for service in self.in_play or self.services}
        if len(outcomes) == 1:
            return outcomes.pop() or Outcome.PARTIAL
        return Outcome.PARTIAL

    def service(self, name: str) -> ServiceStatus | None:
        """The named service of this request."""
        return next((service for service in self.services if service.service == name), None)

    def letter(self, letter_id: str) -> LetterStatus | None:
        """The letter with this id."""
        return next((letter for letter in self.letters if letter.letter_id == letter_id), None)

    def update_service(self, name: str, **changes: object) -> None:
        """Change what is known of one service."""
        self.services = [s.model_copy(update=changes) if s.service == name else s for s in self.services]

    def update_letter(self, letter_id: str, **changes: object) -> None:
        """Change what is known of one letter."""
        self.letters = [x.model_copy(update=changes) if x.letter_id == letter_id else x for x in self.letters]

    def undecide(self, services: Iterable[ServiceStatus]) -> None:
        """Forget what was proposed and approved for these services: they are decided anew."""
        for service in services:
            self.update_service(
                service.service,
                decision=None,
                ground=None,
                withhold=(),
                note_id=None,
                changes_id=None,
                proposed_by=None,
                approved_by=None,
                draft_id=None,
                outcome=None,
            )

    def letters_of(self, *kinds: LetterKind) -> list[LetterStatus]:
        """The letters of these kinds, the oldest first."""
        return [letter for letter in self.letters if letter.kind in kinds]

    def queued(self, *kinds: LetterKind) -> list[str]:
        """The ids of letters of these kinds, or of any where none is named, that wait to be posted."""
        return [
            letter.letter_id
            for letter in self.letters
            if letter.state is LetterState.QUEUED and (not kinds or letter.kind in kinds)
        ]

    @property
    def answer_left(self) -> bool:
        """Whether an answer has left the house, or may have."""
        return any(
            letter.postings > 0 or letter.state is LetterState.UNKNOWN for letter in self.letters_of(*ANSWERS)
        )
