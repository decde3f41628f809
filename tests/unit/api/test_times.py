"""Moments as Kubernetes writes them."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bailiwick_api.times import END, epoch_stamp, is_moment, parse_time, stamp

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment", [NOON, NOON + timedelta(milliseconds=999), NOON.astimezone(timezone(timedelta(hours=5)))]
)
def test_a_moment_is_written_in_utc_to_the_second_that_has_begun(moment: datetime) -> None:
    assert stamp(moment) == epoch_stamp(moment.timestamp()) == "2026-11-25T12:00:00Z"


@pytest.mark.parametrize("seconds", [0, 0.0, 1.5, 1_772_701_200.25, END - 1, math.nextafter(END, 0)])
def test_a_moment_in_seconds_can_be_written(seconds: float) -> None:
    assert is_moment(seconds)
    assert epoch_stamp(seconds)[4:5] == "-"


@pytest.mark.parametrize(
    "value", [-1, -1e-9, END, 1e12, 1e300, -1e300, math.inf, math.nan, 2**70, True, False, None, "1", [1]]
)
def test_what_is_in_no_year_from_1970_to_9999_is_no_moment(value: object) -> None:
    assert not is_moment(value)


def test_what_was_written_is_read() -> None:
    assert parse_time(stamp(NOON)) == NOON


@pytest.mark.parametrize("text", [None, 5, "", "soon", "2026-11-25T12:00:00", "0001-01-01T00:00:00+23:00"])
def test_what_is_no_moment_is_read_as_none(text: object) -> None:
    assert parse_time(text) is None
