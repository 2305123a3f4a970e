"""Merkle trees as in RFC 6962 §2.1: hashes, roots and inclusion proofs. Pure.

A hash is 32 bytes of SHA-256; leaves and nodes are prefixed with 0x00 and 0x01, so that neither can
pass for the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in order; memory grows with the logarithm of their number."""
    # Complete subtrees on the way, largest first: (number of leaves, hash).
    subtrees: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, top = 1, leaf
        while subtrees and subtrees[-1][0] == size:
            _, left = subtrees.pop()
            size, top = 2 * size, node_hash(left, top)
        subtrees.append((size, top))
    if not subtrees:
        return EMPTY_ROOT
    _, root = subtrees.pop()
    while subtrees:
        root = node_hash(subtrees.pop()[1], root)
    return root


class MerkleTree:
    """A tree that is held whole, for the paths of many leaves: about 64 bytes per leaf."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        level = list(leaves)
        self._levels = [level]
        while len(level) > 1:
            pairs = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
            # The last one without a sibling moves up as it is.
            level = pairs + level[len(pairs) * 2 :]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        return self._levels[-1][0] if self._levels[-1] else EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """The audit path of leaf `index` (RFC 6962 §2.1.1), from its sibling up to the root's child.

        Raises:
            IndexError: there is no such leaf.
        """
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(f"there is no leaf {index} among {len(self._levels[0])}")
        path: list[bytes] = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                path.append(level[index ^ 1])
            index //= 2
        return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that `path` leads to from leaf `index` of `size`; None if the path does not fit."""
    if not 0 <= index < size:
        return None
    remaining = list(path)
    last, top = size - 1, leaf
    while last:
        if index % 2 or index < last:
            if not remaining:
                return None
            sibling = remaining.pop(0)
            top = node_hash(sibling, top) if index % 2 else node_hash(top, sibling)
        index, last = index // 2, last // 2
    return top if not remaining else None
