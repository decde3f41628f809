"""Changes of a state that no verdict waits for: denied calls.

Standing: over `commit`; the decision point, tests and the simulation of the laws call it. Holds: pure; each change is
one event with a number of its own; what there is no room for changes nothing.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from bailiwick_engine.history.commit import count_in_line, kept_lines
from bailiwick_engine.history.state import MAX_LINES, MAX_NUMBER, MAX_TIME, KeyState
from bailiwick_engine.history.windows import ClockBounds
from bailiwick_engine.policy.histories import CompiledHistory


def count_denied(state: KeyState, calls: Mapping[CompiledHistory, int], clock: ClockBounds) -> KeyState:
    """Count so many denied calls in each of these histories, all in one event.

    They have no entries, so that they never push out those of calls that are let through.
    """
    if not has_room(state, clock):
        return state
    lines = kept_lines(state, clock)
    for history, count in calls.items():
        lines[history.digest] = count_in_line(state, history, count, 0, clock)[0]
    if len(lines) > MAX_LINES or any(slot.count > MAX_NUMBER for line in lines.values() for slot in line.slots):
        return state
    return replace(state, seq=state.seq + 1, clock=max(state.clock, clock.latest), lines=lines)


def has_room(state: KeyState, clock: ClockBounds) -> bool:
    """Tell whether a state can hold one more event."""
    return state.seq < MAX_NUMBER and max(state.clock, clock.latest) <= MAX_TIME
