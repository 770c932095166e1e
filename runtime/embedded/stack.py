"""The development stack: PostgreSQL, Temporal, worker and gateway, up together and down together."""

import asyncio
import base64
import contextlib
import fcntl
import os
import secrets
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Self

import runtime
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.processes import Child, free_port, healthy
from runtime.embedded.temporal_server import TemporalServer
from runtime.errors import HomeInUse
from runtime.home import create_home, write_private
from runtime.keys import Keyring
from runtime.settings import Settings
from runtime.stackfile import StackFile

DATABASE = "kaiji"

_TEMPORAL_PORT, _UI_PORT = 7233, 8233  # where people look first; others if these are taken
_CODE = Path(runtime.__file__).parents[1]


class Stack:
    """Everything Kaiji needs, embedded, on one home. An async context manager.

    ``migrate`` brings the database at a URL up to date; it is called once PostgreSQL runs, in a thread.
    ``search_attributes`` are registered at Temporal's start; ``codec_path`` is where on the gateway the codec
    server is, if it has one; ``worker`` and ``gateway`` are the modules to run, which answer ``/healthz`` on
    their ports. Whatever dies is started again.

    Entering raises ``HomeInUse`` when another stack runs on the home, ``StartFailed`` when a part does not
    come up; then nothing is left running.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        migrate: Callable[[str], None],
        search_attributes: Mapping[str, str] | None = None,
        codec_path: str | None = None,
        worker: str = "worker",
        gateway: str = "starter.gateway",
        ui: bool = True,
    ) -> None:
        self._settings = settings
        self._home = settings.home.absolute()
        self._migrate = migrate
        self._modules = {"worker": worker, "gateway": gateway}
        self._gateway_port = free_port(settings.gateway_port)
        self._health_port = free_port(settings.health_port)
        self._gateway_url = f"http://127.0.0.1:{self._gateway_port}"
        self._codec_url = self._gateway_url + codec_path if codec_path else None
        self._postgres = PostgresServer(self._home, restart=True)
        self._temporal = TemporalServer(
            self._home,
            ui=ui,
            port=free_port(_TEMPORAL_PORT),
            ui_port=free_port(_UI_PORT) if ui else None,
            search_attributes=search_attributes,
            codec=self._codec_url,
            restart=True,
        )
        self._exits = contextlib.AsyncExitStack()

    @property
    def info(self) -> StackFile:
        """The addresses, as they stand in HOME/stack.json."""
        return StackFile(
            temporal=self._temporal.address,
            temporal_ui=self._temporal.ui_url,
            gateway=self._gateway_url,
            codec_server=self._codec_url,
            database=self._postgres.url(DATABASE),
            pid=os.getpid(),
        )

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as exits:
            exits.enter_context(alone_on(create_home(self._home)))
            StackFile.path(self._home).unlink(missing_ok=True)
            Keyring.from_settings(self._settings, create=True)
            _create_webhook_secret(self._settings.webhook_secret_file)

            exits.push_async_callback(_together, self._postgres.stop, self._temporal.stop)
            await _together(self._postgres.start, self._temporal.start)
            await self._postgres.ensure_database(DATABASE)
            await asyncio.to_thread(self._migrate, self._postgres.url(DATABASE))

            worker, gateway = self._child("worker"), self._child("gateway")
            exits.push_async_callback(_together, worker.stop, gateway.stop)
            await _together(
                lambda: worker.start(lambda: healthy(self._health_port)),
                lambda: gateway.start(lambda: healthy(self._gateway_port)),
            )
            self.info.write(self._home)
            exits.callback(StackFile.path(self._home).unlink, missing_ok=True)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    def _child(self, name: str) -> Child:
        """A Python process that runs the same code as this one, against this stack."""
        command = [sys.executable, "-m", self._modules[name]]
        logs = self._home / "logs"
        return Child(name, command, logs, env=self._environment(), cwd=_CODE, stop_timeout=15, restart=True)

    def _environment(self) -> dict[str, str]:
        """The user's environment, with everything in it that could lead to other servers replaced."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        # Without cached bytecode the sandbox would compile the workflows anew for each request.
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        return inherited | {
            "KAIJI_HOME": str(self._home),
            "KAIJI_KEYRING_PATH": str(self._settings.keyring_file.absolute()),
            "KAIJI_PACKS": str(self._settings.packs_folder.absolute()),
            "KAIJI_DATABASE_URL": self._postgres.url(DATABASE),
            "KAIJI_GATEWAY_HOST": "127.0.0.1",
            "KAIJI_GATEWAY_PORT": str(self._gateway_port),
            "KAIJI_CODEC_SERVER": "1" if self._codec_url else "0",
            "KAIJI_CODEC_ORIGIN": self._temporal.ui_url or "",
            "KAIJI_HEALTH_HOST": "127.0.0.1",
            "KAIJI_HEALTH_PORT": str(self._health_port),
            "TEMPORAL_ADDRESS": self._temporal.address,
            "TEMPORAL_NAMESPACE": "default",
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "PYTHONUNBUFFERED": "1",
        }


async def _together(*parts: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run all parts at once; of several failures the first is raised, after all have ended."""
    results = await asyncio.gather(*(part() for part in parts), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


@contextlib.contextmanager
def alone_on(home: Path) -> Iterator[None]:
    """Hold the home's lock. The kernel lets go of it when this process ends, however it ends."""
    with (home / "stack.lock").open("a+", encoding="ascii") as lock:
        os.chmod(lock.fileno(), 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            raise HomeInUse(home, int(holder) if holder.isdecimal() else None) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _create_webhook_secret(path: Path) -> None:
    """A secret as Standard Webhooks wants it: 24 random bytes."""
    with contextlib.suppress(FileExistsError):
        write_private(path, f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}\n", replace=False)
