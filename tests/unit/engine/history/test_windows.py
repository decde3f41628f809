"""In which slots a call is counted, and when a slot is out."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from bailiwick_api import timezones
from bailiwick_engine.history.state import MAX_SLOTS, Slot
from bailiwick_engine.history.windows import (
    ClockBounds,
    add_to_slot,
    live_slots,
    period_start,
    present_slots,
    slot_length,
    slot_sum,
    window_end,
)
from bailiwick_engine.policy.histories import CalendarUnit, CalendarWindow, SlidingWindow
from support.histories import DAY, HOUR, MINUTE

MONTHS: Final = {"UTC": "UTC", "Berlin": "Europe/Berlin"}


def at(text: str) -> int:
    """Return a moment in milliseconds; it is written with its offset."""
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


class TestASlidingWindow:
    @pytest.mark.parametrize(
        ("window", "length"), [(MINUTE, 938), (HOUR, 56_250), (DAY, 1_350_000), (31 * DAY, 41_850_000)]
    )
    def test_has_64_slots(self, window: int, length: int) -> None:
        assert slot_length(SlidingWindow(window)) == length

    @given(
        window=st.integers(1, 44_640).map(lambda minutes: minutes * MINUTE),
        counted=st.integers(0, 10**13),
        later=st.integers(0, 40 * DAY),
    )
    def test_is_never_shorter_and_at_most_a_64th_longer(self, window: int, counted: int, later: int) -> None:
        sliding = SlidingWindow(window)
        clock = ClockBounds(counted, counted)
        (number,) = present_slots(sliding, (), clock, 0)
        is_live = bool(live_slots(sliding, (Slot(number, 1, 0),), counted + later))
        if later < window:
            assert is_live
        if later >= window + slot_length(sliding):
            assert not is_live
        assert window_end(sliding, number) >= counted + window

    def test_counts_by_the_latest_time_that_is_known(self) -> None:
        window = SlidingWindow(64_000)
        assert present_slots(window, (), ClockBounds(0, 5_500), 0) == (5,)
        assert present_slots(window, (), ClockBounds(0, 5_500), 9_000) == (9,)

    def test_sums_what_is_live(self) -> None:
        slots = (Slot(1, 2, 30), Slot(4, 1, 5))
        window = SlidingWindow(64_000)
        assert slot_sum(window, live_slots(window, slots, 65_999), ()) == (3, 35)
        assert slot_sum(window, live_slots(window, slots, 66_000), ()) == (1, 5)
        assert slot_sum(window, live_slots(window, slots, 68_999), ()) == (1, 5)
        assert live_slots(window, slots, 69_000) == ()

    def test_of_two_periods_has_the_larger_numbers(self) -> None:
        calendar, slots = CalendarWindow("Day", "UTC"), (Slot(1, 2, 5), Slot(2, 3, 1))
        assert slot_sum(calendar, slots, (1, 2)) == (3, 5)
        assert slot_sum(calendar, slots, (2,)) == (3, 1)
        assert slot_sum(calendar, slots, (3,)) == (0, 0)


class TestSlots:
    def test_stand_in_order(self) -> None:
        slots = add_to_slot(add_to_slot(add_to_slot((), 7, 1), 5, 2), 7, 3)
        assert slots == (Slot(5, 1, 2), Slot(7, 2, 4))
        assert add_to_slot(slots, 6, 9) == (Slot(5, 1, 2), Slot(6, 1, 9), Slot(7, 2, 4))

    def test_that_are_too_many_are_joined_with_the_next(self) -> None:
        slots: tuple[Slot, ...] = ()
        for number in range(0, 3 * MAX_SLOTS, 3):
            slots = add_to_slot(slots, number, 1)
        more = add_to_slot(slots, 1_000, 1)
        assert len(more) == MAX_SLOTS
        assert more[0] == Slot(3, 2, 2)
        assert sum(slot.count for slot in more) == MAX_SLOTS + 1


UNITS: Final[tuple[CalendarUnit, ...]] = ("Hour", "Day", "Week", "Month")


def changes() -> list[tuple[str, int]]:
    """Return when clocks change in a year: once for all zones that change them alike."""
    hours = range(at("2026-01-01T00:00:00+00:00"), at("2027-01-01T00:00:00+00:00"), 6 * HOUR)
    found: dict[tuple[int, timedelta | None, timedelta | None], str] = {}
    for zone in sorted(timezones.names()):
        tz = timezones.zone(zone)
        offsets = [datetime.fromtimestamp(time / 1_000, UTC).astimezone(tz).utcoffset() for time in hours]
        for time, old, new in zip(hours[1:], offsets, offsets[1:], strict=False):
            if old != new:
                found.setdefault((time, old, new), zone)
    return [(zone, time - 6 * HOUR) for (time, _, _), zone in found.items()]


class TestAPeriodOfTheCalendar:
    @pytest.mark.parametrize(
        ("unit", "zone", "time", "start"),
        [
            ("Hour", "UTC", "2026-11-30T16:59:59.999+00:00", "2026-11-30T16:00:00+00:00"),
            ("Hour", "UTC", "2026-11-30T17:00:00+00:00", "2026-11-30T17:00:00+00:00"),
            ("Hour", "Asia/Kathmandu", "2026-11-30T16:14:00+00:00", "2026-11-30T15:15:00+00:00"),
            ("Day", "Europe/Berlin", "2026-11-30T22:59:59+00:00", "2026-11-29T23:00:00+00:00"),
            ("Day", "Europe/Berlin", "2026-11-30T23:00:00+00:00", "2026-11-30T23:00:00+00:00"),
            # The days on which the clocks change have 23 and 25 hours.
            ("Day", "Europe/Berlin", "2026-03-29T21:59:59+00:00", "2026-03-28T23:00:00+00:00"),
            ("Day", "Europe/Berlin", "2026-03-29T22:00:00+00:00", "2026-03-29T22:00:00+00:00"),
            ("Day", "Europe/Berlin", "2026-10-25T22:59:59+00:00", "2026-10-24T22:00:00+00:00"),
            ("Day", "Europe/Berlin", "2026-10-25T23:00:00+00:00", "2026-10-25T23:00:00+00:00"),
            # An hour that the clocks show twice is two.
            ("Hour", "Europe/Berlin", "2026-10-25T00:30:00+00:00", "2026-10-25T00:00:00+00:00"),
            ("Hour", "Europe/Berlin", "2026-10-25T01:30:00+00:00", "2026-10-25T01:00:00+00:00"),
            # Here they go back by half an hour, from 2:00 to 1:30.
            ("Hour", "Australia/Lord_Howe", "2026-04-04T14:45:00+00:00", "2026-04-04T14:00:00+00:00"),
            ("Hour", "Australia/Lord_Howe", "2026-04-04T15:15:00+00:00", "2026-04-04T14:00:00+00:00"),
            ("Hour", "Australia/Lord_Howe", "2026-04-04T15:30:00+00:00", "2026-04-04T15:30:00+00:00"),
            # Here they go on and back by an hour at a quarter to: the hour that is under way ends when it would.
            ("Hour", "Pacific/Chatham", "2026-09-26T14:05:00+00:00", "2026-09-26T13:15:00+00:00"),
            ("Hour", "Pacific/Chatham", "2026-09-26T14:15:00+00:00", "2026-09-26T14:15:00+00:00"),
            ("Hour", "Pacific/Chatham", "2026-04-04T14:10:00+00:00", "2026-04-04T13:15:00+00:00"),
            ("Hour", "Pacific/Chatham", "2026-04-04T14:15:00+00:00", "2026-04-04T14:15:00+00:00"),
            # The clocks leave out midnight: the day begins with the change.
            ("Day", "Africa/Cairo", "2026-04-24T06:00:00+00:00", "2026-04-23T22:00:00+00:00"),
            # The clocks show midnight twice: the day begins with the first.
            ("Day", "America/Havana", "2026-11-01T05:30:00+00:00", "2026-11-01T04:00:00+00:00"),
            # A week begins on Monday.
            ("Week", "UTC", "2026-11-29T23:59:59+00:00", "2026-11-23T00:00:00+00:00"),
            ("Week", "UTC", "2026-11-30T00:00:00+00:00", "2026-11-30T00:00:00+00:00"),
            ("Week", "Europe/Berlin", "2026-10-26T12:00:00+00:00", "2026-10-25T23:00:00+00:00"),
            ("Week", "Europe/Berlin", "2026-10-25T12:00:00+00:00", "2026-10-18T22:00:00+00:00"),
            ("Month", "UTC", "2028-02-29T23:00:00+00:00", "2028-02-01T00:00:00+00:00"),
            ("Month", "America/New_York", "2026-12-01T04:59:59+00:00", "2026-11-01T04:00:00+00:00"),
            ("Month", "America/New_York", "2026-12-01T05:00:00+00:00", "2026-12-01T05:00:00+00:00"),
            # A zone that left out a whole day.
            ("Day", "Pacific/Apia", "2011-12-31T09:00:00+00:00", "2011-12-30T10:00:00+00:00"),
        ],
    )
    def test_begins(self, unit: CalendarUnit, zone: str, time: str, start: str) -> None:
        assert period_start(CalendarWindow(unit, zone), at(time)) == at(start)

    @given(
        unit=st.sampled_from(UNITS),
        zone=st.sampled_from(sorted(timezones.names())),
        time=st.integers(at("2020-01-01T00:00:00+00:00"), at("2036-01-01T00:00:00+00:00")),
    )
    def test_holds_its_time_and_ends_in_time(self, unit: CalendarUnit, zone: str, time: int) -> None:
        window = CalendarWindow(unit, zone)
        start = period_start(window, time)
        assert start <= time < window_end(window, start)
        assert period_start(window, start) == start
        # What people in the zone read off a clock is what the period is called.
        local, begun = (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=one)).astimezone(timezones.zone(zone))
            for one in (time, start)
        )
        if unit == "Day":
            assert local.date() == begun.date()
        elif unit == "Week":
            assert local.date().isocalendar()[:2] == begun.date().isocalendar()[:2]
        elif unit == "Month":
            assert (local.year, local.month) == (begun.year, begun.month)
        else:
            # Where clocks change at a quarter to, they call the end of an hour otherwise than its beginning.
            assert local.date() == begun.date()
            assert local.hour == begun.hour or zone in {"Pacific/Chatham", "NZ-CHAT"}

    @given(
        unit=st.sampled_from(UNITS),
        zone=st.sampled_from(("Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo", "UTC")),
        time=st.integers(at("2024-01-01T00:00:00+00:00"), at("2028-01-01T00:00:00+00:00")),
        later=st.integers(0, 40 * DAY),
    )
    def test_never_goes_back(self, unit: CalendarUnit, zone: str, time: int, later: int) -> None:
        window = CalendarWindow(unit, zone)
        assert period_start(window, time) <= period_start(window, time + later)

    @pytest.mark.parametrize("unit", UNITS)
    def test_goes_on_around_every_change_of_clocks(self, unit: CalendarUnit) -> None:
        for zone, change in changes():
            window, before = CalendarWindow(unit, zone), 0
            for time in range(change - 4 * HOUR, change + 28 * HOUR, 5 * MINUTE):
                start = period_start(window, time)
                # A slot that lies ahead is no state: nothing could be counted until it is deleted.
                assert before <= start <= time < window_end(window, start), (zone, time)
                assert period_start(window, start) == start, (zone, time)
                before = start

    def test_has_the_zones_of_the_package(self) -> None:
        # Of the machine's own files another version may stand first.
        assert timezones.zone("Europe/Berlin").key == "Europe/Berlin"
        assert timezones.zone("Europe/Berlin") is not ZoneInfo("Europe/Berlin")
