import asyncio
from datetime import date
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from policy.refusals import Code, Refusal
from policy.vocabulary import Language, LetterKind, LetterState, MailEvent, RecordClass
from records import letters, notes
from records.database import Database
from records.tables import vault
from records.vault import Destroyed
from tests.records.material import open_request

QUEUED, TRACKING, OTHER = date(2018, 11, 5), "405548424886", "13112383852"


async def queue(
    db: Database, request_id: str, pdf: bytes = b"%PDF-1", *, key: str = "response", queued_on: date = QUEUED
) -> str:
    async with db.begin() as conn:
        return await letters.queue(
            conn,
            db.vault,
            request_id=request_id,
            key=key,
            kind=LetterKind.RESPONSE,
            record_class=RecordClass.RESPONSE_CONTENT,
            language=Language.JA,
            queued_on=queued_on,
            pdf=pdf,
            pages=2,
        )


async def mark(
    db: Database, request_id: str, event: MailEvent, day: int, tracking: str | None = None, *, number: int = 1
) -> bool:
    async with db.begin() as conn:
        letter_id = f"{request_id}-L{number:02d}"
        return await letters.mark(
            conn, letter_id, event=event, on=date(2018, 11, day), tracking_number=tracking
        )


async def test_a_letter_is_queued_once_even_ten_at_once(db: Database, request_id: str) -> None:
    queued = await asyncio.gather(*(queue(db, request_id, b"%PDF-1") for _ in range(10)))
    assert set(queued) == {f"{request_id}-L01"}
    assert await queue(db, request_id, b"%PDF-other") == f"{request_id}-L01"
    async with db.begin() as conn:
        assert await letters.pdf(conn, db.vault, f"{request_id}-L01") == b"%PDF-1"
        assert await conn.scalar(select(func.count()).select_from(vault)) == 1
        (letter,) = await letters.list_queued(conn)
        assert (letter.id, letter.state, letter.pages) == (f"{request_id}-L01", LetterState.QUEUED, 2)
        assert await letters.list_of_request(conn, request_id) == [letter]


async def test_letters_of_a_request_are_numbered_without_a_gap_even_at_once(
    db: Database, request_id: str
) -> None:
    keys = [f"payment_reminder/{n}" for n in range(12)]
    ids = await asyncio.gather(*(queue(db, request_id, key=key) for key in keys))
    assert sorted(ids) == [f"{request_id}-L{n:02d}" for n in range(1, 13)]
    assert await asyncio.gather(*(queue(db, request_id, key=key) for key in keys)) == ids
    async with db.begin() as conn:
        other = await open_request(conn)
    assert await queue(db, other) == f"{other}-L01"
    await asyncio.gather(*(queue(db, other, key=f"key/{n}") for n in range(100)))
    assert await queue(db, other, key="last") == f"{other}-L102"


async def test_a_number_that_is_not_used_is_given_to_the_next(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        first = await letters.number(conn, request_id, "extension/1")
        assert first == letters.Number(f"{request_id}-L01", queued=False)
        other = asyncio.create_task(queue(db, request_id))
        await asyncio.sleep(0.1)
        assert not other.done()  # the number may still be used
    assert await other == f"{request_id}-L01"
    async with db.begin() as conn:
        assert await letters.number(conn, request_id, "response") == letters.Number(
            f"{request_id}-L01", queued=True
        )


async def test_a_letter_goes_its_way_and_repeats_change_nothing(db: Database, request_id: str) -> None:
    await queue(db, request_id)
    way = [
        (MailEvent.POSTED, 6, TRACKING),
        (MailEvent.RETURNED, 16, None),
        (MailEvent.POSTED, 20, OTHER),
        (MailEvent.DELIVERED, 22, None),
    ]
    for event, day, tracking in way:
        assert await mark(db, request_id, event, day, tracking)
        assert not await mark(db, request_id, event, day, tracking)
    async with db.begin() as conn:
        letter = await letters.find(conn, f"{request_id}-L01")
        assert (letter.state, letter.tracking_number) == (LetterState.DELIVERED, OTHER)
        assert (letter.posted_on, letter.ended_on) == (date(2018, 11, 20), date(2018, 11, 22))
        assert await letters.list_queued(conn) == []


@pytest.mark.parametrize(
    ("way", "event", "day", "tracking"),
    [
        ([], MailEvent.DELIVERED, 6, None),
        ([], MailEvent.RETURNED, 6, None),
        ([], MailEvent.POSTED, 4, TRACKING),  # before it was queued
        ([], MailEvent.UNKNOWN, 4, None),
        ([(MailEvent.UNKNOWN, 6, None)], MailEvent.DELIVERED, 7, None),
        ([(MailEvent.UNKNOWN, 6, None)], MailEvent.NOT_POSTED, 4, None),
        ([(MailEvent.POSTED, 6, TRACKING)], MailEvent.UNKNOWN, 7, None),
        ([(MailEvent.POSTED, 6, TRACKING)], MailEvent.NOT_POSTED, 7, None),
        ([(MailEvent.POSTED, 6, TRACKING)], MailEvent.POSTED, 6, OTHER),
        ([(MailEvent.POSTED, 6, TRACKING)], MailEvent.POSTED, 7, TRACKING),
        ([(MailEvent.POSTED, 6, TRACKING)], MailEvent.DELIVERED, 5, None),
        ([(MailEvent.POSTED, 6, TRACKING), (MailEvent.DELIVERED, 8, None)], MailEvent.RETURNED, 9, None),
        ([(MailEvent.POSTED, 6, TRACKING), (MailEvent.DELIVERED, 8, None)], MailEvent.POSTED, 9, OTHER),
        ([(MailEvent.POSTED, 6, TRACKING), (MailEvent.RETURNED, 16, None)], MailEvent.DELIVERED, 17, None),
        ([(MailEvent.POSTED, 6, TRACKING), (MailEvent.RETURNED, 16, None)], MailEvent.POSTED, 15, OTHER),
    ],
)
async def test_what_cannot_follow_is_refused(
    db: Database,
    request_id: str,
    way: list[tuple[MailEvent, int, str | None]],
    event: MailEvent,
    day: int,
    tracking: str | None,
) -> None:
    await queue(db, request_id)
    for step in way:
        await mark(db, request_id, *step)
    async with db.begin() as conn:
        before = await letters.find(conn, f"{request_id}-L01")
    with pytest.raises(Refusal) as caught:
        await mark(db, request_id, event, day, tracking)
    assert (caught.value.code, caught.value.exit_status) == (Code.LETTER_STATE, 3)
    async with db.begin() as conn:
        assert await letters.find(conn, f"{request_id}-L01") == before


async def test_nobody_is_sure_until_somebody_has_found_out(db: Database, request_id: str) -> None:
    await queue(db, request_id)
    letter_id = f"{request_id}-L01"
    way = [
        (MailEvent.UNKNOWN, 6, None, LetterState.UNKNOWN),
        (MailEvent.NOT_POSTED, 7, None, LetterState.QUEUED),
        (MailEvent.UNKNOWN, 7, None, LetterState.UNKNOWN),
        (MailEvent.POSTED, 6, TRACKING, LetterState.POSTED),  # the day it was posted, before the doubt
        (MailEvent.RETURNED, 16, None, LetterState.RETURNED),
        (MailEvent.UNKNOWN, 20, None, LetterState.UNKNOWN),
        (MailEvent.NOT_POSTED, 21, None, LetterState.RETURNED),
    ]
    for event, day, tracking, state in way:
        assert await mark(db, request_id, event, day, tracking)
        assert not await mark(db, request_id, event, day, tracking)  # what is retried is done once
        async with db.begin() as conn:
            assert (await letters.find(conn, letter_id)).state is state
            unknown = await letters.list_unknown(conn)
            assert [row.id for row in unknown] == ([letter_id] if state is LetterState.UNKNOWN else [])
            assert await letters.list_unknown(conn, request_id="DR-2018-000009-9") == []
    async with db.begin() as conn:
        letter = await letters.find(conn, letter_id)
        assert (letter.posted_on, letter.ended_on) == (date(2018, 11, 6), date(2018, 11, 16))


async def test_only_what_waits_in_the_queue_is_cancelled(db: Database, request_id: str) -> None:
    keys = ["queued", "posted", "unknown", "printed"]
    queued, posted, unknown, printed = [await queue(db, request_id, key=key) for key in keys]
    await mark(db, request_id, MailEvent.POSTED, 6, TRACKING, number=2)
    await mark(db, request_id, MailEvent.UNKNOWN, 6, number=3)
    for _ in range(2):  # a retry answers the same
        async with db.begin() as conn:
            await letters.printed(conn, [printed], date(2018, 11, 6))
            named = [queued, posted, unknown, printed, "DR-2018-000009-9-L01"]
            assert await letters.cancel(conn, named, date(2018, 11, 7)) == (queued, printed)
            assert await letters.cancel(conn, [posted], date(2018, 11, 7)) == ()
    async with db.begin() as conn:
        states = {row.id: row.state for row in await letters.list_of_request(conn, request_id)}
        assert await letters.list_queued(conn) == []
    assert states == {
        queued: LetterState.CANCELLED,
        posted: LetterState.POSTED,
        unknown: LetterState.UNKNOWN,
        printed: LetterState.CANCELLED,
    }
    with pytest.raises(Refusal) as caught:
        await mark(db, request_id, MailEvent.POSTED, 8, TRACKING)
    assert caught.value.code is Code.LETTER_STATE


async def test_the_queue_shows_what_was_printed(db: Database, request_id: str) -> None:
    late = await queue(db, request_id, key="late", queued_on=date(2018, 11, 9))
    early = await queue(db, request_id, key="early", queued_on=date(2018, 11, 1))
    async with db.begin() as conn:
        other = await open_request(conn)
    third = await queue(db, other, queued_on=date(2018, 11, 3))
    async with db.begin() as conn:
        assert [row.id for row in await letters.list_queued(conn)] == [early, third, late]
        await letters.printed(conn, [early, third], date(2018, 11, 10))
        assert [row.printed_on for row in await letters.list_queued(conn, request_id=request_id)] == [
            date(2018, 11, 10),
            None,
        ]
        assert [row.id for row in await letters.list_queued(conn, not_printed=True)] == [late]
        assert await letters.list_queued(conn, not_printed=True, request_id=other) == []


async def test_a_tracking_number_that_was_used_before_is_told_by_its_posting_date(
    db: Database, request_id: str
) -> None:
    first, second, third = [await queue(db, request_id, key=key) for key in ("1", "2", "3")]
    await mark(db, request_id, MailEvent.POSTED, 6, TRACKING, number=1)
    await mark(db, request_id, MailEvent.DELIVERED, 8, number=1)
    await mark(db, request_id, MailEvent.POSTED, 12, TRACKING, number=2)
    await mark(db, request_id, MailEvent.POSTED, 20, TRACKING, number=3)
    await mark(db, request_id, MailEvent.RETURNED, 24, number=3)

    async def found(day: int, posted: int | None = None) -> str | None:
        async with db.begin() as conn:
            on, posted_on = date(2018, 11, day), None if posted is None else date(2018, 11, posted)
            row = await letters.by_tracking(conn, TRACKING, on=on, posted_on=posted_on)
            return None if row is None else row.id

    assert await found(8, posted=6) == first
    assert await found(25, posted=20) == third
    assert await found(25, posted=7) is None
    assert await found(8) == first  # no other was posted by then
    assert await found(13) == second
    assert await found(26) == second  # the one still under way
    assert await found(1) == second  # a date that cannot be right is refused later, not lost
    async with db.begin() as conn:
        assert await letters.by_tracking(conn, OTHER, on=date(2018, 11, 30)) is None


async def test_two_clerks_at_once_record_one_end(db: Database, request_id: str) -> None:
    await queue(db, request_id)
    await mark(db, request_id, MailEvent.POSTED, 6, TRACKING)
    async with db.begin() as conn:
        await letters.mark(
            conn, f"{request_id}-L01", event=MailEvent.DELIVERED, on=date(2018, 11, 8), tracking_number=None
        )
        second = asyncio.create_task(mark(db, request_id, MailEvent.RETURNED, 8))
        await asyncio.sleep(0.2)
        assert not second.done()
    with pytest.raises(Refusal) as caught:
        await second
    assert caught.value.code is Code.LETTER_STATE


async def test_posting_needs_a_tracking_number_and_a_letter(db: Database, request_id: str) -> None:
    await queue(db, request_id)
    with pytest.raises(Refusal) as caught:
        await mark(db, request_id, MailEvent.POSTED, 6)
    assert caught.value.code is Code.MALFORMED
    async with db.begin() as conn:
        for call in (
            letters.find(conn, "DR-2018-000009-9-L01"),
            letters.pdf(conn, db.vault, "DR-2018-000009-9-L01"),
            letters.mark(conn, "DR-2018-000009-9-L01", event=MailEvent.DELIVERED, on=QUEUED),
        ):
            with pytest.raises(Refusal) as caught:
                await call
            assert (caught.value.code, caught.value.exit_status) == (Code.UNKNOWN_LETTER, 4)


async def test_the_reason_of_a_return_is_sealed(db: Database, request_id: str) -> None:
    await queue(db, request_id)
    await mark(db, request_id, MailEvent.POSTED, 6, TRACKING)
    async with db.begin() as conn:
        reason_id = await db.vault.seal(
            conn, request_id, RecordClass.REQUEST_FILE, "reason", "転居先不明".encode()
        )
        letter_id = f"{request_id}-L01"
        await letters.mark(
            conn, letter_id, event=MailEvent.RETURNED, on=date(2018, 11, 16), reason_id=reason_id
        )
        letter = await letters.find(conn, letter_id)
        assert letter.reason_id == reason_id


async def test_a_destroyed_letter_says_so(db: Database, request_id: str) -> None:
    await queue(db, request_id)
    async with db.begin() as conn:
        await db.vault.destroy(conn, request_id, RecordClass.RESPONSE_CONTENT, rule="test")
        with pytest.raises(Destroyed):
            await letters.pdf(conn, db.vault, f"{request_id}-L01")


async def write(db: Database, request_id: str, text: str | bytes, id: UUID | None = None) -> UUID:
    async with db.begin() as conn:
        return await notes.write(
            conn,
            db.vault,
            request_id=request_id,
            purpose="return",
            content=text,
            written_by="approver-1",
            id=id,
        )


async def test_notes_are_sealed_and_read(db: Database, request_id: str) -> None:
    text, data = await write(db, request_id, "理由：住所の確認"), await write(db, request_id, b"\0\xff")
    async with db.begin() as conn:
        assert await notes.read_text(conn, db.vault, text) == "理由：住所の確認"
        assert await notes.read(conn, db.vault, data) == b"\0\xff"
        with pytest.raises(Destroyed):
            await notes.read(conn, db.vault, uuid4())


async def test_a_note_is_written_once_under_its_id(db: Database, request_id: str) -> None:
    id = uuid4()
    assert set(await asyncio.gather(*(write(db, request_id, "first", id) for _ in range(5)))) == {id}
    await write(db, request_id, "second", id)
    async with db.begin() as conn:
        assert await notes.read_text(conn, db.vault, id) == "first"
        assert await conn.scalar(select(func.count()).select_from(vault)) == 1
        other = await open_request(conn)
    with pytest.raises(Refusal) as caught:
        await write(db, other, "third", id)
    assert caught.value.code is Code.MALFORMED
