"""Until when a state is kept."""

from typing import Final

import pytest

from bailiwick_engine.history.commit import ClockBounds, WaitingCall, commit, numbers_at
from bailiwick_engine.history.retention import keep_until
from bailiwick_engine.history.state import MAX_TIME, KeyState, Slot, StateLine
from bailiwick_engine.policy.histories import CalendarWindow, CompiledHistory, SlidingWindow
from support.histories import DAY, HOUR, MINUTE, empty_state, entry_id, history, need

NOW: Final = 1_764_439_200_000  # 2025-11-29T18:00


def used(*histories: CompiledHistory) -> KeyState:
    state, _ = commit(
        empty_state(), (WaitingCall(need(*histories), entry_id(1), lambda _: True),), ClockBounds(NOW, NOW)
    )
    return state


@pytest.mark.parametrize(
    ("window", "until"),
    [
        (SlidingWindow(MINUTE), "2025-11-29T19"),
        (SlidingWindow(HOUR), "2025-11-29T20"),
        (SlidingWindow(DAY), "2025-11-30T19"),
        (SlidingWindow(31 * DAY), "2025-12-31T06"),
        (CalendarWindow("Hour", "UTC"), "2025-11-29T22"),
        (CalendarWindow("Day", "UTC"), "2025-12-01T01"),
        (CalendarWindow("Week", "UTC"), "2025-12-03T01"),
        (CalendarWindow("Month", "UTC"), "2025-12-04T01"),
    ],
)
def test_it_is_the_hour_in_which_all_is_out(window: SlidingWindow | CalendarWindow, until: str) -> None:
    assert keep_until(used(history(window=window)), (history(window=window),)) == until


def test_nothing_is_given_up_that_still_counts() -> None:
    windows = [history(str(size), SlidingWindow(size)) for size in (MINUTE, HOUR, DAY, 31 * DAY)]
    state = used(*windows)
    hour = keep_until(state, windows)
    assert hour == keep_until(state, windows[::-1])
    at = NOW + 31 * DAY + 31 * DAY // 64 + MINUTE
    assert numbers_at(state, need(*windows), ClockBounds(at, at), with_this=False)["60000"].count == 0
    assert hour >= "2025-12-31T05"


def test_a_line_that_no_definition_names_is_kept_for_the_longest_window() -> None:
    assert keep_until(used(history()), ()) == "2025-12-31T19"


@pytest.mark.parametrize(
    ("named", "until"),
    [
        (0, "2025-11-29T20"),
        (NOW - DAY, "2025-11-29T20"),
        (NOW + 5 * HOUR, "2025-11-29T23"),
        (NOW + 31 * DAY, "2025-12-30T18"),
        (MAX_TIME, "2026-01-02T18"),
    ],
)
def test_an_hour_that_was_named_never_comes_sooner_unless_no_window_is_so_long(named: int, until: str) -> None:
    assert keep_until(used(history()), (history(),), named) == until


def test_an_hour_that_no_calendar_has_is_the_last() -> None:
    state = KeyState(
        "crm-api", "sha256:" + "0" * 64, 1, MAX_TIME, {history().digest: StateLine((Slot(MAX_TIME, 1, 0),), 1)}
    )
    assert keep_until(state, (history(),)) == "9999-01-01T00"
