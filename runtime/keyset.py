"""The keys of a keyring as they are written down, in a file's JSON or in a folder of files."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self, TypeVar

from runtime.errors import KeyringError, UnknownKey

Value = TypeVar("Value")

KEY_BYTES = 32
_INDEX = "index"
_TIMES = ("since", "retired")


class KeyKind(StrEnum):
    """What a key is for; its id begins with it: ``kek-1``, ``codec-2``."""

    KEK = "kek"
    CODEC = "codec"
    SIGN = "sign"

    @classmethod
    def of(cls, key_id: str) -> Self:
        """The kind of the key of this id. Raises ``UnknownKey``."""
        try:
            return cls(key_id.rpartition("-")[0])
        except ValueError:
            raise UnknownKey(key_id) from None


@dataclass(frozen=True)
class KeyVersion:
    """One key of a kind: when it was made, if that is known, and from when on nothing uses it any more."""

    id: str
    kind: KeyKind
    since: datetime | None
    retired: datetime | None


@dataclass(frozen=True, repr=False)
class KeySet:
    """All keys at one moment, and when they were made and retired."""

    keys: Mapping[KeyKind, Mapping[str, bytes]]
    index: bytes
    since: Mapping[str, datetime] = field(default_factory=dict)
    retired: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def generate(cls) -> Self:
        """A key of each kind."""
        return cls(keys={kind: {f"{kind}-1": _new_key()} for kind in KeyKind}, index=_new_key())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Raises ``KeyringError``, which quotes nothing; signing keys may be missing."""
        try:
            document = json.loads(text)
            times = {
                name: {str(key_id): _instant(text) for key_id, text in document.get(name, {}).items()}
                for name in _TIMES
            }
            keys = {
                kind: {str(key_id): _decode(key) for key_id, key in document.get(kind, {}).items()}
                for kind in KeyKind
            }
            return cls(keys, _decode(document[_INDEX]), **times)._checked()
        except (ValueError, KeyError, TypeError, AttributeError):
            # The cause is dropped on purpose: it would quote key material.
            raise KeyringError("the keyring is malformed") from None

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """From the contents of files by name, as a secret is mounted: ``kek-1``, ``index``, and in
        ``kek-1.retired`` since when it is. Raises ``KeyringError``, which quotes nothing.
        """
        document: dict[str, object] = {}
        named: dict[str, dict[str, str]] = {}
        try:
            for name, content in files.items():
                text = content.decode("ascii").strip()
                key_id, _, time = name.partition(".")
                if name == _INDEX:
                    document[_INDEX] = text
                else:
                    named.setdefault(time or KeyKind.of(key_id), {})[key_id] = text
        except (ValueError, UnknownKey):
            raise KeyringError("the keyring's folder has a file that is no key") from None
        return cls.from_json(json.dumps({**document, **named}))

    def to_json(self) -> str:
        """As ``from_json`` reads it."""
        document: dict[str, object] = {
            kind.value: {key_id: _encode(key) for key_id, key in keys.items()}
            for kind, keys in self.keys.items()
        }
        document[_INDEX] = _encode(self.index)
        for name, times in (("since", self.since), ("retired", self.retired)):
            document[name] = {key_id: at.isoformat(timespec="seconds") for key_id, at in times.items()}
        return json.dumps(document, indent=2) + "\n"

    def find(self, kind: KeyKind, key_id: str) -> bytes:
        """The key of a kind by its id. Raises ``UnknownKey``."""
        try:
            return self.keys[kind][key_id]
        except KeyError:
            raise UnknownKey(key_id) from None

    def ids(self, kind: KeyKind) -> list[str]:
        """The ids of a kind, oldest first: the last is the current one."""
        return sorted(self.keys[kind], key=_number)

    def versions(self, kind: KeyKind) -> list[KeyVersion]:
        """The keys of a kind, oldest first: the last is the current one."""
        return [
            KeyVersion(key_id, kind, self.since.get(key_id), self.retired.get(key_id))
            for key_id in self.ids(kind)
        ]

    def with_new(self, kind: KeyKind, at: datetime | None) -> tuple[str, Self]:
        """With another key of a kind, made at this time, and its id."""
        number = max(map(_number, self.keys[kind]), default=0) + 1
        key_id = f"{kind}-{number}"
        keys = {**self.keys, kind: {**self.keys[kind], key_id: _new_key()}}
        since = self.since if at is None else {**self.since, key_id: at}
        return key_id, replace(self, keys=keys, since=since)

    def with_retired(self, key_id: str, at: datetime) -> Self:
        """With this key marked as retired; of two times the first stands."""
        return replace(self, retired={key_id: at, **self.retired})

    def without(self, key_id: str) -> Self:
        """Without this key."""
        kind = KeyKind.of(key_id)
        return replace(
            self,
            keys={**self.keys, kind: _except(self.keys[kind], key_id)},
            since=_except(self.since, key_id),
            retired=_except(self.retired, key_id),
        )

    def _checked(self) -> Self:
        for kind, keys in self.keys.items():
            if not keys and kind is not KeyKind.SIGN:
                raise ValueError(kind)
            for key_id in keys:
                if key_id.rpartition("-")[0] != kind or _number(key_id) < 1:
                    raise ValueError(kind)
        return self


def _except(values: Mapping[str, Value], key_id: str) -> dict[str, Value]:
    return {other: value for other, value in values.items() if other != key_id}


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no time zone")
    return at


def _number(key_id: str) -> int:
    number = key_id.rpartition("-")[2]
    if not number.isascii() or not number.isdecimal():
        raise ValueError("no number")
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
