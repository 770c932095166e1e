"""The schedules that Temporal keeps for Kaiji: the daily sweep.

Made or brought up to date by every worker that starts. The workflow it starts is given nothing, so that no
key is needed to read what the schedule holds: it may rest for years while keys change.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from starter.answers import understood
from workflows.retention_sweep import RetentionSweep
from workflows.task_queue import TASK_QUEUE

SWEEP = "retention-sweep"
"""The id of the schedule; its workflows are named after it and the time they start."""

AT = "0 3 * * *"
ZONE = "Asia/Tokyo"
CATCH_UP = timedelta(days=3)
"""How late a sweep is still made up for that an outage kept from starting."""

_RPC = timedelta(seconds=5)


@dataclass(frozen=True)
class Scheduled:
    """When the next sweep starts; None while the schedule is paused."""

    next: datetime | None


def sweep_schedule(task_queue: str = TASK_QUEUE) -> Schedule:
    """Every day at three in the morning in Tokyo; never two at once; a sweep that fails stops no other."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RetentionSweep.run,
            id=SWEEP,
            task_queue=task_queue,
            static_summary="The daily sweep of what is kept",
        ),
        spec=ScheduleSpec(cron_expressions=[AT], time_zone_name=ZONE),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP, pause_on_failure=False
        ),
        state=ScheduleState(note="Made by Kaiji's worker; pause it in the Temporal UI, not by deleting it."),
    )


async def ensure(client: Client, task_queue: str = TASK_QUEUE) -> None:
    """Make the schedule, or bring it up to date; paused, it stays so. Many may do this at once.

    Raises ``Unreachable``.
    """
    wanted = sweep_schedule(task_queue)

    def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = found.description.schedule.state
        return ScheduleUpdate(schedule=wanted)

    with understood():
        try:
            await client.create_schedule(SWEEP, wanted, rpc_timeout=_RPC)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(SWEEP).update(update, rpc_timeout=_RPC)


async def scheduled(client: Client) -> Scheduled | None:
    """When the next sweep starts; None where there is no schedule."""
    try:
        described = await client.get_schedule_handle(SWEEP).describe(rpc_timeout=_RPC)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    times = [] if described.schedule.state.paused else described.info.next_action_times
    return Scheduled(min(times, default=None))
