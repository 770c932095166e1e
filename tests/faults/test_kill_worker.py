"""The worker is killed with -9 while requests stand in every phase at once, each in the middle of a step.

Real processes: PostgreSQL, Temporal, and `python -m worker`, which is started again after each kill. Every
request then goes on to its end, and every letter, invoice and destruction is there exactly once. `make
faults` kills more often.
"""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select
from temporalio.client import Client

from policy.holdings import parse_holdings
from policy.vocabulary import Capacity, Kind, LetterKind, MailEvent, Phase, RecordClass
from records import audit, certificates, holdings, letters, requests, staff
from records.database import Database
from records.tables import invoices
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.processes import free_port, healthy
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from runtime.plugin import kaiji_plugin
from tests.workflows.world import HANAKO, HOLDINGS, SERVICE, Case, Refused, World, documents
from worker import register_search_attributes

PHASES = (
    Phase.AWAITING_DOCUMENTS,
    Phase.VERIFYING,
    Phase.AWAITING_PAYMENT,
    Phase.PREPARING,
    Phase.APPROVING,
    Phase.POSTING,
    Phase.IN_TRANSIT,
    Phase.RETAINED,
)
ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """`python -m worker` as a process of its own, to be killed."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self._environment = environment | {"KAIJI_HEALTH_PORT": str(self.port)}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it works."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker", cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(90):
            while not await healthy(self.port, "/readyz"):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """As the kernel would when memory runs out: no warning, no clean-up."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


@pytest.fixture
async def temporal_server(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    """A server of its own: these requests have the ids, and other keys, of other tests' requests."""
    async with TemporalServer(tmp_path / "temporal", in_memory=True, ui=False) as server:
        yield server


@pytest.fixture
async def world(
    postgres: PostgresServer, migrated_template: str, temporal_server: TemporalServer, tmp_path: Path
) -> AsyncIterator[World]:
    """Servers, staff and holdings, and no worker yet."""
    keyring = Keyring.open(tmp_path / "keyring.json", create=True)
    await postgres.clone_database(migrated_template, "faults")
    client = await Client.connect(temporal_server.address, plugins=[kaiji_plugin(keyring, "default")])
    await register_search_attributes(client)
    database = Database(postgres.url("faults"), keyring)
    async with database.begin() as conn:
        await staff.seed_development(conn)
        file = parse_holdings(HOLDINGS.read_bytes())
        await holdings.import_file(conn, database.vault, keyring, file, "manager-1", on=date(2018, 11, 1))
    yield World(client, database, keyring)
    await database.dispose()
    await postgres.drop_database("faults")


@pytest.fixture
async def worker(
    world: World, postgres: PostgresServer, temporal_server: TemporalServer, tmp_path: Path
) -> AsyncIterator[WorkerProcess]:
    """The worker process, working on that world."""
    environment = {
        "KAIJI_HOME": str(tmp_path),
        "KAIJI_DATABASE_URL": postgres.url("faults"),
        "TEMPORAL_ADDRESS": temporal_server.address,
    }
    process = WorkerProcess({**os.environ, **environment}, tmp_path / "worker.log")
    await process.start()
    yield process
    await process.kill()


@pytest.mark.parametrize(
    "kills", [pytest.param(1, id="short"), pytest.param(25, id="long", marks=pytest.mark.long)]
)
async def test_killed_in_every_phase(world: World, worker: WorkerProcess, kills: int) -> None:
    chance = random.Random(20181022)
    for _ in range(kills):
        cases = await asyncio.gather(*(_at(world, phase) for phase in PHASES))
        steps = [
            asyncio.create_task(_next_step(case, phase)) for case, phase in zip(cases, PHASES, strict=True)
        ]
        await asyncio.sleep(chance.uniform(0, 0.12))
        await worker.kill()
        await worker.start()
        await asyncio.gather(*steps)
        await asyncio.gather(*(case.reach(Phase.RETAINED) for case in cases))
        for case in cases:
            await _check_answered_once(world, case)
        await asyncio.gather(*(case.to_the_end() for case in cases))
        for case in cases:
            await _check_destroyed_once(world, case)
    async with world.database.begin() as conn:
        assert (await audit.verify(conn, None)).broken == ()


@pytest.mark.parametrize(
    "kills", [pytest.param(1, id="short"), pytest.param(15, id="long", marks=pytest.mark.long)]
)
async def test_killed_where_a_course_turns(world: World, worker: WorkerProcess, kills: int) -> None:
    """Carried out, undone, reopened, sent elsewhere, originals sent back: each once, with its letter."""
    chance = random.Random(20181022)
    for _ in range(kills):
        turns = await asyncio.gather(_to_carry_out(world), _to_undo(world), _to_reopen(world))
        turns += await asyncio.gather(_to_send_elsewhere(world), _to_return_originals(world))
        steps = [asyncio.create_task(_said(turn.step)) for turn in turns]
        await asyncio.sleep(chance.uniform(0, 0.12))
        await worker.kill()
        await worker.start()
        await asyncio.gather(*steps)
        for turn in turns:
            await _said(turn.step)  # by somebody who is not sure
            assert (await turn.case.status()).phase is turn.phase
            assert await turn.case.letters() == list(turn.letters)
            async with world.database.begin() as conn:
                acts = Counter(event.act for event in await audit.events(conn, turn.case.id))
            assert acts["letter_queued"] == len(turn.letters)
            assert tuple(acts[f"change_{state}"] for state in ("applied", "undone")) == turn.changed
    async with world.database.begin() as conn:
        assert (await audit.verify(conn, None)).broken == ()


@dataclass(frozen=True)
class Turn:
    """A request before a step, and how it stands after it: letters, changes applied and undone."""

    case: Case
    step: Callable[[], Awaitable[object]]
    phase: Phase
    letters: tuple[str, ...]
    changed: tuple[int, int] = (0, 0)


async def _amendment(world: World, phase: Phase) -> Case:
    """A correction of what is held of somebody whom no other request is about, up to a phase."""
    number = world.number()
    who = HANAKO | {"name": f"障害 {number}", "customer_number": f"C8{number:06d}"}
    held = {**who, "service": SERVICE, "categories": {"identity": {"fax": "03-0000-0000"}}}
    async with world.database.begin() as conn:
        file = parse_holdings(json.dumps({"holdings": [held]}))
        await holdings.import_file(
            conn, world.database.vault, world.keyring, file, "manager-1", on=date(2018, 11, 1)
        )
    case = await world.open(Kind.AMENDMENT)
    await case.receive(principal=who)
    await case.reach(Phase.PREPARING)
    await case.propose(changes_id=await case.changes({"identity.fax": None}))
    await case.reach(phase)
    return case


async def _to_carry_out(world: World) -> Turn:
    case = await _amendment(world, Phase.APPROVING)
    return Turn(case, case.approve, Phase.POSTING, ("response",), (1, 0))


async def _to_undo(world: World) -> Turn:
    case = await _amendment(world, Phase.POSTING)
    return Turn(case, case.take_back, Phase.PREPARING, ("response",), (1, 1))


async def _to_reopen(world: World) -> Turn:
    case = await world.open()
    await case.receive(documents=documents(Capacity.SELF, world.today)[:-1])
    await case.verify(deficient=True)
    await case.to_the_end_of((await case.status()).deadlines[0].on)
    letters = ("deficiency", "documents_reminder", "documents_lapsed", "reopened")
    return Turn(case, case.reopen, Phase.AWAITING_DOCUMENTS, letters)


async def _to_send_elsewhere(world: World) -> Turn:
    case = await world.open()
    await case.reach(Phase.IN_TRANSIT)
    await case.mail(MailEvent.RETURNED)
    moved = HANAKO | {"address": "大阪府大阪市北区梅田1-1-1", "postal_code": "530-0001"}
    proof = await case.receive_again(case.envelope(principal=moved))
    letters = ("invoice", "response", "response")
    return Turn(case, lambda: case.confirm_address(proof.number), Phase.POSTING, letters)


async def _to_return_originals(world: World) -> Turn:
    case = await world.open(capacity=Capacity.PROXY)
    await case.reach(Phase.IN_TRANSIT)
    letters = ("invoice", "response", "originals_returned")
    answer = (await case.status()).letters[-1].letter_id
    return Turn(case, lambda: case.mail(MailEvent.DELIVERED, answer), Phase.RETAINED, letters)


async def _said(step: Callable[[], Awaitable[object]]) -> None:
    with suppress(Refused):  # it was done, and said again
        await step()


async def _check_answered_once(world: World, case: Case) -> None:
    """One invoice and one answer, each queued once; nothing twice in the audit trail."""
    async with world.database.begin() as conn:
        kinds = [row.kind for row in await letters.list_of_request(conn, case.id)]
        issued = await conn.scalar(
            select(func.count()).select_from(invoices).where(invoices.c.request_id == case.id)
        )
        acts = Counter(event.act for event in await audit.events(conn, case.id))
    assert kinds in ([LetterKind.INVOICE, LetterKind.RESPONSE], [LetterKind.INVOICE])  # one class may be gone
    assert issued == 1
    once = ("request_opened", "envelope_received", "verify_identity", "data_located", "invoiced")
    once += ("deposit_matched", "response_gathered", "letter_posted", "letter_delivered")
    assert {act: acts[act] for act in once} == dict.fromkeys(once, 1)
    assert acts["letter_queued"] == 2


async def _check_destroyed_once(world: World, case: Case) -> None:
    async with world.database.begin() as conn:
        certified = [done.record_class for done in await certificates.of_request(conn, case.id)]
        row = await requests.find(conn, case.id)
        acts = Counter(event.act for event in await audit.events(conn, case.id))
    assert certified == list(dict.fromkeys(certified))
    assert set(certified) == set(RecordClass)
    assert row.destroyed_on is not None
    assert acts["records_destroyed"] == len(RecordClass)


async def _at(world: World, phase: Phase) -> Case:
    case = await world.open()
    await case.reach(phase)
    return case


async def _next_step(case: Case, phase: Phase) -> None:
    """What happens next in this phase; the same again, as people would, where the answer was lost."""
    steps: dict[Phase, Callable[[], Awaitable[object]]] = {
        Phase.AWAITING_DOCUMENTS: case.receive,
        Phase.VERIFYING: case.verify,
        Phase.AWAITING_PAYMENT: case.pay_in_full,
        Phase.PREPARING: case.propose,
        Phase.APPROVING: case.approve,
        Phase.POSTING: lambda: case.mail(MailEvent.POSTED),
        Phase.IN_TRANSIT: lambda: case.mail(MailEvent.DELIVERED),
        Phase.RETAINED: lambda: case.advance(days=31),
    }
    with suppress(Refused):  # it was done, and said again
        await steps[phase]()
