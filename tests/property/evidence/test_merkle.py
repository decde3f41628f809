"""Laws of the tree: as RFC 6962 defines it, every true proof is accepted and every other one refused."""

from hypothesis import given, strategies as st

from bailiwick_evidence.merkle import (
    EMPTY,
    Forest,
    consistency,
    inclusion,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    root,
)

LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(300)]
SIZES = st.integers(0, 300)


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    middle = _power(len(leaves))
    return node_hash(defined_root(leaves[:middle]), defined_root(leaves[middle:]))


def defined_proof(size: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2, word by word."""
    if size == len(leaves):
        return [] if whole else [defined_root(leaves)]
    middle = _power(len(leaves))
    if size <= middle:
        return [*defined_proof(size, leaves[:middle], whole=whole), defined_root(leaves[middle:])]
    return [*defined_proof(size - middle, leaves[middle:], whole=False), defined_root(leaves[:middle])]


def _power(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def _forest(start: int, end: int) -> Forest:
    found = Forest(start)
    for leaf in LEAVES[start:end]:
        found.append(leaf)
    return found


@given(SIZES)
def test_the_root_is_that_of_the_rfc(size: int) -> None:
    assert root(LEAVES[:size]) == defined_root(LEAVES[:size])


@given(SIZES, SIZES)
def test_the_proof_from_what_a_writer_keeps_is_that_of_the_rfc(one: int, other: int) -> None:
    old, new = sorted((one, other))
    proof = consistency(_forest(0, old), _forest(old, new))
    assert proof == (defined_proof(old, LEAVES[:new]) if old else [])
    assert is_consistent(old, root(LEAVES[:old]), new, root(LEAVES[:new]), proof)


@given(SIZES, SIZES, SIZES)
def test_many_leaves_at_once_are_those_one_by_one(one: int, other: int, third: int) -> None:
    start, between, end = sorted((one, other, third))
    found = _forest(start, between)
    found.append_leaves(LEAVES[between:end])
    assert (found.size, found.trees) == (end, _forest(start, end).trees)


@given(SIZES, SIZES, st.data())
def test_a_history_that_was_changed_has_no_proof(one: int, other: int, data: st.DataObject) -> None:
    old, new = sorted((one, other))
    if old == 0:
        return
    changed = data.draw(st.integers(0, old - 1))
    leaves = [*LEAVES[:changed], leaf_hash(b"else"), *LEAVES[changed + 1 : new]]
    proof = defined_proof(old, leaves)
    assert not is_consistent(old, root(LEAVES[:old]), new, root(leaves), proof)
    assert not is_consistent(old, root(LEAVES[:old]), new, root(leaves), defined_proof(old, LEAVES[:new]))


@given(SIZES, SIZES, st.data())
def test_a_proof_that_was_changed_is_refused(one: int, other: int, data: st.DataObject) -> None:
    old, new = sorted((one, other))
    proof = defined_proof(old, LEAVES[:new]) if old else []
    spoilt = list(proof)
    match data.draw(st.sampled_from(["add", "drop", "change"])):
        case "add":
            spoilt.insert(data.draw(st.integers(0, len(spoilt))), bytes(32))
        case "drop" if spoilt:
            del spoilt[data.draw(st.integers(0, len(spoilt) - 1))]
        case "change" if spoilt:
            spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = bytes(32)
    assert spoilt == proof or not is_consistent(old, root(LEAVES[:old]), new, root(LEAVES[:new]), spoilt)


@given(st.integers(1, 300), st.data())
def test_a_leaf_is_in_the_tree_at_its_place_and_at_no_other(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    proof = inclusion(leaves, index)
    assert is_included(leaves[index], index, size, proof, root(leaves))
    assert is_included(leaves[index], other, size, proof, root(leaves)) is (index == other)
    assert is_included(leaves[other], index, size, proof, root(leaves)) is (index == other)
    assert not is_included(leaves[index], index, size, [*proof, bytes(32)], root(leaves))


@given(st.integers(2, 300))
def test_sizes_that_cannot_be_are_refused(size: int) -> None:
    top = root(LEAVES[:size])
    assert not is_included(LEAVES[0], -1, size, [], top)
    assert not is_included(LEAVES[0], size, size, [], top)
    assert not is_consistent(size, top, size - 1, root(LEAVES[: size - 1]), [])
    assert not is_consistent(-1, top, size, top, [])
    assert not is_consistent(0, top, size, top, [])
    assert not is_consistent(size, top, size, top, [bytes(32)])
    assert not is_consistent(size - 1, top, size, top, [])


@given(SIZES, SIZES)
def test_what_is_kept_is_small_and_a_copy_grows_by_itself(one: int, other: int) -> None:
    old, new = sorted((one, other))
    forest = _forest(0, old)
    copied = forest.copy()
    for leaf in LEAVES[old:new]:
        copied.append(leaf)
    assert (forest.root, copied.root) == (root(LEAVES[:old]), root(LEAVES[:new]))
    assert len(_forest(old, new).trees) <= 2 * 9
