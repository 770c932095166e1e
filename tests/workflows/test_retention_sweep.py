"""The daily sweep on servers of its own: it looks at all there is."""

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.repairing import RepairActivities
from activities.sweep_steps import SweepEnded
from activities.sweeping import SweepActivities
from policy.holdings import parse_holdings
from policy.refusals import Code
from policy.vocabulary import Phase, RecordClass
from records import audit, certificates, checkpoints, holdings, import_log, requests, sweeps
from records.sweeps import Course
from records.tables import expiries as expiry_rows
from records.tables import holding_subjects
from records.tables import holdings as holding_rows
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from runtime.stackfile import StackFile
from starter import schedules
from starter.repairing import TemporalEngine
from tests.records.material import open_request
from tests.starter.office import Office
from tests.workflows.world import World, running
from workflows.retention_sweep import RetentionSweep, SweepOrder, SweepProgress
from workflows.task_queue import TASK_QUEUE

LONG_AGO = date(2000, 1, 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command line finds what is below."""
    return tmp_path_factory.mktemp("sweeps")


@pytest.fixture(scope="module")
async def swept(postgres: PostgresServer, migrated_template: str, home: Path) -> AsyncIterator[World]:
    """A world in which nothing but these tests happens."""
    await postgres.clone_database(migrated_template, "sweeps")
    url, keyring = postgres.url("sweeps"), Keyring.open(home / "keyring.json", create=True)
    async with (
        TemporalServer(home / "temporal", in_memory=True, ui=False) as server,
        running(server.address, url, keyring) as world,
    ):
        StackFile(temporal=server.address, database=url, pid=os.getpid()).write(home)
        yield world


async def begin(
    world: World, *, task_queue: str = TASK_QUEUE, **order: object
) -> WorkflowHandle[RetentionSweep, SweepEnded]:
    handle: WorkflowHandle[RetentionSweep, SweepEnded] = await world.client.start_workflow(
        RetentionSweep.run, SweepOrder(**order), id=f"retention-sweep/{uuid4()}", task_queue=task_queue
    )
    return handle


async def sweep(world: World, **order: object) -> sweeps.Sweep:
    """A whole sweep; answers its report."""
    handle = await begin(world, **order)
    await handle.result()
    return await report(world, handle)


async def report(world: World, handle: WorkflowHandle[RetentionSweep, SweepEnded]) -> sweeps.Sweep:
    progress: SweepProgress = await handle.query(RetentionSweep.progress)
    assert progress.step == progress.steps
    async with world.database.begin() as conn:
        return await sweeps.find(conn, UUID(progress.sweep_id))


async def expired_people(world: World, count: int) -> None:
    """People whose contracts ended long ago, by the register's own day."""
    people = [
        {
            "service": "gmo-appscloud",
            "customer_number": f"S-{uuid4()}",
            "name": f"見本 {number}",
            "categories": {"identity": {"name": "見本"}, "usage": {"usage_balance": 1}},
        }
        for number in range(count)
    ]
    file = parse_holdings(json.dumps({"holdings": people}))
    async with world.database.begin() as conn:
        before = select(holding_subjects.c.id)
        known = list(await conn.scalars(before))
        await holdings.import_file(
            conn, world.database.vault, world.keyring, file, "manager-1", on=world.today
        )
        new = holding_subjects.c.id.not_in(known)
        await conn.execute(update(holding_subjects).where(new).values(contract_ended_on=LONG_AGO))
        of_new = holding_rows.c.subject_id.not_in(known)
        await conn.execute(
            update(holding_rows).where(of_new).values(purpose_achieved_on=LONG_AGO, expires_on=LONG_AGO)
        )


async def people_left(world: World) -> int:
    async with world.database.begin() as conn:
        ended = holding_subjects.c.contract_ended_on == LONG_AGO
        return await conn.scalar(select(func.count()).select_from(holding_subjects).where(ended)) or 0


async def fewer_people(world: World, than: int) -> None:
    """Wait until a sweep has come that far."""
    async with asyncio.timeout(30):
        for _ in itertools.count():
            if await people_left(world) < than:
                return
            await asyncio.sleep(0.02)


async def swept_once(world: World) -> str:
    """Wait until a sweep runs; answers its workflow id."""
    async with asyncio.timeout(30):
        for _ in itertools.count():
            async for run in world.client.list_workflows("WorkflowType = 'RetentionSweep'"):
                return run.id
            await asyncio.sleep(0.05)
    raise AssertionError


async def test_temporal_starts_it_every_night_and_its_report_says_what_was_done(swept: World) -> None:
    await expired_people(swept, 3)
    await asyncio.gather(*(schedules.ensure(swept.client) for _ in range(3)))
    handle = swept.client.get_schedule_handle(schedules.SWEEP)
    await handle.pause()
    async with asyncio.timeout(30):  # Temporal takes note of it a moment later
        while not (await handle.describe()).schedule.state.paused:  # noqa: ASYNC110 (Temporal tells)
            await asyncio.sleep(0.05)
    await schedules.ensure(swept.client)  # a worker that starts leaves it paused
    described = await handle.describe()
    assert described.schedule.state.paused
    assert (await schedules.scheduled(swept.client)) == schedules.Scheduled(None)
    await handle.unpause()
    next_at = (await schedules.scheduled(swept.client) or schedules.Scheduled(None)).next
    assert next_at is not None
    assert (next_at.hour, next_at.minute) == (18, 0)  # three in the morning in Tokyo
    await handle.trigger()
    listed = await swept_once(swept)
    run = swept.client.get_workflow_handle_for(RetentionSweep.run, listed)
    await run.result()
    done = await report(swept, run)
    assert (done.begun_by, done.on, done.counts["people_destroyed"]) == (audit.AUTOMATIC, swept.today, 3)
    assert done.ended_at is not None
    assert await people_left(swept) == 0
    async with swept.database.begin() as conn:
        acts = [event.act for event in await audit.events(conn, sweeps.CASE)]
        assert acts == ["sweep_begun", "sweep_ended"]
        assert len(await checkpoints.stored(conn)) == done.counts["checkpoints_taken"] == 1


async def test_two_at_once_and_a_worker_killed_half_way_destroy_everybody_once(swept: World) -> None:
    """Pages of one person: each sweep continues as new on the way."""
    await expired_people(swept, 30)

    def worker() -> Worker:
        small = SweepActivities(swept.database, page=1, seconds=0)
        repair = RepairActivities(swept.database, TemporalEngine(swept.database, swept.client))
        names = [
            name for name in dir(small) if hasattr(getattr(small, name), "__temporal_activity_definition")
        ]
        also = [
            name for name in dir(repair) if hasattr(getattr(repair, name), "__temporal_activity_definition")
        ]
        return Worker(
            swept.client,
            task_queue="small-pages",
            workflows=[RetentionSweep],
            activities=[*(getattr(small, n) for n in names), *(getattr(repair, n) for n in also)],
        )

    async with worker():
        both = [await begin(swept, task_queue="small-pages") for _ in range(2)]
        await fewer_people(swept, 20)
    assert await people_left(swept) > 0
    async with worker():
        await asyncio.gather(*(handle.result() for handle in both))
        told = [await report(swept, handle) for handle in both]
    assert await people_left(swept) == 0
    assert sum(each.counts.get("people_destroyed", 0) for each in told) == 30
    described = [(await handle.describe()).raw_description.workflow_execution_info for handle in both]
    assert any(info.execution.run_id != info.first_run_id for info in described)
    async with swept.database.begin() as conn:
        assert not (await audit.verify(conn)).broken


async def test_a_day_to_come_and_whoever_may_not_are_refused(swept: World) -> None:
    for order, code in (
        ({"on": swept.today + timedelta(days=1)}, Code.MALFORMED),
        ({"by": "officer-1"}, Code.WRONG_ROLE),
    ):
        with pytest.raises(WorkflowFailureError) as failure:
            await (await begin(swept, **order)).result()
        assert isinstance(failure.value.cause, ApplicationError)
        assert failure.value.cause.type == code
    assert (await sweep(swept, by="manager-1")).begun_by == "manager-1"


async def test_a_manager_sweeps_by_hand_and_reads_what_was_done(swept: World, home: Path) -> None:
    office = Office(home, home)
    await expired_people(swept, 2)
    sweeping = ("retention", "sweep", "--by", "manager-1")
    tomorrow = str(swept.today + timedelta(days=1))
    assert (await office.run("retention", "sweep", "--by", "officer-1")).status == 3
    assert (await office.run(*sweeping, "--on", tomorrow)).status == 2
    assert (await office.run(*sweeping, TEMPORAL_ADDRESS="127.0.0.1:9")).status == 5
    assert await people_left(swept) == 2
    process = await office.start(*sweeping, "--json")  # two at once
    printed = [await office.do(*sweeping), json.loads((await process.communicate())[0])]
    assert process.returncode == 0
    assert sum(document["counts"].get("people_destroyed", 0) for document in printed) >= 2
    assert await people_left(swept) == 0
    listed = (await office.do("retention", "sweeps"))["sweeps"]
    assert {document["id"] for document in printed} <= {each["id"] for each in listed}
    shown = await office.do("retention", "sweeps", printed[0]["id"])
    assert shown == printed[0]
    assert "people destroyed" in await office.read("retention", "sweeps")
    assert "manager-1" in await office.read("retention", "sweeps", printed[0]["id"])
    for nonsense in ("nonsense", str(uuid4())):
        assert (await office.run("retention", "sweeps", nonsense)).status == 4


async def test_what_hangs_is_put_right_or_reported(swept: World) -> None:
    world, client, database = swept, swept.client, swept.database
    ended = await world.open()
    await ended.advance(days=92)
    await ended.to_the_end()  # destroyed
    broken_off = await world.open()
    await broken_off.reach(Phase.RETAINED)
    sent = [(letter.kind, letter.state) for letter in (await broken_off.status()).letters]
    await broken_off.hold()
    await client.get_workflow_handle(broken_off.id).terminate()
    overdue = await world.open()
    await overdue.advance(days=92)  # closed
    terminated = await world.open()
    await terminated.reach(Phase.AWAITING_PAYMENT)
    await client.get_workflow_handle(terminated.id).terminate()
    untold = await world.open()
    await untold.record(untold.envelope())
    async with database.begin() as conn:
        late = update(expiry_rows).where(expiry_rows.c.request_id == overdue.id)
        await conn.execute(late.values(expires_on=world.today - timedelta(days=2)))
        unstarted = await open_request(conn, opened_on=world.today)
        await import_log.begin(
            conn, "0123456789abcdef", "zengin", 10, by="accounts-1", on=world.today - timedelta(days=1)
        )
    money = await world.deposit(5400, "nothing that says whose")
    async with database.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO errands (source, deposit_id, recorded_at, not_before)"
                " VALUES (:source, :id, now() - interval '2 days', now() + interval '1 day')"
            ),
            {"source": money.source, "id": money.id},
        )

    done = await sweep(world)
    found = {(each.subject, each.finding, each.course) for each in done.findings}
    repaired = {
        (broken_off.id, "workflow_over", Course.REPAIRED),
        (untold.id, "mail_untold", Course.REPAIRED),
        (unstarted, "workflow_missing", Course.REPAIRED),
    }
    reported = {
        (terminated.id, "workflow_over", Course.REPORTED),
        (overdue.id, "overdue", Course.REPORTED),
        (money.workflow_id, "errand_pending", Course.REPORTED),
        ("import/0123456789abcdef", "import_broke_off", Course.REPORTED),
    }
    assert found == repaired | reported
    (hint,) = [each.detail for each in done.findings if each.subject == terminated.id]
    assert f"temporal workflow reset --workflow-id {terminated.id}" in (hint or "")

    # what was destroyed is forgotten, and nothing else
    assert done.counts["requests_forgotten"] == 1
    assert not [run async for run in client.list_workflows(f"WorkflowId = '{ended.id}'")]
    async with database.begin() as conn:
        forgotten = text("SELECT id, forgotten_on FROM requests WHERE forgotten_on IS NOT NULL")
        assert (await conn.execute(forgotten)).all() == [(ended.id, world.today)]

    # whatever was put right goes on, to its end
    await untold.idle()
    assert (await untold.status()).phase is Phase.VERIFYING
    assert (await client.get_workflow_handle(unstarted).describe()).status is not None
    status = await broken_off.status()
    assert [hold.released_on for hold in status.holds] == [None]
    assert [(letter.kind, letter.state) for letter in status.letters] == sent
    await broken_off.release()
    await broken_off.to_the_end()
    async with database.begin() as conn:
        gone = {each.record_class for each in await certificates.of_request(conn, broken_off.id)}
        assert gone == set(RecordClass)
        assert (await requests.find(conn, broken_off.id)).destroyed_on is not None

    again = await sweep(world)
    assert {(each.subject, each.finding, each.course) for each in again.findings} == reported
    assert again.counts["requests_forgotten"] == 1
