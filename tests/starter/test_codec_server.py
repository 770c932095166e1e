"""The codec server of the development stack: decodes for the Temporal UI, and for nobody else."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from runtime.codec import EncryptingCodec
from runtime.keys import Keyring
from starter.codec_server import codec_router

ORIGIN = "http://127.0.0.1:8233"
NAMESPACE = {"X-Namespace": "default"}
PLAIN = [
    Payload(metadata={"encoding": b"json/plain"}, data='"秘密"'.encode()),
    Payload(metadata={"encoding": b"binary/null"}),
]


def caller(keyring: Keyring, host: str = "127.0.0.1") -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(codec_router(EncryptingCodec(keyring, "default"), "default", ORIGIN))
    transport = httpx.ASGITransport(app, client=(host, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


@pytest.fixture
async def browser(keyring: Keyring) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(keyring) as client:
        yield client


async def sealed(keyring: Keyring, namespace: str = "default") -> dict[str, object]:
    """The payloads as the Temporal UI would send them."""
    encoded = await EncryptingCodec(keyring, namespace).encode(PLAIN)
    return json_format.MessageToDict(Payloads(payloads=encoded))


async def test_the_ui_reads_what_was_encoded(browser: httpx.AsyncClient, keyring: Keyring) -> None:
    answer = await browser.post(
        "/codec/decode", json=await sealed(keyring), headers=NAMESPACE | {"Origin": ORIGIN}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "Origin"
    assert list(json_format.Parse(answer.content, Payloads()).payloads) == PLAIN


async def test_no_payloads_are_no_trouble(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/codec/decode", json={"payloads": []}, headers=NAMESPACE)
    assert (answer.status_code, answer.json()) == (200, {"payloads": []})


async def test_a_browser_may_ask_first(browser: httpx.AsyncClient) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    answer = await browser.options("/codec/decode", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert {"Content-Type", "X-Namespace"} == set(answer.headers["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:8234", "https://127.0.0.1:8233", "http://evil.example", "null", ORIGIN + "/"]
)
async def test_pages_of_other_origins_get_nothing(
    browser: httpx.AsyncClient, keyring: Keyring, origin: str
) -> None:
    headers = NAMESPACE | {"Origin": origin}
    for answer in (
        await browser.options("/codec/decode", headers=headers),
        await browser.post("/codec/decode", json=await sealed(keyring), headers=headers),
    ):
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        assert "payloads" not in answer.text


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "testclient"])
async def test_clients_elsewhere_get_nothing(keyring: Keyring, host: str) -> None:
    async with caller(keyring, host) as client:
        answer = await client.post("/codec/decode", json=await sealed(keyring), headers=NAMESPACE)
    assert answer.status_code == 403


@pytest.mark.parametrize("headers", [{}, {"X-Namespace": "other"}, {"X-Namespace": ""}])
async def test_only_the_namespace_it_has_the_key_of(
    browser: httpx.AsyncClient, keyring: Keyring, headers: dict[str, str]
) -> None:
    answer = await browser.post("/codec/decode", json=await sealed(keyring), headers=headers)
    assert answer.status_code == 403


async def test_what_does_not_open_is_refused_in_plain_text(
    browser: httpx.AsyncClient, keyring: Keyring
) -> None:
    """The UI would take any JSON for decoded payloads; text makes it show what it has."""
    altered = await sealed(keyring)
    altered["payloads"][0]["data"] = b64encode(b"x" * 60).decode()  # type: ignore[index]
    unknown_key = await sealed(keyring)
    unknown_key["payloads"][0]["metadata"]["kaiji-key-id"] = b64encode(b"codec-9").decode()  # type: ignore[index]
    in_clear = json_format.MessageToDict(Payloads(payloads=PLAIN))
    elsewhere = await sealed(keyring, "other")
    for document in (altered, unknown_key, in_clear, elsewhere):
        answer = await browser.post("/codec/decode", json=document, headers=NAMESPACE | {"Origin": ORIGIN})
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "秘密" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payloads",
        b"[1]",
        b'{"payloads": 1}',
        b'{"payloads": [{"data": "\xff"}]}',
        b'{"other": []}',
        b'{"payloads": [{"metadata": {"encoding": "%"}}]}',
        b"[" * 5000,
    ],
)
async def test_malformed_bodies_are_refused(browser: httpx.AsyncClient, body: bytes) -> None:
    answer = await browser.post("/codec/decode", content=body, headers=NAMESPACE)
    assert answer.status_code == 400


async def test_it_does_not_encode(browser: httpx.AsyncClient) -> None:
    body = json.dumps({"payloads": []})
    assert (await browser.post("/codec/encode", content=body, headers=NAMESPACE)).status_code == 404


async def test_a_body_has_a_limit(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/codec/decode", content=b" " * (4 * 1024 * 1024 + 1), headers=NAMESPACE)
    assert answer.status_code == 413
