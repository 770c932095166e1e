"""Acts about the people and their papers: the envelope, the identity, each document, who stands for whom
(§5(2)(2) to (5)), and whether the same was asked before.
"""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.casework import CaseActivities
from activities.messages import DocumentToRecord
from policy import roles
from policy.demands import asked_for
from policy.findings import Finding
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.vocabulary import Capacity, CustodyEvent, LetterState, Outcome, Phase, RecordClass, StandingEnd
from workflows.acting import Acting, Detail
from workflows.messages import (
    Acknowledged,
    DocumentsReceived,
    EndStanding,
    LinkDuplicate,
    RecordDocument,
    VerifyIdentity,
)
from workflows.recording import record, refuse

_BY_HAND = (CustodyEvent.COPIED, CustodyEvent.REPLACED, CustodyEvent.STRUCK_OUT)
_ENDS = {
    Capacity.SELF: (),
    Capacity.PROXY: (StandingEnd.MANDATE_WITHDRAWN, StandingEnd.PRINCIPAL_DIED),
    Capacity.STATUTORY_REPRESENTATIVE: (StandingEnd.MAJORITY, StandingEnd.PRINCIPAL_DIED),
}


class Identifying(Acting):
    """The signal of an envelope, and the updates about people and papers."""

    # A signal without content, as anybody can send from the Temporal UI, says nothing and must fail nothing.
    @workflow.signal
    def documents_received(self, fact: DocumentsReceived | None = None) -> None:
        """An envelope came (§5(2)(5)); whoever is not sure to have been heard tells it again."""
        if not isinstance(fact, DocumentsReceived) or fact.envelope_id in self.case.heard:
            return
        self.case.heard = [*self.case.heard, fact.envelope_id]
        self.note("envelope_received", by="mailroom", clause="§5(2)(5)", ref=fact.envelope_id)

    def has_mail(self) -> bool:
        """Whether the papers changed since the rules looked: an envelope came, or one was struck out."""
        return len(self.case.heard) > self.case.looked_at or self.case.struck_out

    # ── identity ──────────────────────────────────────────────────────────────────────────────────────────

    @workflow.update
    async def verify_identity(self, act: VerifyIdentity) -> Acknowledged:
        """An officer confirms the sender's identity or says what is missing (§5(2)(6))."""
        detail: Detail = {"deficient": act.deficient, "note": act.note_id}
        async with self.acting(roles.Act.VERIFY_IDENTITY, act, lambda: self._check_verify(act), detail):
            if act.deficient:
                self.case.asked_for = self.asked_for(act.codes)
            else:
                self.case.verified = True
            what = "documents_found_deficient" if act.deficient else "identity_verified"
            self.note(what, by=act.by, clause="§5(2)(6)")
        return self.acknowledged()

    @verify_identity.validator
    def _validate_verify_identity(self, act: VerifyIdentity) -> None:
        self._check_verify(act)

    def _check_verify(self, act: VerifyIdentity) -> None:
        self.check_phase("verify the identity", Phase.VERIFYING)
        if self.case.verified or self.case.asked_for:
            refuse(Code.WRONG_PHASE, "the documents have been judged already")
        if self.has_mail():
            refuse(Code.WRONG_PHASE, "the papers have just changed: the rules look at them first")
        if act.deficient:
            if not self.asked_for(act.codes):
                refuse(Code.NOTHING_TO_DECIDE, "the rules found nothing: name what is missing", "§5(2)(3)")
        elif self.case.findings and act.note_id is None:
            found = ", ".join(f"{f.code.value} {f.document}" for f in self.case.findings)
            message = f"the rules found: {found}; ask for it (--deficient), or accept it with a reason"
            refuse(Code.FINDINGS_OPEN, message, self.case.findings[0].clause, self.case.findings)

    def asked_for(self, codes: tuple[str, ...]) -> list[Finding]:
        """What a deficiency letter would ask for. Refuses what the policy does not list."""
        case = self.case
        try:
            return asked_for(case.findings, pack(case.terms.pack_version), case.capacity, codes)
        except Refusal as refusal:
            refuse(refusal.code, refusal.message, refusal.clause)

    # ── papers ────────────────────────────────────────────────────────────────────────────────────────────

    @workflow.update
    async def record_document(self, act: RecordDocument) -> Acknowledged:
        """A document is struck out, replaced by another, or was copied (§5(2)(3)); its custody says so."""
        async with self.one_act:
            self._check_document(act)
            try:
                await record(
                    CaseActivities.record_document,
                    DocumentToRecord(
                        request_id=self.case.request_id,
                        by=act.by,
                        key=self.act_key(roles.Act.RECORD_DOCUMENT),
                        document=act.document,
                        event=act.event,
                        on=self.today,
                        replaced_by=act.replaced_by,
                        note_id=act.note_id,
                    ),
                )
            except ApplicationError as error:
                if error.type == Code.NOTHING_TO_DECIDE:  # done before, and no word of it reached us
                    self.case.struck_out = True
                raise
            if act.event is not CustodyEvent.COPIED:
                self.case.struck_out = True
            self.note(f"document_{act.event.value}", by=act.by, clause="§5(2)(3)", ref=str(act.document))
        return self.acknowledged()

    @record_document.validator
    def _validate_record_document(self, act: RecordDocument) -> None:
        self._check_document(act)

    def _check_document(self, act: RecordDocument) -> None:
        if act.event not in _BY_HAND:
            refuse(Code.MALFORMED, f"recorded by hand are only: {', '.join(_BY_HAND)}")
        if (act.event is CustodyEvent.REPLACED) != (act.replaced_by is not None):
            refuse(
                Code.MALFORMED, "a document that is replaced names the one in its place, and no other does"
            )
        if act.event is CustodyEvent.STRUCK_OUT and act.note_id is None:
            refuse(Code.REASON_REQUIRED, "striking out a document needs a reason")
        if act.event is CustodyEvent.COPIED:
            destroyed = {record.record_class for record in self.case.records if record.destroyed_on}
            if RecordClass.IDENTITY_DOCUMENTS in destroyed:
                refuse(Code.ENDED, "the identity documents are destroyed")
            return
        self.check_phase("change which documents count", Phase.AWAITING_DOCUMENTS, Phase.VERIFYING)
        if self.case.verified:
            refuse(Code.WRONG_PHASE, "the identity is verified: the documents are what it rests on")

    # ── who stands for whom, and what was asked before ────────────────────────────────────────────────────

    @workflow.update
    async def end_standing(self, act: EndStanding) -> Acknowledged:
        """Nobody stands for the principal any more (§5(2)(4)): no answer is sent to who applied."""
        detail: Detail = {"cause": act.cause.value}
        async with self.acting(roles.Act.END_STANDING, act, lambda: self._check_standing(act), detail):
            self.case.ending, self.case.standing_end = Outcome.STANDING_ENDED, act.cause
            self.note(act.cause.value, by=act.by, clause="§5(2)(4)")
        return self.acknowledged()

    @end_standing.validator
    def _validate_end_standing(self, act: EndStanding) -> None:
        self._check_standing(act)

    def _check_standing(self, act: EndStanding) -> None:
        answer = self.case.letter(self.case.answer or "")
        if answer is None or answer.state is not LetterState.RETURNED:  # one that came back is ours again
            self.check_not_answered()
        self.check_running()
        capacity = self.case.capacity
        if capacity is Capacity.SELF:
            refuse(
                Code.STANDING, "the requester applies for themselves: nobody's standing can end", "§5(2)(3)"
            )
        if act.cause not in _ENDS[capacity]:
            known = ", ".join(_ENDS[capacity])
            refuse(Code.STANDING, f"the standing of a {capacity.value} ends by: {known}", "§5(2)(4)")

    @workflow.update
    async def link_duplicate(self, act: LinkDuplicate) -> Acknowledged:
        """The same principal has asked for the same in another request, which answers both (§5(1))."""
        detail: Detail = {"duplicate_of": act.duplicate_of}
        async with self.acting(roles.Act.LINK_DUPLICATE, act, lambda: self._check_link(act), detail):
            self.case.ending, self.case.duplicate_of = Outcome.DUPLICATE, act.duplicate_of
            self.note("linked", by=act.by, clause="§5(1)", ref=act.duplicate_of)
        return self.acknowledged()

    @link_duplicate.validator
    def _validate_link_duplicate(self, act: LinkDuplicate) -> None:
        self._check_link(act)

    def _check_link(self, act: LinkDuplicate) -> None:
        self.check_not_answered()
        if act.duplicate_of not in self.case.duplicates:
            shown = ", ".join(self.case.duplicates) or "none"
            refuse(Code.NOT_A_DUPLICATE, f"the same was asked before in: {shown}", "§5(1)")
