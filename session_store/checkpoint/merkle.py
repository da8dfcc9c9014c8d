"""
The Merkle tree of RFC 6962 section 2.1, with SHA-256: roots, proofs, and their verification.

Rules of this module:
  * Pure, and streaming: leaves go in once, in order; memory is O(log n) in their number.
  * Whoever verifies trusts nothing in a proof, its length included.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TypeAlias

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Range: TypeAlias = tuple[int, int]
"""Leaves from the first number on, up to the second one, which is not among them."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf. Its prefix keeps it apart from every inner node."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that grows: only the roots of its complete subtrees are kept, the larger first."""

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Append a leaf. Cost: two hashes on average."""
        subtree, count, subtrees = leaf_hash(data), self.size, self._subtrees
        while count & 1:
            subtree = node_hash(subtrees.pop(), subtree)
            count >>= 1
        subtrees.append(subtree)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over the leaves so far. Cost: O(log n)."""
        if not self._subtrees:
            return EMPTY_ROOT
        *rest, root = self._subtrees
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


class RangeRoots:
    """
    The roots of *ranges* that do not overlap, from one pass over all leaves.

    A proof is made of such roots; `inclusion_ranges` and `consistency_ranges` say which.
    """

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._ranges = ranges
        self._due = sorted(ranges, reverse=True)
        self._roots: dict[Range, bytes] = {}
        self._tree = Tree()
        self._at = 0

    def add(self, data: bytes) -> None:
        """Take the next leaf."""
        if self._due and self._due[-1][0] <= self._at:
            self._tree.add(data)
            if self._at + 1 == self._due[-1][1]:
                self._roots[self._due.pop()] = self._tree.root()
                self._tree = Tree()
        self._at += 1

    def roots(self) -> list[bytes]:
        """Return the roots in the order of the ranges; all leaves must have been taken."""
        return [self._roots[one] for one in self._ranges]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """
    Return the leaves under each hash of the proof that leaf *index* is in a tree of *size*.

    The first is the leaf's sibling, the last a child of the root.

    Raises:
        ValueError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    start, stop, ranges = 0, size, list[Range]()
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            ranges.append((middle, stop))
            stop = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, size: int) -> list[Range]:
    """
    Return the leaves under each hash of the proof that a tree of *size* continues one of *old_size*.

    Raises:
        ValueError: Not 0 < *old_size* <= *size*: every tree continues an empty one.
    """
    if not 0 < old_size <= size:
        raise ValueError(f"a tree of {size} leaves does not continue one of {old_size}")
    start, stop, ranges = 0, size, list[Range]()
    while stop != old_size:
        middle = start + _split(stop - start)
        if old_size <= middle:
            ranges.append((middle, stop))
            stop = middle
        else:
            ranges.append((start, middle))
            start = middle
    # The old tree itself is known to whoever verifies.
    return [*([(start, stop)] if start else []), *ranges[::-1]]


def _split(size: int) -> int:
    """Return the largest power of two below *size*."""
    return 1 << (size - 1).bit_length() - 1


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """
    Return the root that *path* leads to from the hash of *leaf*, None if it is no path for it.

    Source: RFC 9162 section 2.1.3.2, which verifies what RFC 6962 defines.
    """
    if not 0 <= index < size or not _are_hashes([leaf, *path]):
        return None
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(
    old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> bool:
    """
    Return whether *path* proves that the tree of *size* continues the one of *old_size*.

    That it continues an empty tree says nothing, and is no proof.

    Source: RFC 9162 section 2.1.4.2.
    """
    if not 0 < old_size <= size or not _are_hashes(path):
        return False
    if old_size == size:
        return not path and old_root == root
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    return _walk(old_size - 1, size - 1, hashes) == (old_root, root)


def _walk(node: int, last: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the old and the new root that *hashes* lead to, None if they lead nowhere."""
    while node & 1:
        node, last = node >> 1, last >> 1
    if not hashes:
        return None
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return (old, new) if last == 0 else None


def _are_hashes(path: Iterable[bytes]) -> bool:
    return all(len(one) == HASH_SIZE for one in path)
