"""The gateway over real HTTP, with a real database and a real Temporal server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError

from policy.fees import quote
from policy.registry import pack
from policy.vocabulary import Kind, Language, LetterKind, RecordClass
from records import invoices, ledger, letters, requests
from records.database import Database
from records.ledger import DepositState
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.processes import free_port
from runtime.embedded.temporal_server import TemporalServer
from runtime.errors import Misconfigured
from runtime.keys import Keyring
from starter import requests as request_workflows
from starter.gateway import create_app
from starter.rates import Limits
from tests.records.material import open_request
from tests.starter.payment_system import (
    PAYER,
    SECRET,
    PaymentSystem,
    connected,
    encoded,
    gateway,
    new_deposit_id,
    new_secret,
    notice,
    nowhere,
    signature,
)
from worker import create_worker, register_search_attributes

OTHER_SECRET = new_secret(b"o")
LIMIT = 64 * 1024


@pytest.fixture
async def client(temporal_server: TemporalServer, keyring: Keyring) -> Client:
    client = await connected(temporal_server.address, keyring)
    await register_search_attributes(client)
    return client


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    yield database
    await database.dispose()


@pytest.fixture
async def payment_system(
    database_url: str, keyring: Keyring, temporal_server: TemporalServer
) -> AsyncIterator[PaymentSystem]:
    async with gateway(
        database_url, keyring, lambda: connected(temporal_server.address, keyring)
    ) as payment_system:
        yield payment_system


@pytest.fixture(scope="module")
async def untouched(
    postgres: PostgresServer, migrated_template: str, keyring: Keyring
) -> AsyncIterator[Database]:
    """A database for what leaves nothing in it."""
    await postgres.clone_database(migrated_template, "untouched")
    database = Database(postgres.url("untouched"), keyring)
    yield database
    await database.dispose()
    await postgres.drop_database("untouched")


@pytest.fixture(scope="module")
async def liar(
    untouched: Database, postgres: PostgresServer, keyring: Keyring
) -> AsyncIterator[PaymentSystem]:
    """Somebody who has nothing to tell that is taken, often."""
    endless = Limits(strangers=10**6, all_strangers=10**6)
    async with gateway(postgres.url("untouched"), keyring, nowhere, limits=endless) as liar:
        yield liar


async def runs_of(client: Client, deposit_id: str) -> int:
    """How many runs of workflows a deposit has."""
    workflow_id = f"deposit/webhook/{deposit_id}"
    try:
        latest = (await client.get_workflow_handle(workflow_id).describe()).run_id
    except RPCError:
        return 0
    runs: set[str] = set()
    while latest not in runs:  # the list lags behind
        await asyncio.sleep(0.05)
        runs = {run.run_id async for run in client.list_workflows(f"WorkflowId = '{workflow_id}'")}
    return len(runs)


async def everything_kept(database: Database) -> list[int]:
    """How many rows each table has that a notice could reach."""
    tables = ("webhooks", "deposits", "vault", "data_keys", "audit")
    async with database.begin() as conn:
        return [await conn.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in tables]


# ── accepted, once ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_settled_deposit_is_recorded_and_carried(
    payment_system: PaymentSystem, database: Database, client: Client
) -> None:
    deposit_id = new_deposit_id()
    answer = await payment_system.tell(notice(deposit_id))
    assert (answer.status_code, answer.json()) == (202, {"deposit_id": deposit_id, "type": "deposit.settled"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    async with database.begin() as conn:
        deposit = await ledger.find(conn, "webhook", deposit_id)
    assert (deposit.state, deposit.amount, deposit.request_id) == (DepositState.SETTLED, 5400, None)
    assert await runs_of(client, deposit_id) == 1
    description = await client.get_workflow_handle(f"deposit/webhook/{deposit_id}").describe()
    assert await description.static_summary() == "Deposit of JPY 5,400 told by webhook"


async def test_the_same_notice_two_hundred_times_at_once_counts_once(
    payment_system: PaymentSystem, database: Database, client: Client
) -> None:
    deposit_id = new_deposit_id()
    body = encoded(notice(deposit_id))
    headers = signature(body)
    statuses = await asyncio.gather(*(payment_system.insist_raw(body, headers) for _ in range(200)))
    assert set(statuses) == {202}
    assert await runs_of(client, deposit_id) == 1
    assert await everything_kept(database) == [1, 1, 1, 1, 1]


async def test_a_repeat_under_another_id_is_answered_alike(
    payment_system: PaymentSystem, database: Database
) -> None:
    document = notice(new_deposit_id())
    first = await payment_system.tell(document)
    second = await payment_system.tell(document | {"timestamp": "2018-11-21T09:00:00+09:00"})
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert (await everything_kept(database))[:2] == [1, 1]


async def test_a_preliminary_notice_starts_nothing(
    payment_system: PaymentSystem, database: Database, client: Client
) -> None:
    deposit_id = new_deposit_id()
    answer = await payment_system.tell(notice(deposit_id, "deposit.preliminary"))
    assert answer.status_code == 202
    async with database.begin() as conn:
        assert (await ledger.find(conn, "webhook", deposit_id)).state is DepositState.PRELIMINARY
    assert await runs_of(client, deposit_id) == 0


async def test_while_secrets_rotate_each_of_them_holds(
    database_url: str, keyring: Keyring, temporal_server: TemporalServer
) -> None:
    async with gateway(
        database_url, keyring, lambda: connected(temporal_server.address, keyring), SECRET, OTHER_SECRET
    ) as payment_system:
        for secret in (SECRET, OTHER_SECRET):
            assert (await payment_system.tell(notice(new_deposit_id()), secret=secret)).status_code == 202
        third = await payment_system.tell(notice(new_deposit_id()), secret=new_secret(b"3"))
        assert third.status_code == 401


@pytest.mark.parametrize(
    "secrets", [(), ("whsec_",), ("whsec_!!!!",), ("whsec_c2hvcnQ=",), (SECRET, "whsec_c2hvcnQ=")]
)
def test_a_gateway_without_good_secrets_does_not_start(secrets: tuple[str, ...], keyring: Keyring) -> None:
    async def nobody() -> Client:
        raise AssertionError

    database = Database("postgresql://nowhere", keyring)
    with pytest.raises(Misconfigured) as refused:
        create_app(database, keyring, nobody, [SecretStr(secret) for secret in secrets])
    assert "c2hvcnQ" not in str(refused.value)


# ── not authentic ────────────────────────────────────────────────────────────────────────────────────────

BODY = encoded(notice("D-forged"))


def forgeries() -> dict[str, tuple[bytes, dict[str, str]]]:
    """By name: what is sent, signed now: tests of a long run would find anything stale."""
    good = signature(BODY, id="msg_good")

    def without(name: str) -> dict[str, str]:
        return {key: value for key, value in good.items() if key != name}

    return {
        "unsigned": (BODY, {}),
        "no id": (BODY, without("webhook-id")),
        "no timestamp": (BODY, without("webhook-timestamp")),
        "no signature": (BODY, without("webhook-signature")),
        "by another secret": (BODY, signature(BODY, secret=OTHER_SECRET)),
        "stale": (BODY, signature(BODY, age=timedelta(minutes=6))),
        "from the future": (BODY, signature(BODY, age=timedelta(minutes=-6))),
        "altered amount": (BODY.replace(b"5400", b"5401"), good),
        "altered by a blank": (BODY + b" ", good),
        "under another id": (BODY, good | {"webhook-id": "msg_other"}),
        "at another time": (BODY, good | {"webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}),
        "not a time": (BODY, good | {"webhook-timestamp": "nan"}),
        "an endless time": (BODY, good | {"webhook-timestamp": "1e400"}),
        "no version": (BODY, good | {"webhook-signature": good["webhook-signature"].removeprefix("v1,")}),
        "another version": (
            BODY,
            good | {"webhook-signature": good["webhook-signature"].replace("v1", "v2")},
        ),
        "not base64": (BODY, good | {"webhook-signature": "v1,%%%"}),
        "commas": (BODY, good | {"webhook-signature": "v1,,,"}),
        "not UTF-8": (b"\xff\xfe" + BODY, good),
        "empty": (b"", good),
    }


@pytest.mark.parametrize("forgery", forgeries())
async def test_what_is_not_authentic_leaves_no_trace(
    liar: PaymentSystem, untouched: Database, forgery: str
) -> None:
    body, headers = forgeries()[forgery]
    answer = await liar.send(body, headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_authentic"
    assert await everything_kept(untouched) == [0, 0, 0, 0, 0]


# ── malformed ────────────────────────────────────────────────────────────────────────────────────────────

CANARY = "秘密の名前"


def changed(**changes: object) -> bytes:
    return encoded(notice("D-malformed", **changes))


MALFORMED: dict[str, tuple[bytes, str]] = {
    "no JSON": (f"<{CANARY}>".encode(), "notice"),
    "cut off": (BODY[:-1], "notice"),
    "two documents": (BODY + BODY, "notice"),
    "a list": (b"[]", "notice"),
    "with a mark": (b"\xef\xbb\xbf" + BODY, "notice"),
    "too deep": (b"[" * 10_000 + b"]" * 10_000, "notice"),
    "an unknown type": (encoded(notice("D-1", f"deposit.{CANARY}")), "type"),
    "an unknown field": (changed(**{CANARY: 1}), "data.(unknown field)"),
    "an amount in text": (changed(amount="5400"), "data.amount"),
    "a fraction": (changed(amount=5400.5), "data.amount"),
    "nothing paid": (changed(amount=0), "data.amount"),
    "a negative amount": (changed(amount=-5400), "data.amount"),
    "too much": (changed(amount=10**12 + 1), "data.amount"),
    "a date with a time": (changed(value_date="2018-11-20T00:00:00"), "data.value_date"),
    "no such day": (changed(value_date="2018-02-30"), "data.value_date"),
    "a currency in words": (changed(currency=CANARY), "data.currency"),
    "control characters": (changed(payer_name=f"{CANARY}\n"), "data.payer_name"),
    "a NUL": (changed(reference=f"{CANARY}\0"), "data.reference"),
    "a lone surrogate": (BODY.replace(PAYER.encode(), b"\\ud800"), "notice"),
    "a name without end": (changed(payer_name=CANARY * 100), "data.payer_name"),
    "an id like a path": (encoded(notice("../../etc")), "data.deposit_id"),
    "an id without end": (encoded(notice("D" * 65)), "data.deposit_id"),
    "a naive timestamp": (encoded(notice("D-1") | {"timestamp": "2018-11-20T09:00:00"}), "timestamp"),
    "a key twice": (BODY.replace(b'"amount": 5400', b'"amount": 1, "amount": 5400'), "twice"),
    "a key twice, disguised": (
        BODY.replace(b'"type": ', b'"type": "deposit.cancelled", "t\\u0079pe": ', 1),
        "twice",
    ),
    "a key twice, very deep": (
        BODY.replace(b'"type": ', b'"type": ' + b"[" * 150 + b"]" * 150 + b', "type": ', 1),
        "notice",
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_malformed_notices_are_refused_by_the_name_of_the_field(
    liar: PaymentSystem, untouched: Database, what: str
) -> None:
    body, place = MALFORMED[what]
    answer = await liar.send(body, signature(body))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "malformed"
    assert place in error["message"]
    assert CANARY not in answer.text
    assert CANARY not in json.dumps(answer.json())[1:-1]
    assert await everything_kept(untouched) == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_read(liar: PaymentSystem, content_type: str) -> None:
    assert (await liar.send(BODY, signature(BODY), content_type=content_type)).status_code == 415


async def test_the_content_type_may_name_its_encoding(payment_system: PaymentSystem) -> None:
    body = encoded(notice(new_deposit_id()))
    answer = await payment_system.send(body, signature(body), content_type="Application/JSON; charset=utf-8")
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("size", "status"), [(LIMIT, 401), (LIMIT + 1, 413), (1024 * 1024, 413), (4 * 1024 * 1024, 413)]
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_has_a_limit(liar: PaymentSystem, size: int, status: int, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 1000):
            yield b"x" * min(1000, size - start)

    answer = await liar.send(chunks() if chunked else b"x" * size, {})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == {401: "not_authentic", 413: "malformed"}[status]


async def test_a_body_without_end_is_hung_up_on(liar: PaymentSystem) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 64 * 1024
            yield b"x" * 64 * 1024

    with suppress(httpx.TransportError):
        assert (await liar.send(endless(), {})).status_code == 413
    assert sent < 64 * 1024 * 1024


# ── conflicts ────────────────────────────────────────────────────────────────────────────────────────────


async def test_other_content_for_the_same_deposit_and_type_is_a_conflict(
    payment_system: PaymentSystem, database: Database
) -> None:
    deposit_id = new_deposit_id()
    assert (await payment_system.tell(notice(deposit_id))).status_code == 202
    kept = await everything_kept(database)
    answer = await payment_system.tell(notice(deposit_id, amount=10_800))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "notice_conflict")
    assert await everything_kept(database) == kept
    async with database.begin() as conn:
        assert (await ledger.find(conn, "webhook", deposit_id)).amount == 5400


async def test_other_content_under_the_same_webhook_id_is_a_conflict(payment_system: PaymentSystem) -> None:
    assert (await payment_system.tell(notice(new_deposit_id()), id="msg_once")).status_code == 202
    assert (await payment_system.tell(notice(new_deposit_id()), id="msg_once")).status_code == 409


# ── a cancellation after the money was counted ───────────────────────────────────────────────────────────


async def invoiced_request(database: Database, reference: str) -> str:
    """A request with an open invoice in the records."""
    async with database.begin() as conn:
        request_id = await open_request(conn)
        letter_id = f"{request_id}-L01"
        await letters.queue(
            conn,
            database.vault,
            key="invoice",
            request_id=request_id,
            kind=LetterKind.INVOICE,
            language=Language.JA,
            record_class=RecordClass.PAYMENT_RECORDS,
            queued_on=date(2018, 11, 5),
            pdf=b"%PDF",
            pages=1,
        )
        await invoices.issue(
            conn,
            number="INV-2018-000001",
            request_id=request_id,
            letter_id=letter_id,
            payment_reference=reference,
            issued_on=date(2018, 11, 5),
            due_on=date(2018, 12, 5),
            quote=quote(
                pack("gmo-appscloud-2018-10-22"), Kind.DISCLOSURE, ["gmo-appscloud"], date(2018, 11, 5)
            ),
        )
    return request_id


async def eventually(found: Callable[[], Awaitable[Any]], expected: object) -> None:
    last = None
    for _ in range(300):
        if (last := await found()) == expected:
            return
        await asyncio.sleep(0.1)
    raise AssertionError((last, expected))


async def test_a_cancellation_reaches_the_request_that_counted_the_deposit(
    payment_system: PaymentSystem, database: Database, client: Client, keyring: Keyring
) -> None:
    request_id = await invoiced_request(database, "12345674")
    async with database.begin() as conn:
        row = await requests.find(conn, request_id)
    deposit_id = new_deposit_id()
    async with create_worker(client, database, keyring):
        await request_workflows.start(client, row)

        async def words() -> int:
            status = await request_workflows.status(client, database, request_id)
            return sum(line.what == "deposit_noticed" and line.ref == deposit_id for line in status.timeline)

        async def state() -> DepositState:
            async with database.begin() as conn:
                return (await ledger.find(conn, "webhook", deposit_id)).state

        settled = notice(deposit_id, reference="12345674")
        for _ in range(3):
            assert (await payment_system.tell(settled)).status_code == 202
        await eventually(words, 1)
        assert await state() is DepositState.MATCHED

        cancelled = await payment_system.tell(notice(deposit_id, "deposit.cancelled", reference="12345674"))
        assert cancelled.json() == {"deposit_id": deposit_id, "type": "deposit.cancelled"}
        await eventually(words, 2)
        assert await state() is DepositState.CANCELLED
        async with database.begin() as conn:
            assert not (await ledger.payments(conn, request_id)).paid
        await client.get_workflow_handle(request_id).terminate()


async def test_a_cancellation_ends_the_wait_of_a_deposit_in_suspense(
    payment_system: PaymentSystem, database: Database, client: Client, keyring: Keyring
) -> None:
    deposit_id = new_deposit_id()
    deposit = client.get_workflow_handle(f"deposit/webhook/{deposit_id}")
    async with create_worker(client, database, keyring):

        async def state() -> str:
            return str((await deposit.query("status"))["state"])

        assert (await payment_system.tell(notice(deposit_id))).status_code == 202
        await eventually(state, "suspense")
        assert (await payment_system.tell(notice(deposit_id, "deposit.cancelled"))).status_code == 202
        await eventually(state, "cancelled")
        assert (await payment_system.tell(notice(deposit_id))).status_code == 202  # late, and changes nothing
        assert await state() == "cancelled"


async def test_a_cancellation_of_what_never_settled_tells_nobody(
    payment_system: PaymentSystem, client: Client
) -> None:
    deposit_id = new_deposit_id()
    assert (await payment_system.tell(notice(deposit_id, "deposit.cancelled"))).status_code == 202
    assert await runs_of(client, deposit_id) == 0


# ── out of reach ─────────────────────────────────────────────────────────────────────────────────────────


async def told_in_time(payment_system: PaymentSystem, document: object) -> httpx.Response:
    started = time.monotonic()
    answer = await payment_system.tell(document)
    assert time.monotonic() - started < 8
    return answer


def assert_to_be_repeated(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_unreachable"
    assert int(answer.headers["retry-after"]) > 0


async def accepted_at_last(payment_system: PaymentSystem, document: object) -> None:
    for _ in range(10):
        if (await payment_system.tell(document)).status_code == 202:
            return
    raise AssertionError("never accepted")


async def test_without_temporal_a_notice_is_repeated_until_it_is_back(
    database_url: str, database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    port = free_port()

    def server(run: int) -> TemporalServer:
        return TemporalServer(tmp_path / str(run), in_memory=True, ui=False, port=port)

    async with gateway(
        database_url, keyring, lambda: connected(f"127.0.0.1:{port}", keyring)
    ) as payment_system:
        never_there = notice(new_deposit_id())
        assert_to_be_repeated(await told_in_time(payment_system, never_there))
        assert (await payment_system.client.get("/readyz")).json() == {
            "database": "ok",
            "temporal": "unreachable",
        }
        async with server(1):
            await accepted_at_last(payment_system, never_there)
            client = await connected(f"127.0.0.1:{port}", keyring)
            assert await runs_of(client, never_there["data"]["deposit_id"]) == 1
        gone = notice(new_deposit_id())
        assert_to_be_repeated(await told_in_time(payment_system, gone))
        async with server(2):
            await accepted_at_last(payment_system, gone)
            client = await connected(f"127.0.0.1:{port}", keyring)
            assert await runs_of(client, gone["data"]["deposit_id"]) == 1
    assert (await everything_kept(database))[:2] == [2, 2]


async def test_without_a_database_nothing_is_accepted_until_it_is_back(
    keyring: Keyring, temporal_server: TemporalServer, client: Client, tmp_path: Path
) -> None:
    from records.migrate import upgrade

    port = free_port()
    server = PostgresServer(tmp_path, fast=True, port=port)
    document = notice(new_deposit_id())
    async with server:
        url = server.url()
    async with gateway(url, keyring, lambda: connected(temporal_server.address, keyring)) as payment_system:
        assert_to_be_repeated(await told_in_time(payment_system, document))
        assert (await payment_system.client.get("/healthz")).status_code == 200
        assert (await payment_system.client.get("/readyz")).status_code == 503
        async with server:
            ready = await payment_system.client.get("/readyz")
            assert (ready.status_code, ready.json()["database"]) == (503, "not migrated")
            await asyncio.to_thread(upgrade, url)
            assert (await payment_system.client.get("/readyz")).status_code == 200
            assert (await payment_system.tell(document)).status_code == 202
        assert_to_be_repeated(await told_in_time(payment_system, notice(new_deposit_id())))
        async with server:
            await accepted_at_last(payment_system, document)
    assert await runs_of(client, document["data"]["deposit_id"]) == 1


# ── health, description ──────────────────────────────────────────────────────────────────────────────────


async def test_health(payment_system: PaymentSystem) -> None:
    assert (await payment_system.client.get("/healthz")).text == "alive\n"
    ready = await payment_system.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"database": "ok", "temporal": "ok"})


async def test_the_description_holds_the_real_models(payment_system: PaymentSystem) -> None:
    described = (await payment_system.client.get("/openapi.json")).json()
    schemas = described["components"]["schemas"]
    operation = described["paths"]["/webhooks/deposits"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    answered = operation["responses"]["202"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[
        2
    ]
    assert set(schemas[asked]["properties"]) == {"type", "timestamp", "data"}
    assert set(schemas[answered]["properties"]) == {"deposit_id", "type"}
    assert {"400", "401", "409", "413", "503"} < set(operation["responses"])
    references = set(_references(described))
    assert references <= {f"#/components/schemas/{name}" for name in schemas}
    assert "/codec/decode" not in described["paths"]
    for path in ("/docs", "/redoc", "/codec/decode", "/"):
        assert (await payment_system.client.get(path)).status_code == 404


def _references(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in _references(value)]
    if isinstance(part, list):
        return [found for value in part for found in _references(value)]
    return []
