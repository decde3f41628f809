"""Charts of the report: every count that is not zero is seen, and nothing is drawn that has none."""

from itertools import pairwise

from hypothesis import given, strategies as st

from bailiwick_cli.auditreport.stackedbars import HEIGHT, WIDTH, draw_stacks

COUNTS = st.integers(1, 48).flatmap(
    lambda slots: st.lists(
        st.lists(st.one_of(st.just(0), st.integers(0, 10), st.integers(0, 10**9)), min_size=slots, max_size=slots),
        min_size=1,
        max_size=4,
    )
)


@given(counts=COUNTS)
def test_each_count_that_is_not_zero_has_a_bar_of_its_own_within_the_drawing(counts: list[list[int]]) -> None:
    names = [str(slot) for slot in range(len(counts[0]))]
    drawing = draw_stacks(names, counts)
    drawn = {(bar.series, bar.slot): bar.count for bar in drawing.bars}
    expected = {
        (place, slot): count for place, series in enumerate(counts) for slot, count in enumerate(series) if count
    }
    assert drawn == expected
    assert len(drawing.bars) == len(expected)
    for bar in drawing.bars:
        assert bar.height >= 1
        assert bar.x >= 0
        assert bar.y >= 0
        assert bar.x + bar.width <= WIDTH
        assert bar.y + bar.height <= HEIGHT
    for slot in range(len(names)):
        stack = sorted((bar for bar in drawing.bars if bar.slot == slot), key=lambda bar: -bar.y)
        assert [bar.series for bar in stack] == sorted(bar.series for bar in stack)
        for lower, upper in pairwise(stack):
            assert upper.y + upper.height <= lower.y + 1e-9


@given(counts=COUNTS)
def test_of_two_counts_the_larger_one_has_no_lower_bar(counts: list[list[int]]) -> None:
    bars = sorted(draw_stacks([""] * len(counts[0]), counts).bars, key=lambda bar: bar.count)
    for smaller, larger in pairwise(bars):
        assert smaller.height <= larger.height + 1e-9
