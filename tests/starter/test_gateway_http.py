"""HTTP as careless and hostile callers write it, byte by byte: every answer is one of the house, or none."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, tzinfo

import pytest
import standardwebhooks.webhooks
from pydantic import SecretStr
from starlette.datastructures import Headers

from runtime.embedded.processes import free_port
from runtime.keys import Keyring
from starter import connections
from starter.webhooks import Verifier
from tests.starter.payment_system import (
    SECRET,
    PaymentSystem,
    encoded,
    gateway,
    new_secret,
    notice,
    nowhere,
    signature,
)

BODY = encoded(notice("D-1"))
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
REACHED = 503
"""What a good notice gets here, where no database is: it was read, verified and found well-formed."""


@pytest.fixture(scope="module")
async def payment_system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PaymentSystem]:
    """A gateway with nothing behind it."""
    keyring = Keyring.open(tmp_path_factory.mktemp("http") / "keyring.json", create=True)
    database = f"postgresql://kaiji@127.0.0.1:{free_port()}/kaiji"
    async with gateway(database, keyring, nowhere, body_seconds=0.5) as payment_system:
        yield payment_system


def head(*more: bytes, length: object = None, version: bytes = b"1.1", **instead: str) -> bytes:
    """The head of a signed notice, more lines before the empty one."""
    fields = (
        {"Host": "x", "Connection": "close", "Content-Type": "application/json"} | signature(BODY) | instead
    )
    lines = [f"{name}: {value}\r\n".encode() for name, value in fields.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}\r\n".encode())
    return b"".join((b"POST /webhooks/deposits HTTP/%s\r\n" % version, *lines, *more, b"\r\n"))


def answered(came: bytes) -> tuple[int, dict[str, str], str]:
    """Status, headers and code of the last answer; each answer is the error document of the house."""
    *_, last = came.split(b"HTTP/1.1 ")
    start, _, rest = last.partition(b"\r\n\r\n")
    status, *lines = start.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "application/json"
    document = json.loads(rest)
    assert set(document) == {"error"}
    assert set(document["error"]) == {"code", "message"}
    return int(status.split()[0]), headers, document["error"]["code"]


def requests() -> dict[str, tuple[bytes, int]]:
    """By name: what is sent, and the status that answers it."""
    length = len(BODY)
    return {
        "as it should be": (head(length=length) + BODY, REACHED),
        "in chunks": (head(CHUNKED) + IN_CHUNKS, REACHED),
        "HTTP/1.0": (head(length=length, version=b"1.0") + BODY, REACHED),
        "HTTP/1.0 without a length": (head(version=b"1.0") + BODY, 401),
        "without a length": (head() + BODY, 401),
        "a length too short": (head(length=length - 5) + BODY, 401),
        "a length too long": (head(length=length + 5) + BODY, 408),
        "a length below zero": (head(length=-1) + BODY, 400),
        "a length that is no number": (head(length="5400円") + BODY, 400),
        "two lengths": (head(b"Content-Length: 5\r\n", length=length) + BODY, 400),
        "a length and chunks": (head(CHUNKED, length=length) + IN_CHUNKS, 415),
        "a chunk without its size": (head(CHUNKED) + b"zz\r\nabc\r\n", 400),
        "a later chunk without its size": (head(CHUNKED) + b"1\r\n{\r\nzz\r\nabc\r\n", 400),
        "chunks without an end": (head(CHUNKED) + b"1\r\n{\r\n", 408),
        "another transfer encoding": (head(b"Transfer-Encoding: gzip, chunked\r\n") + IN_CHUNKS, 400),
        "compressed": (head(b"Content-Encoding: gzip\r\n", length=length) + BODY, 415),
        "compressed twice": (
            head(b"Content-Encoding: identity\r\nContent-Encoding: br\r\n", length=length) + BODY,
            415,
        ),
        "not compressed, in words": (head(b"Content-Encoding: identity\r\n", length=length) + BODY, REACHED),
        "two content types": (head(b"Content-Type: text/plain\r\n", length=length) + BODY, 415),
        "another charset": (
            head(length=length, **{"Content-Type": "application/json; charset=Shift_JIS"}) + BODY,
            415,
        ),
        "two ids": (head(b"webhook-id: other\r\n", length=length) + BODY, 401),
        "the same id twice": (
            head(b"webhook-id: msg\r\n", length=length, **signature(BODY, id="msg")) + BODY,
            401,
        ),
        "two timestamps": (head(b"webhook-timestamp: 1\r\n", length=length) + BODY, 401),
        "two signatures": (head(b"webhook-signature: v1,AAAA\r\n", length=length) + BODY, 401),
        "an id without end": (head(length=length, **signature(BODY, id="m" * 256)) + BODY, 401),
        "a head without end": (head(b"X: %s\r\n" % (b"x" * 1_000_000), length=length) + BODY, 400),
        "a header without end": (b"POST / HTTP/1.1\r\nX: " + b"x" * 1_000_000, 400),
        "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400),
        "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        "no host": (b"POST /webhooks/deposits HTTP/1.1\r\n\r\n", 400),
    }


@pytest.mark.parametrize("what", requests())
async def test_every_way_to_write_a_request(payment_system: PaymentSystem, what: str) -> None:
    sent, status = requests()[what]
    try:
        came = await payment_system.raw(sent)
    except ConnectionError:  # hung up on while it was still sending
        assert "without end" in what
        return
    assert answered(came)[0] == status


async def test_signatures_by_several_secrets_stand_in_one_header(payment_system: PaymentSystem) -> None:
    ours, other = signature(BODY, id="msg"), signature(BODY, id="msg", secret=new_secret(b"x"))
    both = f"{other['webhook-signature']} v1a,AAAA {ours['webhook-signature']}"
    sent = head(length=len(BODY), **ours | {"webhook-signature": both})
    assert answered(await payment_system.raw(sent, BODY))[0] == REACHED


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "SECRET"])
async def test_other_methods_are_told_the_right_one(payment_system: PaymentSystem, method: str) -> None:
    answer = await payment_system.client.request(method, "/webhooks/deposits")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "malformed"
    assert "SECRET" not in answer.text


async def test_a_head_is_answered_without_a_body(payment_system: PaymentSystem) -> None:
    answer = await payment_system.client.head("/webhooks/deposits")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/webhooks",
        "/webhooks/deposits/",
        "//webhooks/deposits",
        "/webhooks/../webhooks/deposits",
        "/webhooks/../../etc/passwd",
        "/%2e%2e/%00etc",
        "/webhooks/deposits%00",
        "/webhooks/deposits;x=1",
        "/WEBHOOKS/DEPOSITS",
    ],
)
async def test_there_is_nothing_at_other_paths(payment_system: PaymentSystem, path: str) -> None:
    sent = head(length=len(BODY)).replace(b" /webhooks/deposits ", f" {path} ".encode(), 1)
    status, _, code = answered(await payment_system.raw(sent, BODY))
    assert (status, code) == (404, "not_found")


async def test_several_requests_on_one_connection(payment_system: PaymentSystem) -> None:
    going_on = head(length=len(BODY)).replace(b"Connection: close\r\n", b"")
    came = await payment_system.raw(going_on + BODY + going_on + BODY, head(length=len(BODY)) + BODY)
    assert came.count(b"HTTP/1.1 503 ") == 3


async def test_bodies_that_do_not_come_are_not_waited_for(payment_system: PaymentSystem) -> None:
    started = time.monotonic()
    slow = [asyncio.create_task(payment_system.raw(head(length=500), b"{")) for _ in range(20)]
    assert answered(await payment_system.raw(head(length=len(BODY)) + BODY))[0] == REACHED
    assert {answered(came)[0] for came in await asyncio.gather(*slow)} == {408}
    assert time.monotonic() - started < 8  # one after the other they would take ten


@pytest.mark.parametrize("said", [b"", b"POST /webhooks/deposits HTTP/1.1\r\nX: 1\r\n"])
async def test_heads_that_do_not_come_are_hung_up_on(
    payment_system: PaymentSystem, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    started = time.monotonic()
    try:
        came = await payment_system.raw(said, *[b"X: 1\r\n"] * (5 if said else 0), pause=0.05)
    except ConnectionError:
        came = b""
    assert came == b""
    assert time.monotonic() - started < 6


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("seconds", "holds"), [(-300.000001, False), (-300, True), (0, True), (300, True), (300.000001, False)]
)
def test_a_signature_holds_for_five_minutes_either_way(
    seconds: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the microsecond: ``seconds`` is how far the sender's clock is ahead of ours."""
    headers = signature(BODY)
    now = datetime.fromtimestamp(int(headers["webhook-timestamp"])).astimezone() - timedelta(seconds=seconds)

    class StandingStill(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "StandingStill":
            return cls.fromtimestamp(now.timestamp(), tz)

    verifier = Verifier([SecretStr(SECRET)])
    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", StandingStill)
    assert verifier.verifies(BODY, Headers(headers)) is holds


@pytest.mark.parametrize("timestamp", ["+{}", " {}", "{}.0", "{}e0", "1_{}", "{} ", "0x{}", ""])
def test_a_timestamp_is_written_in_digits(timestamp: str) -> None:
    headers = signature(BODY)
    headers["webhook-timestamp"] = timestamp.format(headers["webhook-timestamp"])
    assert not Verifier([SecretStr(SECRET)]).verifies(BODY, Headers(headers))
