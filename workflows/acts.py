"""What reaches a request from outside: signals with facts, updates with people's decisions, and the status
query.

Handlers record what happened and wake the steps; they decide nothing. An update is refused at once with a
reason code: its validator checks where the request stands and who did what before, then the staff register is
asked and the audit trail written in one local activity, without which there is no act.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from uuid import NAMESPACE_OID, uuid5

from temporalio import workflow

from activities.casework import CaseActivities
from activities.messages import ActToRecord, HoldToRecord, MailToRecord, Scalar
from policy import clock, roles
from policy.checkdigits import normalize_tracking_number
from policy.demands import asked_for
from policy.findings import Finding
from policy.law import check_ground
from policy.mail import may_happen, state_after
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.vocabulary import Decision, Kind, LetterKind, MailEvent, Phase
from policy.withholding import check_withheld
from workflows.casework import Casework
from workflows.messages import (
    Acknowledged,
    Act,
    ApproveResponse,
    DocumentsReceived,
    Extend,
    HoldStatus,
    PaymentReceived,
    PlaceHold,
    ProposeResponse,
    RecordMail,
    ReleaseHold,
    ReturnProposal,
    ServiceStatus,
    Status,
    VerifyIdentity,
    Withdraw,
)
from workflows.recording import record, refuse
from workflows.status import status_of


def _opaque(update_id: str) -> str:
    """A client chooses the id of its update: it may hold anything, and the audit trail is kept longest."""
    return uuid5(NAMESPACE_OID, update_id).hex


class Acts(Casework):
    """The signals, updates and the query of a disclosure request."""

    def __init__(self) -> None:
        # One act at a time: nothing may slip between the check of an act and its effect.
        self._one_act = asyncio.Lock()

    # ── facts ─────────────────────────────────────────────────────────────────────────────────────────────
    # A signal without content, as anybody can send from the Temporal UI, says nothing and must fail nothing.

    @workflow.signal
    def documents_received(self, fact: DocumentsReceived | None = None) -> None:
        """An envelope came (§5(2)(5)); whoever is not sure to have been heard tells it again."""
        if fact is None or fact.envelope_id in self.case.heard:
            return
        self.case.heard = [*self.case.heard, fact.envelope_id]
        self.note("envelope_received", by="mailroom", clause="§5(2)(5)", ref=fact.envelope_id)

    def has_mail(self) -> bool:
        """Whether an envelope came that the rules have not looked at."""
        return len(self.case.heard) > self.case.looked_at

    @workflow.signal
    def payment_received(self, fact: PaymentReceived | None = None) -> None:
        """The ledger of deposits changed (§5(2)(6))."""
        if fact is None:
            return
        self.case.ledger_changes += 1
        self.note("deposit_noticed", clause="§5(2)(6)", ref=fact.deposit_id)

    # ── identity ──────────────────────────────────────────────────────────────────────────────────────────

    @workflow.update
    async def verify_identity(self, act: VerifyIdentity) -> Acknowledged:
        """An officer confirms the sender's identity or says what is missing (§5(2)(6))."""
        detail: dict[str, Scalar | list[str]] = {"deficient": act.deficient, "note": act.note_id}
        async with self._acting(roles.Act.VERIFY_IDENTITY, act, lambda: self._check_verify(act), detail):
            if act.deficient:
                self.case.asked_for = self.asked_for(act.codes)
            else:
                self.case.verified = True
            what = "documents_found_deficient" if act.deficient else "identity_verified"
            self.note(what, by=act.by, clause="§5(2)(6)")
        return self._acknowledged()

    @verify_identity.validator
    def _(self, act: VerifyIdentity) -> None:
        self._check_verify(act)

    def _check_verify(self, act: VerifyIdentity) -> None:
        self._check_phase("verify the identity", Phase.VERIFYING)
        if self.case.verified or self.case.asked_for:
            refuse(Code.WRONG_PHASE, "the documents have been judged already")
        if self.has_mail():
            refuse(Code.WRONG_PHASE, "another envelope has just come: the rules look at it first")
        if act.deficient:
            if not self.asked_for(act.codes):
                refuse(Code.NOTHING_TO_DECIDE, "the rules found nothing: name what is missing", "§5(2)(3)")
        elif self.case.findings and act.note_id is None:
            found = ", ".join(f"{f.code.value} {f.document}" for f in self.case.findings)
            message = f"the rules found: {found}; ask for it (--deficient), or accept it with a reason"
            refuse(Code.FINDINGS_OPEN, message, self.case.findings[0].clause, self.case.findings)

    # ── the decision ──────────────────────────────────────────────────────────────────────────────────────

    @workflow.update
    async def propose_response(self, act: ProposeResponse) -> Acknowledged:
        """An officer proposes a decision for one service or for all that have none."""
        detail: dict[str, Scalar | list[str]] = {
            "decision": act.decision.value,
            "service": act.service,
            "ground": act.ground,
            "withhold": list(act.withhold),
            "note": act.note_id,
        }
        async with self._acting(roles.Act.PROPOSE_RESPONSE, act, lambda: self._check_proposal(act), detail):
            for service in self._undecided(act.service):
                self.case.update_service(
                    service.service,
                    decision=act.decision,
                    ground=act.ground,
                    withhold=act.withhold,
                    note_id=act.note_id,
                    proposed_by=act.by,
                )
                self.note(f"{act.decision.value}_proposed", by=act.by, ref=service.service)
        return self._acknowledged()

    @propose_response.validator
    def _(self, act: ProposeResponse) -> None:
        self._check_proposal(act)

    def _check_proposal(self, act: ProposeResponse) -> None:
        self._check_phase("propose a response", Phase.PREPARING)
        self._check_service(act.service)
        if not self._undecided(act.service):
            refuse(Code.ALREADY_PROPOSED, "a decision is proposed already: return it first")
        if act.decision is not Decision.GRANT:
            if act.ground is None:
                refuse(Code.NO_GROUND, "a refusal, whole or in part, needs a legal ground (--ground CODE)")
            problem = check_ground(self.case.kind, act.ground)
            if problem is not None:
                refuse(Code.GROUND_NOT_APPLICABLE, problem)
            self._check_withheld(act)
        elif act.ground is not None or act.withhold:
            refuse(Code.GROUND_NOT_APPLICABLE, "what is granted in whole has no ground and withholds nothing")

    def _check_withheld(self, act: ProposeResponse) -> None:
        partial = act.decision is Decision.PARTIAL and self.case.kind is Kind.DISCLOSURE
        if partial != bool(act.withhold):
            refuse(
                Code.MALFORMED,
                "a disclosure in part names what it leaves out (--withhold), nothing else does",
            )
        problem = check_withheld(pack(self.case.terms.pack_version), act.withhold)
        if problem is not None:
            refuse(Code.MALFORMED, problem)

    @workflow.update
    async def approve_response(self, act: ApproveResponse) -> Acknowledged:
        """Another person than the one who proposed approves."""
        detail: dict[str, Scalar | list[str]] = {"service": act.service}
        async with self._acting(roles.Act.APPROVE_RESPONSE, act, lambda: self._check_approval(act), detail):
            for service in self._proposed(act.service):
                self.case.update_service(service.service, approved_by=act.by)
                self.note("approved", by=act.by, ref=service.service)
        return self._acknowledged()

    @approve_response.validator
    def _(self, act: ApproveResponse) -> None:
        self._check_approval(act)

    def _check_approval(self, act: ApproveResponse) -> None:
        self._check_phase("approve the response", Phase.APPROVING)
        self._check_service(act.service)
        if not self._proposed(act.service):
            refuse(Code.NOT_PROPOSED, "nothing is proposed that waits for approval")
        if any(service.proposed_by == act.by for service in self._proposed(act.service)):
            refuse(Code.SAME_PERSON, "who proposed a response cannot approve it: another approver must")

    @workflow.update
    async def return_proposal(self, act: ReturnProposal) -> Acknowledged:
        """An approver sends a proposal back with a reason."""
        detail: dict[str, Scalar | list[str]] = {"service": act.service, "note": act.note_id}
        async with self._acting(roles.Act.RETURN_PROPOSAL, act, lambda: self._check_return(act), detail):
            for service in self._proposed(act.service):
                self.case.update_service(
                    service.service,
                    decision=None,
                    ground=None,
                    withhold=(),
                    note_id=None,
                    proposed_by=None,
                    draft_id=None,
                )
                self.note("proposal_returned", by=act.by, ref=service.service)
        return self._acknowledged()

    @return_proposal.validator
    def _(self, act: ReturnProposal) -> None:
        self._check_return(act)

    def _check_return(self, act: ReturnProposal) -> None:
        self._check_phase("return the proposal", Phase.APPROVING)
        self._check_service(act.service)
        if not self._proposed(act.service):
            refuse(Code.NOT_PROPOSED, "nothing is proposed that could be returned")

    @workflow.update
    async def withdraw(self, act: Withdraw) -> Acknowledged:
        """The requester withdraws; an officer records it."""
        async with self._acting(roles.Act.WITHDRAW, act, self._check_withdrawal):
            self.case.withdrawn_on = self.today
            self.note("withdrawn", by=act.by)
        return self._acknowledged()

    @withdraw.validator
    def _(self, act: Withdraw) -> None:
        self._check_withdrawal()

    def _check_withdrawal(self) -> None:
        self._check_running()
        if not self.withdrawable or self.decided:
            refuse(Code.WRONG_PHASE, "the response is decided: it can no longer be withdrawn")

    @workflow.update
    async def extend(self, act: Extend) -> Acknowledged:
        """The time to answer is extended once, with a letter that says why."""
        detail: dict[str, Scalar | list[str]] = {"until": act.until.isoformat(), "note": act.note_id}
        async with self._acting(roles.Act.EXTEND, act, lambda: self._check_extension(act), detail):
            previous = self.response_due
            self.case.extensions += 1
            self.case.allowance = self._allowance_until(act)
            self.note("extended", by=act.by, ref=act.until.isoformat())
            letter = self.letter(
                LetterKind.EXTENSION, due_on=act.until, previous_due_on=previous, note_id=act.note_id
            )
            await self.send(letter, "§5(1)")
        return self._acknowledged()

    @extend.validator
    def _(self, act: Extend) -> None:
        self._check_extension(act)

    def _check_extension(self, act: Extend) -> None:
        self._check_running()
        if self.case.extensions >= self.case.terms.extensions:
            refuse(Code.EXTENSION_USED, "the time to answer has been extended as often as the pack allows")
        earliest = self._due_with(1)
        latest = self._due_with(self.case.terms.extension_business_days)
        if earliest is None or latest is None or self.case.phase in (Phase.POSTING, Phase.IN_TRANSIT):
            refuse(Code.WRONG_PHASE, "the clock does not run: there is nothing to extend")
        if not max(earliest, self.today) <= act.until <= latest:
            refuse(
                Code.MALFORMED,
                f"the new date must not be before today or {earliest}, nor after {latest}",
            )

    def _allowance_until(self, act: Extend) -> int:
        """The allowance, in business days, with which the answer is due on the new date or the first business
        day before it.
        """
        more = 0
        while (due := self._due_with(more + 1)) is not None and due <= act.until:
            more += 1
        return self.case.allowance + more

    def _due_with(self, more: int) -> date | None:
        """The day by which the answer is due with so many business days more; None while the clock stands."""
        return clock.due_on(self.case.clock, self.case.allowance + more, self.today)

    # ── mail and holds ────────────────────────────────────────────────────────────────────────────────────

    @workflow.update
    async def record_mail(self, act: RecordMail) -> Acknowledged:
        """A letter was posted, delivered or returned (§5(2)(7))."""
        on = act.on or self.today
        async with self._one_act:
            if not self._mail_is_news(act):
                return self._acknowledged()
            self._check_mail(act)
            tracking_number = self._tracking_number(act)
            await record(
                CaseActivities.record_mail,
                MailToRecord(
                    request_id=self.case.request_id,
                    by=act.by,
                    key=f"{act.letter_id}/{act.event.value}/{self._postings(act)}",
                    letter_id=act.letter_id,
                    event=act.event,
                    on=on,
                    tracking_number=tracking_number,
                    note_id=act.note_id,
                ),
            )
            letter = self.case.letter(act.letter_id)
            if letter is not None:
                posted = act.event is MailEvent.POSTED
                self.case.update_letter(
                    act.letter_id,
                    state=state_after(act.event),
                    tracking_number=tracking_number or letter.tracking_number,
                    posted_on=on if posted else letter.posted_on,
                    ended_on=None if posted else on,
                    postings=letter.postings + posted,
                )
            self.note(f"letter_{act.event.value}", by=act.by, clause="§5(2)(7)", ref=act.letter_id)
        return self._acknowledged()

    @record_mail.validator
    def _(self, act: RecordMail) -> None:
        if self._mail_is_news(act):
            self._check_mail(act)

    def _mail_is_news(self, act: RecordMail) -> bool:
        """False when just this event was recorded before: saying it again is no error and changes nothing."""
        letter = self.case.letter(act.letter_id)
        if letter is None or letter.state.value != act.event.value:
            return True
        return act.event is MailEvent.POSTED and letter.tracking_number != self._tracking_number(act)

    def _tracking_number(self, act: RecordMail) -> str | None:
        """The digits of what is written on a letter that is posted; None for any other event."""
        if act.event is not MailEvent.POSTED:
            return None
        try:
            return normalize_tracking_number(act.tracking_number or "")
        except ValueError as error:
            refuse(Code.BAD_TRACKING_NUMBER, f"a posted letter: {error}", "§5(2)(7)")

    def _check_mail(self, act: RecordMail) -> None:
        letter = self.case.letter(act.letter_id)
        if letter is None:
            refuse(Code.UNKNOWN_LETTER, f"request {self.case.request_id} has no such letter")
        if not may_happen(act.event, letter.state):
            refuse(
                Code.LETTER_STATE, f"the letter is {letter.state.value}: it cannot be {act.event.value} now"
            )
        self._tracking_number(act)
        if act.event is MailEvent.POSTED and letter.postings > self.case.terms.reposts:
            refuse(Code.LETTER_STATE, "the letter was re-posted as often as the pack allows: it is held")
        if act.event is MailEvent.RETURNED and act.note_id is None:
            refuse(Code.REASON_REQUIRED, "a returned letter has a reason")
        on, earliest = act.on or self.today, letter.posted_on or letter.queued_on
        if not earliest <= on <= self.today:
            refuse(Code.MALFORMED, f"the date must lie between {earliest} and today, {self.today}")

    def _postings(self, act: RecordMail) -> int:
        letter = self.case.letter(act.letter_id)
        return letter.postings if letter is not None else 0

    @workflow.update
    async def place_hold(self, act: PlaceHold) -> Acknowledged:
        """A legal hold: nothing of this request is destroyed until it is released (§1)."""
        async with self._one_act:
            self._check_not_destroyed()
            number = len(self.case.holds) + 1
            await record(
                CaseActivities.record_hold,
                HoldToRecord(
                    request_id=self.case.request_id,
                    by=act.by,
                    key=f"hold/{number}",
                    number=number,
                    on=self.today,
                    note_id=act.note_id,
                ),
            )
            hold = HoldStatus(number=number, placed_by=act.by, placed_on=self.today, note_id=act.note_id)
            self.case.holds = [*self.case.holds, hold]
            self.note("hold_placed", by=act.by, clause="§1", ref=str(number))
            self.publish()
        return self._acknowledged()

    @place_hold.validator
    def _(self, act: PlaceHold) -> None:
        self._check_not_destroyed()

    @workflow.update
    async def release_hold(self, act: ReleaseHold) -> Acknowledged:
        """Every hold on this request is released."""
        async with self._one_act:
            self._check_held()
            for hold in self.case.holds:
                if hold.released_on is None:
                    await record(
                        CaseActivities.record_hold,
                        HoldToRecord(
                            request_id=self.case.request_id,
                            by=act.by,
                            key=f"hold/{hold.number}/released",
                            number=hold.number,
                            on=self.today,
                            release=True,
                        ),
                    )
            self.case.holds = [
                hold if hold.released_on else hold.model_copy(update={"released_on": self.today})
                for hold in self.case.holds
            ]
            self.note("hold_released", by=act.by, clause="§1")
            self.publish()
        return self._acknowledged()

    @release_hold.validator
    def _(self, act: ReleaseHold) -> None:
        self._check_held()

    def _check_held(self) -> None:
        if not self.case.held:
            refuse(Code.NOTHING_TO_DECIDE, "no hold stands on this request")

    # ── status ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.query
    def status(self, today: date | None = None) -> Status:
        """Where the request stands, what it waits for, its clock and its timeline.

        Between two events a workflow does not know what day it is: whoever asks may say it (`today`).
        """
        day = max(today or self.today, self.today)
        due = clock.due_on(self.case.clock, self.case.allowance, day)
        return status_of(self.case, self.waiting, today=day, response_due=due)

    # ── checks and records ────────────────────────────────────────────────────────────────────────────────

    @property
    def decided(self) -> bool:
        """Whether every service in which data was found has an approved decision."""
        return bool(self.case.in_play) and all(service.approved_by for service in self.case.in_play)

    def _undecided(self, name: str | None) -> list[ServiceStatus]:
        return [s for s in self.case.in_play if s.decision is None and name in (None, s.service)]

    def _proposed(self, name: str | None) -> list[ServiceStatus]:
        return [
            s for s in self.case.in_play if s.decision and not s.approved_by and name in (None, s.service)
        ]

    def asked_for(self, codes: tuple[str, ...]) -> list[Finding]:
        """What a deficiency letter would ask for. Refuses what the policy does not list."""
        case = self.case
        try:
            return asked_for(case.findings, pack(case.terms.pack_version), case.capacity, codes)
        except Refusal as refusal:
            refuse(refusal.code, refusal.message, refusal.clause)

    def _check_running(self) -> None:
        if self.case.outcome is not None:
            refuse(Code.ENDED, f"the request is over: {self.case.outcome.value}")
        if self.case.withdrawn_on is not None:
            refuse(Code.ENDED, "the request is withdrawn")

    def _check_phase(self, what: str, phase: Phase) -> None:
        self._check_running()
        if self.case.phase is not phase:
            refuse(
                Code.WRONG_PHASE,
                f"to {what}, the request must be {phase.value}; it is {self.case.phase.value}",
            )

    def _check_service(self, name: str | None) -> None:
        if name is not None and all(service.service != name for service in self.case.in_play):
            refuse(Code.NOT_FOUND, f"no data was found in a service {name} of this request")

    def _check_not_destroyed(self) -> None:
        if self.case.phase is Phase.DESTROYED:
            refuse(Code.ENDED, "all records of this request are destroyed")

    @asynccontextmanager
    async def _acting(
        self,
        kind: roles.Act,
        act: Act,
        check: Callable[[], None],
        detail: dict[str, Scalar | list[str]] | None = None,
    ) -> AsyncIterator[None]:
        """Check, ask the register, write the audit trail; what stands in the block is the act's effect."""
        async with self._one_act:
            check()
            update = workflow.current_update_info()
            await record(
                CaseActivities.record_act,
                ActToRecord(
                    request_id=self.case.request_id,
                    act=kind.value,
                    by=act.by,
                    key=f"{kind.value}/{_opaque(update.id if update else '')}",
                    on=self.today,
                    detail=detail or {},
                ),
            )
            check()  # an outage may have kept the register waiting while a deadline passed
            yield

    def _acknowledged(self) -> Acknowledged:
        return Acknowledged(request_id=self.case.request_id, phase=self.case.phase)
