"""Whatever arrives at the gateway, it answers with a status of its own, and never repeats what it got."""

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from temporalio.client import Client

from records.database import Database
from runtime.embedded.postgres import PostgresServer
from runtime.errors import Unreachable
from runtime.keys import Keyring
from starter.gateway import create_app
from tests.starter.payment_system import SECRET, PaymentSystem, encoded, notice, signature

often = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(sorted(notice("D")["data"]))
header = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80)


@pytest.fixture(scope="module")
async def payment_system(fuzz_url: str, keyring: Keyring) -> AsyncIterator[PaymentSystem]:
    """The application without a network between, and without a Temporal server behind."""

    async def down() -> Client:
        raise Unreachable("Temporal", "it is down")

    database = Database(fuzz_url, keyring)
    app = create_app(database, keyring, down, [SecretStr(SECRET)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield PaymentSystem(client)
    await database.dispose()


@pytest.fixture(scope="module")
async def fuzz_url(postgres: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    await postgres.clone_database(migrated_template, "gateway_fuzz")
    yield postgres.url("gateway_fuzz")
    await postgres.drop_database("gateway_fuzz")


@often
@given(body=st.binary(max_size=300) | values.map(encoded))
async def test_any_signed_body(payment_system: PaymentSystem, body: bytes) -> None:
    try:
        body.decode()
        expected = 400
    except UnicodeDecodeError:
        expected = 401
    answer = await payment_system.send(body, signature(body))
    assert answer.status_code == expected


@often
@given(field=fields, value=values)
async def test_a_notice_with_anything_in_one_field(
    payment_system: PaymentSystem, field: str, value: object
) -> None:
    document = notice("D-1", "deposit.preliminary")
    document["data"][field] = value
    body = encoded(document)
    answer = await payment_system.send(body, signature(body))
    assert answer.status_code in (202, 400, 409)
    if answer.status_code == 400:
        assert f"data.{field}" in answer.json()["error"]["message"]
        if isinstance(value, str) and len(value) > 8:
            assert value not in answer.text


@often
@given(key=words, value=values, inside=st.booleans())
async def test_a_notice_with_any_other_field(
    payment_system: PaymentSystem, key: str, value: object, inside: bool
) -> None:
    document = notice("D-1", "deposit.preliminary")
    part = document["data"] if inside else document
    if key in part:
        return
    part[key] = value
    body = encoded(document)
    assert (await payment_system.send(body, signature(body))).status_code == 400


@often
@given(id=header, timestamp=header | st.integers().map(str), signed=header | header.map("v1,{}".format))
async def test_any_signature(payment_system: PaymentSystem, id: str, timestamp: str, signed: str) -> None:
    headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signed}
    answer = await payment_system.send(encoded(notice("D-1")), headers)
    assert answer.status_code == 401


@often
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
async def test_any_bit_altered(payment_system: PaymentSystem, place: int, bit: int) -> None:
    body = encoded(notice("D-1"))
    altered = bytearray(body)
    altered[place % len(body)] ^= 1 << bit
    assert (await payment_system.send(bytes(altered), signature(body))).status_code == 401
