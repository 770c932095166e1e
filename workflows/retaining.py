"""§1, Period of Retention: a closed request is kept for its periods, class by class, and destroyed.

Within the grace period a lapsed one may go on.
"""

from datetime import timedelta

from temporalio import workflow

from activities.casework import CaseActivities
from activities.destruction import DestructionActivities
from activities.messages import CloseOrder, DestroyOrder
from policy import deadlines
from policy.rules import OPERATOR_DEFAULT
from policy.vocabulary import LetterKind, LetterState, Phase, RecordClass
from workflows.acts import Acts
from workflows.case import RecordStatus


class Retaining(Acts):
    """The steps after the end of a request."""

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
            await self.wait(lambda: self.reopened or self.renewing, "retention", "nobody", eve, record.clause)
            if self.reopened:
                await self.go_on()
            if self.renewing:
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(case)
            await self.destroy(record, last=len(remaining) == 1)
        self.enter(Phase.DESTROYED)
        self.publish()
        await workflow.wait_condition(workflow.all_handlers_finished)

    @property
    def reopened(self) -> bool:
        """Whether an officer has reopened the request since it was closed."""
        return self.case.outcome is None

    async def go_on(self) -> None:
        """A lapsed request goes on, in a run of its own; what was to tell of its end and is still here stays
        here.
        """
        self.switch_clock(self.today, runs=False, reason="reopened after a lapse", clause="§5(2)")
        await self.clear_the_queue()
        self.publish()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self.case)

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
                number=case.reopenings + 1,
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
        if record.record_class is RecordClass.IDENTITY_DOCUMENTS:
            await self.see_the_originals_off()
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
            self.holds_moved = False
            answer = await self.do(
                DestructionActivities.destroy_class,
                order,
                f"Destroy {record.record_class.value}: {record.rule}",
            )
            destroyed = not answer.held
            if answer.held:  # by a hold that we have no word of, or not yet: it has not happened
                await self.wait(lambda: case.held or self.holds_moved, "hold", "manager", self.today, "§1")
        self.note("destroyed", clause=record.clause, ref=record.record_class.value)
        case.records = [
            r.model_copy(update={"destroyed_on": self.today}) if r.record_class is record.record_class else r
            for r in case.records
        ]

    async def see_the_originals_off(self) -> None:
        """What belongs to the sender is not destroyed while it waits to go back, which is not for ever."""
        in_house = (LetterState.QUEUED, LetterState.RETURNED)

        def sent_off() -> bool:
            letters = self.case.letters_of(LetterKind.ORIGINALS_RETURNED)
            return not any(letter.state in in_house for letter in letters)

        until = deadlines.held_until(self.case.terms, self.today)
        if not await self.wait(sent_off, "originals", "mailroom", until, OPERATOR_DEFAULT):
            self.note("originals_not_sent_back", clause=OPERATOR_DEFAULT)
