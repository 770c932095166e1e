"""Real services for all tests: a PostgreSQL and a Temporal server per test process, started once."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring

_TEMPLATE = "kaiji_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """No setting of the developer's own reaches a test, and no test reaches the developer's servers."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("KAIJI_", "TEMPORAL_"))]:
            environment.delenv(name)
        environment.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
        yield


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL server of its own, without durability: fast."""
    async with PostgresServer(tmp_path_factory.mktemp("postgres"), fast=True) as server:
        yield server


@pytest.fixture(scope="session")
async def migrated_template(postgres: PostgresServer) -> str:
    """The name of a database with the current schema, to be cloned."""
    from records.migrate import upgrade

    await postgres.ensure_database(_TEMPLATE)
    upgrade(postgres.url(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
async def database_url(postgres: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    """An empty, migrated database for one test, as ``postgresql+psycopg://…``."""
    name = f"test_{next(_numbers)}"
    await postgres.clone_database(migrated_template, name)
    yield postgres.url(name)
    await postgres.drop_database(name)


@pytest.fixture(scope="session")
async def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    """A Temporal server in memory, on which virtual time can be skipped."""
    async with TemporalServer(tmp_path_factory.mktemp("temporal"), in_memory=True, ui=False) as server:
        yield server


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """A fresh keyring; a test that changes keys makes its own."""
    path: Path = tmp_path_factory.mktemp("keyring") / "keyring.json"
    return Keyring.open(path, create=True)
