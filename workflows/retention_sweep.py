"""The daily sweep (§1, Period of Retention): what has expired is destroyed, what hangs repaired or reported.

"At the expiry of this period or when the objectives of the usage purposes are achieved, stakeholder personal
information is promptly destroyed." Requests see to that themselves, each by its own timer; the sweep sees to
the register of personal data, to what no request's records speak for, and to whatever was left half done.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import Field
from temporalio import workflow

from activities.messages import Message
from activities.repairing import RepairActivities
from activities.sweep_steps import SweepEnded, SweepStep, SweepStepDone, SweepToBegin
from activities.sweeping import SweepActivities
from policy.calendar import today_in_tokyo
from policy.refusals import Code
from workflows.casework import ONE_TRY, PATIENT
from workflows.recording import record, refuse

STEP_TRY = timedelta(hours=1)  # of one call; the longest is the vacuum
CALLS_PER_RUN = 20
"""After so many calls of steps the sweep continues as new: a history stays short however much has expired."""


@dataclass(frozen=True)
class Step:
    """One step: what takes it, and in words what it does."""

    activity: Callable[[Any, SweepStep], Awaitable[SweepStepDone]]
    does: str

    @property
    def name(self) -> str:
        """As it stands in reports."""
        return self.activity.__name__


STEPS = (
    Step(SweepActivities.reckon_anew, "Reckon anew until when the register is kept, where the pack changed"),
    Step(SweepActivities.write_missing, "Reckon until when closed requests are kept that have no day yet"),
    Step(SweepActivities.destroy_holdings, "Destroy what has expired of the register of personal data"),
    Step(SweepActivities.destroy_deposits, "Destroy deposits that no request's records speak for"),
    Step(RepairActivities.look_after_requests, "Look whether every request has its workflow and its mail"),
    Step(RepairActivities.look_for_overdue, "Look whether something should have been destroyed by now"),
    Step(RepairActivities.look_for_loose_ends, "Look for errands and imports that hang, and holds to review"),
    Step(RepairActivities.forget_requests, "Delete Temporal's histories of destroyed requests"),
    Step(RepairActivities.forget_deposits, "Delete Temporal's histories of destroyed deposits"),
    Step(RepairActivities.discard_keys, "Discard retired keys that no backup needs any more"),
    Step(SweepActivities.vacuum, "Have the database clear away the dead rows of what was destroyed"),
    Step(SweepActivities.take_checkpoint, "Take a signed checkpoint of the audit trail"),
)
"""All of a sweep, in order. A new one goes to the end: a sweep that runs counts where it stands."""


class SweepProgress(Message):
    """How far a sweep has come: in step `step` (from 0) of `steps`, `done` of `total`, where that is known.

    `counts` is what each step before has done, by its name; the report in the records says it in detail.
    """

    sweep_id: str
    on: date
    step: int = 0
    steps: int = len(STEPS)
    doing: str = ""
    cursor: str | None = None
    done: int = 0
    total: int | None = None
    counts: dict[str, int] = Field(default_factory=dict)


class SweepOrder(Message):
    """A sweep as of a day, the day on which it starts unless given, on behalf of somebody or of the schedule.
    `progress` is what a sweep carries through continue-as-new.
    """

    on: date | None = None
    by: str = "kaiji"
    progress: SweepProgress | None = None


@workflow.defn
class RetentionSweep:
    """One sweep. Two at once do no harm: what one has destroyed the other does not find."""

    @workflow.init
    def __init__(self, order: SweepOrder | None = None) -> None:
        self.order = order or SweepOrder()
        self.progressed = self.order.progress or SweepProgress(
            sweep_id=str(workflow.uuid4()), on=self.order.on or self.today
        )
        self.calls = 0

    @workflow.run
    async def run(self, order: SweepOrder | None = None) -> SweepEnded:
        if self.order.progress is None:
            await self.begin()
        while self.progressed.step < len(STEPS):
            await self.take(STEPS[self.progressed.step])
        workflow.set_current_details("The sweep is done: `kaiji retention sweeps` shows its report.")
        return await workflow.execute_activity_method(
            SweepActivities.end_sweep,
            self.step,
            start_to_close_timeout=ONE_TRY,
            retry_policy=PATIENT,
            summary="Write the report",
        )

    async def begin(self) -> None:
        """A day that has not come is not swept; who asks for a sweep must be allowed to."""
        if self.progressed.on > self.today:
            refuse(Code.MALFORMED, f"the sweep cannot be as of a day after today, {self.today}")
        begun = SweepToBegin(
            sweep_id=self.progressed.sweep_id,
            workflow_id=workflow.info().workflow_id,
            on=self.progressed.on,
            by=self.order.by,
        )
        if self.order.by != SweepOrder().by:
            await record(SweepActivities.begin_sweep, begun)  # refused at once
            return
        await workflow.execute_activity_method(
            SweepActivities.begin_sweep,
            begun,
            start_to_close_timeout=ONE_TRY,
            retry_policy=PATIENT,
            summary="Write down that a sweep begins",
        )

    async def take(self, step: Step) -> None:
        """Take a step, call by call, until it is done."""
        self._went_on(doing=step.does)
        if self.calls >= CALLS_PER_RUN:
            workflow.continue_as_new(self.order.model_copy(update={"progress": self.progressed}))
        self.calls += 1
        done: SweepStepDone = await workflow.execute_activity_method(
            step.activity,
            self.step,
            start_to_close_timeout=STEP_TRY,
            heartbeat_timeout=ONE_TRY,
            retry_policy=PATIENT,
            summary=step.does,
        )
        before = self.progressed
        count = before.done + done.done
        if done.cursor is not None:
            self._went_on(cursor=done.cursor, done=count, total=done.total or before.total)
        else:
            counts = {**before.counts, step.name: count}
            self._went_on(step=before.step + 1, cursor=None, done=0, total=None, counts=counts)

    @property
    def step(self) -> SweepStep:
        """What the next call of a step is told."""
        at = self.progressed
        return SweepStep(sweep_id=at.sweep_id, on=at.on, by=self.order.by, cursor=at.cursor)

    @property
    def today(self) -> date:
        """The workflow's own day in Tokyo."""
        return today_in_tokyo(workflow.now())

    @workflow.query
    def progress(self) -> SweepProgress:
        """How far the sweep has come."""
        return self.progressed

    def _went_on(self, **changes: object) -> None:
        self.progressed = at = self.progressed.model_copy(update=changes)
        how_many = f": {at.done:,}{f' of {at.total:,}' if at.total else ''}" if at.done else ""
        workflow.set_current_details(
            f"As of {at.on}, step {at.step + 1} of {at.steps}. {at.doing}{how_many}."
        )
