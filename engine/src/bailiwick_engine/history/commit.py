"""The commit: which of the calls that wait for one object pass, and the state after them.

Standing: over `windows` and `needs`; the decision point, tests, replay and the simulation of the laws call it. Holds:
pure; a call is judged by numbers that hold all calls before it; what is not added is not counted; what cannot be
written is not let through.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from bailiwick_engine.history.needs import Addition, ObjectNeed, Passing
from bailiwick_engine.history.state import (
    CALL_DIGITS,
    MAX_LINES,
    MAX_NUMBER,
    MAX_RECENT,
    MAX_RECENT_TEXT,
    MAX_SHARES,
    MAX_TIME,
    MAX_TOTAL,
    Entry,
    EntryOutcome,
    EntryShare,
    KeyState,
    Slot,
    StateLine,
)
from bailiwick_engine.history.windows import ClockBounds, add_to_slot, live_slots, present_slots, slot_sum
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import CompiledHistory

__all__ = ["RETRY", "ClockBounds", "CommittedCall", "WaitingCall", "commit", "numbers_at", "release"]

RETRY: Final = 30_000
"""For how long a call that is sent again is the same call, in milliseconds."""
KEEP_RECENT: Final = 120_000
"""After so many milliseconds an entry is neither retried nor released."""
KEEP_LINE: Final = 32 * 86_400_000
"""For how long after its latest call a line is kept whose definition is not at hand: no window is longer."""
# In characters, at most: no text is made only to be measured.
_ENTRY_LENGTH: Final = 32 + 15 + len("@=! ") + 15 + 16 + len("~s")
_SHARE_LENGTH: Final = 12 + 15 + 16 + 16 + 15 + len("::::,")


class WaitingCall(msgspec.Struct, frozen=True):
    """A call that waits for an object. `entry`: 32 hex digits.

    The first 24 are those of the call, the same if it is sent again; the others those of this attempt alone.

    `passes` tells whether it is let through with these numbers, by name, and whether by a grant.
    """

    need: ObjectNeed
    entry: str
    passes: Callable[[Mapping[str, HistoryNumbers]], Passing]


class CommittedCall(msgspec.Struct, frozen=True, gc=False):
    """What became of a call in one object. `seq`: its number; None: nothing was added.

    `repeated`: it was counted a moment ago, when it was sent before. `entry`: the one whose outcome can be reported;
    None: there is none.
    """

    numbers: Mapping[str, HistoryNumbers]
    passed: bool
    seq: int | None = None
    repeated: bool = False
    entry: Entry | None = None


def commit(
    state: KeyState, calls: Sequence[WaitingCall], clock: ClockBounds
) -> tuple[KeyState, tuple[CommittedCall, ...]]:
    """Judge the calls in order; return the state after them (the same object where nothing is to be written)."""
    committed: list[CommittedCall] = []
    for call in calls:
        state, outcome = _commit_call(state, call, clock)
        committed.append(outcome)
    return state, tuple(committed)


def numbers_at(
    state: KeyState, need: ObjectNeed, clock: ClockBounds, *, with_this: bool, entry: str | None = None
) -> dict[str, HistoryNumbers]:
    """Return the numbers of a need by name; one that is unknown is missing.

    `with_this`: with what this call adds. `entry`: that of this call. If it is in the state already, the numbers are as
    if it were counted now, whatever `with_this` is: it counts once, and `age` is that of the latest other call.
    """
    if state.key != need.key:
        return {}
    place = None if entry is None else _entry_place(state, entry)
    if place is not None:
        state, with_this = _without(state, place, _digests(need)), True
    added = {one.history.digest: one.total for one in _counted_now(need)} if with_this else {}
    numbers: dict[str, HistoryNumbers] = {}
    for history in need.reads:
        line = state.lines.get(history.digest)
        slots = () if line is None else live_slots(history.window, line.slots, clock.earliest)
        count, total = slot_sum(history.window, slots, present_slots(history.window, slots, clock, state.clock))
        age = None if line is None or not count else max(-(-(clock.latest - line.last) // 1_000), 0)
        if history.digest in added:
            count, total = count + 1, total + added[history.digest]
        if count > MAX_NUMBER or total > MAX_TOTAL:
            continue
        amount = history.amount
        numbers[history.name] = HistoryNumbers(
            count, None if amount is None else total, 0 if amount is None else amount.digits, age
        )
    return numbers


def release(state: KeyState, entries: Iterable[str]) -> KeyState:
    """Take entries out again, but those that an answer relies on; each that is taken out has a number (`seq`) too."""
    for entry in entries:
        # Of this very attempt: the same call may have been sent again since, and be counted by another one.
        place = next((place for place, one in enumerate(state.recent) if one.id == entry), None)
        if place is not None and not state.recent[place].relied_on and state.seq < MAX_NUMBER:
            state = replace(_without(state, place), seq=state.seq + 1)
    return state


def _commit_call(state: KeyState, call: WaitingCall, clock: ClockBounds) -> tuple[KeyState, CommittedCall]:
    need = call.need
    before = _retried(state, call.entry, clock)
    numbers = numbers_at(state, need, clock, with_this=True, entry=None if before is None else call.entry)
    repeated = before is not None
    passed = call.passes(numbers)
    if not passed or any(one.history.name not in numbers for one in need.adds):
        return state, CommittedCall(numbers, passed=False, repeated=repeated)
    adds = need.additions(passed)
    if not adds:
        return state, CommittedCall(numbers, passed=True)
    if len(adds) < len(need.adds):
        # What an earlier attempt added to the others, which a rule let through, stays.
        call = replace(call, need=replace(need, adds=adds))
    if state.seq >= MAX_NUMBER or max(state.clock, clock.latest) > MAX_TIME:
        return state, CommittedCall(numbers, passed=False, repeated=repeated)
    added = _added(state, call, before, clock)
    if len(added.lines) > MAX_LINES:
        return state, CommittedCall(numbers, passed=False, repeated=repeated)
    if before is not None and _is_settled(before, added.recent[-1]):
        return state, CommittedCall(numbers, passed=True, repeated=True, entry=_awaiting(before))
    entry = _awaiting(added.recent[-1])
    return added, CommittedCall(numbers, passed=True, seq=added.seq, repeated=repeated, entry=entry)


def _retried(state: KeyState, entry: str, clock: ClockBounds) -> Entry | None:
    """Return the entry of a call that was counted a moment ago."""
    place = _entry_place(state, entry)
    if place is None or clock.earliest - state.recent[place].time > RETRY:
        return None
    return state.recent[place]


def _is_settled(before: Entry, after: Entry) -> bool:
    """Tell whether an answer relies on an entry already, and it is counted where it would be counted now."""
    return before.relied_on and {(one.line, one.slot) for one in before.shares} == {
        (one.line, one.slot) for one in after.shares
    }


def _added(state: KeyState, call: WaitingCall, before: Entry | None, clock: ClockBounds) -> KeyState:
    """Return the state with a call. `before`: its entry, if it was counted before; it moves to the present slot.

    So a call is in the window for as long as its latest answer is, and no answer is given on what may be taken out.
    """
    time, seq = max(state.clock, clock.latest), state.seq + 1
    digests = _digests(call.need)
    shares: list[EntryShare] = []
    if before is not None:
        place = state.recent.index(before)
        state = _without(state, place, digests)
        # Of a definition that is not in force any more: what it counted stays.
        kept = tuple(share for share in before.shares if share.line not in digests)
        if kept:
            state = replace(state, recent=(*state.recent[:place], *state.recent[place + 1 :]))
            shares += kept
    lines = kept_lines(state, clock)
    # Two names of one definition are one line.
    for addition in {one.history.digest: one for one in _counted_now(call.need)}.values():
        history = addition.history
        lines[history.digest], previous, present = count_in_line(state, history, 1, addition.total, clock)
        shares += [EntryShare(history.digest, number, 1, addition.total, previous) for number in present]
    outcome = None if before is None else before.outcome
    if call.need.outcome_within is not None and outcome is None:
        outcome = EntryOutcome(min(time + call.need.outcome_within, MAX_TIME))
    if outcome is not None and outcome.reported is None:
        known = {share.line for share in shares}
        shares += [
            EntryShare(digest, 0, 0, total)
            for digest, total in {one.history.digest: one.total for one in call.need.adds}.items()
            if digest not in known
        ]
    # Of definitions that are not in force any more what there is no room for is dropped, and stays counted.
    shares = shares[-MAX_SHARES:]
    if before is None:
        entry = Entry(call.entry, time, tuple(shares), outcome=outcome)
    else:
        # The time stays that of the first: nothing is the same call for longer than `RETRY`.
        entry = Entry(before.id, before.time, tuple(shares), relied_on=True, outcome=outcome)
    return KeyState(state.endpoint, state.key, seq, time, lines, _kept((*state.recent, entry), clock))


def kept_lines(state: KeyState, clock: ClockBounds) -> dict[str, StateLine]:
    """Return the lines that may still matter."""
    return {name: line for name, line in state.lines.items() if clock.earliest - line.last <= KEEP_LINE}


def count_in_line(
    state: KeyState, history: CompiledHistory, calls: int, total: int, clock: ClockBounds
) -> tuple[StateLine, int | None, tuple[int, ...]]:
    """Return the line of a definition with so many more calls, and the sum of their amounts.

    Also when the latest call before them was counted, and the slots that they are counted in.
    """
    line = state.lines.get(history.digest)
    slots: Sequence[Slot] = () if line is None else live_slots(history.window, line.slots, clock.earliest)
    previous = None if line is None or not slots else line.last
    present = present_slots(history.window, slots, clock, state.clock)
    for number in present:
        slots = add_to_slot(slots, number, total, calls)
    return StateLine(tuple(slots), max(state.clock, clock.latest)), previous, present


def _kept(entries: tuple[Entry, ...], clock: ClockBounds) -> tuple[Entry, ...]:
    """Return the latest entries that there is room for. One that is dropped stays counted."""
    kept = [entry for entry in entries[-MAX_RECENT:] if _may_matter(entry, clock)]
    room = MAX_RECENT_TEXT
    for place in range(len(kept) - 1, -1, -1):
        room -= _ENTRY_LENGTH + _SHARE_LENGTH * len(kept[place].shares)
        if room < 0:
            return tuple(kept[place + 1 :])
    return tuple(kept)


def _may_matter(entry: Entry, clock: ClockBounds) -> bool:
    """Tell whether a call may be sent again, be taken out, or be reported on, also a second time."""
    if entry.outcome is not None and clock.earliest <= entry.outcome.until:
        return True
    return clock.earliest - entry.time <= KEEP_RECENT


def _awaiting(entry: Entry) -> Entry | None:
    return None if entry.outcome is None else entry


def _without(state: KeyState, place: int, digests: Container[str] | None = None) -> KeyState:
    """Return the state without an entry and what it added; `digests`: without what it added to these lines alone."""
    entry = state.recent[place]
    recent = list(state.recent)
    lines = dict(state.lines)
    gone = [share for share in entry.shares if digests is None or share.line in digests]
    for digest in {share.line: None for share in gone if share.count}:
        shares = [share for share in gone if share.line == digest]
        previous = shares[0].previous
        later = _later_place(state, place, digest)
        if later is not None:
            recent[later] = _with_previous(recent[later], digest, previous)
        line = lines.get(digest)
        if line is None:
            continue
        slots = _slots_without(line.slots, shares)
        if not slots:
            del lines[digest]
        elif later is None and previous is not None:
            lines[digest] = StateLine(slots, previous)
        else:
            lines[digest] = StateLine(slots, line.last)
    if len(gone) == len(entry.shares):
        del recent[place]
    else:
        recent[place] = replace(entry, shares=tuple(share for share in entry.shares if share not in gone))
    return replace(state, lines=lines, recent=tuple(recent))


def _with_previous(entry: Entry, digest: str, previous: int | None) -> Entry:
    shares = tuple(replace(share, previous=previous) if share.line == digest else share for share in entry.shares)
    return replace(entry, shares=shares)


def _slots_without(slots: Iterable[Slot], shares: Iterable[EntryShare]) -> tuple[Slot, ...]:
    """Return slots without what an entry added. A slot that is not there any more gives nothing back."""
    taken = {share.slot: share for share in shares}
    kept: list[Slot] = []
    for slot in slots:
        share = taken.get(slot.number)
        if share is None or share.count > slot.count or share.total > slot.total:
            kept.append(slot)
        elif slot.count > share.count:
            kept.append(Slot(slot.number, slot.count - share.count, slot.total - share.total))
    return tuple(kept)


def _digests(need: ObjectNeed) -> frozenset[str]:
    return frozenset(one.history.digest for one in _counted_now(need))


def _counted_now(need: ObjectNeed) -> list[Addition]:
    """Return what the call adds now: what awaits its outcome adds nothing, and stays if the call comes again."""
    return [one for one in need.adds if not one.history.awaits_outcome]


def _entry_place(state: KeyState, entry: str) -> int | None:
    """Return the place of the latest entry of the same call."""
    call = entry[:CALL_DIGITS]
    for place in range(len(state.recent) - 1, -1, -1):
        if state.recent[place].id.startswith(call):
            return place
    return None


def _later_place(state: KeyState, place: int, digest: str) -> int | None:
    """Return the place of the next entry after one that a definition counts."""
    for later in range(place + 1, len(state.recent)):
        if any(share.line == digest for share in state.recent[later].shares):
            return later
    return None
