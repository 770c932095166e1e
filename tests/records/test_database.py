import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from records import migrate
from records.database import Database, psycopg_url
from records.tables import metadata
from runtime.embedded.postgres import PostgresServer
from runtime.errors import Misconfigured, Unreachable
from runtime.keys import Keyring


async def test_a_transaction_is_kept_or_undone(db: Database) -> None:
    async with db.begin() as conn:
        await conn.execute(text("INSERT INTO counters VALUES ('kept', 1)"))
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with db.begin() as conn:
            await conn.execute(text("INSERT INTO counters VALUES ('undone', 1)"))
            raise RuntimeError
    async with db.begin() as conn:
        assert (await conn.scalars(text("SELECT name FROM counters"))).all() == ["kept"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://kaiji:secret-word@127.0.0.1:1/kaiji",
        "postgresql+psycopg://kaiji:secret-word@no-such-host.invalid/kaiji",
    ],
)
async def test_a_server_that_is_not_there_is_unreachable(url: str, keyring: Keyring) -> None:
    db = Database(url, keyring)
    with pytest.raises(Unreachable) as caught:
        async with db.begin():
            pass
    assert caught.value.service == "database"
    assert "secret-word" not in str(caught.value)
    with pytest.raises(Unreachable):
        migrate.upgrade(url)


async def test_a_wrong_password_is_unreachable(database_url: str, keyring: Keyring) -> None:
    db = Database(psycopg_url(database_url).set(password="wrong").render_as_string(False), keyring)
    with pytest.raises(Unreachable):
        async with db.begin():
            pass


async def test_a_connection_cut_in_the_middle_is_unreachable(db: Database) -> None:
    with pytest.raises(Unreachable):  # noqa: PT012
        async with db.begin() as conn:
            pid = await conn.scalar(text("SELECT pg_backend_pid()"))
            async with db.begin() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await conn.execute(text("SELECT 1"))
    async with db.begin() as conn:
        assert await conn.scalar(text("SELECT 1")) == 1


async def test_a_failing_statement_is_not_unreachable_and_shows_no_values(db: Database) -> None:
    with pytest.raises(ProgrammingError) as caught:
        async with db.begin() as conn:
            await conn.execute(text("SELECT :name FROM nowhere"), {"name": "見本 花子"})
    assert "花子" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:///kaiji.db", "mysql://kaiji@db/kaiji", "not an address"])
def test_another_database_is_refused(url: str, keyring: Keyring) -> None:
    with pytest.raises(Misconfigured):
        Database(url, keyring)


def test_every_address_of_postgresql_gets_our_driver() -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"):
        assert psycopg_url(f"{scheme}://kaiji@db/kaiji").drivername == "postgresql+psycopg"


def test_the_migrated_database_is_what_the_tables_say(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
        checks = conn.scalars(text("SELECT conname FROM pg_constraint WHERE contype = 'c'")).all()
    engine.dispose()
    assert {"ck_letters_state", "ck_invoices_state", "ck_deposits_state"} <= set(checks)


async def test_many_upgrades_at_once_make_one_database(postgres: PostgresServer) -> None:
    await postgres.ensure_database("many_upgrades")
    url = postgres.url("many_upgrades")
    assert migrate.current(url) is None
    await asyncio.gather(*(asyncio.to_thread(migrate.upgrade, url) for _ in range(4)))
    assert migrate.current(url) == migrate.head()
    await postgres.drop_database("many_upgrades")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE false"],
)
async def test_the_audit_trail_refuses_to_shrink_or_change(db: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        async with db.begin() as conn:
            await conn.execute(text(statement))


async def test_a_connection_cut_while_idle_is_replaced(
    db: Database, records_url: str, keyring: Keyring
) -> None:
    async with db.begin() as conn:
        pid = await conn.scalar(text("SELECT pg_backend_pid()"))
    other = Database(records_url, keyring)
    async with other.begin() as conn:
        await conn.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    await other.dispose()
    async with db.begin() as conn:
        assert await conn.scalar(text("SELECT pg_backend_pid()")) != pid
