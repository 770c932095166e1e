"""One world for all tests of the workflows."""

from collections.abc import AsyncIterator

import pytest

from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from tests.workflows.world import World, running


@pytest.fixture(scope="session")
async def world(
    postgres: PostgresServer, migrated_template: str, temporal_server: TemporalServer, keyring: Keyring
) -> AsyncIterator[World]:
    """Real servers, a worker, staff and holdings."""
    await postgres.clone_database(migrated_template, "workflows")
    async with running(temporal_server.address, postgres.url("workflows"), keyring) as world:
        yield world
