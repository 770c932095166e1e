"""Many notices at once, and floods of what is none: who is honest gets through, by repeating."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest
from pydantic import SecretStr

from records.database import Database
from records.ledger import list_deposits
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from starter.gateway import create_app
from starter.rates import Limits
from tests.starter.payment_system import (
    SECRET,
    PaymentSystem,
    connected,
    encoded,
    gateway,
    new_deposit_id,
    new_secret,
    notice,
    nowhere,
    served,
    signature,
)

FORGED = new_secret(b"f")
SMALL = Limits(notices=30, all_notices=60, strangers=5, all_strangers=20)


@pytest.fixture
async def payment_system(database_url: str, keyring: Keyring) -> AsyncIterator[PaymentSystem]:
    """A gateway that is easily too much; preliminary notices need no Temporal."""
    async with gateway(database_url, keyring, nowhere, limits=SMALL) as payment_system:
        yield payment_system


def preliminary() -> bytes:
    return encoded(notice(new_deposit_id(), "deposit.preliminary"))


async def deposits(database_url: str, keyring: Keyring) -> int:
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        count = len(await list_deposits(conn))
    await database.dispose()
    return count


async def test_too_many_are_told_when_to_come_again(payment_system: PaymentSystem) -> None:
    taken, answer = -1, None
    while answer is None or answer.status_code == 202:
        taken, body = taken + 1, preliminary()
        answer = await payment_system.send(body, signature(body))
    assert taken >= 30  # and as many more as the clock allowed meanwhile
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_notices")
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert answer.headers["cache-control"] == "no-store"
    await asyncio.sleep(int(answer.headers["retry-after"]))
    assert (await payment_system.send(body, signature(body))).status_code == 202


async def test_strangers_are_turned_away_before_they_are_read(payment_system: PaymentSystem) -> None:
    for _ in range(5):
        assert (await payment_system.send(b"x", {})).status_code == 401

    began = b"POST /webhooks/deposits HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 50\r\n\r\n"
    came = await payment_system.raw(began)  # and of the body nothing
    assert came.startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 12\r\n" in came


async def test_what_floods_from_elsewhere_takes_nothing_from_who_is_known(
    database_url: str, keyring: Keyring
) -> None:
    """Behind a proxy that is believed, each caller has an address; who says another gets nothing by it."""
    addresses = itertools.count()

    async def call(payment_system: PaymentSystem, address: str) -> int:
        body = preliminary()
        headers = signature(body, secret=FORGED) | {"x-forwarded-for": address}
        return (await payment_system.send(body, headers)).status_code

    async with served_behind("127.0.0.1", database_url, keyring) as payment_system:
        body = preliminary()
        ours = {"x-forwarded-for": "198.51.100.1"}
        assert (await payment_system.send(body, signature(body) | ours)).status_code == 202
        flood = [await call(payment_system, f"203.0.113.{next(addresses)}") for _ in range(60)]
        assert flood[:19] == [401] * 19
        assert set(flood) == {401, 429}
        assert flood.count(429) >= 30
        for _ in range(25):
            body = preliminary()
            assert (await payment_system.send(body, signature(body) | ours)).status_code == 202
    async with served_behind("192.0.2.7", database_url, keyring) as payment_system:  # another proxy
        flood = [await call(payment_system, f"203.0.113.{next(addresses)}") for _ in range(8)]
        assert flood == [401] * 5 + [429] * 3


def served_behind(proxy: str, url: str, keyring: Keyring) -> AbstractAsyncContextManager[PaymentSystem]:
    app = create_app(Database(url, keyring), keyring, nowhere, [SecretStr(SECRET)], limits=SMALL)
    return served(app, [proxy])


async def test_a_flood_of_forgeries_from_the_same_address_starves_nobody(
    database_url: str, keyring: Keyring
) -> None:
    async with gateway(database_url, keyring, nowhere) as payment_system:
        over = asyncio.Event()
        seen: set[int] = set()

        async def flood() -> None:
            body = encoded(notice("D-forged"))
            headers = signature(body, secret=FORGED)
            while not over.is_set():
                seen.add((await payment_system.send(body, headers)).status_code)

        body = preliminary()
        assert (await payment_system.insist(body, signature(body))).status_code == 202
        flooding = [asyncio.create_task(flood()) for _ in range(6)]
        for _ in range(8):
            body = preliminary()
            async with asyncio.timeout(20):
                assert (await payment_system.insist(body, signature(body))).status_code == 202
        over.set()
        await asyncio.gather(*flooding)
        assert seen <= {401, 429}
    assert await deposits(database_url, keyring) == 9


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.long)])
async def test_the_end_of_a_month(
    database_url: str, keyring: Keyring, temporal_server: TemporalServer, count: int
) -> None:
    """Settled notices at once, from a payment system not heard of since the gateway started."""
    told = [encoded(notice(new_deposit_id())) for _ in range(count)]
    async with gateway(
        database_url, keyring, lambda: connected(temporal_server.address, keyring)
    ) as payment_system:
        sent = (payment_system.insist_raw(body, signature(body)) for body in told)
        assert set(await asyncio.gather(*sent)) == {202}
    assert await deposits(database_url, keyring) == count
