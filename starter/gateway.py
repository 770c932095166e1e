"""The gateway: where the payment system tells of deposits, over HTTP.

A notice is trusted only once its signature holds; before that nothing of it is looked at or kept. It is
answered within five seconds whatever is down: 202 when all is done, 503 when it is to be repeated. Temporal
and PostgreSQL are connected to when they are first needed, and again whenever they come back.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, SecretStr
from starlette.responses import PlainTextResponse
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
from starter.connections import config
from starter.errands import ClientSource
from starter.notices import Notices
from starter.rates import Limits, Rates, TooMany
from starter.replies import ERRORS, install_replies
from starter.webhooks import (
    BODY_SECONDS,
    SIGNATURE_HEADERS,
    Verifier,
    check_content_type,
    check_framing,
    is_unambiguous,
    read_body,
)

SOURCE = "webhook"
"""The source under which the ledger knows these deposits."""

ANSWER_SECONDS = 4.5
"""For all that a notice needs once it was read."""

_PROBE = 2.0  # seconds for each part of /readyz, at most
_AT_A_TIME = 10  # notices worked at: fewer than the database has connections for

Result = TypeVar("Result")


class Accepted(BaseModel):
    """The notice is recorded and will have its effect, once; a repeat is answered the same."""

    deposit_id: str
    type: NoticeType


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
    limits: Limits = Limits(),
    answer_seconds: float = ANSWER_SECONDS,
    body_seconds: float = BODY_SECONDS,
    codec: APIRouter | None = None,
) -> FastAPI:
    """The gateway as an ASGI application. Raises ``Misconfigured`` for secrets that are none."""
    verifier = Verifier(secrets)
    rates = Rates(limits)
    client = LazyClient(client_factory)
    notices = Notices(SOURCE, database, keyring, client)
    places = _Places(answer_seconds / 3)
    readiness = _Readiness(database, client, min(_PROBE, answer_seconds))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await database.dispose()

    async def take(webhook_id: str, body: bytes, notice: DepositNotice) -> None:
        async with places.one():
            await notices.take(webhook_id, body, notice)

    app = FastAPI(
        title="Kaiji gateway",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    install_replies(app)

    @app.post("/webhooks/deposits", status_code=202, responses=ERRORS, openapi_extra=_SIGNED_NOTICE)
    async def deposits(request: Request) -> Accepted:
        """A notice about a deposit, signed by Standard Webhooks. Repeat it until it is answered 202."""
        address = request.client.host if request.client else ""
        rates.call(address)
        check_framing(request.headers)
        body = await read_body(request, seconds=body_seconds)
        if not verifier.verifies(body, request.headers):
            raise Refusal(Code.NOT_AUTHENTIC, "the signature does not hold, or its time is not now")
        rates.proven(address)
        check_content_type(request.headers)
        notice = parse_notice(body)
        if not is_unambiguous(body):
            raise Refusal(Code.MALFORMED, "notice: a key stands twice in an object")
        await _within(answer_seconds, take(request.headers["webhook-id"], body, notice))
        return Accepted(deposit_id=notice.data.deposit_id, type=notice.type)

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The process lives."""
        return "alive\n"

    @app.get("/readyz", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Database and Temporal can be worked with; if not, 503 and which of them cannot."""
        found = await readiness()
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
    proxies = [str(network) for network in settings.gateway_proxies]
    uvicorn.Server(config(app, settings.gateway_host, settings.gateway_port, proxies)).run()


def _app(settings: Settings) -> FastAPI:
    keyring = Keyring.from_settings(settings)
    namespace = connection(settings)["namespace"]
    return create_app(
        Database(settings.database(), keyring, settings.destruction_log_file, settings.audit_heads_file),
        keyring,
        partial(connect, settings, keyring),
        settings.webhook_secrets,
        limits=Limits(
            notices=settings.notices_per_minute,
            all_notices=settings.notices_per_minute_total,
            strangers=settings.strangers_per_minute,
            all_strangers=settings.strangers_per_minute_total,
        ),
        codec=codec_router(EncryptingCodec(keyring, namespace), namespace, settings.codec_origin)
        if settings.codec_server
        else None,
    )


# ── time limits ─────────────────────────────────────────────────────────────────────────────────────────


class _Places:
    """So many notices are worked at together. Others wait for ``seconds``, which leaves enough of the budget
    for the work, and are then told to come again: a burst is worked off and does not choke on itself.
    """

    def __init__(self, seconds: float) -> None:
        self._free = asyncio.Semaphore(_AT_A_TIME)
        self._seconds = seconds
        self._done = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A place. Raises ``TooMany`` where others had theirs meanwhile, ``Unreachable`` where none had."""
        before = self._done
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            if self._done > before:
                raise TooMany(self._seconds) from None
            raise Unreachable("database or Temporal", "notices are being worked at and none ends") from None
        try:
            yield
            self._done += 1
        finally:
            self._free.release()


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


class _Readiness:
    """Looks whether the services answer: once for all who ask meanwhile, so that asking costs them little."""

    def __init__(self, database: Database, client: LazyClient, seconds: float) -> None:
        self._database = database
        self._client = client
        self._seconds = seconds
        self._look: asyncio.Task[Readiness] | None = None
        self._one_connection = asyncio.Lock()

    async def __call__(self) -> Readiness:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._looked())
        return await asyncio.shield(self._look)

    async def _looked(self) -> Readiness:
        database, temporal = await asyncio.gather(
            self._state(self._revision()), self._state(self._namespace())
        )
        return Readiness.model_validate({"database": database, "temporal": temporal})

    async def _revision(self) -> str:
        async with self._one_connection, self._database.begin() as conn:
            return "ok" if await conn.run_sync(migrate.revision) == migrate.head() else "not migrated"

    async def _namespace(self) -> str:
        connected = await self._client()
        request = DescribeNamespaceRequest(namespace=connected.namespace)
        await connected.workflow_service.describe_namespace(request, timeout=timedelta(seconds=self._seconds))
        return "ok"

    async def _state(self, probe: Coroutine[object, object, str]) -> str:
        with suppress(Unreachable, RPCError):
            return await _within(self._seconds, probe)
        return "unreachable"


# ── description ─────────────────────────────────────────────────────────────────────────────────────────

_SIGNED_NOTICE = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string", "pattern": pattern}}
        for name, pattern in SIGNATURE_HEADERS.items()
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DepositNotice"}}},
    },
}


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the notice in it: the route takes the body raw, to verify it unread."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    described = get_openapi(title=app.title, version=app.version, routes=app.routes)
    notice = DepositNotice.model_json_schema(ref_template="#/components/schemas/{model}")
    described["components"]["schemas"] |= notice.pop("$defs") | {"DepositNotice": notice}
    app.openapi_schema = described
    return described


if __name__ == "__main__":
    main()
