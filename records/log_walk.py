"""Walking the Merkle log from its beginning, leaf by leaf, and holding it against each checkpoint. Pure."""

from dataclasses import dataclass, field

from records import merkle
from records.checkpoints import Checkpoint
from records.heads import PublicKeys
from records.merkle import Tree


@dataclass
class Walk:
    """How far one has walked. ``altered`` has the positions, first and last, of leaves of which at least one
    is not what was signed.

    What a checkpoint contradicts is told once: from there the walk goes on as if the leaves were those that
    were signed, so that later alterations are found too.
    """

    keys: PublicKeys
    tree: Tree = field(default_factory=Tree)
    previous: bytes = merkle.EMPTY
    altered: list[tuple[int, int]] = field(default_factory=list)
    _proven: int = 0

    @classmethod
    def after(cls, checkpoint: Checkpoint, keys: PublicKeys) -> "Walk":
        """Begin after what a checkpoint covers: on its word alone."""
        tree = Tree(checkpoint.size, list(checkpoint.frontier))
        return cls(keys, tree, checkpoint.root, _proven=checkpoint.size)

    def faults(self, checkpoint: Checkpoint) -> list[str]:
        """What is wrong with a checkpoint, or with the leaves between the one before and this."""
        found = []
        if why := checkpoint.unsigned_because(self.keys):
            found.append(why)
        if checkpoint.previous != self.previous:
            found.append("it does not follow the checkpoint before it")
        self.previous = checkpoint.root
        if checkpoint.size != self.tree.size:
            found.append(f"it covers {checkpoint.size:,} events, where the log has {self.tree.size:,}")
            if len(found) == 1 and is_whole(checkpoint):
                self.tree = Tree(checkpoint.size, list(checkpoint.frontier))
        elif self.tree.root() != checkpoint.root:
            found.append(self._contradicted(checkpoint))
        elif list(checkpoint.frontier) != self.tree.frontier:
            found.append("its subtrees were altered")
        self._proven = self.tree.size
        return found

    def _contradicted(self, signed: Checkpoint) -> str:
        first, end = self._proven, signed.size
        if is_whole(signed):
            for (start, stop), computed, told in zip(
                merkle.subtrees(signed.size), self.tree.frontier, signed.frontier, strict=True
            ):
                if computed != told:
                    first, end = max(first, start), stop
                    break
            self.tree = Tree(signed.size, list(signed.frontier))
        if first < end:
            self.altered.append((first, end - 1))
        return f"its root is not that of the events: one of the leaves {first:,} to {end - 1:,} was altered"


def is_whole(checkpoint: Checkpoint) -> bool:
    """Whether its subtrees are those of its root: from them a log can be grown on."""
    return (
        len(checkpoint.frontier) == checkpoint.size.bit_count()
        and all(isinstance(each, bytes) for each in checkpoint.frontier)
        and merkle.root_of(checkpoint.frontier) == checkpoint.root
    )
