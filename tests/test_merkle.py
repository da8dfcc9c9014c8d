"""The tree of RFC 6962: known roots, another implementation, and proofs that are none."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from verdicts import verify_log

from session_store.checkpoint.merkle import (
    EMPTY_ROOT,
    RangeRoots,
    Tree,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion,
)

# The example that the public implementations of certificate transparency share.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree(leaves: list[bytes]) -> Tree:
    found = Tree()
    for leaf in leaves:
        found.add(leaf)
    return found


def path(leaves: list[bytes], ranges: list[tuple[int, int]]) -> list[bytes]:
    roots = RangeRoots(ranges)
    for leaf in leaves:
        roots.add(leaf)
    return roots.roots()


def inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    return path(leaves, inclusion_ranges(index, len(leaves)))


def consistency(leaves: list[bytes], old_size: int) -> list[bytes]:
    return path(leaves, consistency_ranges(old_size, len(leaves)))


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(32) for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_of_the_public_example(size: int) -> None:
    """For each of its sizes, the empty one included."""
    assert ROOTS[size] == tree(LEAVES[:size]).root().hex()


def test_nothing_has_a_root_too() -> None:
    """The hash of no bytes."""
    assert Tree().root() == EMPTY_ROOT


# RFC 6962 section 2.1.3: the tree of seven leaves, and the nodes of its proofs.
INCLUSIONS = {
    0: [(1, 2), (2, 4), (4, 7)],
    3: [(2, 3), (0, 2), (4, 7)],
    4: [(5, 6), (6, 7), (0, 4)],
    6: [(4, 6), (0, 4)],
}
CONSISTENCIES = {
    3: [(2, 3), (3, 4), (0, 2), (4, 7)],
    4: [(4, 7)],
    6: [(4, 6), (6, 7), (0, 4)],
}


def test_the_proofs_of_the_rfc() -> None:
    """Node by node, from the leaf's sibling up."""
    assert INCLUSIONS == {index: inclusion_ranges(index, 7) for index in INCLUSIONS}
    assert CONSISTENCIES == {size: consistency_ranges(size, 7) for size in CONSISTENCIES}


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70), st.data())
def test_roots_and_inclusion_proofs_are_those_of_pymerkle(
    leaves: list[bytes], data: st.DataObject
) -> None:
    """Its paths begin with the leaf's own hash, and it counts leaves from 1."""
    theirs = InmemoryTree(algorithm="sha256")
    theirs.append_entries(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))

    assert theirs.get_root() == tree(leaves).root()
    proof = theirs.prove_inclusion(index + 1)
    assert proof.path == [leaf_hash(leaves[index]), *inclusion(leaves, index)]


@given(st.integers(1, 200), st.data())
def test_what_was_proven_verifies(size: int, data: st.DataObject) -> None:
    """Here and in the stand-alone verifier, for every leaf and every earlier size."""
    leaves = numbered(size)
    root = tree(leaves).root()
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    proof, leaf = inclusion(leaves, index), leaf_hash(leaves[index])
    grown, before = consistency(leaves, old), tree(leaves[:old]).root()

    assert root == root_from_inclusion(index, size, leaf, proof)
    assert root == verify_log.root_of(index, size, leaf, proof)
    assert is_consistent(old, before, size, root, grown)
    assert continues(old, before, size, root, grown)


def continues(old: int, old_root: bytes, size: int, root: bytes, path: list[bytes]) -> bool:
    heads = [verify_log.Checkpoint("", *one, None) for one in ((old, old_root), (size, root))]
    return bool(verify_log.continues(*heads, path))


def harmed(path: list[bytes], at: random.Random) -> list[bytes]:
    """Return *path* with a bit flipped, a hash less, more, twice, or two of them swapped."""
    found, where = list(path), at.randrange(len(path))
    how = at.randrange(5)
    if how == 0:
        found[where] = bytes([found[where][0] ^ 1 << at.randrange(8)]) + found[where][1:]
    elif how == 1:
        del found[where]
    elif how == 2:
        found.insert(where, at.randbytes(32))
    elif how == 3:
        found.insert(where, found[where])
    else:
        found[where] = found[where][:31]
    return found


def test_a_wrong_index_size_or_path_leads_elsewhere() -> None:
    """1,000 inclusion proofs with one thing wrong: refused by both verifiers."""
    at = random.Random(71)
    for _ in range(1000):
        size = at.randrange(2, 300)
        leaves, index = numbered(size), at.randrange(size)
        root, leaf, path = tree(leaves).root(), leaf_hash(leaves[index]), inclusion(leaves, index)
        wrong = at.choice(
            [
                (at.choice([n for n in range(size) if n != index]), size, leaf, path),
                (index, other_size(at, size, index), leaf, path),
                (index, size, leaf_hash(at.randbytes(32)), path),
                (index, size, leaf, harmed(path, at)),
                (-1 - index, size, leaf, path),
            ]
        )
        if size_is_the_same_path(wrong, index, size):
            continue
        assert root != root_from_inclusion(*wrong), wrong
        if 0 <= wrong[0] < wrong[1] and all(len(one) == 32 for one in wrong[3]):
            assert root != verify_log.root_of(*wrong), wrong


def other_size(at: random.Random, size: int, index: int) -> int:
    return at.choice([n for n in range(max(1, size - 9), size + 9) if n != size])


def size_is_the_same_path(
    wrong: tuple[int, int, bytes, list[bytes]], index: int, size: int
) -> bool:
    """A path says how many leaves there are only as far as its turns do."""
    given_index, given_size, _, path = wrong
    if given_index != index or given_size == size or not index < given_size:
        return False
    return len(inclusion_ranges(index, given_size)) == len(path)


def test_a_wrong_size_or_root_is_not_consistent() -> None:
    """1,000 consistency proofs with one thing wrong."""
    at = random.Random(72)
    for _ in range(1000):
        size = at.randrange(3, 300)
        old = at.randrange(1, size)
        leaves = numbered(size)
        roots = tree(leaves[:old]).root(), tree(leaves).root()
        path = consistency(leaves, old)
        wrong = at.choice(
            [
                (old, at.randbytes(32), size, roots[1], path),
                (old, roots[0], size, at.randbytes(32), path),
                (old, roots[1], size, roots[0], path),
                (size, roots[0], old, roots[1], path),
                (0, roots[0], size, roots[1], path),
                (old, roots[0], size, roots[1], harmed(path, at)),
            ]
        )
        assert not is_consistent(*wrong), wrong
        if all(len(one) == 32 for one in wrong[4]):
            assert not continues(*wrong), wrong


def test_an_inner_node_is_no_leaf() -> None:
    """What two leaves are hashed to cannot be shown as one: prefixes keep them apart."""
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    root = tree([b"a", b"b"]).root()

    assert node_hash(left, right) == root
    assert leaf_hash(left + right) != root
    assert root != root_from_inclusion(0, 1, leaf_hash(left + right), [])


def test_an_empty_path_leads_nowhere() -> None:
    """Unless the trees are the same."""
    roots = [tree(LEAVES[:size]).root() for size in range(9)]

    assert not is_consistent(3, roots[3], 5, roots[5], [])
    assert not continues(3, roots[3], 5, roots[5], [])
    assert is_consistent(3, roots[3], 3, roots[3], [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3), (7, 7)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    """Asking for one is a mistake."""
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_ranges(index, size)
    with pytest.raises(ValueError, match="does not continue"):
        consistency_ranges(size + 1, size)
