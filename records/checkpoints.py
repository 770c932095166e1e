"""Checkpoints of the audit trail: all events in one order, hashed into a Merkle log whose head is signed.

A chain of events shows a change within it, not that its end or all of it is gone, nor that somebody with the
whole database in hand wrote it anew. A checkpoint shows that of every event it covers; the events since the
last one are covered by the next. Its head is also kept in a file outside the database (``records.heads``).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import Row, Select, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from records import merkle
from records.encoding import joined
from records.heads import Head, HeadsFile
from records.instants import from_microseconds, seconds, whole_microseconds
from records.locks import lock
from records.merkle import Tree
from records.tables import audit, audit_checkpoints, audit_leaves
from runtime.key_service import KeyService

_LEAF_VERSION = "kaiji audit leaf 1"
PAGE = 500
"""How many rows are in memory at a time, of however many there are."""

_PENDING = "kaiji checkpoint"
"""Where a connection keeps that a checkpoint was taken in its transaction, until that is committed."""


@dataclass(frozen=True)
class Checkpoint(Head):
    """A head of the log, with the complete subtrees it is grown on from (``merkle.Tree.frontier``)."""

    frontier: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Leaf:
    """An event in the log, by its name and digest."""

    position: int
    case_id: str
    seq: int
    digest: bytes

    def hash(self) -> bytes:
        """What the tree is grown by."""
        return merkle.leaf_hash(joined(_LEAF_VERSION, self.case_id, str(self.seq), self.digest))


async def take(conn: AsyncConnection, keyring: KeyService) -> Checkpoint | None:
    """Cover every event that no checkpoint covers yet; None where there is none.

    An event whose transaction is still open is covered by the next one: those of a case are committed in
    their order, so that its leaves have no gap. Of two at once one works and the other covers what came
    since. The file of heads follows when the transaction is committed (``Database.begin``).
    """
    await lock(conn, "audit checkpoints")
    conn.info[_PENDING] = True
    latest = _query().order_by(audit_checkpoints.c.size.desc()).limit(1)
    last = (await conn.execute(latest)).one_or_none()
    before = None if last is None else _checkpoint(last)
    tree = Tree(before.size, list(before.frontier)) if before else Tree()
    size = tree.size
    await _assign(conn, size)
    async for leaf in leaves(conn, size):
        tree.append(leaf.hash())
    if tree.size == size:
        return None
    key_id, key = keyring.signing_key()
    now = await conn.scalar(select(seconds(func.clock_timestamp())))
    head = Head(
        size=tree.size,
        root=tree.root(),
        previous=before.root if before else merkle.EMPTY,
        at=whole_microseconds(now) or 0,
        signing_key=key_id,
    )
    taken = Checkpoint(**{**vars(head), "signature": head.signed_by(key)}, frontier=tuple(tree.frontier))
    values = {**vars(taken), "at": from_microseconds(taken.at), "frontier": tree.frontier}
    await conn.execute(insert(audit_checkpoints).values(**values))
    return taken


async def stored(conn: AsyncConnection) -> list[Checkpoint]:
    """Every checkpoint as the database has it, the smallest first: a day has one, a year a few hundred."""
    return [_checkpoint(row) for row in await conn.execute(_query().order_by(audit_checkpoints.c.size))]


async def leaves(conn: AsyncConnection, start: int | None = None) -> AsyncIterator[Leaf]:
    """The leaves of the log, or those from a position on, in its order; few at a time are in memory."""
    wanted = select(audit_leaves).order_by(audit_leaves.c.position)
    if start is not None:
        wanted = wanted.where(audit_leaves.c.position >= start)
    async with conn.stream(wanted.execution_options(yield_per=PAGE)) as rows:
        async for row in rows:
            yield Leaf(row.position, row.case_id, row.seq, row.digest)


def take_pending(conn: AsyncConnection) -> bool:
    """Whether a checkpoint was asked for in this transaction: the file of heads follows its commit."""
    pending: bool = conn.info.pop(_PENDING, False)
    return pending


async def unwritten(conn: AsyncConnection, file: HeadsFile) -> list[Head]:
    """What the file lacks of the checkpoints: also one whose process was killed before it wrote it down."""
    written = {head.signature for head in file.read() or [] if head}
    return [each for each in await stored(conn) if each.signature not in written]


async def _assign(conn: AsyncConnection, start: int) -> None:
    """Give every event without a leaf the next position: one statement, so one state of every chain."""
    leaf = exists().where(audit_leaves.c.case_id == audit.c.case_id, audit_leaves.c.seq == audit.c.seq)
    order = func.row_number().over(order_by=(audit.c.case_id, audit.c.seq))
    found = select(order + (start - 1), audit.c.case_id, audit.c.seq, audit.c.digest).where(~leaf)
    await conn.execute(insert(audit_leaves).from_select(["position", "case_id", "seq", "digest"], found))


def _query() -> Select[tuple[object, ...]]:
    columns = [column for column in audit_checkpoints.c if column.name != "at"]
    return select(*columns, seconds(audit_checkpoints.c.at).label("at"))


def _checkpoint(row: Row[tuple[object, ...]]) -> Checkpoint:
    values = {**row._mapping, "at": whole_microseconds(row.at) or 0, "frontier": tuple(row.frontier)}
    return Checkpoint(**values)
