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


async def queue(db: Database, request_id: str, pdf: bytes = b"%PDF-1") -> bool:
    async with db.begin() as conn:
        return await letters.queue(
            conn,
            db.vault,
            letter_id=f"{request_id}-L01",
            request_id=request_id,
            kind=LetterKind.RESPONSE,
            record_class=RecordClass.RESPONSE_CONTENT,
            language=Language.JA,
            queued_on=QUEUED,
            pdf=pdf,
            pages=2,
        )


async def mark(
    db: Database, request_id: str, event: MailEvent, day: int, tracking: str | None = None
) -> bool:
    async with db.begin() as conn:
        return await letters.mark(
            conn, f"{request_id}-L01", event=event, on=date(2018, 11, day), tracking_number=tracking
        )


async def test_a_letter_is_queued_once_even_ten_at_once(db: Database, request_id: str) -> None:
    queued = await asyncio.gather(*(queue(db, request_id, b"%PDF-1") for _ in range(10)))
    assert sum(queued) == 1
    assert not await queue(db, request_id, b"%PDF-other")
    async with db.begin() as conn:
        assert await letters.pdf(conn, db.vault, f"{request_id}-L01") == b"%PDF-1"
        assert await conn.scalar(select(func.count()).select_from(vault)) == 1
        (letter,) = await letters.list_queued(conn)
        assert (letter.id, letter.state, letter.pages) == (f"{request_id}-L01", LetterState.QUEUED, 2)
        assert await letters.list_of_request(conn, request_id) == [letter]


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
        await db.vault.destroy(conn, request_id, RecordClass.RESPONSE_CONTENT)
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
