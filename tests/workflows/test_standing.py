"""Who stands for whom, originals that go back, and whether the same was asked before (§5(2)(3), §5(2)(4))."""

import pytest

from policy.refusals import Code
from policy.vocabulary import (
    Capacity,
    CustodyEvent,
    Kind,
    LetterKind,
    LetterState,
    MailEvent,
    Outcome,
    Phase,
    StandingEnd,
)
from records import documents
from tests.workflows.courses import course
from tests.workflows.world import SERVICE, World, refused
from tests.workflows.world import documents as papers


@course
async def test_a_mandate_is_withdrawn_before_the_answer_is_posted(world: World) -> None:
    case = await world.open(capacity=Capacity.PROXY)
    await case.reach(Phase.POSTING)
    with refused(Code.STANDING):
        await case.end_standing(StandingEnd.MAJORITY)
    await case.end_standing(StandingEnd.MANDATE_WITHDRAWN)
    status = await case.status()
    assert (status.phase, status.outcome) == (Phase.RETAINED, Outcome.STANDING_ENDED)
    assert [kind for kind, state in await case.every_letter() if state is LetterState.CANCELLED] == [
        "invoice",
        "response",
    ]
    # the proxy is told, the principal too, and the originals go back
    assert await case.standing_letters() == ["standing_ended", "standing_ended", "originals_returned"]


@course
async def test_a_principal_comes_of_age(world: World) -> None:
    case = await world.open(Kind.AMENDMENT, capacity=Capacity.STATUTORY_REPRESENTATIVE)
    await case.reach(Phase.PREPARING)
    with refused(Code.STANDING):
        await case.end_standing(StandingEnd.MANDATE_WITHDRAWN)
    await case.end_standing(StandingEnd.MAJORITY)
    assert (await case.status()).outcome is Outcome.STANDING_ENDED
    assert await case.standing_letters() == ["standing_ended", "standing_ended", "originals_returned"]


@course
async def test_a_principal_dies(world: World) -> None:
    case = await world.open(capacity=Capacity.PROXY)
    await case.receive()
    await case.end_standing(StandingEnd.PRINCIPAL_DIED)
    assert await case.standing_letters() == ["standing_ended", "originals_returned"]


@pytest.mark.parametrize("cause", list(StandingEnd))
async def test_who_applies_for_themselves_needs_no_standing(world: World, cause: StandingEnd) -> None:
    case = await world.open()
    await case.receive()
    with refused(Code.STANDING):
        await case.end_standing(cause)


@course
async def test_originals_go_back_and_their_custody_says_so(world: World) -> None:
    case = await world.open(Kind.AMENDMENT, capacity=Capacity.PROXY)
    await case.reach(Phase.RETAINED)
    letter = (await case.status()).letters[-1]
    assert letter.kind is LetterKind.ORIGINALS_RETURNED
    first = (await case.status()).records[0]
    await case.to_the_end_of(first.on)
    waiting = (await case.status()).waiting
    assert waiting is not None
    assert waiting.what == "originals"  # they are not destroyed: they are the sender's
    await case.mail(MailEvent.POSTED, letter.letter_id)
    async with world.database.begin() as conn:
        custody = await documents.list_custody(conn, case.id)
    returned = [row for row in custody if row.event is CustodyEvent.RETURNED]
    assert [row.kind for row in returned] == ["certificate_of_residence", "seal_registration_certificate"]
    assert {row.letter_id for row in returned} == {letter.letter_id}
    destroyed = [row.document for row in custody if row.event is CustodyEvent.DESTROYED]
    assert sorted(destroyed + [row.document for row in returned]) == [1, 2, 3, 4, 5, 6]


@course
async def test_a_document_is_struck_out_and_another_takes_its_place(world: World) -> None:
    case = await world.open()
    await case.receive()
    assert (await case.status()).findings == ()
    await case.strike_out(3)
    status = await case.status()
    assert [f.requirement for f in status.findings] == ["self-identity"]
    with refused(Code.FINDINGS_OPEN):
        await case.verify()
    await case.verify(deficient=True)
    await case.receive(documents=[{"kind": "passport", "medium": "copy", "holder": "principal"}])
    await case.receive(documents=papers(Capacity.SELF, world.today)[1:2])
    await case.strike_out(2, replaced_by=5)
    assert (await case.status()).findings == ()
    with refused(Code.UNKNOWN_DOCUMENT):
        await case.strike_out(9)
    await case.verify()
    with refused(Code.WRONG_PHASE):
        await case.strike_out(4)
    async with world.database.begin() as conn:
        custody = await documents.list_custody(conn, case.id)
    assert [(row.document, row.event) for row in custody if row.event is not CustodyEvent.RECEIVED] == [
        (3, CustodyEvent.STRUCK_OUT),
        (2, CustodyEvent.REPLACED),
    ]


def somebody(world: World) -> dict[str, object]:
    return {"name": f"重複 {world.number()}", "address": "東京都港区1-1-1", "born_on": "1990-01-01"}


@course
async def test_the_same_asked_twice_is_shown_and_linked(world: World) -> None:
    who = somebody(world)
    first, second = await world.open(services=(SERVICE,)), await world.open(services=(SERVICE,))
    await first.receive(principal=who)
    assert (await first.status()).duplicates == ()
    await second.receive(principal=who)
    status = await second.status()
    assert status.duplicates == (first.id,)
    assert first.id in status.explanation
    with refused(Code.NOT_A_DUPLICATE):
        await second.link("DR-2018-000001-8")
    await second.link(first.id)
    status = await second.status()
    assert (status.outcome, status.duplicate_of) == (Outcome.DUPLICATE, first.id)
    assert await second.standing_letters() == ["duplicate"]
    assert (await first.status()).outcome is None


@course
async def test_the_same_asked_twice_may_run_all_the_same(world: World) -> None:
    who = somebody(world)
    for _ in range(2):
        case = await world.open()
        await case.receive(principal=who)
        await case.verify()
    assert (await case.status()).phase is Phase.POSTING  # no such data
