"""Whatever arrives at the gateway, it answers as its published description says, and repeats nothing it got.

Notices are made up from the description itself: what its schema allows is accepted, what it forbids is
refused by the name of the field, and every answer is one that it declares.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from temporalio.client import Client

from policy.deposit import parse_notice
from policy.refusals import Refusal
from records.database import Database
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from starter.gateway import create_app
from starter.rates import Limits
from tests.starter.payment_system import (
    SECRET,
    PaymentSystem,
    connected,
    encoded,
    notice,
    signature,
)
from tests.starter.published import TRICKY, Published
from worker import register_search_attributes

ENDLESS = Limits(notices=10**6, all_notices=10**6, strangers=10**6, all_strangers=10**6)


def often(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
header = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80)


@pytest.fixture(scope="module")
async def payment_system(
    fuzz_url: str, keyring: Keyring, temporal_server: TemporalServer
) -> AsyncIterator[PaymentSystem]:
    """The application without a network between."""
    client = await connected(temporal_server.address, keyring)
    await register_search_attributes(client)

    async def source() -> Client:
        return client

    database = Database(fuzz_url, keyring)
    app = create_app(database, keyring, source, [SecretStr(SECRET)], limits=ENDLESS)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as caller:
        yield PaymentSystem(caller)
    await database.dispose()


@pytest.fixture(scope="module")
async def fuzz_url(postgres: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    await postgres.clone_database(migrated_template, "gateway_fuzz")
    yield postgres.url("gateway_fuzz")
    await postgres.drop_database("gateway_fuzz")


class Description:
    """What the gateway publishes about the one operation."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.text = json.dumps(document)
        self.published = Published(document)
        self.operation = document["paths"]["/webhooks/deposits"]["post"]
        self.notice = self.operation["requestBody"]["content"]["application/json"]["schema"]

    def check(self, answer: httpx.Response) -> None:
        """An answer is one that is declared: status, type, body, headers."""
        declared = self.operation["responses"][str(answer.status_code)]
        schema = declared["content"][answer.headers["content-type"]]["schema"]
        assert self.published.allows(schema, answer.json())
        for name, described in declared.get("headers", {}).items():
            assert self.published.allows(described["schema"], int(answer.headers[name]))


@pytest.fixture(scope="module")
async def description(payment_system: PaymentSystem) -> Description:
    return Description((await payment_system.client.get("/openapi.json")).json())


# ── from the description ─────────────────────────────────────────────────────────────────────────────────


async def told(payment_system: PaymentSystem, description: Description, document: object) -> httpx.Response:
    body = json.dumps(document, ensure_ascii=len(repr(document)) % 2 == 0).encode()
    headers = signature(body)
    for parameter in description.operation["parameters"]:
        assert description.published.allows(parameter["schema"], headers[parameter["name"]])
    answer = await payment_system.send(body, headers)
    description.check(answer)
    return answer


async def allowed(payment_system: PaymentSystem, description: Description, data: st.DataObject) -> None:
    document = data.draw(description.published.allowed(description.notice))
    assert description.published.allows(description.notice, document)
    answer = await told(payment_system, description, document)
    assert answer.status_code in (202, 409), answer.text
    if answer.status_code == 202:
        said = {"type": document["type"], "deposit_id": document["data"]["deposit_id"]}
        assert answer.json() == said


async def changed(payment_system: PaymentSystem, description: Description, data: st.DataObject) -> None:
    document, path = data.draw(description.published.changed(description.notice))
    answer = await told(payment_system, description, document)
    if description.published.allows(description.notice, document):
        assert answer.status_code in (202, 409), answer.text
        return
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert path in message
    for text in _texts(document):
        assert len(text) < 8 or text not in message or text in description.text


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for each in value for text in _texts(each)]
        case dict():
            return [text for key, each in value.items() for text in (key, *_texts(each))]
    return []


@often(40)
@given(data=st.data())
async def test_what_the_schema_allows_is_accepted(
    payment_system: PaymentSystem, description: Description, data: st.DataObject
) -> None:
    await allowed(payment_system, description, data)


@often(100)
@given(data=st.data())
async def test_what_the_schema_forbids_is_refused(
    payment_system: PaymentSystem, description: Description, data: st.DataObject
) -> None:
    await changed(payment_system, description, data)


@pytest.mark.long
@often(2_000)
@given(data=st.data())
async def test_much_of_what_the_schema_allows_is_accepted(
    payment_system: PaymentSystem, description: Description, data: st.DataObject
) -> None:
    await allowed(payment_system, description, data)


@pytest.mark.long
@often(10_000)
@given(data=st.data())
async def test_much_of_what_the_schema_forbids_is_refused(
    payment_system: PaymentSystem, description: Description, data: st.DataObject
) -> None:
    await changed(payment_system, description, data)


def read(document: object) -> bool:
    try:
        parse_notice(json.dumps(document).encode())
    except Refusal:
        return False
    return True


def test_the_schema_says_of_every_field_what_the_parser_does(description: Description) -> None:
    """With everything that another parser might take for something else, in every place."""
    for field in ("type", "timestamp", "data", *notice("D-1")["data"]):
        for value in TRICKY:
            document = notice("D-1")
            (document if field in document else document["data"])[field] = value
            assert read(document) == description.published.allows(description.notice, document), (
                field,
                value,
            )


@often(100)
@given(data=st.data())
def test_the_schema_says_what_the_parser_does(description: Description, data: st.DataObject) -> None:
    document, _ = data.draw(description.published.changed(description.notice))
    assert read(document) == description.published.allows(description.notice, document)


async def test_every_error_is_one_that_is_declared(
    payment_system: PaymentSystem, description: Description
) -> None:
    body = encoded(notice("D-1"))
    good = signature(body)
    sent = {
        202: (body, good),
        400: (b"{}", signature(b"{}")),
        401: (body, {}),
        409: (encoded(notice("D-1", amount=1)), None),
        413: (b"x" * 70_000, {}),
        415: (body, good | {"content-encoding": "gzip"}),
    }
    for status, (content, headers) in sent.items():
        answer = await payment_system.send(content, signature(content) if headers is None else headers)
        assert answer.status_code == status
        description.check(answer)
    assert {"408", "429", "500", "503"} <= set(description.operation["responses"])


# ── anything else ────────────────────────────────────────────────────────────────────────────────────────


@often(100)
@given(body=st.binary(max_size=300) | values.map(encoded))
async def test_any_signed_body(payment_system: PaymentSystem, body: bytes) -> None:
    try:
        body.decode()
        expected = 400
    except UnicodeDecodeError:
        expected = 401
    answer = await payment_system.send(body, signature(body))
    assert answer.status_code == expected


@often(100)
@given(id=header, timestamp=header | st.integers().map(str), signed=header | header.map("v1,{}".format))
async def test_any_signature(payment_system: PaymentSystem, id: str, timestamp: str, signed: str) -> None:
    headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signed}
    answer = await payment_system.send(encoded(notice("D-1")), headers)
    assert answer.status_code == 401


@often(100)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
async def test_any_bit_altered(payment_system: PaymentSystem, place: int, bit: int) -> None:
    body = encoded(notice("D-1"))
    altered = bytearray(body)
    altered[place % len(body)] ^= 1 << bit
    assert (await payment_system.send(bytes(altered), signature(body))).status_code == 401
