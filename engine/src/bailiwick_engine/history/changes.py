"""Changes of a state that no verdict waits for: denied calls, and the outcomes of calls that were let through.

Standing: over `commit`; the decision point, tests and the simulation of the laws call it. Holds: pure; each change is
one event with a number of its own; what there is no room for changes nothing.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from bailiwick_engine.history.commit import count_in_line, kept_lines
from bailiwick_engine.history.state import (
    MAX_LINES,
    MAX_NUMBER,
    MAX_SHARES,
    MAX_TIME,
    CallOutcome,
    EntryOutcome,
    EntryShare,
    KeyState,
    StateLine,
)
from bailiwick_engine.history.windows import ClockBounds
from bailiwick_engine.policy.histories import CompiledHistory, CountedCalls

_COUNTED_AS: Final[Mapping[CallOutcome, CountedCalls]] = {"succeeded": "Succeeded", "failed": "Failed"}


def count_denied(state: KeyState, calls: Mapping[CompiledHistory, int], clock: ClockBounds) -> KeyState:
    """Count so many denied calls in each of these histories, all in one event.

    They have no entries, so that they never push out those of calls that are let through.
    """
    if not has_room(state, clock):
        return state
    lines = kept_lines(state, clock)
    for history, count in calls.items():
        lines[history.digest] = count_in_line(state, history, count, 0, clock)[0]
    if not _is_readable(lines):
        return state
    return replace(state, seq=state.seq + 1, clock=max(state.clock, clock.latest), lines=lines)


class SettledOutcome(msgspec.Struct, frozen=True, gc=False):
    """What a report came to. `repeated`: the same was reported before; `conflict`: another one was.

    `late`: it is too late, or there is no such call. `full`: the state has no room. `seq`: the event that it was
    counted in. `awaited`: the lines that awaited an outcome, and `counted` those of them that count this one.
    """

    result: Literal["settled", "repeated", "conflict", "late", "full"]
    seq: int = 0
    awaited: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()


def settle(
    state: KeyState, entry: str, outcome: CallOutcome, definitions: Iterable[CompiledHistory], clock: ClockBounds
) -> tuple[KeyState, SettledOutcome]:
    """Count a call by its outcome, at the time of the report. `definitions`: those of the endpoint.

    What a history counts that is not among them is not counted, since nothing reads it any more. What was counted
    before the answer stays, whatever the outcome.
    """
    place = next((place for place, one in enumerate(state.recent) if one.id == entry), None)
    held = None if place is None else state.recent[place]
    if place is None or held is None or held.outcome is None:
        return state, SettledOutcome("late")
    counting = {one.digest: one for one in definitions if one.what == _COUNTED_AS.get(outcome)}
    awaiting = {one.digest for one in definitions if one.awaits_outcome}
    awaited = frozenset(share.line for share in held.shares if share.line in awaiting)
    counted = frozenset(counting.keys() & awaited)
    if held.outcome.reported is not None:
        same = held.outcome.reported == outcome
        seq = held.outcome.seq
        return state, SettledOutcome("repeated", seq, awaited, counted) if same else SettledOutcome("conflict")
    if clock.earliest > held.outcome.until:
        return state, SettledOutcome("late")
    if not has_room(state, clock):
        return state, SettledOutcome("full")
    lines, shares = kept_lines(state, clock), list[EntryShare]()
    for share in held.shares:
        history = None if share.count else counting.get(share.line)
        if history is None:
            shares.append(share)
            continue
        lines[share.line], previous, present = count_in_line(state, history, 1, share.total, clock)
        shares += [EntryShare(share.line, number, 1, share.total, previous) for number in present]
    if len(shares) > MAX_SHARES or not _is_readable(lines):
        return state, SettledOutcome("full")
    seq = state.seq + 1
    reported = EntryOutcome(held.outcome.until, outcome, seq)
    settled = replace(held, shares=tuple(shares), relied_on=True, outcome=reported)
    recent = (*state.recent[:place], settled, *state.recent[place + 1 :])
    return (
        replace(state, seq=seq, clock=max(state.clock, clock.latest), lines=lines, recent=recent),
        SettledOutcome("settled", seq, awaited, counted),
    )


def missing_outcomes(before: KeyState, after: KeyState, taken_out: Container[str | None]) -> int:
    """Return for how many calls no outcome was reported, and none can be any more. `taken_out`: those released."""
    kept = {entry.id for entry in after.recent}
    return sum(
        entry.outcome is not None
        and entry.outcome.reported is None
        and entry.id not in kept
        and entry.id not in taken_out
        for entry in before.recent
    )


def _is_readable(lines: Mapping[str, StateLine]) -> bool:
    """Tell whether lines can be read back. Of amounts that are counted by outcomes, no call was judged by the sum."""
    slots = (slot for line in lines.values() for slot in line.slots)
    return len(lines) <= MAX_LINES and all(max(slot.count, slot.total) <= MAX_NUMBER for slot in slots)


def has_room(state: KeyState, clock: ClockBounds) -> bool:
    """Tell whether a state can hold one more event."""
    return state.seq < MAX_NUMBER and max(state.clock, clock.latest) <= MAX_TIME
