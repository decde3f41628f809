"""The plot of a history: how many calls each part of its window holds, as bars.

Standing: under `historiespage`; the template only draws. Holds: pure; each call of the window is in one bar, and the
table below the plot has each bar with its time.
"""

from dataclasses import dataclass
from typing import Final

from bailiwick_api import times
from bailiwick_engine.history.state import KeyState
from bailiwick_engine.history.windows import SLOTS, live_slots, slot_length
from bailiwick_engine.policy.histories import CompiledHistory, SlidingWindow

HEIGHT: Final = 100
STEP: Final = 10
_GAP: Final = 2
_SMALLEST: Final = 2
"""So high is the bar of a single call among thousands, that it can be seen."""


@dataclass(frozen=True, slots=True)
class PlotBar:
    """One part of the window with calls. `since`: when it began; `x`, `y`, `width`, `height`: where its bar is."""

    since: str
    count: int
    sum: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class HistoryPlot:
    """The plot. `width` and `height` are of all of it; `begin`, `end`: the times at its edges; `most`: of one bar."""

    bars: tuple[PlotBar, ...]
    width: int
    height: int
    begin: str
    end: str
    most: int


def plot(state: KeyState, history: CompiledHistory, now: float) -> HistoryPlot | None:
    """Return the plot of a sliding window at a time; None where there is nothing to draw.

    That is a calendar, whose period is one number, a window without calls, and times that no clock shows.
    """
    window, line = history.window, state.lines.get(history.digest)
    if line is None or not isinstance(window, SlidingWindow):
        return None
    moment, length = int(now * 1000), slot_length(window)
    slots = live_slots(window, line.slots, moment)
    # A clock of the decision point may be ahead of this one, but not by a whole window.
    if not slots or slots[-1].number > moment // length + SLOTS:
        return None
    last = max(moment // length, slots[-1].number)
    first = min(last - SLOTS, slots[0].number)
    most = max(slot.count for slot in slots)
    digits = 0 if history.amount is None else history.amount.digits
    bars = []
    for slot in slots:
        height = max(slot.count * HEIGHT // most, _SMALLEST)
        total = "-" if history.amount is None else _decimal(slot.total, digits)
        x = (slot.number - first) * STEP
        since = times.epoch_stamp(slot.number * length / 1000)
        bars.append(PlotBar(since, slot.count, total, x, HEIGHT - height, STEP - _GAP, height))
    return HistoryPlot(
        tuple(bars),
        (last - first + 1) * STEP,
        HEIGHT,
        times.epoch_stamp(first * length / 1000),
        times.epoch_stamp((last + 1) * length / 1000),
        most,
    )


def _decimal(total: int, digits: int) -> str:
    whole, part = divmod(total, 10**digits)
    return f"{whole}.{part:0{digits}}" if digits else str(whole)
