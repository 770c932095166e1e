"""Requests that go straight through: every kind in every capacity, and who has data in which service."""

from functools import partial
from itertools import product

import pytest

from activities.mailing import open_file
from activities.messages import LetterOrder
from policy.vocabulary import Capacity, Kind, Language, LetterKind, Outcome, Phase, SubjectMatter
from tests.workflows.courses import add, course
from tests.workflows.world import NOBODY, OTHER_SERVICE, SERVICE, TARO, Case, World

FEE_KINDS = (Kind.DISCLOSURE, Kind.PURPOSE_NOTIFICATION)


async def straight(world: World, kind: Kind, capacity: Capacity, language: Language = Language.JA) -> Case:
    """From the form to the delivery of the answer."""
    case = await world.open(kind, capacity=capacity, language=language)
    await case.receive()
    assert (await case.status()).findings == ()
    await case.verify()
    if kind in FEE_KINDS:
        assert (await case.status()).phase is Phase.AWAITING_PAYMENT
        await case.pay(5400)
    await case.propose()
    await case.approve()
    await case.deliver_all()
    status = await case.status()
    assert (status.phase, status.outcome) == (Phase.RETAINED, Outcome.GRANTED)
    letters = ["invoice", "response"] if kind in FEE_KINDS else ["response"]
    if capacity is not Capacity.SELF:
        letters.append("originals_returned")
    assert await case.letters() == letters
    return case


async def a_straight_course(world: World, kind: Kind, capacity: Capacity) -> None:
    await straight(world, kind, capacity)


for each in product(Kind, Capacity):
    add("_".join(("straight", *each)), partial(a_straight_course, kind=each[0], capacity=each[1]))


def also_in_short(kind: Kind, capacity: Capacity) -> bool:
    """Every kind and every capacity once; `make faults` takes them together, and so do the interleavings."""
    return kind is Kind.DISCLOSURE or capacity is Capacity.SELF


@pytest.mark.parametrize(
    ("kind", "capacity"),
    [
        pytest.param(*each, marks=[] if also_in_short(*each) else [pytest.mark.long])
        for each in product(Kind, Capacity)
    ],
)
async def test_every_kind_in_every_capacity(world: World, kind: Kind, capacity: Capacity) -> None:
    await straight(world, kind, capacity)


async def test_letters_in_english(world: World) -> None:
    await straight(world, Kind.DISCLOSURE, Capacity.PROXY, Language.EN)


@course
async def test_two_services_with_data_are_one_invoice(world: World) -> None:
    case = await world.open(services=(SERVICE, OTHER_SERVICE))
    await case.receive()
    await case.verify()
    assert (await case.status()).fee == 10_800
    await case.pay(10_800)
    await case.propose()
    await case.approve()
    await case.deliver_all()
    assert await case.letters() == ["invoice", "response"]
    assert {s.outcome for s in (await case.status()).services} == {Outcome.GRANTED}


@course
async def test_a_service_without_data_costs_nothing_and_is_told_of(world: World) -> None:
    case = await world.open(services=(SERVICE, OTHER_SERVICE))
    await case.receive(principal=TARO)
    await case.verify()
    assert (await case.status()).fee == 5400
    await case.pay(5400)
    await case.propose()
    await case.approve()
    await case.deliver_all()
    status = await case.status()
    assert status.outcome is Outcome.GRANTED
    assert [s.outcome for s in status.services] == [Outcome.GRANTED, Outcome.NO_DATA]
    drafts = tuple(s.draft_id for s in status.services if s.draft_id)
    answer = status.letters[-1]
    order = LetterOrder(
        request_id=case.id,
        key="again",
        kind=LetterKind.RESPONSE,
        on=answer.queued_on,
        drafts=drafts,
    )
    async with world.database.begin() as conn:
        file = await open_file(conn, world.database, order, answer.letter_id)
    assert [r.outcome for r in file.responses] == [Outcome.GRANTED, Outcome.NO_DATA]


@course
async def test_no_data_is_told_at_once_and_costs_nothing(world: World) -> None:
    case = await world.open(services=(SERVICE, OTHER_SERVICE))
    await case.receive(principal=NOBODY)
    await case.verify()
    status = await case.status()
    assert (status.phase, status.invoice_number, status.fee) == (Phase.POSTING, None, 0)
    await case.deliver()
    assert (await case.status()).outcome is Outcome.NO_DATA
    assert await case.letters() == ["no_data"]


@course
async def test_shareholder_data_is_redirected(world: World) -> None:
    case = await world.open(subject_matter=SubjectMatter.SHAREHOLDER)
    await case.receive()
    await case.verify()
    await case.deliver()
    assert (await case.status()).outcome is Outcome.REDIRECTED
    assert await case.letters() == ["redirect"]


async def test_operators_see_where_it_stands(world: World) -> None:
    case = await world.open()
    seen = []
    for phase in (p for p in Phase if p not in (Phase.LOCATING, Phase.DESTROYED)):
        await case.reach(phase)
        shown, status = await case.shown(), await case.status()
        assert shown["KaijiPhase"] == phase.value == status.phase.value
        assert shown["KaijiKind"] == "disclosure"
        assert shown["KaijiServices"] == [SERVICE]
        assert status.waiting is not None
        assert shown["KaijiWaitingFor"] == status.waiting.who
        assert shown["KaijiDueAt"] == status.waiting.until
        assert f"Turn: {status.waiting.who}" in status.explanation
        assert await case.details() == status.explanation
        seen.append(status.waiting.who)
    assert seen == ["requester", "officer", "requester", "officer", "approver", "mailroom", "post", "nobody"]
    assert shown["KaijiOutcome"] == "GRANTED"
    assert shown["KaijiRetainUntil"].date().isoformat() == str(max(r.on for r in status.records))


async def test_a_straight_disclosure_is_short_and_holds_no_personal_data(world: World) -> None:
    case = await straight(world, Kind.DISCLOSURE, Capacity.SELF)
    runs = await case.histories()
    before_retention = runs[:1]
    assert sum(len(run.events) for run in before_retention) <= 110
    assert sum(event.ByteSize() for run in before_retention for event in run.events) <= 48_000
    await case.to_the_end()
    told = await case.decoded()
    assert case.id.encode() in told
    for word in ("見本", "花子", "ミホン", "ハナコ", "桜丘", "150-8512", "1980-04-01", "C0012345"):
        assert word.encode() not in told
        assert word.encode("unicode_escape") not in told
