"""What a status says of uses and of a candidate's calls: seldom another thing, and never less than before."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.usage import PolicyUse, last_day, round_down, shadow, usage
from support.objects import Object, policy
from unit.operator.cases import stored

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
TODAY: Final = int(NOW.timestamp() // 86_400)
ALWAYS: Final = datetime.fromtimestamp(0, UTC)


def body(*, generation: int = 1, **status: object) -> Object:
    return stored(policy("crm"), generation=generation, status=dict(status))


def told(
    present: Status | None = None, *, day: int = 0, since: datetime | None = ALWAYS, gives: bool = True, days: float = 0
) -> Status | None:
    use = PolicyUse(day, since=since)
    return usage(body(usage=present), use, NOW + timedelta(days=days), gives=gives)


class TestUses:
    def test_of_a_policy_that_was_never_used_are_counted_from_when_it_is_first_seen(self) -> None:
        first = told()
        assert first == {"observedSince": "2026-11-25T12:00:00Z", "unusedSince": "2026-11-25T12:00:00Z"}
        assert told(first, days=40) == first

    def test_are_told_to_the_day_and_nothing_is_called_unused(self) -> None:
        first = told()
        assert told(first, day=TODAY) == {
            "lastUsedTime": "2026-11-25T00:00:00Z",
            "observedSince": "2026-11-25T12:00:00Z",
        }

    def test_of_every_day_are_written_once_a_day(self) -> None:
        present, writes = told(), 0
        # Every hour for a week: it is used at noon of each day, and rounds come in between.
        for hour in range(24 * 7):
            now = NOW + timedelta(hours=hour)
            day = int((now - timedelta(hours=12)).timestamp() // 86_400)
            found = usage(body(usage=present), PolicyUse(day, since=ALWAYS), now, gives=True)
            writes += found != present
            present = found
        assert writes <= 8
        assert present is not None
        assert "unusedSince" not in present

    def test_that_end_are_called_unused_after_a_whole_day_without_one(self) -> None:
        used = told(told(), day=TODAY)
        assert told(used, days=1) == used
        after = told(used, days=2)
        assert after == {**(used or {}), "unusedSince": "2026-11-26T00:00:00Z"}
        assert told(after, days=90) == after

    def test_that_nobody_observed_for_a_while_are_called_unused_from_then_on_only(self) -> None:
        used = {"lastUsedTime": "2026-10-01T00:00:00Z", "observedSince": "2026-09-01T00:00:00Z"}
        since = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
        found = told(used, since=since)
        assert found == {**used, "observedSince": "2026-11-20T08:00:00Z", "unusedSince": "2026-11-20T08:00:00Z"}

    def test_that_nobody_can_ask_about_are_not_called_unused(self) -> None:
        unused = {"observedSince": "2026-01-01T00:00:00Z", "unusedSince": "2026-01-01T00:00:00Z"}
        assert told(unused, since=None) is None
        assert told({**unused, "lastUsedTime": "2025-12-31T00:00:00Z"}, since=None) == {
            "lastUsedTime": "2025-12-31T00:00:00Z"
        }

    def test_of_a_policy_that_lets_nobody_through_are_not_missed(self) -> None:
        assert told(told(), gives=False) is None
        # What it gives again begins anew.
        assert told({"lastUsedTime": "2026-01-01T00:00:00Z"}, days=5) == {
            "lastUsedTime": "2026-01-01T00:00:00Z",
            "observedSince": "2026-11-30T12:00:00Z",
            "unusedSince": "2026-11-30T12:00:00Z",
        }

    def test_that_a_process_forgot_stay_told(self) -> None:
        assert (told({"lastUsedTime": "2026-11-24T00:00:00Z"}, day=TODAY - 9) or {})["lastUsedTime"].startswith(
            "2026-11-24"
        )

    @pytest.mark.parametrize("day", [TODAY + 1, 10**30])
    def test_of_a_day_to_come_are_of_today(self, day: int) -> None:
        assert (told(day=day) or {})["lastUsedTime"] == "2026-11-25T00:00:00Z"

    @pytest.mark.parametrize("text", [7, "", "yesterday", "2026-11-24", None])
    def test_that_cannot_be_read_are_none(self, text: object) -> None:
        assert last_day(body(usage={"lastUsedTime": text})) == 0
        assert last_day(body(usage=text)) == 0

    def test_of_an_observation_that_begins_later_than_now_begin_now(self) -> None:
        assert (told({"observedSince": "2999-01-01T00:00:00Z"}) or {})["unusedSince"] == "2026-11-25T12:00:00Z"


def counted(present: Object, compared: int, different: int, minutes: float = 0) -> Status:
    return shadow(present, PolicyUse(compared=compared, different=different), NOW + timedelta(minutes=minutes))


class TestACandidate:
    def test_begins_with_nothing(self) -> None:
        assert counted(body(), 0, 0) == {"observedGeneration": 1, "compared": 0, "different": 0}

    def test_is_told_what_it_came_to_in_steps(self) -> None:
        assert counted(body(shadow=counted(body(), 0, 0)), 1234, 19) == {
            "observedGeneration": 1,
            "compared": 1000,
            "different": 10,
            "lastUpdateTime": "2026-11-25T12:00:00Z",
        }

    def test_is_told_more_ten_minutes_later_at_the_earliest(self) -> None:
        first = counted(body(), 1, 0)
        assert counted(body(shadow=first), 100, 100, minutes=9.9) == first
        second = counted(body(shadow=first), 100, 100, minutes=10)
        assert (second["different"], second["lastUpdateTime"]) == (100, "2026-11-25T12:10:00Z")

    def test_that_is_written_anew_begins_anew_and_has_no_more_written_for_it(self) -> None:
        first = counted(body(), 50, 20)
        again = counted(body(generation=2, shadow=first), 0, 0, minutes=1)
        assert again == {**first, "observedGeneration": 2, "compared": 0, "different": 0}
        assert counted(body(generation=2, shadow=again), 10, 10, minutes=2) == again
        assert counted(body(generation=3, shadow=again), 10, 10, minutes=3) == {**again, "observedGeneration": 3}

    def test_is_told_no_less_than_before_by_processes_that_restarted(self) -> None:
        first = counted(body(), 500, 20)
        assert counted(body(shadow=first), 3, 1, minutes=60) == first

    def test_is_not_held_back_by_a_time_to_come(self) -> None:
        held = {**counted(body(), 1, 1), "lastUpdateTime": "2999-01-01T00:00:00Z"}
        assert counted(body(shadow=held), 5, 5)["compared"] == 5

    @given(counts=st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
    def test_is_written_seldom_however_many_calls_come(self, counts: list[int]) -> None:
        present, writes, total = counted(body(), 0, 0), 0, 0
        for minute, count in enumerate(counts):
            total += count
            found = counted(body(shadow=present), total, total // 3, minutes=minute)
            writes, present = writes + (found != present), found
        assert writes <= 1 + len(counts) / 10


@given(st.integers(0, 10**15))
def test_a_rounded_count_is_at_most_the_count_and_more_than_a_third_of_it(count: int) -> None:
    assert round_down(count) <= count
    assert round_down(count) * 5 >= 2 * count
    assert round_down(round_down(count)) == round_down(count)
    assert str(round_down(count)).rstrip("0") in {"", "1", "2", "5"}


@pytest.mark.parametrize("count", [-1, 10**15, 10**40])
def test_a_count_that_nobody_can_have_counted_fits_the_schema(count: int) -> None:
    assert 0 <= round_down(count) < 2**63
