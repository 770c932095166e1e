"""What the sealed records ask of keys: one interface, which the keyring has and a cloud KMS fits into."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from runtime.keyset import KeyKind, KeyVersion


class WrongKey(Exception):
    """These bytes were not wrapped by this key for this place."""


class KeyService(Protocol):
    """Keys that wrap the data keys of the records, and keys that sign; what they are made of never shows.

    A cloud KMS has it all, key by key: ``wrap`` and ``unwrap`` are its encrypt and decrypt with ``bound`` as
    associated data (encryption context); ``versions`` its list of key versions, the ids being ours
    (``kek-1``, …) as aliases or labels, kept for a minute or so, so that no page of a rotation asks for it
    anew; ``add`` creates a version, ``retire`` disables it for encryption (a label where it has no such
    state) and ``discard`` schedules its destruction. ``signing_key`` answers a subclass of
    ``Ed25519PrivateKey`` whose ``sign`` calls it. Index key and codec keys must be in the process: they stay
    in the keyring.
    """

    async def wrap(self, secret: bytes, bound: bytes) -> tuple[str, bytes]:
        """Encrypt a data key under the current key-encryption key, bound to a place; answers the key's id."""

    async def unwrap(self, kek_id: str, wrapped: bytes, bound: bytes) -> bytes:
        """The data key. Raises ``UnknownKey`` for a key that is discarded, ``WrongKey`` where it was altered
        or stands in another place."""

    def versions(self, kind: KeyKind) -> list[KeyVersion]:
        """The keys of a kind that are left, oldest first: the last is the current one."""

    def check_changeable(self) -> None:
        """Raise ``KeyringError`` where keys are changed somewhere else, with where."""

    def add(self, kind: KeyKind, at: datetime) -> str:
        """Add a key, the current one from now on; answers its id. Raises ``KeyringError``."""

    def retire(self, key_id: str, at: datetime) -> None:
        """Mark a key as used no more since then; of two times the first stands.

        Raises ``UnknownKey``, ``KeyringError``.
        """

    def discard(self, key_id: str) -> None:
        """Forget a key for ever. Raises ``UnknownKey``; ``KeyringError``, too for the current key."""

    def signing_key(self) -> tuple[str, Ed25519PrivateKey]:
        """The key to sign with, and its id. Raises ``KeyringError`` where there is none."""

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Every key that signatures are checked with, by its id."""
