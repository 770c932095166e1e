import asyncio
from datetime import date

import pytest

from policy.checkdigits import is_request_id, request_id
from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.vocabulary import Kind, Outcome, Role
from records import audit, numbers, requests, staff
from records.database import Database
from tests.records.material import open_request


async def test_requests_are_numbered_without_gaps_whoever_comes_at_once(db: Database) -> None:
    async def one(number: int) -> str | None:
        try:
            async with db.begin() as conn:
                id = await open_request(conn)
                if number % 5 == 0:
                    raise InterruptedError
                return id
        except InterruptedError:
            return None

    ids = await asyncio.gather(*map(one, range(20)))
    assert sorted(id for id in ids if id) == [request_id(2018, number) for number in range(1, 17)]
    assert all(is_request_id(id) for id in ids if id)


async def test_each_year_counts_for_itself(db: Database) -> None:
    async with db.begin() as conn:
        for year, number in ((2018, 1), (2018, 2), (2019, 1), (2018, 3)):
            assert await open_request(conn, opened_on=date(year, 1, 1)) == request_id(year, number)
        assert [await numbers.next_number(conn, "invoice/2018") for _ in range(3)] == [1, 2, 3]


async def test_a_request_is_found_as_it_was_opened(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        row = await requests.find(conn, request_id)
        assert (row.id, row.kind, row.services) == (request_id, Kind.DISCLOSURE, ("gmo-appscloud",))
        assert (row.outcome, row.closed_on) == (None, None)
        assert await requests.parties(conn, db.vault, request_id) is None
        (event,) = await audit.events(conn, request_id)
        assert (event.act, event.actor) == ("request_opened", "mailroom-1")
        with pytest.raises(Refusal) as caught:
            await requests.find(conn, "DR-2018-000099-1")
        assert (caught.value.code, caught.value.exit_status) == (Code.UNKNOWN_REQUEST, 4)


async def test_a_request_is_closed_once(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        assert [row.id for row in await requests.list_open(conn)] == [request_id]
        await requests.close(conn, request_id, Outcome.GRANTED, date(2018, 11, 20))
        await requests.close(conn, request_id, Outcome.WITHDRAWN, date(2018, 11, 21))
        (row,) = await requests.list_closed(conn)
        assert (row.outcome, row.closed_on) == (Outcome.GRANTED, date(2018, 11, 20))
        assert await requests.list_open(conn) == []
        assert [event.act for event in await audit.events(conn, request_id)] == [
            "request_opened",
            "request_closed",
        ]
        with pytest.raises(Refusal) as caught:
            await requests.close(conn, "DR-2018-000099-1", Outcome.GRANTED, date(2018, 11, 20))
        assert caught.value.code is Code.UNKNOWN_REQUEST


async def test_the_development_register_has_every_role_once_more(db: Database) -> None:
    async with db.begin() as conn:
        await staff.seed_development(conn)
        await staff.seed_development(conn)
        members = {member.id: member.roles for member in await staff.all_staff(conn)}
        assert len(members) == len(Role) + 1
        assert all(members[f"{role}-1"] == {role} for role in Role)
        assert members["officer-2"] == {Role.OFFICER, Role.APPROVER}
        assert len(await audit.events(conn, staff.CASE)) == len(members)


async def test_an_act_needs_its_role(db: Database) -> None:
    async with db.begin() as conn:
        await staff.seed_development(conn)
        assert await staff.require(conn, "officer-1", Act.VERIFY_IDENTITY) == {Role.OFFICER}
        for actor, code in (("mailroom-1", Code.WRONG_ROLE), ("nobody", Code.UNKNOWN_STAFF)):
            with pytest.raises(Refusal) as caught:
                await staff.require(conn, actor, Act.VERIFY_IDENTITY)
            assert (caught.value.code, caught.value.exit_status) == (code, 3)


async def test_who_left_may_do_nothing_until_they_are_back(db: Database) -> None:
    async with db.begin() as conn:
        await staff.add(conn, "officer-9", [Role.OFFICER], "manager-1")
        await staff.deactivate(conn, "officer-9", "manager-1")
        for call in (staff.roles_of(conn, "officer-9"), staff.deactivate(conn, "officer-9", "manager-1")):
            with pytest.raises(Refusal) as caught:
                await call
            assert caught.value.code is Code.UNKNOWN_STAFF
        assert [(member.id, member.active) for member in await staff.all_staff(conn)] == [
            ("officer-9", False)
        ]
        await staff.add(conn, "officer-9", [Role.APPROVER], "manager-1")
        assert await staff.roles_of(conn, "officer-9") == {Role.APPROVER}
        acts = [event.act for event in await audit.events(conn, staff.CASE)]
        assert acts == ["staff_added", "staff_deactivated", "staff_added"]


@pytest.mark.parametrize("id", ["x", "Officer-1", "花子", "officer_1", "a" * 33, "officer-1\n", "", "kaiji"])
async def test_a_staff_id_is_a_pseudonym(db: Database, id: str) -> None:
    async with db.begin() as conn:
        with pytest.raises(Refusal) as caught:
            await staff.add(conn, id, [Role.OFFICER], "manager-1")
        assert caught.value.code is Code.MALFORMED
        with pytest.raises(Refusal):
            await staff.add(conn, "officer-9", [], "manager-1")
        assert await staff.all_staff(conn) == []


async def test_a_reopened_request_is_closed_again_and_each_closing_is_audited(
    db: Database, request_id: str
) -> None:
    async with db.begin() as conn:
        await requests.close(conn, request_id, Outcome.LAPSED_DOCUMENTS, date(2019, 2, 1))
        await requests.reopen(conn, request_id)
        row = await requests.find(conn, request_id)
        assert (row.outcome, row.closed_on) == (None, None)
        assert [row.id for row in await requests.list_open(conn)] == [request_id]
        for _ in range(2):
            await requests.close(conn, request_id, Outcome.GRANTED, date(2019, 3, 1), number=2)
        closed = [e.detail for e in await audit.events(conn, request_id) if e.act == "request_closed"]
        assert closed == [
            {"outcome": "LAPSED_DOCUMENTS", "on": "2019-02-01"},
            {"outcome": "GRANTED", "on": "2019-03-01"},
        ]
        with pytest.raises(Refusal) as caught:
            await requests.reopen(conn, "DR-2018-000099-1")
        assert caught.value.code is Code.UNKNOWN_REQUEST


async def test_whether_there_is_such_a_request(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        assert await requests.exists(conn, request_id)
        assert not await requests.exists(conn, "DR-2018-000099-1")


async def test_an_event_is_found_by_its_key(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        found = await audit.recorded(conn, request_id, "request_opened")
        assert found == (await audit.events(conn, request_id))[0]
        assert await audit.recorded(conn, request_id, "another") is None
