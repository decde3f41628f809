"""Since when uses are observed: what breaks it, and how seldom it begins anew."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from bailiwick_operator.usage.observation import BREAK, UsageObservation

START: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EVER: Final = datetime.fromtimestamp(0, UTC)
NEXT_DAY: Final = 12 * 3600.0


class Watch:
    """An observation, and rounds at seconds from its start."""

    def __init__(self, before: datetime | None = START - timedelta(seconds=20)) -> None:
        self.observation = UsageObservation(before)

    def round(self, second: float, *silent: str, **memories: str) -> datetime | None:
        self.observation.take(START + timedelta(seconds=second), second, memories, silent)
        return self.observation.since(second)


def test_what_another_leader_observed_a_moment_ago_goes_on() -> None:
    assert Watch().round(0, a="1", b="2") == EVER


@pytest.mark.parametrize("before", [None, START - timedelta(seconds=BREAK + 1), START + timedelta(hours=2)], ids=str)
def test_where_nobody_led_for_a_while_it_begins_now(before: datetime | None) -> None:
    assert Watch(before).round(5, a="1") == START + timedelta(seconds=5)


def test_whoever_leads_next_goes_on_only_where_nothing_was_broken() -> None:
    watch = Watch(START)
    assert watch.observation.mark == START
    watch.round(5, "b", a="1")
    assert watch.observation.mark == START
    watch.round(10, a="1", b="2")
    watch.round(20, "b", a="1")
    assert watch.observation.mark == START + timedelta(seconds=10)
    watch.round(11 + BREAK, "b", a="1")
    watch.round(20 + BREAK, a="1", b="2")
    assert watch.observation.mark is None
    successor = UsageObservation(watch.observation.mark)
    began = START + timedelta(seconds=30 + BREAK)
    successor.take(began, 0, {"a": "1", "b": "2"}, ())
    assert successor.since(0) == began
    watch.round(NEXT_DAY, a="1", b="2")
    watch.round(NEXT_DAY + 10, a="1", b="2")
    assert watch.observation.mark is None


def test_the_mark_comes_back_with_the_observation() -> None:
    watch = Watch(START)
    watch.round(0, a="1")
    watch.round(BREAK + 1, a="2")
    assert watch.observation.mark is None
    for second in range(int(BREAK), int(NEXT_DAY) + 1, 300):
        watch.round(second, a="2")
    assert watch.observation.mark == START + timedelta(seconds=NEXT_DAY)


def test_nothing_is_known_before_everybody_answered() -> None:
    watch = Watch()
    assert watch.observation.since(0) is None
    assert watch.round(0) is None
    assert watch.round(1, "b", a="1") is None
    assert watch.round(11, a="1", b="1") == EVER


def test_a_process_that_restarts_or_ends_in_between_breaks_nothing() -> None:
    watch = Watch()
    watch.round(0, a="1", b="2")
    assert watch.round(30, a="3", b="2") == EVER
    assert watch.round(60, a="3", c="1") == EVER


def test_a_process_that_falls_silent_for_too_long_is_a_break_and_next_day_it_begins_anew() -> None:
    watch = Watch()
    watch.round(0, a="1", b="2")
    assert watch.round(BREAK, "b", a="1") == EVER
    assert watch.round(BREAK + 1, "b", a="1") is None
    assert watch.round(BREAK + 9, a="1", b="2") is None
    assert watch.round(NEXT_DAY - 1, a="1", b="2") is None
    assert watch.round(NEXT_DAY, a="1", b="2") == START + timedelta(seconds=NEXT_DAY)


def test_one_that_comes_and_goes_has_it_begin_once_a_day_at_most() -> None:
    watch, known = Watch(None), set()
    for minute in range(0, 3 * 24 * 60, 5):
        silent = minute // 15 % 2
        found = watch.round(
            60.0 * minute, *(["b"] if silent else []), **({"a": "1"} if silent else {"a": "1", "b": "2"})
        )
        known.add(found)
    assert len(known - {None}) <= 4


def test_a_process_that_ended_while_nobody_asked_for_long_is_a_break() -> None:
    watch = Watch()
    watch.round(0, a="1", b="2")
    assert watch.round(BREAK + 60, a="1") is None


def test_a_memory_that_began_while_nobody_asked_for_long_is_a_break() -> None:
    watch = Watch()
    watch.round(0, a="1")
    assert watch.round(BREAK + 60, a="2") is None


def test_rounds_that_fail_break_nothing_until_they_fail_for_too_long() -> None:
    watch = Watch()
    watch.round(0, a="1")
    assert watch.round(BREAK, a="1") == EVER
    assert watch.observation.since(2 * BREAK + 1) is None
    assert watch.round(2 * BREAK + 1, a="1") is None
    assert watch.round(NEXT_DAY, a="1") is None
    assert watch.round(NEXT_DAY + 1, a="1") is None


def test_two_that_are_silent_in_turn_for_less_are_a_break_and_have_little_written() -> None:
    watch, changes, before = Watch(None), 0, None
    for turn in range(3 * 24 * 60 // 5):
        # For half an hour one of both is silent, each for five minutes, and then all answer once.
        second, phase = 300.0 * turn, turn % 7
        if phase == 6:
            found = watch.round(second, a="1", b="2")
        elif phase % 2:
            found = watch.round(second, "b", a="1")
        else:
            found = watch.round(second, "a", b="2")
        changes += found != before
        before = found
    assert 0 < changes <= 2 * 4


def test_one_that_never_answered_and_is_gone_again_is_a_break_only_after_a_while() -> None:
    watch = Watch()
    watch.round(0, a="1")
    watch.round(10, "b", a="1")
    assert watch.round(20, a="1") == EVER
    watch.round(30, "b", a="1")
    assert watch.round(30 + BREAK + 1, a="1") is None
