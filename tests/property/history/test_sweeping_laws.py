"""Of histories that ended, each namespace's are deleted in turn, however many another one has.

The oracle is a game of brute force: the namespaces take one each, round after round.
"""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, strategies as st

from bailiwick_operator.reconcile.historyretention import NamespaceTurns


def in_turn(namespaces: Sequence[str], most: int) -> Counter[str]:
    left, taken = Counter(namespaces), Counter[str]()
    while left.total() and taken.total() < most:
        for namespace in dict.fromkeys(namespaces):
            if left[namespace] and taken.total() < most:
                left[namespace] -= 1
                taken[namespace] += 1
    return +taken


@given(namespaces=st.lists(st.sampled_from("abcde"), max_size=120), listed=st.booleans(), most=st.integers(1, 40))
def test_each_namespace_has_its_turn_before_the_second_of_any(namespaces: list[str], listed: bool, most: int) -> None:
    # As the API server lists them, or in any other order.
    names = sorted(namespaces) if listed else namespaces
    turns = NamespaceTurns[tuple[str, int]](most)
    for number, namespace in enumerate(names):
        turns.add(namespace, (namespace, number))
    taken = turns.taken()
    assert Counter(namespace for namespace, _ in taken) == in_turn(names, most)
    for namespace in set(names):
        own = [number for name, number in taken if name == namespace]
        assert own == [number for number, name in enumerate(names) if name == namespace][: len(own)]
