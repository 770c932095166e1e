"""The whole audit trail, checked: chains, events against leaves, checkpoints, heads, certificates.

What is altered, removed, inserted or moved is found and named, whoever did it, up to the last checkpoint;
after that a chain shows any change within it, but not that its last events are gone. Nothing is kept in
memory but what is broken.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, Select, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit, chains
from records.audit import Broken
from records.certificates import verify_all as verify_certificates
from records.chains import START, Link
from records.checkpoints import PAGE, Checkpoint, leaves, stored
from records.database import Database
from records.heads import Head, PublicKeys
from records.instants import from_microseconds
from records.log_walk import Walk
from records.merkle import leaf_hash
from records.tables import audit as events
from records.tables import audit_leaves, certificates

LISTED = 1000
"""So many broken places are named; more are counted."""

LEAVES, CHECKPOINTS, HEADS = "audit_leaves", "audit_checkpoints", "audit_heads"
"""What stands for the case of what is broken in the log itself: a position, a size, a line of the file."""

_SUSPECTS = 20
_MISSING = leaf_hash(b"")
"""What stands for a leaf that is gone, so that those after it keep their places."""

Seen = Callable[[int], None]


@dataclass(frozen=True)
class Verification:
    """What was read of the trail, and what is broken: ``more`` than is named where it is very much.

    ``since`` counts the events since the last checkpoint. ``unwritten`` counts checkpoints that the file of
    heads lacks, ``heads`` its lines; None where there is no file.
    """

    cases: int
    events: int
    broken: tuple[Broken, ...]
    more: int
    since: int
    checkpoint: Checkpoint | None
    certificates: int
    heads: int | None
    unwritten: int

    @property
    def checkpoint_at(self) -> datetime | None:
        """When the last checkpoint was taken."""
        return from_microseconds(self.checkpoint.at) if self.checkpoint else None


@dataclass
class Findings:
    """What is broken, in the order in which it is found."""

    named: list[Broken] = field(default_factory=list)
    more: int = 0

    def add(self, case_id: str, seq: int, why: str) -> None:
        if len(self.named) < LISTED:
            self.named.append(Broken(case_id, seq, why))
        else:
            self.more += 1


async def verify(database: Database, keys: PublicKeys, seen: Seen = lambda steps: None) -> Verification:
    """Check everything, in one state of the database; nothing is written. ``seen`` counts rows read."""
    file = database.heads_file
    heads = file.read() if file else None  # first: what is in it by now is in the database's state too
    found = Findings()
    async with database.begin() as conn:
        await one_state(conn)
        cases, count, since = await _chains(conn, found, seen)
        for broken in await audit.cut_off(conn):
            found.add(broken.case_id, broken.seq, broken.why)
        for fault in await verify_certificates(conn, keys):
            found.add(fault.case_id, 0, f"the certificate for {fault.record_class}: {fault.why}")
        certified = await conn.scalar(select(func.count()).select_from(certificates)) or 0
        checkpoints = await stored(conn)
        await _log(conn, checkpoints, keys, found, seen)
    _heads(heads or [], checkpoints, keys, found)
    written = {head.signature for head in heads or [] if head}
    return Verification(
        cases=cases,
        events=count,
        broken=tuple(found.named),
        more=found.more,
        since=since,
        checkpoint=checkpoints[-1] if checkpoints else None,
        certificates=certified,
        heads=None if heads is None else len(heads),
        unwritten=sum(each.signature not in written for each in checkpoints),
    )


async def one_state(conn: AsyncConnection) -> None:
    """At the beginning of a transaction: it reads one state of the database, and writes nothing."""
    await conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


async def count_rows(database: Database) -> int:
    """How many rows ``verify`` is going to read."""
    async with database.begin() as conn:
        tables = (events, audit_leaves)
        return sum([await conn.scalar(select(func.count()).select_from(table)) or 0 for table in tables])


# ── chains and their leaves ───────────────────────────────────────────────────────────────────────────────


async def _chains(conn: AsyncConnection, found: Findings, seen: Seen) -> tuple[int, int, int]:
    """Every chain beside its leaves; answers how many cases, events, and events without a leaf there are."""
    cases = count = since = 0
    chain: _Chain | None = None
    async with conn.stream(_beside_leaves().execution_options(yield_per=PAGE)) as rows:
        async for row in rows:
            if chain is None or chain.case_id != row.case_id:
                chain = _Chain(row.case_id)
                cases += 1
            chain.check(row, found)
            count += 1
            since += row.leaf is None
            seen(1)
    await _without_events(conn, found)
    return cases, count, since


@dataclass
class _Chain:
    """A chain while it is walked: where it is, in the log too, and its first event without a leaf."""

    case_id: str
    after: Link = START
    position: int = -1
    bare: int | None = None

    def check(self, row: Row[tuple[object, ...]], found: Findings) -> None:
        event = audit.stored(row)
        why = chains.fault(event, self.after)
        self.after = event.link
        if row.leaf is None:
            self.bare = row.seq if self.bare is None else self.bare
        else:
            if self.bare is not None:
                found.add(self.case_id, self.bare, "has no leaf in the log, where a later event has one")
                self.bare = None
            if why is None and row.leaf != event.digest:
                why = "is not the event that the log has"
            if why is None and row.position <= self.position:
                why = "stands in the log before an earlier event"
            self.position = row.position
        if why is not None:
            found.add(self.case_id, event.seq, why)


def _beside_leaves() -> Select[tuple[object, ...]]:
    """Every event with the leaf that the log has of it, in the order of the chains."""
    of = (events.c.case_id == audit_leaves.c.case_id) & (events.c.seq == audit_leaves.c.seq)
    return (
        audit.as_stored()
        .add_columns(audit_leaves.c.digest.label("leaf"), audit_leaves.c.position)
        .select_from(events.outerjoin(audit_leaves, of))
        .order_by(events.c.case_id, events.c.seq)
    )


async def _without_events(conn: AsyncConnection, found: Findings) -> None:
    """Leaves of which the event is gone, or stands elsewhere."""
    of = (events.c.case_id == audit_leaves.c.case_id) & (events.c.seq == audit_leaves.c.seq)
    alone = await conn.stream(
        select(audit_leaves)
        .where(~exists().where(of))
        .order_by(audit_leaves.c.position)
        .execution_options(yield_per=PAGE)
    )
    any_alone = False
    async for leaf in alone:
        any_alone = True
        found.add(leaf.case_id, leaf.seq, "was removed: the log has its leaf")
    if not any_alone:
        return
    moved = await conn.execute(
        select(events.c.case_id, events.c.seq, audit_leaves.c.position)
        .join(audit_leaves, events.c.digest == audit_leaves.c.digest)
        .where((events.c.case_id != audit_leaves.c.case_id) | (events.c.seq != audit_leaves.c.seq))
        .limit(LISTED)
    )
    for event in moved:
        found.add(event.case_id, event.seq, f"stands in the log under another name, at {event.position:,}")


# ── the log and its checkpoints ───────────────────────────────────────────────────────────────────────────


async def _log(
    conn: AsyncConnection, checkpoints: list[Checkpoint], keys: PublicKeys, found: Findings, seen: Seen
) -> None:
    walk, ahead = Walk(keys), deque(checkpoints)
    count = await conn.scalar(select(func.count()).select_from(audit_leaves)) or 0
    end = max((each.size for each in checkpoints if each.unsigned_because(keys) is None), default=count)
    before = "the beginning"

    def grow(leaf: bytes) -> None:
        walk.tree.append(leaf)
        while ahead and ahead[0].size <= walk.tree.size:
            check_against(walk, ahead.popleft(), found)

    async for leaf in leaves(conn):
        seen(1)
        name = f"{leaf.case_id} {leaf.seq}"
        if not walk.tree.size <= leaf.position < end:
            found.add(leaf.case_id, leaf.seq, f"its leaf stands at {leaf.position:,}, which nobody signed")
            continue
        if leaf.position > walk.tree.size:
            _missing(walk.tree.size, leaf.position, f"between {before} and {name}", found)
        while walk.tree.size < leaf.position:
            grow(_MISSING)
        grow(leaf.hash())
        before = name
    if walk.tree.size < end:
        _missing(walk.tree.size, end, f"after {before}", found)
    for each in ahead:
        check_against(walk, each, found)
    for first, last in walk.altered:
        await _name_altered(conn, first, last, found)


def check_against(walk: Walk, checkpoint: Checkpoint, found: Findings) -> None:
    """Hold the log, as far as it is walked, against a checkpoint."""
    for why in walk.faults(checkpoint):
        found.add(CHECKPOINTS, checkpoint.size, why)


def _missing(first: int, end: int, where: str, found: Findings) -> None:
    which = (
        f"leaf {first:,} is missing" if end == first + 1 else f"leaves {first:,} to {end - 1:,} are missing"
    )
    found.add(LEAVES, first, f"{which}, {where}")


async def _name_altered(conn: AsyncConnection, first: int, last: int, found: Findings) -> None:
    """The cases among whose events one is not what was signed, where they are few."""
    rows = await conn.execute(
        select(audit_leaves.c.case_id, func.min(audit_leaves.c.seq), func.max(audit_leaves.c.seq))
        .where(audit_leaves.c.position.between(first, last))
        .group_by(audit_leaves.c.case_id)
        .order_by(audit_leaves.c.case_id)
        .limit(_SUSPECTS)
    )
    for case_id, start, stop in rows:
        found.add(case_id, start, f"of its events {start} to {stop} one may be other than what was signed")


def _heads(
    heads: Iterable[Head | None], checkpoints: list[Checkpoint], keys: PublicKeys, found: Findings
) -> None:
    """What the file outside the database says that the database does not."""
    known = {each.size: each for each in checkpoints}
    for line, head in enumerate(heads, 1):
        if head is None:
            found.add(HEADS, line, "is no head of the log")
        elif why := head.unsigned_because(keys):
            found.add(HEADS, line, why)
        elif (there := known.get(head.size)) is None:
            at = from_microseconds(head.at)
            found.add(
                HEADS,
                line,
                f"the database lacks the checkpoint of {head.size:,} events, taken {at:%Y-%m-%d %H:%M} UTC:"
                " it was set back to an earlier state",
            )
        elif there.signature != head.signature:
            found.add(HEADS, line, f"the database has another checkpoint of {head.size:,} events")
