"""The document of certificates: whatever is changed in it, whoever has a key sees it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import example, given
from hypothesis import strategies as st

from records.certificate_document import Document, NoDocument
from records.heads import PublicKeys, parse_public_keys
from records.public_keys import fingerprint, in_fours, to_pem
from runtime.keys import Keyring
from tests.records.certified import REQUEST, document

Json = dict[str, Any]


def disagrees(content: bytes, trusted: PublicKeys | Sequence[Ed25519PublicKey]) -> list[str]:
    try:
        read = Document.parse(content)
    except NoDocument as error:
        return [f"document: {error}"]
    return read.faults(read.trusting(trusted) if isinstance(trusted, Sequence) else trusted)


def pinned(keyring: Keyring) -> list[Ed25519PublicKey]:
    return parse_public_keys(to_pem(keyring.public_keys()).encode())


@pytest.mark.parametrize("unsigned", [frozenset(), frozenset({0, 2}), frozenset(range(4))], ids=len)
def test_it_is_read_as_it_was_written_and_agrees(keyring: Keyring, unsigned: frozenset[int]) -> None:
    written = document(keyring, unsigned=unsigned)
    assert Document.parse(written.to_bytes()) == written
    for trusted in (keyring.public_keys(), pinned(keyring)):
        assert disagrees(written.to_bytes(), trusted) == []


@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(at=0.0, bit=0)
@example(at=0.999999, bit=5)
def test_any_flipped_bit_is_found(keyring: Keyring, at: float, bit: int) -> None:
    content = bytearray(document(keyring).to_bytes())
    content[int(at * len(content))] ^= 1 << bit
    assert disagrees(bytes(content), keyring.public_keys())
    assert disagrees(bytes(content), pinned(keyring))


@given(data=st.data())
def test_a_part_of_it_is_none(keyring: Keyring, data: st.DataObject) -> None:
    content = document(keyring).to_bytes()
    start = data.draw(st.integers(0, len(content) - 1))
    end = data.draw(st.integers(start + 1, len(content)))
    assert disagrees(content[:start] + content[end:], keyring.public_keys())


@given(
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["format", "case_id", "certificates", "public_keys", "signing_key", "signature"]
                ),
                inner,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_else_is_none(keyring: Keyring, content: bytes) -> None:
    assert disagrees(content, keyring.public_keys())


def _swap_classes(d: Json) -> None:
    first, second, *_ = d["certificates"]
    first["record_class"], second["record_class"] = second["record_class"], first["record_class"]


def _swap_signatures(d: Json) -> None:
    first, second, *_ = d["certificates"]
    first["signature"], second["signature"] = second["signature"], first["signature"]


def _unsign(d: Json) -> None:
    d["certificates"][1].update(signature=None, signing_key=None, certified_at=None)


CHANGES: dict[str, tuple[Callable[[Json], object], str]] = {
    "swapped classes": (_swap_classes, "identity_documents"),
    "swapped signatures": (_swap_signatures, "identity_documents"),
    "one taken out": (lambda d: d["certificates"].pop(), "document"),
    "all taken out": (lambda d: d["certificates"].clear(), "document"),
    "another order": (lambda d: d["certificates"].reverse(), "document"),
    "one twice": (lambda d: d["certificates"].append(d["certificates"][0]), "document"),
    "a signature taken off": (_unsign, "document"),
    "half a signature": (lambda d: d["certificates"][1].update(signing_key=None), "response_content"),
    "a count": (lambda d: d["certificates"][2]["counts"]["sealed"].update(note=2), "request_file"),
    "a count that is none": (
        lambda d: d["certificates"][2]["counts"]["sealed"].update(note=True),
        "document",
    ),
    "a key more": (
        lambda d: d["certificates"][3]["key_ids"].append(d["certificates"][0]["key_ids"][0]),
        "payment",
    ),
    "another case": (lambda d: d.update(case_id="DR-2018-000002-6"), "document"),
    "another case of one": (lambda d: d["certificates"][0].update(case_id="DR-2018-000002-6"), "identity"),
    "a field more": (lambda d: d["certificates"][0].update(remark="fine"), "document"),
    "a field less": (lambda d: d["certificates"][0].pop("clause"), "document"),
    "another format": (lambda d: d.update(format="kaiji certificates of destruction 2"), "document"),
    "no keys": (lambda d: d["public_keys"].clear(), "document"),
    "another fingerprint": (lambda d: d["public_keys"][0].update(fingerprint="00" * 32), "document"),
    "another key id": (lambda d: d.update(signing_key="sign-77"), "document"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_named(keyring: Keyring, name: str) -> None:
    change, named = CHANGES[name]
    altered = json.loads(document(keyring).to_bytes())
    change(altered)
    content = (json.dumps(altered, ensure_ascii=False, indent=2) + "\n").encode()
    for trusted in (keyring.public_keys(), pinned(keyring)):
        assert any(named in fault for fault in disagrees(content, trusted))


def test_a_certificate_of_another_request_is_named(keyring: Keyring) -> None:
    mine, other = document(keyring), document(keyring, "DR-2018-000002-6")
    mixed = Document.of(REQUEST, (mine.certificates[0], other.certificates[1]), keyring)
    assert disagrees(mixed.to_bytes(), keyring.public_keys()) == [
        "response_content: is a certificate of DR-2018-000002-6"
    ]


def test_a_key_that_signed_nothing_of_it_proves_nothing(keyring: Keyring) -> None:
    content = document(keyring).to_bytes()
    other = Ed25519PrivateKey.generate().public_key()
    key_id, _ = keyring.signing_key()
    assert "its signature does not hold" in " ".join(disagrees(content, {key_id: other}))
    for trusted in ({}, {"sign-77": other}, [other]):
        found = disagrees(content, trusted)
        assert len([fault for fault in found if "not known here" in fault]) == 5
    assert disagrees(content, [other, *pinned(keyring)]) == []


def test_who_signs_everything_anew_is_not_who_is_trusted(keyring: Keyring, tmp_path: Any) -> None:
    forger = Keyring.open(tmp_path / "keyring.json", create=True)
    forged = document(forger)
    assert disagrees(forged.to_bytes(), forger.public_keys()) == []
    assert disagrees(forged.to_bytes(), keyring.public_keys())
    assert disagrees(forged.to_bytes(), pinned(keyring))
    disguised = replace(forged, public_keys=keyring.public_keys())
    assert disagrees(disguised.to_bytes(), pinned(keyring))


def test_public_keys_go_to_others_as_pem(keyring: Keyring) -> None:
    (name, key), *_ = keyring.public_keys().items()
    pem = to_pem({name: key})
    assert in_fours(fingerprint(key)) in pem
    assert [each.public_bytes_raw() for each in parse_public_keys(pem.encode())] == [key.public_bytes_raw()]


def test_its_description_is_enough_to_check_it(keyring: Keyring) -> None:
    """As `docs/retention.md` tells it, with nothing of Kaiji's own."""

    def joined(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(8, "big") + part for part in parts)

    def without_signature(value: Json) -> bytes:
        rest = {name: each for name, each in value.items() if name != "signature"}
        return json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()

    written = document(keyring)
    read = json.loads(written.to_bytes())
    keys = {each["id"]: bytes.fromhex(each["public_key"]) for each in read["public_keys"]}
    for form, each in (
        ("kaiji certificates of destruction 1", read),
        *(("kaiji certificate 1", each) for each in read["certificates"]),
    ):
        key = Ed25519PublicKey.from_public_bytes(keys[each["signing_key"]])
        key.verify(bytes.fromhex(each["signature"]), joined(form.encode(), without_signature(each)))
    signed = joined(b"kaiji certificate 1", without_signature(read["certificates"][0]))
    assert hashlib.sha256(signed).hexdigest() == written.certificates[0].digest()
