"""Requests driven by people who do not know that processes die: who is told to repeat, repeats.

A `Course` says how a request goes; `drive` does the next step for whatever it waits for, until it is where
the test wants it. What became of it is told by `outcome_of`, to be compared with a request left in peace.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from temporalio.service import RPCError

from policy.refusals import Code, Refusal
from policy.vocabulary import Decision, MailEvent, Phase
from runtime.errors import Unreachable
from tests.e2e.driving import Dev, envelope, payment, tracking_number
from workflows import messages as m
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import Status

PATIENCE = 150.0
# Audited each time somebody says so: when Temporal dies with an act in its memory, they say it again. Its
# effect, in the timeline, is there once.
_SAID = {"verify_identity", "propose_response", "approve_response", "withdraw"}
# What a repeat is answered when the first attempt had its effect, though nobody heard of it.
_DONE_BY_THEN = {Code.WRONG_PHASE, Code.ALREADY_PROPOSED, Code.NOT_PROPOSED, Code.LETTER_STATE, Code.ENDED}


@dataclass
class Course:
    """One request and the people around it; each does what they do in the same words however often."""

    dev: Dev
    name: str = "straight"
    request_id: str = ""
    status: Status | None = None
    kept: int | None = None

    def __post_init__(self) -> None:
        self.request_id = self.dev.receive(self._first_envelope())
        self._rest = envelope(request_id=self.request_id)
        self._rest["documents"] = self._rest["documents"][2:]
        self._deposit: dict[str, Any] | None = None
        self._tracking = tracking_number()

    def _first_envelope(self) -> dict[str, Any]:
        content = envelope()
        if self.name == "deficient":
            content["documents"] = content["documents"][:2]
        return content

    def arrived(self, status: Status) -> bool:
        """Answered or over, and its records kept; where they were already, some of them destroyed."""
        kept = self.kept if self.kept is not None else len(status.records) + 1
        return in_phase(Phase.RETAINED)(status) and len(status.records) < kept

    def step(self, status: Status) -> None:
        """Do what the request waits for. Raises `Refusal`, `Unreachable`."""
        inside, request_id = self.dev.inside, self.request_id
        match status.waiting.what if status.waiting else None:
            case "verification" if status.findings:
                act = m.VerifyIdentity(by="officer-1", deficient=True)
                inside.act(request_id, DisclosureRequest.verify_identity, act)
            case "verification":
                inside.verify(request_id)
            case "missing_documents":
                inside.receive(self._rest, self.dev.inbox)
            case "payment" if self.name == "withdrawn":
                inside.act(request_id, DisclosureRequest.withdraw, m.Withdraw(by="officer-1"))
            case "payment":
                self._pay(status)
            case "proposal":
                proposal = m.ProposeResponse(by="officer-1", decision=Decision.GRANT)
                inside.act(request_id, DisclosureRequest.propose_response, proposal)
            case "approval":
                approval = m.ApproveResponse(by="approver-1")
                inside.act(request_id, DisclosureRequest.approve_response, approval)
            case "posting":
                inside.mail(status.letters[-1].letter_id, MailEvent.POSTED, self._tracking)
            case "delivery":
                inside.mail(status.letters[-1].letter_id, MailEvent.DELIVERED)
            case "retention":
                inside.advance(request_id, timedelta(days=1000))

    def _pay(self, status: Status) -> None:
        if self._deposit is None:
            self._deposit = payment(status.payment_reference or "")
        try:
            answer = self.dev.deposit(self._deposit)
        except httpx.HTTPError:
            raise Unreachable("gateway", "it went away") from None
        if answer.status_code == 503:
            raise Unreachable("gateway", "repeat")
        assert answer.status_code == 202, answer.text

    def drive(self, arrived: Callable[[Status], bool]) -> Status:
        """Go on until the request has arrived, whatever happens to the processes meanwhile."""
        deadline = time.monotonic() + PATIENCE
        before = None
        while time.monotonic() < deadline:
            try:
                status = self.dev.inside.status(self.request_id)
                if arrived(status):
                    return status
                if status.waiting is None or status.waiting == before:
                    before = None  # at work; or told, and about to be: told again next time
                    time.sleep(0.2)
                    continue
                before = status.waiting
                self.step(status)
            except (Unreachable, RPCError, TimeoutError):
                before = None
                time.sleep(0.2)
            except Refusal as refusal:
                if refusal.code not in _DONE_BY_THEN | {Code.SERVICE_UNREACHABLE}:
                    raise
                time.sleep(0.1)
        raise TimeoutError(f"{self.name} {self.request_id} did not arrive")


def waits_for(what: str) -> Callable[[Status], bool]:
    return lambda status: status.waiting is not None and status.waiting.what == what


def in_phase(phase: Phase) -> Callable[[Status], bool]:
    """In a phase and at rest."""
    return lambda status: status.phase is phase and (phase is Phase.DESTROYED or status.waiting is not None)


@dataclass(frozen=True)
class Outcome:
    """All that a request has brought about, without ids and moments."""

    outcome: str | None
    letters: list[tuple[str, str, str]]
    invoices: list[tuple[int, str]]
    payments: tuple[int, int, bool]
    gathered: int
    sealed: dict[str, int]
    acts: Counter[str]
    said: set[str]
    timeline: Counter[str]


def outcome_of(dev: Dev, request_id: str) -> Outcome:
    """What became of a request, by the records and by its own account."""
    rows, status = dev.inside.rows, dev.inside.status(request_id)
    letters = rows(
        "SELECT id, kind, state, record_class FROM letters WHERE request_id = :id ORDER BY id", id=request_id
    )
    assert [id for id, *_ in letters] == [f"{request_id}-L{n:02d}" for n in range(1, len(letters) + 1)]
    acts = rows("SELECT act FROM audit WHERE case_id = :id", id=request_id)
    sealed = rows("SELECT label, count(*) FROM vault WHERE case_id = :id GROUP BY label", id=request_id)
    invoices = rows("SELECT total, state FROM invoices WHERE request_id = :id", id=request_id)
    gathered = rows(
        "SELECT count(*) FROM notes WHERE request_id = :id AND purpose = 'gathered'", id=request_id
    )
    return Outcome(
        outcome=status.outcome,
        letters=[(kind, state, record_class) for _, kind, state, record_class in letters],
        invoices=[(total, state) for total, state in invoices],
        payments=(status.payments.invoiced, status.payments.received, status.payments.paid),
        gathered=gathered[0][0],
        sealed=dict(tuple(row) for row in sealed),
        acts=Counter(act for (act,) in acts if act not in _SAID),
        said={act for (act,) in acts} & _SAID,
        timeline=Counter(step.what for step in status.timeline),
    )


def certified(dev: Dev, request_id: str) -> dict[str, Any]:
    """What was destroyed of a request, by class: how many sealed records and rows of each sort."""
    found = dev.inside.rows(
        "SELECT record_class, counts FROM certificates WHERE request_id = :id", id=request_id
    )
    return dict(tuple(row) for row in found)
