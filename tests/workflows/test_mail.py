"""The answer on its way: posted, delivered, returned, posted again, held, or heard of no more (§5(2)(7))."""

from datetime import timedelta

from policy import roles
from policy.refusals import Code
from policy.vocabulary import Capacity, LetterState, MailEvent, Outcome, Phase
from records import requests
from tests.workflows.courses import course
from tests.workflows.world import HANAKO, Case, World, documents, refused
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import RecordMail


async def answered(world: World) -> Case:
    """A request whose answer is posted."""
    case = await world.open()
    await case.reach(Phase.IN_TRANSIT)
    return case


@course
async def test_a_returned_answer_is_posted_once_more_and_delivered(world: World) -> None:
    case = await answered(world)
    await case.mail(MailEvent.RETURNED)
    status = await case.status()
    assert (status.phase, status.outcome) == (Phase.POSTING, None)
    assert status.waiting is not None
    assert (status.waiting.what, status.waiting.who) == ("address", "officer")
    assert [(s.runs, s.reason) for s in status.clock][-1] == (
        False,
        "the answer came back: the address is to be checked",
    )
    with refused(Code.ADDRESS_NOT_CONFIRMED):
        await case.mail(MailEvent.POSTED)
    with refused(Code.WRONG_ROLE):
        await case.confirm_address(by="mailroom-1")
    await case.confirm_address()
    with refused(Code.LETTER_STATE):
        await case.confirm_address()
    assert (await case.shown())["KaijiWaitingFor"] == "mailroom"
    await case.mail(MailEvent.POSTED)
    assert (await case.status()).phase is Phase.IN_TRANSIT
    await case.mail(MailEvent.DELIVERED)
    status = await case.status()
    assert (status.outcome, status.letters[-1].postings) == (Outcome.GRANTED, 2)
    assert await case.letters() == ["invoice", "response"]


@course
async def test_an_answer_returned_twice_is_held_and_then_closed(world: World) -> None:
    case = await answered(world)
    await case.mail(MailEvent.RETURNED)
    await case.confirm_address()
    await case.mail(MailEvent.POSTED)
    await case.mail(MailEvent.RETURNED)
    with refused(Code.LETTER_STATE):
        await case.mail(MailEvent.POSTED)
    with refused(Code.LETTER_STATE):
        await case.confirm_address()
    with refused(Code.LETTER_STATE):  # the address it came back from helps nobody
        await case.confirm_address(1)
    returned_on = (await case.status()).today
    await case.to_the_last_moment_of(returned_on + timedelta(days=30))
    assert (await case.status()).phase is Phase.POSTING
    await case.advance(minutes=1)
    status = await case.status()
    assert (status.phase, status.outcome) == (Phase.RETAINED, Outcome.GRANTED)
    assert "held_at_counter_ended" in [m.what for m in status.timeline]
    first = min(record.on for record in status.records)
    assert first == status.timeline[-1].on + timedelta(days=30)  # from closure: nothing was delivered


@course
async def test_after_thirty_days_in_transit_somebody_looks_into_it(world: World) -> None:
    case = await answered(world)
    posted_on = (await case.status()).today
    await case.to_the_last_moment_of(posted_on + timedelta(days=30))
    assert (await case.shown())["KaijiWaitingFor"] == "post"
    await case.advance(minutes=1)
    status = await case.status()
    assert status.waiting is not None
    assert (status.waiting.what, status.waiting.who) == ("inquiry", "officer")
    assert status.waiting.until is not None
    assert status.waiting.until.date() > status.today  # they have days of their own
    await case.advance(days=8)
    assert (await case.shown())["KaijiWaitingFor"] == "manager"
    await case.mail(MailEvent.DELIVERED)
    assert (await case.status()).outcome is Outcome.GRANTED


@course
async def test_mail_recorded_late_counts_by_its_own_day(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.POSTING)
    await case.advance(days=5)
    for wrong in (world.today + timedelta(days=7), world.today - timedelta(days=1)):
        with refused(Code.MALFORMED):
            await case.mail(MailEvent.POSTED, on=wrong)
    await case.mail(MailEvent.POSTED, on=world.today + timedelta(days=1))
    await case.mail(MailEvent.DELIVERED, on=world.today + timedelta(days=2))
    status = await case.status()
    assert status.letters[-1].posted_on == world.today + timedelta(days=1)
    assert status.records[0].on == world.today + timedelta(days=2 + 30)


@course
async def test_an_officer_who_posts_a_returned_answer_has_checked_its_address(world: World) -> None:
    case = await answered(world)
    await case.mail(MailEvent.RETURNED)
    await case.mail(MailEvent.POSTED, by="officer-1")
    status = await case.status()
    assert status.phase is Phase.IN_TRANSIT
    assert "address_confirmed" in [m.what for m in status.timeline]
    await case.mail(MailEvent.DELIVERED)
    assert (await case.status()).outcome is Outcome.GRANTED


async def test_the_same_event_twice_changes_nothing_and_another_is_refused(world: World) -> None:
    case = await answered(world)
    before = await case.status()
    letter = before.letters[-1]
    same = RecordMail(
        by="mailroom-1",
        letter_id=letter.letter_id,
        event=MailEvent.POSTED,
        tracking_number=letter.tracking_number,
    )
    await case.act(DisclosureRequest.record_mail, same)
    assert (await case.status()).letters == before.letters
    with refused(Code.LETTER_STATE):
        await case.mail(MailEvent.POSTED)  # under another tracking number
    with refused(Code.UNKNOWN_LETTER):
        await case.mail(MailEvent.POSTED, f"{case.id}-L09")
    with refused(Code.LETTER_STATE):
        first = await world.open()
        await first.reach(Phase.POSTING)
        await first.mail(MailEvent.DELIVERED)


async def test_what_is_posted_has_a_tracking_number_and_what_returns_a_reason(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.POSTING)
    letter_id = (await case.status()).letters[-1].letter_id
    for number in (None, "", "13112383853", "見本 花子", "1" * 40):
        with refused(Code.BAD_TRACKING_NUMBER):
            await case.act(
                DisclosureRequest.record_mail,
                RecordMail(
                    by="mailroom-1", letter_id=letter_id, event=MailEvent.POSTED, tracking_number=number
                ),
            )
    await case.act(
        DisclosureRequest.record_mail,
        RecordMail(
            by="mailroom-1", letter_id=letter_id, event=MailEvent.POSTED, tracking_number="131-12-38385-2"
        ),
    )
    assert (await case.status()).letters[-1].tracking_number == "13112383852"
    returned = RecordMail(by="mailroom-1", letter_id=letter_id, event=MailEvent.RETURNED)
    with refused(Code.REASON_REQUIRED):
        await case.act(DisclosureRequest.record_mail, returned)
    nowhere = "5b0e1cf1-9d29-4a5c-8f4e-3b2f5d1f0c11"
    with refused(Code.NOT_FOUND):
        act = returned.model_copy(update={"note_id": nowhere})
        await case.act(DisclosureRequest.record_mail, act)
    other = await world.open()
    note_id = await other.note(roles.Act.WITHDRAW, "officer-1")
    with refused(Code.NOT_FOUND):  # another request's
        act = returned.model_copy(update={"note_id": note_id})
        await case.act(DisclosureRequest.record_mail, act)
    assert (await case.status()).letters[-1].state is LetterState.POSTED


MOVED = "大阪府大阪市北区梅田1-1-1"


@course
async def test_another_address_is_another_letter_and_proven_by_documents(world: World) -> None:
    case = await answered(world)
    await case.mail(MailEvent.RETURNED)
    answer = (await case.status()).letters[-1].letter_id
    moved = HANAKO | {"address": MOVED, "postal_code": "530-0001"}
    bare = await case.receive_again(case.envelope(principal=moved, documents=[{"kind": "request_form"}]))
    assert not bare.attached
    with refused(Code.FINDINGS_OPEN):
        await case.confirm_address(bare.number)
    proof = await case.receive_again(case.envelope(principal=moved))
    await case.confirm_address(proof.number)
    status = await case.status()
    assert status.letters[-1].letter_id != answer
    assert await case.letters() == ["invoice", "response", "response"]
    with refused(Code.LETTER_STATE):  # written to the other address, it is void
        await case.mail(MailEvent.POSTED, answer, by="officer-1")
    await case.deliver()
    assert (await case.status()).outcome is Outcome.GRANTED
    async with world.database.begin() as conn:
        people = await requests.parties(conn, world.database.vault, case.id)
    assert people is not None
    assert people.principal.address == MOVED


@course
async def test_another_address_reaches_an_answer_in_the_print_queue(world: World) -> None:
    case = await world.open()
    await case.receive(documents=documents(Capacity.SELF, world.today)[:-1])
    await case.verify(deficient=True)
    asked = (await case.status()).letters[-1].letter_id
    await case.mail(MailEvent.POSTED, asked)
    await case.receive(documents=documents(Capacity.SELF, world.today)[-1:])
    await case.reach(Phase.POSTING)
    await case.mail(MailEvent.RETURNED, asked)
    moved = HANAKO | {"address": MOVED, "postal_code": "530-0001"}
    proof = await case.receive_again(case.envelope(principal=moved))
    await case.confirm_address(proof.number)
    assert (await case.every_letter())[-2:] == [
        ("response", LetterState.CANCELLED),
        ("response", LetterState.QUEUED),
    ]
    await case.deliver()
    assert (await case.status()).outcome is Outcome.GRANTED


async def test_what_is_held_and_closed_is_posted_no_more(world: World) -> None:
    case = await answered(world)
    answer = (await case.status()).letters[-1].letter_id
    await case.mail(MailEvent.RETURNED)
    await case.advance(days=40)
    assert (await case.status()).phase is Phase.RETAINED
    with refused(Code.ENDED):
        await case.mail(MailEvent.POSTED, answer, by="officer-1")


@course
async def test_an_answer_that_nobody_is_sure_was_posted_waits_for_a_person(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.POSTING)
    await case.mail(MailEvent.UNKNOWN)
    status = await case.status()
    assert status.waiting is not None
    assert (status.waiting.what, status.waiting.who) == ("unknown", "officer")
    with refused(Code.WRONG_PHASE):
        await case.withdraw()
    await case.advance(days=60)
    assert await case.letters() == ["invoice", "response"]  # nothing is repeated by itself
    await case.mail(MailEvent.NOT_POSTED)
    assert (await case.status()).letters[-1].state is LetterState.QUEUED
    await case.mail(MailEvent.UNKNOWN)
    await case.mail(MailEvent.POSTED)
    await case.mail(MailEvent.DELIVERED)
    assert (await case.status()).outcome is Outcome.GRANTED
