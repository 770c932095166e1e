"""One office for all tests of the command line."""

from collections.abc import AsyncIterator

import pytest

from runtime.embedded.postgres import PostgresServer
from tests.starter.office import Office, open_office


@pytest.fixture(scope="session")
async def office(
    postgres: PostgresServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    """Real servers, a worker, staff and holdings; the command line as processes of its own."""
    await postgres.clone_database(migrated_template, "office")
    folder = tmp_path_factory.mktemp("office")
    async with open_office(folder, postgres.url("office")) as office:
        yield office
