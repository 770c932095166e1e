"""A payment system that tells a gateway of deposits over HTTP, honestly or not; and a gateway to tell."""

import asyncio
import base64
import contextlib
import json
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from standardwebhooks import Webhook

from runtime.embedded.processes import free_port
from starter import connections

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
