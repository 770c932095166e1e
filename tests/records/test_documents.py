"""Documents, what becomes of them in our hands, and what may be a scan of one."""

import io
import zipfile
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from policy.refusals import Code, Refusal
from policy.vocabulary import CustodyEvent, DocumentKind, Medium, RecordClass
from records import documents, envelopes
from records.database import Database
from records.scans import scan_type
from runtime.keys import Keyring
from tests.records.material import JPEG, PNG, SCANS, envelope, jpeg, png
from tests.records.test_destruction import destroy

ON = date(2018, 11, 5)
LETTER = "DR-2018-000001-8-L01"
PROXY = {"name": "代理 次郎", "address": "東京都港区芝0-0-0"}
ORIGINALS: list[dict[str, object]] = [
    {"kind": "request_form"},
    {"kind": "power_of_attorney"},
    {"kind": "certificate_of_residence", "medium": "original", "holder": "principal"},
    {"kind": "seal_registration_certificate", "medium": "original", "holder": "principal"},
    {"kind": "passport", "medium": "copy", "holder": "applicant"},
]


async def receive(
    db: Database, keyring: Keyring, id: str, scans: dict[str, bytes] = SCANS, **changes: object
) -> None:
    async with db.begin() as conn:
        await envelopes.record(
            conn, db.vault, keyring, envelope(**changes), request_id=id, received_by="mailroom-1", scans=scans
        )


async def by_proxy(db: Database, keyring: Keyring, id: str) -> None:
    await receive(db, keyring, id, capacity="proxy", applicant=PROXY, documents=ORIGINALS)


async def change(
    db: Database, id: str, number: int, event: CustodyEvent, key: str, replaced_by: int | None = None
) -> bool:
    async with db.begin() as conn:
        return await documents.change(
            conn, id, number, event, on=ON, by="officer-1", key=key, replaced_by=replaced_by
        )


async def custody(db: Database, id: str) -> list[tuple[int, CustodyEvent]]:
    async with db.begin() as conn:
        rows = await documents.list_custody(conn, id)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    return [(row.document, row.event) for row in rows]


async def counting(db: Database, id: str) -> list[DocumentKind]:
    async with db.begin() as conn:
        return [document.kind for document in await documents.attached_documents(conn, id)]


async def originals(db: Database, id: str) -> list[int]:
    async with db.begin() as conn:
        return [row.ordinal for row in await documents.originals(conn, id)]


async def test_documents_are_numbered_through_all_envelopes_and_their_receipt_is_custody(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    late = {"posted_on": "2018-11-10", "received_on": "2018-11-12", "documents": [{"kind": "passport"}]}
    for _ in range(2):  # recorded twice: the second time is no receipt
        await receive(db, keyring, request_id, **late)
    aside = late | {"posted_on": "2018-11-11", "principal": {"name": "別 人", "address": "大阪府"}}
    await receive(db, keyring, request_id, **aside)
    async with db.begin() as conn:
        rows = await documents.list_documents(conn, request_id)
        received = await documents.list_custody(conn, request_id)
        fourth = await documents.find(conn, request_id, 4)
    assert [(row.ordinal, row.envelope, row.attached) for row in rows] == [
        (1, 1, True),
        (2, 1, True),
        (3, 1, True),
        (4, 2, True),
        (5, 3, False),
    ]
    assert [row.scan_type for row in rows] == [None, "image/png", "image/jpeg", None, None]
    assert (fourth.kind, fourth.submitted_on) == (DocumentKind.PASSPORT, date(2018, 11, 10))
    assert [(row.document, row.on, row.by) for row in received][2:4] == [
        (3, date(2018, 11, 2), "mailroom-1"),
        (4, date(2018, 11, 12), "mailroom-1"),
    ]
    assert {row.event for row in received} == {CustodyEvent.RECEIVED}


async def test_a_later_envelope_with_only_what_is_missing_is_judged_with_the_first(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id, documents=[{"kind": "request_form"}])
    await receive(
        db,
        keyring,
        request_id,
        posted_on="2018-12-20",
        received_on="2018-12-21",
        documents=[{"kind": "drivers_license"}],
    )
    async with db.begin() as conn:
        form, licence = await documents.attached_documents(conn, request_id)
    assert (form.submitted_on, licence.submitted_on) == (date(2018, 11, 1), date(2018, 12, 20))


async def test_what_is_struck_out_or_replaced_no_longer_counts(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    await receive(
        db,
        keyring,
        request_id,
        posted_on="2018-11-03",
        received_on="2018-11-03",
        documents=[{"kind": "passport"}],
    )
    for fresh in (True, False):
        assert await change(db, request_id, 2, CustodyEvent.STRUCK_OUT, "a") is fresh
        assert await change(db, request_id, 3, CustodyEvent.REPLACED, "b", replaced_by=4) is fresh
        assert await change(db, request_id, 3, CustodyEvent.COPIED, "c") is fresh
    assert await counting(db, request_id) == [DocumentKind.REQUEST_FORM, DocumentKind.PASSPORT]
    assert (await custody(db, request_id))[4:] == [
        (2, CustodyEvent.STRUCK_OUT),
        (3, CustodyEvent.REPLACED),
        (3, CustodyEvent.COPIED),
    ]
    async with db.begin() as conn:
        assert [row.struck_out for row in await documents.list_documents(conn, request_id)] == [
            False,
            True,
            True,
            False,
        ]
        (replaced,) = [row for row in await documents.list_custody(conn, request_id) if row.replaced_by]
    assert (replaced.document, replaced.replaced_by) == (3, 4)


@pytest.mark.parametrize(
    ("number", "event", "replaced_by", "code"),
    [
        (9, CustodyEvent.STRUCK_OUT, None, Code.UNKNOWN_DOCUMENT),
        (9, CustodyEvent.COPIED, None, Code.UNKNOWN_DOCUMENT),
        (2, CustodyEvent.STRUCK_OUT, None, Code.NOTHING_TO_DECIDE),
        (2, CustodyEvent.REPLACED, 3, Code.NOTHING_TO_DECIDE),
        (3, CustodyEvent.REPLACED, None, Code.MALFORMED),
        (3, CustodyEvent.REPLACED, 3, Code.MALFORMED),
        (3, CustodyEvent.REPLACED, 2, Code.MALFORMED),  # struck out
        (3, CustodyEvent.REPLACED, 4, Code.MALFORMED),  # not attached
        (3, CustodyEvent.REPLACED, 9, Code.UNKNOWN_DOCUMENT),
        (3, CustodyEvent.RETURNED, None, Code.MALFORMED),
        (3, CustodyEvent.DESTROYED, None, Code.MALFORMED),
    ],
)
async def test_what_cannot_become_of_a_document_is_refused_and_changes_nothing(
    db: Database,
    keyring: Keyring,
    request_id: str,
    number: int,
    event: CustodyEvent,
    replaced_by: int | None,
    code: Code,
) -> None:
    await receive(db, keyring, request_id)
    other = {"posted_on": "2018-11-03", "received_on": "2018-11-03", "capacity": "proxy", "applicant": PROXY}
    await receive(db, keyring, request_id, **other, documents=[{"kind": "request_form"}])
    await change(db, request_id, 2, CustodyEvent.STRUCK_OUT, "a")
    before = await custody(db, request_id)
    with pytest.raises(Refusal) as caught:
        await change(db, request_id, number, event, "b", replaced_by)
    assert caught.value.code is code
    assert await custody(db, request_id) == before
    assert await counting(db, request_id) == [DocumentKind.REQUEST_FORM, DocumentKind.DRIVERS_LICENSE]


async def test_originals_go_back_with_the_letter_and_may_come_back_with_it(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await by_proxy(db, keyring, request_id)
    assert await originals(db, request_id) == [3, 4]
    await change(db, request_id, 4, CustodyEvent.STRUCK_OUT, "a")
    assert await originals(db, request_id) == [3]

    async def move(how: str, key: str) -> None:
        async with db.begin() as conn:
            act = documents.returned if how == "posted" else documents.came_back
            await act(conn, request_id, letter_id=LETTER, on=ON, by="mailroom-1", key=key)

    for key in ("1/posted", "1/posted"):  # a repeat is no second return
        await move("posted", key)
    assert await originals(db, request_id) == []
    await move("returned", "2/returned")
    assert await originals(db, request_id) == [3]
    await move("posted", "3/posted")
    assert (await custody(db, request_id))[6:] == [
        (3, CustodyEvent.RETURNED),
        (3, CustodyEvent.RECEIVED),
        (3, CustodyEvent.RETURNED),
    ]


async def test_an_envelope_set_aside_has_no_originals_to_return(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    aside = {"posted_on": "2018-11-03", "received_on": "2018-11-03", "capacity": "proxy", "applicant": PROXY}
    await receive(db, keyring, request_id, **aside, documents=ORIGINALS)
    assert await originals(db, request_id) == []


async def test_what_is_left_is_destroyed_and_its_custody_says_so(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await by_proxy(db, keyring, request_id)
    async with db.begin() as conn:
        await documents.returned(conn, request_id, letter_id=LETTER, on=ON, by="mailroom-1", key="posted")
    await destroy(db, request_id, RecordClass.IDENTITY_DOCUMENTS)
    gone = [number for number, event in await custody(db, request_id) if event is CustodyEvent.DESTROYED]
    assert gone == [1, 2, 5]
    async with db.begin() as conn:
        assert await documents.list_documents(conn, request_id) == []
        rows = await documents.list_custody(conn, request_id)
    assert {(row.kind, row.medium) for row in rows if row.document == 4} == {
        (DocumentKind.SEAL_REGISTRATION_CERTIFICATE, Medium.ORIGINAL)
    }
    written = await destroy(db, request_id, RecordClass.REQUEST_FILE)
    assert written.rows["custody"] == len(rows) == 10
    assert await custody(db, request_id) == []


# ── scans ─────────────────────────────────────────────────────────────────────────────────────────────────


def saved(format: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "white").save(file, format)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zip:
        zip.writestr("page.html", "<p>")
    return file.getvalue()


PDF = saved("PDF")


@pytest.mark.parametrize(
    ("scan", "found"),
    [
        (saved("PNG"), "image/png"),
        (saved("JPEG"), "image/jpeg"),
        (PDF, "application/pdf"),
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
    ],
)
def test_a_picture_or_a_pdf_is_known_by_its_content(scan: bytes, found: str) -> None:
    assert scan_type(scan) == found
    assert scan_type(scan[:-30]) is None  # it stops in the middle
    assert scan_type(scan + archive()) is None
    assert scan_type(b" " + scan) is None


@pytest.mark.parametrize(
    "scan",
    [
        b"",
        saved("GIF"),
        saved("BMP"),
        saved("TIFF"),
        archive(),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        PNG[:8],
        PNG[:12] + b"IDAT" + PNG[16:],  # no header
        PNG + b"!",
        png(b"%PDF-1.7"),  # some readers would take it for a PDF
        jpeg(b"%PDF-1.7"),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0 any text\xff\xd9",
        b"\xff\xd8\xff\xda\0\2\xff\xd9",  # no frame
        b"%PDF-1.7\n",
    ],
)
def test_what_is_no_scan_is_refused(scan: bytes) -> None:
    assert scan_type(scan) is None


starts = st.sampled_from(
    [b"", PNG[:8], PNG[:33], b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JFIF", b"%PDF-1.7\n"]
)


@given(starts, st.binary(max_size=300))
def test_random_bytes_are_refused_whatever_they_begin_with(start: bytes, rest: bytes) -> None:
    assert scan_type(start + rest) is None


@given(st.sampled_from([PNG, saved("JPEG"), PDF]), st.data())
def test_a_scan_cut_off_anywhere_is_refused(scan: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(scan) - 8))
    assert scan_type(scan[:end]) is None
