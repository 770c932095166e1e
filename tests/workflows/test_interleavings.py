"""Anything in any order: whatever is tried on a request, in any phase, its promises hold after each step."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from policy.calendar import add_business_days
from policy.refusals import Refusal
from policy.vocabulary import (
    ANSWERS,
    Capacity,
    CustodyEvent,
    Decision,
    Kind,
    LetterKind,
    LetterState,
    MailEvent,
    Outcome,
    Phase,
    StandingEnd,
)
from records import audit, changes, invoices, ledger
from records import documents as document_records
from records import letters as letter_records
from records.vault import Destroyed
from tests.workflows.world import HANAKO, OTHER_SERVICE, SERVICE, Case, Refused, World, documents
from workflows.messages import Status

Step = Callable[[Case], Awaitable[object]]

SHAPES = (
    (Kind.DISCLOSURE, Capacity.SELF),
    (Kind.AMENDMENT, Capacity.STATUTORY_REPRESENTATIVE),
    (Kind.CESSATION, Capacity.PROXY),
    (Kind.PURPOSE_NOTIFICATION, Capacity.SELF),
)

STEPS: dict[str, Step] = {
    "envelope": lambda case: case.receive(),
    "envelope_without_licence": lambda case: case.receive(
        documents=[
            each for each in documents(case.capacity, case.world.today) if each["kind"] != "drivers_license"
        ]
    ),
    "signal_again": lambda case: case.signal_envelope("00000000-0000-4000-8000-000000000000"),
    "moved": lambda case: case.receive_again(
        case.envelope(principal=HANAKO | {"address": "大阪府大阪市北区梅田1-1-1"})
    ),
    "strike_out": lambda case: case.strike_out(3),
    "replace": lambda case: case.strike_out(2, replaced_by=4),
    "verify": lambda case: case.verify(),
    "deficient": lambda case: case.verify(deficient=True),
    "passport_please": lambda case: case.verify(deficient=True, codes=("passport",)),
    "link": lambda case: case.link("DR-2018-000001-8"),
    "mandate_withdrawn": lambda case: case.end_standing(StandingEnd.MANDATE_WITHDRAWN),
    "majority": lambda case: case.end_standing(StandingEnd.MAJORITY),
    "pay": lambda case: case.pay(10_800),
    "pay_half": lambda case: case.pay(5_400),
    "pay_short": lambda case: case.pay(4_970),
    "take_money_back": lambda case: take_money_back(case),
    "receipt": lambda case: case.receipt(),
    "grant": lambda case: case.propose(),
    "grant_by_officer_2": lambda case: case.propose(by="officer-2"),
    "grant_one": lambda case: case.propose(service=SERVICE, by="officer-2"),
    "refuse_other": lambda case: case.propose(
        Decision.REFUSE, service=OTHER_SERVICE, ground=GROUNDS[case.kind], by="officer-2"
    ),
    "refuse_without_ground": lambda case: case.propose(Decision.REFUSE),
    "alternative": lambda case: alternative(case),
    "approve": lambda case: case.approve(),
    "approve_by_officer": lambda case: case.approve(by="officer-2"),
    "approve_one": lambda case: case.approve(service=SERVICE),
    "send_back": lambda case: case.send_back(),
    "send_back_other": lambda case: case.send_back(service=OTHER_SERVICE),
    "take_back": lambda case: case.take_back(),
    "withdraw": lambda case: case.withdraw(),
    "reopen": lambda case: case.reopen(),
    "extend": lambda case: extend(case),
    "post": lambda case: mail(case, MailEvent.POSTED),
    "unsure": lambda case: mail(case, MailEvent.UNKNOWN),
    "not_posted": lambda case: mail(case, MailEvent.NOT_POSTED),
    "return": lambda case: mail(case, MailEvent.RETURNED),
    "deliver": lambda case: mail(case, MailEvent.DELIVERED),
    "address": lambda case: case.confirm_address(),
    "new_address": lambda case: case.confirm_address(2),
    "hold": lambda case: case.hold(),
    "release": lambda case: case.release(),
    "hours": lambda case: case.advance(hours=30),
    "days": lambda case: case.advance(days=9),
    "weeks": lambda case: case.advance(days=31),
}
FITTING: dict[Phase, tuple[str, ...]] = {
    Phase.AWAITING_DOCUMENTS: ("envelope", "envelope", "envelope_without_licence", "weeks"),
    Phase.VERIFYING: (
        "verify",
        "verify",
        "extend",
        "deficient",
        "strike_out",
        "passport_please",
        "withdraw",
        "mandate_withdrawn",
    ),
    Phase.AWAITING_PAYMENT: ("pay", "pay_half", "weeks", "pay", "pay_short", "take_money_back"),
    Phase.PREPARING: ("grant_by_officer_2", "extend", "grant", "refuse_without_ground", "refuse_other"),
    Phase.APPROVING: ("approve_by_officer", "approve", "extend", "approve", "send_back", "take_money_back"),
    Phase.POSTING: (
        "post",
        "take_back",
        "post",
        "withdraw",
        "address",
        "unsure",
        "not_posted",
        "take_money_back",
    ),
    Phase.IN_TRANSIT: ("return", "withdraw", "deliver", "return"),
    Phase.RETAINED: ("reopen", "weeks", "reopen", "hold"),
}
"""What people try in each phase, rightly or not: most of what is tried at random is merely refused."""
GROUNDS = {
    Kind.DISCLOSURE: "harm_to_rights",
    Kind.AMENDMENT: "data_accurate",
    Kind.CESSATION: "no_violation",
    Kind.PURPOSE_NOTIFICATION: "purpose_clear",
}
WITHOUT_ANSWER = frozenset(
    {
        Outcome.WITHDRAWN,
        Outcome.STANDING_ENDED,
        Outcome.DUPLICATE,
        Outcome.LAPSED_DOCUMENTS,
        Outcome.LAPSED_PAYMENT,
    }
)


PHASES = [phase for phase in Phase if phase not in (Phase.LOCATING, Phase.RETAINED, Phase.DESTROYED)]


async def opened(world: World, shape: tuple[Kind, Capacity], phase: Phase) -> Case:
    """A request of this kind and capacity over two services, brought to a phase that it has."""
    kind, capacity = shape
    case = await world.open(kind, (SERVICE, OTHER_SERVICE), capacity)
    free = kind in (Kind.AMENDMENT, Kind.CESSATION)
    await case.reach(Phase.PREPARING if free and phase is Phase.AWAITING_PAYMENT else phase)
    return case


def named(step: int | str, phase: Phase) -> str:
    """A step by its name, or one of those that fit the phase."""
    fitting = FITTING.get(phase, tuple(STEPS))
    return step if isinstance(step, str) else fitting[step % len(fitting)]


async def mail(case: Case, event: MailEvent) -> None:
    """Something happens to the last letter there is, even if there is none."""
    letters = [x for x in (await case.status()).letters if x.state is not LetterState.CANCELLED]
    await case.mail(event, letters[-1].letter_id if letters else f"{case.id}-L01")


async def extend(case: Case) -> None:
    status = await case.status()
    if status.response_due is not None:
        await case.extend(add_business_days(status.response_due, 5))


async def take_money_back(case: Case) -> None:
    """The bank takes back the last deposit for the request, if there is one."""
    reference = (await case.status()).payment_reference
    paid = [money for money in case.world.deposits if money.reference == reference]
    if paid:
        await paid[-1].cancel()
        await case.idle()


async def alternative(case: Case) -> None:
    note_id = await case.note_of_measures()
    await case.propose(Decision.ALTERNATIVE, note_id=note_id)


async def check(case: Case, before: Status) -> Status:
    """What must hold of a request at any time."""
    status = await case.status()
    assert status.timeline[: len(before.timeline)] == before.timeline  # nothing that happened is unsaid
    news = {milestone.what for milestone in status.timeline[len(before.timeline) :]}
    happened = [milestone.what for milestone in status.timeline]
    if before.outcome is not None and status.outcome is not before.outcome:
        assert "reopened" in news
        assert before.outcome in (Outcome.LAPSED_DOCUMENTS, Outcome.LAPSED_PAYMENT)
        assert [d.on for d in before.deadlines if d.what == "reopening"] >= [status.today]
    if "identity_verified" in news:
        assert before.findings == ()  # nobody here gives a reason for accepting one
    async with case.world.database.begin() as conn:
        rows = {row.id: row for row in await letter_records.list_of_request(conn, case.id)}
        payments = await ledger.payments(conn, case.id)
        credited = [row.allocated for row in await ledger.list_deposits(conn) if row.request_id == case.id]
        invoice = await invoices.of_request(conn, case.id)
        carried_out = await changes.of_request(conn, case.id)
        custody = await document_records.list_custody(conn, case.id)
        assert (await audit.verify(conn, case.id)).broken == ()
    check_letters(status, rows)
    check_decisions(status, happened)
    if invoice is not None:
        assert sum(credited) == (payments.received if invoice.state in ("open", "paid") else 0)
        waits = [x for x in status.letters if x.kind in ANSWERS and x.state is LetterState.QUEUED]
        assert payments.paid or all(x.postings for x in waits)  # no answer lies ready whose fee is owed
    if status.phase is Phase.AWAITING_PAYMENT:
        assert status.payments.received == payments.received < status.fee
    assert all(one.until == other.since for one, other in pairwise(status.clock))
    assert sum(s.business_days(status.today) for s in status.clock if s.runs) == status.clock_used
    assert happened.count("extended") <= 1
    confirmed = [m.by for m in status.timeline if m.what == "address_confirmed"]
    assert all(by.startswith("officer") for by in confirmed)
    received = [row.document for row in custody if row.event is CustodyEvent.RECEIVED]
    assert len(set(received)) == len(received)
    applied = [row for row in carried_out if row.state == "applied"]
    if status.outcome in WITHOUT_ANSWER:
        assert applied == []
    if any(x.postings for x in status.letters if x.kind in ANSWERS):
        assert applied == []  # what was done is final
    return status


def check_letters(status: Status, rows: Mapping[str, letter_records.LetterRow]) -> None:
    """What must hold of letters at any time."""
    numbers = [letter.letter_id for letter in status.letters]
    assert sorted(numbers) == [f"{status.request_id}-L{n:02d}" for n in range(1, len(numbers) + 1)]
    for letter in status.letters:
        if letter.letter_id in rows:
            row = rows[letter.letter_id]
            assert (row.kind, row.state) == (letter.kind, letter.state)
    if not status.records:  # of a request that runs, every letter is kept, and no other
        assert sorted(rows) == sorted(numbers)
    whats = [milestone.what for milestone in status.timeline]
    checked = whats.count("address_confirmed") + whats.count("address_changed")
    assert all(letter.postings <= 2 for letter in status.letters)
    assert sum(max(0, letter.postings - 1) for letter in status.letters) <= checked
    standing = [x for x in status.letters if x.kind in ANSWERS and x.state is not LetterState.CANCELLED]
    assert len(standing) <= 1 + whats.count("address_changed")
    if status.outcome is Outcome.STANDING_ENDED:  # as it may while the answer is back in the house
        standing = [letter for letter in standing if letter.state is not LetterState.RETURNED]
    if status.outcome in WITHOUT_ANSWER:
        assert standing == []
    if any(letter.kind is LetterKind.RESPONSE for letter in standing):
        assert "identity_verified" in whats
        assert "approved" in whats
        if status.fee:
            assert "fee_paid" in whats


def check_decisions(status: Status, happened: Sequence[str]) -> None:
    """What must hold of decisions at any time."""
    for service in status.services:
        if service.decision is Decision.REFUSE:
            assert service.ground
        if service.decision is Decision.ALTERNATIVE:
            assert service.note_id
        if service.approved_by is not None:
            assert service.decision is not None
            assert service.proposed_by != service.approved_by
            assert service.draft_id is not None
    if status.phase in (Phase.LOCATING, Phase.AWAITING_PAYMENT, Phase.PREPARING, Phase.APPROVING):
        assert "identity_verified" in happened


async def bring_to_its_end(case: Case) -> None:
    """Everybody does their part; then only time passes, and that must be enough."""
    await attempt(case.withdraw())
    for letter in (await case.status()).letters:
        if letter.state in (LetterState.QUEUED, LetterState.UNKNOWN):
            await attempt(case.mail(MailEvent.POSTED, letter.letter_id))
    for letter in (await case.status()).letters:
        if letter.state is LetterState.POSTED:
            await attempt(case.mail(MailEvent.DELIVERED, letter.letter_id))
    for letter in (await case.status()).letters:
        if letter.state is LetterState.RETURNED:
            await attempt(case.mail(MailEvent.POSTED, letter.letter_id, by="officer-1"))
            await attempt(case.mail(MailEvent.DELIVERED, letter.letter_id))
    for letter_id in [x.letter_id for x in (await case.status()).letters if x.state is LetterState.QUEUED]:
        await case.mail(MailEvent.POSTED, letter_id)
    await attempt(case.release())
    await case.to_the_end()
    assert (await case.status()).phase is Phase.DESTROYED


async def try_after_the_end(case: Case, script: Sequence[str]) -> None:
    """Whatever comes after the end changes nothing."""
    async with case.world.database.begin() as conn:
        before = await audit.events(conn, case.id)
    for step in script:
        with suppress(Refused, Refusal, RPCError, WorkflowAlreadyStartedError, Destroyed):
            await STEPS[step](case)
    async with case.world.database.begin() as conn:
        assert (await audit.events(conn, case.id))[: len(before)] == before
        assert await letter_records.list_of_request(conn, case.id) == []


async def attempt(step: Awaitable[object]) -> None:
    with suppress(Refused, Refusal):
        await step


# Shrinking would run a failing script a hundred times on real servers: the script as found says enough.
on_real_servers = settings(
    deadline=None,
    derandomize=True,
    phases=(HypothesisPhase.explicit, HypothesisPhase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
turns = st.integers(0, 839)  # 840 is a multiple of every number of fitting steps
steps = st.one_of(turns, turns, turns, turns, turns, st.sampled_from(sorted(STEPS)))
shapes, begun = st.sampled_from(SHAPES), st.sampled_from(PHASES)
scripts = st.lists(steps, min_size=6, max_size=14)
at_once = st.lists(
    st.sampled_from(sorted(set(STEPS) - {"hours", "days", "weeks"})), min_size=2, max_size=5, unique=True
)


async def whatever_is_tried(
    world: World, shape: tuple[Kind, Capacity], begun: Phase, script: list[int | str]
) -> None:
    case = await opened(world, shape, begun)
    status = await case.status()
    for step in script:
        if status.phase is Phase.DESTROYED:
            break
        await attempt(STEPS[named(step, status.phase)](case))
        status = await check(case, status)
    else:
        await bring_to_its_end(case)
    await try_after_the_end(case, [named(step, Phase.POSTING) for step in script[:5]])


async def whatever_happens_at_once(
    world: World, shape: tuple[Kind, Capacity], begun: Phase, at_once: list[str]
) -> None:
    case = await opened(world, shape, begun)
    status = await case.status()
    await asyncio.gather(*(attempt(STEPS[step](case)) for step in at_once))
    await check(case, status)
    await bring_to_its_end(case)


@settings(on_real_servers, max_examples=6)
@given(shape=shapes, begun=begun, script=scripts)
async def test_whatever_is_tried_the_promises_hold_and_it_ends(
    world: World, shape: tuple[Kind, Capacity], begun: Phase, script: list[int | str]
) -> None:
    await whatever_is_tried(world, shape, begun, script)


@pytest.mark.long
@settings(on_real_servers, max_examples=40)
@given(shape=shapes, begun=begun, script=scripts)
async def test_however_much_is_tried_the_promises_hold_and_it_ends(
    world: World, shape: tuple[Kind, Capacity], begun: Phase, script: list[int | str]
) -> None:
    await whatever_is_tried(world, shape, begun, script)


@settings(on_real_servers, max_examples=3)
@given(shape=shapes, begun=begun, at_once=at_once)
async def test_whatever_happens_at_once_the_promises_hold_and_it_ends(
    world: World, shape: tuple[Kind, Capacity], begun: Phase, at_once: list[str]
) -> None:
    await whatever_happens_at_once(world, shape, begun, at_once)


@pytest.mark.long
@settings(on_real_servers, max_examples=30)
@given(shape=shapes, begun=begun, at_once=at_once)
async def test_however_often_things_happen_at_once_the_promises_hold_and_it_ends(
    world: World, shape: tuple[Kind, Capacity], begun: Phase, at_once: list[str]
) -> None:
    await whatever_happens_at_once(world, shape, begun, at_once)
