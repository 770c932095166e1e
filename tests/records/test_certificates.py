"""A certificate says what was destroyed, and nobody can make it say anything else."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import insert

from policy.vocabulary import RecordClass
from records import audit, certificate_document, certificates
from records.certificate_document import Document
from records.certificate_files import CertificateFolder
from records.certificates import Certificate
from records.database import Database
from records.tables import certificates as rows
from runtime.keys import Keyring
from tests.records.certified import PAGE, issue_page
from tests.records.material import as_superuser, open_request
from tests.records.test_destruction import ON, PACK, destroy

ORDER = list(RecordClass)


@pytest.fixture
async def db(records_url: str, keyring: Keyring, db: Database, tmp_path: Path) -> AsyncIterator[Database]:
    """The emptied database, with a folder of certificates beside it."""
    database = Database(records_url, keyring, certificates_folder=tmp_path / "certificates")
    yield database
    await database.dispose()


@pytest.fixture
async def certified(db: Database, request_id: str) -> str:
    """A request of which every class is destroyed."""
    for record_class in ORDER:
        await destroy(db, request_id, record_class)
    return request_id


async def certify_page(db: Database, keyring: Keyring, case_id: str = PAGE) -> Certificate:
    async with db.begin() as conn:
        return await issue_page(conn, keyring, case_id)


async def faults(db: Database, keyring: Keyring) -> set[tuple[str, str]]:
    async with db.begin() as conn:
        return {(f.record_class, f.why) for f in await certificates.verify_all(conn, keyring.public_keys())}


async def all_of(db: Database, case_id: str) -> list[Certificate]:
    async with db.begin() as conn:
        return await certificates.of_request(conn, case_id)


async def test_what_was_issued_is_signed_and_told_of_in_the_trail(
    db: Database, keyring: Keyring, certified: str
) -> None:
    key_id, _ = keyring.signing_key()
    async with db.begin() as conn:
        told = [
            e.detail["certificate"] for e in await audit.events(conn, certified) if "certificate" in e.detail
        ]
    found = await all_of(db, certified)
    assert told == [each.digest() for each in found]
    assert {each.signing_key for each in found} == {key_id}
    assert await faults(db, keyring) == set()


async def test_a_page_of_a_sweep_is_told_of_in_the_chain_of_the_register(
    db: Database, keyring: Keyring
) -> None:
    issued = await certify_page(db, keyring)
    await certify_page(db, keyring, "holdings/2026-11-24/2")
    assert await all_of(db, PAGE) == [issued]
    assert "nothing" not in issued.rows
    async with db.begin() as conn:
        first, _ = await audit.events(conn, "holdings")
        assert await audit.events(conn, PAGE) == []
        assert await audit.cut_off(conn) == []
    assert (first.previous, first.detail["certificate"]) == (issued.audit_digest, issued.digest())
    assert await faults(db, keyring) == set()


CHANGES = {
    "destroyed_on": "destroyed_on - 1",
    "destroyed_by": "'somebody'",
    "rule": "'1 year'",
    "clause": "'§2'",
    "counts": '\'{"sealed": {"scan": 1}, "rows": {}}\'',
    "no counts": "counts = '[1.5]'",
    "key_ids": "array['00000000-0000-0000-0000-000000000000']::uuid[]",
    "pack_version": "'other'",
    "certified_at": "certified_at + interval '1 microsecond'",
    "no instant": "certified_at = 'infinity'",
    "no day": "destroyed_on = 'infinity'",
    "another key": "signing_key = 'sign-999'",
    "another class": "record_class = 'other'",
    "signature": "set_byte(signature, 5, get_byte(signature, 5) # 1)",
    "no signature": "signature = null",
    "nothing of a signature": "signature = null, signing_key = null, certified_at = null",
}


async def test_whatever_is_changed_in_the_database_is_found(
    db: Database, keyring: Keyring, certified: str
) -> None:
    async with db.begin() as conn:
        for name, value in CHANGES.items():
            change = value if " = " in value else f"{name} = {value}"
            statement = f"UPDATE certificates SET {change} WHERE record_class = 'response_content'"
            async with conn.begin_nested() as undone:
                assert await as_superuser(conn, statement) == 1, name
                found = await certificates.verify_all(conn, keyring.public_keys())
                await undone.rollback()
            changed = "other" if name == "another class" else "response_content"
            assert [fault.record_class for fault in found] == [changed], name
        assert await certificates.verify_all(conn, keyring.public_keys()) == []


async def test_a_certificate_that_is_gone_or_exchanged_is_found(
    db: Database, keyring: Keyring, certified: str
) -> None:
    async with db.begin() as conn:
        await as_superuser(conn, "DELETE FROM certificates WHERE record_class = 'request_file'")
    assert await faults(db, keyring) == {("request_file", "the trail tells of a certificate that is gone")}
    forged = replace((await all_of(db, certified))[0], rule="at once")
    signature = forged.signed_by(keyring.signing_key()[1])  # by somebody with the key, but not with the trail
    async with db.begin() as conn:
        await as_superuser(
            conn,
            "UPDATE certificates SET rule = 'at once', signature = :signature"
            " WHERE record_class = :record_class",
            signature=signature,
            record_class=forged.record_class,
        )
    assert (forged.record_class, "is not the one that the trail tells of") in await faults(db, keyring)


async def test_the_signature_of_another_request_does_not_hold(
    db: Database, keyring: Keyring, certified: str
) -> None:
    async with db.begin() as conn:
        other = await open_request(conn)
    await destroy(db, other, RecordClass.REQUEST_FILE)
    async with db.begin() as conn:
        await as_superuser(
            conn,
            "UPDATE certificates AS c SET signature = o.signature FROM certificates AS o"
            " WHERE c.case_id = :other AND o.case_id = :certified AND o.record_class = c.record_class",
            other=other,
            certified=certified,
        )
    assert await faults(db, keyring) == {("request_file", "its signature does not hold")}


async def test_those_from_before_there_were_signatures_stay_readable(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    async with db.begin() as conn:
        old = {
            "case_id": request_id,
            "record_class": "identity_documents",
            "destroyed_on": ON,
            "destroyed_by": "kaiji",
            "rule": "30 days",
            "clause": "§1",
            "counts": {"sealed": {"scan": 1}, "rows": {}},
            "key_ids": [UUID(int=7)],
            "pack_version": PACK,
            "audit_digest": await audit.head(conn, request_id),
        }
        await conn.execute(insert(rows).values(old))
        await audit.append(conn, request_id, actor="kaiji", act="records_destroyed", detail={"records": 1})
    await destroy(db, request_id, RecordClass.REQUEST_FILE)
    assert await faults(db, keyring) == set()
    first, second = await all_of(db, request_id)
    assert (first.is_signed, second.is_signed, first.records) == (False, True, 1)
    document = await of_case(db, keyring, request_id)
    assert Document.parse(document.to_bytes()) == document
    assert document.faults(keyring.public_keys()) == []


# ── the files ─────────────────────────────────────────────────────────────────────────────────────────────


async def of_case(db: Database, keyring: Keyring, case_id: str) -> Document:
    async with db.begin() as conn:
        document = await certificate_document.of_case(conn, keyring, case_id)
    assert document is not None
    return document


def folder(db: Database) -> CertificateFolder:
    assert db.certificates is not None
    return db.certificates


async def test_a_file_follows_every_certificate(db: Database, keyring: Keyring, request_id: str) -> None:
    assert folder(db).read(request_id) is None
    for record_class in ORDER:
        await destroy(db, request_id, record_class)
        assert folder(db).read(request_id) == (await of_case(db, keyring, request_id)).to_bytes()
    await certify_page(db, keyring)
    path = folder(db).path / "holdings-2026-11-24-1.json"
    assert path.read_bytes() == (await of_case(db, keyring, PAGE)).to_bytes()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)


async def test_what_is_rolled_back_has_no_file(db: Database, keyring: Keyring) -> None:
    with suppress(ZeroDivisionError):
        async with db.begin() as conn:
            await issue_page(conn, keyring)
            raise ZeroDivisionError
    assert await all_of(db, PAGE) == []
    async with db.begin() as conn:
        await audit.append(conn, "staff", actor="kaiji", act="acted")
    assert not folder(db).path.exists()


async def test_classes_that_are_certified_at_once_are_all_in_the_file(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await asyncio.gather(*(destroy(db, request_id, each) for each in ORDER))
    content = folder(db).read(request_id)
    assert content is not None
    assert len(Document.parse(content).certificates) == len(ORDER)


async def test_a_file_that_could_not_be_written_is_made_good_at_the_next_start(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    folder(db).path.write_text("a file where the folder should be")
    await destroy(db, request_id, ORDER[0])  # done all the same
    await destroy(db, request_id, ORDER[1])
    await certify_page(db, keyring)
    assert len(await all_of(db, request_id)) == 2
    await db.complete_certificates()  # never fails a start either
    folder(db).path.unlink()
    await db.complete_certificates()
    assert folder(db).read(request_id) == (await of_case(db, keyring, request_id)).to_bytes()
    assert folder(db).read(PAGE) is not None


async def test_a_start_writes_nothing_that_is_there_and_whatever_lacks_a_certificate(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await destroy(db, request_id, ORDER[0])
    before = folder(db).read(request_id)
    assert before is not None
    file = folder(db).file_of(request_id)
    stale, node = file.stat().st_mtime_ns, file.stat().st_ino
    await db.complete_certificates()
    assert file.stat().st_ino == node
    await destroy(db, request_id, ORDER[1])
    file.write_bytes(before)
    os.utime(file, ns=(stale, stale))  # as if the second one had never been written
    await db.complete_certificates()
    assert folder(db).read(request_id) == (await of_case(db, keyring, request_id)).to_bytes()


async def test_a_database_that_was_set_back_takes_no_certificate_away(
    db: Database, keyring: Keyring, certified: str
) -> None:
    before = folder(db).read(certified)
    async with db.begin() as conn:
        await as_superuser(conn, "DELETE FROM certificates WHERE record_class <> 'identity_documents'")
    await db.complete_certificates()
    assert folder(db).read(certified) == before
    await destroy(db, certified, RecordClass.REQUEST_FILE)
    assert folder(db).read(certified) == (await of_case(db, keyring, certified)).to_bytes()
    (aside,) = folder(db).path.glob(f"{certified}.*.json")
    assert aside.read_bytes() == before
