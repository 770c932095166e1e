"""The trail as a file proves itself: to whoever has nothing but the file, or a public key beside it."""

import hashlib
import io
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policy.refusals import Code, Refusal
from records import audit_file, audit_proof
from records.audit_file import FileVerification, NoTrail
from records.database import Database
from records.heads import parse_public_keys
from records.trail import one_state
from runtime.keys import Keyring
from tests.records.trails import A, B, C, append, attack, flipped, named, take


@pytest.fixture
async def written(db: Database, keyring: Keyring) -> datetime:
    """Three checkpoints; answers an instant between the first two."""
    await append(db, A, A, B, C)
    await take(db, keyring)
    between = datetime.now(UTC)
    for _ in range(2):
        await append(db, A, A, B)
        await take(db, keyring)
    await append(db, A)
    return between


async def exported(db: Database, keyring: Keyring, since: datetime | None = None) -> bytes:
    async with db.begin() as conn:
        await one_state(conn)
        lines = audit_file.lines(conn, keyring.public_keys(), end=10, since=since)
        return b"".join([line async for line in lines])


def check(content: bytes, pinned: list[Ed25519PublicKey] | None = None) -> FileVerification:
    return audit_file.verify(io.BytesIO(content), pinned)


async def test_a_file_needs_nothing_but_itself(db: Database, keyring: Keyring, written: datetime) -> None:
    content = await exported(db, keyring)
    found = check(content)
    assert (found.cases, found.events, found.broken, found.begins_after) == (3, 10, (), None)
    assert found.checkpoint is not None
    assert found.checkpoint.size == 10
    first = json.loads(content.splitlines()[1])["event"]
    assert (first["position"], first["case_id"], first["seq"]) == (0, A, 1)
    assert first["detail"] == {"on": "2018-11-01", "amounts": [5400, None, True]}


async def test_a_part_is_grown_on_an_earlier_checkpoint(
    db: Database, keyring: Keyring, written: datetime
) -> None:
    content = await exported(db, keyring, since=written)
    found = check(content)
    assert (found.cases, found.events, found.broken) == (2, 6, ())
    assert found.begins_after is not None
    assert found.begins_after.size == 4
    heading, *rest = content.splitlines(keepends=True)
    document = json.loads(heading)
    frontier = document["begins_after"]["frontier"]
    frontier[0] = frontier[0].replace(frontier[0][:2], "00" if frontier[0][:2] != "00" else "01", 1)
    forged = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    assert ("audit_checkpoints", 4) in named(check(b"".join([forged, *rest])).broken)


@pytest.mark.parametrize("since", [False, True])
async def test_a_flipped_bit_anywhere_in_the_file_is_found(
    db: Database, keyring: Keyring, written: datetime, since: bool
) -> None:
    content = await exported(db, keyring, since=written if since else None)
    generator = random.Random(20181101)
    for _ in range(400):
        changed = flipped(content, generator)
        try:
            assert check(changed).broken, changed
        except NoTrail:
            assert changed.splitlines()[0] != content.splitlines()[0]


async def test_lines_taken_out_put_in_or_moved_are_found(
    db: Database, keyring: Keyring, written: datetime
) -> None:
    lines = (await exported(db, keyring)).splitlines(keepends=True)
    assert len(lines) == 1 + 10 + 3
    for at in range(1, len(lines)):
        broken = check(b"".join(lines[:at] + lines[at + 1 :])).broken
        if at < len(lines) - 1:
            assert broken, lines[at]
        else:
            assert ("line", 10) in named(broken)
        assert check(b"".join([*lines[: at + 1], lines[at], *lines[at + 1 :]])).broken, lines[at]
        if at > 1:
            assert check(b"".join([*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]])).broken


async def test_what_was_removed_from_the_database_is_named_in_the_file(
    db: Database, keyring: Keyring, written: datetime
) -> None:
    await attack(db, f"DELETE FROM audit WHERE case_id = '{B}' AND seq = 3")
    await attack(db, f"UPDATE audit SET actor = 'officer-2' WHERE case_id = '{A}' AND seq = 2")
    assert {(B, 3), (A, 2)} <= named(check(await exported(db, keyring)).broken)


async def test_a_pinned_key_is_the_only_one_trusted(
    db: Database, keyring: Keyring, written: datetime, tmp_path: Path
) -> None:
    content = await exported(db, keyring)
    pem = b"".join(
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for key in keyring.public_keys().values()
    )
    assert check(content, parse_public_keys(pem)).broken == ()
    others = Keyring.open(tmp_path / "others.json", create=True).public_keys()
    broken = check(content, [*others.values()]).broken
    assert {("audit_checkpoints", size) for size in (4, 7, 10)} == named(broken)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match="key"):
        parse_public_keys(pem)


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[]\n", b"1", b'{"format": "other"}\n', b"\xff\n"])
def test_what_is_no_trail_is_refused(content: bytes) -> None:
    with pytest.raises(NoTrail):
        check(content)


# ── one event ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_event_can_be_proven_alone(db: Database, keyring: Keyring, written: datetime) -> None:
    keys = keyring.public_keys()
    async with db.begin() as conn:
        for case_id, count in ((A, 6), (B, 3), (C, 1)):
            for seq in range(1, count + 1):
                proof = await audit_proof.prove(conn, case_id, seq)
                line = audit_proof.written(proof, keys)
                assert (checked := audit_proof.check(line, keys.values())) is not None
                assert (checked.fault, checked.proof, proof.head.size) == (None, proof, 10)
        for case_id, seq in ((A, 7), (A, 8), ("nobody", 1)):
            with pytest.raises(Refusal) as caught:
                await audit_proof.prove(conn, case_id, seq)
            assert caught.value.code is Code.NOT_FOUND
    generator = random.Random(20181101)
    for _ in range(400):
        changed = flipped(line, generator)
        try:
            checked = audit_proof.check(changed, keys.values())
            assert checked is None or checked.fault, changed
        except NoTrail:
            pass
    assert audit_proof.check((await exported(db, keyring)).splitlines(keepends=True)[0]) is None


async def test_a_proof_of_an_event_that_was_written_anew_does_not_hold(
    db: Database, keyring: Keyring, written: datetime
) -> None:
    await attack(db, f"UPDATE audit SET actor = 'officer-2' WHERE case_id = '{B}' AND seq = 2")
    async with db.begin() as conn:
        proof = await audit_proof.prove(conn, B, 2)
    assert proof.fault(keyring.public_keys()) == "was altered"
    await attack(db, "UPDATE audit_leaves SET digest = sha256('x') WHERE position = 0")
    async with db.begin() as conn:
        proof = await audit_proof.prove(conn, C, 1)
    assert proof.fault(keyring.public_keys()) == "is not in the log that was signed"
    assert "none of ours" in str(proof.fault({}))


# ── by the description alone ──────────────────────────────────────────────────────────────────────────────


def j(*parts: bytes | str | int) -> bytes:
    texts = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"".join(len(text).to_bytes(8, "big") + text for text in texts)


def microseconds(at: str) -> int:
    return (datetime.fromisoformat(at) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def root(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(hashes[:k]) + root(hashes[k:])).digest()


async def test_the_description_is_enough_to_check_a_file(
    db: Database, keyring: Keyring, written: datetime
) -> None:
    """Nothing of Kaiji's here: docs/retention.md, word by word."""
    heading, *lines = map(json.loads, (await exported(db, keyring)).splitlines())
    keys = {
        id: Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        for id, key in heading["public_keys"].items()
    }
    digests: dict[str, bytes] = {}
    leaves: list[bytes] = []
    before, checkpoints = hashlib.sha256(b"").digest(), 0
    for line in lines:
        ((kind, told),) = line.items()
        if kind == "event":
            assert told["position"] == len(leaves)
            case_id, previous = told["case_id"], bytes.fromhex(told["previous"])
            assert previous == digests.get(case_id, bytes(32))
            detail, key = (
                json.dumps(told[name], sort_keys=True, separators=(",", ":")) for name in ("detail", "key")
            )
            at = microseconds(told["at"])
            content = j(
                "kaiji audit 1",
                case_id,
                told["seq"],
                at,
                told["actor"],
                told["act"],
                detail,
                key,
                previous,
            )
            digests[case_id] = hashlib.sha256(content).digest()
            assert digests[case_id].hex() == told["digest"]
            leaf = j("kaiji audit leaf 1", case_id, told["seq"], digests[case_id])
            leaves.append(hashlib.sha256(b"\x00" + leaf).digest())
        else:
            assert (kind, told["size"]) == ("checkpoint", len(leaves))
            assert (told["root"], told["previous"]) == (root(leaves).hex(), before.hex())
            signed = j(
                "kaiji audit checkpoint 1",
                told["size"],
                root(leaves),
                before,
                microseconds(told["at"]),
                told["signing_key"],
            )
            keys[told["signing_key"]].verify(bytes.fromhex(told["signature"]), signed)
            before = root(leaves)
            checkpoints += 1
    assert (len(leaves), checkpoints, kind) == (10, 3, "checkpoint")
