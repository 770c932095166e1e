"""Services that accept connections and then say nothing: notices are answered in time, and none is lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from records import ledger, locks
from records.database import Database
from records.migrate import upgrade
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from tests.starter.payment_system import (
    PaymentSystem,
    connected,
    encoded,
    gateway,
    new_deposit_id,
    notice,
    signature,
)
from worker import register_search_attributes

PATIENCE = 0.6
connections = pytest.mark.parametrize(
    "warm", [pytest.param(True, id="old"), pytest.param(False, id="new", marks=pytest.mark.long)]
)


@pytest.fixture(scope="module")
async def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """A server to be stopped."""
    async with PostgresServer(tmp_path_factory.mktemp("outages"), fast=True) as server:
        upgrade(server.url())
        yield server


@pytest.fixture(scope="module")
async def own_temporal(
    tmp_path_factory: pytest.TempPathFactory, keyring: Keyring
) -> AsyncIterator[TemporalServer]:
    """A server to be stopped."""
    async with TemporalServer(tmp_path_factory.mktemp("outages"), in_memory=True, ui=False) as server:
        await register_search_attributes(await connected(server.address, keyring))
        yield server


@pytest.fixture
async def payment_system(
    own_postgres: PostgresServer, own_temporal: TemporalServer, keyring: Keyring
) -> AsyncIterator[PaymentSystem]:
    async def client() -> Client:
        return await connected(own_temporal.address, keyring)

    async with gateway(own_postgres.url(), keyring, client, answer_seconds=PATIENCE) as payment_system:
        yield payment_system


@contextmanager
def hung(pid: int | None) -> Iterator[None]:
    """A process and all below it stand still: the kernel accepts connections for them, and nobody answers."""
    assert pid is not None
    family = [pid, *_descendants(pid)]
    for each in family:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            os.kill(each, signal.SIGCONT)


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [below for child in map(int, children) for below in (child, *_descendants(child))]


async def timed(payment_system: PaymentSystem, document: object) -> httpx.Response:
    started = time.monotonic()
    answer = await payment_system.tell(document)
    assert time.monotonic() - started < PATIENCE + 3
    return answer


async def recovered(payment_system: PaymentSystem, *documents: object) -> None:
    for document in documents:
        body = encoded(document)
        assert (await payment_system.insist(body, signature(body))).status_code == 202


async def deposits(server: PostgresServer, keyring: Keyring, *documents: dict[str, object]) -> int:
    """How many of these the ledger has."""
    database, found = Database(server.url(), keyring), 0
    async with database.begin() as conn:
        known = {(row.source, row.deposit_id) for row in await ledger.list_deposits(conn)}
    await database.dispose()
    for document in documents:
        data = document["data"]
        assert isinstance(data, dict)
        found += ("webhook", data["deposit_id"]) in known
    return found


@connections
async def test_a_database_that_hangs(
    payment_system: PaymentSystem, own_postgres: PostgresServer, keyring: Keyring, warm: bool
) -> None:
    if warm:  # connections in the pool, which look alive
        await recovered(payment_system, notice(new_deposit_id()))  # connected, however long that took
        assert (await payment_system.tell(notice(new_deposit_id()))).status_code == 202
    told = [notice(new_deposit_id()) for _ in range(25)]  # more than there are connections
    with hung(own_postgres.pid):
        answers = await asyncio.gather(*(timed(payment_system, each) for each in told))
        assert {answer.status_code for answer in answers} == {503}
        assert (await payment_system.client.get("/healthz")).status_code == 200
        ready = await asyncio.gather(*(payment_system.client.get("/readyz") for _ in range(30)))
        assert {answer.json()["database"] for answer in ready} == {"unreachable"}
    await recovered(payment_system, *told)
    assert await deposits(own_postgres, keyring, *told) == len(told)
    assert (await payment_system.client.get("/readyz")).json() == {"database": "ok", "temporal": "ok"}


@connections
async def test_a_temporal_that_hangs(
    payment_system: PaymentSystem, own_temporal: TemporalServer, keyring: Keyring, warm: bool
) -> None:
    if warm:
        await recovered(payment_system, notice(new_deposit_id()))  # connected, however long that took
        assert (await payment_system.tell(notice(new_deposit_id()))).status_code == 202
    told = [notice(new_deposit_id()) for _ in range(25)]
    with hung(own_temporal.pid):
        answers = await asyncio.gather(*(timed(payment_system, each) for each in told))
        assert {answer.status_code for answer in answers} == {503}
        assert (await payment_system.client.get("/readyz")).json()["temporal"] == "unreachable"
        preliminary = notice(new_deposit_id(), "deposit.preliminary")
        assert (await timed(payment_system, preliminary)).status_code == 202  # nobody is to be told
    await recovered(payment_system, *told)
    client = await connected(own_temporal.address, keyring)
    for document in told:
        workflow = client.get_workflow_handle(f"deposit/webhook/{document['data']['deposit_id']}")
        assert (await workflow.describe()).status is not None


async def test_slow_notices_hold_up_others_no_longer_than_the_budget(
    payment_system: PaymentSystem, own_postgres: PostgresServer, keyring: Keyring
) -> None:
    """Locks held elsewhere keep as many notices waiting as are worked at: the others hear to repeat."""
    slow = [notice(new_deposit_id()) for _ in range(30)]
    quick = notice(new_deposit_id())
    database = Database(own_postgres.url(), keyring)
    async with database.begin() as conn:
        for document in slow:
            await locks.lock(conn, f"deposit/webhook/{document['data']['deposit_id']}")
        first = [asyncio.create_task(timed(payment_system, each)) for each in slow]
        await asyncio.sleep(PATIENCE / 2)
        assert (await timed(payment_system, quick)).status_code in (202, 503)
        assert {answer.status_code for answer in await asyncio.gather(*first)} == {503}
        assert (await timed(payment_system, quick)).status_code == 202  # while the locks are still held
    await database.dispose()
    await recovered(payment_system, *slow)
    assert await deposits(own_postgres, keyring, quick, *slow) == 31
