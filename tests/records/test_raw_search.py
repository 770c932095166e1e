"""What was destroyed opens nowhere: not in the data folder, not in a backup of before, not in the log of
everything that was ever written, whatever key is left.

A real server archives its write-ahead log; a base backup is taken before the destruction. First all of it is
shown to open with the old key, then with none.
"""

import asyncio
import base64
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import sql
from sqlalchemy import select

from policy.calendar import today_in_tokyo
from policy.registry import pack_in_force
from policy.vocabulary import Outcome, RecordClass
from records import audit, requests, retention, rotation
from records.database import Database
from records.encoding import joined
from records.migrate import upgrade
from records.tables import data_keys, vault
from records.vault import KEY_BYTES, NONCE_BYTES, Destroyed
from runtime.embedded.postgres import PostgresServer, _binary, plain_url
from runtime.errors import UnknownKey
from runtime.keys import Keyring
from runtime.keyset import KeyKind
from tests.e2e.searching import Search
from tests.records.material import open_request

CANARY = "見本 迦那利亜 canary-5f2c91"
ON = date(2018, 12, 1)
CLASSES = (RecordClass.IDENTITY_DOCUMENTS, RecordClass.REQUEST_FILE, RecordClass.RESPONSE_CONTENT)


@dataclass(frozen=True)
class Sealed:
    """A sealed record and its wrapped key, as they stood in the tables."""

    id: UUID
    ciphertext: bytes
    bound: bytes
    wrapped: bytes
    wrapped_bound: bytes
    """But for the id of the key that wraps it."""

    def opened(self, key: bytes) -> bytes:
        return AESGCM(key).decrypt(self.ciphertext[:NONCE_BYTES], self.ciphertext[NONCE_BYTES:], self.bound)

    def unwrapped(self, key: bytes, kek_id: str) -> bytes:
        bound = self.wrapped_bound + joined(kek_id)
        return AESGCM(key).decrypt(self.wrapped[:NONCE_BYTES], self.wrapped[NONCE_BYTES:], bound)


class Installation:
    """A server with its own home, whose log is archived."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.archive = home / "archive"
        self.backup = home / "backup" / "postgres"
        self.keyring_file = home / "keyring.json"
        self.keyring = Keyring.open(self.keyring_file, create=True)
        self.server = PostgresServer(home)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Database]:
        self.archive.mkdir()
        async with self.server:
            with psycopg.connect(plain_url(self.server.url()), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET archive_mode = on")
                command = sql.Literal(f"cp %p {self.archive}/%f")
                connection.execute(sql.SQL("ALTER SYSTEM SET archive_command = {}").format(command))
        async with self.server:
            await self.server.ensure_database("kaiji")
            upgrade(self.server.url("kaiji"))
            database = Database(self.server.url("kaiji"), self.keyring)
            yield database
            await database.dispose()

    async def take_backup(self) -> None:
        self.backup.parent.mkdir(mode=0o700)
        url = urlsplit(self.server.url())
        taking = await asyncio.create_subprocess_exec(
            *(_binary("pg_basebackup"), "--pgdata", self.backup, "--wal-method", "stream"),
            *("--checkpoint", "fast", "--no-sync", "--no-password"),
            *("--host", url.hostname or "", "--port", str(url.port), "--username", url.username or ""),
            env={**os.environ, "PGPASSWORD": url.password or ""},
        )
        assert await taking.wait() == 0
        shutil.copy(self.home / "postgres.password", self.backup.parent)

    def archive_the_log(self) -> None:
        with psycopg.connect(plain_url(self.server.url()), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            connection.execute("SELECT pg_switch_wal()")

    @asynccontextmanager
    async def backup_running(self) -> AsyncIterator[Database]:
        """A server that was restored from the backup; it archives nothing."""
        (self.backup / "postgresql.auto.conf").write_text("archive_mode = off\n")
        async with PostgresServer(self.backup.parent) as server:
            database = Database(server.url("kaiji"), self.keyring)
            yield database
            await database.dispose()

    def keys_left(self) -> list[bytes]:
        """Every key in the keyring, whatever it is for."""
        document = json.loads(self.keyring_file.read_text())
        kinds = [document["kek"], document["codec"], document["sign"], {"index": document["index"]}]
        return [base64.b64decode(key) for kind in kinds for key in kind.values()]

    def where(self, data: bytes) -> set[str]:
        """In which folders of the home a file has these bytes: the server's, its archive, its backup."""
        files = (path for path in self.home.rglob("*") if path.is_file() and not path.is_symlink())
        return {path.relative_to(self.home).parts[0] for path in files if data in path.read_bytes()}


async def sealed(database: Database, case: str, classes: tuple[RecordClass, ...]) -> list[Sealed]:
    async with database.begin() as conn:
        ids = [
            await database.vault.seal(conn, case, each, "x", f"{CANARY} {each.value}".encode())
            for each in classes
        ]
        rows = await conn.execute(
            select(vault, data_keys.c.wrapped)
            .join(data_keys, data_keys.c.key_id == vault.c.key_id)
            .where(vault.c.id.in_(ids))
        )
        return [
            Sealed(
                row.id,
                row.ciphertext,
                joined("vault", row.id.bytes, row.case_id, row.record_class, row.label, row.key_id.bytes),
                row.wrapped,
                joined("data_keys", row.case_id, row.record_class, row.key_id.bytes),
            )
            for row in rows
        ]


async def destroy(database: Database, request_id: str) -> None:
    async with database.begin() as conn:
        await requests.close(conn, request_id, Outcome.GRANTED, ON)
        for record_class in CLASSES:
            await retention.destroy_class(
                conn,
                database.vault,
                request_id=request_id,
                record_class=record_class,
                on=ON,
                rule="30 days after delivery or closure",
                clause="§1, Period of Retention",
                pack_version="gmo-appscloud-2018-10-22",
                by=audit.AUTOMATIC,
            )


async def rotate(database: Database, keyring: Keyring) -> date:
    """Answers the day on which the old key was retired."""
    now = datetime.now(UTC)
    async with database.begin() as conn:
        await rotation.begin(conn, keyring, KeyKind.KEK, by="manager-1", at=now)
    await rotation.rewrap(database, lambda _: None)
    async with database.begin() as conn:
        await rotation.retire(conn, keyring, KeyKind.KEK, by="manager-1", at=now)
    return today_in_tokyo(now)


async def test_what_is_destroyed_opens_nowhere_with_any_key_that_is_left(tmp_path: Path) -> None:
    here = Installation(tmp_path / "home")
    async with here.running() as database:
        async with database.begin() as conn:
            request_id, kept_id = await open_request(conn), await open_request(conn)
        gone = await sealed(database, request_id, CLASSES)
        kept = await sealed(database, kept_id, CLASSES[:1])
        await here.take_backup()

        await destroy(database, request_id)
        old_key = json.loads(here.keyring_file.read_text())["kek"]["kek-1"]
        retired_on = await rotate(database, here.keyring)
        await rotation.vacuum(database)
        here.archive_the_log()

        # before the old key is gone, the backup opens, and what stands in the log does
        async with here.backup_running() as restored, restored.begin() as conn:
            for each in gone:
                assert CANARY.encode() in await restored.vault.unseal(conn, each.id)
        for each in gone:
            assert len(each.unwrapped(base64.b64decode(old_key), "kek-1")) == KEY_BYTES
        for blob in (blob for each in gone for blob in (each.ciphertext, each.wrapped)):
            assert {"archive", "backup"} <= here.where(blob)

        over = pack_in_force(retired_on).backup.horizon.after(retired_on)
        assert await rotation.discard_expired(database, here.keyring, over) == ["kek-1"]

        # now nothing of it opens: in the database, the backup, the log
        async with database.begin() as conn:
            for each in gone:
                with pytest.raises(Destroyed):
                    await database.vault.unseal(conn, each.id)
            assert CANARY.encode() in await database.vault.unseal(conn, kept[0].id)
            living = [await database.vault._unwrap(row) for row in await conn.execute(select(data_keys))]
        async with here.backup_running() as restored, restored.begin() as conn:
            for each in (*gone, *kept):
                with pytest.raises(UnknownKey):
                    await restored.vault.unseal(conn, each.id)
        left = [*here.keys_left(), *(key.secret for key in living), *(key.encryption for key in living)]
        assert len(left) == 1 + 1 + 1 + 1 + 2
        for each, key, kek_id in itertools.product(gone, left, ("kek-1", "kek-2")):
            with pytest.raises(InvalidTag):
                each.unwrapped(key, kek_id)
        for each, key in itertools.product(gone, left):
            with pytest.raises(InvalidTag):
                each.opened(key)

    search = Search({"canary": CANARY, "old key": old_key})
    (here.home / "planted").write_text(f"{CANARY} {old_key}")
    assert set(search.files(here.home)) == {"planted"}
    assert not here.where(base64.b64decode(old_key))
