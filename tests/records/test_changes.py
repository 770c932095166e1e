"""What requests do to the register: once, undone or final, whoever else does what meanwhile."""

import asyncio
import json
from collections.abc import Mapping
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.changes import ChangeList, parse_changes
from policy.envelope import Party
from policy.holdings import Fields, parse_holdings
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.vocabulary import Amendment, Category, Cessation, ChangeAction, Kind, Outcome, RecordClass
from records import audit, certificates, changes, envelopes, holdings, marks, notes, requests, retention
from records.changes import State, Work
from records.database import Database
from records.tables import data_keys, holding_subjects, vault
from records.vault import Destroyed
from runtime.keys import Keyring
from tests.records.material import SCANS, envelope, open_request

DAY, LATER = date(2018, 11, 20), date(2018, 11, 22)
PACK = pack_in_force(DAY)
SERVICE = "gmo-appscloud"
WHO = {
    "name": "見本 花子",
    "address": "東京都渋谷区桜丘町26-1",
    "born_on": "1980-04-01",
    "customer_number": "C0012345",
}
HELD = {
    "identity": {"name": "見本 花子", "fax": "03-0000-0000"},
    "usage": {"other_details": "CANARY details"},
}
NEW_FAX = {"identity.fax": "03-9999-9999"}


async def load(db: Database, keyring: Keyring, *contracts: Mapping[str, object]) -> list[UUID]:
    """Import these contracts of one person; answers the ids of all."""
    held = [{"service": SERVICE, **WHO, "categories": HELD, **contract} for contract in contracts or ({},)]
    file = parse_holdings(json.dumps({"holdings": held}))
    async with db.begin() as conn:
        await holdings.import_file(conn, db.vault, keyring, file, "manager-1", on=DAY)
        found = await holdings.locate(conn, db.vault, keyring, Party.model_validate(WHO), [SERVICE])
    return found[SERVICE]


async def request(db: Database, keyring: Keyring, kind: Kind = Kind.AMENDMENT) -> str:
    """A request by that person, whose envelope has arrived."""
    detail = (
        {"amendment": Amendment.CORRECTION} if kind is Kind.AMENDMENT else {"cessation": Cessation.DELETION}
    )
    async with db.begin() as conn:
        id = await open_request(conn, kind=kind)
        number = 1_000_000_000 + int(id[8:14])
        arrived = envelope(kind=kind, tracking_number=f"{number}{number % 7}", principal=WHO, **detail)
        await envelopes.record(
            conn, db.vault, keyring, arrived, request_id=id, received_by="mailroom-1", scans=SCANS
        )
    return id


def listed(what: Mapping[str, object], customer_number: str | None = None) -> ChangeList:
    content = {"changes": [{"item": item, "to": to} for item, to in what.items()]}
    return parse_changes(json.dumps(content | {"customer_number": customer_number}))


async def amend(
    db: Database, request_id: str, subjects: list[UUID], what: Mapping[str, object], number: int = 1
) -> None:
    async with db.begin() as conn:
        work = Work(request_id, f"{number}/{SERVICE}", SERVICE, DAY)
        await changes.amend(conn, db.vault, work, PACK, subjects, listed(what))


async def cease(db: Database, request_id: str, subjects: list[UUID], action: ChangeAction) -> None:
    async with db.begin() as conn:
        work = Work(request_id, f"1/{SERVICE}", SERVICE, DAY)
        await changes.cease(conn, work, subjects, action, [p.code for p in PACK.provisions])


async def undo(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        await changes.undo(conn, db.vault, request_id, LATER)


async def make_final(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        await changes.make_final(conn, db.vault, request_id, LATER)


async def held(db: Database, subject: UUID) -> dict[Category, Fields]:
    async with db.begin() as conn:
        return await holdings.read_subject(conn, db.vault, subject)


async def states(db: Database, request_id: str) -> list[State]:
    async with db.begin() as conn:
        return [row.state for row in await changes.of_request(conn, request_id)]


async def test_an_amendment_happens_once_and_is_undone_to_the_letter(db: Database, keyring: Keyring) -> None:
    (subject,) = await load(db, keyring)
    request_id = await request(db, keyring)
    what: Mapping[str, object] = {
        **NEW_FAX,
        "identity.email": "sample@example.jp",
        "usage.other_details": None,
        "identity.name": "見本 花子",  # is so already
        "usage.nickname": "CANARY nick",
    }
    for _ in range(2):
        await amend(db, request_id, [subject], what)
    assert await held(db, subject) == {
        Category.IDENTITY: {"name": "見本 花子", "fax": "03-9999-9999", "email": "sample@example.jp"},
        Category.USAGE: {"nickname": "CANARY nick"},
    }
    async with db.begin() as conn:
        rows = await changes.of_request(conn, request_id)
    assert [(row.number, row.action, row.category, row.item) for row in rows] == [
        (1, ChangeAction.CORRECTION, Category.IDENTITY, "fax"),
        (2, ChangeAction.ADDITION, Category.IDENTITY, "email"),
        (3, ChangeAction.REMOVAL, Category.USAGE, "other_details"),
        (4, ChangeAction.ADDITION, Category.USAGE, "other"),  # its key may say something of somebody
    ]
    for _ in range(2):
        await undo(db, request_id)
    assert await held(db, subject) == {Category(c): fields for c, fields in HELD.items()}
    await amend(db, request_id, [subject], what)  # a retry that comes late
    assert await states(db, request_id) == [State.UNDONE] * 4
    await amend(db, request_id, [subject], NEW_FAX, number=2)  # decided anew
    await make_final(db, request_id)
    await undo(db, request_id)
    assert (await held(db, subject))[Category.IDENTITY]["fax"] == "03-9999-9999"
    assert await states(db, request_id) == [State.UNDONE] * 4 + [State.FINAL]
    async with db.begin() as conn:
        trail = [e for e in await audit.events(conn, request_id) if e.act.startswith("change_")]
    acts = [event.act for event in trail]
    assert acts == ["change_applied"] * 4 + ["change_undone"] * 4 + ["change_applied", "change_final"]
    assert {event.actor for event in trail} == {audit.AUTOMATIC}
    assert trail[0].detail == {
        "on": "2018-11-20",
        "number": 1,
        "service": SERVICE,
        "action": "correction",
        "category": "identity",
        "item": "fax",
    }


async def test_what_was_held_before_is_sealed_with_the_response_and_nowhere_else(
    db: Database, keyring: Keyring
) -> None:
    (subject,) = await load(db, keyring)
    request_id = await request(db, keyring)
    async with db.begin() as conn:
        old = (await conn.scalars(select(vault.c.id).where(vault.c.case_id == f"holding/{subject}"))).all()
    await amend(db, request_id, [subject], {"usage.other_details": None})
    await make_final(db, request_id)
    async with db.begin() as conn:
        for id in old:
            with pytest.raises(Destroyed):
                await db.vault.unseal(conn, id)
        left = [await db.vault.unseal(conn, id) for id in await conn.scalars(select(vault.c.id))]
        assert sum(b"CANARY details" in data for data in left) == 1
        await destroy(conn, db, request_id, RecordClass.RESPONSE_CONTENT)
        left = [await db.vault.unseal(conn, id) for id in await conn.scalars(select(vault.c.id))]
        assert not any(b"CANARY details" in data for data in left)
        assert len(await changes.of_request(conn, request_id)) == 1  # that something was done is still known
        certificate = await destroy(conn, db, request_id, RecordClass.REQUEST_FILE)
        assert certificate.rows["holding_changes"] == 1
        assert await changes.of_request(conn, request_id) == []


async def destroy(
    conn: AsyncConnection, db: Database, request_id: str, record_class: RecordClass
) -> certificates.Certificate:
    await requests.close(conn, request_id, Outcome.GRANTED, DAY)
    return await retention.destroy_class(
        conn,
        db.vault,
        request_id=request_id,
        record_class=record_class,
        on=DAY,
        rule="sample",
        clause="§1",
        pack_version=PACK.version,
        by="manager-1",
    )


async def test_each_contract_is_changed_where_it_differs_or_the_one_that_is_named(
    db: Database, keyring: Keyring
) -> None:
    subjects = await load(db, keyring, {}, {"customer_number": "C0099999", "categories": {}})
    request_id = await request(db, keyring)
    await amend(db, request_id, subjects, {"identity.fax": None})
    assert await states(db, request_id) == [State.APPLIED]
    async with db.begin() as conn:
        named = listed(NEW_FAX, customer_number="ｃ0099999")
        (second,) = await changes.targets(conn, db.vault, subjects, named)
        assert await holdings.customer_number(conn, db.vault, second) == "C0099999"
        assert await changes.targets(conn, db.vault, subjects, listed(NEW_FAX, "C1")) == []
    await undo(db, request_id)
    assert await held(db, second) == {}


@pytest.mark.parametrize("action", [ChangeAction.CEASE_USE, ChangeAction.STOP_THIRD_PARTY_PROVISION])
async def test_use_and_provision_are_stopped_and_shown(
    db: Database, keyring: Keyring, action: ChangeAction
) -> None:
    (subject,) = await load(db, keyring)
    request_id = await request(db, keyring, Kind.CESSATION)

    async def shown() -> tuple[date | None, dict[str, date]]:
        async with db.begin() as conn:
            found = await holdings.show(
                conn, db.vault, keyring, service=SERVICE, customer_number="C0012345", by="officer-1"
            )
            assert sum((await marks.count_stops(conn)).values()) == len(found.provisions_stopped)
            assert await marks.count_stops(conn, "sample-hosting") == {}
        return found.use_stopped_on, dict(found.provisions_stopped)

    marked = (DAY, {}) if action is ChangeAction.CEASE_USE else (None, {"wellnet": DAY})
    for _ in range(2):
        await cease(db, request_id, [subject], action)
    assert await shown() == marked
    assert await load(db, keyring) == [subject]  # still held, so still found
    await undo(db, request_id)
    assert await shown() == (None, {})
    again = await request(db, keyring, Kind.CESSATION)
    await cease(db, again, [subject], action)
    await make_final(db, again)
    await load(db, keyring, {"categories": {"usage": {"other_details": "new"}}})  # the marks outlive the data
    assert await shown() == marked
    assert await held(db, subject) == {Category.USAGE: {"other_details": "new"}}
    third = await request(db, keyring, Kind.CESSATION)
    await cease(db, third, [subject], action)
    assert await states(db, third) == []  # it is so already
    await undo(db, third)
    assert await shown() == marked


async def test_a_deletion_is_held_back_until_it_is_final(db: Database, keyring: Keyring) -> None:
    (subject,) = await load(db, keyring)
    request_id = await request(db, keyring, Kind.CESSATION)
    await cease(db, request_id, [subject], ChangeAction.DELETION)
    principal = Party.model_validate(WHO)
    async with db.begin() as conn:
        assert await holdings.locate(conn, db.vault, keyring, principal, [SERVICE]) == {SERVICE: []}
        assert await holdings.count_by_service(conn) == {}
        with pytest.raises(Refusal, match="holds nothing") as caught:
            await holdings.show(
                conn, db.vault, keyring, service=SERVICE, customer_number="C0012345", by="officer-1"
            )
        assert caught.value.code is Code.NOT_FOUND
    await undo(db, request_id)
    assert await held(db, subject) == {Category(c): fields for c, fields in HELD.items()}
    again = await request(db, keyring, Kind.CESSATION)
    await cease(db, again, [subject], ChangeAction.DELETION)
    await load(db, keyring, {"categories": {}})
    for _ in range(2):
        await make_final(db, again)
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(holding_subjects)) == 0
        case = f"holding/{subject}"
        assert await conn.scalar(select(func.count()).where(vault.c.case_id == case)) == 0
        assert await conn.scalar(select(func.count()).where(data_keys.c.case_id == case)) == 0
    await undo(db, again)  # too late, and no error
    assert await states(db, again) == [State.FINAL]
    assert await load(db, keyring) != [subject]  # a new customer


async def test_what_waits_for_its_answer_is_left_as_it_is_by_an_import(
    db: Database, keyring: Keyring
) -> None:
    (subject,) = await load(db, keyring)
    request_id = await request(db, keyring)
    await amend(db, request_id, [subject], NEW_FAX)
    file = parse_holdings(json.dumps({"holdings": [{"service": SERVICE, **WHO, "categories": HELD}]}))

    async def imported() -> holdings.ImportResult:
        async with db.begin() as conn:
            return await holdings.import_file(conn, db.vault, keyring, file, "manager-1", on=DAY)

    assert await imported() == holdings.ImportResult(added=0, replaced=0, unchanged=0, kept=1)
    assert (await held(db, subject))[Category.IDENTITY]["fax"] == "03-9999-9999"
    await make_final(db, request_id)
    assert await imported() == holdings.ImportResult(added=0, replaced=1, unchanged=0)


async def test_two_requests_do_not_change_the_same_category_at_once(db: Database, keyring: Keyring) -> None:
    (subject,) = await load(db, keyring)
    first, second = await request(db, keyring), await request(db, keyring)
    await amend(db, first, [subject], NEW_FAX)
    with pytest.raises(Refusal) as caught:
        await amend(
            db, second, [subject], {"identity.email": "sample@example.jp", "usage.other_details": "x"}
        )
    assert caught.value.code is Code.CHANGES_CONFLICT
    assert await states(db, second) == []
    await amend(db, second, [subject], {"usage.other_details": "x"})  # another category
    await undo(db, first)
    assert await held(db, subject) == {
        Category.IDENTITY: HELD["identity"],
        Category.USAGE: {"other_details": "x"},
    }
    await amend(db, second, [subject], {"identity.fax": None}, number=2)
    assert await states(db, second) == [State.APPLIED] * 2


@pytest.mark.parametrize("first_is_final", [False, True])
async def test_what_two_requests_stopped_stays_so_until_both_are_undone(
    db: Database, keyring: Keyring, first_is_final: bool
) -> None:
    (subject,) = await load(db, keyring)
    ids = [await request(db, keyring, Kind.CESSATION) for _ in range(2)]
    for id in ids:
        await cease(db, id, [subject], ChangeAction.CEASE_USE)

    async def stopped() -> bool:
        async with db.begin() as conn:
            return await marks.marked_on(conn, subject, ChangeAction.CEASE_USE) is not None

    await (make_final if first_is_final else undo)(db, ids[0])
    assert await stopped()
    await undo(db, ids[1])
    assert await stopped() is first_is_final


async def test_an_undoing_does_not_raise_the_deleted(db: Database, keyring: Keyring) -> None:
    (subject,) = await load(db, keyring)
    amendment, deletion = await request(db, keyring), await request(db, keyring, Kind.CESSATION)
    await amend(db, amendment, [subject], NEW_FAX)
    await cease(db, deletion, [subject], ChangeAction.DELETION)
    await make_final(db, deletion)
    await undo(db, amendment)
    assert await states(db, amendment) == [State.UNDONE]
    with pytest.raises(Destroyed):
        await held(db, subject)


async def test_everything_at_once_leaves_one_consistent_state(db: Database, keyring: Keyring) -> None:
    subjects = await load(db, keyring, {}, {"customer_number": "C0099999"})
    before = {Category(c): fields for c, fields in HELD.items()}
    after = before | {Category.IDENTITY: {"name": "見本 花子", "fax": "03-9999-9999"}}
    file = parse_holdings(json.dumps({"holdings": [{"service": SERVICE, **WHO, "categories": HELD}]}))

    async def imported() -> None:
        async with db.begin() as conn:
            await holdings.import_file(conn, db.vault, keyring, file, "manager-1", on=DAY)

    for round in range(5):
        request_id = await request(db, keyring)
        acts = [amend(db, request_id, subjects, NEW_FAX), undo(db, request_id), make_final(db, request_id)]
        acts += [imported(), amend(db, request_id, subjects, NEW_FAX)]
        await asyncio.gather(*acts[round:], *acts[:round])
        known = await states(db, request_id)
        assert len(set(known)) == 1  # both contracts, together
        for subject in subjects:
            # an import may follow what is final: it brings back what the service says
            expected = {State.UNDONE: [before], State.APPLIED: [after], State.FINAL: [before, after]}
            assert await held(db, subject) in expected[known[0]]
        await undo(db, request_id)
        await load(db, keyring, {}, {"customer_number": "C0099999"})


async def test_a_list_is_checked_before_it_is_sealed(db: Database, keyring: Keyring) -> None:
    await load(db, keyring)
    request_id, other = await request(db, keyring), await request(db, keyring)

    async def checked(
        what: Mapping[str, object], number: str | None = None, service: str | None = SERVICE
    ) -> None:
        async with db.begin() as conn:
            list_ = listed(what, number)
            await changes.check_change_list(conn, db.vault, keyring, request_id, service, list_)

    async def refused(
        what: Mapping[str, object], number: str | None = None, service: str | None = SERVICE
    ) -> Code:
        with pytest.raises(Refusal) as caught:
            await checked(what, number, service)
        return caught.value.code

    await checked(NEW_FAX)
    await checked(NEW_FAX, "C0012345", None)
    assert await refused(NEW_FAX, "C1") is Code.CHANGES_CONFLICT
    assert await refused(NEW_FAX, service="sample-hosting") is Code.NOT_FOUND
    assert await refused({"identity.fax": "03-0000-0000"}) is Code.CHANGES_CONFLICT
    async with db.begin() as conn:
        found = await holdings.locate(conn, db.vault, keyring, Party.model_validate(WHO), [SERVICE])
        unnamed = await open_request(conn, kind=Kind.AMENDMENT)
        with pytest.raises(Refusal) as caught:
            await changes.check_change_list(conn, db.vault, keyring, unnamed, None, listed(NEW_FAX))
        assert caught.value.code is Code.WRONG_PHASE
    await amend(db, other, found[SERVICE], {"identity.name": "x"})
    assert await refused(NEW_FAX) is Code.CHANGES_CONFLICT  # until the other's answer is posted


async def test_a_list_belongs_to_its_request(db: Database, keyring: Keyring) -> None:
    request_id, other = await request(db, keyring), await request(db, keyring)
    async with db.begin() as conn:
        ids = [
            await notes.write(
                conn,
                db.vault,
                request_id=request_id,
                purpose=purpose,
                content=listed(NEW_FAX).model_dump_json(),
                written_by="officer-1",
            )
            for purpose in (changes.CHANGES, "ground")
        ]
        assert await changes.read_list(conn, db.vault, request_id, str(ids[0])) == listed(NEW_FAX)
        for owner, id in ((other, str(ids[0])), (request_id, str(ids[1])), (request_id, "nothing")):
            with pytest.raises(Refusal) as caught:
                await changes.read_list(conn, db.vault, owner, id)
            assert caught.value.code is Code.NOT_FOUND
