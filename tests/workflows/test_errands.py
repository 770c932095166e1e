"""Errands: an errand that can never be run keeps no other waiting, and an outage loses none."""

import pytest
from temporalio.client import Client

from records import errands
from records.errands import NewErrand
from runtime.errors import Unreachable
from starter.errands import Errands
from tests.workflows.world import Money, World


async def settled(world: World) -> Money:
    """A deposit in the ledger of which nobody was told yet."""
    money = Money(world, f"D{world.number()}", "webhook", 5400, "")
    await world.record_untold("settled", money)
    return money


async def test_an_errand_that_always_fails_keeps_no_other_waiting(world: World) -> None:
    await world.run_errands()
    money = await world.deposit(5400)
    async with world.database.begin() as conn:
        await errands.add(conn, NewErrand(money.source, money.id, ""))  # no workflow has such an id
    other = await settled(world)
    run = Errands(world.database, world.connected)
    assert [await run.run(limit=1), await run.run(limit=1)] == [0, 1]
    assert (await other.status()).state == "suspense"
    async with world.database.begin() as conn:
        assert await errands.pending(conn) == []  # not due again before some time has passed
        (failed,) = await errands.pending(conn, of=(money.source, money.id))
        await errands.done(conn, [failed.id])


async def test_while_temporal_is_away_errands_wait(world: World) -> None:
    await world.run_errands()
    money = await settled(world)

    async def away() -> Client:
        raise Unreachable("Temporal", "it does not answer")

    with pytest.raises(Unreachable):
        await Errands(world.database, away).run()
    assert await world.run_errands() == 1
    assert (await money.status()).state == "suspense"
