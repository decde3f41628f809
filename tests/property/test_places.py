"""Places: whatever is taken and given back in whatever order, nobody is counted twice and nobody has too much."""

from collections import Counter

from hypothesis import given, strategies as st

from bailiwick_webhook.http.places import Place, Places
from bailiwick_webhook.http.problems import ProblemError
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Overload

SENDERS = ("a", "b", "c", "d")
# Which of the requests does it, and in whose name; None ends it.
STEPS = st.lists(st.tuples(st.integers(0, 11), st.sampled_from([*SENDERS, None])), max_size=80)


def taken(place: Place, sender: str) -> bool:
    try:
        place.take(sender)
    except ProblemError as problem:
        return problem.status != 429
    return True


@given(most=st.integers(1, 9), steps=STEPS)
def test_nobody_has_more_places_than_were_free_and_all_of_them_come_back(
    most: int, steps: list[tuple[int, str]]
) -> None:
    counts = Counts()
    places = Places(most, counts)
    open_: dict[int, tuple[Place, str]] = {}
    for which, sender in steps:
        place, held = open_.pop(which, (places.place(), None))
        had = Counter(name for _, name in open_.values())
        free = most - had.total()
        if sender is None:
            with place:
                pass
        elif taken(place, sender):
            assert sender == held or had[sender] < free
            open_[which] = place, sender
        else:
            # Only where it has to be; and what it held before is given back.
            assert had[sender] >= free
        assert counts.under_way == len(open_) <= most
    for place, _ in open_.values():
        with place:
            pass
        with place:
            pass
    assert counts.under_way == 0
    assert places._held == {}
    assert sum(counts.overloads.values()) == counts.overloads[Overload.SHARE] + counts.overloads[Overload.FULL]


@given(most=st.integers(1, 60), senders=st.integers(1, 6))
def test_senders_that_all_take_what_they_can_come_to_equal_shares(most: int, senders: int) -> None:
    places = Places(most, Counts())
    held = Counter[int]()
    for _ in range(most):
        for sender in range(senders):
            try:
                places.take(f"{sender}")
            except ProblemError:
                continue
            held[sender] += 1
    shares = [held[sender] for sender in range(senders)]
    assert max(shares) - min(shares) <= 1
    # One more of equal parts is left free, but for what does not divide.
    assert most - sum(shares) >= most // (senders + 1) - 1
