"""patterns/audit_log/merkle.py: RFC 6962's trees."""

import pytest

from app.patterns.audit_log import merkle

ENTRIES = [bytes.fromhex(entry) for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
# The published roots of trees with the first 1, 2, 3, ... of these entries.
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
]
SIZE = pytest.mark.parametrize("size", range(1, 18))


@pytest.mark.parametrize("size", range(1, 8))
def test_roots_are_those_of_the_rfc(size: int) -> None:
    """Known trees have the roots that other implementations compute for them."""
    assert merkle.root([merkle.leaf(entry) for entry in ENTRIES[:size]]).hex() == ROOTS[size - 1]


@SIZE
def test_a_proof_leads_from_a_leaf_to_the_root(size: int) -> None:
    """Every leaf of a tree has a proof."""
    leaves = [merkle.leaf(bytes([number])) for number in range(size)]

    roots = {merkle.root_from(leaf, at, size, merkle.proof(leaves, at)) for at, leaf in enumerate(leaves)}

    assert roots == {merkle.root(leaves)}


@SIZE
def test_a_proof_is_good_for_its_own_leaf_alone(size: int) -> None:
    """An entry that is not in the tree does not come out at its root."""
    leaves = [merkle.leaf(bytes([number])) for number in range(size)]
    path = merkle.proof(leaves, size - 1)

    assert merkle.root_from(merkle.leaf(b"another"), size - 1, size, path) != merkle.root(leaves)


@pytest.mark.parametrize("size", [0, *range(1, 18), 1000])
def test_leaves_that_come_one_by_one_have_the_same_root(size: int) -> None:
    """However many there are."""
    leaves = [merkle.leaf(number.to_bytes(2)) for number in range(size)]
    growing = merkle.Growing()
    for leaf in leaves:
        growing.append(leaf)

    assert (growing.size, growing.root()) == (size, merkle.root(leaves))


def test_a_node_is_no_leaf() -> None:
    """The hash of two leaves, given out as an entry, has another hash."""
    left, right = merkle.leaf(b"1"), merkle.leaf(b"2")

    assert merkle.leaf(left + right) != merkle.root([left, right])


@pytest.mark.parametrize("extra", [-1, 1], ids=["too short", "too long"])
def test_a_path_of_the_wrong_length_is_refused(extra: int) -> None:
    """A proof has as many steps as its tree is deep."""
    leaves = [merkle.leaf(bytes([number])) for number in range(4)]
    path = [*merkle.proof(leaves, 0), leaves[0]][: 2 + extra]

    with pytest.raises(ValueError, match="the path is too"):
        merkle.root_from(leaves[0], 0, 4, path)
