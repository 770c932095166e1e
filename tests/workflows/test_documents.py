"""Documents and identity: what is missing is asked for, comes, is accepted with a reason, or lapses."""

import json
from datetime import timedelta

from policy import roles
from policy.deadlines import Terms, form_lapses_on
from policy.envelope import parse_envelope
from policy.refusals import Code
from policy.registry import pack_in_force
from policy.vocabulary import Capacity, FindingCode, Outcome, Phase
from records import envelopes
from tests.workflows.courses import course
from tests.workflows.world import Case, World, documents, refused


async def without_licence(world: World) -> Case:
    """A request whose identity document is missing, found so by the rules."""
    case = await world.open()
    await case.receive(documents=documents(Capacity.SELF, world.today)[:-1])
    status = await case.status()
    assert status.phase is Phase.VERIFYING
    assert [(f.code, f.requirement) for f in status.findings] == [(FindingCode.MISSING, "self-identity")]
    assert status.clock == ()
    return case


@course
async def test_what_was_missing_comes_and_the_request_goes_on(world: World) -> None:
    case = await without_licence(world)
    await case.verify(deficient=True)
    status = await case.status()
    assert (status.phase, status.response_due) == (Phase.AWAITING_DOCUMENTS, None)
    assert status.waiting is not None
    assert (status.waiting.what, status.waiting.who) == ("missing_documents", "requester")
    assert status.deadlines[0].on == status.today + timedelta(days=30)
    await case.advance(days=5)
    await case.receive(documents=documents(Capacity.SELF, world.today)[-1:])
    status = await case.status()
    assert (status.phase, status.findings, status.envelopes) == (Phase.VERIFYING, (), 2)
    assert [(s.runs, s.reason) for s in status.clock] == [
        (False, "documents are missing"),
        (True, "documents complete"),
    ]
    await case.reach(Phase.RETAINED)
    assert await case.letters() == ["deficiency", "invoice", "response"]


@course
async def test_an_officer_asks_for_what_the_rules_did_not_find(world: World) -> None:
    case = await world.open()
    await case.receive()
    with refused(Code.NOTHING_TO_DECIDE):
        await case.verify(deficient=True)
    with refused(Code.MALFORMED):
        await case.verify(deficient=True, codes=("seal_registration_certificate",))  # not asked of oneself
    await case.verify(deficient=True, codes=("passport",))
    status = await case.status()
    assert status.waiting is not None
    assert "missing drivers_license|passport|" in status.explanation
    assert [(s.runs, s.reason) for s in status.clock] == [
        (True, "documents complete"),
        (False, "documents are missing"),
    ]
    await case.receive(documents=[{"kind": "passport", "medium": "copy", "holder": "principal"}])
    await case.reach(Phase.AWAITING_PAYMENT)
    assert await case.letters() == ["deficiency", "invoice"]


@course
async def test_a_shortcoming_is_accepted_with_a_reason_only(world: World) -> None:
    case = await without_licence(world)
    with refused(Code.FINDINGS_OPEN):
        await case.verify()
    await case.verify(note_id=await case.note(roles.Act.VERIFY_IDENTITY, "officer-1"))
    status = await case.status()
    assert status.phase is Phase.AWAITING_PAYMENT
    assert status.clock[0].since == world.today


@course
async def test_missing_documents_are_reminded_of_once_and_lapse_with_a_letter(world: World) -> None:
    case = await without_licence(world)
    await case.verify(deficient=True)
    asked_on = (await case.status()).today
    await case.to_the_last_moment_of(asked_on + timedelta(days=13))
    assert await case.letters() == ["deficiency"]
    await case.advance(days=2)
    assert await case.letters() == ["deficiency", "documents_reminder"]
    await case.to_the_last_moment_of(asked_on + timedelta(days=30))
    assert (await case.status()).outcome is None
    await case.advance(minutes=1)
    status = await case.status()
    assert (status.outcome, status.phase) == (Outcome.LAPSED_DOCUMENTS, Phase.RETAINED)
    assert await case.letters() == ["deficiency", "documents_reminder", "documents_lapsed"]
    await case.deliver()  # a letter of a request that is over is posted all the same


@course
async def test_documents_recorded_in_time_count_though_no_word_came(world: World) -> None:
    case = await world.open()
    async with world.database.begin() as conn:
        await envelopes.record(
            conn,
            world.database.vault,
            world.keyring,
            parse_envelope(json.dumps(case.envelope())),
            request_id=case.id,
            received_by="mailroom-1",
            scans={},
        )
    await case.to_the_end_of(form_lapses_on(Terms.of(pack_in_force(world.today)), world.today))
    status = await case.status()
    assert (status.outcome, status.phase, status.envelopes) == (None, Phase.VERIFYING, 1)


@course
async def test_the_last_moment_for_documents_is_in_time(world: World) -> None:
    case = await without_licence(world)
    await case.verify(deficient=True)
    await case.to_the_last_moment_of((await case.status()).deadlines[0].on)
    await case.receive(documents=documents(Capacity.SELF, world.today)[-1:])
    assert (await case.status()).phase is Phase.VERIFYING
    assert await case.letters() == ["deficiency", "documents_reminder"]


@course
async def test_a_form_that_never_comes_back_lapses_without_a_letter(world: World) -> None:
    case = await world.open()
    due = form_lapses_on(Terms.of(pack_in_force(world.today)), world.today)
    await case.to_the_last_moment_of(due)
    assert (await case.status()).phase is Phase.AWAITING_DOCUMENTS
    await case.advance(minutes=1)
    assert (await case.status()).outcome is Outcome.LAPSED_DOCUMENTS
    assert await case.letters() == []


@course
async def test_an_envelope_told_twice_is_heard_once(world: World) -> None:
    case = await world.open()
    envelope = await case.receive(documents=documents(Capacity.SELF, world.today)[:-1])
    await case.verify(deficient=True)
    again = await case.receive_again(envelope)
    assert again.repeated
    assert (await case.status()).phase is Phase.AWAITING_DOCUMENTS  # nothing new came
    assert await case.letters() == ["deficiency"]


async def test_an_envelope_of_other_people_changes_nothing_until_it_is_attached(world: World) -> None:
    case = await without_licence(world)
    await case.verify(deficient=True)
    stranger = {"name": "別人 三郎", "address": "北海道札幌市中央区1-1"}
    recorded = await case.receive_again(case.envelope(principal=stranger))
    assert not recorded.attached
    assert (await case.status()).phase is Phase.AWAITING_DOCUMENTS


@course
async def test_a_late_recorded_envelope_is_overdue_and_never_lapsed(world: World) -> None:
    case = await world.open()
    years_ago = world.today.replace(year=world.today.year - 3, day=1)
    await case.receive(
        posted_on=years_ago.isoformat(),
        received_on=years_ago.isoformat(),
        documents=documents(Capacity.SELF, years_ago),
    )
    status = await case.status()
    assert (status.phase, status.outcome) == (Phase.VERIFYING, None)
    assert status.waiting is not None
    assert status.waiting.who == "manager"  # overdue from the first moment
    assert status.response_due is not None
    assert status.response_due < status.today
    assert status.clock[0].since == years_ago
    assert status.timeline[-1].what == "overdue"
    await case.verify()
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT


@course
async def test_an_officer_who_does_not_come_is_escalated_every_week(world: World) -> None:
    case = await world.open()
    await case.receive()
    due = (await case.status()).response_due
    assert due is not None
    due_at = (await case.shown())["KaijiDueAt"]
    assert due_at.date() == due + timedelta(days=1)  # the midnight that ends the day
    await case.to_the_last_moment_of(due)
    assert (await case.shown())["KaijiWaitingFor"] == "officer"
    await case.advance(minutes=1)
    for overdue in (1, 2, 3):
        status, shown = await case.status(), await case.shown()
        assert (shown["KaijiWaitingFor"], shown["KaijiDueAt"]) == ("manager", due_at)
        assert [m.what for m in status.timeline].count("overdue") == overdue
        await case.advance(days=7)
    await case.verify()
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
