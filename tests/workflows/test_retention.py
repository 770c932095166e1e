"""After the answer: each class of records is destroyed on its day, unless a hold stands against it (§1)."""

from datetime import date, timedelta
from uuid import uuid4

from sqlalchemy import func, select

from policy import roles
from policy.calendar import add_years
from policy.refusals import Code
from policy.vocabulary import Capacity, Outcome, Phase, RecordClass
from records import audit, certificates, holds, letters, requests, tables
from records.vault import Destroyed
from tests.workflows.courses import course
from tests.workflows.world import Case, Money, World, documents, refused
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import PlaceHold

IDENTITY, CONTENT, FILE, PAYMENT = (
    RecordClass.IDENTITY_DOCUMENTS,
    RecordClass.RESPONSE_CONTENT,
    RecordClass.REQUEST_FILE,
    RecordClass.PAYMENT_RECORDS,
)


async def closed(world: World) -> tuple[Case, Money]:
    """A request answered and delivered today, and what was paid for it."""
    case = await world.open()
    await case.reach(Phase.AWAITING_PAYMENT)
    money = await case.pay(5400)
    await case.reach(Phase.APPROVING)
    await case.approve()
    await case.deliver_all()
    return case, money


def expected(day: date) -> dict[RecordClass, date]:
    """When each class of a request that ended, and was invoiced, on a day expires."""
    return {
        IDENTITY: day + timedelta(days=30),
        CONTENT: day + timedelta(days=90),
        FILE: add_years(day, 3),
        PAYMENT: date(day.year + 8, 1, 1),
    }


async def destroyed(case: Case) -> dict[RecordClass, date]:
    async with case.world.database.begin() as conn:
        return {c.record_class: c.destroyed_on for c in await certificates.of_request(conn, case.id)}


async def sealed(case: Case, *cases: str) -> int:
    """How many records and keys of these cases there are."""
    names = (case.id, *cases)
    total = 0
    async with case.world.database.begin() as conn:
        for table in (tables.vault, tables.data_keys):
            query = select(func.count()).select_from(table).where(table.c.case_id.in_(names))
            total += await conn.scalar(query) or 0
    return total


@course
async def test_every_class_is_destroyed_on_its_day_and_a_certificate_remains(world: World) -> None:
    case, money = await closed(world)
    days = expected(world.today)
    assert {r.what: r.on for r in (await case.status()).records} == days
    letter_id = (await case.status()).letters[-1].letter_id
    assert await sealed(case, money.workflow_id) > 0
    for record_class, day in days.items():
        await case.to_the_last_moment_of(day - timedelta(days=1))
        assert record_class not in await destroyed(case)
        await case.advance(minutes=1)
        assert (await destroyed(case))[record_class] == day
        if record_class is CONTENT:
            async with world.database.begin() as conn:
                assert letter_id not in [x.id for x in await letters.list_of_request(conn, case.id)]
    assert await destroyed(case) == days
    assert (await case.status()).phase is Phase.DESTROYED
    assert await sealed(case, money.workflow_id) == 0
    async with world.database.begin() as conn:
        for certificate in await certificates.of_request(conn, case.id):
            assert certificate.destroyed_by == audit.AUTOMATIC
            assert certificate.clause == "operator default"
            assert certificate.rule
            assert certificate.pack_version == "gmo-appscloud-2018-10-22"
        row = await requests.find(conn, case.id)
        assert row.destroyed_on == days[PAYMENT]
        assert await requests.parties(conn, world.database.vault, case.id) is None
        assert (await audit.verify(conn, case.id)).broken == ()
        events = [event.act for event in await audit.events(conn, case.id)]
    assert events.count("records_destroyed") == 4
    assert events[-1] == "request_destroyed"


@course
async def test_a_lapsed_request_is_destroyed_from_its_closure(world: World) -> None:
    case = await world.open()
    await case.receive(documents=documents(Capacity.SELF, world.today)[:-1])
    await case.verify(deficient=True)
    await case.advance(days=32)
    status = await case.status()
    assert status.outcome is Outcome.LAPSED_DOCUMENTS
    ended_on = status.timeline[-1].on
    days = {name: day for name, day in expected(ended_on).items() if name is not PAYMENT}
    await case.to_the_end()
    assert await destroyed(case) == days
    assert await sealed(case) == 0


async def test_a_form_that_never_came_back_and_a_withdrawn_request_are_destroyed_too(world: World) -> None:
    lapsed = await world.open()
    await lapsed.advance(days=92)
    withdrawn = await world.open()
    await withdrawn.reach(Phase.AWAITING_PAYMENT)
    await withdrawn.withdraw()
    assert PAYMENT in [r.what for r in (await withdrawn.status()).records]  # an invoice was issued
    for case in (lapsed, withdrawn):
        await case.to_the_end()
        assert (await case.status()).phase is Phase.DESTROYED
        assert await sealed(case) == 0


@course
async def test_a_hold_stops_destruction_until_it_is_released(world: World) -> None:
    case, _ = await closed(world)
    days = expected(world.today)
    await case.hold()
    assert (await case.shown())["KaijiHold"] is True
    await case.to_the_end_of(days[CONTENT])
    assert await destroyed(case) == {}
    status = await case.status()
    assert status.waiting is not None
    assert (status.waiting.what, status.waiting.who) == ("hold", "manager")
    await case.hold()  # a second one, for another reason: both are released
    await case.release()
    released_on = (await case.status()).holds[0].released_on
    assert released_on is not None
    assert await destroyed(case) == {IDENTITY: released_on, CONTENT: released_on}
    assert released_on == days[CONTENT] + timedelta(days=1)
    assert (await case.shown())["KaijiHold"] is False
    await case.to_the_end()
    assert (await destroyed(case))[PAYMENT] == days[PAYMENT]
    assert await sealed(case) == 0
    async with world.database.begin() as conn:
        acts = [(e.actor, e.act) for e in await audit.events(conn, case.id)]
    assert acts.count(("manager-1", "place_hold")) == 2
    assert acts.count(("manager-1", "release_hold")) == 2


@course
async def test_a_hold_placed_late_keeps_what_is_left(world: World) -> None:
    case, _ = await closed(world)
    days = expected(world.today)
    await case.to_the_end_of(days[FILE])
    await case.hold()  # its reason outlives the file it would have belonged to
    await case.to_the_end_of(days[PAYMENT])
    assert set(await destroyed(case)) == {IDENTITY, CONTENT, FILE}
    await case.release()
    assert (await destroyed(case))[PAYMENT] == days[PAYMENT] + timedelta(days=1)
    assert (await case.status()).phase is Phase.DESTROYED
    assert await sealed(case) == 0
    async with world.database.begin() as conn:
        assert (await requests.find(conn, case.id)).destroyed_on is not None


@course
async def test_a_hold_placed_before_the_answer_holds_after_it(world: World) -> None:
    case = await world.open()
    await case.hold()
    await case.reach(Phase.RETAINED)
    await case.advance(days=100)
    assert await destroyed(case) == {}
    await case.release()
    assert set(await destroyed(case)) == {IDENTITY, CONTENT}


async def test_a_hold_that_only_the_records_know_is_looked_at_once_a_day(world: World) -> None:
    case, _ = await closed(world)
    async with world.database.begin() as conn:
        await holds.place(conn, request_id=case.id, number=1, by="manager-1", on=world.today)
    before = [len(run.events) for run in await case.histories()][-1]
    await case.advance(days=35)
    assert await destroyed(case) == {}
    status = await case.status()
    assert status.waiting is not None
    assert (status.waiting.what, status.waiting.who) == ("hold", "manager")
    grown = [len(run.events) for run in await case.histories()][-1] - before
    assert grown < 6 * 15
    await case.hold()  # word of it comes after all
    await case.release()
    assert set(await destroyed(case)) == {IDENTITY}


async def test_a_hold_rests_on_a_reason_of_its_own_request(world: World) -> None:
    case = await world.open()
    other = await world.open()
    for note_id, code in (
        (str(uuid4()), Code.NOT_FOUND),
        (await other.note(roles.Act.PLACE_HOLD, "manager-1"), Code.NOT_FOUND),
    ):
        with refused(code):
            await case.act(DisclosureRequest.place_hold, PlaceHold(by="manager-1", note_id=note_id))
    assert (await case.status()).holds == ()


async def test_nothing_gathered_can_be_opened_once_it_is_destroyed(world: World) -> None:
    case, _ = await closed(world)
    async with world.database.begin() as conn:
        query = select(tables.vault.c.id).where(tables.vault.c.case_id == case.id)
        ids = list(await conn.scalars(query))
        for id in ids:
            assert await world.database.vault.unseal(conn, id)
    await case.to_the_end()
    async with world.database.begin() as conn:
        for id in ids:
            try:
                await world.database.vault.unseal(conn, id)
            except Destroyed:
                continue
            raise AssertionError("a destroyed record opened")


async def test_a_run_that_waits_out_a_period_goes_on_in_another_when_it_is_asked_to(world: World) -> None:
    case, _ = await closed(world)
    days = expected(world.today)
    runs = len(await case.histories())
    await world.client.get_workflow_handle(case.id).signal(DisclosureRequest.renew)
    await case.idle()
    assert len(await case.histories()) == runs + 1
    await case.to_the_end()
    assert await destroyed(case) == days


async def test_what_only_the_records_hold_is_destroyed_at_the_word_that_holds_changed(world: World) -> None:
    case, _ = await closed(world)
    async with world.database.begin() as conn:
        await holds.place(conn, request_id=case.id, number=1, by="manager-1", on=world.today)
    await case.advance(days=35)
    async with world.database.begin() as conn:
        await holds.release(conn, request_id=case.id, number=1, by="manager-1", on=world.today)
    await world.client.get_workflow_handle(case.id).signal(DisclosureRequest.holds_changed)
    await case.idle()
    assert set(await destroyed(case)) == {IDENTITY}
