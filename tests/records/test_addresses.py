"""Another address of the sender is taken from an envelope that proves it, from nothing else (§5(2)(7))."""

from datetime import date

import pytest
from sqlalchemy import func, select

from policy.envelope import Party
from policy.refusals import Code, Refusal
from policy.vocabulary import CustodyEvent
from records import audit, documents, envelopes, requests
from records.database import Database
from records.tables import vault
from runtime.keys import Keyring
from tests.records.material import open_request
from tests.records.test_received_envelopes import PROXY, receive

MOVED: dict[str, object] = {
    "name": "見本　花子",
    "postal_code": "540-0000",
    "address": "大阪府大阪市中央区0-0",
    "born_on": "1980-04-01",
}
RESIDENCE: dict[str, object] = {"kind": "certificate_of_residence", "issued_on": "2018-11-20"}
LATER: dict[str, object] = {"posted_on": "2018-12-01", "received_on": "2018-12-02"}


async def take_address(db: Database, id: str, number: int = 2) -> bool:
    async with db.begin() as conn:
        return await envelopes.take_address(conn, db.vault, request_id=id, number=number, by="officer-1")


async def on_file(db: Database, id: str) -> tuple[Party, Party | None]:
    async with db.begin() as conn:
        people = await requests.parties(conn, db.vault, id)
    assert people is not None
    return people.principal, people.applicant


async def test_a_proven_address_is_taken_and_nothing_else(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    before, _ = await on_file(db, request_id)
    moved = await receive(db, keyring, request_id, principal=MOVED, documents=[RESIDENCE], scans={}, **LATER)
    assert not moved.attached
    assert await take_address(db, request_id)
    assert not await take_address(db, request_id)  # it is the address on file now
    after, applicant = await on_file(db, request_id)
    assert after == before.model_copy(update={"address": MOVED["address"], "postal_code": "540-0000"})
    assert applicant is None
    async with db.begin() as conn:
        assert [e.attached for e in await envelopes.list_envelopes(conn, request_id)] == [True, True]
        acts = [event.act for event in await audit.events(conn, request_id)]
        assert acts.count("envelope_attached") == 1
        parties = select(func.count()).select_from(vault).where(vault.c.label == "parties")
        assert await conn.scalar(parties) == 1  # the former address is gone
    # What comes from the new address belongs to the request from now on.
    days = {"posted_on": "2018-12-05", "received_on": "2018-12-05"}
    again = await receive(db, keyring, request_id, principal=MOVED, **days)
    assert again.attached


async def test_attaching_an_envelope_leaves_the_address_on_file(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    before = await on_file(db, request_id)
    await receive(db, keyring, request_id, principal=MOVED, documents=[RESIDENCE], scans={}, **LATER)
    async with db.begin() as conn:
        assert await envelopes.attach(conn, db.vault, request_id=request_id, number=2, by="officer-1")
    assert await on_file(db, request_id) == before
    assert await take_address(db, request_id)  # attached or not, it proves the address


@pytest.mark.parametrize(
    ("documents_sent", "codes"),
    [
        ([], ["missing"]),
        ([{"kind": "drivers_license"}], ["missing"]),
        ([RESIDENCE | {"issued_on": "2018-11-01"}], ["stale"]),
        ([RESIDENCE | {"issued_on": None}], ["undated"]),
        ([RESIDENCE | {"issued_on": "2018-12-02"}], ["future_dated"]),
        ([RESIDENCE | {"holder": "applicant"}], ["wrong_holder"]),
        ([RESIDENCE | {"issued_on": "2018-11-01"}, RESIDENCE], []),
        ([RESIDENCE | {"kind": "alien_registration_certificate"}], []),
    ],
)
async def test_only_a_fresh_residence_certificate_of_the_sender_proves_an_address(
    db: Database,
    keyring: Keyring,
    request_id: str,
    documents_sent: list[dict[str, object]],
    codes: list[str],
) -> None:
    await receive(db, keyring, request_id)
    before = await on_file(db, request_id)
    await receive(db, keyring, request_id, principal=MOVED, documents=documents_sent, scans={}, **LATER)
    if not codes:
        assert await take_address(db, request_id)
        return
    with pytest.raises(Refusal) as caught:
        await take_address(db, request_id)
    refusal = caught.value
    assert (refusal.code, refusal.clause) == (Code.FINDINGS_OPEN, "§5(2)(3)")
    assert [finding.code for finding in refusal.findings] == codes
    assert await on_file(db, request_id) == before
    async with db.begin() as conn:
        assert [e.attached for e in await envelopes.list_envelopes(conn, request_id)] == [True, False]


async def test_a_certificate_that_is_struck_out_proves_nothing(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    await receive(db, keyring, request_id, principal=MOVED, documents=[RESIDENCE], scans={}, **LATER)
    async with db.begin() as conn:
        await documents.change(
            conn, request_id, 4, CustodyEvent.STRUCK_OUT, on=date(2018, 12, 3), by="officer-1", key="x"
        )
    with pytest.raises(Refusal) as caught:
        await take_address(db, request_id)
    assert caught.value.code is Code.FINDINGS_OPEN


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"principal": MOVED | {"name": "見本 太郎"}}, Code.ENVELOPE_CONFLICT),
        ({"principal": MOVED | {"born_on": "1980-04-02"}}, Code.ENVELOPE_CONFLICT),
        ({"principal": MOVED | {"born_on": None}}, None),  # an officer looks: the name is all there is
        ({"principal": MOVED, "capacity": "proxy", "applicant": PROXY}, Code.ENVELOPE_CONFLICT),
        ({"principal": MOVED, "kind": "purpose_notification"}, Code.ENVELOPE_CONFLICT),
    ],
)
async def test_an_address_is_taken_from_the_same_people_only(
    db: Database, keyring: Keyring, request_id: str, changes: dict[str, object], code: Code | None
) -> None:
    await receive(db, keyring, request_id)
    residence = RESIDENCE | {"holder": "principal"}
    await receive(db, keyring, request_id, documents=[residence], scans={}, **LATER, **changes)
    if code is None:
        assert await take_address(db, request_id)
        return
    with pytest.raises(Refusal) as caught:
        await take_address(db, request_id)
    assert caught.value.code is code


@pytest.mark.parametrize("capacity", ["proxy", "statutory_representative"])
async def test_who_applies_for_another_moves_alone(db: Database, keyring: Keyring, capacity: str) -> None:
    async with db.begin() as conn:
        id = await open_request(conn)
    await receive(db, keyring, id, capacity=capacity, applicant=PROXY, documents=[])
    principal, _ = await on_file(db, id)
    for number, (holder, proven) in enumerate((("principal", False), ("applicant", True)), start=2):
        await receive(
            db,
            keyring,
            id,
            capacity=capacity,
            applicant=PROXY | {"address": "大阪府大阪市中央区0-0"},
            documents=[RESIDENCE | {"holder": holder}],
            scans={},
            posted_on=f"2018-12-0{number}",
            received_on="2018-12-05",
        )
        if proven:
            assert await take_address(db, id, number)
        else:
            with pytest.raises(Refusal) as caught:
                await take_address(db, id, number)
            assert caught.value.code is Code.FINDINGS_OPEN
    after, applicant = await on_file(db, id)
    assert applicant is not None
    assert (after, applicant.address) == (principal, "大阪府大阪市中央区0-0")


async def test_an_envelope_that_is_not_there_proves_nothing(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await receive(db, keyring, request_id)
    with pytest.raises(Refusal) as caught:
        await take_address(db, request_id, 9)
    assert caught.value.code is Code.NOT_FOUND
