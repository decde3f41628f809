"""What becomes of calls that wait for one object, and of the state."""

from collections.abc import Callable, Mapping

import msgspec
import pytest

from bailiwick_engine.history.commit import (
    KEEP_LINE,
    KEEP_RECENT,
    RETRY,
    ClockBounds,
    CommittedCall,
    WaitingCall,
    commit,
    numbers_at,
    release,
)
from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.history.state import (
    MAX_LINES,
    MAX_NUMBER,
    MAX_RECENT,
    MAX_RECENT_TEXT,
    MAX_TIME,
    MAX_TOTAL,
    Entry,
    EntryShare,
    KeyState,
    Slot,
    StateLine,
    parse_state,
    recent_text,
    state_spec,
)
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import Amount, CalendarWindow, SlidingWindow
from support.histories import DAY, HOUR, MINUTE, empty_state, entry_id, history, need

NOW = 1_764_439_200_000
EXPORTS = history()
REFUNDS = history("refunds", amount=Amount(("context", "amount"), 2))
NEED = need(EXPORTS)


def at(time: int, spread: int = 0) -> ClockBounds:
    return ClockBounds(time - spread, time + spread)


def most(limit: int, name: str = "exports") -> Callable[[Mapping[str, HistoryNumbers]], bool]:
    return lambda numbers: name in numbers and numbers[name].count <= limit


def call(number: int, limit: int = 5, wanted: ObjectNeed = NEED) -> WaitingCall:
    return WaitingCall(wanted, entry_id(number), most(limit))


def counted(state: KeyState, *calls: WaitingCall, time: int = NOW) -> KeyState:
    state, results = commit(state, calls, at(time))
    assert all(result.passed for result in results)
    return state


def only(state: KeyState, waiting: WaitingCall, time: int = NOW) -> tuple[KeyState, CommittedCall]:
    state, (result,) = commit(state, (waiting,), at(time))
    return state, result


def exports(state: KeyState, time: int = NOW, **told: str) -> HistoryNumbers:
    return numbers_at(state, NEED, at(time), with_this=False, **told)["exports"]


class TestABatch:
    def test_each_call_sees_those_before_it(self) -> None:
        state, results = commit(empty_state(), [call(number) for number in range(8)], at(NOW))
        assert [result.passed for result in results] == [True] * 5 + [False] * 3
        assert [result.numbers["exports"].count for result in results] == [1, 2, 3, 4, 5, 6, 6, 6]
        assert [result.seq for result in results] == [1, 2, 3, 4, 5, None, None, None]
        assert (state.seq, state.clock) == (5, NOW)

    def test_a_call_that_is_denied_leaves_the_state_as_it_is(self) -> None:
        state = counted(empty_state(), call(1))
        assert only(state, call(2, limit=1))[0] is state

    def test_a_call_that_only_reads_leaves_the_state_as_it_is(self) -> None:
        state = counted(empty_state(), call(1))
        after, result = only(state, WaitingCall(need(reads=(EXPORTS,)), entry_id(2), most(1)))
        assert after is state
        assert (result.passed, result.seq, result.numbers["exports"].count) == (True, None, 1)

    def test_nothing_is_read_of_the_state_of_another_key(self) -> None:
        state = KeyState("crm-api", "sha256:" + "1" * 64)
        after, result = only(state, WaitingCall(NEED, entry_id(1), lambda _: True))
        assert after is state
        assert not result.passed
        assert result.numbers == {}

    def test_two_names_of_one_definition_are_counted_once(self) -> None:
        other = history()
        object.__setattr__(other, "name", "again")
        state, result = only(empty_state(), WaitingCall(need(EXPORTS, other), entry_id(1), lambda _: True))
        assert {name: one.count for name, one in result.numbers.items()} == {"exports": 1, "again": 1}
        assert numbers_at(state, need(EXPORTS, other), at(NOW), with_this=False)["again"].count == 1

    def test_the_clock_never_goes_back(self) -> None:
        state = counted(empty_state(), call(1))
        state = counted(state, call(2), time=NOW - 10 * MINUTE)
        assert state.clock == NOW
        assert [slot.count for slot in state.lines[EXPORTS.digest].slots] == [2]


class TestAWindow:
    def test_a_call_is_out_after_the_window_and_one_slot(self) -> None:
        state = counted(empty_state(), *[call(number) for number in range(5)])
        slot = -(-HOUR // 64)
        assert exports(state, NOW + HOUR).count == 5
        assert exports(state, NOW + HOUR + slot).count == 0
        assert only(state, call(9), NOW + HOUR)[1].passed is False
        assert only(state, call(9), NOW + HOUR + slot)[1].passed is True

    def test_it_is_out_by_the_earliest_time_and_counted_by_the_latest(self) -> None:
        state, _ = commit(empty_state(), (call(1),), at(NOW, MINUTE))
        slot = -(-HOUR // 64)
        true_end = NOW + MINUTE + HOUR + slot
        assert numbers_at(state, NEED, at(true_end, MINUTE), with_this=False)["exports"].count == 1
        assert numbers_at(state, NEED, at(true_end + MINUTE, MINUTE), with_this=False)["exports"].count == 0

    def test_slots_that_are_out_are_dropped_with_the_next_write(self) -> None:
        state = counted(empty_state(), call(1))
        state = counted(state, call(2), time=NOW + 2 * HOUR)
        assert len(state.lines[EXPORTS.digest].slots) == 1

    def test_a_line_that_no_definition_names_is_dropped_after_the_longest_window(self) -> None:
        old = {"0" * 12: StateLine((Slot(1, 1, 0),), NOW)}
        state = KeyState("crm-api", NEED.key, 1, NOW, old)
        assert "0" * 12 in counted(state, call(1), time=NOW + KEEP_LINE).lines
        assert "0" * 12 not in counted(state, call(1), time=NOW + KEEP_LINE + 1).lines

    def test_no_more_lines_are_begun_than_an_object_holds(self) -> None:
        old = {f"{number:012x}": StateLine((Slot(1, 1, 0),), NOW) for number in range(MAX_LINES)}
        state = KeyState("crm-api", NEED.key, 1, NOW, old)
        after, result = only(state, call(1))
        assert after is state
        assert not result.passed

    def test_the_last_line_that_there_is_room_for_is_begun(self) -> None:
        old = {f"{number:012x}": StateLine((Slot(1, 1, 0),), NOW) for number in range(MAX_LINES - 1)}
        assert only(KeyState("crm-api", NEED.key, 1, NOW, old), call(1))[1].passed

    def test_nothing_is_counted_after_the_last_year(self) -> None:
        assert only(empty_state(), call(1), MAX_TIME)[1].passed
        assert not only(empty_state(), call(1), MAX_TIME + 1)[1].passed

    def test_clocks_that_differ_do_not_make_more_slots_than_are_written(self) -> None:
        minute = need(history(window=SlidingWindow(MINUTE)))
        state = empty_state()
        for step in range(400):
            state, (result,) = commit(
                state, (call(step, limit=1_000, wanted=minute),), ClockBounds(NOW, NOW + step * 1_000)
            )
            assert result.numbers["exports"].count == step + 1
        assert parse_state(state_spec(state)) == state


class TestACalendar:
    NIGHT = 1_764_457_200_000  # 2025-11-30 00:00 in Berlin
    DAILY = need(history(window=CalendarWindow("Day", "Europe/Berlin")))

    def test_a_new_period_begins_at_zero(self) -> None:
        state, _ = commit(empty_state(), [call(n, wanted=self.DAILY) for n in range(5)], at(self.NIGHT - 1))
        assert only(state, call(9, wanted=self.DAILY), self.NIGHT - 1)[1].passed is False
        assert only(state, call(9, wanted=self.DAILY), self.NIGHT)[1].numbers["exports"].count == 1

    def test_while_it_is_not_certain_which_period_it_is_a_call_counts_in_both(self) -> None:
        unsure = at(self.NIGHT, 1_000)
        state, results = commit(empty_state(), [call(n, wanted=self.DAILY) for n in range(7)], unsure)
        assert [result.passed for result in results] == [True] * 5 + [False] * 2
        for time in (self.NIGHT - 2_000, self.NIGHT + 2_000):
            assert only(state, call(9, wanted=self.DAILY), time)[1].passed is False

    def test_a_call_that_is_certainly_in_the_new_period_begins_it_for_all(self) -> None:
        state, _ = commit(empty_state(), [call(n, wanted=self.DAILY) for n in range(5)], at(self.NIGHT - 5_000))
        state, (first,) = commit(state, (call(6, wanted=self.DAILY),), at(self.NIGHT + 1))
        assert first.numbers["exports"].count == 1
        # By a clock that may still be in the old one.
        _, (second,) = commit(state, (call(7, wanted=self.DAILY),), at(self.NIGHT, 2_000))
        assert second.numbers["exports"].count == 2

    def test_a_period_that_has_begun_has_begun_for_a_clock_that_is_behind(self) -> None:
        daily = need(history("exports", CalendarWindow("Day", "UTC")))
        midnight = NOW - NOW % DAY
        state = counted(empty_state(), *(call(number, wanted=daily) for number in range(5)), time=midnight + 1_000)
        after, result = only(state, call(5, wanted=daily), midnight - 2_000)
        assert not result.passed
        assert result.numbers["exports"].count == 6
        assert after is state


class TestARetry:
    def test_it_counts_once_and_is_relied_on(self) -> None:
        state = counted(empty_state(), *[call(number) for number in range(5)])
        after, result = only(state, call(2))
        assert (result.passed, result.repeated, result.seq) == (True, True, 6)
        assert exports(after).count == 5
        assert {entry.id: entry.relied_on for entry in after.recent} == {
            entry_id(number): number == 2 for number in range(5)
        }

    def test_a_second_one_needs_no_write(self) -> None:
        state, _ = only(counted(empty_state(), call(1)), call(1))
        after, result = only(state, call(1))
        assert after is state
        assert (result.passed, result.repeated, result.seq) == (True, True, None)

    def test_is_known_by_the_beginning_of_its_entry(self) -> None:
        state = counted(empty_state(), WaitingCall(NEED, entry_id(1, attempt=1), most(5)))
        state, result = only(state, WaitingCall(NEED, entry_id(1, attempt=2), most(5)))
        assert result.repeated
        assert [(entry.id, entry.relied_on) for entry in state.recent] == [(entry_id(1, attempt=1), True)]

    def test_in_the_same_batch_it_counts_once(self) -> None:
        state, results = commit(empty_state(), (call(1), call(1), call(2)), at(NOW))
        assert [(result.passed, result.repeated) for result in results] == [(True, False), (True, True), (True, False)]
        assert exports(state).count == 2

    def test_it_counts_anew_after_its_time(self) -> None:
        state = counted(empty_state(), call(1))
        assert only(state, call(1), NOW + RETRY)[1].repeated is True
        after, result = only(state, call(1), NOW + RETRY + 1)
        assert (result.repeated, result.numbers["exports"].count) == (False, 2)
        assert exports(after).count == 2

    def test_it_is_in_the_window_for_as_long_as_its_latest_answer(self) -> None:
        minute = need(history(window=SlidingWindow(MINUTE)))
        state = counted(empty_state(), call(1, wanted=minute))
        for passed in (10_000, 20_000, 30_000):
            state, result = only(state, call(1, wanted=minute), NOW + passed)
            assert result.repeated
        for passed, held in ((MINUTE + 29_000, 1), (MINUTE + 32_000, 0)):
            assert numbers_at(state, minute, at(NOW + passed), with_this=False)["exports"].count == held
        assert only(state, call(1, wanted=minute), NOW + 31_000)[1].repeated is False

    def test_it_moves_to_a_period_that_began_since(self) -> None:
        night, daily = TestACalendar.NIGHT, TestACalendar.DAILY
        state, _ = commit(empty_state(), (call(1, wanted=daily),), at(night - 1_000))
        state, result = only(state, call(1, wanted=daily), night + 1_000)
        assert (result.repeated, result.numbers["exports"].count) == (True, 1)
        assert only(state, call(2, wanted=daily), night + 1_000)[1].numbers["exports"].count == 2

    def test_what_a_definition_counted_that_is_gone_stays_counted(self) -> None:
        state = counted(empty_state(), call(1))
        state, result = only(state, WaitingCall(need(REFUNDS, total=1), entry_id(1), lambda _: True))
        assert result.repeated
        assert exports(state).count == 1
        assert numbers_at(state, need(REFUNDS), at(NOW), with_this=False)["refunds"].count == 1
        assert parse_state(state_spec(state)) == state

    @pytest.mark.parametrize("number", range(4))
    def test_it_is_found_wherever_it_stands(self, number: int) -> None:
        state = counted(empty_state(), *[call(one) for one in range(4)])
        assert only(state, call(number))[1].repeated

    def test_what_another_definition_counted_of_it_stays_with_it(self) -> None:
        both = need(EXPORTS, REFUNDS, total=5)
        state = counted(empty_state(), *[WaitingCall(both, entry_id(number), lambda _: True) for number in range(4)])
        later = NOW + 20_000
        state, result = only(state, call(1), later)
        assert (result.repeated, result.numbers["exports"].count) == (True, 4)
        assert numbers_at(state, both, at(later), with_this=False)["refunds"].total == 20
        assert [entry.id for entry in state.recent] == [entry_id(number) for number in (0, 2, 3, 1)]
        assert {share.line for share in state.recent[-1].shares} == {EXPORTS.digest, REFUNDS.digest}
        assert all(len(entry.shares) == 2 for entry in state.recent)
        assert state.seq == 5

    def test_it_is_judged_by_the_age_of_the_call_before_it(self) -> None:
        state = counted(empty_state(), call(1))
        _, first = only(state, call(2), NOW + MINUTE)
        state = counted(state, call(2), time=NOW + MINUTE)
        _, again = only(state, call(2), NOW + MINUTE)
        assert first.numbers == again.numbers
        assert again.numbers["exports"].age == 60

    def test_one_that_is_denied_marks_nothing(self) -> None:
        state = counted(empty_state(), call(1))
        after, result = only(state, call(1, limit=0))
        assert after is state
        assert (result.passed, result.repeated) == (False, True)


class TestARelease:
    def test_it_gives_the_place_back_and_has_a_number(self) -> None:
        state = counted(empty_state(), *[call(number) for number in range(5)])
        after = release(state, [entry_id(2)])
        assert (after.seq, exports(after).count) == (6, 4)
        assert entry_id(2) not in {entry.id for entry in after.recent}
        assert only(after, call(9))[1].passed is True

    def test_one_that_an_answer_relies_on_stays(self) -> None:
        state, _ = only(counted(empty_state(), call(1)), call(1))
        assert release(state, [entry_id(1)]) is state

    def test_of_one_attempt_takes_out_nothing_of_another(self) -> None:
        """The first one's write got lost, and it finds that out after the call was counted by the second."""
        state = counted(empty_state(), WaitingCall(NEED, entry_id(1, attempt=2), most(5)))
        assert release(state, [entry_id(1, attempt=1)]) is state

    def test_one_that_is_not_there_changes_nothing(self) -> None:
        state = counted(empty_state(), call(1))
        assert release(state, [entry_id(2)]) is state

    def test_one_that_was_dropped_stays_counted(self) -> None:
        state = counted(empty_state(), *[call(number, limit=1_000) for number in range(MAX_RECENT + 1)])
        assert len(state.recent) == MAX_RECENT
        assert release(state, [entry_id(0)]) is state
        assert exports(state).count == MAX_RECENT + 1

    def test_one_whose_slot_is_out_takes_nothing_from_others(self) -> None:
        minute = need(history(window=SlidingWindow(MINUTE)))
        state = counted(empty_state(), call(1, wanted=minute))
        state = counted(state, call(2, wanted=minute), time=NOW + 2 * MINUTE)
        after = release(state, [entry_id(1)])
        assert numbers_at(after, minute, at(NOW + 2 * MINUTE), with_this=False)["exports"].count == 1

    def test_of_the_only_call_leaves_no_line(self) -> None:
        state = release(counted(empty_state(), call(1)), [entry_id(1)])
        assert state.lines == {}
        assert state.recent == ()

    @pytest.mark.parametrize("order", [(2, 3), (3, 2)])
    def test_the_age_is_that_of_the_call_that_is_left(self, order: tuple[int, int]) -> None:
        state = empty_state()
        for number in (1, 2, 3):
            state = counted(state, call(number), time=NOW + number * MINUTE)
        state = release(state, [entry_id(number) for number in order])
        assert exports(state, NOW + 10 * MINUTE).age == 9 * 60

    def test_it_gives_back_what_the_sum_had(self) -> None:
        refunds = need(REFUNDS, total=250)
        state, _ = commit(empty_state(), [WaitingCall(refunds, entry_id(n), lambda _: True) for n in (1, 2)], at(NOW))
        state = release(state, [entry_id(1)])
        assert numbers_at(state, refunds, at(NOW), with_this=False)["refunds"].total == 250

    def test_the_age_is_that_of_each_history(self) -> None:
        both, refunds = need(EXPORTS, REFUNDS), need(REFUNDS)
        state = counted(empty_state(), call(1), time=NOW)
        state = counted(state, WaitingCall(refunds, entry_id(2), lambda _: True), time=NOW + MINUTE)
        state = counted(state, WaitingCall(both, entry_id(3), lambda _: True), time=NOW + 2 * MINUTE)
        after = release(state, [entry_id(2)])
        assert [(share.line, share.previous) for share in after.recent[-1].shares] == [
            (EXPORTS.digest, NOW),
            (REFUNDS.digest, None),
        ]
        after = release(after, [entry_id(3)])
        numbers = numbers_at(after, both, at(NOW + 3 * MINUTE), with_this=False)
        assert (numbers["exports"].age, numbers["refunds"].age) == (180, None)

    def test_of_what_a_state_does_not_hold_changes_nothing_else(self) -> None:
        share = EntryShare(EXPORTS.digest, 7, 2, 5)
        entry = Entry(entry_id(1), NOW, (share,))
        for slot in (Slot(7, 1, 9), Slot(7, 3, 4)):
            state = KeyState("crm-api", NEED.key, 3, NOW, {EXPORTS.digest: StateLine((slot,), NOW)}, (entry,))
            after = release(state, [entry_id(1)])
            assert (after.seq, after.recent, after.lines) == (4, (), state.lines)
        without = release(KeyState("crm-api", NEED.key, 3, NOW, {}, (entry,)), [entry_id(1)])
        assert (without.recent, without.lines) == ((), {})

    def test_none_has_a_number_after_the_last(self) -> None:
        state = msgspec.structs.replace(counted(empty_state(), call(1)), seq=MAX_NUMBER)
        assert release(state, [entry_id(1)]) is state


class TestTheLatestEntries:
    def test_are_dropped_after_their_time(self) -> None:
        state = counted(empty_state(), call(1))
        assert len(counted(state, call(2), time=NOW + KEEP_RECENT).recent) == 2
        assert len(counted(state, call(2), time=NOW + KEEP_RECENT + 1).recent) == 1

    def test_are_fewer_where_many_histories_count(self) -> None:
        many = need(*(history(f"h{number}") for number in range(16)))
        state = counted(
            empty_state(), *[WaitingCall(many, entry_id(number), lambda _: True) for number in range(MAX_RECENT)]
        )
        ids = [entry.id for entry in state.recent]
        assert 16 < len(ids) < MAX_RECENT
        assert ids == [entry_id(number) for number in range(MAX_RECENT - len(ids), MAX_RECENT)]
        assert len(recent_text(state.recent)) <= MAX_RECENT_TEXT
        assert parse_state(state_spec(state)) == state

    def test_know_no_call_before_the_first_in_the_window(self) -> None:
        state = counted(counted(empty_state(), call(1)), call(2), time=NOW + 2 * HOUR)
        assert state.recent[-1].shares[0].previous is None


class TestNumbers:
    def test_of_no_amount_have_no_total(self) -> None:
        assert numbers_at(empty_state(), NEED, at(NOW), with_this=True) == {"exports": HistoryNumbers(1)}

    def test_that_are_too_large_are_unknown(self) -> None:
        slot = NOW // 56_250
        for count, known in ((MAX_NUMBER - 1, True), (MAX_NUMBER, False)):
            line = {EXPORTS.digest: StateLine((Slot(slot, count, 0),), NOW)}
            state = KeyState("crm-api", NEED.key, 1, NOW, line)
            assert only(state, WaitingCall(NEED, entry_id(1), lambda _: True))[1].passed is known

    def test_there_is_no_age_before_the_first_call(self) -> None:
        state = counted(empty_state(), call(1))
        assert numbers_at(empty_state(), NEED, at(NOW), with_this=True)["exports"].age is None
        assert exports(state, entry=entry_id(1)).age is None
        assert exports(state, NOW + 2 * HOUR).age is None

    def test_an_age_is_rounded_up_and_never_negative(self) -> None:
        state = counted(empty_state(), call(1))
        assert [exports(state, NOW + passed).age for passed in (-5_000, 0, 1, 999, 1_000, 1_001)] == [0, 0, 1, 1, 1, 2]

    def test_the_own_entry_is_in_the_count_and_not_in_the_age(self) -> None:
        state = counted(empty_state(), call(1))
        state = counted(state, call(2), time=NOW + MINUTE)
        own = exports(state, NOW + 2 * MINUTE, entry=entry_id(2))
        assert (own.count, own.age) == (2, 120)
        # A later call is the latest one.
        assert exports(state, NOW + 2 * MINUTE, entry=entry_id(1)).age == 60

    def test_a_sum_is_in_units_of_the_last_digit(self) -> None:
        _, result = only(empty_state(), WaitingCall(need(REFUNDS, total=1_050), entry_id(1), lambda _: True))
        assert result.numbers["refunds"].members == {"count": 1, "sum": 10.5}

    def test_a_total_beyond_the_bound_is_unknown_and_not_counted(self) -> None:
        full = need(REFUNDS, total=MAX_TOTAL)
        state, result = only(empty_state(), WaitingCall(full, entry_id(1), lambda _: True))
        assert result.passed
        after, result = only(state, WaitingCall(need(REFUNDS, total=1), entry_id(2), lambda _: True))
        assert after is state
        assert not result.passed
        assert result.numbers == {}

    @pytest.mark.parametrize("digits", range(7))
    def test_two_sums_are_never_one_for_a_condition(self, digits: int) -> None:
        # Above a power of two doubles lie furthest apart.
        powers = (2**power * 10**digits for power in range(54))
        for total in (MAX_TOTAL - 1, *(one + more for one in powers for more in range(8) if one + more < MAX_TOTAL)):
            # The limit as an author writes it, and a sum that is above it by the last digit.
            limit, above = (HistoryNumbers(1, one, digits) for one in (total, total + 1))
            assert float(limit.decimal_sum or "") == limit.members["sum"] < above.members["sum"], total

    def test_nothing_is_counted_after_the_last_number(self) -> None:
        state = KeyState("crm-api", NEED.key, MAX_NUMBER, NOW)
        after, result = only(state, call(1))
        assert after is state
        assert not result.passed


def test_a_call_that_is_sent_again_under_other_definitions_leaves_a_state_that_can_be_read() -> None:
    # At midnight a call counts in two days of each of the most histories that there can be.
    day = CalendarWindow("Day", "UTC")
    midnight = NOW - NOW % DAY
    state = empty_state()
    for attempt, name in enumerate("abc"):
        definitions = [history(f"{name}{number}", day) for number in range(16)]
        again = WaitingCall(need(*definitions), entry_id(1, attempt), lambda _: True)
        state, (result,) = commit(state, (again,), at(midnight, 500))
        assert result.passed
        assert parse_state(state_spec(state)) == state
        numbers = numbers_at(state, need(reads=tuple(definitions)), at(midnight), with_this=False)
        assert {one.count for one in numbers.values()} == {1}


def test_each_state_reads_back_as_it_was_written() -> None:
    both = need(EXPORTS, REFUNDS, total=125)
    state = counted(empty_state(), *[call(number, wanted=both) for number in range(5)])
    state, _ = only(state, call(3, wanted=both), NOW + 1_000)
    state = counted(release(state, [entry_id(1)]), call(7, wanted=both), time=NOW + DAY)
    assert parse_state(state_spec(state)) == state
    assert state_spec(parse_state(state_spec(state)) or empty_state()) == state_spec(state)


class TestACallThatAGrantLetsThrough:
    RULED = history("ruled", ignores_approved=True)
    BOTH = need(EXPORTS, RULED)

    def test_adds_nothing_where_approved_calls_are_ignored(self) -> None:
        state, result = only(empty_state(), WaitingCall(self.BOTH, entry_id(1), lambda _: "grant"))
        assert result.passed
        assert {name: one.count for name, one in result.numbers.items()} == {"exports": 1, "ruled": 1}
        assert set(state.lines) == {EXPORTS.digest}
        state, result = only(state, WaitingCall(self.BOTH, entry_id(2), lambda _: True))
        assert {name: one.count for name, one in result.numbers.items()} == {"exports": 2, "ruled": 1}

    def test_writes_nothing_where_all_ignore_it(self) -> None:
        state, result = only(empty_state(), WaitingCall(need(self.RULED), entry_id(1), lambda _: "grant"))
        assert (result.passed, result.seq, state) == (True, None, empty_state())

    def test_takes_nothing_out_that_an_earlier_attempt_added_by_a_rule(self) -> None:
        state = counted(empty_state(), WaitingCall(self.BOTH, entry_id(1), lambda _: True))
        state, result = only(state, WaitingCall(self.BOTH, entry_id(1, 1), lambda _: "grant"))
        assert result.repeated
        assert {digest: line.slots[0].count for digest, line in state.lines.items()} == {
            EXPORTS.digest: 1,
            self.RULED.digest: 1,
        }
