import asyncio
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.vocabulary import Kind, Outcome, RecordClass
from records import audit, requests, retention
from records.chains import GENESIS
from records.database import Database
from tests.records.material import as_superuser, open_request

CASE = "DR-2018-000001-8"
AT = datetime(2018, 11, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))


async def three_events(db: Database, case: str = CASE) -> None:
    async with db.begin() as conn:
        for number in range(1, 4):
            await audit.append(conn, case, actor="officer-1", act=f"act_{number}", detail={"n": number})


async def test_events_come_back_in_order_and_linked(db: Database) -> None:
    async with db.begin() as conn:
        for number in (1, 2):
            added = await audit.append(
                conn,
                CASE,
                actor="officer-1",
                act="verify_identity",
                detail={"n": number, "s": ["a", None]},
                at=AT,
            )
            assert added
        first, second = await audit.events(conn, CASE)
        assert (first.seq, second.seq) == (1, 2)
        assert first.previous == GENESIS
        assert second.previous == first.digest
        assert await audit.head(conn, CASE) == second.digest
        assert first.at == AT
        assert first.at.tzinfo is UTC
        assert second.detail == {"n": 2, "s": ["a", None]}
        assert await audit.head(conn, "DR-2018-000002-6") == GENESIS


async def test_without_an_instant_the_database_has_one(db: Database) -> None:
    async with db.begin() as conn:
        await audit.append(conn, CASE, actor="officer-1", act="x")
        (event,) = await audit.events(conn, CASE)
        assert abs(event.at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_key_is_used_once_per_case(db: Database) -> None:
    async with db.begin() as conn:
        assert await audit.append(conn, CASE, actor="officer-1", act="x", key="k")
        assert not await audit.append(conn, CASE, actor="officer-2", act="y", key="k")
        assert await audit.append(conn, "DR-2018-000002-6", actor="officer-1", act="x", key="k")
        assert [event.act for event in await audit.events(conn, CASE)] == ["x"]


async def test_many_at_once_make_one_chain(db: Database) -> None:
    async def one(number: int) -> bool:
        async with db.begin() as conn:
            key = "once" if number % 2 else None
            return await audit.append(conn, CASE, actor="officer-1", act="x", detail={"n": number}, key=key)

    added = await asyncio.gather(*map(one, range(20)))
    assert sum(added) == 11
    async with db.begin() as conn:
        assert [event.seq for event in await audit.events(conn, CASE)] == list(range(1, 12))
        assert await audit.verify(conn) == audit.Verification(cases=1, events=11, broken=())


@pytest.mark.parametrize("value", [1.5, {"a": 1}, [["a"]], [1.5], object(), b"x", "nul\0"])
async def test_a_detail_holds_plain_values_only(db: Database, value: object) -> None:
    with pytest.raises(TypeError):
        async with db.begin() as conn:
            await audit.append(conn, CASE, actor="officer-1", act="x", detail={"a": value})  # type: ignore[dict-item]


async def test_an_instant_needs_a_time_zone(db: Database) -> None:
    with pytest.raises(ValueError, match="time zone"):
        async with db.begin() as conn:
            await audit.append(conn, CASE, actor="a1", act="x", at=datetime(2018, 11, 1))  # noqa: DTZ001


plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | plain_text
details = st.dictionaries(plain_text, scalars | st.lists(scalars, max_size=3), max_size=4)


@given(details)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_detail_verifies_after_its_way_through_the_database(
    db: Database, detail: audit.Detail
) -> None:
    async with db.begin() as conn:
        await audit.append(conn, CASE, actor="officer-1", act="x", detail=detail)
        assert (await audit.events(conn, CASE))[-1].detail == detail
        assert (await audit.verify(conn)).broken == ()


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ("UPDATE audit SET actor = 'officer-2' WHERE seq = 2", [2]),
        ("UPDATE audit SET act = 'other' WHERE seq = 2", [2]),
        ("UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 2", [2]),
        ("UPDATE audit SET detail = '{\"n\": 9}' WHERE seq = 2", [2]),
        ("UPDATE audit SET key = 'k' WHERE seq = 2", [2]),
        ("UPDATE audit SET digest = sha256('x') WHERE seq = 2", [2, 3]),
        ("UPDATE audit SET previous = sha256('x') WHERE seq = 2", [2]),
        ("DELETE FROM audit WHERE seq = 1", [2]),
        ("DELETE FROM audit WHERE seq = 2", [3]),
        ("UPDATE audit SET seq = 9 WHERE seq = 2", [3, 9]),
        ("UPDATE audit SET case_id = 'DR-2018-000002-6' WHERE seq = 1", [1, 2]),
        # two events change places
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN 30 ELSE 2 END WHERE seq IN (2, 3)", [2, 30]),
    ],
)
async def test_verification_finds_what_an_attacker_changed(
    db: Database, change: str, broken_at: list[int]
) -> None:
    await three_events(db)
    await three_events(db, "staff")
    async with db.begin() as conn:
        assert (await audit.verify(conn)).broken == ()
        assert await as_superuser(conn, change.replace("WHERE ", f"WHERE case_id = '{CASE}' AND ")) > 0
        verification = await audit.verify(conn)
        assert sorted(broken.seq for broken in verification.broken) == broken_at
        assert (await audit.verify(conn, "staff")).broken == ()


async def test_a_whole_chain_that_vanished_is_found(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        assert (await audit.verify(conn)).broken == ()
        await as_superuser(conn, "DELETE FROM audit")
        for verification in (await audit.verify(conn), await audit.verify(conn, request_id)):
            assert [broken.case_id for broken in verification.broken] == [request_id]


async def test_an_end_cut_off_after_a_destruction_is_found(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        await requests.close(conn, request_id, Outcome.GRANTED, date(2018, 11, 1))
        await retention.destroy_class(
            conn,
            db.vault,
            request_id=request_id,
            record_class=RecordClass.REQUEST_FILE,
            on=date(2021, 11, 1),
            rule="3 years after delivery or closure",
            clause="§1, Period of Retention",
            pack_version="gmo-appscloud-2018-10-22",
            by=audit.AUTOMATIC,
        )
        assert (await audit.verify(conn)).broken == ()
        await as_superuser(conn, "DELETE FROM audit WHERE act = 'records_destroyed'")
        (broken,) = (await audit.verify(conn)).broken
        assert (broken.case_id, "request_file" in broken.why) == (request_id, True)


async def test_verification_streams_over_many_cases(db: Database) -> None:
    async with db.begin() as conn:
        for _ in range(20):
            await open_request(conn, kind=Kind.AMENDMENT)
        for number in range(600):
            await audit.append(conn, "staff", actor="manager-1", act="x", detail={"n": number})
        verification = await audit.verify(conn)
        assert (verification.cases, verification.events, verification.broken) == (21, 620, ())
