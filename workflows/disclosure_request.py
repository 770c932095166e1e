"""One request, from the form to the destruction of its records, in the order of section 5 of the policy.

Read `run` from top to bottom beside the policy. What a step waits for, how it is timed and shown is in
`casework`; what people may do to a request, and when, is in `acts`.
"""

from datetime import timedelta

from temporalio import workflow

from activities.casework import CaseActivities
from activities.destruction import DestructionActivities
from activities.holdings import HoldingsActivities
from activities.invoicing import InvoicingActivities
from activities.messages import (
    CloseOrder,
    DestroyOrder,
    InvoiceEnd,
    InvoiceOrder,
    LocateOrder,
    Payments,
    PrepareOrder,
    ServiceDecision,
)
from policy import deadlines
from policy.vocabulary import Decision, LetterKind, LetterState, Outcome, Phase, SubjectMatter
from workflows.acts import Acts
from workflows.case import Case, RecordStatus
from workflows.casework import Ended

_OUTCOME_OF = {
    Decision.GRANT: Outcome.GRANTED,
    Decision.PARTIAL: Outcome.PARTIAL,
    Decision.REFUSE: Outcome.REFUSED,
}


@workflow.defn
class DisclosureRequest(Acts):
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
                await self.collect_the_fee()  # §5(2)(6)
                await self.decide_the_response()  # §5(1), and the law
                await self.send_the_answer()  # §5(2)(7)
            except Ended as end:  # lapsed or withdrawn
                await self.tell_the_end(end)
            await self.continue_into_retention()
        await self.retain_and_destroy()  # §1, Period of Retention

    # ── §5(2)(1) to (5): documents by certified mail, identity verified ───────────────────────────────────

    async def receive_documents_and_verify_identity(self) -> None:
        await self.await_the_form()
        while not self.case.verified:
            await self.check_the_documents()
            await self.await_verification()
            if self.case.asked_for:
                await self.ask_for_what_is_missing()
        self.start_the_clock()

    async def await_the_form(self) -> None:
        """§5(2)(2): the form was sent; it comes back with the documents, or lapses."""
        self.case.documents_due = deadlines.form_lapses_on(self.case.terms, self.case.opened_on)
        due = self.case.documents_due
        while self.case.received_on is None:
            came = await self.wait(self.has_mail, "documents", "requester", due, "§5(2)(5)")
            if not came and not await self.came_untold():
                raise Ended(Outcome.LAPSED_DOCUMENTS, LetterKind.DOCUMENTS_LAPSED, "§5(2)(2)", due)
            await self.check_the_documents()

    async def check_the_documents(self) -> None:
        """§5(2)(3), §5(2)(4): the rules judge all that came, each document at its own submission."""
        case = self.case
        while self.has_mail():
            heard = len(case.heard)
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
        deficiency = self.letter(LetterKind.DEFICIENCY, due_on=case.documents_due, findings=asked_for)
        await self.send(deficiency, "§5(2)(3)")
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
        self.enter(Phase.LOCATING)
        case = self.case
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

    # ── §5(2)(6): the handling fee ────────────────────────────────────────────────────────────────────────

    async def collect_the_fee(self) -> None:
        """One invoice, a line per service in which data was found; other kinds proceed at once."""
        case = self.case
        if not case.in_play or case.kind not in case.terms.fee_kinds:
            return
        await self.issue_the_invoice()
        self.switch_clock(self.today, runs=False, reason="the handling fee is to be paid", clause="§5(2)(6)")
        await self.await_payment()
        self.switch_clock(self.today, runs=True, reason="payment received", clause="§5(2)(7)")
        self.note("fee_paid", clause="§5(2)(6)")

    async def issue_the_invoice(self) -> None:
        case = self.case
        letter_id = case.add_letter(LetterKind.INVOICE, self.today)
        order = InvoiceOrder(
            request_id=case.request_id,
            letter_id=letter_id,
            on=self.today,
            due_on=deadlines.payment_due(case.terms, self.today),
            services=tuple(service.service for service in case.in_play),
        )
        case.invoiced_on = self.today
        case.invoice = await self.do(
            InvoicingActivities.issue_invoice, order, "Issue the invoice for the handling fee"
        )
        case.payments = Payments(invoiced=case.invoice.total, received=0, paid=False)
        self.note("invoiced", clause="§5(2)(6)", ref=case.invoice.number)

    async def await_payment(self) -> None:
        self.enter(Phase.AWAITING_PAYMENT)
        case = self.case
        assert case.invoice is not None
        assert case.invoiced_on is not None
        while not case.payments.paid:
            in_time = await self.wait_for_requester(
                lambda: case.ledger_changes > case.ledger_read,
                "payment",
                case.invoice.due_on,
                "§5(2)(6)",
                remind_on=deadlines.payment_reminder(case.terms, case.invoiced_on),
                reminder=self.letter(LetterKind.PAYMENT_REMINDER, due_on=case.invoice.due_on),
            )
            case.ledger_read = case.ledger_changes
            if in_time:
                summary = "Read from the ledger what was paid"
                case.payments = await self.look(InvoicingActivities.read_payments, case.request_id, summary)
            else:
                await self.close_the_invoice(lapsed=True)
                if not case.payments.paid:
                    self.heed_a_withdrawal()
                    raise Ended(
                        Outcome.LAPSED_PAYMENT, LetterKind.PAYMENT_LAPSED, "§5(2)(6)", case.invoice.due_on
                    )

    async def close_the_invoice(self, *, lapsed: bool) -> None:
        """No later deposit counts; one that came in time but of which no word had come yet does."""
        order = InvoiceEnd(request_id=self.case.request_id, lapsed=lapsed)
        self.case.payments = await self.do(
            InvoicingActivities.close_invoice, order, "Close the unpaid invoice"
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
        decisions = tuple(
            ServiceDecision(
                service=s.service,
                decision=s.decision,
                ground=s.ground,
                withhold=s.withhold,
                note_id=s.note_id,
            )
            for s in case.in_play
            if s.decision is not None and s.draft_id is None
        )
        order = PrepareOrder(
            request_id=case.request_id, number=case.drafts, on=self.today, decisions=decisions
        )
        prepared = await self.do(
            HoldingsActivities.prepare_response, order, "Gather the response per service and category"
        )
        for service, draft_id in prepared.drafts.items():
            case.update_service(service, draft_id=draft_id)
        self.note("response_gathered", clause="§5(1)", ref=str(case.drafts))

    # ── §5(2)(7): the answer, by certified mail ───────────────────────────────────────────────────────────

    async def send_the_answer(self) -> None:
        """A response, word that no such data exists, or to whom to turn: all go out the same way."""
        self.heed_a_withdrawal()  # while the data was searched for, say
        self.enter(Phase.POSTING)
        kind, clause = self.answer_kind()
        drafts = tuple(service.draft_id for service in self.case.in_play if service.draft_id)
        answer = self.case.answer = await self.send(self.letter(kind, drafts=drafts), clause)
        while True:
            await self.wait_for_staff(
                lambda: self.letter_is(answer, LetterState.POSTED), "posting", "mailroom", clause
            )
            self.enter(Phase.IN_TRANSIT)
            await self.await_delivery(answer)
            if self.letter_is(answer, LetterState.DELIVERED):
                return
            self.enter(Phase.POSTING)
            self.switch_clock(self.today, runs=False, reason="the answer came back", clause="§5(2)(7)")
            posted_again = await self.wait(
                lambda: self.letter_is(answer, LetterState.POSTED),
                "return",
                "officer",
                deadlines.held_until(self.case.terms, self.today),
                "§5(2)(7)",
            )
            if not posted_again:
                self.note("held_at_counter_ended", clause="§5(2)(7)", ref=answer)
                return

    async def await_delivery(self, answer: str) -> None:
        """Delivered or returned; after too long without word somebody looks into it."""
        arrived = lambda: not self.letter_is(answer, LetterState.POSTED)  # noqa: E731
        letter = self.case.letter(answer)
        posted_on = letter.posted_on if letter and letter.posted_on else self.today
        self.switch_clock(posted_on, runs=False, reason="the answer is on its way", clause="§5(2)(7)")
        look_into_it = deadlines.transit_check(self.case.terms, posted_on)
        if not await self.wait(arrived, "delivery", "post", look_into_it, "§5(2)(7)"):
            self.note("in_transit_too_long", clause="§5(2)(7)", ref=answer)
            await self.wait_for_staff(arrived, "inquiry", "officer", "§5(2)(7)")

    def answer_kind(self) -> tuple[LetterKind, str]:
        outcomes = {service.outcome for service in self.case.services}
        if outcomes == {Outcome.REDIRECTED}:
            return LetterKind.REDIRECT, "§5(1)"
        if outcomes == {Outcome.NO_DATA}:
            return LetterKind.NO_DATA, "§5(1)"
        return LetterKind.RESPONSE, "§5(2)(7)"

    def letter_is(self, letter_id: str, state: LetterState) -> bool:
        letter = self.case.letter(letter_id)
        return letter is not None and letter.state is state

    # ── the end, and after it ─────────────────────────────────────────────────────────────────────────────

    async def tell_the_end(self, end: Ended) -> None:
        """A lapse or a withdrawal is confirmed by letter, to whom we know the address of."""
        self.case.outcome = end.outcome
        self.note(end.outcome.value.lower(), clause=end.clause)
        if end.outcome is Outcome.WITHDRAWN and self.case.invoice is not None:
            await self.close_the_invoice(lapsed=False)
        if self.case.received_on is not None:
            await self.send(self.letter(end.letter, due_on=end.due_on), end.clause)

    async def continue_into_retention(self) -> None:
        """The request is answered or over: its records are kept for their periods in a run of their own."""
        case = self.case
        case.outcome = case.outcome or case.combined_outcome()
        self.switch_clock(self.today, runs=False, reason="closed")
        case.closed_on = self.today
        case.phase = Phase.RETAINED
        self.note("closed", ref=case.outcome.value)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(case)

    async def retain_and_destroy(self) -> None:
        """§1: each record class is destroyed when its period ends, unless a hold stands against it."""
        await self.close()
        case = self.case
        while remaining := [record for record in case.records if record.destroyed_on is None]:
            record = remaining[0]
            eve = record.on - timedelta(days=1)  # it is destroyed when that day ends
            await self.wait(lambda: False, "retention", "nobody", eve, record.clause)
            await self.destroy(record, last=len(remaining) == 1)
        self.enter(Phase.DESTROYED)
        self.publish()
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def close(self) -> None:
        case = self.case
        if case.records or case.outcome is None or case.closed_on is None:
            return
        answer = case.letter(case.answer) if case.answer else None
        delivered = answer.ended_on if answer and answer.state is LetterState.DELIVERED else None
        closed = await self.do(
            CaseActivities.close_request,
            CloseOrder(
                request_id=case.request_id,
                outcome=case.outcome,
                on=case.closed_on,
                delivered_on=delivered,
                invoiced_on=case.invoiced_on,
                terms=case.terms,
            ),
            "Close the request and reckon its retention periods",
        )
        case.records = [
            RecordStatus(record_class=e.record_class, on=e.on, rule=e.rule, clause=e.clause)
            for e in closed.expiries
        ]

    async def destroy(self, record: RecordStatus, *, last: bool) -> None:
        case = self.case
        destroyed = False
        while not destroyed:
            while case.held:
                await self.wait_for_staff(lambda: not case.held, "hold", "manager", "§1")
            order = DestroyOrder(
                request_id=case.request_id,
                record_class=record.record_class,
                on=self.today,
                rule=record.rule,
                clause=record.clause,
                pack_version=case.terms.pack_version,
                last=last,
            )
            answer = await self.do(
                DestructionActivities.destroy_class,
                order,
                f"Destroy {record.record_class.value}: {record.rule}",
            )
            destroyed = not answer.held
            if answer.held:  # by a hold that we have no word of, or not yet: it has not happened
                await self.wait(lambda: case.held, "hold", "manager", self.today, "§1")
        self.note("destroyed", clause=record.clause, ref=record.record_class.value)
        case.records = [
            r.model_copy(update={"destroyed_on": self.today}) if r.record_class is record.record_class else r
            for r in case.records
        ]
