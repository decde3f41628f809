"""The Merkle tree over the lines of a log: hashes, proofs, and the state that a writer keeps for them.

Source: RFC 6962 section 2.1 (hashes, inclusion, consistency), RFC 9162 section 2.1.3.2 and 2.1.4.2 (how to verify).
Holds: a hash is 32 bytes. State and proofs grow with the logarithm of the log; only `inclusion` receives all leaves.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Self

EMPTY: Final = sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two others."""
    return sha256(b"\x01" + left + right).digest()


class Forest:
    """The largest complete subtrees of the leaves `[start, size)`, in order: their number is logarithmic.

    With `start` 0 it yields the root. With a later start it yields what a proof of consistency from `start` needs.
    """

    __slots__ = ("_trees", "size", "start")

    def __init__(self, start: int = 0, trees: Iterable[tuple[int, bytes]] = ()) -> None:
        self.start = start
        self._trees = list(trees)
        self.size = start + sum(count for count, _ in self._trees)

    def append(self, leaf: bytes, count: int = 1) -> None:
        """Add one more leaf, by its hash, or the next complete subtree of `count` leaves."""
        trees = self._trees
        self.size = size = self.size + count
        # Two of one size are a subtree of the whole tree only where they end at a multiple of their sum.
        while trees and trees[-1][0] == count and not size % (2 * count):
            leaf = sha256(b"\x01" + trees.pop()[1] + leaf).digest()
            count *= 2
        trees.append((count, leaf))

    def append_leaves(self, leaves: Iterable[bytes]) -> None:
        """Add leaves, by their hashes. As `append` for each, but without a call a leaf: every record passes here."""
        trees, size = self._trees, self.size
        for leaf in leaves:
            size += 1
            count = 1
            while trees and trees[-1][0] == count and not size % (2 * count):
                leaf = sha256(b"\x01" + trees.pop()[1] + leaf).digest()  # noqa: PLW2901 - it is the subtree by now
                count *= 2
            trees.append((count, leaf))
        self.size = size

    def extend(self, other: "Forest") -> None:
        """Add the leaves of another forest, which starts where this one ends."""
        for count, tree in other.trees:
            self.append(tree, count)

    def copy(self) -> Self:
        """Return an independent copy."""
        return type(self)(self.start, self._trees)

    @property
    def trees(self) -> tuple[tuple[int, bytes], ...]:
        """The number of leaves of each subtree, and the hash over them."""
        return tuple(self._trees)

    @property
    def root(self) -> bytes:
        """The hash over all leaves, `start` being 0."""
        return _join_trees([tree for _, tree in self._trees]) if self._trees else EMPTY


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the hashes of leaves."""
    forest = Forest()
    forest.append_leaves(leaves)
    return forest.root


def consistency(before: Forest, since: Forest) -> list[bytes]:
    """Return the proof that the tree of `before` is a prefix of the tree to which `since` was added.

    `before` has the leaves `[0, m)` and `since` `[m, n)`. Source: RFC 6962, section 2.1.2.
    """
    if before.size in {0, since.size}:
        return []
    left, right = list(before.trees), list(since.trees)
    proof: list[bytes] = []
    # Both trees meet at the smallest subtree on the left; the proof omits it if it is the whole older tree.
    meeting = left.pop()
    if left:
        proof.append(meeting[1])
    start, count = before.size - meeting[0], meeting[0]
    end = since.size
    # From there upwards: the sibling to the left or to the right, up to the root.
    while start > 0 or start + count < end:
        if left and not _is_left(start, count, end):
            size, tree = left.pop()
            proof.append(tree)
            start, count = start - size, count + size
        else:
            taken, beside = _take_sibling(right, start, count, end)
            proof.append(beside)
            count += taken
    return proof


def _is_left(start: int, count: int, end: int) -> bool:
    """Tell whether a subtree that begins here, and is complete or ends the tree, has its sibling to the right."""
    whole = 1 << (count - 1).bit_length()
    return start % (2 * whole) == 0 and start + count < end


def _take_sibling(trees: list[tuple[int, bytes]], start: int, count: int, end: int) -> tuple[int, bytes]:
    """Remove from the front the subtrees of the right sibling of the subtree that begins here, and hash them to one."""
    most = min(count, end - start - count)
    taken, hashes = 0, []
    while taken < most:
        size, tree = trees.pop(0)
        hashes.append(tree)
        taken += size
    return taken, _join_trees(hashes)


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the proof that a leaf is in the tree of these leaf hashes. Source: RFC 6962, section 2.1.1."""
    proof: list[bytes] = []
    start, end = 0, len(leaves)
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if index < middle:
            proof.append(root(leaves[middle:end]))
            end = middle
        else:
            proof.append(root(leaves[start:middle]))
            start = middle
    return proof[::-1]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Tell whether a proof shows that the tree with this size and root has this leaf. Source: RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return False
    first, last, found = index, size - 1, leaf
    for beside in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            found = node_hash(beside, found)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        first, last = first >> 1, last >> 1
    return last == 0 and found == expected


def is_consistent(old_size: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that the older tree is a prefix of the newer one. Source: RFC 9162, 2.1.4.2."""
    if old_size in {0, size}:
        return old_root == (EMPTY if old_size == 0 else new_root) and not proof
    if not 0 < old_size < size:
        return False
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    first, last = old_size - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    older = newer = path[0]
    for beside in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            older, newer = node_hash(beside, older), node_hash(beside, newer)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            newer = node_hash(newer, beside)
        first, last = first >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root


def _join_trees(trees: list[bytes]) -> bytes:
    """Hash subtrees with decreasing sizes to one, from the right."""
    *rest, found = trees
    for tree in reversed(rest):
        found = node_hash(tree, found)
    return found
