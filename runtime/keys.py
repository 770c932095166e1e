"""The keyring: every secret key of an installation, by version.

Three kinds of keys, 256 bits each:

- key-encryption keys (``kek-1``, ``kek-2``, …) wrap the data keys of the sealed records;
- codec keys (``codec-1``, …) encrypt what Temporal stores;
- one index key makes fingerprints: blind indexes that find equal values without holding them.

The newest version of a kind is the current one. The file is watched: a key added or discarded by another
process is seen at the next call, so that nothing is sealed under a key that is about to go.
"""

import base64
import binascii
import contextlib
import fcntl
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from runtime.errors import KeyringError, UnknownKey
from runtime.home import create_home, write_private
from runtime.settings import Settings

KEY_BYTES = 32

_Stamp = tuple[int, int]


@dataclass(frozen=True, repr=False)
class _Keys:
    kek: Mapping[str, bytes]
    codec: Mapping[str, bytes]
    index: bytes

    @classmethod
    def generate(cls) -> Self:
        return cls(kek={"kek-1": _new_key()}, codec={"codec-1": _new_key()}, index=_new_key())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        try:
            document = json.loads(text)
            keys = cls(
                kek={str(key_id): _decode(key) for key_id, key in document["kek"].items()},
                codec={str(key_id): _decode(key) for key_id, key in document["codec"].items()},
                index=_decode(document["index"]),
            )
            for kind, versions in (("kek", keys.kek), ("codec", keys.codec)):
                if not versions or any(_version(key_id, kind) < 1 for key_id in versions):
                    raise ValueError(kind)
        except (ValueError, KeyError, TypeError, AttributeError):
            # The cause is dropped on purpose: it would quote key material.
            raise KeyringError("the keyring is malformed") from None
        return keys

    def to_json(self) -> str:
        document = {
            "kek": {key_id: _encode(key) for key_id, key in self.kek.items()},
            "codec": {key_id: _encode(key) for key_id, key in self.codec.items()},
            "index": _encode(self.index),
        }
        return json.dumps(document, indent=2) + "\n"


class Keyring:
    """The keys of an installation. Its repr shows ids, never keys."""

    def __init__(self, keys: _Keys, stamp: _Stamp | None = None, path: Path | None = None) -> None:
        self._keys = keys
        self._stamp = stamp
        self._path = path

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """Open the keyring file; with ``create`` make a fresh one (0600) where none is.

        Of two processes that create at once, one wins and both use its keys. Raises ``KeyringError`` when the
        file is missing, malformed, or open to other users.
        """
        if create and not path.exists():
            create_home(path.parent)
            with contextlib.suppress(FileExistsError):
                write_private(path, _Keys.generate().to_json(), replace=False)
        return cls(*_read(path), path)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A keyring given as text (`KAIJI_KEYRING`); it cannot be rotated from here."""
        return cls(_Keys.from_json(text))

    @classmethod
    def from_settings(cls, settings: Settings, *, create: bool = False) -> Self:
        """The keyring of these settings: the environment's, else the file's."""
        if settings.keyring is not None:
            return cls.from_json(settings.keyring.get_secret_value())
        return cls.open(settings.keyring_file, create=create)

    def __repr__(self) -> str:
        return f"Keyring(kek={sorted(self._keys.kek)}, codec={sorted(self._keys.codec)})"

    def current_kek(self) -> tuple[str, bytes]:
        """The key-encryption key to wrap with, and its id."""
        return _newest(self._fresh().kek)

    def kek(self, key_id: str) -> bytes:
        """The key-encryption key of an id. Raises ``UnknownKey`` once it is discarded."""
        return _find(self._fresh().kek, key_id)

    def kek_ids(self) -> list[str]:
        """All key-encryption keys that are left, oldest first."""
        return sorted(self._fresh().kek, key=_version)

    def current_codec_key(self) -> tuple[str, bytes]:
        """The codec key to encrypt with, and its id."""
        return _newest(self._fresh().codec)

    def codec_key(self, key_id: str) -> bytes:
        """The codec key of an id. Raises ``UnknownKey``."""
        return _find(self._fresh().codec, key_id)

    def signing_key(self) -> tuple[str, Ed25519PrivateKey]:
        """The key to sign with, and its id."""
        seed = hmac.digest(self._keys.index, b"kaiji signing key 1", "sha256")
        return "sign-1", Ed25519PrivateKey.from_private_bytes(seed)

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Every key that signatures are checked with, by its id."""
        key_id, key = self.signing_key()
        return {key_id: key.public_key()}

    def fingerprint(self, purpose: str, data: bytes) -> str:
        """HMAC-SHA256 of data in hex: equal for equal data and purpose, telling nothing without the key."""
        # the index key never changes: the file, which may have, is not looked at for each of very many
        key = hmac.digest(self._keys.index, purpose.encode(), "sha256")
        return hmac.digest(key, data, "sha256").hex()

    def add_kek(self) -> str:
        """Add a key-encryption key, the current one from now on; answers its id. Raises ``KeyringError``."""
        with self._changing() as (keys, write):
            key_id = _next_id(keys.kek, "kek")
            write(replace(keys, kek={**keys.kek, key_id: _new_key()}))
        return key_id

    def discard_kek(self, key_id: str) -> None:
        """Forget a key-encryption key for ever: all it wrapped is destroyed.

        Raises ``UnknownKey``, or ``KeyringError`` for the current key, which is still in use.
        """
        with self._changing() as (keys, write):
            _find(keys.kek, key_id)
            if key_id == _newest(keys.kek)[0]:
                raise KeyringError(f"{key_id} is the current key: add a newer one before discarding it")
            write(replace(keys, kek={other: key for other, key in keys.kek.items() if other != key_id}))

    def add_codec_key(self) -> str:
        """Add a codec key, the current one from now on; older ones keep decoding. Raises ``KeyringError``."""
        with self._changing() as (keys, write):
            key_id = _next_id(keys.codec, "codec")
            write(replace(keys, codec={**keys.codec, key_id: _new_key()}))
        return key_id

    def _fresh(self) -> _Keys:
        if self._path and _stamp(self._path) != self._stamp:
            self._keys, self._stamp = _read(self._path)
        return self._keys

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[_Keys, Callable[[_Keys], None]]]:
        """One change at a time, over all processes: two at once would lose a key."""
        path = self._path
        if path is None:
            raise KeyringError("the keyring comes from KAIJI_KEYRING: change it where that is set")
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield self._fresh(), lambda keys: write_private(path, keys.to_json())
        finally:
            os.close(directory)


def _read(path: Path) -> tuple[_Keys, _Stamp]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & 0o027:
                raise KeyringError(f"{path} is open to other users: make it 0600")
            return _Keys.from_json(file.read()), (status.st_ino, status.st_mtime_ns)
    except FileNotFoundError:
        raise KeyringError(
            f"no keyring at {path}: `kaiji dev` makes one, or set KAIJI_KEYRING_PATH"
        ) from None


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _find(keys: Mapping[str, bytes], key_id: str) -> bytes:
    try:
        return keys[key_id]
    except KeyError:
        raise UnknownKey(key_id) from None


def _newest(keys: Mapping[str, bytes]) -> tuple[str, bytes]:
    key_id = max(keys, key=_version)
    return key_id, keys[key_id]


def _next_id(keys: Mapping[str, bytes], kind: str) -> str:
    return f"{kind}-{_version(_newest(keys)[0]) + 1}"


def _version(key_id: str, kind: str | None = None) -> int:
    prefix, _, number = key_id.rpartition("-")
    if kind is not None and (prefix != kind or not number.isascii() or not number.isdecimal()):
        raise ValueError(kind)
    return int(number)


def _new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError("wrong length")
    return key
