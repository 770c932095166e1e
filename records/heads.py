"""Signed heads of the audit trail's Merkle log, and the file that keeps them outside the database.

A head says: so many events were there at this instant, and this hash stands for them and their order. Who can
rewrite the whole database cannot sign another, and cannot take back what the file says of a later one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from records import growing_file
from records.encoding import joined
from records.instants import from_microseconds, to_microseconds
from runtime.errors import Misconfigured

PublicKeys = Mapping[str, Ed25519PublicKey]

_VERSION = "kaiji audit checkpoint 1"
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Head:
    """The log at a size: its ``root``, and the root of the checkpoint before, ``merkle.EMPTY`` for the first.

    ``at`` counts microseconds since 1970 (UTC).
    """

    size: int
    root: bytes
    previous: bytes
    at: int
    signing_key: str
    signature: bytes = b""

    def signed_by(self, key: Ed25519PrivateKey) -> bytes:
        """The signature of this head under a key."""
        return key.sign(self._signed())

    def unsigned_because(self, keys: PublicKeys) -> str | None:
        """Why this signature proves nothing; None where it holds."""
        key = keys.get(self.signing_key)
        if key is None:
            return "its signing key is none of ours"
        try:
            key.verify(self.signature, self._signed())
        except InvalidSignature:
            return "its signature does not hold"
        return None

    def to_document(self) -> dict[str, object]:
        """As JSON has it: hashes and signature in hexadecimal digits, the instant as ISO 8601 in UTC."""
        at = from_microseconds(self.at)
        return {
            "size": self.size,
            "root": self.root.hex(),
            "previous": self.previous.hex(),
            "at": at and at.isoformat(timespec="microseconds"),
            "signing_key": self.signing_key,
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Self:
        """Raises ``ValueError``, ``KeyError`` or ``TypeError`` for what is no head."""
        size = document["size"]
        if not isinstance(size, int):
            raise TypeError("size")
        return cls(
            size=size,
            root=bytes.fromhex(_text(document["root"])),
            previous=bytes.fromhex(_text(document["previous"])),
            at=to_microseconds(datetime.fromisoformat(_text(document["at"]))),
            signing_key=_text(document["signing_key"]),
            signature=bytes.fromhex(_text(document["signature"])),
        )

    def _signed(self) -> bytes:
        return joined(_VERSION, str(self.size), self.root, self.previous, str(self.at), self.signing_key)


def parse_public_keys(pem: bytes) -> list[Ed25519PublicKey]:
    """Every key of a PEM file. Raises ``ValueError`` where there is none, or one of another kind."""
    keys = [load_pem_public_key(block) for block in _PEM.findall(pem)]
    found = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not found or len(found) < len(keys):
        raise ValueError("no Ed25519 public keys")
    return found


class HeadsFile:
    """The heads outside the database: a line of JSON each, appended durably, by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Head | None] | None:
        """The head in each line, None for a line that is none; None altogether where there is no file.

        A last line without an end was being written when its process was killed: it is written again. Raises
        ``Misconfigured`` where the file cannot be read.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from None
        return [_head(line) for line in lines]

    def append(self, heads: Iterable[Head]) -> None:
        """Write heads down; they are on the disk when this returns. What was half written goes.

        Raises ``Misconfigured`` where that cannot be done; the next checkpoint makes up for it.
        """
        try:
            growing_file.append(self.path, b"".join(_line(head) + b"\n" for head in heads))
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> Misconfigured:
        return Misconfigured(
            f"the file of the audit trail's heads, {self.path}: {error.strerror}; KAIJI_AUDIT_HEADS names it"
        )


def _line(head: Head) -> bytes:
    return json.dumps(head.to_document()).encode()


def _head(line: bytes) -> Head | None:
    try:
        head = Head.from_document(json.loads(line))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return head if _line(head) == line else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
