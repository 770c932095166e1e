"""The records are away for a while: an act is refused in seconds, a step waits, nothing fails or is lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from policy.refusals import Code
from policy.vocabulary import Phase
from tests.workflows.world import World, refused


@asynccontextmanager
async def without(world: World, table: str) -> AsyncIterator[None]:
    """Whatever reads or writes this table fails."""
    async with world.database.begin() as conn:
        await conn.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
    try:
        yield
    finally:
        async with world.database.begin() as conn:
            await conn.execute(text(f"ALTER TABLE {table}_away RENAME TO {table}"))


async def test_an_act_is_refused_within_seconds_and_works_later(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.VERIFYING)
    before = await case.status()
    async with without(world, "staff"):
        started = time.monotonic()
        with refused(Code.SERVICE_UNREACHABLE):
            await case.verify()
        assert time.monotonic() - started < 15
    assert await case.status() == before
    await case.verify()
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT


async def test_a_look_that_fails_is_taken_again(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.VERIFYING)
    handle = world.client.get_workflow_handle(case.id)
    async with without(world, "holding_subjects"):
        verifying = asyncio.create_task(case.verify())  # the search for data follows at once
        for _ in range(400):
            if (await handle.describe()).raw_description.pending_activities:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the search is not tried again")
    await verifying
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
    assert await case.letters() == ["invoice"]
