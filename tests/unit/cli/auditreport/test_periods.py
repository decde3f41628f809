"""The period of a report: two that meet share no moment, and a chart has few slots, whatever the length."""

import pytest
from hypothesis import given, strategies as st

from bailiwick_cli.auditreport.figures.period import MOST_SLOTS, ReportPeriod
from bailiwick_cli.errors import CliError

DAY = 86_400.0


@given(begin=st.floats(0, 4e9), span=st.floats(0.001, 4e9), where=st.floats(0, 1, exclude_max=True))
def test_each_moment_of_a_period_is_in_one_of_few_slots(begin: float, span: float, where: float) -> None:
    period = ReportPeriod(begin, begin + span)
    moment = begin + where * span
    assert 1 <= period.slots <= MOST_SLOTS
    if period.has(moment):
        slot = period.slot(moment)
        assert 0 <= slot < period.slots
        assert period.begin + slot * period.length <= moment + 1e-6


def test_the_end_is_in_the_next_period_and_not_in_this_one() -> None:
    march, april = ReportPeriod.between(0, DAY), ReportPeriod.between(DAY, 2 * DAY)
    assert [march.has(DAY), april.has(DAY)] == [False, True]
    assert [march.has(0), march.has(DAY - 0.001)] == [True, True]


def test_a_month_has_a_slot_for_each_day_named_by_the_day() -> None:
    month = ReportPeriod.between(0, 31 * DAY)
    assert (month.slots, month.name(0), month.name(30)) == (31, "1970-01-01", "1970-01-31")
    day = ReportPeriod.between(0, DAY)
    assert (day.slots, day.name(23)) == (24, "1970-01-01 23:00")


@pytest.mark.parametrize(
    ("begin", "end", "problem"),
    [(5.0, 5.0, "is not before --to"), (6.0, 5.0, "is not before --to"), (-1.0, 5.0, "1970"), (0.0, 1e12, "9999")],
)
def test_what_is_no_period_is_refused(begin: float, end: float, problem: str) -> None:
    with pytest.raises(CliError, match=problem):
        ReportPeriod.between(begin, end)
