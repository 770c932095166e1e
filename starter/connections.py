"""The gateway's HTTP server: uvicorn, which waits no longer than is decent and answers nonsense in JSON."""

import asyncio
from collections.abc import Sequence

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from policy.refusals import Code
from starter.replies import HEADERS, error_document

HEAD_SECONDS = 10.0
"""How long a caller may take to say what it wants; the body has its own limit (``starter.webhooks``)."""


def config(app: ASGIApp, host: str, port: int, proxies: Sequence[str] = ()) -> uvicorn.Config:
    """How the app is served. Only ``proxies`` (addresses, networks) are believed about who calls."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        ws="none",
        timeout_graceful_shutdown=10,
    )


class _Connection(H11Protocol):
    """One connection. A caller that says nothing, or a little of a head now and then, is hung up on."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering():
            self._forget_timer()
        elif self._head_timer is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP. An answer that is under way already says nothing more."""
        document = error_document(
            Code.MALFORMED, "this cannot be read as HTTP/1.1, with a head of 64 kB at most"
        )
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = {"Content-Type": "application/json", "Connection": "close", **HEADERS}
            headers["Content-Length"] = str(len(document))
            head = h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request")
            for event in (head, h11.Data(data=document), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        self._head_timer = None
        if not self._is_answering():
            self.transport.abort()

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
