"""The way to the database: an engine, transactions, and one error for "out of reach".

PostgreSQL through psycopg, whatever the address calls its driver. Statements' values never stand in errors or
logs.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from records import certificate_files, certificates, checkpoints, destruction_log
from records.certificate_files import CertificateFolder
from records.destruction_log import LogFile, Reapplied
from records.heads import HeadsFile
from records.vault import Vault
from runtime.errors import KeyringError, Misconfigured, Unreachable
from runtime.keys import Keyring

log = structlog.stdlib.get_logger(__name__)

CONNECT_SECONDS = 5
# A peer that is gone without a word is noticed in half a minute, not in the two hours that are the default.
_NOTICE_SILENCE = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_POSTGRES = ("postgresql", "postgres")


class Database:
    """The case file of an installation: transactions, and the vault that opens what is sealed in it."""

    def __init__(
        self,
        url: str,
        keyring: Keyring,
        log_file: Path | None = None,
        heads_file: Path | None = None,
        certificates_folder: Path | None = None,
    ) -> None:
        """Nothing is connected yet. What is destroyed is also written down in ``log_file``, each checkpoint
        of the audit trail in ``heads_file``, certificates in files in ``certificates_folder``.

        Raises ``Misconfigured`` for an address that is not PostgreSQL's."""
        self._url = psycopg_url(url)
        self._engine = create_async_engine(
            self._url,
            pool_size=10,
            max_overflow=10,
            pool_timeout=30,
            pool_pre_ping=True,
            pool_recycle=1800,
            hide_parameters=True,
            connect_args={"connect_timeout": CONNECT_SECONDS, **_NOTICE_SILENCE},
        )
        self.vault = Vault(keyring)
        self.destruction_file = LogFile(log_file) if log_file else None
        self.heads_file = HeadsFile(heads_file) if heads_file else None
        self.certificates = CertificateFolder(certificates_folder) if certificates_folder else None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        Raises ``Unreachable`` when the server does not answer or the connection breaks; then nothing is
        committed, unless it broke at the very commit: repeat the act, all of them are idempotent.
        """
        with out_of_reach(self._url):
            async with self._engine.begin() as conn:
                destruction_log.take_pending(conn)  # of a transaction that was rolled back
                checkpoints.take_pending(conn)
                certificates.take_pending(conn)
                yield conn
                certified = certificates.take_pending(conn)
                destroyed, checkpoint = destruction_log.take_pending(conn), checkpoints.take_pending(conn)
            if destroyed and self.destruction_file:
                await self._write_down(self.destruction_file, destroyed)
            if checkpoint and self.heads_file:
                await self._write_heads(self.heads_file)
            if certified and self.certificates:
                await self._write_certificates(self.certificates, certified)

    @asynccontextmanager
    async def no_transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection for what cannot be done in a transaction, each statement for itself.

        Raises ``Unreachable``.
        """
        with out_of_reach(self._url):
            async with self._engine.connect() as conn:
                yield await conn.execution_options(isolation_level="AUTOCOMMIT")

    async def reapply_destructions(self) -> Reapplied:
        """Destroy again what a restore has brought back; see ``destruction_log.reapply``.

        Raises ``Misconfigured`` without a file of the log, ``DamagedLog`` and ``Unreachable``.
        """
        if self.destruction_file is None:
            raise Misconfigured("there is no file of the destruction log: set KAIJI_DESTRUCTION_LOG")
        async with self.begin() as conn:
            return await destruction_log.reapply(conn, self.destruction_file)

    async def _write_down(self, file: LogFile, ids: list[UUID]) -> None:
        """Read back what was really committed: a savepoint may have taken some of it back."""
        async with self._engine.begin() as conn:
            entries = await destruction_log.read(conn, ids)
        await asyncio.to_thread(file.append, entries.values())

    async def _write_heads(self, file: HeadsFile) -> None:
        async with self._engine.begin() as conn:
            heads = await checkpoints.unwritten(conn, file)
        if heads:
            await asyncio.to_thread(file.append, heads)

    async def complete_certificates(self) -> None:
        """Write the files of certificates that are not there: somebody was killed, or a disk was full."""
        if self.certificates:
            await self._write_certificates(self.certificates)

    async def _write_certificates(
        self, folder: CertificateFolder, case_ids: Iterable[str] | None = None
    ) -> None:
        """They are committed: a file that cannot be written now is made good at the next start."""
        try:
            async with self._engine.begin() as conn:
                missing = await certificate_files.unwritten(conn, folder) if case_ids is None else case_ids
                await certificate_files.write(conn, self.vault.keyring, folder, missing)
        except (OSError, SQLAlchemyError, KeyringError) as error:
            log.warning(
                "a certificate's file is not written", folder=str(folder.path), error=type(error).__name__
            )

    async def dispose(self) -> None:
        """Close every connection of the pool."""
        await self._engine.dispose()


def psycopg_url(url: str) -> URL:
    """The address with the driver Kaiji uses. Raises ``Misconfigured``, which does not quote it."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Misconfigured("the database address cannot be read: postgresql://USER@HOST/NAME") from None
    if parsed.drivername.partition("+")[0] not in _POSTGRES:
        raise Misconfigured(f"the database must be PostgreSQL, not {parsed.drivername}")
    return parsed.set(drivername="postgresql+psycopg")


@contextmanager
def out_of_reach(url: URL) -> Iterator[None]:
    """Turn every way a connection fails into ``Unreachable``; other errors pass."""
    try:
        yield
    except (DBAPIError, TimeoutError) as error:
        if not _is_connection_failure(error):
            raise
        where = f"{url.host or 'local socket'}:{url.port or 5432}"
        raise Unreachable(
            "database", f"PostgreSQL at {where} does not answer; is it up, and `KAIJI_DATABASE_URL` right?"
        ) from error


def _is_connection_failure(error: DBAPIError | TimeoutError) -> bool:
    if isinstance(error, TimeoutError) or error.connection_invalidated:
        return True
    # A connection that never came about has no SQLSTATE; a server that starts, stops or turns us away says
    # 57P0x, 53300, 28xxx or 3D000. A statement's own failure (deadlock, time-out) has another state and is
    # none of these.
    state = getattr(error.orig, "sqlstate", None)
    refused = state is None or state.startswith(("08", "28", "57P0")) or state in ("53300", "3D000")
    return isinstance(error, (OperationalError, InterfaceError)) and refused
