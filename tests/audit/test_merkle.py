"""RFC 6962: the known roots of the Certificate Transparency reference tests, and every path of small trees."""

from __future__ import annotations

import hashlib

import pytest

from accounts.merkle import EMPTY_ROOT, MerkleTree, leaf_hash, node_hash, root_from_path, root_hash

DATA = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(data) for data in DATA]


def test_the_empty_tree() -> None:
    assert root_hash([]) == MerkleTree([]).root == EMPTY_ROOT == hashlib.sha256().digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_known_roots(size: int) -> None:
    assert root_hash(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_known_path() -> None:
    assert [each.hex() for each in MerkleTree(LEAVES).path(5)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_every_path_of_every_small_tree_leads_to_its_root() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(33)]
    for size in range(1, 34):
        root = root_hash(leaves[:size])
        tree = MerkleTree(leaves[:size])
        assert tree.root == root
        for index in range(size):
            assert root_from_path(leaves[index], index, size, tree.path(index)) == root


def test_a_wrong_path_leads_elsewhere() -> None:
    path = MerkleTree(LEAVES).path(3)
    root = root_hash(LEAVES)
    assert root_from_path(LEAVES[2], 3, 8, path) != root
    assert root_from_path(LEAVES[3], 2, 8, path) != root
    assert root_from_path(LEAVES[3], 3, 8, path[:-1]) is None
    assert root_from_path(LEAVES[3], 3, 8, [*path, path[0]]) is None
    assert root_from_path(LEAVES[3], 8, 8, path) is None


def test_no_such_leaf() -> None:
    with pytest.raises(IndexError):
        MerkleTree(LEAVES).path(8)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])
