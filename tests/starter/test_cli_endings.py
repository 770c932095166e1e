"""How commands end: 200 processes with only the expected status, outages in the middle, Ctrl-C."""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.messages import DepositKey
from records.database import Database
from records.migrate import head
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.processes import free_port
from runtime.embedded.temporal_server import TemporalServer
from runtime.errors import Unreachable
from runtime.keys import Keyring
from runtime.keyset import KeyKind
from runtime.settings import Settings
from runtime.stackfile import StackFile
from runtime.temporal import connect
from starter.today import machine_day
from tests.starter.office import Office
from worker import create_worker, register_search_attributes
from workflows.deposit import Deposit

AT_ONCE = 4


@pytest.mark.parametrize("runs", [20, pytest.param(200, marks=pytest.mark.long)])
async def test_every_run_ends_as_it_should(office: Office, runs: int) -> None:
    """Temporal's threads can crash a process that ends the interpreter's way: none of these does."""
    received = await office.do("receive", office.envelope(), "--by", "mailroom-1")
    dry_run = office.envelope()
    request_id = received["request_id"]
    commands: list[tuple[tuple[str, ...], int]] = [
        (("request", "list", "--json"), 0),
        (("request", "show"), 2),
        (("schema", "envelope", "--json"), 0),
        (("request", "approve", request_id, "--by", "approver-1", "--json"), 3),
        (("nonsense", "--json"), 2),
        (("--help",), 0),
        (("request", "list", "--overdue"), 0),
        (("request", "list", "--phase", "LUNCH", "--json"), 2),
        (("receive", dry_run, "--dry-run"), 0),
        (("request", "approve", request_id, "--json"), 2),
    ]
    jobs = itertools.islice(itertools.cycle(commands), runs)
    wrong: Counter[tuple[str, int | None]] = Counter()

    async def work() -> None:
        for words, expected in jobs:
            process = await office.start(*words)
            out, _ = await process.communicate()
            if process.returncode != expected or ("--json" in words and not json.loads(out)):
                wrong[" ".join(words), process.returncode] += 1

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    assert not wrong


async def test_an_outage_after_the_commit_loses_nothing(
    postgres: PostgresServer, migrated_template: str, tmp_path: Path
) -> None:
    """Temporal is down when the envelope is recorded: status 5; the repeat completes it, once."""
    await postgres.clone_database(migrated_template, "outage")
    url = postgres.url("outage")
    home, desk = tmp_path / "home", tmp_path / "desk"
    home.mkdir(mode=0o700)
    desk.mkdir()
    office = Office(home, desk)
    keyring = Keyring.open(home / "keyring.json", create=True)
    StackFile(temporal="127.0.0.1:1", database=url, pid=os.getpid()).write(home)
    await office.do("staff", "add", "manager-1", "--role", "manager", "--by", "manager-1")
    for id, role in (("mailroom-1", "mailroom"), ("officer-1", "officer")):
        await office.do("staff", "add", id, "--role", role, "--by", "manager-1")

    envelope = office.envelope()
    down = await office.run("receive", envelope, "--by", "mailroom-1")
    assert (down.status, down.code) == (5, "service_unreachable")
    opening = ("request", "open", "--kind", "disclosure", "--service", "gmo-appscloud", "--by", "officer-1")
    assert (await office.run(*opening)).status == 5

    async with TemporalServer(tmp_path / "temporal", in_memory=True, ui=False) as server:
        StackFile(temporal=server.address, database=url, pid=os.getpid()).write(home)
        client = await connect(Settings.load(home), keyring)
        await register_search_attributes(client)
        database = Database(url, keyring)
        idle = await office.do("receive", envelope, "--by", "mailroom-1")  # no worker yet
        assert (idle["repeated"], idle["phase"]) == (True, "AWAITING_DOCUMENTS")
        waiting = await office.run("request", "show", idle["request_id"])
        assert (waiting.status, waiting.code) == (5, "service_unreachable")
        async with create_worker(client, database, keyring):
            again = await office.do("receive", envelope, "--by", "mailroom-1")
            assert (again["repeated"], again["opened"]) == (True, False)
            status = await office.reach(again["request_id"], "VERIFYING")
            assert (status["envelopes"], len(status["timeline"])) == (
                1,
                2 + (status["waiting"]["who"] == "manager"),
            )
            opened = await office.do(*opening)
            assert opened["request_id"] > again["request_id"]
        await database.dispose()

    gone = await office.run("request", "list")
    assert (gone.status, gone.code) == (5, "service_unreachable")


async def test_rotated_keys_open_everything_and_the_old_one_nothing(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    await postgres.ensure_database("rotation")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    office = Office(home, tmp_path)
    Keyring.open(home / "keyring.json", create=True)
    StackFile(temporal="127.0.0.1:1", database=postgres.url("rotation"), pid=os.getpid()).write(home)
    for before in (None, head()):
        assert await office.do("database", "upgrade") == {"before": before, "after": head()}
    await office.do("staff", "add", "manager-1", "--role", "manager", "--by", "manager-1")
    await office.do("staff", "add", "officer-1", "--role", "officer", "--by", "manager-1")
    sample = str(Path(__file__).parents[2] / "starter" / "samples" / "holdings.json")
    await office.do("holdings", "import", sample, "--by", "manager-1")
    show = (
        "holdings",
        "show",
        "--service",
        "gmo-appscloud",
        "--customer-number",
        "C0012345",
        "--by",
        "officer-1",
    )
    before = await office.do(*show)
    assert (await office.run("keys", "rotate", "--by", "officer-1")).code == "wrong_role"
    rotated = await office.do("keys", "rotate", "--discard-old", "--by", "manager-1")
    assert (rotated["key"], rotated["discarded"]) == ("kek-2", ["kek-1"])
    assert rotated["wrapped"] > 0
    assert await office.do(*show) == before
    assert [key.id for key in Keyring.open(home / "keyring.json").versions(KeyKind.KEK)] == ["kek-2"]

    rotated = await office.do("keys", "rotate", "--by", "manager-1")
    assert (rotated["key"], rotated["retired"], rotated["discarded"]) == ("kek-3", ["kek-2"], [])
    assert (await office.run("keys", "discard", "kek-2", "--by", "officer-1")).code == "wrong_role"
    refused = await office.run("keys", "discard", "kek-2", "--by", "manager-1")
    assert (refused.status, refused.code) == (3, "key_in_use")
    listed = {key["id"]: key for key in (await office.do("keys", "list"))["keys"]}
    assert set(listed) == {"kek-2", "kek-3", "codec-1", "sign-1"}
    assert listed["kek-3"]["uses"] == rotated["wrapped"]
    assert (listed["kek-2"]["uses"], listed["kek-2"]["retired"]) == (0, machine_day().isoformat())
    assert listed["kek-2"]["discardable_from"] in refused.document["error"]["message"]
    assert (await office.do("keys", "discard", "--by", "manager-1"))["discarded"] == []
    for key, status, code in (
        ("kek-3", 3, "key_in_use"),
        ("codec-1", 3, "key_in_use"),
        ("kek-9", 4, "not_found"),
    ):
        ran = await office.run("keys", "discard", key, "--by", "manager-1")
        assert (ran.status, ran.code) == (status, code), key
    assert await office.do(*show) == before


async def test_a_server_that_cannot_skip_time_says_so(office: Office, tmp_path: Path) -> None:
    """Such as the development server without the switch for it, and any server in production."""
    port = free_port()
    temporal = Path(sys.executable).with_name("temporal")
    server = await asyncio.create_subprocess_exec(
        *(temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        keyring = Keyring.open(office.home / "keyring.json")
        settings = Settings.load(office.home)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{port}")
            client = await _patiently(lambda: connect(settings, keyring))
            key = DepositKey(source="webhook", deposit_id="d")
            await client.start_workflow(Deposit.run, key, id="deposit/webhook/d", task_queue="kaiji")
            refused = await office.run("clock", "advance", "deposit/webhook/d", "1d")
    finally:
        server.terminate()
        await server.wait()
    assert (refused.status, refused.code) == (2, "misconfigured")
    assert "kaiji dev" in refused.document["error"]["message"]


async def _patiently(attempt: Callable[[], Awaitable[Client]]) -> Client:
    for _ in range(150):
        try:
            return await attempt()
        except Unreachable:
            await asyncio.sleep(0.2)
    return await attempt()


async def test_ctrl_c_is_quiet(office: Office) -> None:
    # a test run in the background ignores SIGINT, and so would what it starts
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    async def never_answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read(-1)

    asked = asyncio.Event()
    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await office.start("request", "list", "--json", TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
        await asyncio.wait_for(asked.wait(), 60)
        process.send_signal(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
        out, log = await process.communicate()
    assert (process.returncode, out, log) == (130, b"", b"")
