"""The sizes that were signed: a later one is proven from each earlier one that is kept, and no flood makes one go."""

from typing import Final

from hypothesis import given, strategies as st

from bailiwick_evidence.merkle import Forest, is_consistent, leaf_hash, root
from bailiwick_webhook.record.writing.provablesizes import MOST, ProvableSizes

LEAVES: Final = [leaf_hash(b"%d" % number) for number in range(400)]


class Grower:
    """Grows by so many lines at a time, at a time of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sizes = ProvableSizes(lambda: self.now)
        self.size = 0

    def grow(self, count: int) -> None:
        forest = Forest(self.size)
        for number in range(self.size, self.size + count):
            forest.append(LEAVES[number % len(LEAVES)])
        self.size += count
        self.sizes.add(forest)

    def proves(self, size: int) -> int:
        """Ask from a size, see that what is said is true, and return the size that is said."""
        proven = self.sizes.prove(size)
        assert proven is not None
        leaves = (LEAVES * (1 + self.size // len(LEAVES)))[: proven.size]
        assert proven.root == root(leaves)
        if size:
            assert is_consistent(size, root(leaves[:size]), proven.size, proven.root, proven.proof)
        return proven.size


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 20)), max_size=40))
def test_every_size_that_is_kept_is_the_beginning_of_the_latest(steps: list[tuple[int, bool, int]]) -> None:
    it = Grower()
    for count, asked, which in steps:
        it.grow(count)
        if asked:
            sizes = it.sizes.sizes
            assert it.proves(sizes[which % len(sizes)]) == it.size
            assert it.sizes.sizes[-1] == it.size


def test_who_lost_an_answer_asks_again_from_the_size_before() -> None:
    it = Grower()
    it.grow(5)
    known = it.proves(0)
    for _ in range(10):
        it.grow(7)
        assert it.proves(known) == it.size
    assert it.proves(it.size) == it.size


def test_from_a_size_that_was_never_signed_there_is_no_proof() -> None:
    it = Grower()
    it.grow(9)
    it.proves(0)
    for size in (1, 8, 10, 10**15):
        assert it.sizes.prove(size) is None
    assert it.sizes.sizes == (0, 9)


def test_the_oldest_go_and_of_none_there_is_always_a_proof() -> None:
    it = Grower()
    for _ in range(2 * MOST):
        it.now += 10
        it.grow(1)
        it.proves(0)
    assert len(it.sizes.sizes) == MOST
    assert it.sizes.prove(1) is None
    assert it.proves(it.sizes.sizes[0]) == it.size


def test_no_flood_makes_a_size_go_that_is_less_than_a_minute_old() -> None:
    it = Grower()
    for _ in range(MOST):
        it.now += 10
        it.grow(1)
        it.proves(0)
    it.grow(1)
    it.now += 10
    known = it.proves(0)
    for _ in range(6_000):
        it.now += 0.01
        it.grow(1)
        proven = it.sizes.prove(it.sizes.sizes[-1])
        assert proven is not None
        # A second old at most.
        assert it.size - proven.size <= 101
    assert it.proves(known) >= it.size - 101
