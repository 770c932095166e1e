"""A sweep by hand, as the command line asks for it: begun or joined, and followed to its end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from activities.sweep_steps import SweepEnded
from policy.refusals import Code, Refusal
from starter.answers import NoWorkflow, understood
from starter.schedules import SWEEP
from workflows.retention_sweep import RetentionSweep, SweepOrder, SweepProgress
from workflows.task_queue import TASK_QUEUE

SweepHandle = WorkflowHandle[RetentionSweep, SweepEnded]

_RPC = timedelta(seconds=12)
_POLL = 0.2


async def begin(client: Client, on: date, *, by: str) -> SweepHandle:
    """Begin a sweep as of a day, or join the one of that day that runs. Raises `Unreachable`."""
    with understood():
        handle: SweepHandle = await client.start_workflow(
            RetentionSweep.run,
            SweepOrder(on=on, by=by),
            id=f"{SWEEP}/{on}",
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Sweep of what is kept, as of {on}",
            rpc_timeout=_RPC,
        )
    return handle


async def follow(handle: SweepHandle) -> AsyncIterator[SweepProgress]:
    """How far the sweep has come, until it is done: the last is where it ended.

    Raises `Refusal` where it was refused, or terminated (ended), and `Unreachable`: it goes on by itself.
    """
    running = True
    while running:
        try:
            with understood():
                described = await handle.describe(rpc_timeout=_RPC)
                yield await handle.query(RetentionSweep.progress, rpc_timeout=_RPC)
        except NoWorkflow:
            raise Refusal(Code.ENDED, "the sweep was deleted from Temporal: sweep again") from None
        running = described.status is WorkflowExecutionStatus.RUNNING
        await asyncio.sleep(_POLL if running else 0)
    try:
        with understood():
            await handle.result(rpc_timeout=_RPC)
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type in set(Code):
            raise Refusal(Code(cause.type), cause.message) from None
        raise Refusal(Code.ENDED, "the sweep was broken off: sweep again, it goes on where it was") from None
