"""The payload codec's keys in Temporal: what still stands under an old one, and who is asked to leave it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from policy.vocabulary import Phase
from starter.answers import understood
from workflows.disclosure_request import DisclosureRequest
from workflows.search_attributes import PHASE

_RPC = timedelta(seconds=12)


async def begun_before(client: Client, at: datetime) -> int:
    """How many executions of the namespace, running or closed, Temporal still has that began before then.

    Raises `Unreachable`.
    """
    with understood():
        return (await client.count_workflows(_before(at), rpc_timeout=_RPC)).count


async def in_retention(client: Client, at: datetime) -> int:
    """How many requests are in their retention in a run that began before then. Raises `Unreachable`."""
    with understood():
        return (await client.count_workflows(_retained(at), rpc_timeout=_RPC)).count


async def renew(client: Client, at: datetime) -> AsyncIterator[str]:
    """Ask each request in its retention, in a run that began before then, to begin another; yields whom.

    It waits for years, and the history of its new run is encrypted under the current key. Asking twice does
    no harm. Raises `Unreachable`.
    """
    with understood():
        async for run in client.list_workflows(_retained(at), page_size=1000, rpc_timeout=_RPC):
            handle = client.get_workflow_handle(run.id)
            try:
                await handle.signal(DisclosureRequest.renew, rpc_timeout=_RPC)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it ended just now
                    raise
            yield run.id


def _before(at: datetime) -> str:
    return f"StartTime < '{at.astimezone(UTC).isoformat(timespec='milliseconds')}'"


def _retained(at: datetime) -> str:
    running = "WorkflowType = 'DisclosureRequest' AND ExecutionStatus = 'Running'"
    return f"{running} AND {PHASE.name} = '{Phase.RETAINED.value}' AND {_before(at)}"
