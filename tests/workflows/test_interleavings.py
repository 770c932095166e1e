"""Anything in any order: whatever is tried on a request, in any phase, its promises hold after each step."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st

from policy.calendar import add_business_days
from policy.refusals import Refusal
from policy.vocabulary import Capacity, Decision, LetterState, MailEvent, Outcome, Phase
from records import audit, ledger
from records import letters as letter_records
from tests.workflows.world import OTHER_SERVICE, SERVICE, Case, Refused, World, documents
from workflows.messages import Status

Step = Callable[[Case], Awaitable[object]]

STEPS: dict[str, Step] = {
    "envelope": lambda case: case.receive(),
    "envelope_without_licence": lambda case: case.receive(
        documents=documents(Capacity.SELF, case.world.today)[:-1]
    ),
    "signal_again": lambda case: case.signal_envelope("00000000-0000-4000-8000-000000000000"),
    "verify": lambda case: case.verify(),
    "deficient": lambda case: case.verify(deficient=True),
    "passport_please": lambda case: case.verify(deficient=True, codes=("passport",)),
    "pay": lambda case: case.pay(10_800),
    "pay_half": lambda case: case.pay(5_400),
    "grant": lambda case: case.propose(),
    "grant_one": lambda case: case.propose(service=SERVICE, by="officer-2"),
    "refuse_other": lambda case: case.propose(
        Decision.REFUSE, service=OTHER_SERVICE, ground="harm_to_rights", by="officer-2"
    ),
    "approve": lambda case: case.approve(),
    "approve_by_officer": lambda case: case.approve(by="officer-2"),
    "approve_one": lambda case: case.approve(service=SERVICE),
    "send_back": lambda case: case.send_back(),
    "send_back_other": lambda case: case.send_back(service=OTHER_SERVICE),
    "withdraw": lambda case: case.withdraw(),
    "extend": lambda case: extend(case),
    "post": lambda case: mail(case, MailEvent.POSTED),
    "return": lambda case: mail(case, MailEvent.RETURNED),
    "deliver": lambda case: mail(case, MailEvent.DELIVERED),
    "hold": lambda case: case.hold(),
    "release": lambda case: case.release(),
    "hours": lambda case: case.advance(hours=30),
    "days": lambda case: case.advance(days=9),
    "weeks": lambda case: case.advance(days=31),
}
LIKELY = ("envelope", "verify", "pay", "grant", "approve", "post", "deliver")


async def mail(case: Case, event: MailEvent) -> None:
    """Something happens to the last letter, even if there is none."""
    letters = (await case.status()).letters
    await case.mail(event, letters[-1].letter_id if letters else f"{case.id}-L01")


async def extend(case: Case) -> None:
    status = await case.status()
    if status.response_due is not None:
        await case.extend(add_business_days(status.response_due, 5))


async def check(case: Case, before: Status) -> Status:
    """What must hold of a request at any time."""
    status = await case.status()
    assert status.timeline[: len(before.timeline)] == before.timeline  # nothing that happened is unsaid
    if before.outcome is not None:
        assert status.outcome is before.outcome
    numbers = [letter.letter_id for letter in status.letters]
    assert numbers == [f"{case.id}-L{n:02d}" for n in range(1, len(numbers) + 1)]
    async with case.world.database.begin() as conn:
        rows = {row.id: row for row in await letter_records.list_of_request(conn, case.id)}
        payments = await ledger.payments(conn, case.id)
        credited = [row.amount for row in await ledger.list_deposits(conn) if row.request_id == case.id]
        assert (await audit.verify(conn, case.id)).broken == ()
    for letter in status.letters:
        if letter.letter_id in rows:
            row = rows[letter.letter_id]
            assert (row.kind, row.state) == (letter.kind, letter.state)
    if not status.records:  # of a request that runs, every letter is kept, and no other
        assert list(rows) == sorted(numbers)
    assert payments.received == sum(credited)
    if status.phase is Phase.AWAITING_PAYMENT:
        assert status.payments.received == payments.received < status.fee
    for service in status.services:
        if service.approved_by is not None:
            assert service.decision is not None
            assert service.proposed_by != service.approved_by
            assert service.draft_id is not None
    assert all(one.until == other.since for one, other in pairwise(status.clock))
    assert sum(s.business_days(status.today) for s in status.clock if s.runs) == status.clock_used
    answers = [x for x in status.letters if x.kind in ("response", "no_data", "redirect")]
    assert len(answers) <= 1
    if status.outcome in (Outcome.WITHDRAWN, Outcome.LAPSED_DOCUMENTS, Outcome.LAPSED_PAYMENT):
        assert answers == []
    return status


async def bring_to_its_end(case: Case) -> None:
    """Everybody does their part; then only time passes, and that must be enough."""
    status = await case.status()
    if status.outcome is None and status.phase not in (Phase.POSTING, Phase.IN_TRANSIT):
        await attempt(case.withdraw())
    status = await case.status()
    if status.phase is Phase.POSTING and status.letters[-1].state is LetterState.QUEUED:
        await case.mail(MailEvent.POSTED)
    if (await case.status()).phase is Phase.IN_TRANSIT:
        answer = next(x for x in (await case.status()).letters if x.state is LetterState.POSTED)
        await case.mail(MailEvent.DELIVERED, answer.letter_id)
    await attempt(case.release())
    await case.to_the_end()
    assert (await case.status()).phase is Phase.DESTROYED


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
steps = st.one_of(st.sampled_from(LIKELY), st.sampled_from(sorted(STEPS)))


@settings(on_real_servers, max_examples=10)
@given(script=st.lists(steps, min_size=5, max_size=22))
async def test_whatever_is_tried_the_promises_hold_and_it_ends(world: World, script: list[str]) -> None:
    case = await world.open(services=(SERVICE, OTHER_SERVICE))
    status = await case.status()
    for step in script:
        if status.phase is Phase.DESTROYED:
            return
        await attempt(STEPS[step](case))
        status = await check(case, status)
    await bring_to_its_end(case)


@settings(on_real_servers, max_examples=6)
@given(
    phase=st.sampled_from([p for p in Phase if p not in (Phase.LOCATING, Phase.RETAINED, Phase.DESTROYED)]),
    at_once=st.lists(
        st.sampled_from(sorted(set(STEPS) - {"hours", "days", "weeks"})), min_size=2, max_size=5, unique=True
    ),
)
async def test_whatever_happens_at_once_the_promises_hold_and_it_ends(
    world: World, phase: Phase, at_once: list[str]
) -> None:
    case = await world.open(services=(SERVICE, OTHER_SERVICE))
    await case.reach(phase)
    status = await case.status()
    await asyncio.gather(*(attempt(STEPS[step](case)) for step in at_once))
    await check(case, status)
    await bring_to_its_end(case)
