"""How often checkpoints of the operator's logs come into the chain, whoever tells them."""

from collections.abc import Sequence

import pytest

from bailiwick_webhook.record.writing.chainlog import LedgerPace

# What is told: the log and its size, at which second; and whether it is written.
Told = tuple[str, int, float, bool]


@pytest.mark.parametrize(
    "told",
    [
        [("a", 1, 0, True), ("a", 1, 0, False), ("a", 1, 99, False)],
        [("a", 1, 0, True), ("a", 2, 59.9, False), ("a", 2, 60, True), ("a", 3, 119.9, False), ("a", 3, 120, True)],
        [("a", 1, 0, True), ("b", 1, 1, True), ("a", 2, 2, False), ("b", 2, 3, False), ("a", 2, 60, True)],
        [("a", 1, 0, True), ("b", 1, 59, True), ("a", 2, 60, True), ("b", 2, 61, False), ("b", 2, 119, True)],
        [("a", 1, 0, True), ("b", 1, 1, True), ("a", 1, 70, False), ("b", 1, 70, False)],
        [*((f"log{n}", 1, n, True) for n in range(9)), ("tenth", 1, 9, True), ("tenth", 2, 60, False)],
    ],
    ids=["unchanged", "once a minute", "by turns", "each by its own minute", "unchanged by turns", "many logs"],
)
def test_of_each_log_one_in_a_minute_comes(told: Sequence[Told]) -> None:
    pace = LedgerPace()
    for name, size, now, comes in told:
        assert pace.due(f"bailiwick/system/{name}\n{size}\nroot\n", now) is comes, (name, size, now)


def test_what_was_only_signed_again_has_not_changed() -> None:
    pace = LedgerPace()
    assert pace.due("log\n1\nroot\n\none\n", 0)
    assert not pace.due("log\n1\nroot\n\nanother\n", 99)
    assert pace.due("log\n2\nroot\n\nanother\n", 99)


def test_only_the_logs_of_the_last_operators_are_remembered() -> None:
    pace = LedgerPace()
    for n in range(1000):
        assert pace.due(f"log{n}\n1\nroot\n", n * 60.0)
    assert len(pace._taken) == 8
