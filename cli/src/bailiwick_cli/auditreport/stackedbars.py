"""Stacked bars over time, placed: rectangles, lines of a scale, and texts.

Standing: under the page. Holds: pure; numbers and texts of ours alone, no markup; each count that is not zero has a
bar that can be seen, and bars of one stack do not lie on each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_governance.views.columndrawing import DrawnText

WIDTH: Final = 960
HEIGHT: Final = 260
_LEFT: Final = 70
_RIGHT: Final = 10
_TOP: Final = 20
_BOTTOM: Final = 36
_SMALLEST: Final = 2
_TICKS: Final = 4
_NAMES: Final = 8


@dataclass(frozen=True, slots=True)
class StackedBar:
    """One part of a stack. `series` and `slot`: whose count it is; `count`: how high it is."""

    x: float
    y: float
    width: float
    height: float
    series: int
    slot: int
    count: int


@dataclass(frozen=True, slots=True)
class StackedBars:
    """The drawing, `WIDTH` by `HEIGHT`. `lines`: the heights of the scale's lines; `texts`: at them and below."""

    bars: tuple[StackedBar, ...]
    lines: tuple[float, ...]
    texts: tuple[DrawnText, ...]


def draw_stacks(names: Sequence[str], counts: Sequence[Sequence[int]]) -> StackedBars:
    """Return the drawing. `names`: of the slots; `counts`: of each series, in order from the bottom, by slot."""
    totals = [sum(series[slot] for series in counts) for slot in range(len(names))]
    step = _step(max([1, *totals]))
    scale = -(-max([1, *totals]) // step) * step
    # Parts that are made higher so that they can be seen must not reach out of the drawing.
    room = HEIGHT - _TOP - _BOTTOM - _SMALLEST * len(counts)
    pitch = (WIDTH - _LEFT - _RIGHT) / max(1, len(names))
    base = HEIGHT - _BOTTOM
    bars = []
    for slot in range(len(names)):
        y = float(base)
        for place, series in enumerate(counts):
            if not series[slot]:
                continue
            height = max(series[slot] * room / scale, float(_SMALLEST))
            y -= height
            x = _LEFT + slot * pitch + pitch * 0.1
            bars.append(StackedBar(x, y, pitch * 0.8, height, place, slot, series[slot]))
    values = range(0, scale + 1, step)
    lines = tuple(base - value * room / scale for value in values)
    texts = [DrawnText(8, round(y + 4), f"{value:,}") for value, y in zip(values, lines, strict=True)]
    every = -(-len(names) // _NAMES) or 1
    texts += [DrawnText(round(_LEFT + slot * pitch), base + 20, names[slot]) for slot in range(0, len(names), every)]
    return StackedBars(tuple(bars), lines, tuple(texts))


def _step(most: int) -> int:
    """Return the distance of the lines of a scale: 1, 2 or 5, times a power of ten."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * _TICKS >= most:
                return factor * power
        power *= 10
