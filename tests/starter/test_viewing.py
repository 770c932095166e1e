"""A scan is seen by whoever may see it, and each look leaves a trace."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest

from policy.calendar import today_in_tokyo
from policy.refusals import Code, Refusal
from policy.vocabulary import CustodyEvent, DocumentKind, RecordClass
from records import audit, documents, envelopes, retention, staff
from records.database import Database
from runtime.keys import Keyring
from starter.documents import view
from tests.records.material import JPEG, PNG, SCANS, envelope, open_request


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        await staff.seed_development(conn)
    yield database
    await database.dispose()


@pytest.fixture
async def request_id(database: Database, keyring: Keyring) -> str:
    async with database.begin() as conn:
        id = await open_request(conn)
        await envelopes.record(
            conn,
            database.vault,
            keyring,
            envelope(),
            request_id=id,
            received_by="mailroom-1",
            scans=SCANS,
        )
    return id


async def looks(database: Database, id: str) -> tuple[list[tuple[int, str]], list[dict[str, object]]]:
    """Who looked at which document: by the custody, and by the audit trail."""
    async with database.begin() as conn:
        custody = await documents.list_custody(conn, id)
        events = await audit.events(conn, id)
    looked = [row for row in custody if row.event is CustodyEvent.LOOKED_AT]
    assert all(row.on == today_in_tokyo(datetime.now(UTC)) for row in looked)
    return (
        [(row.document, row.by) for row in looked],
        [dict(event.detail) for event in events if event.act in ("document_viewed", "refused")],
    )


async def refused(database: Database, id: str, number: int, by: str = "officer-1") -> Refusal:
    with pytest.raises(Refusal) as caught:
        await view(database, id, number, by=by)
    return caught.value


async def test_each_look_is_in_the_custody_and_in_the_audit_trail(
    database: Database, request_id: str
) -> None:
    residence = await view(database, request_id, 2, by="officer-1")
    assert (residence.content, residence.media_type) == (PNG, "image/png")
    assert residence.document.kind is DocumentKind.CERTIFICATE_OF_RESIDENCE
    assert "IHDR" not in repr(residence)
    await view(database, request_id, 2, by="officer-1")
    licence = await view(database, request_id, 3, by="approver-1")
    assert (licence.content, licence.media_type) == (JPEG, "image/jpeg")
    assert await looks(database, request_id) == (
        [(2, "officer-1"), (2, "officer-1"), (3, "approver-1")],
        [{"document": 2}, {"document": 2}, {"document": 3}],
    )


@pytest.mark.parametrize(("by", "code"), [("mailroom-1", Code.WRONG_ROLE), ("nobody", Code.UNKNOWN_STAFF)])
async def test_who_may_not_look_sees_nothing_and_the_attempt_stays(
    database: Database, request_id: str, by: str, code: Code
) -> None:
    assert (await refused(database, request_id, 2, by)).code is code
    assert await looks(database, request_id) == ([], [{"act": "view_document", "code": code.value}])


async def test_what_cannot_be_seen_is_said(database: Database, request_id: str) -> None:
    assert (await refused(database, request_id, 9)).code is Code.UNKNOWN_DOCUMENT
    assert (await refused(database, "DR-2018-000099-1", 2)).code is Code.UNKNOWN_REQUEST
    without = await refused(database, request_id, 1)
    assert (without.code, "without a scan" in without.message) == (Code.NOT_FOUND, True)
    assert await looks(database, request_id) == ([], [])


async def test_what_is_destroyed_says_when(database: Database, request_id: str) -> None:
    async with database.begin() as conn:
        await retention.destroy_class(
            conn,
            database.vault,
            request_id=request_id,
            record_class=RecordClass.IDENTITY_DOCUMENTS,
            on=date(2018, 12, 20),
            rule="30 days after delivery or closure",
            clause="§1, Period of Retention",
            pack_version="gmo-appscloud-2018-10-22",
            by=audit.AUTOMATIC,
        )
    gone = await refused(database, request_id, 2)
    assert (gone.code, gone.clause) == (Code.NOT_FOUND, "§1, Period of Retention")
    assert "destroyed on 2018-12-20" in gone.message
