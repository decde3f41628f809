"""The state of one key, as the object at the API server holds it.

Standing: lowest in `history`. Holds: what does not parse is no state; to write what was parsed
gives the same texts; no number is beyond 2^53, so that every reader of JSON reads the same.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

CallOutcome = Literal["succeeded", "failed", "cancelled"]
"""What became of a call that was let through, as its enforcer reports it."""
MAX_NUMBER: Final = 2**53 - 1
MAX_TIME: Final = 253_370_764_800_000
"""The year 9999, in milliseconds."""
MAX_TOTAL: Final = 10**15 - 1
"""Above it a total is unknown: so many digits a double tells apart, and a condition reads a sum as one."""
MAX_SLOTS: Final = 80
"""How many slots a line holds. More than a window has: clocks that differ spread a minute's over some more."""
CALL_DIGITS: Final = 24
"""How many digits of an entry's id are those of the call."""
MAX_LINES: Final = 64
MAX_RECENT: Final = 64
MAX_SHARES: Final = 32
"""Of one entry: a call counts in two calendar periods of each history at most."""
MAX_RECENT_TEXT: Final = 32_768
"""In characters. Entries of calls that several histories count are longer, so that fewer of them may fit."""

_NUMBER: Final = "(?:0|[1-9][0-9]{0,15})"
_ENDPOINT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_KEY: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LINE: Final = re.compile(r"[0-9a-f]{12}")
_SLOT_TEXT: Final = rf"{_NUMBER}:[1-9][0-9]{{0,15}}:{_NUMBER}"
_SLOTS_TEXT: Final = re.compile(rf"{_SLOT_TEXT}(?: {_SLOT_TEXT}){{0,{MAX_SLOTS - 1}}}")
_SHARE_TEXT: Final = rf"[0-9a-f]{{12}}:{_NUMBER}:{_NUMBER}:{_NUMBER}:(?:{_NUMBER}|-)"
_OUTCOME_TEXT: Final = rf"(?:~({_NUMBER})(?:([sfc])({_NUMBER}))?)?"
_ENTRY_TEXT: Final = re.compile(
    rf"([0-9a-f]{{32}})@({_NUMBER})=({_SHARE_TEXT}(?:,{_SHARE_TEXT}){{0,{MAX_SHARES - 1}}})(!?){_OUTCOME_TEXT}"
)
_OUTCOME_LETTERS: Final[Mapping["CallOutcome", str]] = {"succeeded": "s", "failed": "f", "cancelled": "c"}
_OUTCOMES: Final = {letter: outcome for outcome, letter in _OUTCOME_LETTERS.items()}
_MEMBERS: Final = frozenset({"endpoint", "key", "seq", "clock", "lines", "recent"})
_LINE_MEMBERS: Final = frozenset({"slots", "last"})


class Slot(msgspec.Struct, frozen=True, gc=False):
    """What was counted in one slot of a window.

    `number` is that of the slot since the epoch; of a calendar's period, when it began, in milliseconds.
    """

    number: int
    count: int
    total: int


class StateLine(msgspec.Struct, frozen=True, gc=False):
    """What one definition has counted. `last`: when the latest was counted, in milliseconds since the epoch."""

    slots: tuple[Slot, ...]
    last: int


class EntryShare(msgspec.Struct, frozen=True, gc=False):
    """What one entry added to one line. `previous`: when the latest call before it was counted; None: there was none.

    A retry is judged by the age that the call was judged by at first, and a release puts it back.

    With `count` 0 it adds nothing yet, but `total` once the outcome is reported that the line counts.
    """

    line: str
    slot: int
    count: int
    total: int
    previous: int | None = None


class EntryOutcome(msgspec.Struct, frozen=True, gc=False):
    """Until when an outcome can be reported, in milliseconds since the epoch, and the one that was. None: none yet.

    `seq`: the event that it was reported in.
    """

    until: int
    reported: CallOutcome | None = None
    seq: int = 0


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One call that was counted. `time`: when it was first, in milliseconds since the epoch.

    `id`: 32 hex digits. The first 24 are those of the call, however often it is sent; the others of the attempt.

    `relied_on`: an answer relies on it a second time, so that it is never taken back. `outcome`: None: no line counts
    by the outcome.
    """

    id: str
    time: int
    shares: tuple[EntryShare, ...]
    relied_on: bool = False
    outcome: EntryOutcome | None = None


class KeyState(msgspec.Struct, frozen=True, gc=False):
    """The state of one key. `clock` is in milliseconds since the epoch and never goes back.

    `recent` holds the latest entries in the order in which they were counted, a repeated one by its last time.
    """

    endpoint: str
    key: str
    seq: int = 0
    clock: int = 0
    lines: Mapping[str, StateLine] = {}
    recent: tuple[Entry, ...] = ()


def parse_state(spec: object) -> KeyState | None:
    """Return the state that a `spec` of EndpointHistory holds; None where it is not one."""
    if not isinstance(spec, Mapping) or spec.keys() != _MEMBERS:
        return None
    endpoint, key, seq, clock = spec["endpoint"], spec["key"], spec["seq"], spec["clock"]
    if not (isinstance(endpoint, str) and _ENDPOINT.fullmatch(endpoint)):
        return None
    if not (isinstance(key, str) and _KEY.fullmatch(key)):
        return None
    if not (_is_number(seq, MAX_NUMBER) and _is_number(clock, MAX_TIME)):
        return None
    lines, recent = _parse_lines(spec["lines"], clock), _parse_recent(spec["recent"], clock)
    if lines is None or recent is None:
        return None
    return KeyState(endpoint, key, seq, clock, lines, recent)


def state_spec(state: KeyState) -> dict[str, Any]:
    """Return the `spec` that holds a state."""
    return {
        "endpoint": state.endpoint,
        "key": state.key,
        "seq": state.seq,
        "clock": state.clock,
        "lines": {name: {"slots": _slots_text(line.slots), "last": line.last} for name, line in state.lines.items()},
        "recent": recent_text(state.recent),
    }


def recent_text(entries: tuple[Entry, ...]) -> str:
    """Return the text of entries."""
    return " ".join([entry_text(entry) for entry in entries])


def entry_text(entry: Entry) -> str:
    """Return the text of one entry."""
    shares = ",".join(
        [
            f"{one.line}:{one.slot}:{one.count}:{one.total}:{'-' if one.previous is None else one.previous}"
            for one in entry.shares
        ]
    )
    return f"{entry.id}@{entry.time}={shares}{'!' if entry.relied_on else ''}{_outcome_text(entry.outcome)}"


def _outcome_text(outcome: EntryOutcome | None) -> str:
    if outcome is None:
        return ""
    reported = outcome.reported
    return f"~{outcome.until}" if reported is None else f"~{outcome.until}{_OUTCOME_LETTERS[reported]}{outcome.seq}"


def _slots_text(slots: tuple[Slot, ...]) -> str:
    return " ".join([f"{slot.number}:{slot.count}:{slot.total}" for slot in slots])


def _is_number(value: object, limit: int) -> bool:
    return type(value) is int and 0 <= value <= limit


def _parse_lines(value: object, clock: int) -> dict[str, StateLine] | None:
    if not isinstance(value, Mapping) or len(value) > MAX_LINES:
        return None
    lines: dict[str, StateLine] = {}
    for name, written in value.items():
        if not (isinstance(name, str) and _LINE.fullmatch(name)):
            return None
        line = _parse_line(written, clock)
        if line is None:
            return None
        lines[name] = line
    return lines


def _parse_line(value: object, clock: int) -> StateLine | None:
    if not isinstance(value, Mapping) or value.keys() != _LINE_MEMBERS:
        return None
    text, last = value["slots"], value["last"]
    if not (isinstance(text, str) and _SLOTS_TEXT.fullmatch(text) and _is_number(last, clock)):
        return None
    slots: list[Slot] = []
    before = -1
    for one in text.split(" "):
        number, count, total = map(int, one.split(":"))
        if not before < number <= clock or count > MAX_NUMBER or total > MAX_NUMBER:
            return None
        slots.append(Slot(number, count, total))
        before = number
    return StateLine(tuple(slots), last)


def _parse_recent(text: object, clock: int) -> tuple[Entry, ...] | None:
    if not isinstance(text, str) or len(text) > MAX_RECENT_TEXT:
        return None
    entries: list[Entry] = []
    for written in text.split(" ") if text else ():
        entry = _parse_entry(written, clock) if len(entries) < MAX_RECENT else None
        if entry is None:
            return None
        entries.append(entry)
    return tuple(entries)


def _parse_entry(text: str, clock: int) -> Entry | None:
    read = _ENTRY_TEXT.fullmatch(text)
    if read is None:
        return None
    name, time, shares, mark, until, letter, seq = read.groups()
    if int(time) > clock:
        return None
    parsed: list[EntryShare] = []
    for written in shares.split(","):
        line, slot, count, total, previous = written.split(":")
        share = EntryShare(line, int(slot), int(count), int(total), None if previous == "-" else int(previous))
        if share.slot > clock or share.count > MAX_NUMBER or share.total > MAX_NUMBER:
            return None
        if share.previous is not None and share.previous > clock:
            return None
        parsed.append(share)
    outcome = None if until is None else EntryOutcome(int(until), _OUTCOMES.get(letter), int(seq or 0))
    if outcome is not None and (outcome.until > MAX_TIME or outcome.seq > MAX_NUMBER):
        return None
    if any(not share.count and (outcome is None or share.slot or share.previous is not None) for share in parsed):
        # It would count by an outcome that cannot come.
        return None
    return Entry(name, int(time), tuple(parsed), mark == "!", outcome)
