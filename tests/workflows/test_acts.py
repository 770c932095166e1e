"""Who may do what, and when: every update by bare Temporal, in every phase, by everybody."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from policy.refusals import Code
from policy.roles import Act, may
from policy.vocabulary import Capacity, MailEvent, Phase, StandingEnd
from records import audit, staff
from tests.workflows.world import HANAKO, Case, World, refused
from workflows.messages import Status

Doing = Callable[[Case, str], Awaitable[None]]

DOING: dict[Act, Doing] = {
    Act.VERIFY_IDENTITY: lambda case, by: case.verify(by=by),
    Act.PROPOSE_RESPONSE: lambda case, by: case.propose(by=by),
    Act.APPROVE_RESPONSE: lambda case, by: case.approve(by=by),
    Act.RETURN_PROPOSAL: lambda case, by: case.send_back(by=by),
    Act.WITHDRAW: lambda case, by: case.withdraw(by=by),
    Act.EXTEND: lambda case, by: case.extend(case.world.today + timedelta(days=30), by=by),
    Act.RECORD_MAIL: lambda case, by: case.mail(MailEvent.POSTED, by=by),
    Act.TAKE_BACK_RESPONSE: lambda case, by: case.take_back(by=by),
    Act.CONFIRM_ADDRESS: lambda case, by: case.confirm_address(by=by),
    Act.RECORD_DOCUMENT: lambda case, by: case.strike_out(1, by=by),
    Act.END_STANDING: lambda case, by: case.end_standing(StandingEnd.PRINCIPAL_DIED, by=by),
    Act.REOPEN: lambda case, by: case.reopen(by=by),
    Act.PLACE_HOLD: lambda case, by: case.hold(by=by),
    Act.RELEASE_HOLD: lambda case, by: case.release(by=by),
}
RIGHT = {
    Act.VERIFY_IDENTITY: "officer-1",
    Act.PROPOSE_RESPONSE: "officer-1",
    Act.APPROVE_RESPONSE: "approver-1",
    Act.RETURN_PROPOSAL: "approver-1",
    Act.WITHDRAW: "officer-1",
    Act.EXTEND: "officer-1",
    Act.RECORD_MAIL: "mailroom-1",
    Act.TAKE_BACK_RESPONSE: "officer-1",
    Act.CONFIRM_ADDRESS: "officer-1",
    Act.RECORD_DOCUMENT: "officer-1",
    Act.END_STANDING: "officer-1",
    Act.REOPEN: "officer-1",
    Act.PLACE_HOLD: "manager-1",
    Act.RELEASE_HOLD: "manager-1",
}
ENDED_BY_PHASE = {
    Act.VERIFY_IDENTITY,
    Act.PROPOSE_RESPONSE,
    Act.APPROVE_RESPONSE,
    Act.RETURN_PROPOSAL,
    Act.TAKE_BACK_RESPONSE,
    Act.RECORD_DOCUMENT,
    Act.WITHDRAW,
    Act.EXTEND,
}


async def unchanged(case: Case, before: Status) -> None:
    after = await case.status()
    assert after.model_copy(update={"today": before.today, "clock_used": before.clock_used}) == before


async def test_every_update_is_for_its_role_alone(world: World) -> None:
    case = await world.open()
    async with world.database.begin() as conn:
        everybody = await staff.all_staff(conn)

    async def only_by_role(act: Act) -> None:
        before = await case.status()
        with refused(Code.UNKNOWN_STAFF):
            await DOING[act](case, "nobody-1")
        for member in everybody:
            if not may(member.roles, act):
                with refused(Code.WRONG_ROLE):
                    await DOING[act](case, member.id)
        await unchanged(case, before)
        await DOING[act](case, RIGHT[act])

    for act in (Act.PLACE_HOLD, Act.RELEASE_HOLD):
        await only_by_role(act)
    await case.reach(Phase.VERIFYING)
    for act in (Act.RECORD_DOCUMENT, Act.EXTEND):
        await only_by_role(act)
    await case.receive()
    await only_by_role(Act.VERIFY_IDENTITY)
    await case.reach(Phase.PREPARING)
    for act in (Act.PROPOSE_RESPONSE, Act.RETURN_PROPOSAL):
        await only_by_role(act)
    await case.propose(by="officer-2")
    await only_by_role(Act.APPROVE_RESPONSE)
    await only_by_role(Act.TAKE_BACK_RESPONSE)
    await case.reach(Phase.POSTING)
    await only_by_role(Act.RECORD_MAIL)
    await case.mail(MailEvent.RETURNED)
    await only_by_role(Act.CONFIRM_ADDRESS)
    case = await world.open(capacity=Capacity.PROXY)
    await case.receive()
    await only_by_role(Act.END_STANDING)
    case = await world.open()
    await case.to_the_end_of((await case.status()).deadlines[0].on)
    await only_by_role(Act.REOPEN)
    case = await world.open()
    await only_by_role(Act.WITHDRAW)
    async with world.database.begin() as conn:
        events = await audit.events(conn, case.id)
    denied = {event.actor for event in events if event.act == "refused"}
    assert denied == {m.id for m in everybody if not may(m.roles, Act.WITHDRAW)} | {"nobody-1"}


ALLOWED: dict[Phase, Iterable[Act]] = {
    Phase.AWAITING_DOCUMENTS: (Act.WITHDRAW, Act.RECORD_DOCUMENT),
    Phase.VERIFYING: (Act.VERIFY_IDENTITY, Act.RECORD_DOCUMENT, Act.WITHDRAW, Act.EXTEND),
    Phase.AWAITING_PAYMENT: (Act.WITHDRAW,),
    Phase.PREPARING: (Act.PROPOSE_RESPONSE, Act.WITHDRAW, Act.EXTEND),
    Phase.APPROVING: (Act.APPROVE_RESPONSE, Act.RETURN_PROPOSAL, Act.WITHDRAW, Act.EXTEND),
    Phase.POSTING: (Act.WITHDRAW, Act.TAKE_BACK_RESPONSE),
    Phase.IN_TRANSIT: (),
    Phase.RETAINED: (),
}


async def test_every_update_in_every_wrong_phase_is_refused_and_changes_nothing(world: World) -> None:
    case = await world.open()
    for phase, allowed in ALLOWED.items():
        await case.reach(phase)
        before = await case.status()
        code = Code.ENDED if phase is Phase.RETAINED else Code.WRONG_PHASE
        for act in ENDED_BY_PHASE.difference(allowed):
            with refused(code):
                await DOING[act](case, RIGHT[act])
        with refused(Code.NOTHING_TO_DECIDE):
            await case.release()
        with refused(Code.UNKNOWN_LETTER):
            await case.mail(MailEvent.POSTED, f"{case.id}-L77")
        await unchanged(case, before)


async def test_what_is_no_act_at_all_is_refused_and_the_request_goes_on(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.VERIFYING)
    handle = world.client.get_workflow_handle(case.id)
    for nonsense in (
        {"by": HANAKO["name"]},
        {"by": "officer-1", "deficient": "perhaps"},
        {},
        None,
        ["officer-1"],
        "officer-1",
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("verify_identity", nonsense)
    await handle.signal("documents_received", {"envelope": 1})
    for signal in ("documents_received", "payment_received"):
        await handle.signal(signal, None)
        await handle.signal(signal)
    await case.verify()
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
