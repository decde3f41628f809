"""Changes that no verdict waits for: denied calls, and outcomes."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.history.changes import SettledOutcome, count_denied, missing_outcomes, settle
from bailiwick_engine.history.commit import KEEP_RECENT, RETRY, ClockBounds, WaitingCall, commit, numbers_at, release
from bailiwick_engine.history.retention import keep_until
from bailiwick_engine.history.state import (
    MAX_LINES,
    MAX_NUMBER,
    MAX_RECENT,
    MAX_TIME,
    MAX_TOTAL,
    CallOutcome,
    KeyState,
    parse_state,
    state_spec,
)
from bailiwick_engine.policy.histories import Amount, CalendarWindow
from support.histories import HOUR, MINUTE, empty_state, entry_id, history, need

NOW: Final = 1_764_439_200_000
STRAYS: Final = history("strays")
MISSES: Final = history("misses")


def at(time: int, spread: int = 0) -> ClockBounds:
    return ClockBounds(time - spread, time + spread)


def count_of(state: KeyState, time: int = NOW) -> int:
    return numbers_at(state, need(STRAYS), at(time), with_this=False)["strays"].count


class TestDeniedCalls:
    def test_count_in_one_event(self) -> None:
        state = count_denied(empty_state(), {STRAYS: 7, MISSES: 2}, at(NOW))
        assert (state.seq, state.clock, state.recent) == (1, NOW, ())
        assert {line.slots[0].count for line in state.lines.values()} == {7, 2}
        assert parse_state(state_spec(state)) == state

    def test_add_up_until_they_are_out_of_the_window(self) -> None:
        state = count_denied(count_denied(empty_state(), {STRAYS: 7}, at(NOW)), {STRAYS: 1}, at(NOW + HOUR // 2))
        assert [count_of(state, NOW + late) for late in (HOUR // 2, HOUR + HOUR // 32, 2 * HOUR)] == [8, 1, 0]

    def test_push_no_entry_of_another_call_out(self) -> None:
        waiting = WaitingCall(need(history()), entry_id(1), lambda _: True)
        state, _ = commit(empty_state(), (waiting,), at(NOW))
        for _ in range(100):
            state = count_denied(state, {STRAYS: 1}, at(NOW))
        assert [entry.id for entry in state.recent] == [entry_id(1)]
        again, (result,) = commit(state, (waiting,), at(NOW))
        assert result.repeated
        assert again.lines == {**state.lines, history().digest: again.lines[history().digest]}

    def test_count_in_both_periods_while_a_clock_may_be_in_either(self) -> None:
        daily = history("strays", CalendarWindow("Day", "UTC"))
        midnight = 1_764_460_800_000
        state = count_denied(empty_state(), {daily: 3}, at(midnight, 500))
        assert [slot.count for slot in state.lines[daily.digest].slots] == [3, 3]

    def test_change_nothing_where_there_is_no_room(self) -> None:
        full = replace(empty_state(), seq=MAX_NUMBER)
        assert count_denied(full, {STRAYS: 1}, at(NOW)) is full
        assert count_denied(empty_state(), {STRAYS: 1}, at(MAX_TIME + 1)) == empty_state()
        many = {history(f"h{number}"): 1 for number in range(MAX_LINES)}
        held = count_denied(empty_state(), many, at(NOW))
        assert len(held.lines) == MAX_LINES
        assert count_denied(held, {STRAYS: 1}, at(NOW)) is held


EXPORTS: Final = history()
BACKUPS: Final = history("backups", what="Succeeded", amount=Amount(("context", "size"), 0))
FAILURES: Final = history("failures", what="Failed", outcome_within=20 * MINUTE)
ALL: Final = (EXPORTS, BACKUPS, FAILURES)
NEED: Final = need(*ALL, total=7)


def counted(state: KeyState | None = None, number: int = 1, attempt: int = 0, time: int = NOW) -> KeyState:
    """Return the state with a call that is let through."""
    waiting = WaitingCall(NEED, entry_id(number, attempt), lambda _: True)
    state, (result,) = commit(empty_state() if state is None else state, (waiting,), at(time))
    assert result.passed
    return state


def reported(
    state: KeyState, outcome: CallOutcome = "succeeded", entry: str = entry_id(1), time: int = NOW
) -> tuple[KeyState, SettledOutcome]:
    after, result = settle(state, entry, outcome, ALL, at(time))
    assert (after is state) == (result.result != "settled")
    assert parse_state(state_spec(after)) == after
    return after, result


def counts(state: KeyState, time: int = NOW) -> dict[str, int]:
    return {name: one.count for name, one in numbers_at(state, NEED, at(time), with_this=False).items()}


class TestAnOutcome:
    def test_is_not_counted_before_it_is_reported(self) -> None:
        state = counted()
        assert counts(state) == {"exports": 1, "backups": 0, "failures": 0}
        assert set(state.lines) == {EXPORTS.digest}
        assert parse_state(state_spec(state)) == state

    @pytest.mark.parametrize(
        ("outcome", "backups", "failures"), [("succeeded", 1, 0), ("failed", 0, 1), ("cancelled", 0, 0)]
    )
    def test_is_counted_by_the_histories_of_it_and_takes_nothing_back(
        self, outcome: CallOutcome, backups: int, failures: int
    ) -> None:
        state, result = reported(counted(), outcome)
        assert counts(state) == {"exports": 1, "backups": backups, "failures": failures}
        assert (result.result, result.seq, state.seq) == ("settled", 2, 2)
        assert result.awaited == {BACKUPS.digest, FAILURES.digest}

    def test_is_counted_at_the_time_of_the_report_with_its_amount(self) -> None:
        state, _ = reported(counted(), time=NOW + 5 * MINUTE)
        numbers = numbers_at(state, NEED, at(NOW + 6 * MINUTE), with_this=False)["backups"]
        assert (numbers.count, numbers.total, numbers.age) == (1, 7, 60)

    def test_is_counted_once(self) -> None:
        first, _ = reported(counted())
        again, result = reported(first)
        assert (again, result.result, result.seq) == (first, "repeated", 2)
        assert reported(first, "failed")[1].result == "conflict"
        assert reported(first, "cancelled")[1].result == "conflict"

    def test_is_late_after_the_shortest_time(self) -> None:
        state = counted()
        assert reported(state, time=NOW + 10 * MINUTE)[1].result == "settled"
        assert reported(state, time=NOW + 10 * MINUTE + 1)[1].result == "late"
        # A clock that may still show the last moment does.
        assert settle(state, entry_id(1), "failed", ALL, at(NOW + 10 * MINUTE + 5, 5))[1].result == "settled"

    def test_of_another_attempt_or_call_is_nothing(self) -> None:
        for entry in (entry_id(2), entry_id(1, 1)):
            assert reported(counted(), entry=entry)[1].result == "late"

    def test_of_a_call_without_such_a_history_is_nothing(self) -> None:
        state, _ = commit(empty_state(), (WaitingCall(need(EXPORTS), entry_id(1), lambda _: True),), at(NOW))
        assert reported(state)[1].result == "late"

    def test_is_that_of_the_first_attempt_if_the_call_comes_again(self) -> None:
        state = counted(counted(), attempt=1, time=NOW + 100)
        assert [entry.id for entry in state.recent] == [entry_id(1)]
        state, result = reported(state, time=NOW + 200)
        assert result.result == "settled"
        state = counted(state, attempt=2, time=NOW + 300)
        assert counts(state, NOW + 300) == {"exports": 1, "backups": 1, "failures": 0}
        assert reported(state, time=NOW + 400)[1].result == "repeated"

    def test_of_a_call_that_comes_much_later_is_another_one(self) -> None:
        state = counted(counted(), attempt=1, time=NOW + RETRY + 100)
        assert len(state.recent) == 2
        state, _ = reported(state, time=NOW + RETRY + 200)
        assert reported(state, "failed", entry_id(1, 1), NOW + RETRY + 200)[1].result == "settled"

    def test_of_a_call_that_was_taken_out_is_nothing(self) -> None:
        state = release(counted(), (entry_id(1),))
        assert counts(state) == {"exports": 0, "backups": 0, "failures": 0}
        assert reported(state)[1].result == "late"

    def test_keeps_the_call_from_being_taken_out(self) -> None:
        state, _ = reported(counted())
        assert release(state, (entry_id(1),)) is state

    def test_is_awaited_for_as_long_as_it_can_be_reported(self) -> None:
        later = NOW + KEEP_RECENT + MINUTE
        state = counted(counted(), number=2, time=later)
        assert reported(state, time=later)[1].result == "settled"
        state = counted(state, number=3, time=NOW + 11 * MINUTE)
        assert entry_id(1) not in {entry.id for entry in state.recent}

    def test_is_missing_where_its_entry_goes_without_it(self) -> None:
        first = counted()
        before = state = first
        for number in range(2, MAX_RECENT + 3):
            before, state = state, counted(state, number=number)
        assert missing_outcomes(before, state, ()) == 1
        assert reported(state)[1].result == "late"
        settled, _ = reported(first)
        assert missing_outcomes(settled, counted(settled, number=2, time=NOW + HOUR), ()) == 0
        assert missing_outcomes(first, release(first, (entry_id(1),)), {entry_id(1)}) == 0

    def test_keeps_its_object_until_it_is_late(self) -> None:
        day = history("backups", what="Succeeded", outcome_within=24 * HOUR)
        waiting = WaitingCall(need(day), entry_id(1), lambda _: True)
        state, _ = commit(empty_state(), (waiting,), at(NOW))
        assert keep_until(state, (day,)) == "2025-11-30T19"

    def test_that_nothing_counts_any_more_is_noted_down(self) -> None:
        state, result = settle(counted(), entry_id(1), "succeeded", (EXPORTS,), at(NOW))
        assert (result.result, result.awaited, set(state.lines)) == ("settled", frozenset(), {EXPORTS.digest})

    def test_changes_nothing_where_there_is_no_room(self) -> None:
        state = replace(counted(), seq=MAX_NUMBER)
        assert reported(state)[1].result == "full"

    def test_never_makes_a_sum_that_cannot_be_read_back(self) -> None:
        """Each of many calls may have the largest amount: their sum is known only when they are reported."""
        large = need(BACKUPS, total=MAX_TOTAL)
        state = empty_state()
        for number in range(20):
            waiting = WaitingCall(large, entry_id(number), lambda _: True)
            state, _ = commit(state, (waiting,), at(NOW))
        results = []
        for number in range(20):
            state, result = reported(state, entry=entry_id(number))
            results.append(result.result)
        assert results == 9 * ["settled"] + 11 * ["full"]
        assert "backups" not in counts(state)
