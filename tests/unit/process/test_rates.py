"""How much there may be in a second: no more than the rate over any time, and a bucket that is full is forgotten."""

from hypothesis import given, strategies as st

from bailiwick_process.rates import RateWindow, TokenBuckets

STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=60)


@given(rate=st.floats(0.1, 50), most=st.integers(1, 50), steps=STEPS)
def test_a_bucket_gives_no_more_than_its_rate_over_any_time(
    rate: float, most: int, steps: list[tuple[float, int]]
) -> None:
    buckets: TokenBuckets[str] = TokenBuckets(rate, most)
    now, taken = 0.0, list[tuple[float, int]]()
    for pause, amount in steps:
        now += pause
        if buckets.take("one", now, amount):
            taken.append((now, amount))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            # The last may be larger than what is left, and is made up for afterwards.
            given_before = sum(amount for _, amount in taken[first:last])
            assert given_before <= most + 20 + rate * (taken[last][0] - taken[first][0]) + 1e-6


def test_what_is_refused_takes_nothing() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(1, 2)
    assert [buckets.take("one", 0.0) for _ in range(4)] == [True, True, False, False]
    assert buckets.take("other", 0.0)
    assert not buckets.take("one", 0.9)
    assert buckets.take("one", 1.0)


def test_buckets_that_are_full_again_are_forgotten() -> None:
    buckets: TokenBuckets[int] = TokenBuckets(10, 10, kept=100)
    for number in range(1_000):
        buckets.take(number, number * 0.1)
    assert len(buckets) <= 101


def test_buckets_in_use_are_all_kept() -> None:
    buckets: TokenBuckets[int] = TokenBuckets(1, 1, kept=10)
    for number in range(100):
        assert buckets.take(number, 0.0)
    assert not any(buckets.take(number, 0.0) for number in range(100))


@given(most=st.integers(1, 5), pauses=st.lists(st.floats(0, 30), max_size=60))
def test_a_window_has_room_for_so_many_and_begins_with_the_first(most: int, pauses: list[float]) -> None:
    window, now, opened, count = RateWindow(most, 60.0), 0.0, float("-inf"), 0
    for pause in pauses:
        now += pause
        if now >= opened + 60.0:
            opened, count = now, 0
        assert window.take(now) is (count < most)
        assert window.end == opened + 60.0
        count += 1


def test_a_window_can_be_opened_before_its_end() -> None:
    window = RateWindow(1, 60.0)
    assert [window.take(0.0), window.take(1.0)] == [True, False]
    window.open(1.0)
    assert [window.take(1.0), window.take(60.5)] == [True, False]
    assert window.take(61.0)
