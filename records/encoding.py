"""Bytes that mean one thing only: what digests, associated data and fingerprints are computed over."""

import json

from pydantic import JsonValue

_LENGTH_BYTES = 8
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def joined(*fields: bytes | str) -> bytes:
    """Fields, each preceded by its length: different fields never make the same bytes."""
    return b"".join(_with_length(field) for field in fields)


def canonical_json(value: JsonValue) -> bytes:
    """JSON with sorted keys and no blanks, ASCII only. Raises ``ValueError`` for NaN and infinities."""
    return _CANONICAL.encode(value).encode("ascii")


def _with_length(field: bytes | str) -> bytes:
    data = field.encode() if isinstance(field, str) else field
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data
