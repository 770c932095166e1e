"""The health port of a process without a web server of its own: `/healthz` while it lives, `/readyz` while it
works.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own business."""
        yield


class Health:
    """An async context manager that answers on a host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._ready: Callable[[], bool] = lambda: False
        app = Starlette(routes=[Route("/healthz", self._alive), Route("/readyz", self._working)])
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    def ready_when(self, ready: Callable[[], bool]) -> None:
        """From now on `/readyz` answers 200 while this holds."""
        self._ready = ready

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._server.serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    async def _alive(self, _: Request) -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    async def _working(self, _: Request) -> PlainTextResponse:
        ready = self._ready()
        return PlainTextResponse("ready\n" if ready else "not ready\n", status_code=200 if ready else 503)
