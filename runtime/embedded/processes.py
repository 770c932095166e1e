"""A supervised child process: started, waited for, logged to a file, stopped, and never left behind."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from runtime.embedded import launch
from runtime.errors import StartFailed

log = logging.getLogger(__name__)

_PROBE_EVERY = 0.02
_RESTART_AFTER = (0.2, 10.0)
_claims: list[socket.socket] = []


class Child:
    """One process of its own session: Ctrl-C in the terminal reaches only its parent, which then stops it.

    ``death_signal`` is what the kernel sends it when the parent dies without a word (Linux; the parent is the
    *thread* that started it, so start children from the main thread). With ``restart`` it is started again
    whenever it ends by itself, after a pause that doubles up to ten seconds.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        logs: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_timeout: float = 10.0,
        death_signal: signal.Signals = signal.SIGKILL,
        restart: bool = False,
    ) -> None:
        self.name = name
        self.log_file = logs / f"{name}.log"
        self._command = [str(part) for part in command]
        self._env = env
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._stop_timeout = stop_timeout
        self._death_signal = death_signal
        self._restart = restart
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The running process, or None."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    async def start(self, ready: Callable[[], Awaitable[bool]], timeout: float = 30.0) -> None:
        """Start it and wait until ``ready`` answers True. On ``StartFailed`` nothing is left running."""
        await self._spawn()
        try:
            async with asyncio.timeout(timeout):
                while not await ready():
                    if self.pid is None:
                        raise StartFailed(self.name, self.log_file, "it ended at once")
                    await asyncio.sleep(_PROBE_EVERY)
        except TimeoutError:
            await self.stop()
            raise StartFailed(self.name, self.log_file, f"no answer in {timeout:g} s") from None
        except BaseException:
            await self.stop()
            raise
        if self._restart:
            self._supervisor = asyncio.create_task(self._keep_running(), name=f"keep {self.name} running")

    async def stop(self) -> None:
        """Ask it to end, then kill it. Nothing happens when it does not run."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(self._stop_signal)
        try:
            async with asyncio.timeout(self._stop_timeout):
                await process.wait()
        except TimeoutError:
            log.warning("%s did not stop in %g s and is killed", self.name, self._stop_timeout)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def _spawn(self) -> None:
        self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", launch.__file__, str(os.getpid()), str(int(self._death_signal))),
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        finally:
            os.close(output)

    async def _keep_running(self) -> None:
        pause, longest = _RESTART_AFTER
        while self._process:
            started = asyncio.get_running_loop().time()
            code = await self._process.wait()
            if asyncio.get_running_loop().time() - started > longest:
                pause = _RESTART_AFTER[0]
            log.warning("%s ended with %s and is started again: see %s", self.name, code, self.log_file)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
            await self._spawn()


def free_port(preferred: int | None = None) -> int:
    """A TCP port of 127.0.0.1 that nobody uses: the preferred one if possible.

    It is this process's until it ends: two stacks that start at once never choose the same, of which the
    second would take the first one's parts for its own.
    """
    for candidate in (preferred, *[0] * 100) if preferred else [0] * 100:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
        if _claim(port):
            return port
    raise OSError("no free port on 127.0.0.1")


def _claim(port: int) -> bool:
    """Say to every other stack on this machine that the port is taken, before anything listens on it."""
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0kaiji/port/{port}")  # no file: the kernel forgets it with this process
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


async def listening(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def healthy(port: int, path: str = "/healthz") -> bool:
    """Whether an HTTP server on this port of 127.0.0.1 answers 200."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), timeout=2)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
    return status.split()[1:2] == [b"200"]
