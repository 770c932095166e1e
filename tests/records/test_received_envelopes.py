import asyncio
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from policy.envelope import Party
from policy.refusals import Code, Refusal
from policy.vocabulary import Amendment, Capacity, DocumentKind, Holder, Kind, Medium, Outcome
from records import audit, documents, envelopes, requests
from records.database import Database
from records.folding import fold, same_person
from records.scans import MAX_SCAN_BYTES
from records.tables import documents as document_rows
from records.tables import envelopes as envelope_rows
from records.tables import vault
from runtime.keys import Keyring
from tests.records.material import JPEG, PNG, SCANS, envelope, open_request, png

PROXY = {"name": "代理 次郎", "address": "東京都港区芝0-0-0"}
PRINCIPAL = {"name": "見本 花子", "address": "東京都渋谷区桜丘町26-1", "born_on": "1980-04-01"}


async def receive(
    db: Database, keyring: Keyring, id: str, /, scans: dict[str, bytes] = SCANS, **changes: object
) -> envelopes.Recorded:
    async with db.begin() as conn:
        return await envelopes.record(
            conn,
            db.vault,
            keyring,
            envelope(**changes),
            request_id=id,
            received_by="mailroom-1",
            scans=scans,
        )


async def test_the_first_envelope_says_who_the_request_is_about(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    recorded = await receive(
        db, keyring, request_id, services=["sample-hosting", "gmo-appscloud"], language="en"
    )
    assert (recorded.number, recorded.attached, recorded.repeated) == (1, True, False)
    async with db.begin() as conn:
        parties = await requests.parties(conn, db.vault, request_id)
        assert parties is not None
        assert (parties.principal.name, parties.applicant) == ("見本 花子", None)
        row = await requests.find(conn, request_id)
        assert (row.services, row.language) == (("sample-hosting", "gmo-appscloud"), "en")
        (entry,) = await envelopes.list_envelopes(conn, request_id)
        assert (entry.tracking_number, entry.submitted_on) == ("13112383852", date(2018, 11, 1))
        event = (await audit.events(conn, request_id))[-1]
        assert (event.act, event.actor, event.detail["attached"]) == ("envelope_received", "mailroom-1", True)


async def test_documents_come_back_as_the_rules_judge_them(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    async with db.begin() as conn:
        form, residence, licence = await documents.attached_documents(conn, request_id)
        assert (form.kind, form.medium, form.scan_fingerprint) == (
            DocumentKind.REQUEST_FORM,
            Medium.ORIGINAL,
            None,
        )
        assert (residence.issued_on, residence.submitted_on) == (date(2018, 10, 20), date(2018, 11, 1))
        assert (residence.medium, residence.holder) == (Medium.COPY, Holder.PRINCIPAL)
        assert None is not residence.scan_fingerprint != licence.scan_fingerprint
        rows = (await conn.execute(select(document_rows).order_by(document_rows.c.number))).all()
        assert [row.scan_type for row in rows] == [None, "image/png", "image/jpeg"]
        assert [await db.vault.unseal(conn, row.scan_id) for row in rows[1:]] == [PNG, JPEG]


async def test_the_same_scan_twice_has_the_same_fingerprint(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id, scans={"residence.png": PNG, "licence.jpg": PNG})
    async with db.begin() as conn:
        _, one, other = await documents.attached_documents(conn, request_id)
        assert one.scan_fingerprint == other.scan_fingerprint


async def test_the_same_envelope_again_is_a_repeat(db: Database, keyring: Keyring, request_id: str) -> None:
    first = await receive(db, keyring, request_id)
    again = await receive(db, keyring, request_id)
    renamed = [
        {"kind": "request_form"},
        {"kind": "certificate_of_residence", "issued_on": "2018-10-20", "scan": "b.png"},
        {"kind": "drivers_license", "scan": "a.jpg"},
    ]
    moved = await receive(db, keyring, request_id, scans={"a.jpg": JPEG, "b.png": PNG}, documents=renamed)
    with_id = await receive(db, keyring, request_id, request_id=request_id)
    for repeat in (again, moved, with_id):
        assert repeat.repeated
        assert (repeat.envelope_id, repeat.request_id, repeat.number) == (first.envelope_id, request_id, 1)
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(envelope_rows)) == 1


async def test_a_repeat_is_known_before_a_request_is_opened_for_it(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    async with db.begin() as conn:
        assert await envelopes.lookup(conn, keyring, envelope(), SCANS) is None
    first = await receive(db, keyring, request_id)
    async with db.begin() as conn:
        known = await envelopes.lookup(conn, keyring, envelope(), SCANS)
        assert known is not None
        assert (known.request_id, known.envelope_id) == (request_id, first.envelope_id)


async def test_a_repeat_after_the_end_is_still_a_repeat_but_a_new_one_is_refused(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    async with db.begin() as conn:
        await requests.close(conn, request_id, Outcome.WITHDRAWN, date(2018, 11, 20))
    assert (await receive(db, keyring, request_id)).repeated
    with pytest.raises(Refusal) as caught:
        await receive(db, keyring, request_id, posted_on="2018-11-02")
    assert caught.value.code is Code.ENDED


@pytest.mark.parametrize(
    ("scans", "changes"),
    [
        (SCANS, {"particulars": "別の内容"}),
        (SCANS, {"kind": "purpose_notification"}),
        (SCANS, {"principal": PRINCIPAL}),
        (SCANS, {"request_id": "DR-2018-000002-6"}),
        (SCANS, {"documents": []}),
        (SCANS | {"residence.png": png(b"another")}, {}),
    ],
)
async def test_other_content_under_the_same_number_and_date_is_a_conflict(
    db: Database, keyring: Keyring, request_id: str, scans: dict[str, bytes], changes: dict[str, object]
) -> None:
    await receive(db, keyring, request_id)
    with pytest.raises(Refusal) as caught:
        await receive(db, keyring, request_id, scans=scans, **changes)
    assert (caught.value.code, caught.value.clause) == (Code.ENVELOPE_CONFLICT, "§5(2)(5)")


async def test_a_tracking_number_is_used_again_on_another_day(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    later = await receive(db, keyring, request_id, posted_on="2018-11-02")
    unread = await receive(db, keyring, request_id, posted_on=None, received_on="2018-12-02")
    assert [(later.number, later.repeated), (unread.number, unread.repeated)] == [(2, False), (3, False)]


async def test_ten_at_once_record_one(db: Database, keyring: Keyring, request_id: str) -> None:
    recorded = await asyncio.gather(*(receive(db, keyring, request_id) for _ in range(10)))
    assert sorted(r.repeated for r in recorded) == [False] + [True] * 9
    assert len({r.envelope_id for r in recorded}) == 1
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(vault)) == 4  # parties, content, two scans


@pytest.mark.parametrize(
    ("changes", "attached"),
    [
        ({"principal": PRINCIPAL | {"name": "見本　花子", "address": "別の住所"}}, False),
        ({"principal": {"name": "見本花子", "address": "東京都渋谷区桜丘町２６－１"}}, True),
        ({"principal": PRINCIPAL | {"born_on": "1980-04-02"}}, False),
        ({"principal": {"name": "見本 花子", "address": "別の住所"}}, False),
        ({"principal": PRINCIPAL | {"name": "見本 太郎"}}, False),
        ({"kind": "purpose_notification"}, False),
        ({"capacity": "proxy", "applicant": PROXY, "documents": []}, False),
    ],
)
async def test_an_envelope_of_other_people_or_kind_is_set_aside(
    db: Database, keyring: Keyring, request_id: str, changes: dict[str, object], attached: bool
) -> None:
    await receive(db, keyring, request_id)
    later = await receive(db, keyring, request_id, posted_on="2018-11-02", **changes)
    assert later.attached is attached
    async with db.begin() as conn:
        documents_then = await documents.attached_documents(conn, request_id)
        row = await requests.find(conn, request_id)
        assert (row.kind, row.capacity) == (Kind.DISCLOSURE, Capacity.SELF)
        if not attached:
            assert len(documents_then) == 3
        if "kind" in changes:  # another form: it needs a request of its own, whoever decides
            with pytest.raises(Refusal) as caught:
                await envelopes.attach(conn, db.vault, request_id=request_id, number=2, by="officer-1")
            assert caught.value.code is Code.ENVELOPE_CONFLICT
        elif not attached:
            assert await envelopes.attach(conn, db.vault, request_id=request_id, number=2, by="officer-1")
            assert not await envelopes.attach(conn, db.vault, request_id=request_id, number=2, by="officer-1")
            assert [e.attached for e in await envelopes.list_envelopes(conn, request_id)] == [True, True]
            assert (await audit.events(conn, request_id))[-1].actor == "officer-1"


@pytest.mark.parametrize(("applicant", "attached"), [(PROXY, True), (PROXY | {"name": "別の代理人"}, False)])
async def test_the_applicant_is_compared_too(
    db: Database, keyring: Keyring, request_id: str, applicant: dict[str, str], attached: bool
) -> None:
    by_proxy = {"capacity": "proxy", "documents": []}
    await receive(db, keyring, request_id, applicant=PROXY, **by_proxy)
    later = await receive(db, keyring, request_id, applicant=applicant, posted_on="2018-11-02", **by_proxy)
    assert later.attached is attached


async def test_the_same_applicant_in_another_capacity_is_set_aside(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    changes: dict[str, object] = {"applicant": PROXY, "documents": []}
    await receive(db, keyring, request_id, capacity="proxy", **changes)
    later = await receive(
        db, keyring, request_id, capacity="statutory_representative", posted_on="2018-11-02", **changes
    )
    assert not later.attached


async def test_the_form_in_hand_decides_which_envelopes_belong_to_it(db: Database, keyring: Keyring) -> None:
    async with db.begin() as conn:
        id = await open_request(conn, kind=Kind.AMENDMENT)
    assert not (await receive(db, keyring, id)).attached
    async with db.begin() as conn:
        assert await requests.parties(conn, db.vault, id) is None
    first = await receive(db, keyring, id, posted_on="2018-11-02", kind="amendment", amendment="correction")
    assert first.attached
    async with db.begin() as conn:
        row = await requests.find(conn, id)
        assert row.detail_kind is Amendment.CORRECTION
        with pytest.raises(Refusal) as caught:
            await envelopes.attach(conn, db.vault, request_id=id, number=9, by="officer-1")
        assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "scans",
    [
        {},
        {"residence.png": PNG},
        SCANS | {"residence.png": b"GIF89a"},
        SCANS | {"residence.png": b""},
        SCANS | {"residence.png": png(bytes(MAX_SCAN_BYTES))},
        SCANS | {"residence.png": PNG[:-1]},
        SCANS | {"residence.png": PNG + b"!"},
    ],
)
async def test_a_scan_that_cannot_be_one_is_malformed_and_nothing_is_stored(
    db: Database, keyring: Keyring, request_id: str, scans: dict[str, bytes]
) -> None:
    with pytest.raises(Refusal) as caught:
        await receive(db, keyring, request_id, scans=scans)
    assert caught.value.code is Code.MALFORMED
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(vault)) == 0


async def test_an_unknown_request_and_an_ordinary_letter_are_refused(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    with pytest.raises(Refusal) as caught:
        await receive(db, keyring, "DR-2018-000099-1")
    assert caught.value.code is Code.UNKNOWN_REQUEST
    with pytest.raises(Refusal) as caught:
        await receive(db, keyring, request_id, channel="ordinary_mail", tracking_number=None)
    assert caught.value.code is Code.MALFORMED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("見本 花子", "見本　花子"),
        ("ﾐﾎﾝ ﾊﾅｺ", "みほん はなこ"),
        ("ガギグ", "ｶﾞｷﾞｸﾞ"),
        ("Sample HANAKO", "ｓａｍｐｌｅ hanako"),
        ("桜丘町26-1", "桜丘町２６－１"),
        ("桜丘町26−1", "桜丘町26‐1"),
        ("葛\U000e0100城", "葛城"),
    ],
)
def test_how_it_was_typed_is_folded(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"), [("髙橋", "高橋"), ("はは", "ばば"), ("𠮷田", "吉田"), ("ハナ", "ハナコ")]
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


party = st.builds(
    Party,
    name=st.sampled_from(["見本 花子", "見本花子", "見本 太郎"]),
    address=st.sampled_from(["東京都", "大阪府"]),
    born_on=st.sampled_from([None, date(1980, 4, 1), date(1990, 4, 1)]),
)


@given(party, party)
def test_the_same_person_is_the_same_from_both_sides(one: Party, other: Party) -> None:
    assert same_person(one, one)
    assert same_person(one, other) == same_person(other, one)


@pytest.mark.parametrize(
    ("outcome", "reopens"), [(Outcome.WITHDRAWN, False), (Outcome.LAPSED_DOCUMENTS, True)]
)
async def test_a_refused_envelope_hears_that_a_lapse_can_be_reopened(
    db: Database, keyring: Keyring, request_id: str, outcome: Outcome, reopens: bool
) -> None:
    async with db.begin() as conn:
        await requests.close(conn, request_id, outcome, date(2019, 2, 1))
    with pytest.raises(Refusal) as caught:
        await receive(db, keyring, request_id)
    assert caught.value.code is Code.ENDED
    assert ("reopen" in caught.value.message) is reopens
