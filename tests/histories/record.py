"""Records the history of every course anew: `python -m tests.histories.record [COURSE …]`.

Runs the courses on servers of its own, as their tests do. Do this when a change of the workflows is meant to
break the replay of what was recorded; from version 1.0 on such a change is patched instead.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from temporalio.client import WorkflowHistory

from records.migrate import upgrade
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from tests.histories import keyring, path, recorded
from tests.workflows.courses import all_courses
from tests.workflows.world import World, running


async def record(names: Iterable[str], home: Path) -> None:
    """Run these courses and write what Temporal recorded of each."""
    courses = all_courses()
    async with (
        PostgresServer(home, fast=True) as postgres,
        TemporalServer(home, in_memory=True, ui=False) as server,
    ):
        await postgres.ensure_database("histories")
        upgrade(postgres.url("histories"))
        async with running(server.address, postgres.url("histories"), keyring()) as world:
            for name in names:
                world.cases, world.deposits = [], []
                await courses[name](world)
                lines = [_line(history) async for history in _recorded(world)]
                path(name).write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
                print(f"{name}: {len(lines)} runs")


async def _recorded(world: World) -> AsyncIterator[WorkflowHistory]:
    for case in world.cases:
        for history in await case.histories():
            yield history
    for deposit in world.deposits:
        yield await world.client.get_workflow_handle(deposit.workflow_id).fetch_history()


def _line(history: WorkflowHistory) -> str:
    line = {"workflow_id": history.workflow_id, "history": json.loads(history.to_json())}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    names = sys.argv[1:] or sorted(all_courses())
    if not sys.argv[1:]:
        for old in recorded().values():
            old.unlink()
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(record(names, Path(home)))


if __name__ == "__main__":
    main()
