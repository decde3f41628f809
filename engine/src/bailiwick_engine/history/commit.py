"""The commit: which of the calls that wait for one object pass, and the state after them.

Standing: over `windows` and `needs`; the decision point, tests, replay and the simulation of the laws call it. Holds:
pure; a call is judged by numbers that hold all calls before it; what is not added is not counted; what cannot be
written is not let through.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from bailiwick_engine.history.needs import Addition, ObjectNeed
from bailiwick_engine.history.state import (
    MAX_LINES,
    MAX_NUMBER,
    MAX_RECENT,
    MAX_RECENT_TEXT,
    MAX_TIME,
    MAX_TOTAL,
    Entry,
    KeyState,
    Line,
    Share,
    Slot,
)
from bailiwick_engine.history.windows import ClockBounds, add_to_slot, live_slots, present_slots, slot_sum
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import CalendarWindow

__all__ = ["RETRY", "ClockBounds", "CommittedCall", "WaitingCall", "commit", "numbers_at", "release"]

RETRY: Final = 30_000
"""For how long a call that is sent again is the same call, in milliseconds."""
KEEP_RECENT: Final = 120_000
"""After so many milliseconds an entry is neither retried nor released."""
KEEP_LINE: Final = 32 * 86_400_000
"""For how long after its latest call a line is kept whose definition is not at hand: no window is longer."""
# In characters, at most: no text is made only to be measured.
_ENTRY_LENGTH: Final = 32 + 15 + len("@=! ")
_SHARE_LENGTH: Final = 12 + 15 + 16 + 16 + 15 + len("::::,")


class WaitingCall(msgspec.Struct, frozen=True, gc=False):
    """A call that waits for an object. `entry`: 32 hex digits that this call alone has, the same if it is sent again.

    `passes` tells whether it is let through with these numbers, by name.
    """

    need: ObjectNeed
    entry: str
    passes: Callable[[Mapping[str, HistoryNumbers]], bool]


class CommittedCall(msgspec.Struct, frozen=True, gc=False):
    """What became of a call in one object. `seq`: its number; None: nothing was added.

    `repeated`: it was counted a moment ago, when it was sent before.
    """

    numbers: Mapping[str, HistoryNumbers]
    passed: bool
    seq: int | None = None
    repeated: bool = False


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
    """Return the numbers of a need by name; one that cannot be told is missing.

    `with_this`: with what this call adds, which is not in the state yet. `entry`: that of this call, where it is in the
    state already: `age` is then that of the latest other call.
    """
    if state.key != need.key:
        return {}
    added = {one.history.digest: one.total for one in need.adds} if with_this else {}
    own = None if entry is None else _entry_place(state, entry)
    found: dict[str, HistoryNumbers] = {}
    for history in need.reads:
        line = state.lines.get(history.digest)
        slots = () if line is None else live_slots(history.window, line.slots, clock.earliest)
        present = present_slots(history.window, slots, clock, state.clock)
        count, total = slot_sum(history.window, slots, present)
        last = None if line is None else line.last
        others = count
        if own is not None:
            shares = [one for one in state.recent[own].shares if one.line == history.digest]
            others -= slot_sum(history.window, _shared_slots(shares, slots), present)[0]
            if shares and _later_place(state, own, history.digest) is None:
                last = shares[0].previous
        if history.digest in added:
            count, total = count + 1, total + added[history.digest]
        if count > MAX_NUMBER or total > MAX_TOTAL:
            continue
        age = None if last is None or others <= 0 else max(-(-(clock.latest - last) // 1_000), 0)
        amount = history.amount
        found[history.name] = HistoryNumbers(
            count, None if amount is None else total, 0 if amount is None else amount.digits, age
        )
    return found


def release(state: KeyState, entries: Iterable[str]) -> KeyState:
    """Take entries out again, but those that an answer relies on; each that is taken out has a number (`seq`) too."""
    for entry in entries:
        place = _entry_place(state, entry)
        if place is not None and not state.recent[place].relied_on and state.seq < MAX_NUMBER:
            state = _without(state, place)
    return state


def _commit_call(state: KeyState, call: WaitingCall, clock: ClockBounds) -> tuple[KeyState, CommittedCall]:
    need = call.need
    own = _entry_place(state, call.entry)
    if own is not None and _is_retry(state, own, need, clock):
        numbers = numbers_at(state, need, clock, with_this=False, entry=call.entry)
        if not call.passes(numbers):
            return state, CommittedCall(numbers, passed=False, repeated=True)
        if state.recent[own].relied_on:
            return state, CommittedCall(numbers, passed=True, repeated=True)
        if not _is_writable(state, clock):
            return state, CommittedCall(numbers, passed=False, repeated=True)
        state = _marked(state, own, clock)
        return state, CommittedCall(numbers, passed=True, seq=state.seq, repeated=True)
    numbers = numbers_at(state, need, clock, with_this=True)
    if not call.passes(numbers):
        return state, CommittedCall(numbers, passed=False)
    if not need.adds:
        return state, CommittedCall(numbers, passed=True)
    added = _added(state, call, clock) if _is_writable(state, clock) else None
    if added is None or any(one.history.name not in numbers for one in need.adds):
        return state, CommittedCall(numbers, passed=False)
    return added, CommittedCall(numbers, passed=True, seq=added.seq)


def _is_writable(state: KeyState, clock: ClockBounds) -> bool:
    return state.seq < MAX_NUMBER and max(state.clock, clock.latest) <= MAX_TIME


def _is_retry(state: KeyState, place: int, need: ObjectNeed, clock: ClockBounds) -> bool:
    """Tell whether an entry is of this very call, still counts, and counts wherever the call would count now."""
    entry = state.recent[place]
    if not need.adds or state.key != need.key or clock.earliest - entry.time > RETRY:
        return False
    shared = {(share.line, share.slot) for share in entry.shares}
    lines = {share.line for share in entry.shares}
    for addition in need.adds:
        history = addition.history
        line = state.lines.get(history.digest)
        if line is None or history.digest not in lines:
            return False
        slots = live_slots(history.window, line.slots, clock.earliest)
        live = {(history.digest, slot.number) for slot in slots}
        if live.isdisjoint(shared):
            return False
        if isinstance(history.window, CalendarWindow) and any(
            (history.digest, number) not in shared
            for number in present_slots(history.window, slots, clock, state.clock)
        ):
            return False
    return True


def _added(state: KeyState, call: WaitingCall, clock: ClockBounds) -> KeyState | None:
    """Return the state with a call; None where there is no room for it."""
    time = max(state.clock, clock.latest)
    lines = {name: line for name, line in state.lines.items() if clock.earliest - line.last <= KEEP_LINE}
    shares: list[Share] = []
    # Two names of one definition are one line.
    for addition in {one.history.digest: one for one in call.need.adds}.values():
        line, added = _counted(state, addition, clock)
        lines[addition.history.digest] = line
        shares += added
    if len(lines) > MAX_LINES:
        return None
    entry = Entry(call.entry, time, tuple(shares))
    recent = _kept((*state.recent, entry), clock)
    return KeyState(state.endpoint, state.key, state.seq + 1, time, lines, recent)


def _counted(state: KeyState, addition: Addition, clock: ClockBounds) -> tuple[Line, list[Share]]:
    """Return the line of a definition with one more call, and what the call's entry holds of it."""
    history = addition.history
    line = state.lines.get(history.digest)
    slots: Sequence[Slot] = () if line is None else live_slots(history.window, line.slots, clock.earliest)
    previous = None if line is None or not slots else line.last
    present = present_slots(history.window, slots, clock, state.clock)
    for number in present:
        slots = add_to_slot(slots, number, addition.total)
    shares = [Share(history.digest, number, 1, addition.total, previous) for number in present]
    return Line(tuple(slots), max(state.clock, clock.latest)), shares


def _kept(entries: tuple[Entry, ...], clock: ClockBounds) -> tuple[Entry, ...]:
    """Return the latest entries that there is room for. One that is dropped stays counted."""
    kept = [entry for entry in entries[-MAX_RECENT:] if clock.earliest - entry.time <= KEEP_RECENT]
    room = MAX_RECENT_TEXT
    for place in range(len(kept) - 1, -1, -1):
        room -= _ENTRY_LENGTH + _SHARE_LENGTH * len(kept[place].shares)
        if room < 0:
            return tuple(kept[place + 1 :])
    return tuple(kept)


def _marked(state: KeyState, place: int, clock: ClockBounds) -> KeyState:
    marked = msgspec.structs.replace(state.recent[place], relied_on=True)
    recent = (*state.recent[:place], marked, *state.recent[place + 1 :])
    return msgspec.structs.replace(state, seq=state.seq + 1, clock=max(state.clock, clock.latest), recent=recent)


def _without(state: KeyState, place: int) -> KeyState:
    """Return the state without an entry and what it added."""
    entry = state.recent[place]
    recent = list(state.recent)
    lines = dict(state.lines)
    for digest in dict.fromkeys(share.line for share in entry.shares):
        shares = [share for share in entry.shares if share.line == digest]
        previous = shares[0].previous
        later = _later_place(state, place, digest)
        line = lines.get(digest)
        if later is not None:
            recent[later] = _with_previous(recent[later], digest, previous)
        if line is None:
            continue
        slots = _slots_without(line.slots, shares)
        if not slots:
            del lines[digest]
        elif later is None and previous is not None:
            lines[digest] = Line(slots, previous)
        else:
            lines[digest] = Line(slots, line.last)
    del recent[place]
    return msgspec.structs.replace(state, seq=state.seq + 1, lines=lines, recent=tuple(recent))


def _with_previous(entry: Entry, digest: str, previous: int | None) -> Entry:
    shares = tuple(
        msgspec.structs.replace(share, previous=previous) if share.line == digest else share for share in entry.shares
    )
    return msgspec.structs.replace(entry, shares=shares)


def _slots_without(slots: Iterable[Slot], shares: Iterable[Share]) -> tuple[Slot, ...]:
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


def _shared_slots(shares: Iterable[Share], slots: Iterable[Slot]) -> Iterator[Slot]:
    """Yield what an entry added to these slots."""
    live = {slot.number for slot in slots}
    return (Slot(share.slot, share.count, share.total) for share in shares if share.slot in live)


def _entry_place(state: KeyState, entry: str) -> int | None:
    """Return the place of the latest entry with an id."""
    for place in range(len(state.recent) - 1, -1, -1):
        if state.recent[place].id == entry:
            return place
    return None


def _later_place(state: KeyState, place: int, digest: str) -> int | None:
    """Return the place of the next entry after one that a definition counts."""
    for later in range(place + 1, len(state.recent)):
        if any(share.line == digest for share in state.recent[later].shares):
            return later
    return None
