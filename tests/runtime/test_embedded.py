"""The embedded servers: real ones, started, stopped, killed, and never left behind."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from temporalio.client import Client

from runtime.embedded.postgres import PostgresServer, plain_url
from runtime.embedded.processes import Child, free_port
from runtime.embedded.temporal_server import TemporalServer
from runtime.errors import StartFailed


async def execute(server: PostgresServer, statement: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(plain_url(server.url()), autocommit=True) as connection:
        cursor = await connection.execute(statement)
        return await cursor.fetchall() if cursor.description else []


def runs(pid: int) -> bool:
    """Whether a process runs; one that is only waiting to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], bool], within: float = 30.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = asyncio.get_running_loop().time() + within
    while asyncio.get_running_loop().time() < deadline:
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


class TestPostgres:
    async def test_keeps_its_data_over_stop_and_start(self, tmp_path: Path) -> None:
        async with PostgresServer(tmp_path, fast=True) as server:
            await execute(server, "CREATE TABLE kept AS SELECT 42 AS value")
        async with PostgresServer(tmp_path, fast=True) as server:
            assert await execute(server, "SELECT value FROM kept") == [(42,)]

    async def test_starts_again_after_kill_9_even_when_its_number_is_taken(self, tmp_path: Path) -> None:
        server = PostgresServer(tmp_path, fast=True)
        await server.start()
        await execute(server, "CREATE TABLE kept AS SELECT 42 AS value")
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        assert await until(lambda: server.pid is None)
        lock = server.data / "postmaster.pid"
        # As after a restart of the machine: another program has the number that the lock names.
        lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(os.getpid()), 1))
        async with PostgresServer(tmp_path, fast=True) as again:
            assert await execute(again, "SELECT value FROM kept") == [(42,)]

    async def test_second_server_on_the_same_data_is_refused(self, tmp_path: Path) -> None:
        async with PostgresServer(tmp_path, fast=True) as first:
            second = PostgresServer(tmp_path, fast=True)
            second_patience = 0.2
            with pytest.raises(StartFailed, match="another server uses this data"):
                await second._clear_stale_lock(second_patience)
            assert await execute(first, "SELECT 1") == [(1,)]

    async def test_demands_the_password(self, postgres: PostgresServer) -> None:
        password = postgres.url().split(":")[2].split("@")[0]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await psycopg.AsyncConnection.connect(plain_url(postgres.url()).replace(password, "guess"))

    async def test_is_private_and_local(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        async with PostgresServer(home, fast=True) as server:
            listening = await execute(server, "SHOW listen_addresses")
            sockets = await execute(server, "SHOW unix_socket_directories")
            assert listening == [("127.0.0.1",)]
            assert sockets == [("",)]
            assert home.stat().st_mode & 0o777 == 0o700
            for name in ("postgres.password", "logs/postgres.log"):
                assert (home / name).stat().st_mode & 0o777 == 0o600

    async def test_is_durable_unless_told_otherwise(self, tmp_path: Path, postgres: PostgresServer) -> None:
        assert await execute(postgres, "SHOW fsync") == [("off",)]
        async with PostgresServer(tmp_path) as durable:
            assert await execute(durable, "SHOW fsync") == [("on",)]

    async def test_logs_neither_statements_nor_values(self, tmp_path: Path) -> None:
        async with PostgresServer(tmp_path, fast=True) as server:
            await execute(server, "CREATE TABLE people (name text UNIQUE)")
            await execute(server, "INSERT INTO people VALUES ('canary')")
            with pytest.raises(psycopg.errors.UniqueViolation):
                await execute(server, "INSERT INTO people VALUES ('canary')")
        log = (tmp_path / "logs" / "postgres.log").read_text()
        assert "duplicate key" in log
        assert "canary" not in log


class TestTemporalServer:
    async def test_answers_and_keeps_its_data(self, tmp_path: Path) -> None:
        async with TemporalServer(tmp_path, ui=False) as server:
            client = await Client.connect(server.address)
            await client.start_workflow("Anything", id="kept", task_queue="nobody")
        async with TemporalServer(tmp_path, ui=False) as server:
            client = await Client.connect(server.address)
            assert (await client.get_workflow_handle("kept").describe()).workflow_type == "Anything"

    async def test_registers_search_attributes(self, tmp_path: Path) -> None:
        attributes = {"KaijiPhase": "Keyword"}
        async with TemporalServer(tmp_path, in_memory=True, ui=False, search_attributes=attributes) as server:
            client = await Client.connect(server.address)
            found = [run async for run in client.list_workflows("KaijiPhase = 'RETAINED'")]
            assert found == []

    async def test_serves_its_ui(self, tmp_path: Path) -> None:
        async with TemporalServer(tmp_path, in_memory=True) as server:
            assert server.ui_url
            port = int(server.ui_url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"200 OK" in await reader.readline()
            writer.close()


class TestChild:
    async def test_that_ends_at_once_is_reported_with_its_log(self, tmp_path: Path) -> None:
        child = Child("short", [sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path)

        async def never() -> bool:
            return False

        with pytest.raises(StartFailed, match="short") as failure:
            await child.start(never)
        assert "no such luck" in failure.value.log.read_text()

    async def test_that_ignores_the_request_to_stop_is_killed(self, tmp_path: Path) -> None:
        code = "trap '' TERM; echo up; while true; do sleep 1; done"
        child = Child("stubborn", ["sh", "-c", code], tmp_path, stop_timeout=0.2)

        async def up() -> bool:
            return "up" in child.log_file.read_text()

        await child.start(up)
        pid = child.pid
        assert pid
        await child.stop()
        assert not runs(pid)

    async def test_is_started_again_when_it_dies(self, tmp_path: Path) -> None:
        child = Child("phoenix", ["sleep", "60"], tmp_path, restart=True)

        async def running() -> bool:
            return child.pid is not None

        await child.start(running)
        first = child.pid
        assert first
        os.kill(first, signal.SIGKILL)
        assert await until(lambda: child.pid not in (first, None))
        await child.stop()
        assert child.pid is None


async def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        """
import asyncio, json, sys
from pathlib import Path
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer

async def main():
    home = Path(sys.argv[1])
    async with PostgresServer(home, fast=True) as postgres, TemporalServer(home, in_memory=True) as temporal:
        print(json.dumps([postgres.pid, temporal.pid]), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    )
    root = Path(__file__).parents[2]
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, script, tmp_path / "home"),
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout
    pids = json.loads(await parent.stdout.readline())
    assert len(pids) == 2
    assert all(map(runs, pids))
    parent.kill()
    await parent.wait()
    assert await until(lambda: not any(map(runs, pids)))


def test_a_free_port_is_the_preferred_one_unless_it_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port is only looked at")
async def test_two_processes_that_choose_at_once_never_choose_the_same_port() -> None:
    mine = free_port()
    other = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"from runtime.embedded.processes import free_port; print(free_port({mine}))",
        stdout=asyncio.subprocess.PIPE,
    )
    chosen, _ = await other.communicate()
    assert int(chosen) != mine
