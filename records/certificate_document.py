"""All certificates of a case as one document, signed as a whole, to be checked by whoever has it and a key.

JSON, described in `docs/retention.md`. Each certificate carries its own signature; that of the document
shows that none was left out since it was written.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncConnection

from records import certificates
from records.certificates import UNREADABLE, Certificate
from records.encoding import canonical_json, joined
from records.heads import PublicKeys
from records.public_keys import fingerprint
from runtime.key_service import KeyService

FORMAT = "kaiji certificates of destruction 1"
MAX_BYTES = 16 * 1024 * 1024
"""No document is larger."""


class NoDocument(ValueError):
    """These bytes are no document of certificates; the message says where that shows."""


@dataclass(frozen=True)
class Document:
    """The certificates of a case in order, with the keys they name; signed under ``signing_key``."""

    case_id: str
    certificates: tuple[Certificate, ...]
    public_keys: Mapping[str, Ed25519PublicKey]
    signing_key: str
    signature: bytes = b""

    @classmethod
    def of(cls, case_id: str, found: Iterable[Certificate], keyring: KeyService) -> Self:
        """The document of these certificates, signed with the current key."""
        listed = tuple(found)
        key_id, key = keyring.signing_key()
        used = {key_id, *(each.signing_key for each in listed)}
        keys = {name: public for name, public in keyring.public_keys().items() if name in used}
        unsigned = cls(case_id, listed, keys, key_id)
        return replace(unsigned, signature=key.sign(unsigned._signed()))

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Raises ``NoDocument`` for what is none, letter by letter."""
        try:
            document = json.loads(content)
            if document["format"] != FORMAT:
                raise NoDocument(f"it does not say that its format is {FORMAT!r}")
            listed = tuple(
                _certificate(number, each) for number, each in enumerate(document["certificates"], 1)
            )
            read = cls(
                case_id=document["case_id"],
                certificates=listed,
                public_keys={each["id"]: _public_key(each) for each in document["public_keys"]},
                signing_key=document["signing_key"],
                signature=bytes.fromhex(document["signature"]),
            )
            if read.to_bytes() != content:
                raise NoDocument("it is not letter by letter what was written")
        except NoDocument:
            raise
        except UNREADABLE:
            raise NoDocument("it is not in the form in which it was written") from None
        return read

    def to_bytes(self) -> bytes:
        """JSON in UTF-8, always the same letters."""
        document = {**self._content(), "signature": self.signature.hex()}
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()

    def faults(self, keys: PublicKeys) -> list[str]:
        """What does not agree with these keys, which are trusted; empty where everything does."""
        found = [
            f"{each.record_class}: {why}"
            for each in self.certificates
            if (why := each.unsigned_because(keys))
        ]
        for each in self.certificates:
            if each.case_id != self.case_id:
                found.append(f"{each.record_class}: is a certificate of {each.case_id}")
        for name, key in self.public_keys.items():
            trusted = keys.get(name)
            if trusted is not None and trusted.public_bytes_raw() != key.public_bytes_raw():
                found.append(f"{name}: the public key in the document is not the one of this id")
        signer = keys.get(self.signing_key)
        if signer is None:
            found.append(f"document: its signing key {self.signing_key} is not known here")
        elif not self._is_signed_by(signer):
            found.append("document: its signature does not hold")
        return found

    def trusting(self, pinned: Iterable[Ed25519PublicKey]) -> PublicKeys:
        """Keys that somebody trusts, under the ids they have here: a key file tells no ids.

        A key has the id that something names which it has signed.
        """
        keys: dict[str, Ed25519PublicKey] = {}
        for key in pinned:
            for each in self.certificates:
                if each.signing_key and each.unsigned_because({each.signing_key: key}) is None:
                    keys[each.signing_key] = key
            if self._is_signed_by(key):
                keys[self.signing_key] = key
        return keys

    def digests(self) -> list[str]:
        """What is signed of each certificate, by its digest."""
        return [each.digest() for each in self.certificates]

    def signing_keys(self) -> list[str]:
        """The ids of all keys that have signed anything of it."""
        return sorted(
            {self.signing_key, *(each.signing_key for each in self.certificates if each.signing_key)}
        )

    def _content(self) -> dict[str, JsonValue]:
        return {
            "format": FORMAT,
            "case_id": self.case_id,
            "certificates": [each.to_document() for each in self.certificates],
            "public_keys": [
                {"id": name, "public_key": key.public_bytes_raw().hex(), "fingerprint": fingerprint(key)}
                for name, key in self.public_keys.items()
            ],
            "signing_key": self.signing_key,
        }

    def _is_signed_by(self, key: Ed25519PublicKey) -> bool:
        try:
            key.verify(self.signature, self._signed())
        except InvalidSignature:
            return False
        return True

    def _signed(self) -> bytes:
        return joined(FORMAT, canonical_json(self._content()))


async def of_case(conn: AsyncConnection, keyring: KeyService, case_id: str) -> Document | None:
    """The document of what was destroyed of a request or in a page of a sweep; None where nothing was."""
    found = await certificates.of_request(conn, case_id)
    return Document.of(case_id, found, keyring) if found else None


def _certificate(number: int, document: Mapping[str, JsonValue]) -> Certificate:
    try:
        return Certificate.from_document(document)
    except UNREADABLE:
        raise NoDocument(f"its certificate {number} is not in the form in which it was written") from None


def _public_key(document: Mapping[str, str]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(document["public_key"]))
