"""Moments as Kubernetes writes them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bailiwick_api.times import epoch_stamp, parse_time, stamp

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment", [NOON, NOON + timedelta(milliseconds=999), NOON.astimezone(timezone(timedelta(hours=5)))]
)
def test_a_moment_is_written_in_utc_to_the_second_that_has_begun(moment: datetime) -> None:
    assert stamp(moment) == epoch_stamp(moment.timestamp()) == "2026-11-25T12:00:00Z"


def test_what_was_written_is_read() -> None:
    assert parse_time(stamp(NOON)) == NOON


@pytest.mark.parametrize("text", [None, 5, "", "soon", "2026-11-25T12:00:00", "0001-01-01T00:00:00+23:00"])
def test_what_is_no_moment_is_read_as_none(text: object) -> None:
    assert parse_time(text) is None
