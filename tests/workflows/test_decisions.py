"""The response: proposed by one person, approved by another, per service; refused on a legal ground only."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from policy.calendar import add_business_days
from policy.refusals import Code
from policy.vocabulary import Decision, Kind, Outcome, Phase
from tests.workflows.courses import course
from tests.workflows.world import OTHER_SERVICE, SERVICE, Case, Refused, World, refused


async def prepared(world: World, kind: Kind = Kind.DISCLOSURE, *services: str) -> Case:
    """A request whose response is to be proposed."""
    case = await world.open(kind, services or (SERVICE,))
    await case.reach(Phase.PREPARING)
    return case


@course
async def test_a_refusal_needs_a_ground_of_its_kind(world: World) -> None:
    case = await prepared(world)
    with refused(Code.NO_GROUND):
        await case.propose(Decision.REFUSE)
    with refused(Code.GROUND_NOT_APPLICABLE):
        await case.propose(Decision.REFUSE, ground="data_accurate")  # of an amendment
    with refused(Code.GROUND_NOT_APPLICABLE):
        await case.propose(Decision.GRANT, ground="harm_to_rights")
    assert (await case.status()).phase is Phase.PREPARING
    await case.propose(Decision.REFUSE, ground="harm_to_rights")
    await case.approve()
    await case.deliver_all()
    assert (await case.status()).outcome is Outcome.REFUSED
    assert await case.letters() == ["invoice", "response"]


@pytest.mark.parametrize(
    ("kind", "ground"),
    [
        (Kind.PURPOSE_NOTIFICATION, "purpose_clear"),
        (Kind.AMENDMENT, "data_accurate"),
        (Kind.CESSATION, "no_violation"),
    ],
)
async def test_every_kind_can_be_refused(world: World, kind: Kind, ground: str) -> None:
    case = await prepared(world, kind)
    await case.propose(Decision.REFUSE, ground=ground)
    await case.approve()
    await case.deliver()
    assert (await case.status()).outcome is Outcome.REFUSED


@course
async def test_a_disclosure_in_part_names_what_it_leaves_out(world: World) -> None:
    case = await prepared(world)
    how = {"ground": "business_hindrance"}
    with refused(Code.NO_GROUND):
        await case.propose(Decision.PARTIAL, withhold=("usage",))
    with refused(Code.MALFORMED):
        await case.propose(Decision.PARTIAL, **how)
    for nothing in ("", "sage", "usage.", "usage.nothing", ".usage", "identity.name.x"):
        with refused(Code.MALFORMED):
            await case.propose(Decision.PARTIAL, withhold=(nothing,), **how)
    await case.propose(Decision.PARTIAL, withhold=("usage", "contract.usage_dates"), **how)
    await case.approve()
    await case.deliver()
    assert (await case.status()).outcome is Outcome.PARTIAL


@course
async def test_nobody_approves_their_own_proposal(world: World) -> None:
    case = await prepared(world)
    await case.propose(by="officer-2")  # who is an approver, too
    with refused(Code.SAME_PERSON):
        await case.approve(by="officer-2")
    assert (await case.status()).phase is Phase.APPROVING
    await case.approve(by="approver-1")
    assert (await case.status()).phase is Phase.POSTING


@course
async def test_a_proposal_that_was_sent_back_is_made_anew(world: World) -> None:
    case = await prepared(world)
    await case.propose(Decision.REFUSE, ground="harm_to_rights")
    first = (await case.status()).services[0]
    await case.send_back()
    returned = (await case.status()).services[0]
    assert (await case.status()).phase is Phase.PREPARING
    assert (returned.decision, returned.ground, returned.draft_id, returned.proposed_by) == (None,) * 4
    await case.propose(by="officer-2")
    second = (await case.status()).services[0]
    assert second.draft_id not in (None, first.draft_id)
    await case.approve()
    await case.deliver_all()
    assert (await case.status()).outcome is Outcome.GRANTED


@course
async def test_services_are_decided_approved_and_sent_back_each_on_its_own(world: World) -> None:
    case = await prepared(world, Kind.DISCLOSURE, SERVICE, OTHER_SERVICE)
    with refused(Code.NOT_FOUND):
        await case.propose(service="sample")
    await case.propose(service=SERVICE)
    with refused(Code.ALREADY_PROPOSED):
        await case.propose(service=SERVICE)
    with refused(Code.WRONG_PHASE):
        await case.approve(service=SERVICE)
    refuse = {"decision": Decision.REFUSE, "ground": "harm_to_rights"}
    await case.propose(service=OTHER_SERVICE, by="officer-2", **refuse)
    with refused(Code.SAME_PERSON):
        await case.approve(by="officer-2")
    await case.approve(service=SERVICE, by="officer-2")  # that one was another's
    kept = (await case.status()).services[0]
    await case.send_back(service=OTHER_SERVICE)
    assert (await case.status()).phase is Phase.PREPARING
    await case.propose(**refuse)
    assert (await case.status()).services[0] == kept
    with refused(Code.NOT_PROPOSED):
        await case.approve(service=SERVICE)
    await case.approve()
    await case.deliver_all()
    status = await case.status()
    assert [s.outcome for s in status.services] == [Outcome.GRANTED, Outcome.REFUSED]
    assert status.outcome is Outcome.PARTIAL


async def test_two_approvals_at_once_are_one(world: World) -> None:
    case = await prepared(world)
    await case.propose()
    answers = await asyncio.gather(case.approve(), case.approve(by="officer-2"), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    (no,) = (answer for answer in answers if answer is not None)
    assert isinstance(no, Refused)
    status = await case.status()
    assert [m.what for m in status.timeline].count("approved") == 1
    assert await case.letters() == ["invoice", "response"]


async def test_a_withdrawal_and_the_approval_at_once_end_in_the_withdrawal(world: World) -> None:
    for _ in range(3):
        case = await prepared(world)
        await case.propose()
        withdrawn, _ = await asyncio.gather(case.withdraw(), case.approve(), return_exceptions=True)
        assert withdrawn is None  # whichever comes first: nothing is posted yet
        assert (await case.status()).outcome is Outcome.WITHDRAWN
        assert await case.standing_letters() == ["withdrawal"]


@course
async def test_the_time_to_answer_is_extended_once_with_a_letter(world: World) -> None:
    case = await world.open()
    with refused(Code.WRONG_PHASE):
        await case.extend(world.today + timedelta(days=30))  # no clock yet
    await case.receive()
    due = (await case.status()).response_due
    assert due is not None
    later = add_business_days(due, 14)
    for wrong in (due, due - timedelta(days=1), later + timedelta(days=1)):
        with refused(Code.MALFORMED):
            await case.extend(wrong)
    await case.extend(later)
    status, shown = await case.status(), await case.shown()
    assert (status.response_due, status.clock_allowance) == (later, 28)
    assert shown["KaijiDueAt"].date() == later + timedelta(days=1)
    assert str(later) in status.explanation
    assert await case.letters() == ["extension"]
    with refused(Code.EXTENSION_USED):
        await case.extend(later)
    await case.to_the_last_moment_of(later)
    assert "overdue" not in [m.what for m in (await case.status()).timeline]
    await case.advance(minutes=1)
    assert (await case.shown())["KaijiWaitingFor"] == "manager"


async def test_an_extension_gives_a_business_day_at_least_and_is_never_to_the_past(world: World) -> None:
    case = await prepared(world, Kind.CESSATION)
    due = (await case.status()).response_due
    assert due is not None
    await case.advance(days=(add_business_days(due, 3) - world.today).days)
    with refused(Code.MALFORMED):
        await case.extend(add_business_days(due, 1))
    await case.extend(add_business_days(due, 5))
    assert (await case.status()).response_due == add_business_days(due, 5)
    assert (await case.shown())["KaijiWaitingFor"] == "officer"  # their turn again


async def test_the_clock_stands_while_the_requester_must_act_and_its_stretches_sum_up(world: World) -> None:
    case = await world.open()
    await case.receive()
    await case.advance(days=3)
    await case.verify()
    with refused(Code.WRONG_PHASE):
        await case.extend(world.today + timedelta(days=40))
    await case.advance(days=10)
    await case.pay(5400)
    await case.advance(days=6)
    await case.propose()
    await case.approve()
    await case.mail_posted_and_delivered_after(days=4)
    status = await case.status()
    clock = status.clock
    assert [(s.runs, s.reason) for s in clock] == [
        (True, "documents complete"),
        (False, "the handling fee is to be paid"),
        (True, "payment received"),
        (False, "the answer is on its way"),
        (False, "closed"),
    ]
    assert clock[0].since == world.today
    assert all(s.until == following.since for s, following in pairwise(clock))
    assert clock[-1].until is None
    assert all(s.reason and (s.clause or s.reason == "closed") for s in clock)
    assert sum(((s.until or status.today) - s.since).days for s in clock) == (status.today - world.today).days
    assert sum(s.business_days(status.today) for s in clock if s.runs) == status.clock_used
