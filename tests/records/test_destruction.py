import asyncio
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import func, select

from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.vocabulary import Language, LetterKind, MailEvent, Outcome, RecordClass
from records import (
    audit,
    certificates,
    documents,
    envelopes,
    expiries,
    holds,
    ledger,
    letters,
    notes,
    requests,
    retention,
)
from records.changes import CHANGES
from records.database import Database
from records.tables import certificates as certificate_rows
from records.tables import data_keys, deposits, invoices, vault
from records.tables import documents as document_rows
from records.tables import envelopes as envelope_rows
from records.tables import letters as letter_rows
from records.tables import notes as note_rows
from records.vault import Destroyed
from runtime.keys import Keyring
from tests.records.material import SCANS, envelope, open_request
from tests.records.money import invoice
from tests.records.test_ledger import match, notify

ON = date(2018, 12, 20)
PACK = "gmo-appscloud-2018-10-22"


async def destroy(
    db: Database, request_id: str, record_class: RecordClass, *, closed: bool = True
) -> certificates.Certificate:
    async with db.begin() as conn:
        if closed:
            await requests.close(conn, request_id, Outcome.GRANTED, ON)
        return await retention.destroy_class(
            conn,
            db.vault,
            request_id=request_id,
            record_class=record_class,
            on=ON,
            rule="30 days after delivery or closure",
            clause="§1, Period of Retention",
            pack_version=PACK,
            by=audit.AUTOMATIC,
        )


async def fill(db: Database, keyring: Keyring, request_id: str) -> UUID:
    """A request with something in every class: answers the id of a note."""
    async with db.begin() as conn:
        await envelopes.record(
            conn,
            db.vault,
            keyring,
            envelope(),
            request_id=request_id,
            received_by="mailroom-1",
            scans=SCANS,
        )
    await invoice(db, request_id)
    await notify(db, keyring)
    await match(db)
    async with db.begin() as conn:
        note_id = await notes.write(
            conn,
            db.vault,
            request_id=request_id,
            purpose="hold",
            content="訴訟のため",
            written_by="manager-1",
        )
        await notes.write(
            conn,
            db.vault,
            request_id=request_id,
            purpose="gathered",
            content="{}",
            written_by="officer-1",
            record_class=RecordClass.RESPONSE_CONTENT,
        )
        await letters.queue(
            conn,
            db.vault,
            key="response",
            request_id=request_id,
            kind=LetterKind.RESPONSE,
            record_class=RecordClass.RESPONSE_CONTENT,
            language=Language.JA,
            queued_on=date(2018, 11, 16),
            pdf=b"%PDF-",
            pages=3,
        )
    return note_id


async def count(db: Database, *tables: object) -> list[int]:
    async with db.begin() as conn:
        return [
            await conn.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]
            for table in tables
        ]


EXPECTED = {
    RecordClass.IDENTITY_DOCUMENTS: ({"scan": 2}, {"documents": 3}),
    RecordClass.RESPONSE_CONTENT: ({"letter": 1, "note": 1}, {"letters": 1, "notes": 1}),
    RecordClass.PAYMENT_RECORDS: (
        {"letter": 1, "deposit": 1},
        {"letters": 1, "invoices": 1, "deposits": 1, "webhooks": 1, "allocations": 1, "errands": 1},
    ),
    RecordClass.REQUEST_FILE: (
        {"envelope": 1, "parties": 1, "note": 1},
        {"envelopes": 1, "notes": 1, "custody": 6},
    ),
}


@pytest.mark.parametrize(
    "order", [list(EXPECTED), list(reversed(EXPECTED)), [*list(EXPECTED)[2:], *list(EXPECTED)[:2]]]
)
async def test_class_by_class_nothing_is_left_but_certificates(
    db: Database, keyring: Keyring, request_id: str, order: list[RecordClass]
) -> None:
    await fill(db, keyring, request_id)
    async with db.begin() as conn:
        sealed = list(await conn.scalars(select(vault.c.id)))
        assert not await retention.mark_destroyed(conn, request_id, ON)
    for record_class in order:
        written = await destroy(db, request_id, record_class)
        assert written.sealed == EXPECTED[record_class][0]
        assert written.records == sum(written.sealed.values())
        if order == list(EXPECTED):  # otherwise rows may be gone with those they belong to
            assert written.rows == EXPECTED[record_class][1]
    assert (
        await count(
            db, vault, data_keys, envelope_rows, document_rows, letter_rows, note_rows, deposits, invoices
        )
        == [0] * 8
    )
    async with db.begin() as conn:
        for id in sealed:
            with pytest.raises(Destroyed):
                await db.vault.unseal(conn, id)
        assert await requests.parties(conn, db.vault, request_id) is None
        assert await retention.mark_destroyed(conn, request_id, ON)
        assert await retention.mark_destroyed(conn, request_id, date(2030, 1, 1))
        assert (await requests.find(conn, request_id)).destroyed_on == ON
        assert [c.record_class for c in await certificates.of_request(conn, request_id)] == order
        assert (await audit.verify(conn)).broken == ()


async def test_nothing_is_sealed_in_a_class_after_its_end(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await fill(db, keyring, request_id)
    await destroy(db, request_id, RecordClass.RESPONSE_CONTENT)
    with pytest.raises(Destroyed):
        async with db.begin() as conn:
            await db.vault.seal(conn, request_id, RecordClass.RESPONSE_CONTENT, "note", b"late")
    async with db.begin() as conn:
        await db.vault.seal(conn, request_id, RecordClass.REQUEST_FILE, "note", b"in time")
        left = list(await conn.scalars(select(data_keys.c.record_class)))
    assert RecordClass.RESPONSE_CONTENT not in left


async def test_an_open_request_keeps_everything(db: Database, keyring: Keyring, request_id: str) -> None:
    await fill(db, keyring, request_id)
    for record_class in RecordClass:
        with pytest.raises(Refusal) as caught:
            await destroy(db, request_id, record_class, closed=False)
        assert caught.value.code is Code.WRONG_PHASE
    async with db.begin() as conn:
        assert await certificates.of_request(conn, request_id) == []
    await destroy(db, request_id, RecordClass.IDENTITY_DOCUMENTS)
    async with db.begin() as conn:
        await requests.reopen(conn, request_id)  # as nothing does once a class is gone
    again = await destroy(db, request_id, RecordClass.IDENTITY_DOCUMENTS, closed=False)
    assert again.record_class == RecordClass.IDENTITY_DOCUMENTS


@pytest.mark.parametrize(
    ("purpose", "by", "rests"),
    [
        (Act.EXTEND, "officer-1", True),
        (Act.EXTEND, "officer-2", False),
        (Act.PROPOSE_RESPONSE, "officer-1", False),
        (Act.PLACE_HOLD, "officer-1", False),
        (notes.GATHERED, "officer-1", False),
        (CHANGES, "officer-1", False),
    ],
)
async def test_an_act_rests_on_what_its_actor_wrote_for_it(
    db: Database, request_id: str, purpose: str, by: str, rests: bool
) -> None:
    async with db.begin() as conn:
        written = await notes.write(
            conn, db.vault, request_id=request_id, purpose=purpose, content="{}", written_by=by
        )
        named = notes.sealed_as(conn, request_id, written, act=Act.EXTEND, by="officer-1")
        if rests:
            assert await named is not None
            return
        with pytest.raises(Refusal) as caught:
            await named
    assert caught.value.code is Code.NOT_FOUND


async def test_one_class_leaves_the_others_readable(db: Database, keyring: Keyring, request_id: str) -> None:
    note_id = await fill(db, keyring, request_id)
    await destroy(db, request_id, RecordClass.IDENTITY_DOCUMENTS)
    async with db.begin() as conn:
        assert await documents.attached_documents(conn, request_id) == []
        assert len(await envelopes.list_envelopes(conn, request_id)) == 1
        parties = await requests.parties(conn, db.vault, request_id)
        assert parties is not None
        assert parties.principal.name == "見本 花子"
        assert await notes.read_text(conn, db.vault, note_id) == "訴訟のため"
        assert await letters.pdf(conn, db.vault, f"{request_id}-L02") == b"%PDF-"
        assert (await ledger.payments(conn, request_id)).paid


async def test_another_request_is_not_touched(db: Database, keyring: Keyring, request_id: str) -> None:
    await fill(db, keyring, request_id)
    before = await count(db, vault, data_keys, envelope_rows, letter_rows)
    async with db.begin() as conn:
        other = await open_request(conn)
    for record_class in RecordClass:
        assert (await destroy(db, other, record_class)).records == 0
    assert await count(db, vault, data_keys, envelope_rows, letter_rows) == before


async def test_a_repeat_answers_the_first_certificate(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await fill(db, keyring, request_id)
    destroyed = await asyncio.gather(*(destroy(db, request_id, RecordClass.REQUEST_FILE) for _ in range(4)))
    assert all(other == destroyed[0] for other in destroyed)
    assert await count(db, certificate_rows) == [1]
    async with db.begin() as conn:
        (event,) = [e for e in await audit.events(conn, request_id) if e.act == "records_destroyed"]
        assert event.previous == destroyed[0].audit_digest
        assert event.detail["keys"] == [str(key_id) for key_id in destroyed[0].key_ids]
        assert event.detail["clause"] == "§1, Period of Retention"


async def test_a_letter_behind_an_invoice_stays_as_a_row_without_its_words(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    async with db.begin() as conn:
        await conn.execute(letter_rows.update().values(record_class=RecordClass.REQUEST_FILE))
        await conn.execute(vault.delete())
        pdf_id = await db.vault.seal(conn, request_id, RecordClass.REQUEST_FILE, "letter", b"%PDF-")
        await conn.execute(letter_rows.update().values(pdf_id=pdf_id))
    await destroy(db, request_id, RecordClass.REQUEST_FILE)
    async with db.begin() as conn:
        assert len(await letters.list_of_request(conn, request_id)) == 1
        with pytest.raises(Destroyed):
            await letters.pdf(conn, db.vault, f"{request_id}-L01")


async def test_a_hold_stops_destruction_until_it_is_released(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    note_id = await fill(db, keyring, request_id)
    async with db.begin() as conn:
        for number, placed in ((1, True), (1, False), (2, True)):
            assert placed is await holds.place(
                conn, request_id=request_id, number=number, by="manager-1", on=ON, note_id=note_id
            )
    before = await count(db, vault, data_keys)
    for release in (1, None):
        with pytest.raises(Refusal) as caught:
            await destroy(db, request_id, RecordClass.REQUEST_FILE)
        assert (caught.value.code, caught.value.exit_status) == (Code.ON_HOLD, 3)
        async with db.begin() as conn:
            assert (
                await holds.release(conn, request_id=request_id, by="manager-1", on=ON, number=release) == 1
            )
    assert await count(db, vault, data_keys, certificate_rows) == [*before, 0]
    assert (await destroy(db, request_id, RecordClass.REQUEST_FILE)).records == 3
    async with db.begin() as conn:
        first, _ = await holds.of_request(conn, request_id)
        assert (first.released_by, first.released_on, first.note_id) == ("manager-1", ON, None)
        assert await holds.release(conn, request_id=request_id, by="manager-1", on=ON) == 0


async def test_a_hold_and_a_destruction_at_once_never_both_pass(db: Database, keyring: Keyring) -> None:
    async def place(id: str) -> bool:
        async with db.begin() as conn:
            await holds.place(conn, request_id=id, number=1, by="manager-1", on=ON)
            return not await certificates.of_request(conn, id)

    async def try_to_destroy(id: str) -> bool:
        try:
            await destroy(db, id, RecordClass.REQUEST_FILE)
        except Refusal:
            return False
        return True

    async with db.begin() as conn:
        ids = [await open_request(conn) for _ in range(10)]
    for id in ids:
        in_time, destroyed = await asyncio.gather(place(id), try_to_destroy(id))
        assert in_time != destroyed


async def test_a_destruction_waits_for_a_hold_that_is_being_placed(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        await holds.place(conn, request_id=request_id, number=1, by="manager-1", on=ON)
        attempt = asyncio.create_task(destroy(db, request_id, RecordClass.REQUEST_FILE))
        await asyncio.sleep(0.2)
        assert not attempt.done()
    with pytest.raises(Refusal):
        await attempt


async def test_an_unknown_request_is_refused(db: Database) -> None:
    with pytest.raises(Refusal) as caught:
        await destroy(db, "DR-2018-000099-1", RecordClass.REQUEST_FILE)
    assert caught.value.code is Code.UNKNOWN_REQUEST


async def test_what_is_due_counts_from_delivery_and_shows_holds(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await fill(db, keyring, request_id)
    letter_id = f"{request_id}-L02"
    async with db.begin() as conn:
        assert await expiries.due(conn, date(2100, 1, 1)) == []  # it has not ended
        await letters.mark(
            conn,
            letter_id,
            event=MailEvent.POSTED,
            on=date(2018, 11, 19),
            tracking_number="405548424886",
        )
        await letters.mark(conn, letter_id, event=MailEvent.DELIVERED, on=date(2018, 11, 20))
        await requests.close(conn, request_id, Outcome.GRANTED, date(2018, 11, 20))
        assert await expiries.due(conn, ON) == []  # nothing is put down yet
        assert await expiries.write_missing(conn, 10) == 1
        assert await expiries.write_missing(conn, 10) == 0
        assert await expiries.delivered_on(conn, request_id) == date(2018, 11, 20)
        assert await expiries.due(conn, date(2018, 12, 19)) == []
        (due,) = await expiries.due(conn, ON)
        assert (due.request_id, due.expiry.record_class, due.expiry.on, due.held) == (
            request_id,
            RecordClass.IDENTITY_DOCUMENTS,
            ON,
            False,
        )
        await holds.place(conn, request_id=request_id, number=1, by="manager-1", on=ON)
        everything = await expiries.due(conn, date(2026, 1, 1))
        assert [entry.expiry.record_class for entry in everything] == [
            RecordClass.IDENTITY_DOCUMENTS,
            RecordClass.RESPONSE_CONTENT,
            RecordClass.REQUEST_FILE,
            RecordClass.PAYMENT_RECORDS,
        ]
        assert all(entry.held for entry in everything)
        assert [entry.expiry.on for entry in everything][-1] == date(2026, 1, 1)
        await holds.release(conn, request_id=request_id, by="manager-1", on=ON)
    await destroy(db, request_id, RecordClass.IDENTITY_DOCUMENTS)
    async with db.begin() as conn:
        assert await expiries.due(conn, ON) == []
