"""Requests driven by people who do not know that processes die: who is told to repeat, repeats.

A `Course` says how a request goes; `drive` does the next step for whatever it waits for, until it is where
the test wants it. What became of it is told by `outcome_of`, to be compared with a request left in peace.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
from temporalio.service import RPCError

from policy import roles
from policy.holdings import parse_holdings
from policy.refusals import Code, Refusal
from policy.vocabulary import Capacity, CustodyEvent, Decision, MailEvent, Phase
from policy.vocabulary import Outcome as RequestOutcome
from records import holdings
from runtime.errors import Unreachable
from starter.changes import seal_changes
from starter.reasons import seal_reason
from tests.e2e.driving import SAMPLE_PERSON, Dev, envelope, payment, today, tracking_number
from tests.workflows.world import PROXY, documents
from workflows import messages as m
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import Status

PATIENCE = 240.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 1.0
"""Between two looks at a request, in seconds: many that look often leave the servers little to work with."""
# Audited each time somebody says so: when Temporal dies with an act in its memory, they say it again. Its
# effect, in the timeline, is there once.
_SAID = {
    *("verify_identity", "propose_response", "approve_response", "withdraw"),
    *("response_taken_back", "confirm_address", "reopen", "record_document"),
}
# Said again, it is refused as done and has no milestone: the documents are checked again.
_SAID_OR_DONE = {"document_struck_out"}
# What a repeat is answered when the first attempt had its effect, though nobody heard of it.
_DONE_BY_THEN = {Code.WRONG_PHASE, Code.ALREADY_PROPOSED, Code.NOT_PROPOSED, Code.LETTER_STATE, Code.ENDED}
_DONE_BY_THEN |= {Code.NOT_LAPSED, Code.NOTHING_TO_DECIDE}
MOVED = SAMPLE_PERSON | {"address": "大阪府大阪市北区梅田1-1-1", "postal_code": "530-0001"}


@dataclass
class Course:
    """One request and the people around it; each does what they do in the same words however often."""

    dev: Dev
    name: str = "straight"
    request_id: str = ""
    status: Status | None = None
    kept: int | None = None

    def __post_init__(self) -> None:
        first = self._first_envelope()
        self.request_id = self.dev.receive(first)
        self._rest = envelope(request_id=self.request_id)
        self._rest["documents"] = self._rest["documents"][2:]
        self._moved = first | {
            "request_id": self.request_id,
            "principal": MOVED,
            "tracking_number": tracking_number(),
        }
        self._deposit: dict[str, Any] | None = None
        self._tracking: dict[str, str] = {}
        self._sealed: dict[str, str] = {}

    def _first_envelope(self) -> dict[str, Any]:
        match self.name:
            case "deficient" | "reopened":
                return envelope(documents=envelope()["documents"][:2])
            case "amended":
                return envelope(kind="amendment", amendment="correction", principal=customer(self.dev))
            case "proxy":
                papers = documents(Capacity.PROXY, today())
                return envelope(capacity="proxy", applicant=PROXY, documents=papers)
        return envelope()

    def arrived(self, status: Status) -> bool:
        """Answered or over, and its records kept; where they were already, some of them destroyed."""
        if self.name == "reopened" and status.outcome is RequestOutcome.LAPSED_DOCUMENTS:
            return False
        kept = self.kept if self.kept is not None else len(status.records) + 1
        return in_phase(Phase.RETAINED)(status) and len(status.records) < kept

    def step(self, status: Status) -> None:
        """Do what the request waits for. Raises `Refusal`, `Unreachable`."""
        inside, request_id = self.dev.inside, self.request_id
        happened = {milestone.what for milestone in status.timeline}
        to_strike = self.name == "struck" and "documents_found_deficient" not in happened
        match status.waiting.what if status.waiting else None:
            case "verification" if status.findings:
                act = m.VerifyIdentity(by="officer-1", deficient=True)
                inside.act(request_id, DisclosureRequest.verify_identity, act)
            case "verification" if to_strike:
                striking = m.RecordDocument(
                    by="officer-1",
                    document=3,
                    event=CustodyEvent.STRUCK_OUT,
                    note_id=self._note(roles.Act.RECORD_DOCUMENT, "officer-1"),
                )
                inside.act(request_id, DisclosureRequest.record_document, striking)
            case "verification":
                inside.verify(request_id)
            case "missing_documents" if self.name == "reopened" and "reopened" not in happened:
                inside.advance(request_id, timedelta(days=31))
            case "missing_documents":
                inside.receive(self._rest, self.dev.inbox)
            case "payment" if self.name == "withdrawn":
                inside.act(request_id, DisclosureRequest.withdraw, m.Withdraw(by="officer-1"))
            case "payment":
                self._pay(status)
            case "proposal":
                changes = self._changes() if self.name == "amended" else None
                proposal = m.ProposeResponse(by="officer-1", decision=Decision.GRANT, changes_id=changes)
                inside.act(request_id, DisclosureRequest.propose_response, proposal)
            case "approval":
                approval = m.ApproveResponse(by="approver-1")
                inside.act(request_id, DisclosureRequest.approve_response, approval)
            case "posting" if self.name == "amended" and "response_taken_back" not in happened:
                note = self._note(roles.Act.TAKE_BACK_RESPONSE, "approver-1")
                taking_back = m.TakeBackResponse(by="approver-1", note_id=note)
                inside.act(request_id, DisclosureRequest.take_back_response, taking_back)
            case "posting" | "originals":
                letter_id = status.letters[-1].letter_id
                number = self._tracking.setdefault(letter_id, tracking_number())
                inside.mail(letter_id, MailEvent.POSTED, number)
            case "delivery" if self.name == "readdressed" and "letter_returned" not in happened:
                inside.receive(self._moved, self.dev.inbox)
                returned = m.RecordMail(
                    by="mailroom-1",
                    letter_id=status.letters[-1].letter_id,
                    event=MailEvent.RETURNED,
                    note_id=self._note(roles.Act.RECORD_MAIL, "mailroom-1"),
                )
                inside.act(request_id, DisclosureRequest.record_mail, returned)
            case "delivery":
                inside.mail(status.letters[-1].letter_id, MailEvent.DELIVERED)
            case "address":
                confirming = m.ConfirmAddress(by="officer-1", envelope=2)
                inside.act(request_id, DisclosureRequest.confirm_address, confirming)
            case "retention" if self.name == "reopened" and status.outcome is RequestOutcome.LAPSED_DOCUMENTS:
                reopening = m.Reopen(by="officer-1", note_id=self._note(roles.Act.REOPEN, "officer-1"))
                inside.act(request_id, DisclosureRequest.reopen, reopening)
            case "retention":
                # the mail room is reminded every week of originals that lie there
                days = 40 if self.name == "proxy" and "destroyed" not in happened else 1000
                inside.advance(request_id, timedelta(days=days))

    def _note(self, act: roles.Act, by: str) -> str:
        """Why somebody acts, sealed once."""
        if act not in self._sealed:
            inside = self.dev.inside
            sealing = seal_reason(inside.database, self.request_id, "理由", by=by, act=act)
            self._sealed[act] = inside.run(sealing)
        return self._sealed[act]

    def _changes(self) -> str:
        """What is to be changed, sealed once."""
        if "changes" not in self._sealed:
            inside, content = (
                self.dev.inside,
                b'{"changes": [{"item": "identity.fax", "to": "03-9999-0000"}]}',
            )
            self._sealed["changes"] = inside.run(
                seal_changes(inside.database, inside.keyring, self.request_id, None, content, by="officer-1")
            )
        return self._sealed["changes"]

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
        before, again, pause = None, False, SHORTEST_PAUSE
        while time.monotonic() < deadline:
            try:
                status = self.dev.inside.status(self.request_id)
                if arrived(status):
                    return status
                if status.waiting is not None and (again or status.waiting != before):
                    if status.waiting != before:
                        pause = SHORTEST_PAUSE
                    before, again = status.waiting, False
                    self.step(status)
                    continue
            except (Unreachable, RPCError, TimeoutError):
                pass
            except Refusal as refusal:
                if refusal.code not in _DONE_BY_THEN | {Code.SERVICE_UNREACHABLE}:
                    raise
            again = True  # at work; or told, and about to be: told again next time
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise TimeoutError(f"{self.name} {self.request_id} did not arrive")


def customer(dev: Dev) -> dict[str, Any]:
    """Somebody in the register whom no other request is about."""
    number = tracking_number()
    who = SAMPLE_PERSON | {"name": f"障害 {number}", "customer_number": f"C{number}"}
    categories = {"identity": {"name": who["name"], "fax": "03-0000-0000"}}
    content = json.dumps({"holdings": [{**who, "service": "gmo-appscloud", "categories": categories}]})

    async def take_in() -> None:
        inside = dev.inside
        async with inside.database.begin() as conn:
            file = parse_holdings(content)
            await holdings.import_file(
                conn, inside.database.vault, inside.keyring, file, by="manager-1", on=date(2018, 11, 1)
            )

    dev.inside.run(take_in())
    return who


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
    # not the reasons: whoever says something again may give its reason again
    sealed = rows(
        "SELECT label, count(*) FROM vault WHERE case_id = :id AND label <> 'note' GROUP BY label",
        id=request_id,
    )
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
        timeline=Counter(step.what for step in status.timeline if step.what not in _SAID_OR_DONE),
    )


def certified(dev: Dev, request_id: str) -> dict[str, Any]:
    """What was destroyed of a request, by class: how many sealed records and rows of each sort."""
    found = dev.inside.rows(
        "SELECT record_class, counts FROM certificates WHERE case_id = :id", id=request_id
    )
    return dict(tuple(row) for row in found)
