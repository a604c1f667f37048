"""Merkle trees as in RFC 6962, 2.1: one root for many leaves, and a short proof that a leaf is among them.

Leaves and nodes are hashed with different first bytes, so that no node can be passed off as a leaf.
"""

from collections.abc import Sequence
from hashlib import sha256

SIZE = 32
"""Bytes of a hash."""


def leaf(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return sha256(b"\x00" + entry).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the hash that stands for all `leaves`, in their order."""
    if not leaves:
        return sha256().digest()
    level = list(leaves)
    while len(level) > 1:  # an odd one goes up as it is: the same tree as the RFC's, built from below
        pairs = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


class Growing:
    """The root of leaves that come one by one, and of which there may be more than fit into memory."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []
        """Roots of full trees, the largest first: one for each bit of the size that is set."""

    def append(self, leaf: bytes) -> None:
        """Add a leaf behind the others."""
        node, size = leaf, self.size
        while size & 1:
            node, size = _node(self._peaks.pop(), node), size >> 1
        self._peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return what `root` returns for the same leaves."""
        if not self._peaks:
            return root([])
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = _node(peak, node)
        return node


def proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return what one needs, besides the leaf at `index`, to compute the root: the RFC's audit path."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*proof(leaves[:split], index), root(leaves[split:])]
    return [*proof(leaves[split:], index - split), root(leaves[:split])]


def root_from(found: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root of `size` leaves of which `found` is the one at `index`, by its audit path.

    Raises:
        ValueError: the path is too short or too long for such a tree.
    """
    if size == 1:
        if path:
            raise ValueError("the path is too long")
        return found
    if not path:
        raise ValueError("the path is too short")
    split = _split(size)
    if index < split:
        return _node(root_from(found, index, split, path[:-1]), path[-1])
    return _node(path[-1], root_from(found, index - split, size - split, path[:-1]))


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
