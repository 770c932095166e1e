"""Workflows see the packs that their process has installed: the sandbox loads no registry of its own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from policy import pack as pack_module
from policy import registry
from policy.registry import pack
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from runtime.plugin import kaiji_plugin

EXAMPLES = Path(pack_module.__file__).parent / "packs" / "examples"


@workflow.defn
class Priced:
    """Looks into a pack, as workflows do."""

    @workflow.run
    async def run(self, version: str) -> int:
        return pack(version).fee.amount


@pytest.fixture(autouse=True)
def _only_what_ships(tmp_path: Path) -> Iterator[None]:
    yield
    registry.install(tmp_path / "nothing")


async def test_a_workflow_reads_a_pack_that_was_installed(
    temporal_server: TemporalServer, keyring: Keyring
) -> None:
    plugin = kaiji_plugin(keyring, "default")
    client = await Client.connect(temporal_server.address, plugins=[plugin])
    registry.install(EXAMPLES)
    async with Worker(client, task_queue="packs", workflows=[Priced]):
        for version, fee in (("gmo-appscloud-2018-10-22", 5400), ("gmo-appscloud-2019-10-01", 5500)):
            assert (
                await client.execute_workflow(Priced.run, version, id=str(uuid4()), task_queue="packs") == fee
            )
