"""What the gateway says when it does not accept: one JSON document whatever went wrong, and as published.

Neither the answers nor the log lines repeat anything of what was sent: no path, no header, no content.
"""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy.refusals import Code, Refusal
from runtime.errors import Unreachable
from starter.rates import TooMany
from starter.webhooks import TooLarge, TooSlow, Unreadable

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer."""

_RETRY_AFTER = 30
_STATUS = {Code.NOT_AUTHENTIC: 401, Code.NOTICE_CONFLICT: 409, Code.SERVICE_UNREACHABLE: 503}
_CLOSE = {"Connection": "close"}

log = structlog.stdlib.get_logger(__name__)


class Error(BaseModel):
    """A reason code of the registry, and what to do about it."""

    code: Code
    message: str


class ErrorDocument(BaseModel):
    """Why nothing was accepted."""

    error: Error


def error_document(code: Code, message: str) -> bytes:
    """The body of every answer that is an error."""
    return ErrorDocument(error=Error(code=code, message=message)).model_dump_json().encode()


def install_replies(app: FastAPI) -> None:
    """Make the app answer every failure in the words of the house."""
    app.add_middleware(_Edge)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(Unreachable, _unreachable)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(TooLarge, _too_large)
    app.add_exception_handler(TooSlow, _too_slow)
    app.add_exception_handler(Unreadable, _unreadable)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(HTTPException, _no_such_route)


def _error(status: int, code: Code, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(error_document(code, message), status, headers, "application/json")


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    log.warning("notice refused", code=refusal.code.value)
    return _error(_STATUS.get(refusal.code, 400), refusal.code, refusal.message)


async def _unreachable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unreachable)
    log.error("notice not accepted: out of reach", service=error.service, hint=error.hint)
    message = "nothing was accepted: repeat the notice later"
    return _error(503, Code.SERVICE_UNREACHABLE, message, {"Retry-After": str(_RETRY_AFTER)})


async def _too_many(_: Request, error: Exception) -> Response:
    assert isinstance(error, TooMany)
    message = "too many notices at once: repeat this one later"
    return _error(429, Code.TOO_MANY_NOTICES, message, {"Retry-After": str(error.retry_after)})


async def _too_large(_: Request, __: Exception) -> Response:
    return _error(413, Code.MALFORMED, "the body is larger than 64 kB", _CLOSE)


async def _too_slow(_: Request, __: Exception) -> Response:
    return _error(408, Code.MALFORMED, "the body did not arrive in time", _CLOSE)


async def _unreadable(_: Request, error: Exception) -> Response:
    return _error(415, Code.MALFORMED, str(error), {"Accept-Encoding": "identity"})


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody is left to read it


async def _no_such_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return _error(405, Code.MALFORMED, "not by this method; `Allow` says by which", error.headers)
    return _error(error.status_code, Code.NOT_FOUND, "there is nothing here", error.headers)


class _Edge:
    """Security headers on every answer, and one log line: the route, never the path or query asked for.

    Those turned away are counted, a line a second: a flood shall not fill the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turned_away = 0
        self._counted_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("failed at a request")
            if status:
                raise
            message = "this failed here, and may not have been accepted: repeat it later"
            await _error(500, Code.SERVICE_UNREACHABLE, message)(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "(unknown)")
            self._log(route, status or 500, time.perf_counter() - started)

    def _log(self, route: str, status: int, seconds: float) -> None:
        if status != 429:
            log.info("request", route=route, status=status, milliseconds=round(seconds * 1000, 1))
            return
        self._turned_away += 1
        now = time.monotonic()
        if now - self._counted_at >= 1:
            log.warning("too many requests", route=route, status=status, turned_away=self._turned_away)
            self._turned_away, self._counted_at = 0, now


# ── description ─────────────────────────────────────────────────────────────────────────────────────────

_WHY = {
    400: "Malformed; the message names the field, never its content.",
    401: "Unsigned, forged, or not of now.",
    408: "The body did not arrive in time.",
    409: "Other content came before with this id, or of this type for this deposit.",
    413: "Larger than 64 kB.",
    415: "Not plain JSON in UTF-8: of another content type, or compressed.",
    429: "Too many at once, and nothing was accepted: repeat it later.",
    500: "Failed here: repeat it later.",
    503: "A service is out of reach and nothing was accepted: repeat it later.",
}
_LATER = {"Retry-After": {"description": "In how many seconds.", "schema": {"type": "integer", "minimum": 1}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorDocument, "description": why}
    | ({"headers": _LATER} if status in (429, 503) else {})
    for status, why in _WHY.items()
}
"""The errors that a notice may be answered with, for the published description."""
