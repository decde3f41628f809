"""The plot of a history shows the calls of its window, each once, whatever the state holds."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from bailiwick_console.endpoints.historyplot import HEIGHT, STEP, plot
from bailiwick_engine.history.commit import ClockBounds, numbers_at
from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.history.state import MAX_TIME, KeyState, Slot, StateLine, parse_state, state_spec
from bailiwick_engine.history.windows import SLOTS, slot_length
from bailiwick_engine.policy.histories import SlidingWindow
from unit.console.historyobjects import KEY, definitions
from unit.console.policies import counting

SPENT = definitions(counting())["spent"]
DAILY = definitions(counting())["daily"]
assert isinstance(SPENT.window, SlidingWindow)
LENGTH = slot_length(SPENT.window)
NOW = 1_900_000_000_000 // LENGTH
COUNTED = st.dictionaries(
    st.integers(NOW - 2 * SLOTS, NOW), st.tuples(st.integers(1, 10_000), st.integers(0, 10**9)), max_size=80
)


def state(slots: dict[int, tuple[int, int]], clock: int = (NOW + 1) * LENGTH) -> KeyState:
    """Return a state as it is read from an object."""
    line = StateLine(tuple(Slot(number, *slots[number]) for number in sorted(slots)), clock)
    parsed = parse_state(state_spec(KeyState("crm-api", KEY, 1, clock, {SPENT.digest: line})))
    assert parsed is not None
    return parsed


@given(COUNTED.filter(bool), st.integers(0, LENGTH - 1))
def test_the_bars_hold_what_a_condition_would_read(slots: dict[int, tuple[int, int]], within: int) -> None:
    moment = NOW * LENGTH + within
    need = ObjectNeed("h", KEY, (SPENT,), ())
    read = numbers_at(state(slots), need, ClockBounds(moment, moment), with_this=False)["spent"]
    drawn = plot(state(slots), SPENT, moment / 1000)
    bars = () if drawn is None else drawn.bars
    assert sum(bar.count for bar in bars) == read.count
    assert max((bar.count for bar in bars), default=0) == (0 if drawn is None else drawn.most)
    for bar, following in pairwise(bars):
        assert bar.x + bar.width < following.x
        assert bar.since < following.since
    for bar in bars:
        assert 0 < bar.height <= HEIGHT
        assert bar.y + bar.height == HEIGHT
        assert drawn is not None
        assert 0 <= bar.x <= drawn.width - STEP
        assert drawn.begin <= bar.since < drawn.end


@pytest.mark.parametrize("number", [NOW + SLOTS + 1, MAX_TIME // LENGTH, MAX_TIME])
def test_a_state_of_times_that_no_clock_shows_has_no_plot(number: int) -> None:
    assert plot(state({number: (1, 1)}, MAX_TIME), SPENT, NOW * LENGTH / 1000) is None


def test_a_clock_that_is_a_little_ahead_has_its_bar() -> None:
    drawn = plot(state({NOW + 1: (1, 1)}, MAX_TIME), SPENT, NOW * LENGTH / 1000)
    assert drawn is not None
    assert [bar.x for bar in drawn.bars] == [drawn.width - STEP]


def test_a_calendar_has_no_plot() -> None:
    assert plot(state({NOW: (1, 1)}), DAILY, NOW * LENGTH / 1000) is None
