"""The tree against the definition of RFC 6962, section 2.1, written down as the recursion it is."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from records import merkle
from records.merkle import Tree

Leaves = list[bytes]
leaves = st.lists(st.binary(max_size=4), max_size=40)


def split(count: int) -> int:
    """The largest power of two below a count of at least two."""
    return 1 << (count - 1).bit_length() - 1


def root(data: Leaves) -> bytes:
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\0" + data[0]).digest()
    k = split(len(data))
    return hashlib.sha256(b"\1" + root(data[:k]) + root(data[k:])).digest()


def inclusion(index: int, data: Leaves) -> list[bytes]:
    if len(data) == 1:
        return []
    k = split(len(data))
    if index < k:
        return [*inclusion(index, data[:k]), root(data[k:])]
    return [*inclusion(index - k, data[k:]), root(data[:k])]


def consistency(first: int, data: Leaves, *, whole: bool = True) -> list[bytes]:
    if first == len(data):
        return [] if whole else [root(data)]
    k = split(len(data))
    if first <= k:
        return [*consistency(first, data[:k], whole=whole), root(data[k:])]
    return [*consistency(first - k, data[k:], whole=False), root(data[:k])]


def grown(data: Leaves) -> Tree:
    tree = Tree()
    for each in data:
        tree.append(merkle.leaf_hash(each))
    return tree


def test_a_known_root() -> None:
    """The seven-leaf example of the certificate transparency test vectors begins with the empty leaf."""
    assert merkle.EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert grown([b""]).root().hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert (
        grown([b"", b"\0"]).root().hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    )


@given(leaves)
def test_a_tree_that_grows_is_the_recursion(data: Leaves) -> None:
    tree = grown(data)
    assert (tree.size, tree.root()) == (len(data), root(data))
    spans = merkle.subtrees(len(data))
    assert tree.frontier == [root(data[start:end]) for start, end in spans]
    assert [each for start, end in spans for each in range(start, end)] == list(range(len(data)))


@given(st.data())
def test_a_proof_of_inclusion_holds_for_its_leaf_alone(drawn: st.DataObject) -> None:
    data = drawn.draw(st.lists(st.binary(max_size=4), min_size=1, max_size=40, unique=True))
    index = drawn.draw(st.integers(0, len(data) - 1))
    proof, whole, leaf = inclusion(index, data), root(data), merkle.leaf_hash(data[index])
    assert [root(data[start:end]) for start, end in merkle.beside(index, len(data))] == proof
    assert merkle.verify_inclusion(index, len(data), leaf, proof, whole)
    assert not merkle.verify_inclusion(index, len(data), merkle.leaf_hash(b"other"), proof, whole)
    assert not merkle.verify_inclusion(len(data), len(data), leaf, proof, whole)
    assert not merkle.verify_inclusion(index, len(data), leaf, [*proof, whole], whole)
    if proof:
        assert not merkle.verify_inclusion(index ^ 1, len(data), leaf, proof, whole)
        at = drawn.draw(st.integers(0, len(proof) - 1))
        assert not merkle.verify_inclusion(index, len(data), leaf, proof[:at] + proof[at + 1 :], whole)


@given(st.data())
def test_a_proof_of_consistency_holds_for_what_only_grew(drawn: st.DataObject) -> None:
    data = drawn.draw(st.lists(st.binary(max_size=4), min_size=1, max_size=40))
    first = drawn.draw(st.integers(1, len(data)))
    old, new, proof = root(data[:first]), root(data), consistency(first, data)
    assert merkle.verify_consistency(first, len(data), old, new, proof)
    assert merkle.verify_consistency(0, len(data), merkle.EMPTY, new, [])
    other = root([*data[: first - 1], b"other"])
    assert not merkle.verify_consistency(first, len(data), other, new, proof)
    assert not merkle.verify_consistency(first, len(data), old, merkle.EMPTY, proof)
    assert not merkle.verify_consistency(first, len(data), old, new, [*proof, new])
    if proof:
        assert not merkle.verify_consistency(first, len(data), old, new, proof[:-1])
