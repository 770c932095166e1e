"""A payment system that tells a gateway of deposits over HTTP, honestly or not; and a gateway to tell."""

import asyncio
import base64
import contextlib
import json
import random
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from standardwebhooks import Webhook
from temporalio.client import Client

from records.database import Database
from runtime.embedded.processes import free_port
from runtime.errors import Unreachable
from runtime.keys import Keyring
from runtime.plugin import kaiji_plugin
from starter import connections
from starter.errands import ClientSource
from starter.gateway import create_app
from starter.rates import Limits

PAYER = "ミホン ハナコ"


def new_secret(fill: bytes = b"k") -> str:
    return f"whsec_{base64.b64encode(fill * 24).decode()}"


SECRET = new_secret()


def notice(deposit_id: str, type: str = "deposit.settled", **changes: object) -> dict[str, Any]:
    """A notice about a deposit; ``changes`` are the data's."""
    data = {
        "deposit_id": deposit_id,
        "account": "1234567",
        "amount": 5400,
        "currency": "JPY",
        "value_date": "2018-11-20",
        "payer_name": PAYER,
        "reference": "",
        "edi": "",
    }
    return {"type": type, "timestamp": "2018-11-20T09:00:00+09:00", "data": data | changes}


def new_deposit_id() -> str:
    return f"D-{uuid.uuid4()}"


def encoded(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def signature(
    body: bytes, *, secret: str = SECRET, id: str | None = None, age: timedelta = timedelta(0)
) -> dict[str, str]:
    """The headers of Standard Webhooks; ``age`` is how long ago it was sent."""
    sent, id = datetime.now(UTC) - age, id or f"msg_{uuid.uuid4()}"
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, sent, body.decode(errors="replace")),
    }


class PaymentSystem:
    """Sends notices to one gateway."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def tell(self, document: object, *, secret: str = SECRET, id: str | None = None) -> httpx.Response:
        """Send a notice, properly signed."""
        body = encoded(document)
        return await self.send(body, signature(body, secret=secret, id=id))

    async def send(
        self,
        body: bytes | AsyncIterable[bytes],
        headers: dict[str, str],
        *,
        content_type: str = "application/json",
    ) -> httpx.Response:
        """Send anything at all."""
        headers = {"content-type": content_type} | headers
        return await self.client.post("/webhooks/deposits", content=body, headers=headers)

    async def insist(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Send a notice again and again while the answer is to repeat it."""
        while (answer := await self.send(body, headers)).status_code in (429, 503):
            asked = int(answer.headers["retry-after"])
            assert asked > 0
            await asyncio.sleep(min(asked, 1) * random.uniform(0.2, 1))
        return answer

    async def raw(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send bytes over a connection of their own; what came back before it was closed."""
        address = self.client.base_url
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()

    async def insist_raw(self, body: bytes, headers: dict[str, str]) -> int:
        """The same, for a thousand at once: an HTTP library would be the slowest part of it."""
        fields = headers | {"host": "x", "content-type": "application/json", "connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"POST /webhooks/deposits HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode()
        while True:
            status = int((await self.raw(head + body)).split(maxsplit=2)[1])
            if status not in (429, 503):
                return status
            await asyncio.sleep(random.uniform(0.5, 1))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: FastAPI, proxies: Sequence[str] = ()) -> AsyncIterator[PaymentSystem]:
    """The gateway on a port of its own, and somebody to talk to it."""
    port = free_port()
    server = _Server(connections.config(app, "127.0.0.1", port, proxies))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield PaymentSystem(client)
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def gateway(
    url: str,
    keyring: Keyring,
    client: ClientSource,
    *secrets: str,
    limits: Limits = Limits(),
    answer_seconds: float = 4.5,
    body_seconds: float = 10,
) -> AsyncIterator[PaymentSystem]:
    """A gateway on this database and Temporal, and somebody to talk to it."""
    app = create_app(
        Database(url, keyring),
        keyring,
        client,
        [SecretStr(secret) for secret in secrets or (SECRET,)],
        limits=limits,
        answer_seconds=answer_seconds,
        body_seconds=body_seconds,
    )
    async with served(app) as payment_system:
        yield payment_system


async def connected(address: str, keyring: Keyring) -> Client:
    """A client, or ``Unreachable`` at once."""
    try:
        return await Client.connect(address, plugins=[kaiji_plugin(keyring, "default")])
    except RuntimeError:
        raise Unreachable("Temporal", "it is down") from None


async def nowhere() -> Client:
    """A Temporal that is never there."""
    raise Unreachable("Temporal", "it is down")
