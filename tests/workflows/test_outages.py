"""The records are away for a while: an act is refused in seconds, a step waits, nothing fails or is lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from policy.refusals import Code
from policy.vocabulary import Capacity, Phase
from tests.workflows.world import Case, World, documents, refused
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import DocumentsReceived, VerifyIdentity


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


async def tries_again(case: Case) -> None:
    """Wait until a step of the request is being repeated."""
    handle = case.world.client.get_workflow_handle(case.id)
    for _ in range(400):
        if (await handle.describe()).raw_description.pending_activities:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing is tried again")


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
    async with without(world, "holding_subjects"):
        verifying = asyncio.create_task(case.verify())  # the search for data follows at once
        await tries_again(case)
    await verifying
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
    assert await case.letters() == ["invoice"]


async def test_documents_are_not_judged_before_the_rules_have_seen_them_all(world: World) -> None:
    """Else a letter would ask for what has come, and the request would lapse for want of it."""
    case = await world.open()
    form, residence, licence = documents(Capacity.SELF, world.today)
    await case.receive(documents=[form, residence])
    recorded = await case.record(case.envelope(documents=[licence]))
    handle = world.client.get_workflow_handle(case.id)
    async with without(world, "documents"):
        word = DocumentsReceived(envelope_id=str(recorded.envelope_id))
        await handle.signal(DisclosureRequest.documents_received, word)
        await tries_again(case)
        with refused(Code.WRONG_PHASE):
            await case.act(DisclosureRequest.verify_identity, VerifyIdentity(by="officer-1", deficient=True))
    status = await case.status()
    assert (status.phase, status.findings) == (Phase.VERIFYING, ())
    await case.verify()
    assert await case.letters() == ["invoice"]
