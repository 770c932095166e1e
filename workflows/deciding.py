"""Acts about the answer: proposed by one, approved by another, taken back, put off (§5(1), and the law)."""

from datetime import date
from uuid import NAMESPACE_OID, uuid5

from temporalio import workflow

from activities.casework import CaseActivities
from activities.messages import ResponseToTakeBack
from policy import clock, roles
from policy.law import ALTERNATIVE_MEASURES, check_ground
from policy.refusals import Code
from policy.registry import pack
from policy.vocabulary import Decision, Kind, LetterKind, LetterState, Phase
from policy.withholding import check_withheld
from workflows.acting import Acting, Detail
from workflows.messages import (
    Acknowledged,
    ApproveResponse,
    Extend,
    ProposeResponse,
    ReturnProposal,
    TakeBackResponse,
)
from workflows.recording import record, refuse


class Deciding(Acting):
    """The updates about the answer."""

    # ── a proposal ────────────────────────────────────────────────────────────────────────────────────────

    @workflow.update
    async def propose_response(self, act: ProposeResponse) -> Acknowledged:
        """An officer proposes a decision for one service or for all that have none."""
        detail: Detail = {
            "decision": act.decision.value,
            "service": act.service,
            "ground": act.ground,
            "withhold": [f"{each.item}={each.ground}" for each in act.withholdings],
            "note": act.note_id,
            "changes": act.changes_id,
        }
        async with self.acting(roles.Act.PROPOSE_RESPONSE, act, lambda: self._check_proposal(act), detail):
            alternative = act.decision is Decision.ALTERNATIVE
            for service in self.undecided(act.service):
                self.case.update_service(
                    service.service,
                    decision=act.decision,
                    ground=ALTERNATIVE_MEASURES if alternative else act.ground,
                    withhold=act.withholdings,
                    note_id=act.note_id,
                    changes_id=act.changes_id,
                    proposed_by=act.by,
                )
                self.note(f"{act.decision.value}_proposed", by=act.by, ref=service.service)
        return self.acknowledged()

    @propose_response.validator
    def _validate_propose_response(self, act: ProposeResponse) -> None:
        self._check_proposal(act)

    def _check_proposal(self, act: ProposeResponse) -> None:
        self.check_phase("propose a response", Phase.PREPARING)
        self.check_service(act.service)
        if not self.undecided(act.service):
            refuse(Code.ALREADY_PROPOSED, "a decision is proposed already: return it first")
        self._check_changes(act)
        self._check_withheld(act)
        if act.decision is Decision.GRANT:
            if act.ground is not None:
                refuse(Code.GROUND_NOT_APPLICABLE, "what is granted in whole has no ground")
        elif act.decision is Decision.ALTERNATIVE:
            self._check_alternative(act)
        elif act.decision is Decision.PARTIAL and self.case.kind is Kind.CESSATION and act.note_id is None:
            refuse(
                Code.REASON_REQUIRED,
                "say what is done by hand, and what not (--reason TEXT)",
            )
        elif act.ground is not None:
            self._check_ground(act.ground)
        elif act.decision is Decision.REFUSE or not act.withhold:
            refuse(Code.NO_GROUND, "a refusal, whole or in part, needs a legal ground (--ground CODE)")

    def _check_ground(self, ground: str) -> None:
        if not ground:
            refuse(
                Code.NO_GROUND, "what is left out needs a legal ground of its own, or --ground for all of it"
            )
        problem = check_ground(self.case.kind, ground)
        if problem is not None:
            refuse(Code.GROUND_NOT_APPLICABLE, problem)

    def _check_alternative(self, act: ProposeResponse) -> None:
        if self.case.kind is not Kind.CESSATION:
            refuse(
                Code.GROUND_NOT_APPLICABLE,
                "other measures may take the place of a cessation, of nothing else",
            )
        if act.ground not in (None, ALTERNATIVE_MEASURES):
            refuse(Code.GROUND_NOT_APPLICABLE, f"the ground of an alternative is {ALTERNATIVE_MEASURES}")
        if act.note_id is None:
            refuse(Code.REASON_REQUIRED, "say which measures take the place of the cessation (--reason TEXT)")

    def _check_changes(self, act: ProposeResponse) -> None:
        if act.changes_id is None:
            return
        carried_out = act.decision in (Decision.GRANT, Decision.PARTIAL)
        if self.case.kind is not Kind.AMENDMENT or not carried_out:
            refuse(Code.MALFORMED, "only an amendment that is carried out, whole or in part, names changes")

    def _check_withheld(self, act: ProposeResponse) -> None:
        if act.decision is Decision.PARTIAL and self.case.kind is Kind.DISCLOSURE and not act.withhold:
            refuse(Code.MALFORMED, "a disclosure in part names what it leaves out (--withhold)")
        if act.withhold and act.decision is not Decision.PARTIAL:
            refuse(Code.MALFORMED, "only a decision in part leaves something out (--withhold)")
        items = [each.item for each in act.withholdings]
        if len(set(items)) < len(items):
            refuse(Code.MALFORMED, "each thing that is left out is named once")
        problem = check_withheld(pack(self.case.terms.pack_version), items)
        if problem is not None:
            refuse(Code.MALFORMED, problem)
        for each in act.withholdings:
            self._check_ground(each.ground)

    # ── approved by another person, or sent back ──────────────────────────────────────────────────────────

    @workflow.update
    async def approve_response(self, act: ApproveResponse) -> Acknowledged:
        """Another person than the one who proposed approves."""
        detail: Detail = {"service": act.service, "draft": self.draft}
        async with self.acting(roles.Act.APPROVE_RESPONSE, act, lambda: self._check_approval(act), detail):
            for service in self.proposed(act.service):
                self.case.update_service(service.service, approved_by=act.by)
                self.note("approved", by=act.by, ref=service.service)
        return self.acknowledged()

    @approve_response.validator
    def _validate_approve_response(self, act: ApproveResponse) -> None:
        self._check_approval(act)

    def _check_approval(self, act: ApproveResponse) -> None:
        self.check_phase("approve the response", Phase.APPROVING)
        self.check_service(act.service)
        if not self.proposed(act.service):
            refuse(Code.NOT_PROPOSED, "nothing is proposed that waits for approval")
        if any(service.proposed_by == act.by for service in self.proposed(act.service)):
            refuse(Code.SAME_PERSON, "who proposed a response cannot approve it: another approver must")
        if act.draft is not None and act.draft != self.draft:
            refuse(Code.STALE_DRAFT, f"what waits for approval now is draft {self.draft}: read that first")

    @property
    def draft(self) -> str | None:
        """A short name of all drafts as they are: another one as soon as a word of them changes."""
        drafts = [service.draft_id for service in self.case.in_play if service.draft_id]
        return uuid5(NAMESPACE_OID, " ".join(drafts)).hex[:8] if drafts else None

    @workflow.update
    async def return_proposal(self, act: ReturnProposal) -> Acknowledged:
        """An approver sends a proposal back with a reason."""
        detail: Detail = {"service": act.service, "note": act.note_id}
        async with self.acting(roles.Act.RETURN_PROPOSAL, act, lambda: self._check_return(act), detail):
            returned = self.proposed(act.service)
            self.case.undecide(returned)
            for service in returned:
                self.note("proposal_returned", by=act.by, ref=service.service)
        return self.acknowledged()

    @return_proposal.validator
    def _validate_return_proposal(self, act: ReturnProposal) -> None:
        self._check_return(act)

    def _check_return(self, act: ReturnProposal) -> None:
        self.check_phase("return the proposal", Phase.APPROVING)
        self.check_service(act.service)
        if not self.proposed(act.service):
            refuse(Code.NOT_PROPOSED, "nothing is proposed that could be returned")

    # ── taken back, as long as it is in the house ─────────────────────────────────────────────────────────

    @workflow.update
    async def take_back_response(self, act: TakeBackResponse) -> Acknowledged:
        """An approved answer is taken back before it is posted: letter cancelled, changes undone."""
        async with self.one_act:
            answer = self._check_taking_back()
            await record(
                CaseActivities.take_back_response,
                ResponseToTakeBack(
                    request_id=self.case.request_id,
                    by=act.by,
                    key=self.act_key(roles.Act.TAKE_BACK_RESPONSE),
                    on=self.today,
                    letter_id=answer,
                    note_id=act.note_id,
                ),
            )
            self.case.update_letter(answer, state=LetterState.CANCELLED, ended_on=self.today)
            self.case.answer = None
            self.case.undecide(self.case.in_play)
            self.note("response_taken_back", by=act.by, ref=answer)
        return self.acknowledged()

    @take_back_response.validator
    def _validate_take_back_response(self, act: TakeBackResponse) -> None:
        self._check_taking_back()

    def _check_taking_back(self) -> str:
        self.check_phase("take back the response", Phase.POSTING)
        answer = self.case.letter(self.case.answer or "")
        if not self.case.in_play:
            refuse(Code.NOTHING_TO_DECIDE, "the answer rests on no decision: there is none to take back")
        if answer is None or answer.state is not LetterState.QUEUED or self.case.answer_left:
            refuse(Code.LETTER_STATE, "the answer is not in the print queue: it can no longer be taken back")
        return answer.letter_id

    # ── put off ───────────────────────────────────────────────────────────────────────────────────────────

    @workflow.update
    async def extend(self, act: Extend) -> Acknowledged:
        """The time to answer is extended once, with a letter that says why."""
        detail: Detail = {"until": act.until.isoformat(), "note": act.note_id}
        async with self.acting(roles.Act.EXTEND, act, lambda: self._check_extension(act), detail):
            previous = self.response_due
            self.case.extensions += 1
            self.case.allowance = self._allowance_until(act)
            until = self.response_due or act.until  # the business day that the clock gives
            self.note("extended", by=act.by, clause="§5(1)", ref=until.isoformat())
            letter = self.letter(
                LetterKind.EXTENSION, due_on=until, previous_due_on=previous, note_id=act.note_id
            )
            await self.send(letter, "§5(1)")
        return self.acknowledged()

    @extend.validator
    def _validate_extend(self, act: Extend) -> None:
        self._check_extension(act)

    def _check_extension(self, act: Extend) -> None:
        self.check_running()
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
