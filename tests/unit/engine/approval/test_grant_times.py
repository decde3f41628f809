"""The times of a grant, each at the very bound of what it may be (invariant 12)."""

import pytest

from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_engine.approval.granttimes import approval_fits, to_come, waits_no_longer

CREATED, LONGEST = 1_000.0, 600.0


@pytest.mark.invariant(12)
@pytest.mark.parametrize(
    ("waits", "fits"),
    [
        (-1, False),
        (0, False),
        (0.5, True),
        (LONGEST, True),
        (LONGEST + MAX_SKEW, True),
        (LONGEST + MAX_SKEW + 1, False),
    ],
)
def test_a_grant_waits_from_its_creation_on_and_for_no_longer_than_it_may(waits: float, *, fits: bool) -> None:
    assert waits_no_longer(CREATED, CREATED + waits, LONGEST) is fits


def fitting(approved: float = 10, lasts: float = LONGEST, uses: tuple[float, ...] = ()) -> bool:
    """Tell whether an approval fits that was given so long after the creation of a grant that waited for 100 s."""
    given = CREATED + approved
    return approval_fits(CREATED, CREATED + 100, LONGEST, given, given + lasts, [given + use for use in uses])


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("approved", "fits"), [(-1, False), (0, True), (100, True), (101, False)])
def test_an_approval_is_given_while_its_grant_waits(approved: float, *, fits: bool) -> None:
    assert fitting(approved) is fits


@pytest.mark.invariant(12)
@pytest.mark.parametrize(
    ("lasts", "fits"), [(-1, False), (0, False), (0.5, True), (LONGEST, True), (LONGEST + 1, False)]
)
def test_an_approval_lasts_for_some_time_and_no_longer_than_was_asked_for(lasts: float, *, fits: bool) -> None:
    assert fitting(lasts=lasts) is fits


@pytest.mark.invariant(12)
@pytest.mark.parametrize(
    ("use", "fits"),
    [
        (-2 * MAX_SKEW - 1, False),
        (-2 * MAX_SKEW, True),
        (LONGEST + MAX_SKEW, True),
        (LONGEST + MAX_SKEW + 1, False),
    ],
)
def test_an_approval_is_used_within_its_window_as_far_as_clocks_can_tell(use: float, *, fits: bool) -> None:
    assert fitting(uses=(5, use)) is fits


@pytest.mark.parametrize(("ahead", "surely"), [(MAX_SKEW, False), (MAX_SKEW + 1, True), (-1, False)])
def test_a_moment_lies_ahead_only_where_no_clock_explains_it(ahead: float, *, surely: bool) -> None:
    assert to_come(CREATED + ahead, CREATED) is surely
