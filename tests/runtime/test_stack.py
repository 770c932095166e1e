"""The development stack as a whole, with stand-ins for worker and gateway."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from runtime.embedded.stack import Stack
from runtime.errors import HomeInUse, StartFailed
from runtime.settings import Settings
from runtime.stackfile import StackFile
from runtime.temporal import connection


def stack_on(
    home: Path, *, gateway: str = "tests.runtime.stub_gateway", migrated: list[str] | None = None
) -> Stack:
    return Stack(
        Settings.load(home),
        migrate=(migrated if migrated is not None else []).append,
        worker="tests.runtime.stub_worker",
        gateway=gateway,
        ui=False,
    )


async def test_everything_comes_up_tells_its_neighbours_and_goes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    migrated: list[str] = []
    async with stack_on(home, migrated=migrated) as stack:
        assert migrated == [stack.info.database]
        assert StackFile.read(home) == stack.info
        for private in ("stack.json", "webhook.secret", "keyring.json", "stack.lock"):
            assert (home / private).stat().st_mode & 0o777 == 0o600
        assert home.stat().st_mode & 0o777 == 0o700

        neighbour = Settings.load(home)
        assert neighbour.database() == stack.info.database
        assert connection(neighbour)["target_host"] == stack.info.temporal
        assert neighbour.webhook_secrets[0].get_secret_value().startswith("whsec_")
        for child in ("worker", "gateway"):
            log = (home / "logs" / f"{child}.log").read_text()
            assert f"database {stack.info.database}\ntemporal {stack.info.temporal}\n" in log
        ports = [int(address.rpartition(":")[2].partition("/")[0]) for address in _addresses(stack.info)]
    assert StackFile.read(home) is None
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_a_second_stack_on_the_home_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    async with stack_on(tmp_path) as first:
        with pytest.raises(HomeInUse, match=rf"in use by process {os.getpid()}"):
            async with stack_on(tmp_path):
                pass
        assert StackFile.read(tmp_path) == first.info


async def test_a_part_that_does_not_come_up_takes_all_down(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="gateway"):
        async with stack_on(tmp_path, gateway="no.such.module"):
            pass
    assert StackFile.read(tmp_path) is None
    assert not _processes_naming(tmp_path)


async def test_a_dead_worker_is_started_again(tmp_path: Path) -> None:
    async with stack_on(tmp_path):
        log = tmp_path / "logs" / "worker.log"
        [worker] = _processes_naming(tmp_path, "tests.runtime.stub_worker")
        os.kill(worker, signal.SIGKILL)
        async with asyncio.timeout(60):
            while len(re.findall("^temporal ", log.read_text(), re.MULTILINE)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def _addresses(info: StackFile) -> list[str]:
    assert info.gateway
    return [info.temporal, info.gateway, info.database.rpartition("@")[2]]


def _processes_naming(home: Path, program: str = "") -> list[int]:
    """Processes whose command line or environment names the home."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(home) in command + environment and program.encode() in command:
            found.append(int(process.name))
    return found
