"""Changes that no verdict waits for: denied calls."""

from typing import Final

from msgspec.structs import replace

from bailiwick_engine.history.changes import count_denied
from bailiwick_engine.history.commit import ClockBounds, WaitingCall, commit, numbers_at
from bailiwick_engine.history.state import MAX_LINES, MAX_NUMBER, MAX_TIME, KeyState, parse_state, state_spec
from bailiwick_engine.policy.histories import CalendarWindow
from support.histories import HOUR, empty_state, entry_id, history, need

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
