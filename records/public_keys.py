"""Public signing keys as people and other programs handle them."""

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key in DER (SubjectPublicKeyInfo), in hexadecimal digits, as other tools have it."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def to_pem(keys: Mapping[str, Ed25519PublicKey]) -> str:
    """All keys in one PEM file, each below its id and fingerprint."""
    blocks = [
        f"{name}, SHA-256 {in_fours(fingerprint(key))}\n"
        + key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for name, key in keys.items()
    ]
    return "\n".join(blocks)


def in_fours(digits: str) -> str:
    """Digits in groups of four, to be read out and compared."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
