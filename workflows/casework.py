"""How a request waits, times and shows itself: the mechanics under the policy's steps.

`Casework` knows no step of the policy. It offers `wait` (a deadline and what happens then is the caller's),
`publish` (search attributes and current details, so that the Temporal UI tells what goes on) and the
activities, each with its time-outs, its retries and a summary.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid5

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

from activities.invoicing import InvoicingActivities
from activities.mailing import MailingActivities
from activities.messages import CancelOrder, LetterOrder, LetterQueued
from policy.calendar import end_of_day, start_of_day, today_in_tokyo
from policy.clock import due_on, switch
from policy.vocabulary import ANSWERS, LetterKind, LetterState, Outcome, Phase
from workflows import explanation, search_attributes
from workflows.case import Case
from workflows.messages import LetterStatus, Milestone, Wait

# An activity of ours is one short transaction or one letter. It is retried until it succeeds: no outage ever
# fails a request; it waits, and the Temporal UI shows why.
PATIENT = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
ONE_TRY = timedelta(seconds=10)  # so long a step waits when the worker it ran on is killed
ONCE = RetryPolicy(maximum_attempts=1)
LONG_TRY = timedelta(minutes=2)  # of a letter; its worker shows that it lives
AT_ONCE = timedelta(seconds=5)

Order = TypeVar("Order")
Answer = TypeVar("Answer")
Value = TypeVar("Value", str, bool, datetime, Sequence[str])

_ENDINGS = {
    Outcome.WITHDRAWN: (LetterKind.WITHDRAWAL, "§5(2)"),
    Outcome.STANDING_ENDED: (LetterKind.STANDING_ENDED, "§5(2)(4)"),
    Outcome.DUPLICATE: (LetterKind.DUPLICATE, "§5(1)"),
}


class Ended(Exception):
    """The course of a request ends before an answer: lapsed, withdrawn, without standing, or a duplicate.
    `letter` is what tells the requester.
    """

    def __init__(self, outcome: Outcome, letter: LetterKind, clause: str, due_on: date | None = None) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.letter = letter
        self.clause = clause
        self.due_on = due_on


class FeeTakenBack(Exception):
    """The bank took the fee back before the answer left the house: it is to be collected again (§5(2)(6))."""


class Casework:
    """The ground every step stands on."""

    case: Case
    waiting: Wait | None = None

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def today(self) -> date:
        """The workflow's own day in Tokyo: the only business clock there is."""
        return today_in_tokyo(workflow.now())

    @property
    def response_due(self) -> date | None:
        """The day by which the answer is due; None while the clock stands still."""
        return due_on(self.case.clock, self.case.allowance, self.today)

    def switch_clock(self, on: date, *, runs: bool, reason: str, clause: str | None = None) -> None:
        """Let the service level clock run or stand still from a day, for a reason."""
        if not self.case.clock or self.case.clock[-1].reason != reason:
            self.case.clock = switch(self.case.clock, on, runs=runs, reason=reason, clause=clause)

    # ── waiting ───────────────────────────────────────────────────────────────────────────────────────────

    async def wait(
        self,
        ready: Callable[[], bool],
        what: str,
        who: str,
        until: date,
        clause: str | None = None,
        *,
        wake: datetime | None = None,
    ) -> bool:
        """Wait for somebody to the end of the day `until`, or only to the moment `wake`; False when that
        passed first.

        `until` is what operators see. Raises `Ended` when somebody ends the request in the meantime, and
        `FeeTakenBack` when the bank takes its fee back.
        """

        def over() -> bool:
            return ready() or self.ends or self.ledger_news

        while True:
            if not over():
                self.waiting = Wait(what=what, who=who, until=end_of_day(until), clause=clause)
                self.publish()
                with suppress(TimeoutError):
                    await workflow.wait_condition(
                        over,
                        timeout=max((wake or end_of_day(until)) - workflow.now(), timedelta(0)),
                        timeout_summary=explanation.timer(self.waiting),
                    )
                self.waiting = None
            self.heed_an_ending()
            if not self.ledger_news:
                return ready()
            await self.heed_the_ledger()

    @property
    def ends(self) -> bool:
        """Whether somebody has ended the request, and it has not heeded that yet."""
        return self.case.outcome is None and self.case.ending is not None

    def heed_an_ending(self) -> None:
        """Raise `Ended` when the requester has withdrawn, or somebody else has ended the request."""
        if self.ends and self.case.ending is not None:
            letter, clause = _ENDINGS[self.case.ending]
            raise Ended(self.case.ending, letter, clause)

    # ── money that moves when nobody waits for it ─────────────────────────────────────────────────────────

    @property
    def ledger_news(self) -> bool:
        """Whether the ledger has changed since it was read, in any phase but the one that waits for it."""
        case = self.case
        waited_for = case.phase is Phase.AWAITING_PAYMENT
        return case.invoice is not None and not waited_for and case.ledger_changes > case.ledger_read

    async def heed_the_ledger(self, *, look: bool = False) -> None:
        """Raise `FeeTakenBack` when the fee no longer is paid and the answer can be kept in the house; where
        it cannot, operators are told. `look` even if no word came of a change.
        """
        case = self.case
        was_paid = case.payments.paid
        if case.invoice is None or not (look or self.ledger_news):
            return
        await self.read_the_ledger()
        if was_paid and not case.payments.paid:
            self.note("fee_taken_back", clause="§5(2)(6)")
            if case.outcome is None and await self.keep_the_answer_in():
                raise FeeTakenBack
        elif case.payments.paid and not was_paid:
            self.note("fee_paid", clause="§5(2)(6)")

    async def keep_the_answer_in(self) -> bool:
        """Take the answer from the print queue, where there is one; False when it has left the house."""
        case = self.case
        if case.answer_left:
            return False
        await self.clear_the_queue(*ANSWERS)
        answer = case.letter(case.answer or "")
        if answer is not None:
            if answer.state is not LetterState.CANCELLED:
                return False  # the mail room has just posted it
            case.answer = None
            case.undecide(case.in_play)
        return True

    async def read_the_ledger(self) -> None:
        """Learn what was paid."""
        heard = self.case.ledger_changes
        summary = "Read from the ledger what was paid"
        self.case.payments = await self.look(InvoicingActivities.read_payments, self.case.request_id, summary)
        self.case.ledger_read = heard

    async def wait_for_requester(
        self,
        ready: Callable[[], bool],
        what: str,
        until: date,
        clause: str,
        *,
        remind_on: date,
        reminder: LetterOrder,
    ) -> bool:
        """Wait for the requester, who gets the `reminder` letter on the day `remind_on`; False when `until`
        passed.
        """
        if self.today < remind_on:
            if await self.wait(ready, what, "requester", until, clause, wake=start_of_day(remind_on)):
                return True
            await self.send(reminder, clause)
        return await self.wait(ready, what, "requester", until, clause)

    async def wait_for_staff(
        self, ready: Callable[[], bool], what: str, who: str, clause: str | None = None
    ) -> None:
        """Wait for a colleague, however long it takes: a person is never left without an answer.

        When the answer is due and nothing happened the manager is told, and told again after every pause of
        the pack's escalation; the due date that operators see stays what it was.
        """
        pause = timedelta(days=self.case.terms.escalation_days)
        turn, due, asked_on, wake = who, self.response_due, self.today, None

        def extended() -> bool:
            return self.response_due != due

        while True:
            until = due or asked_on + pause
            await self.wait(lambda: ready() or extended(), what, turn, until, clause, wake=wake)
            if ready():
                return
            if extended():
                turn, due, wake = who, self.response_due, None
            else:
                self.note("overdue", clause=clause, ref=what)
                turn, wake = "manager", start_of_day(self.today + pause)

    # ── showing ───────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, phase: Phase) -> None:
        """Go to a phase."""
        self.case.phase = phase

    def note(
        self, what: str, *, by: str = "kaiji", clause: str | None = None, ref: str | None = None
    ) -> None:
        """Write one line of the timeline."""
        milestone = Milestone(on=self.today, what=what, by=by, clause=clause, ref=ref)
        self.case.timeline = [*self.case.timeline, milestone]

    def publish(self) -> None:
        """Show operators where the request stands; only what changed costs an event."""
        case = self.case
        retain_until = max((record.on for record in case.records), default=None)
        shown = workflow.info().typed_search_attributes
        changes: list[SearchAttributeUpdate[Any]] = []

        def show(key: SearchAttributeKey[Value], value: Value | None) -> None:
            if shown.get(key) != value:
                changes.append(key.value_unset() if value is None else key.value_set(value))

        show(search_attributes.PHASE, case.phase.value)
        show(search_attributes.SERVICES, [service.service for service in case.services])
        if self.waiting is not None and self.waiting.until is not None:
            show(search_attributes.WAITING_FOR, self.waiting.who)
            show(search_attributes.DUE_AT, self.waiting.until)
        show(search_attributes.OUTCOME, case.outcome.value if case.outcome else None)
        show(search_attributes.RETAIN_UNTIL, start_of_day(retain_until) if retain_until else None)
        if case.holds:
            show(search_attributes.HOLD, case.held)
        if changes:
            workflow.upsert_search_attributes(changes)
        workflow.set_current_details(explanation.sentence(case, self.waiting))

    # ── acting on the world ───────────────────────────────────────────────────────────────────────────────

    async def do(
        self,
        activity: Callable[[Any, Order], Awaitable[Answer]],
        order: Order,
        summary: str,
        try_for: timedelta = ONE_TRY,
    ) -> Answer:
        """Run an activity until it succeeds; one tried for longer than usual sends heartbeats."""
        workflow.set_current_details(explanation.sentence(self.case, None))
        return await workflow.execute_activity_method(
            activity,
            order,
            start_to_close_timeout=try_for,
            heartbeat_timeout=ONE_TRY if try_for > ONE_TRY else None,
            retry_policy=PATIENT,
            summary=summary,
        )

    async def look(
        self, activity: Callable[[Any, Order], Awaitable[Answer]], order: Order, summary: str
    ) -> Answer:
        """Run an activity that only looks things up: within the workflow task, one event in place of six.

        Where the records do not answer at once it becomes an activity like any other.
        """
        try:
            return await workflow.execute_local_activity_method(
                activity, order, start_to_close_timeout=AT_ONCE, retry_policy=ONCE, summary=summary
            )
        except (ActivityError, ApplicationError):  # a local activity's own error comes unwrapped
            return await self.do(activity, order, summary)

    def letter(self, kind: LetterKind, **content: Any) -> LetterOrder:
        """A letter to be sent; key and day are filled in when it is. `content` is a `LetterOrder`'s."""
        return LetterOrder(request_id=self.case.request_id, key="", kind=kind, on=self.today, **content)

    def letter_key(self, kind: LetterKind, about: Sequence[str] = ()) -> str:
        """The key under which the next letter of a kind is queued once, whatever is repeated.

        A letter about drafts is known by them: after a reset, what was decided anew is another letter, and
        what was decided before is the same.
        """
        if about:
            return f"{kind.value}/{uuid5(NAMESPACE_OID, ' '.join(about)).hex[:16]}"
        return f"{kind.value}/{len(self.case.letters_of(kind)) + 1}"

    async def send(self, letter: LetterOrder, clause: str, *, about: Sequence[str] = ()) -> str:
        """Have a letter rendered and queued for the mail room, once, and return its id."""
        order = letter.model_copy(update={"key": self.letter_key(letter.kind, about), "on": self.today})
        summary = f"Render the {explanation.words(letter.kind)} letter and queue it for the mail room"
        queued = await self.do(MailingActivities.queue_letter, order, summary, LONG_TRY)
        return self.take_down(queued, letter.kind, clause)

    def take_down(self, queued: LetterQueued, kind: LetterKind, clause: str) -> str:
        """Write down that a letter was queued, and return its id."""
        self.list_letter(queued.letter_id, kind)
        if queued.cancelled:
            self.case.update_letter(queued.letter_id, state=LetterState.CANCELLED, ended_on=self.today)
        self.note("letter_queued", clause=clause, ref=queued.letter_id)
        return queued.letter_id

    def list_letter(self, letter_id: str, kind: LetterKind) -> None:
        """Take a letter that was queued into the list."""
        if self.case.letter(letter_id) is None:
            letter = LetterStatus(letter_id=letter_id, kind=kind, queued_on=self.today)
            self.case.letters = [*self.case.letters, letter]

    async def clear_the_queue(self, *kinds: LetterKind) -> None:
        """Take letters that became pointless from the print queue: those of these kinds, or all."""
        queued = tuple(self.case.queued(*kinds))
        if not queued:
            return
        order = CancelOrder(request_id=self.case.request_id, on=self.today, letters=queued)
        summary = "Take letters that became pointless from the print queue"
        cancelled = await self.do(MailingActivities.cancel_letters, order, summary)
        for letter_id in cancelled.letters:
            self.case.update_letter(letter_id, state=LetterState.CANCELLED, ended_on=self.today)
            self.note("letter_cancelled", ref=letter_id)
