"""Requests through closure per second, as a ratio to a bare workflow on the same server in the same run.

    python -m benchmarks.requests [--count 200] [--at-once 40]

The bare workflow receives two signals, runs two activities that do nothing and starts a timer: 24 events and
no database. A request is a whole disclosure, four times as many events: envelope, verification, invoice,
deposit, decision by two people, the answer posted and delivered; its people act as fast as the phases
allow. Worker, clients and servers share the machine, and machines are noisy: quote the ratio, not the rates.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from policy.vocabulary import Phase
from records.migrate import upgrade
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from tests.workflows.world import Case, World, running

ROUNDS = 3


@activity.defn
async def nothing() -> None:
    """Does nothing, so that only the engine is measured."""


@workflow.defn(sandboxed=False)
class Bare:
    """What any engine would have to do: two signals, two activities, a timer."""

    def __init__(self) -> None:
        self._signals = 0

    @workflow.run
    async def run(self) -> None:
        for wanted in (1, 2):
            await workflow.wait_condition(lambda wanted=wanted: self._signals >= wanted)
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=10))
        await asyncio.sleep(0.001)

    @workflow.signal
    def fact(self) -> None:
        self._signals += 1


async def bare(client: Client, number: str) -> None:
    """One bare workflow from start to end."""
    handle = await client.start_workflow(Bare.run, id=f"bare-{number}", task_queue="bare")
    await handle.signal(Bare.fact)
    await handle.signal(Bare.fact)
    await handle.result()


async def request(world: World) -> None:
    """One disclosure from the form to the delivery of the answer, after which its records are retained."""
    case = await world.open()
    await case.receive()
    await reached(case, Phase.VERIFYING)
    await case.verify()
    await reached(case, Phase.AWAITING_PAYMENT)
    await case.pay_in_full()
    await reached(case, Phase.PREPARING)
    await case.propose()
    await reached(case, Phase.APPROVING)
    await case.approve()
    await reached(case, Phase.POSTING)
    await case.deliver()
    await reached(case, Phase.RETAINED)


async def reached(case: Case, phase: Phase) -> None:
    """People act when the phase allows it."""
    while (await case.status()).phase is not phase:  # noqa: ASYNC110 (another process tells)
        await asyncio.sleep(0.02)


async def per_second(count: int, at_once: int, one: Callable[[int], Awaitable[None]]) -> float:
    """How many are done in a second with so many under way at once."""
    limit = asyncio.Semaphore(at_once)

    async def limited(number: int) -> None:
        async with limit:
            await one(number)

    began = time.perf_counter()
    await asyncio.gather(*(limited(number) for number in range(count)))
    return count / (time.perf_counter() - began)


async def measure(count: int, at_once: int) -> None:
    """Both in turn, several times over; the ratio of each pair."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        keyring = Keyring.open(home / "keyring.json", create=True)
        async with (
            PostgresServer(home / "postgres") as postgres,
            TemporalServer(home / "temporal", ui=False) as server,
        ):
            await postgres.ensure_database("kaiji")
            upgrade(postgres.url("kaiji"))
            async with running(server.address, postgres.url("kaiji"), keyring) as world:
                table = Table("round", "bare / s", "requests / s", "requests / bare")
                async with Worker(world.client, task_queue="bare", workflows=[Bare], activities=[nothing]):
                    for number in track(range(ROUNDS), "measuring", console=console):
                        plain = await per_second(
                            count, at_once, lambda n, r=number: bare(world.client, f"{r}-{n}")
                        )
                        whole = await per_second(count, at_once, lambda _: request(world))
                        table.add_row(str(number + 1), f"{plain:.1f}", f"{whole:.1f}", f"{whole / plain:.2f}")
        console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="of each, a round (200)")
    parser.add_argument("--at-once", type=int, default=40, help="how many are under way at once (40)")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.count, arguments.at_once))


if __name__ == "__main__":
    main()
