"""Merkle trees as RFC 6962 has them: hashes, growth leaf by leaf, proofs. Pure.

The hash of a tree stands for every leaf in it and their order. While it grows only the roots of its complete
subtrees are kept, one for each binary digit of its size.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

EMPTY = hashlib.sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf; the prefix keeps it from being taken for a node's."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass
class Tree:
    """A tree that grows at its right: ``frontier`` are its complete subtrees, the largest first."""

    size: int = 0
    frontier: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self.frontier.pop(), node)
            size >>= 1
        self.frontier.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The hash that stands for the whole tree."""
        return root_of(self.frontier)


def root_of(frontier: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, the largest first."""
    if not frontier:
        return EMPTY
    *others, node = frontier
    for subtree in reversed(others):
        node = node_hash(subtree, node)
    return node


def subtrees(size: int) -> list[tuple[int, int]]:
    """Which leaves each hash of a frontier covers: the first, and the one after the last."""
    spans, start = [], 0
    for digit in reversed(range(size.bit_length())):
        if size >> digit & 1:
            spans.append((start, start + (1 << digit)))
            start += 1 << digit
    return spans


def beside(index: int, size: int) -> list[tuple[int, int]]:
    """Which leaves each hash of a proof of inclusion covers: the first, and the one after the last."""
    spans, start, end = [], 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf of this hash stands at ``index`` in the tree of this size and root.

    RFC 9162, 2.1.3.2. ``proof`` are the hashes beside the way from the leaf to the root.
    """
    if not 0 <= index < size:
        return False
    node, last = leaf, size - 1
    for beside in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = node_hash(beside, node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, beside)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of size ``second`` begins with all that of size ``first`` (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return first == 0 <= second and not proof
    if first == second:
        return not proof and first_root == second_root
    hashes = [first_root, *proof] if first & (first - 1) == 0 else [*proof]
    if not hashes:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root
