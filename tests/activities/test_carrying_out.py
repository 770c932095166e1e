"""What was decided, gathered into drafts and carried out in the register, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import date
from uuid import UUID

import pytest

from activities.carrying_out import CarryingOutActivities
from activities.holdings import HoldingsActivities
from activities.letters.content import ServiceResponse
from activities.messages import CarriedOut, CarryOutOrder, PrepareOrder, ServiceDecision, UndoOrder
from policy.holdings import parse_holdings
from policy.refusals import Code, Refusal
from policy.vocabulary import Category, Cessation, ChangeAction, Decision, Kind, Outcome
from policy.withholding import Withholding
from records import changes, envelopes, holdings, notes, staff
from records.database import Database
from runtime.keys import Keyring
from starter.changes import seal_changes
from tests.records.material import SCANS, envelope, open_request

DAY = date(2018, 11, 20)
SERVICE, OTHER = "gmo-appscloud", "sample-hosting"
WHO = {
    "name": "見本 花子",
    "address": "東京都渋谷区桜丘町26-1",
    "born_on": "1980-04-01",
    "customer_number": "C0012345",
}


class Office:
    """A register with one person in two services, and the requests of that person."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.keyring = keyring
        self.gathering = HoldingsActivities(database, keyring)
        self.carrying_out = CarryingOutActivities(database, keyring)

    async def load(self) -> None:
        held = [
            {"service": service, **WHO, "categories": {"identity": {"name": WHO["name"], "fax": "1"}}}
            for service in (SERVICE, OTHER)
        ]
        file = parse_holdings(json.dumps({"holdings": held}))
        async with self.database.begin() as conn:
            await staff.seed_development(conn)
            await holdings.import_file(conn, self.database.vault, self.keyring, file, "manager-1", on=DAY)

    async def request(self, kind: Kind, **detail: object) -> str:
        async with self.database.begin() as conn:
            id = await open_request(conn, kind=kind)
            number = 1_000_000_000 + int(id[8:14])
            arrived = envelope(
                kind=kind,
                tracking_number=f"{number}{number % 7}",
                principal=WHO,
                services=[SERVICE, OTHER],
                **detail,
            )
            await envelopes.record(
                conn,
                self.database.vault,
                self.keyring,
                arrived,
                request_id=id,
                received_by="mailroom-1",
                scans=SCANS,
            )
        return id

    async def list(self, request_id: str, what: Mapping[str, object], service: str | None = None) -> str:
        content = {"changes": [{"item": item, "to": to} for item, to in what.items()]}
        return await seal_changes(
            self.database, self.keyring, request_id, service, json.dumps(content).encode(), by="officer-1"
        )

    async def prepare(self, request_id: str, *decisions: ServiceDecision) -> dict[str, ServiceResponse]:
        order = PrepareOrder(request_id=request_id, number=1, on=DAY, decisions=decisions)
        drafts = (await self.gathering.prepare_response(order)).drafts
        assert drafts == (await self.gathering.prepare_response(order)).drafts
        async with self.database.begin() as conn:
            return {
                service: ServiceResponse.model_validate_json(
                    await notes.read(conn, self.database.vault, UUID(id))
                )
                for service, id in drafts.items()
            }

    async def carry_out(self, request_id: str, *decisions: ServiceDecision) -> int:
        order = CarryOutOrder(request_id=request_id, number=1, on=DAY, decisions=decisions)
        return (await self.carrying_out.carry_out(order)).changes

    async def fields(self, service: str) -> dict[str, object]:
        shown = await self.show(service)
        return dict(shown.categories.get(Category.IDENTITY, {}))

    async def show(self, service: str) -> holdings.Shown:
        async with self.database.begin() as conn:
            return await holdings.show(
                conn,
                self.database.vault,
                self.keyring,
                service=service,
                customer_number="C0012345",
                by="officer-1",
            )


@pytest.fixture
async def office(database_url: str, keyring: Keyring) -> AsyncIterator[Office]:
    database = Database(database_url, keyring)
    office = Office(database, keyring)
    await office.load()
    yield office
    await database.dispose()


def decided(service: str, decision: Decision = Decision.GRANT, **more: object) -> ServiceDecision:
    return ServiceDecision.model_validate({"service": service, "decision": decision, **more})


async def test_services_of_one_amendment_end_differently(office: Office) -> None:
    id = await office.request(Kind.AMENDMENT, amendment="correction")
    what: Mapping[str, object] = {"identity.fax": "2", "identity.name": "x"}
    lists = {service: await office.list(id, what, service) for service in (SERVICE, OTHER)}
    decisions = (
        decided(
            SERVICE,
            Decision.PARTIAL,
            withhold=(Withholding(item="identity.name", ground="data_accurate"),),
            changes_id=lists[SERVICE],
        ),
        decided(OTHER, Decision.REFUSE, ground="data_accurate"),
    )
    drafts = await office.prepare(id, *decisions)
    (line,) = drafts[SERVICE].changes
    assert (line.action, line.before, line.after) == (ChangeAction.CORRECTION, "1", "2")
    assert [drafts[service].outcome for service in (SERVICE, OTHER)] == [Outcome.PARTIAL, Outcome.REFUSED]
    assert await asyncio.gather(*(office.carry_out(id, *decisions) for _ in range(3))) == [1, 1, 1]
    assert await office.fields(SERVICE) == {"name": WHO["name"], "fax": "2"}
    assert await office.fields(OTHER) == {"name": WHO["name"], "fax": "1"}
    for _ in range(2):
        assert await office.carrying_out.undo(UndoOrder(request_id=id, on=DAY)) == CarriedOut(changes=0)
    assert await office.fields(SERVICE) == {"name": WHO["name"], "fax": "1"}
    assert await office.carry_out(id, *decisions) == 0  # a retry that comes late


async def test_what_changed_since_is_told_as_it_is_and_nothing_fails(office: Office) -> None:
    first, second = [await office.request(Kind.AMENDMENT, amendment="correction") for _ in range(2)]
    lists = [await office.list(id, {"identity.fax": None}, SERVICE) for id in (first, second)]
    decision = decided(SERVICE, changes_id=lists[0])
    assert await office.carry_out(first, decision) == 1
    late = decided(SERVICE, changes_id=lists[1])
    (line,) = (await office.prepare(second, late))[SERVICE].changes
    assert (line.action, line.before, line.after) == (ChangeAction.REMOVAL, None, None)
    assert await office.carry_out(second, late) == 0
    with pytest.raises(Refusal) as caught:
        await office.list(second, {"identity.name": "y"}, SERVICE)
    assert caught.value.code is Code.CHANGES_CONFLICT


@pytest.mark.parametrize("cessation", list(Cessation))
async def test_a_cessation_is_carried_out_where_it_is_granted(office: Office, cessation: Cessation) -> None:
    id = await office.request(Kind.CESSATION, cessation=cessation.value)
    decisions = (decided(SERVICE), decided(OTHER, Decision.ALTERNATIVE, ground="alternative_measures"))
    drafts = await office.prepare(id, *decisions)
    assert [drafts[service].outcome for service in (SERVICE, OTHER)] == [Outcome.GRANTED, Outcome.ALTERNATIVE]
    for _ in range(2):
        assert await office.carry_out(id, *decisions) == 1
    untouched = await office.show(OTHER)
    assert (untouched.use_stopped_on, untouched.provisions_stopped) == (None, {})
    if cessation is Cessation.DELETION:
        with pytest.raises(Refusal, match="holds nothing"):
            await office.show(SERVICE)
    else:
        shown = await office.show(SERVICE)
        assert (shown.use_stopped_on, shown.provisions_stopped) == (
            (DAY, {}) if cessation is Cessation.CEASE_USE else (None, {"wellnet": DAY})
        )
    assert (await office.carrying_out.undo(UndoOrder(request_id=id, on=DAY))).changes == 0
    assert await office.show(SERVICE) == untouched.model_copy(update={"service": SERVICE})


async def test_what_is_deleted_for_one_request_is_deleted_for_another_too(office: Office) -> None:
    first, second = [await office.request(Kind.CESSATION, cessation="deletion") for _ in range(2)]
    assert await office.carry_out(first, decided(SERVICE)) == 1
    assert await office.carry_out(second, decided(SERVICE)) == 1
    await office.carrying_out.undo(UndoOrder(request_id=first, on=DAY))
    with pytest.raises(Refusal, match="holds nothing"):
        await office.show(SERVICE)
    async with office.database.begin() as conn:
        await changes.make_final(conn, office.database.vault, second, DAY)
    with pytest.raises(Refusal, match="holds nothing"):
        await office.show(SERVICE)


async def test_a_cessation_in_part_and_an_amendment_by_hand_are_left_to_the_officer(office: Office) -> None:
    id = await office.request(Kind.CESSATION, cessation="deletion")
    assert await office.carry_out(id, decided(SERVICE, Decision.PARTIAL, ground="no_violation")) == 0
    id = await office.request(Kind.AMENDMENT, amendment="removal")
    assert await office.carry_out(id, decided(SERVICE)) == 0
    assert await office.fields(SERVICE) == {"name": WHO["name"], "fax": "1"}
