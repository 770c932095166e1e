"""One request, from the form to the destruction of its records, in the order of section 5 of the policy.

Read `run` from top to bottom beside the policy. How the fee is collected is in `collecting`, how the answer
travels in `answering`, what follows the end in `retaining`; what a step waits for, how it is timed and shown
is in `casework`; what people may do to a request, and when, is in `acts`.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from temporalio import workflow

from activities.carrying_out import CarryingOutActivities
from activities.casework import CaseActivities
from activities.holdings import HoldingsActivities
from activities.messages import (
    CarryOutOrder,
    LocateOrder,
    PrepareOrder,
    ServiceDecision,
    UndoOrder,
)
from policy import deadlines
from policy.rules import OPERATOR_DEFAULT
from policy.vocabulary import (
    Decision,
    Holder,
    Kind,
    LetterKind,
    LetterState,
    Outcome,
    Phase,
    StandingEnd,
    SubjectMatter,
)
from workflows.answering import Answering
from workflows.case import Case
from workflows.casework import Ended, FeeTakenBack
from workflows.collecting import Collecting
from workflows.messages import ServiceStatus
from workflows.retaining import Retaining

_OUTCOME_OF = {
    Decision.GRANT: Outcome.GRANTED,
    Decision.PARTIAL: Outcome.PARTIAL,
    Decision.REFUSE: Outcome.REFUSED,
    Decision.ALTERNATIVE: Outcome.ALTERNATIVE,
}


@workflow.defn
class DisclosureRequest(Collecting, Answering, Retaining):
    """A request for disclosure, amendment, cessation or notification of usage purposes (§5)."""

    @workflow.init
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case

    @workflow.run
    async def run(self, case: Case) -> None:
        if self.case.outcome is None:
            try:
                await self.receive_documents_and_verify_identity()  # §5(2)(1) to (5)
                await self.locate_the_data()  # §5(1)
                while not self.case.answer_left:
                    with suppress(FeeTakenBack):  # then it is collected once more
                        await self.collect_the_fee()  # §5(2)(6)
                        await self.decide_the_response()  # §5(1), and the law
                        if await self.carry_out_what_was_decided():  # §1, Requests for Disclosure etc.
                            await self.post_the_answer()  # §5(2)(7)
                await self.return_the_fee()  # §5(2)(6): none for what is refused
                await self.see_the_answer_arrive()  # §5(2)(7)
            except Ended as end:  # lapsed, withdrawn, without standing, or asked twice
                await self.tell_the_end(end)
            await self.return_the_originals()
            await self.continue_into_retention()
        await self.retain_and_destroy()  # §1, Period of Retention

    # ── §5(2)(1) to (5): documents by certified mail, identity verified ───────────────────────────────────

    async def receive_documents_and_verify_identity(self) -> None:
        if self.case.verified:
            return  # before it lapsed
        await self.await_the_form()
        while not self.case.verified:
            await self.check_the_documents()
            await self.await_verification()
            if self.case.asked_for:
                await self.ask_for_what_is_missing()
        self.start_the_clock()

    async def await_the_form(self) -> None:
        """§5(2)(2): the form was sent; it comes back with the documents, or lapses."""
        case = self.case
        if case.received_on is not None:
            return
        case.documents_due = due = (
            deadlines.documents_due(case.terms, case.reopened_on)
            if case.reopened_on
            else deadlines.form_lapses_on(case.terms, case.opened_on)
        )
        case.reopening = False  # nobody is known whom a letter could tell
        while case.received_on is None:
            came = await self.wait(self.has_mail, "documents", "requester", due, "§5(2)(5)")
            if not came and not await self.came_untold():
                raise Ended(Outcome.LAPSED_DOCUMENTS, LetterKind.DOCUMENTS_LAPSED, "§5(2)(2)", due)
            await self.check_the_documents()

    async def check_the_documents(self) -> None:
        """§5(2)(3), §5(2)(4): the rules judge all that came, each document at its own submission."""
        case = self.case
        while self.has_mail():
            heard, case.struck_out = len(case.heard), False
            found = await self.look(
                CaseActivities.assess_documents,
                case.request_id,
                "Check the documents against the policy's list",
            )
            case.looked_at = heard
            if found.received_on is None:
                continue  # told of an envelope that is not in the case file
            case.take(found)
            self.note(
                "documents_checked", clause="§5(2)(3)", ref="complete" if found.complete else "incomplete"
            )
        if case.complete:
            self.start_the_clock()

    async def await_verification(self) -> None:
        """§5(2)(6): an officer verifies the sender's identity, always."""
        self.enter(Phase.VERIFYING)
        case = self.case
        await self.wait_for_staff(
            lambda: case.verified or bool(case.asked_for) or self.has_mail(),
            "verification",
            "officer",
            "§5(2)(6)",
        )

    async def ask_for_what_is_missing(self) -> None:
        """A deficiency letter; the clock stands still until the requester answers, or the request lapses."""
        case = self.case
        self.switch_clock(self.today, runs=False, reason="documents are missing", clause="§5(2)(3)")
        self.enter(Phase.AWAITING_DOCUMENTS)
        case.documents_due = deadlines.documents_due(case.terms, self.today)
        asked_for = tuple(case.asked_for)
        kind = LetterKind.REOPENED if case.reopening else LetterKind.DEFICIENCY
        case.reopening = False
        await self.send(self.letter(kind, due_on=case.documents_due, findings=asked_for), "§5(2)(3)")
        came = await self.wait_for_requester(
            self.has_mail,
            "missing_documents",
            case.documents_due,
            "§5(2)(3)",
            remind_on=deadlines.documents_reminder(case.terms, self.today),
            reminder=self.letter(
                LetterKind.DOCUMENTS_REMINDER, due_on=case.documents_due, findings=asked_for
            ),
        )
        if not came and not await self.came_untold():
            raise Ended(Outcome.LAPSED_DOCUMENTS, LetterKind.DOCUMENTS_LAPSED, "§5(2)(3)", case.documents_due)
        case.asked_for, case.documents_due = [], None
        await self.clear_the_queue(LetterKind.DEFICIENCY, LetterKind.DOCUMENTS_REMINDER, LetterKind.REOPENED)

    async def came_untold(self) -> bool:
        """Whether the case file has an envelope of which no word came: recorded in time, it counts."""
        case = self.case
        attached = await self.look(
            CaseActivities.attached_envelopes,
            case.request_id,
            "Look for an envelope of which no word came",
        )
        case.heard = [*case.heard, *(id for id in attached if id not in case.heard)]
        return self.has_mail()

    def start_the_clock(self) -> None:
        """The time to answer runs from complete receipt, whatever day it was recorded."""
        received_on = self.case.received_on or self.today
        self.switch_clock(received_on, runs=True, reason="documents complete", clause="§5(1)")

    # ── §5(1): is there such data? ────────────────────────────────────────────────────────────────────────

    async def locate_the_data(self) -> None:
        """Shareholder data is another's; where no data exists the person is informed immediately, without a
        fee.
        """
        case = self.case
        if any(service.located is not None for service in case.services):
            return  # before it lapsed
        self.enter(Phase.LOCATING)
        if case.subject_matter is SubjectMatter.SHAREHOLDER:
            for service in case.services:
                case.update_service(service.service, located=False, outcome=Outcome.REDIRECTED)
            return
        names = tuple(service.service for service in case.services)
        located = await self.look(
            HoldingsActivities.locate,
            LocateOrder(request_id=case.request_id, services=names),
            "Search the register of personal data",
        )
        for name in names:
            found = name in located.services
            case.update_service(name, located=found, outcome=None if found else Outcome.NO_DATA)
        self.note(
            "data_located" if located.services else "no_data", clause="§5(1)", ref=", ".join(located.services)
        )

    # ── the response: prepared by one person, approved by another ─────────────────────────────────────────

    async def decide_the_response(self) -> None:
        """Per service an officer proposes; another person approves what was gathered, or sends it back."""
        case = self.case
        while case.in_play and not self.decided:
            self.enter(Phase.PREPARING)
            await self.wait_for_staff(
                lambda: all(s.decision for s in case.in_play), "proposal", "officer", "§5(1)"
            )
            await self.gather_the_response()
            self.enter(Phase.APPROVING)
            await self.wait_for_staff(
                lambda: self.decided or any(s.decision is None for s in case.in_play),
                "approval",
                "approver",
                "§5(1)",
            )
        for service in case.in_play:
            if service.decision is not None:
                case.update_service(service.service, outcome=_OUTCOME_OF[service.decision])

    async def gather_the_response(self) -> None:
        case = self.case
        case.drafts += 1
        undrafted = [service for service in case.in_play if service.draft_id is None]
        order = PrepareOrder(
            request_id=case.request_id,
            number=case.drafts,
            on=self.today,
            decisions=tuple(self.decisions(undrafted)),
        )
        prepared = await self.do(
            HoldingsActivities.prepare_response, order, "Gather the response per service and category"
        )
        for service, draft_id in prepared.drafts.items():
            case.update_service(service, draft_id=draft_id)
        self.note("response_gathered", clause="§5(1)", ref=str(case.drafts))

    def decisions(self, services: Iterable[ServiceStatus]) -> Iterator[ServiceDecision]:
        """What is decided for these services, as the records need it."""
        for s in services:
            if s.decision is not None:
                yield ServiceDecision(
                    service=s.service,
                    decision=s.decision,
                    ground=s.ground,
                    withhold=s.withhold,
                    note_id=s.note_id,
                    changes_id=s.changes_id,
                )

    async def carry_out_what_was_decided(self) -> bool:
        """An amendment or a cessation is done in the register, and undone if its answer is never posted.

        False where the register does not take it, as another request has just changed the same: then the
        officer proposes anew.
        """
        case = self.case
        if not self.changes_the_register:
            return True
        self.heed_an_ending()
        order = CarryOutOrder(
            request_id=case.request_id,
            number=case.drafts,
            on=self.today,
            decisions=tuple(self.decisions(case.in_play)),
        )
        carried_out = await self.do(
            CarryingOutActivities.carry_out, order, "Carry out in the register what was decided"
        )
        if carried_out.conflict:
            case.undecide(case.in_play)
            self.note("register_conflict", clause="§1")
        elif carried_out.changes:
            self.note("carried_out", clause="§1", ref=str(carried_out.changes))
        return not carried_out.conflict

    @property
    def changes_the_register(self) -> bool:
        """Whether the request asks for a change of what is held, and something is."""
        return self.case.kind in (Kind.AMENDMENT, Kind.CESSATION) and bool(self.case.in_play)

    # ── the end, and after it ─────────────────────────────────────────────────────────────────────────────

    async def tell_the_end(self, end: Ended) -> None:
        """An end before an answer is confirmed by letter, to whom we know the address of.

        What lies in the print queue stays there, and what was carried out for an answer is undone.
        """
        case = self.case
        case.outcome = end.outcome
        self.note(end.outcome.value.lower(), clause=end.clause)
        await self.clear_the_queue()
        if self.changes_the_register:
            order = UndoOrder(request_id=case.request_id, on=self.today)
            await self.do(CarryingOutActivities.undo, order, "Undo in the register what was carried out")
        if case.ending is not None and case.invoice is not None:
            await self.close_the_invoice(lapsed=False)
        goes_back = case.payments.received
        await self.return_the_fee()
        if case.received_on is None:
            return
        letter = self.letter(
            end.letter,
            due_on=end.due_on,
            standing_end=case.standing_end,
            duplicate_of=case.duplicate_of,
            received=goes_back or None,
        )
        await self.send(letter, end.clause)
        if case.standing_end in (StandingEnd.MANDATE_WITHDRAWN, StandingEnd.MAJORITY):
            await self.send(letter.model_copy(update={"to": Holder.PRINCIPAL}), end.clause)

    async def return_the_originals(self) -> None:
        """Original documents go back by certified mail when the procedure ends, where the pack says so."""
        case = self.case
        sent = [
            x for x in case.letters_of(LetterKind.ORIGINALS_RETURNED) if x.state is not LetterState.CANCELLED
        ]
        if case.terms.originals_returned and case.originals and not sent:
            letter = self.letter(LetterKind.ORIGINALS_RETURNED, standing_end=case.standing_end)
            await self.send(letter, OPERATOR_DEFAULT)
