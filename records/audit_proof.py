"""The proof that one event stands in the signed log: for somebody who is to see that event and no other.

A file of one line of JSON, described in ``docs/retention.md``: the event, the hashes beside its way to the
root of the last checkpoint (RFC 9162, 2.1.3), that checkpoint, the public key.
"""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refusals import Code, Refusal
from records import audit, merkle
from records.audit_file import (
    NO_LINE,
    NoTrail,
    Placed,
    event_document,
    keys_document,
    read_event,
    read_keys,
    trusted,
)
from records.checkpoints import Leaf, leaves, stored
from records.heads import Head, PublicKeys
from records.merkle import Tree
from records.tables import audit as events
from records.tables import audit_leaves

FORMAT = "kaiji audit proof 1"


@dataclass(frozen=True)
class Proof:
    """An event, and that a checkpoint covers it."""

    placed: Placed
    hashes: tuple[bytes, ...]
    head: Head

    def fault(self, keys: PublicKeys) -> str | None:
        """What is wrong with it; None where it holds."""
        event = self.placed.event
        if not event.is_as_written():
            return "was altered"
        if why := self.head.unsigned_because(keys):
            return f"is in a checkpoint that proves nothing: {why}"
        leaf = Leaf(self.placed.position, event.case_id, event.seq, event.digest).hash()
        position, size, root = self.placed.position, self.head.size, self.head.root
        held = merkle.verify_inclusion(position, size, leaf, self.hashes, root)
        return None if held else "is not in the log that was signed"


@dataclass(frozen=True)
class Checked:
    """A proof that was read, and what is wrong with it."""

    proof: Proof
    fault: str | None


async def prove(conn: AsyncConnection, case_id: str, seq: int) -> Proof:
    """The proof of one event; reads the log once, keeping a hash for each step of the way.

    Raises ``Refusal`` (not_found) for an event that is not there, or that no checkpoint covers yet.
    """
    row = (
        await conn.execute(audit.as_stored().where(events.c.case_id == case_id, events.c.seq == seq))
    ).one_or_none()
    if row is None:
        raise Refusal(Code.NOT_FOUND, "the audit trail has no such event: `kaiji audit show` lists a case's")
    event, checkpoints = audit.stored(row), await stored(conn)
    size = checkpoints[-1].size if checkpoints else 0
    of = (audit_leaves.c.case_id == case_id) & (audit_leaves.c.seq == seq)
    position = await conn.scalar(select(audit_leaves.c.position).where(of))
    if position is None or position >= size:
        raise Refusal(
            Code.NOT_FOUND, "no checkpoint covers this event yet: `kaiji audit checkpoint` takes one"
        )
    spans = merkle.beside(position, size)
    trees = [(span, Tree()) for span in spans]
    ahead = deque(sorted(trees, key=lambda each: each[0]))
    async for leaf in leaves(conn):
        while ahead and ahead[0][0][1] <= leaf.position:
            ahead.popleft()
        if ahead and ahead[0][0][0] <= leaf.position:
            ahead[0][1].append(leaf.hash())
    hashes = tuple(tree.root() for _, tree in trees)
    head = {name: value for name, value in vars(checkpoints[-1]).items() if name != "frontier"}
    return Proof(Placed(position, event), hashes, Head(**head))


def written(proof: Proof, keys: PublicKeys) -> bytes:
    """The file, with the public key that the checkpoint is signed with."""
    document = {
        "format": FORMAT,
        "public_keys": keys_document({proof.head.signing_key: keys[proof.head.signing_key]}),
        "event": event_document(proof.placed),
        "proof": [each.hex() for each in proof.hashes],
        "checkpoint": proof.head.to_document(),
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def check(line: bytes, pinned: Iterable[Ed25519PublicKey] | None = None) -> Checked | None:
    """Check a file against ``pinned`` keys, or the one it names; None for a file of another format.

    Raises ``NoTrail`` for a proof that is not letter by letter what it says.
    """
    if not line.startswith(b'{"format":"' + FORMAT.encode() + b'"'):
        return None
    try:
        document = json.loads(line)
        keys = read_keys(document["public_keys"])
        proof = Proof(
            read_event(document["event"]),
            tuple(bytes.fromhex(each) for each in document["proof"]),
            Head.from_document(document["checkpoint"]),
        )
        if written(proof, keys) != line:
            raise NoTrail(FORMAT)
    except NO_LINE:
        raise NoTrail("it was altered: this is not how a proof is written") from None
    return Checked(proof, proof.fault(trusted(keys, pinned)))
