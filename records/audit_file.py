"""The audit trail as a file for an auditor: written, and checked by whoever has the file alone.

JSON Lines, described in ``docs/retention.md``: a heading with the public keys, every event in the order of
the Merkle log, and each checkpoint right after the last event it covers. A part of the trail begins after a
checkpoint, on whose signature the rest is grown.
"""

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit, chains
from records.audit import Broken
from records.chains import START, Link, Stored
from records.checkpoints import PAGE, Checkpoint, Leaf, stored
from records.heads import Head, PublicKeys
from records.instants import from_microseconds, to_microseconds
from records.log_walk import Walk, is_whole
from records.tables import audit as events
from records.tables import audit_leaves
from records.trail import CHECKPOINTS, Findings, Seen, check_against

FORMAT = "kaiji audit trail 1"
LINE = "line"
"""What stands for the case of a line of which nothing can be made; its number stands for the event's."""

MAX_LINE = 1024 * 1024
Document = Mapping[str, Any]
NO_LINE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading raises for what was not written here."""


@dataclass(frozen=True)
class Placed:
    """An event with its position in the log."""

    position: int
    event: Stored


class NoTrail(ValueError):
    """The file is no audit trail, or in a format of another version."""


@dataclass(frozen=True)
class FileVerification:
    """What a file of the trail has, and what in it is not what was signed: ``more`` than is named."""

    cases: int
    events: int
    broken: tuple[Broken, ...]
    more: int
    checkpoint: Checkpoint | None
    begins_after: Checkpoint | None


# ── written ───────────────────────────────────────────────────────────────────────────────────────────────


async def lines(
    conn: AsyncConnection, keys: PublicKeys, *, end: int, since: datetime | None = None
) -> AsyncIterator[bytes]:
    """The file, line by line: what the checkpoints up to a size cover, or what those since an instant do."""
    checkpoints = [each for each in await stored(conn) if each.size <= end]
    before = [each for each in checkpoints if since and each.at < to_microseconds(since)]
    ahead = deque(checkpoints[len(before) :])
    base = before[-1] if before else None
    start = base.size if base else 0
    used = {each.signing_key for each in (*before[-1:], *ahead)}
    yield _line(_heading({id: key for id, key in keys.items() if id in used}, base))
    async for placed in _events(conn, start, end):
        while ahead and ahead[0].size <= placed.position:
            yield _written(ahead.popleft())
        yield _written(placed)
    for each in ahead:
        yield _written(each)


async def _events(conn: AsyncConnection, start: int, end: int) -> AsyncIterator[Placed | Leaf]:
    """What stands in the log from one position to another; of an event that is gone, its leaf."""
    of = (events.c.case_id == audit_leaves.c.case_id) & (events.c.seq == audit_leaves.c.seq)
    leaf = [column.label(f"leaf_{column.name}") for column in audit_leaves.c]
    wanted = (
        audit.as_stored()
        .add_columns(*leaf)
        .select_from(audit_leaves.outerjoin(events, of))
        .where(audit_leaves.c.position >= start, audit_leaves.c.position < end)
        .order_by(audit_leaves.c.position)
    )
    async with conn.stream(wanted.execution_options(yield_per=PAGE)) as rows:
        async for row in rows:
            if row.digest is None:
                yield Leaf(row.leaf_position, row.leaf_case_id, row.leaf_seq, row.leaf_digest)
            else:
                yield Placed(row.leaf_position, audit.stored(row))


def _heading(keys: PublicKeys, base: Checkpoint | None) -> dict[str, object]:
    return {
        "format": FORMAT,
        "public_keys": keys_document(keys),
        "begins_after": base and _checkpoint(base),
    }


def keys_document(keys: PublicKeys) -> dict[str, str]:
    """Public keys as JSON has them; see ``read_keys``."""
    return {key_id: key.public_bytes_raw().hex() for key_id, key in keys.items()}


def _written(what: Placed | Leaf | Checkpoint) -> bytes:
    if isinstance(what, Checkpoint):
        return _line({"checkpoint": _checkpoint(what)})
    if isinstance(what, Leaf):
        return _line({"removed": {**asdict(what), "digest": what.digest.hex()}})
    return _line({"event": event_document(what)})


def event_document(placed: Placed) -> dict[str, object]:
    """An event as JSON has it; see ``read_event``."""
    event, at = placed.event, None if placed.event.at is None else from_microseconds(placed.event.at)
    return {
        "position": placed.position,
        **asdict(event),
        "at": at and at.isoformat(timespec="microseconds"),
        "previous": event.previous.hex(),
        "digest": event.digest.hex(),
    }


def _checkpoint(checkpoint: Checkpoint) -> dict[str, object]:
    return {**checkpoint.to_document(), "frontier": [each.hex() for each in checkpoint.frontier]}


def _line(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


# ── checked ───────────────────────────────────────────────────────────────────────────────────────────────


def verify(
    file: BinaryIO, pinned: Iterable[Ed25519PublicKey] | None = None, seen: Seen = lambda steps: None
) -> FileVerification:
    """Check a file of the trail, line by line: every event, the chains, the log and its checkpoints.

    With ``pinned`` keys a checkpoint counts that one of these has signed, else one that a key in the file's
    own heading has. What is in memory grows with the cases, not with the events. ``seen`` counts
    bytes. Raises ``NoTrail``.
    """
    numbered = enumerate(iter(partial(file.readline, MAX_LINE), b""), 1)
    _, heading = next(numbered, (0, b""))
    named, base = _read_heading(heading)
    keys = trusted(named, pinned)
    reading = _Reading(Walk(keys) if base is None else Walk.after(base, keys), base)
    if base is not None:
        reading.judge_base(base)
    for number, line in numbered:
        reading.take(number, line)
        seen(len(line))
    reading.end()
    return FileVerification(
        cases=len(reading.chains),
        events=reading.events,
        broken=tuple(reading.found.named),
        more=reading.found.more,
        checkpoint=reading.last,
        begins_after=base,
    )


@dataclass
class _Reading:
    """How far a file is read, and what was found in it."""

    walk: Walk
    base: Checkpoint | None
    found: Findings = field(default_factory=Findings)
    chains: dict[str, Link] = field(default_factory=dict)
    events: int = 0
    last: Checkpoint | None = None
    next_position: int = 0
    is_covered: bool = True

    def __post_init__(self) -> None:
        self.next_position = self.walk.tree.size

    def judge_base(self, base: Checkpoint) -> None:
        why = base.unsigned_because(self.walk.keys)
        if why is None and not is_whole(base):
            why = "its subtrees were altered"
        if why is not None:
            self.found.add(CHECKPOINTS, base.size, why)

    def take(self, number: int, line: bytes) -> None:
        try:
            read = _read_line(line)
        except NO_LINE:
            self.found.add(LINE, number, "is not a line that was written so")
            return
        match read:
            case Checkpoint():
                check_against(self.walk, read, self.found)
                self.last, self.is_covered = read, True
            case Leaf():
                self.found.add(read.case_id, read.seq, "was removed: the log has its leaf")
                self._place(read)
            case Placed(position, event):
                self._follow(event)
                self._place(Leaf(position, event.case_id, event.seq, event.digest))

    def end(self) -> None:
        if not self.is_covered:
            self.found.add(LINE, self.events, "the file ends without the checkpoint of its last events")

    def _follow(self, event: Stored) -> None:
        self.events += 1
        after = self.chains.get(event.case_id)
        if after is None:
            after = START if self.base is None else Link(event.seq - 1, event.previous)
        if why := chains.fault(event, after):
            self.found.add(event.case_id, event.seq, why)

    def _place(self, leaf: Leaf) -> None:
        if leaf.position != self.next_position:
            why = f"stands at {leaf.position:,} in the log, after {self.next_position - 1:,}"
            self.found.add(leaf.case_id, leaf.seq, why)
        self.next_position = leaf.position + 1
        self.chains[leaf.case_id] = Link(leaf.seq, leaf.digest)
        self.walk.tree.append(leaf.hash())
        self.is_covered = False


def _read_heading(line: bytes) -> tuple[dict[str, Ed25519PublicKey], Checkpoint | None]:
    try:
        document = json.loads(line)
        if document["format"] != FORMAT:
            raise ValueError(FORMAT)
        keys = read_keys(document["public_keys"])
        base = document["begins_after"] and _read_checkpoint(document["begins_after"])
        if _line(_heading(keys, base)) != line:
            raise ValueError(FORMAT)
    except NO_LINE:
        raise NoTrail("the first line is not the heading of an audit trail") from None
    return keys, base


def read_keys(document: Document) -> dict[str, Ed25519PublicKey]:
    """Raises ``NO_LINE``."""
    return {str(id): Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)) for id, key in document.items()}


def trusted(keys: PublicKeys, pinned: Iterable[Ed25519PublicKey] | None) -> PublicKeys:
    """Those of the keys that a file names which are pinned; all where none is."""
    if pinned is None:
        return keys
    known = {key.public_bytes_raw() for key in pinned}
    return {id: key for id, key in keys.items() if key.public_bytes_raw() in known}


def _read_line(line: bytes) -> Placed | Leaf | Checkpoint:
    """Raises ``NO_LINE``, also for a line that is not letter by letter what it says."""
    ((kind, document),) = json.loads(line).items()
    read = _READ[kind](document)
    if _written(read) != line:
        raise ValueError(kind)
    return read


def _read_checkpoint(document: Document) -> Checkpoint:
    head = Head.from_document(document)
    return Checkpoint(**vars(head), frontier=tuple(bytes.fromhex(each) for each in document["frontier"]))


def read_event(document: Document) -> Placed:
    """Raises ``NO_LINE``."""
    at = document["at"]
    event = Stored(
        case_id=str(document["case_id"]),
        seq=int(document["seq"]),
        at=None if at is None else to_microseconds(datetime.fromisoformat(at)),
        actor=str(document["actor"]),
        act=str(document["act"]),
        detail=document["detail"],
        key=None if document["key"] is None else str(document["key"]),
        previous=bytes.fromhex(document["previous"]),
        digest=bytes.fromhex(document["digest"]),
    )
    return Placed(int(document["position"]), event)


def _read_leaf(document: Document) -> Leaf:
    return Leaf(
        position=int(document["position"]),
        case_id=str(document["case_id"]),
        seq=int(document["seq"]),
        digest=bytes.fromhex(document["digest"]),
    )


_READ: Mapping[str, Callable[[Document], Placed | Leaf | Checkpoint]] = {
    "event": read_event,
    "removed": _read_leaf,
    "checkpoint": _read_checkpoint,
}
