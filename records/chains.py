"""The chain of a case: what an event's digest is computed over, and what is wrong with one read back. Pure.

Each event carries the digest of the one before it, so that an event changed, removed or moved breaks the
chain from there. What is read back may be anything by then: it is taken as it comes and compared.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from records.encoding import canonical_json, joined

GENESIS = bytes(32)
"""What stands for the previous digest in a case's first event."""

_VERSION = "kaiji audit 1"


@dataclass(frozen=True)
class Stored:
    """An event as it was found; ``at`` counts microseconds since 1970, None for what is no instant."""

    case_id: str
    seq: int
    at: int | None
    actor: str
    act: str
    detail: JsonValue
    key: str | None
    previous: bytes
    digest: bytes

    @property
    def link(self) -> "Link":
        """What the next event of the case follows."""
        return Link(self.seq, self.digest)

    def is_as_written(self) -> bool:
        """Whether its digest is that of its content."""
        if self.at is None or not isinstance(self.detail, dict):
            return False
        try:
            return self.digest == digest_of(
                self.case_id,
                self.seq,
                self.at,
                self.actor,
                self.act,
                self.detail,
                self.key,
                self.previous,
            )
        except (ValueError, RecursionError):  # numbers and nesting that nobody has written
            return False


@dataclass(frozen=True)
class Link:
    """Where a chain has got to: an event's place and digest."""

    seq: int
    digest: bytes


START = Link(0, GENESIS)
"""Before the first event of a case."""


def fault(event: Stored, after: Link) -> str | None:
    """What is wrong with an event that is found after another one of its case; None where nothing is."""
    if event.seq != after.seq + 1:
        return f"event {after.seq + 1} is missing"
    if event.previous != after.digest:
        return "does not follow the event before it"
    return None if event.is_as_written() else "was altered"


def digest_of(
    case_id: str,
    seq: int,
    at: int,
    actor: str,
    act: str,
    detail: Mapping[str, JsonValue],
    key: str | None,
    previous: bytes,
) -> bytes:
    """SHA-256 over every part of an event, each with its length; ``at`` in microseconds since 1970."""
    return hashlib.sha256(
        joined(
            _VERSION,
            case_id,
            str(seq),
            str(at),
            actor,
            act,
            canonical_json(dict(detail)),
            canonical_json(key),
            previous,
        )
    ).digest()
