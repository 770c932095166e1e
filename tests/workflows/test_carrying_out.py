"""Amendment and cessation: carried out once, undone until the answer is posted, replaced by measures."""

import asyncio
import json
from datetime import date

import pytest

from policy.holdings import parse_holdings
from policy.refusals import Code, Refusal
from policy.vocabulary import Decision, Kind, MailEvent, Outcome, Phase
from records import changes, holdings
from tests.workflows.courses import course
from tests.workflows.world import OTHER_SERVICE, SERVICE, Case, Json, World, refused


async def somebody(world: World, *services: str) -> Json:
    """A customer of these services whom nobody else here speaks of."""
    number = world.number()
    who: Json = {
        "name": f"変更 {number}",
        "address": "東京都港区2-2-2",
        "postal_code": "105-0001",
        "born_on": "1985-05-05",
        "customer_number": f"C9{number:06d}",
    }
    held = [
        {**who, "service": service, "categories": {"identity": {"name": who["name"], "fax": "03-0000-0000"}}}
        for service in services
    ]
    file = parse_holdings(json.dumps({"holdings": held}).encode())
    async with world.database.begin() as conn:
        await holdings.import_file(
            conn, world.database.vault, world.keyring, file, "manager-1", on=date(2018, 11, 1)
        )
    return who


async def preparing(world: World, kind: Kind, who: Json, *services: str, **asked: object) -> Case:
    case = await world.open(kind, services)
    await case.receive(principal=who, **asked)
    await case.reach(Phase.PREPARING)
    return case


async def held(world: World, who: Json, service: str = SERVICE) -> Json:
    async with world.database.begin() as conn:
        found = await holdings.show(
            conn,
            world.database.vault,
            world.keyring,
            service=service,
            customer_number=who["customer_number"],
            by="officer-1",
        )
    return found.model_dump(mode="json")["categories"]["identity"]


@course
async def test_a_correction_is_carried_out_undone_and_carried_out_again(world: World) -> None:
    who = await somebody(world, SERVICE)
    case = await preparing(world, Kind.AMENDMENT, who, SERVICE)
    wanted = {"identity.fax": None, "identity.email": "sample@example.com", "identity.name": "変更 済"}
    await case.propose(changes_id=await case.changes(wanted))
    assert (await held(world, who))["fax"] == "03-0000-0000"  # nothing happens before it is approved
    await case.approve()
    after = {"name": "変更 済", "email": "sample@example.com"}
    assert await held(world, who) == after
    await case.take_back()
    status = await case.status()
    assert (status.phase, status.services[0].decision) == (Phase.PREPARING, None)
    assert await held(world, who) == {"name": who["name"], "fax": "03-0000-0000"}
    await case.propose(changes_id=await case.changes(wanted))
    await case.approve()
    assert await held(world, who) == after
    await case.mail(MailEvent.POSTED)
    with refused(Code.WRONG_PHASE):
        await case.take_back()
    await case.mail(MailEvent.DELIVERED)
    assert (await case.status()).outcome is Outcome.GRANTED
    async with world.database.begin() as conn:
        states = [row.state for row in await changes.of_request(conn, case.id)]
    assert set(states) == {"undone", "final"}


@course
async def test_a_withdrawal_undoes_what_was_carried_out(world: World) -> None:
    who = await somebody(world, SERVICE)
    case = await preparing(world, Kind.CESSATION, who, SERVICE, cessation="deletion")
    await case.propose()
    await case.approve()
    with pytest.raises(Refusal, match="holds nothing"):  # as far as anybody can see
        await held(world, who)
    await case.withdraw()
    assert await held(world, who)


@course
async def test_services_of_one_cessation_end_differently(world: World) -> None:
    who = await somebody(world, SERVICE, OTHER_SERVICE)
    case = await preparing(
        world, Kind.CESSATION, who, SERVICE, OTHER_SERVICE, cessation="stop_third_party_provision"
    )
    with refused(Code.REASON_REQUIRED):
        await case.propose(Decision.ALTERNATIVE, service=OTHER_SERVICE)
    measures = await case.note_of_measures()
    await case.propose(Decision.ALTERNATIVE, service=OTHER_SERVICE, note_id=measures)
    await case.propose(service=SERVICE)
    await case.approve()
    await case.deliver_all()
    status = await case.status()
    assert {s.service: s.outcome for s in status.services} == {
        SERVICE: Outcome.GRANTED,
        OTHER_SERVICE: Outcome.ALTERNATIVE,
    }
    assert status.outcome is Outcome.PARTIAL


@course
async def test_what_another_request_has_just_changed_goes_back_to_the_officer(world: World) -> None:
    who = await somebody(world, SERVICE)
    one = await preparing(world, Kind.AMENDMENT, who, SERVICE)
    other = await preparing(world, Kind.AMENDMENT, who, SERVICE)
    for case, fax in ((one, "03-1111-1111"), (other, "03-2222-2222")):
        await case.propose(changes_id=await case.changes({"identity.fax": fax}))
    await one.approve()
    await other.approve()
    status = await other.status()
    assert (status.phase, status.services[0].decision) == (Phase.PREPARING, None)
    assert "register_conflict" in [m.what for m in status.timeline]
    await one.deliver()
    await other.propose(changes_id=await other.changes({"identity.fax": "03-2222-2222"}))
    await other.approve()
    assert (await held(world, who))["fax"] == "03-2222-2222"


async def test_other_measures_take_the_place_of_a_cessation_only(world: World) -> None:
    who = await somebody(world, SERVICE)
    case = await preparing(world, Kind.AMENDMENT, who, SERVICE)
    with refused(Code.GROUND_NOT_APPLICABLE):
        await case.propose(Decision.ALTERNATIVE, note_id=await case.note_of_measures())


async def test_a_draft_that_was_not_read_is_not_approved(world: World) -> None:
    who = await somebody(world, SERVICE)
    case = await preparing(world, Kind.AMENDMENT, who, SERVICE)
    await case.propose()
    read = (await case.status()).draft
    await case.send_back()
    await case.propose(Decision.REFUSE, ground="data_accurate")
    with refused(Code.STALE_DRAFT):
        await case.approve(draft=read)
    await case.approve(draft=(await case.status()).draft)
    assert (await case.status()).phase is Phase.POSTING


async def test_taking_back_and_posting_at_once_are_one_of_them(world: World) -> None:
    who = await somebody(world, SERVICE)
    for _ in range(3):
        case = await preparing(world, Kind.AMENDMENT, who, SERVICE)
        await case.propose()
        await case.approve()
        answer = (await case.status()).letters[-1].letter_id
        posted, taken_back = await asyncio.gather(
            case.mail(MailEvent.POSTED, answer), case.take_back(), return_exceptions=True
        )
        assert (posted is None) != (taken_back is None)
        phase = (await case.status()).phase
        assert phase is (Phase.IN_TRANSIT if posted is None else Phase.PREPARING)
