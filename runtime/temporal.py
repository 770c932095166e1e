"""The Temporal client, and the virtual clock of a development server.

Where Temporal is, and with which TLS or API key, is said by Temporal's own `TEMPORAL_*` variables and file;
when they name no address, by the stack that runs in the home; else it is localhost:7233.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from runtime.errors import Misconfigured, Unreachable
from runtime.keys import Keyring
from runtime.plugin import kaiji_plugin
from runtime.settings import Settings

CONNECT_TIMEOUT = timedelta(seconds=5)

_POLL = 0.02
_FIRST_EVENTS = 12  # before the first task of a run: its start, and whatever was told it since
_TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


def connection(settings: Settings) -> ClientConnectConfig:
    """Address, namespace and credentials, as ``Client.connect`` takes them. Raises ``Misconfigured``."""
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, OSError) as error:
        raise Misconfigured(f"Temporal's settings (TEMPORAL_* or its file): {error}") from None
    if "target_host" not in config:
        stack = settings.stack()
        config["target_host"] = stack.temporal if stack else "localhost:7233"
    config.setdefault("namespace", "default")
    return config


async def connect(settings: Settings, keyring: Keyring, *, runtime: Runtime | None = None) -> Client:
    """A client that has reached the server and encrypts all it sends.

    Raises ``Unreachable`` within five seconds when the server does not answer, ``Misconfigured`` when the
    settings cannot be used.
    """
    config = connection(settings)
    plugin = kaiji_plugin(keyring, config["namespace"])
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
            return await Client.connect(**config, plugins=[plugin], runtime=runtime)
    except (RuntimeError, TimeoutError, RPCError):
        hint = f"nothing answers at {config['target_host']}; start `kaiji dev`, or set TEMPORAL_ADDRESS"
        raise Unreachable("Temporal", hint) from None


async def fast_forward(client: Client, workflow_id: str, duration: timedelta) -> bool:
    """Move one running workflow's virtual clock forward: timers fire at once, in order, over all its runs.

    Answers False when the workflow ended on the way. Needs a worker, and a server started with
    ``frontend.WorkflowTimeSkippingEnabled``. This is the only place that knows the experimental interface.
    """
    return await TimeSkipper(client).fast_forward(client.get_workflow_handle(workflow_id), duration)


async def virtual_now(client: Client, workflow_id: str) -> datetime:
    """The workflow's own time in UTC: ahead of the machine's once it was fast-forwarded."""
    return _virtual_now(await client.get_workflow_handle(workflow_id).describe())


async def wait_until_idle(
    client: Client, workflow_id: str, timeout: timedelta = timedelta(seconds=30)
) -> WorkflowExecutionDescription:
    """Wait until the workflow only waits: no task, no activity, no fast-forward under way, or it has ended.

    Answers its description. Raises ``TimeoutError``, and ``RPCError`` (not found) for an unknown workflow.
    """
    handle = client.get_workflow_handle(workflow_id)
    async with asyncio.timeout(timeout.total_seconds()):
        while True:
            description = await handle.describe()
            if _is_idle(description) and await _has_begun(handle, description):
                return description
            await asyncio.sleep(_POLL)


def _virtual_now(description: WorkflowExecutionDescription) -> datetime:
    info = description.raw_description.workflow_extended_info
    if not info.HasField("time_skipping_info"):
        return datetime.now(UTC)
    return info.time_skipping_info.current_time.ToDatetime(UTC)


async def _has_begun(handle: WorkflowHandle[Any, Any], description: WorkflowExecutionDescription) -> bool:
    """Whether the run had its first task: the server pauses where one has just continued as new."""
    running = description.status is WorkflowExecutionStatus.RUNNING
    if not running or description.history_length > _FIRST_EVENTS:
        return True
    history = await handle.fetch_history()
    return any(event.event_type == _TASK_COMPLETED for event in history.events)


def _is_idle(description: WorkflowExecutionDescription) -> bool:
    if description.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
        return False
    if description.status is not WorkflowExecutionStatus.RUNNING:
        return True
    raw = description.raw_description
    skipping = raw.workflow_extended_info.time_skipping_info.effective_config.enabled
    return not (skipping or raw.pending_activities or raw.HasField("pending_workflow_task"))
