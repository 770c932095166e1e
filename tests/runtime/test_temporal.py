"""Client, plugin and virtual clock against a real server."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHistory, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Replayer, Worker

from runtime.embedded.processes import free_port
from runtime.embedded.temporal_server import TemporalServer
from runtime.errors import Unreachable
from runtime.keys import Keyring
from runtime.plugin import kaiji_plugin
from runtime.settings import Settings
from runtime.temporal import connect, fast_forward, virtual_now, wait_until_idle
from tests.runtime.workflows_under_test import Everything, Note, Patient, echo, fail

SECRET = Note(text="見本 花子 canary-8c1f")
QUEUE = "runtime"


@pytest.fixture(scope="module")
async def client(temporal_server: TemporalServer, keyring: Keyring) -> AsyncIterator[Client]:
    """A client as our programs have it, with a worker behind it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TEMPORAL_ADDRESS", temporal_server.address)
        client = await connect(Settings.load(), keyring)
    workflows, activities = [Everything, Patient], [echo, fail]
    async with Worker(client, task_queue=QUEUE, workflows=workflows, activities=activities):
        yield client


@pytest.fixture(scope="module")
async def outsider(temporal_server: TemporalServer) -> Client:
    """Somebody who may write to the namespace and has no keys."""
    return await Client.connect(temporal_server.address)


async def test_every_kind_of_message_works_and_none_is_readable(client: Client, keyring: Keyring) -> None:
    handle = await client.start_workflow(
        Everything.run,
        SECRET,
        id=str(uuid4()),
        task_queue=QUEUE,
        memo={"secret": SECRET.text},
        static_summary=SECRET.text,
        start_signal="hear",
        start_signal_args=[SECRET],
    )
    await handle.signal(Everything.hear, SECRET)
    await wait_until_idle(client, handle.id)
    assert await handle.query(Everything.heard) == [SECRET, SECRET]
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await handle.execute_update(Everything.finish, Note(text=f"not the {SECRET.text}"))
    assert isinstance(refusal.value.cause, ApplicationError)
    assert refusal.value.cause.message == f"not the {SECRET.text}"
    description = await handle.describe()
    assert await description.memo() == {"secret": SECRET.text}
    assert await description.static_summary() == SECRET.text
    assert await handle.execute_update(Everything.finish, SECRET) == SECRET
    assert await handle.result() == SECRET

    history = await handle.fetch_history()
    raw = b"".join(event.SerializeToString() for event in history.events)
    raw += (await handle.describe()).raw_description.SerializeToString()
    assert b"canary" not in raw
    assert "見本".encode() not in raw
    assert "花子" not in history.to_json()

    replayer = Replayer(workflows=[Everything], plugins=[kaiji_plugin(keyring, client.namespace)])
    await replayer.replay_workflow(WorkflowHistory.from_json(handle.id, history.to_json()))


async def test_a_forged_message_is_refused_and_stops_nothing(
    client: Client, outsider: Client, caplog: pytest.LogCaptureFixture
) -> None:
    handle = await client.start_workflow(Everything.run, SECRET, id=str(uuid4()), task_queue=QUEUE)
    forger = outsider.get_workflow_handle(handle.id)
    with caplog.at_level(logging.ERROR):
        await forger.signal("hear", {"text": "forged-9d2e"})
        await handle.signal(Everything.hear, SECRET)
        assert await handle.query(Everything.heard) == [SECRET]
        await wait_until_idle(client, handle.id)
    assert "dropping the signal" in caplog.text
    assert "forged-9d2e" not in caplog.text
    with pytest.raises(WorkflowUpdateFailedError):
        await forger.execute_update("finish", {"text": SECRET.text})
    with pytest.raises((KeyError, WorkflowQueryFailedError)):
        await forger.query("heard")
    assert await handle.execute_update(Everything.finish, SECRET) == SECRET
    assert await handle.result() == SECRET


async def test_a_forged_start_fails_instead_of_looping(client: Client, outsider: Client) -> None:
    forged = await outsider.start_workflow("Patient", 1, id=str(uuid4()), task_queue=QUEUE)
    async with asyncio.timeout(30):
        description = await wait_until_idle(client, forged.id)
        while description.close_time is None:
            description = await client.get_workflow_handle(forged.id).describe()
    assert description.status is not None
    assert description.status.name == "FAILED"


async def test_skips_forty_days_over_timers_activities_and_runs(client: Client) -> None:
    handle = await client.start_workflow(Patient.run, 1, id=str(uuid4()), task_queue=QUEUE)
    before = await virtual_now(client, handle.id)
    assert abs(before - datetime.now(UTC)) < timedelta(seconds=5)
    await wait_until_idle(client, handle.id)
    started = time.monotonic()

    assert await fast_forward(client, handle.id, timedelta(days=40))
    description = await wait_until_idle(client, handle.id)

    assert time.monotonic() - started < 30
    assert description.run_id != handle.first_execution_run_id
    moved = await virtual_now(client, handle.id) - before
    assert timedelta(days=40) <= moved < timedelta(days=40, seconds=60)
    # The first run waited until day 9, the second until days 18, 27 and 36.
    now = await client.get_workflow_handle(handle.id).execute_update(Patient.time)
    assert timedelta(days=40) <= now - before < timedelta(days=40, seconds=60)
    history = await client.get_workflow_handle(handle.id).fetch_history()
    assert sum(event.HasField("timer_fired_event_attributes") for event in history.events) == 3
    await client.get_workflow_handle(handle.id).terminate()


async def test_each_workflow_has_its_own_clock(client: Client) -> None:
    ahead = await client.start_workflow(Patient.run, 0, id=str(uuid4()), task_queue=QUEUE)
    still = await client.start_workflow(Patient.run, 0, id=str(uuid4()), task_queue=QUEUE)
    assert await fast_forward(client, ahead.id, timedelta(days=5))
    assert await virtual_now(client, ahead.id) - await virtual_now(client, still.id) > timedelta(days=4)
    for handle in (ahead, still):
        await handle.terminate()


async def test_the_end_on_the_way_is_told(client: Client) -> None:
    handle = await client.start_workflow(Everything.run, SECRET, id=str(uuid4()), task_queue=QUEUE)
    await wait_until_idle(client, handle.id)
    skipping = asyncio.create_task(fast_forward(client, handle.id, timedelta(days=1)))
    assert await skipping
    await handle.execute_update(Everything.finish, SECRET)
    await handle.result()
    assert (await wait_until_idle(client, handle.id)).close_time
    with pytest.raises(RPCError):
        await fast_forward(client, handle.id, timedelta(days=1))


async def test_nobody_is_told_quickly(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    started = time.monotonic()
    with pytest.raises(Unreachable, match="kaiji dev") as error:
        await connect(Settings.load(tmp_path), keyring)
    assert time.monotonic() - started < 8
    assert error.value.service == "Temporal"


async def test_somebody_who_never_answers_is_told_in_five_seconds(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(Unreachable):
            await connect(Settings.load(tmp_path), keyring)
        assert 4 < time.monotonic() - started < 8
