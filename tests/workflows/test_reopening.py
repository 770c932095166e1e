"""A lapsed request is reopened within the grace period, and goes on where it lapsed."""

from datetime import timedelta

from policy.refusals import Code
from policy.vocabulary import Capacity, LetterKind, LetterState, Outcome, Phase
from records import audit, invoices
from tests.workflows.courses import course
from tests.workflows.world import Case, World, documents, refused


async def lapsed_for_documents(world: World) -> Case:
    case = await world.open()
    await case.receive(documents=documents(Capacity.SELF, world.today)[:-1])
    await case.verify(deficient=True)
    await case.to_the_end_of((await case.status()).deadlines[0].on)
    assert (await case.status()).outcome is Outcome.LAPSED_DOCUMENTS
    return case


async def lapsed_for_payment(world: World) -> Case:
    case = await world.open()
    await case.reach(Phase.AWAITING_PAYMENT)
    await case.to_the_end_of((await case.status()).deadlines[0].on)
    assert (await case.status()).outcome is Outcome.LAPSED_PAYMENT
    return case


@course
async def test_documents_that_lapsed_are_asked_for_again(world: World) -> None:
    case = await lapsed_for_documents(world)
    assert "reopening" in [d.what for d in (await case.status()).deadlines]
    await case.advance(days=3)
    with refused(Code.WRONG_ROLE):
        await case.reopen(by="mailroom-1")
    await case.reopen()
    status, shown = await case.status(), await case.shown()
    assert (status.phase, status.outcome) == (Phase.AWAITING_DOCUMENTS, None)
    assert "KaijiOutcome" not in shown
    assert status.deadlines[0].on == status.today + timedelta(days=30)
    # what told of the lapse and was still here has stayed here
    assert (await case.standing_letters())[-1] == LetterKind.REOPENED
    assert ("documents_lapsed", LetterState.CANCELLED) in await case.every_letter()
    await case.receive(documents=documents(Capacity.SELF, world.today)[-1:])
    await case.reach(Phase.RETAINED)
    assert (await case.status()).outcome is Outcome.GRANTED
    async with world.database.begin() as conn:
        acts = [event.act for event in await audit.events(conn, case.id)]
    assert acts.count("request_closed") == 2


@course
async def test_a_fee_that_lapsed_may_be_paid_again(world: World) -> None:
    case = await lapsed_for_payment(world)
    before = (await case.status()).invoice_number
    await case.reopen()
    status = await case.status()
    assert (status.phase, status.invoice_number) == (Phase.AWAITING_PAYMENT, before)
    assert status.deadlines[0].on == status.today + timedelta(days=30)
    async with world.database.begin() as conn:
        invoice = await invoices.of_request(conn, case.id)
    assert invoice is not None
    assert (invoice.state, invoice.due_on) == ("open", status.deadlines[0].on)
    await case.pay(5400)
    await case.reach(Phase.RETAINED)
    assert (await case.status()).outcome is Outcome.GRANTED


@course
async def test_what_was_paid_too_late_counts_once_the_request_is_reopened(world: World) -> None:
    case = await lapsed_for_payment(world)
    late = await case.pay(5400)
    assert (await late.status()).suspense_reason == "late"
    await case.reopen()
    assert (await case.status()).phase is Phase.PREPARING
    assert (await late.row()).request_id == case.id
    await case.reach(Phase.RETAINED)
    assert (await case.status()).outcome is Outcome.GRANTED


@course
async def test_what_was_reopened_lapses_again_and_ends(world: World) -> None:
    case = await lapsed_for_payment(world)
    await case.reopen()
    await case.to_the_end_of((await case.status()).deadlines[0].on)
    assert (await case.status()).outcome is Outcome.LAPSED_PAYMENT
    await case.to_the_end()
    assert (await case.status()).phase is Phase.DESTROYED


@course
async def test_a_form_that_never_came_is_waited_for_again(world: World) -> None:
    case = await world.open()
    await case.to_the_end_of((await case.status()).deadlines[0].on)
    await case.reopen()
    assert await case.standing_letters() == []
    await case.receive()
    assert (await case.status()).phase is Phase.VERIFYING


async def test_only_what_lapsed_is_reopened_and_only_in_time(world: World) -> None:
    case = await world.open()
    with refused(Code.NOT_LAPSED):
        await case.reopen()
    await case.receive()
    await case.withdraw()
    with refused(Code.NOT_LAPSED):
        await case.reopen()
    lapsed = await lapsed_for_documents(world)
    (until,) = [d.on for d in (await lapsed.status()).deadlines if d.what == "reopening"]
    await lapsed.to_the_last_moment_of(until)
    await lapsed.reopen()
    await lapsed.to_the_end_of((await lapsed.status()).deadlines[0].on)
    (until,) = [d.on for d in (await lapsed.status()).deadlines if d.what == "reopening"]
    await lapsed.to_the_end_of(until)
    with refused(Code.GRACE_OVER):
        await lapsed.reopen()
