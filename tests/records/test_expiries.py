"""Until when each class of a closed request is kept: put down at its end, and gone with its records."""

from datetime import date

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from policy.deadlines import Terms
from policy.registry import pack
from policy.retention import Expiry
from policy.retention import expiries as reckon
from policy.vocabulary import Outcome, RecordClass
from records import expiries, requests
from records.database import Database
from records.tables import requests as request_rows
from tests.records.material import open_request
from tests.records.test_destruction import destroy

CLOSED = date(2018, 11, 20)
PACK = "gmo-appscloud-2018-10-22"
SCHEDULE = reckon(Terms.of(pack(PACK)), delivered_on=None, closed_on=CLOSED, invoiced_on=None)


async def close(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        await requests.close(conn, request_id, Outcome.WITHDRAWN, CLOSED)


async def left(db: Database, request_id: str) -> list[Expiry]:
    async with db.begin() as conn:
        return await expiries.outstanding(conn, await requests.find(conn, request_id))


async def due(db: Database, on: date) -> list[tuple[str, RecordClass]]:
    async with db.begin() as conn:
        return [(found.request_id, found.expiry.record_class) for found in await expiries.due(conn, on)]


async def test_what_was_put_down_is_replaced_and_goes_with_the_records(db: Database, request_id: str) -> None:
    await close(db, request_id)
    longer = Expiry(record_class=RecordClass.REQUEST_FILE, on=date(2030, 1, 1), rule="r", clause="§1")
    async with db.begin() as conn:
        assert await expiries.write(conn, request_id, SCHEDULE, PACK) == 3
        assert await expiries.write(conn, request_id, [*SCHEDULE[:2], longer], PACK) == 3
    assert await left(db, request_id) == [*SCHEDULE[:2], longer]
    await destroy(db, request_id, RecordClass.IDENTITY_DOCUMENTS, closed=False)
    assert await left(db, request_id) == [SCHEDULE[1], longer]
    async with db.begin() as conn:  # another schedule does not bring back what is destroyed
        assert await expiries.write(conn, request_id, SCHEDULE, PACK) == 2
    assert await left(db, request_id) == list(SCHEDULE[1:])
    for expiry in SCHEDULE[1:]:
        await destroy(db, request_id, expiry.record_class, closed=False)
    assert await left(db, request_id) == []
    assert await due(db, date(2100, 1, 1)) == []
    async with db.begin() as conn:
        assert await expiries.write_missing(conn, 10) == 0


async def test_nothing_of_a_reopened_request_is_due(db: Database, request_id: str) -> None:
    await close(db, request_id)
    async with db.begin() as conn:
        await expiries.write(conn, request_id, SCHEDULE, PACK)
        await requests.reopen(conn, request_id)
        await expiries.clear(conn, request_id)
    assert await due(db, date(2100, 1, 1)) == []
    assert await left(db, request_id) == []


async def test_what_closed_before_is_put_down_in_pages(db: Database) -> None:
    async with db.begin() as conn:
        still_open, *ended = [await open_request(conn) for _ in range(4)]
    for id in ended:
        await close(db, id)
    await destroy(db, ended[0], RecordClass.IDENTITY_DOCUMENTS, closed=False)
    assert await left(db, ended[1]) == list(SCHEDULE)  # reckoned while it is not put down
    async with db.begin() as conn:
        # nothing is sealed under the request that has lost its papers: nothing is left that could expire
        assert [await expiries.write_missing(conn, 1) for _ in range(3)] == [1, 1, 0]
    assert await left(db, ended[1]) == list(SCHEDULE)
    assert {id for id, _ in await due(db, date(2100, 1, 1))} == set(ended[1:])
    assert await left(db, still_open) == []


async def test_a_request_moved_to_another_schedule_goes_by_it(db: Database, request_id: str) -> None:
    await close(db, request_id)
    async with db.begin() as conn:
        await conn.execute(
            update(request_rows)
            .where(request_rows.c.id == request_id)
            .values(pack_version="no-longer-known", retention_pack=PACK)
        )
        await expiries.write_missing(conn, 1)
        written = await conn.scalar(text("SELECT DISTINCT pack_version FROM expiries"))
    assert written == PACK


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(RecordClass), st.dates(date(2018, 11, 1), date(2018, 12, 31))),
        unique_by=lambda entry: entry[0],
    ),
    st.dates(date(2018, 10, 1), date(2019, 1, 31)),
)
async def test_due_is_what_has_expired_by_the_day(
    db: Database, request_id: str, kept: list[tuple[RecordClass, date]], on: date
) -> None:
    async with db.begin() as conn:
        found = [Expiry(record_class=c, on=day, rule="r", clause="§1") for c, day in kept]
        await expiries.write(conn, request_id, found, PACK)
    expected = sorted((day, record_class) for record_class, day in kept if day <= on)
    assert await due(db, on) == [(request_id, record_class) for _, record_class in expected]
