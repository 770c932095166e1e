"""A migrated database, emptied for each test, and a request in it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from records.database import Database
from records.tables import metadata
from runtime.embedded.postgres import PostgresServer
from runtime.keys import Keyring
from tests.records.material import open_request

_EMPTY = ";".join(f"DELETE FROM {table}" for table in metadata.tables)


@pytest.fixture(scope="session")
async def records_url(postgres: PostgresServer, migrated_template: str) -> str:
    """One database for all tests of the records: emptying it takes a tenth of making another."""
    await postgres.clone_database(migrated_template, "records")
    return postgres.url("records")


@pytest.fixture
async def db(records_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(records_url, keyring)
    async with database.begin() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger, no foreign key
        await conn.execute(text(_EMPTY))
    yield database
    await database.dispose()


@pytest.fixture
async def request_id(db: Database) -> str:
    async with db.begin() as conn:
        return await open_request(conn)
