"""An office that uses nothing but the command line, on real servers, with a worker beside it."""

import asyncio
import contextlib
import io
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from policy.deposit import parse_notice
from policy.holdings import parse_holdings
from records import holdings, staff
from records.database import Database
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from runtime.settings import Settings
from runtime.stackfile import StackFile
from runtime.temporal import connect
from starter.cli.main import run
from starter.notices import Notices
from tests.contract import ENVELOPE
from tests.records.material import png
from tests.starter.opened import check, watched
from worker import create_worker, ensure_schedules, register_search_attributes

Json = dict[str, Any]

KAIJI = str(Path(sys.executable).with_name("kaiji"))
PATIENCE = 60.0
"""Seconds until what was set going has to be done: a slow machine needs some."""
SAMPLES = Path(__file__).parents[2] / "starter" / "samples" / "holdings.json"


@dataclass(frozen=True)
class Ran:
    """How one command ended, and the one document it printed."""

    status: int
    document: Json

    @property
    def code(self) -> str | None:
        """The reason code of a command that failed."""
        error = self.document.get("error")
        return error["code"] if error else None


@dataclass
class Office:
    """A home, what is in its neighbourhood, and a desk with envelopes on it."""

    home: Path
    desk: Path
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """Run `kaiji` as a process of its own."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KAIJI_")}
        return await asyncio.create_subprocess_exec(
            KAIJI,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=clean | {"KAIJI_HOME": str(self.home)} | environment,
        )

    async def run(self, *arguments: str, **environment: str) -> Ran:
        """Run a command with --json to its end."""
        status, printed = await self._printed([*arguments, "--json"], environment)
        return Ran(status, json.loads(printed))

    async def read(self, *arguments: str) -> str:
        """Run a command that must succeed; answers what people read."""
        status, printed = await self._printed(arguments, {})
        assert status == 0, (arguments, printed)
        return printed

    async def _printed(self, arguments: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
        """In a thread: a process of its own would take a second. What it opens has to be in the trail."""
        out, since = io.StringIO(), datetime.now(UTC)
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), watched(patch) as opened:
            for name, value in ({"KAIJI_HOME": str(self.home)} | environment).items():
                patch.setenv(name, value)
            status = await asyncio.to_thread(run, [*arguments])
        if opened:
            by = arguments[arguments.index("--by") + 1] if "--by" in arguments else None
            await check(self.home, arguments, since, by or environment.get("KAIJI_ACTOR"))
        return status, out.getvalue()

    async def do(self, *arguments: str, **environment: str) -> Json:
        """Run a command that must succeed; answers its document."""
        ran = await self.run(*arguments, **environment)
        assert ran.status == 0, (arguments, ran)
        return ran.document

    def tracking_number(self) -> str:
        """A tracking number that nothing else here has."""
        number = 2_000_000_000 + next(self._numbers)
        return f"{number}{number % 7}"

    def envelope(self, **changes: object) -> str:
        """An envelope on the desk, complete unless changed, under a tracking number of its own."""
        return write_envelope(self.desk, {"tracking_number": self.tracking_number(), **changes})

    async def reach(self, request_id: str, phase: str) -> Json:
        """Wait until a request is in a phase and waits for somebody; answers its status."""

        def arrived(status: Json) -> bool:
            return status["phase"] == phase and bool(status["waiting"])

        status = await self.until(arrived, "request", "show", request_id)
        assert arrived(status), (phase, status["phase"], status["explanation"])
        return status

    async def until(self, so: Callable[[Json], bool], *arguments: str) -> Json:
        """Run a command again until its document is as it should be; answers the last one."""
        end = time.monotonic() + PATIENCE
        while True:
            document = await self.do(*arguments)
            if so(document) or time.monotonic() > end:
                return document
            await asyncio.sleep(0.05)


def write_envelope(folder: Path, changes: Json) -> str:
    """The contract's envelope as a file, with its scans beside it."""
    for name in ("residence.png", "licence.png"):
        (folder / name).write_bytes(png(name.encode()))
    path = folder / f"envelope-{changes.get('tracking_number', 'sample')}.json"
    path.write_text(json.dumps(ENVELOPE | changes, ensure_ascii=False), encoding="utf-8")
    return str(path)


@asynccontextmanager
async def open_office(folder: Path, database_url: str) -> AsyncIterator[Office]:
    """An office on servers of its own but for PostgreSQL: staff and sample holdings are there."""
    home, desk = folder / "home", folder / "desk"
    home.mkdir(mode=0o700)
    desk.mkdir()
    keyring = Keyring.open(home / "keyring.json", create=True)
    database = Database(database_url, keyring, home / "destructions.log")
    async with database.begin() as conn:
        await staff.seed_development(conn)
        sample = parse_holdings(SAMPLES.read_bytes())
        await holdings.import_file(
            conn, database.vault, keyring, sample, by="manager-1", on=date(2018, 11, 1)
        )
    async with TemporalServer(folder / "temporal", in_memory=True, ui=False) as server:
        StackFile(temporal=server.address, database=database_url, pid=os.getpid()).write(home)
        client = await connect(Settings.load(home), keyring)
        await register_search_attributes(client)
        await ensure_schedules(client)
        async with create_worker(client, database, keyring):
            yield Office(home, desk)
    await database.dispose()


async def pay(
    office: Office, amount: int, reference: str, deposit_id: str, *, source: str = "webhook"
) -> None:
    """The payment system tells of a settled deposit."""
    settings = Settings.load(office.home)
    keyring = Keyring.from_settings(settings)
    database = Database(settings.database(), keyring)
    data = {
        "deposit_id": deposit_id,
        "account": "1234567",
        "amount": amount,
        "currency": "JPY",
        "value_date": "2018-11-20",
        "payer_name": "ミホン ハナコ",
        "reference": reference,
        "edi": "",
    }
    body = json.dumps(
        {"type": "deposit.settled", "timestamp": datetime.now(UTC).isoformat(), "data": data}
    ).encode()
    notices = Notices(source, database, keyring, lambda: connect(settings, keyring))
    await notices.take(f"message-{deposit_id}", body, parse_notice(body))
    await database.dispose()
