"""The keyring: every secret key of an installation, by version.

Four kinds of keys, 256 bits each:

- key-encryption keys (``kek-1``, ``kek-2``, …) wrap the data keys of the sealed records;
- codec keys (``codec-1``, …) encrypt what Temporal stores;
- signing keys (``sign-1``, …; Ed25519 seeds) sign certificates and checkpoints of the audit trail;
- one index key makes fingerprints: blind indexes that find equal values without holding them.

The newest version of a kind is the current one; a rotation marks the others as retired, with the time. The
keyring is watched: a key added or discarded by another process is seen at the next call, so that nothing is
sealed under a key that is about to go.
"""

import contextlib
import hmac
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.errors import KeyringError
from runtime.home import create_home, write_private
from runtime.key_service import WrongKey
from runtime.keyrings import Environment, Place, place_at
from runtime.keyset import KeyKind, KeySet, KeyVersion
from runtime.settings import Settings

_NONCE_BYTES = 12


class Keyring:
    """The keys of an installation; a ``KeyService``. Its repr shows ids, never keys."""

    def __init__(self, place: Place) -> None:
        """Raises ``KeyringError`` when the keys are missing, malformed, or open to other users."""
        self._place = place
        self._keys, self._stamp = place.read()

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """Open the keyring at a path; with ``create`` make a fresh file (0600) where none is.

        Of two processes that create at once, one wins and both use its keys. A keyring from before there were
        signing keys gets one, where it can be written. Raises ``KeyringError`` when it is missing, malformed,
        or open to other users.
        """
        if create and not path.exists():
            create_home(path.parent)
            with contextlib.suppress(FileExistsError):
                write_private(path, KeySet.generate().to_json(), replace=False)
        keyring = cls(place_at(path))
        with contextlib.suppress(KeyringError):
            keyring._complete()
        return keyring

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A keyring given as text (`KAIJI_KEYRING`); its keys cannot be changed from here."""
        return cls(Environment(text))

    @classmethod
    def from_settings(cls, settings: Settings, *, create: bool = False) -> Self:
        """The keyring of these settings: the environment's, else the file's."""
        if settings.keyring is not None:
            return cls.from_json(settings.keyring.get_secret_value())
        return cls.open(settings.keyring_file, create=create)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{kind}={self._keys.ids(kind)}" for kind in KeyKind)
        return f"Keyring({kinds})"

    async def wrap(self, secret: bytes, bound: bytes) -> tuple[str, bytes]:
        """Encrypt a data key under the current key-encryption key, bound to a place; answers the key's id."""
        keys = self._fresh()
        kek_id, nonce = keys.ids(KeyKind.KEK)[-1], os.urandom(_NONCE_BYTES)
        cipher = AESGCM(keys.find(KeyKind.KEK, kek_id))
        return kek_id, nonce + cipher.encrypt(nonce, secret, _labelled(bound, kek_id))

    async def unwrap(self, kek_id: str, wrapped: bytes, bound: bytes) -> bytes:
        """The data key. Raises ``UnknownKey`` once its key is discarded, ``WrongKey`` for altered bytes."""
        cipher = AESGCM(self._fresh().find(KeyKind.KEK, kek_id))
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, _labelled(bound, kek_id))
        except (InvalidTag, ValueError):
            raise WrongKey from None

    def current_codec_key(self) -> tuple[str, bytes]:
        """The codec key to encrypt with, and its id."""
        keys = self._fresh()
        key_id = keys.ids(KeyKind.CODEC)[-1]
        return key_id, keys.find(KeyKind.CODEC, key_id)

    def codec_key(self, key_id: str) -> bytes:
        """The codec key of an id. Raises ``UnknownKey``."""
        return self._fresh().find(KeyKind.CODEC, key_id)

    def signing_key(self) -> tuple[str, Ed25519PrivateKey]:
        """The key to sign with, and its id. Raises ``KeyringError`` where there is none."""
        keys = self._fresh()
        if not keys.keys[KeyKind.SIGN]:
            raise KeyringError(
                "the keyring has no signing key: add one where it is kept, "
                '"sign": {"sign-1": 32 random bytes in base64}'
            )
        key_id = keys.ids(KeyKind.SIGN)[-1]
        return key_id, Ed25519PrivateKey.from_private_bytes(keys.find(KeyKind.SIGN, key_id))

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Every key that signatures are checked with, by its id."""
        keys = self._fresh()
        return {
            key_id: Ed25519PrivateKey.from_private_bytes(keys.find(KeyKind.SIGN, key_id)).public_key()
            for key_id in keys.ids(KeyKind.SIGN)
        }

    def fingerprint(self, purpose: str, data: bytes) -> str:
        """HMAC-SHA256 of data in hex: equal for equal data and purpose, telling nothing without the key."""
        # the index key never changes: the file, which may have, is not looked at for each of very many
        key = hmac.digest(self._keys.index, purpose.encode(), "sha256")
        return hmac.digest(key, data, "sha256").hex()

    def versions(self, kind: KeyKind) -> list[KeyVersion]:
        """The keys of a kind that are left, oldest first: the last is the current one."""
        return self._fresh().versions(kind)

    def check_changeable(self) -> None:
        """Raise ``KeyringError`` where keys are changed somewhere else, with where."""
        self._place.check_changeable()

    def add(self, kind: KeyKind, at: datetime) -> str:
        """Add a key, the current one from now on; answers its id. Raises ``KeyringError``."""
        with self._place.changing() as write:
            key_id, keys = self._fresh().with_new(kind, at)
            write(keys)
        return key_id

    def retire(self, key_id: str, at: datetime) -> None:
        """Mark a key as used no more since then; of two times the first stands.

        Raises ``UnknownKey``; ``KeyringError``, too for the current key.
        """
        with self._place.changing() as write:
            write(self._older(key_id).with_retired(key_id, at))

    def discard(self, key_id: str) -> None:
        """Forget a key for ever: what only it opens is destroyed.

        Raises ``UnknownKey``; ``KeyringError``, too for the current key.
        """
        with self._place.changing() as write:
            write(self._older(key_id).without(key_id))

    def _complete(self) -> None:
        if self._keys.keys[KeyKind.SIGN]:
            return
        with self._place.changing() as write:
            keys = self._fresh()
            if not keys.keys[KeyKind.SIGN]:
                write(keys.with_new(KeyKind.SIGN, at=None)[1])

    def _older(self, key_id: str) -> KeySet:
        """The keys, of which this is one that is not in use any more."""
        keys, kind = self._fresh(), KeyKind.of(key_id)
        keys.find(kind, key_id)
        if key_id == keys.ids(kind)[-1]:
            raise KeyringError(
                f"{key_id} is the current key: `kaiji keys rotate` puts another in its place first"
            )
        return keys

    def _fresh(self) -> KeySet:
        if self._place.stamp() != self._stamp:
            self._keys, self._stamp = self._place.read()
        return self._keys


def _labelled(bound: bytes, kek_id: str) -> bytes:
    """The id goes in too, so that a wrapped key under another label does not open."""
    return bound + len(kek_id).to_bytes(8) + kek_id.encode()
