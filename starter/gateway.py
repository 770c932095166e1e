"""The gateway: where the payment system tells of deposits, over HTTP.

A notice is trusted only once its signature holds; before that nothing of it is looked at or kept. It is
answered within five seconds whatever is down: 202 when all is done, 503 when it is to be repeated. Temporal
and PostgreSQL are connected to when they are first needed, and again whenever they come back.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, SecretStr
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from policy.deposit import DepositNotice, NoticeType, parse_notice
from policy.pack import PackError
from policy.refusals import Code, Refusal
from policy.registry import install
from records import migrate
from records.database import Database
from runtime import logging
from runtime.codec import EncryptingCodec
from runtime.errors import KeyringError, Misconfigured, Unreachable
from runtime.keys import Keyring
from runtime.settings import Settings
from runtime.temporal import connect, connection
from starter.codec_server import codec_router
from starter.errands import ClientSource
from starter.notices import Notices
from starter.webhooks import TooLarge, TooSlow, Verifier, is_unambiguous, read_body

SOURCE = "webhook"
"""The source under which the ledger knows these deposits."""

_BUDGET = 4.5  # seconds for all that a notice needs
_PROBE = 2.0  # seconds for each part of /readyz
_RETRY_AFTER = "30"
_STATUS = {Code.NOT_AUTHENTIC: 401, Code.NOTICE_CONFLICT: 409, Code.SERVICE_UNREACHABLE: 503}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Result = TypeVar("Result")
log = structlog.stdlib.get_logger(__name__)


class Accepted(BaseModel):
    """The notice is recorded and will have its effect, once; a repeat is answered the same."""

    deposit_id: str
    type: NoticeType


class Error(BaseModel):
    """A reason code of the registry, and what to do about it."""

    code: Code
    message: str


class ErrorDocument(BaseModel):
    """Why nothing was accepted."""

    error: Error


class Readiness(BaseModel):
    """What the gateway needs, part by part."""

    database: Literal["ok", "unreachable", "not migrated"]
    temporal: Literal["ok", "unreachable"]


class LazyClient:
    """A Temporal client made at first use; once made it reconnects by itself."""

    def __init__(self, factory: ClientSource) -> None:
        self._factory = factory
        self._client: Client | None = None
        self._one_attempt = asyncio.Lock()

    async def __call__(self) -> Client:
        """The connected client. Raises ``Unreachable``."""
        async with self._one_attempt:
            if self._client is None:
                self._client = await self._factory()
            return self._client


def create_app(
    database: Database,
    keyring: Keyring,
    client_factory: ClientSource,
    secrets: Sequence[SecretStr],
    *,
    codec: APIRouter | None = None,
) -> FastAPI:
    """The gateway as an ASGI application. Raises ``Misconfigured`` for secrets that are none."""
    verifier = Verifier(secrets)
    client = LazyClient(client_factory)
    notices = Notices(SOURCE, database, keyring, client)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await database.dispose()

    app = FastAPI(title="Kaiji gateway", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(_Edge)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(Unreachable, _unreachable)
    app.add_exception_handler(TooLarge, _too_large)
    app.add_exception_handler(TooSlow, _too_slow)
    app.add_exception_handler(ClientDisconnect, _gone)

    @app.post("/webhooks/deposits", status_code=202, responses=_ERRORS, openapi_extra=_SIGNED_NOTICE)
    async def deposits(request: Request) -> Accepted:
        """A notice about a deposit, signed by Standard Webhooks. Repeat it until it is answered 202."""
        body = await read_body(request)
        if not verifier.verifies(body, request.headers):
            raise Refusal(Code.NOT_AUTHENTIC, "the signature does not hold, or its time is not now")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(Code.MALFORMED, "the content type of a notice is application/json")
        notice = parse_notice(body)
        if not is_unambiguous(body):
            raise Refusal(Code.MALFORMED, "notice: a key stands twice in an object")
        await _within(_BUDGET, notices.take(request.headers["webhook-id"], body, notice))
        return Accepted(deposit_id=notice.data.deposit_id, type=notice.type)

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The process lives."""
        return "alive\n"

    @app.get("/readyz", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Database and Temporal can be worked with; if not, 503 and which of them cannot."""
        found = Readiness(**dict(zip(("database", "temporal"), await _probe(database, client), strict=True)))
        if (found.database, found.temporal) != ("ok", "ok"):
            response.status_code = 503
        return found

    if codec is not None:
        app.include_router(codec)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    return app


def main() -> None:
    """The entry point of the gateway process; it stops on SIGTERM or SIGINT, after answering."""
    try:
        settings = Settings.load()
        logging.configure(settings)
        install(settings.packs_folder)
        app = _app(settings)
    except (Misconfigured, KeyringError) as error:
        sys.exit(f"the gateway cannot start: {error}")
    except PackError as error:
        sys.stderr.write(f"the gateway cannot start: {error}\n")
        sys.exit(2)
    uvicorn.run(
        app,
        host=settings.gateway_host,
        port=settings.gateway_port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=10,
    )


def _app(settings: Settings) -> FastAPI:
    keyring = Keyring.from_settings(settings)
    namespace = connection(settings)["namespace"]
    return create_app(
        Database(settings.database(), keyring),
        keyring,
        partial(connect, settings, keyring),
        settings.webhook_secrets,
        codec=codec_router(EncryptingCodec(keyring, namespace), namespace, settings.codec_origin)
        if settings.codec_server
        else None,
    )


# ── time limits ─────────────────────────────────────────────────────────────────────────────────────────


_abandoned: set[asyncio.Task[Any]] = set()


async def _within(seconds: float, work: Coroutine[object, object, Result]) -> Result:
    """The result of the work, or ``Unreachable`` when it takes longer.

    What is late is cancelled but not waited for: a server that hangs would make its cancellation hang too.
    """
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        _abandoned.add(task)
        task.add_done_callback(_forget)
        raise Unreachable("database or Temporal", f"no answer in {seconds:g} s")
    return task.result()


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()


async def _probe(database: Database, client: LazyClient) -> tuple[str, str]:
    async def revision() -> str:
        async with database.begin() as conn:
            return "ok" if await conn.run_sync(migrate.revision) == migrate.head() else "not migrated"

    async def namespace() -> str:
        connected = await client()
        request = DescribeNamespaceRequest(namespace=connected.namespace)
        await connected.workflow_service.describe_namespace(request, timeout=timedelta(seconds=_PROBE))
        return "ok"

    async def state(probe: Coroutine[object, object, str]) -> str:
        with suppress(Unreachable, RPCError):
            return await _within(_PROBE, probe)
        return "unreachable"

    return await asyncio.gather(state(revision()), state(namespace()))


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────


def _error(status: int, code: Code, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    document = ErrorDocument(error=Error(code=code, message=message))
    return JSONResponse(document.model_dump(mode="json"), status, headers)


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    log.warning("notice refused", code=refusal.code.value)
    return _error(_STATUS.get(refusal.code, 400), refusal.code, refusal.message)


async def _unreachable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unreachable)
    log.error("notice not accepted: out of reach", service=error.service, hint=error.hint)
    message = "nothing was accepted: repeat the notice later"
    return _error(503, Code.SERVICE_UNREACHABLE, message, {"Retry-After": _RETRY_AFTER})


async def _too_large(_: Request, __: Exception) -> Response:
    return _error(413, Code.MALFORMED, "the body is larger than 64 kB", {"Connection": "close"})


async def _too_slow(_: Request, __: Exception) -> Response:
    return _error(408, Code.MALFORMED, "the body did not arrive in time", {"Connection": "close"})


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody is left to read it


class _Edge:
    """Security headers on every answer, and one log line: the route, never the path or query asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "(unknown)")
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            log.info("request", route=route, status=status, milliseconds=milliseconds)


# ── description ─────────────────────────────────────────────────────────────────────────────────────────

_WHY = {
    400: "Malformed; the message names the field, never its content.",
    401: "Unsigned, forged, or not of now.",
    408: "The body did not arrive in time.",
    409: "Other content came before with this id, or of this type for this deposit.",
    413: "Larger than 64 kB.",
    503: "A service is out of reach and nothing was accepted: repeat later.",
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorDocument, "description": why} for status, why in _WHY.items()
}
_SIGNED_NOTICE = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DepositNotice"}}},
    },
}


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the notice in it: the route takes the body raw, to verify it unread."""
    described = get_openapi(title=app.title, version=app.version, routes=app.routes)
    notice = DepositNotice.model_json_schema(ref_template="#/components/schemas/{model}")
    described["components"]["schemas"] |= notice.pop("$defs") | {"DepositNotice": notice}
    return described


if __name__ == "__main__":
    main()
