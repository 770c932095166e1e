"""What was destroyed stays destroyed, whatever copy of the database is put back."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from policy.vocabulary import RecordClass
from records import destruction_log
from records.database import Database
from records.destruction_log import DamagedLog, Entry, LogFile
from records.tables import audit as events
from records.tables import data_keys, vault
from records.vault import Destroyed
from runtime.embedded.postgres import PostgresServer, _binary, _environment, plain_url
from runtime.keys import Keyring
from tests.records.material import open_request
from tests.records.test_destruction import destroy

CLASS = RecordClass.REQUEST_FILE
CANARY = "見本 花子".encode()


@pytest.fixture
async def logged(database_url: str, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(database_url, keyring, tmp_path / "destructions.log")
    yield database
    await database.dispose()


def file_of(database: Database) -> LogFile:
    assert database.destruction_file is not None
    return database.destruction_file


async def sealed(database: Database) -> tuple[str, UUID]:
    """A request with one sealed record: both ids."""
    async with database.begin() as conn:
        request_id = await open_request(conn)
        return request_id, await database.vault.seal(conn, request_id, CLASS, "parties", CANARY)


async def known(database: Database) -> dict[UUID, Entry]:
    async with database.begin() as conn:
        return await destruction_log.read(conn)


async def run(*command: str | Path) -> bytes:
    """A program of the PostgreSQL wheel."""
    process = await asyncio.create_subprocess_exec(
        *command, env=_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out


async def test_a_dump_from_before_a_destruction_does_not_bring_the_record_back(
    logged: Database, database_url: str, postgres: PostgresServer, keyring: Keyring, tmp_path: Path
) -> None:
    request_id, id = await sealed(logged)
    other_id, other = await sealed(logged)
    dump = tmp_path / "before.dump"
    await run(_binary("pg_dump"), "-Fc", "-f", dump, plain_url(database_url))
    await destroy(logged, request_id, CLASS)
    (entry,) = (await known(logged)).values()
    assert (entry.case_id, entry.record_class) == (request_id, CLASS)
    assert entry.rule == "30 days after delivery or closure"
    assert len(entry.key_ids) == 1
    assert file_of(logged).read() == {entry.id: entry}

    await postgres.ensure_database("restored")
    url = postgres.url("restored")
    await run(_binary("pg_restore"), "--no-owner", "-d", plain_url(url), dump)
    restored = Database(url, keyring, tmp_path / "destructions.log")
    try:
        async with restored.begin() as conn:
            assert await restored.vault.unseal(conn, id) == CANARY  # it did come back
            assert await destruction_log.came_back(conn, file_of(restored)) == [request_id]
            assert await destruction_log.last_applied_again(conn) is None

        done = await asyncio.gather(*(restored.reapply_destructions() for _ in range(4)))
        assert sorted(each.came_back for each in done) == [(), (), (), (request_id,)]
        assert sum(each.told_database for each in done) == 1
        assert await known(restored) == {entry.id: entry}

        async with restored.begin() as conn:
            with pytest.raises(Destroyed):
                await restored.vault.unseal(conn, id)
            assert await restored.vault.unseal(conn, other) == CANARY
            for table in (vault, data_keys):
                assert (await conn.scalars(select(table.c.case_id))).all() == [other_id]
            assert await destruction_log.came_back(conn, file_of(restored)) == []
            assert await destruction_log.last_applied_again(conn) is not None
            again = select(func.count()).where(events.c.act == "records_destroyed_again")
            assert await conn.scalar(again) == 1
    finally:
        await restored.dispose()
        await postgres.drop_database("restored")


async def test_what_is_rolled_back_is_logged_nowhere(logged: Database) -> None:
    request_id, id = await sealed(logged)

    async def failing() -> None:
        async with logged.begin() as conn:
            await logged.vault.destroy(conn, request_id, CLASS, rule="r")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    async with logged.begin() as conn:
        async with conn.begin_nested() as savepoint:
            await logged.vault.destroy(conn, request_id, CLASS, rule="r")
            await savepoint.rollback()
        assert await logged.vault.unseal(conn, id) == CANARY
    assert await known(logged) == file_of(logged).read() == {}
    assert (await logged.reapply_destructions()).entries == 0


async def test_what_a_killed_process_did_not_write_is_written_at_the_next_start(
    logged: Database, tmp_path: Path
) -> None:
    request_id, _ = await sealed(logged)
    await destroy(logged, request_id, CLASS)
    path = tmp_path / "destructions.log"
    line = path.read_bytes()
    path.write_bytes(line[: len(line) // 2])
    done = await logged.reapply_destructions()
    assert (done.told_file, done.told_database, done.came_back) == (1, 0, ())
    assert path.read_bytes() == line
    assert path.stat().st_mode & 0o777 == 0o600
    assert (await logged.reapply_destructions()).told_file == 0


async def test_a_key_made_after_a_destruction_is_not_the_one_destroyed(logged: Database) -> None:
    case = f"holding/{uuid4()}"
    async with logged.begin() as conn:
        await logged.vault.seal(conn, case, "holdings", "person", b"before")
        await logged.vault.destroy(conn, case, "holdings", rule="replaced")
        id = await logged.vault.seal(conn, case, "holdings", "person", b"after")
    assert (await logged.reapply_destructions()).came_back == ()
    async with logged.begin() as conn:
        assert await logged.vault.unseal(conn, id) == b"after"


def test_a_damaged_file_is_refused_and_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path)
    entry = Entry(uuid4(), datetime(2018, 12, 1, tzinfo=UTC), "DR-2018-000001-8", CLASS, (uuid4(),), "規則")
    many = [replace(entry, id=uuid4()) for _ in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda each: LogFile(path).append([each]), many))
    assert file.read() == {each.id: each for each in many}
    path.write_bytes(path.read_bytes().replace(b'"case_id"', b'"case"', 1))
    with pytest.raises(DamagedLog, match="line 1"):
        file.read()
