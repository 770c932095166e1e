"""A request is withdrawn in any phase until its answer is posted."""

import asyncio
from functools import partial

import pytest

from policy.refusals import Code
from policy.vocabulary import Capacity, LetterState, MailEvent, Outcome, Phase
from records import invoices
from tests.workflows.courses import add, course
from tests.workflows.world import NOBODY, World, documents, refused
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import VerifyIdentity, Withdraw

LETTERS = {
    Phase.AWAITING_DOCUMENTS: [],  # nobody's address is known yet
    Phase.VERIFYING: ["withdrawal"],
    Phase.AWAITING_PAYMENT: ["withdrawal"],  # the invoice has not left the house
    Phase.PREPARING: ["withdrawal"],
    Phase.APPROVING: ["withdrawal"],
}


async def withdrawn(world: World, phase: Phase) -> None:
    case = await world.open()
    await case.reach(phase)
    await case.withdraw()
    status = await case.status()
    assert (status.phase, status.outcome) == (Phase.RETAINED, Outcome.WITHDRAWN)
    assert await case.standing_letters() == LETTERS[phase]
    with refused(Code.ENDED):
        await case.withdraw()
    if phase is Phase.AWAITING_PAYMENT:
        async with world.database.begin() as conn:
            invoice = await invoices.of_request(conn, case.id)
        assert invoice is not None
        assert invoice.state == "cancelled"


for each in LETTERS:
    add(f"withdrawn_in_{each.lower()}", partial(withdrawn, phase=each))


@pytest.mark.parametrize("phase", list(LETTERS))
async def test_a_request_is_withdrawn_in_any_phase(world: World, phase: Phase) -> None:
    await withdrawn(world, phase)


@course
async def test_a_request_is_withdrawn_while_documents_are_missing(world: World) -> None:
    case = await world.open()
    await case.receive(documents=documents(Capacity.SELF, world.today)[:-1])
    await case.verify(deficient=True)
    await case.withdraw()
    assert (await case.status()).outcome is Outcome.WITHDRAWN
    assert await case.standing_letters() == ["withdrawal"]


@course
async def test_an_answer_in_the_print_queue_is_not_sent_once_it_is_withdrawn(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.POSTING)
    answer = (await case.status()).letters[-1].letter_id
    await case.withdraw()
    assert (await case.status()).outcome is Outcome.WITHDRAWN
    assert (await case.every_letter())[1:] == [
        ("response", LetterState.CANCELLED),
        ("withdrawal", LetterState.QUEUED),
    ]
    with refused(Code.LETTER_STATE):
        await case.mail(MailEvent.POSTED, answer)


async def test_what_is_posted_can_no_longer_be_withdrawn(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.IN_TRANSIT)
    with refused(Code.WRONG_PHASE):
        await case.withdraw()
    await case.mail(MailEvent.RETURNED)
    with refused(Code.WRONG_PHASE):
        await case.withdraw()
    assert (await case.status()).outcome is None


async def test_a_posting_and_a_withdrawal_at_once_are_one_of_them(world: World) -> None:
    for _ in range(3):
        case = await world.open()
        await case.reach(Phase.POSTING)
        posted, withdrawn = await asyncio.gather(
            case.mail(MailEvent.POSTED), case.withdraw(), return_exceptions=True
        )
        assert (posted is None) != (withdrawn is None)
        assert (await case.status()).outcome is (None if posted is None else Outcome.WITHDRAWN)


async def test_an_acknowledged_withdrawal_is_never_overtaken(world: World) -> None:
    """Verified and withdrawn at once, where no data is found and nothing else is waited for."""
    for _ in range(4):
        case = await world.open()
        await case.receive(principal=NOBODY)
        handle = world.client.get_workflow_handle(case.id)
        _, answer = await asyncio.gather(
            handle.execute_update(DisclosureRequest.verify_identity, VerifyIdentity(by="officer-1")),
            handle.execute_update(DisclosureRequest.withdraw, Withdraw(by="officer-1")),
            return_exceptions=True,
        )
        status = await case.status()
        if isinstance(answer, BaseException):
            assert status.phase is Phase.POSTING
            assert await case.letters() == ["no_data"]
        else:
            assert status.outcome is Outcome.WITHDRAWN
            assert await case.standing_letters() == ["withdrawal"]
