"""The calls of a log, counted by the histories of a candidate, where the records do not have their numbers.

Standing: over `pairs`, under `replay`. Holds: calls stay as they were made: what the log says was allowed is counted,
whatever the candidate makes of it. A call of which a history cannot say from the record whether and where it counts
makes that history unknown for all records. The order of the lines never matters. Memory is bounded.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final, NamedTuple

from bailiwick_engine.call import Party
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.cel.members import Path
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.history.needs import history_needs
from bailiwick_engine.history.windows import period_start, slot_length
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import CalendarWindow, CompiledHistory
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.rebuild import CallOnRecord, rebuild_call
from bailiwick_evidence.derive.shape import RecordShape, parse_record
from bailiwick_evidence.historykinds import counts_at_once
from bailiwick_evidence.replay.pairs import EndpointPair

MOST_CALLS: Final = 1_000_000

HistoryName = tuple[str, str, str]
"""Namespace and name of an endpoint, and the digest of a definition."""


class _CountedCall(NamedTuple):
    """A call that was counted. `time` in milliseconds; `id` orders calls of one moment, and is the same each time."""

    time: int
    id: str
    total: int


class _CallsOfKey:
    """The calls that one object would have counted. They are put in order once, when the first one is read."""

    def __init__(self) -> None:
        self._calls: list[_CountedCall] = []
        self._sums: list[int] = []

    def add(self, call: _CountedCall) -> None:
        self._calls.append(call)
        self._sums.clear()

    def numbers(self, history: CompiledHistory, total: int | None, moment: tuple[int, str]) -> HistoryNumbers:
        """Return the numbers as they would be after a call that adds this. `moment`: its time and id."""
        if not self._sums:
            self._calls.sort()
            # Of the calls before each place, so that no window is added up again.
            self._sums = list(accumulate((call.total for call in self._calls), initial=0))
        end = bisect_left(self._calls, moment)
        start = bisect_left(self._calls, (_window_start(history, moment[0]), ""), hi=end)
        count = end - start + (0 if total is None else 1)
        age = max(-(-(moment[0] - self._calls[end - 1].time) // 1_000), 0) if end > start else None
        if history.amount is None:
            return HistoryNumbers(count, age=age)
        return HistoryNumbers(count, self._sums[end] - self._sums[start] + (total or 0), history.amount.digits, age)


class CountedCalls:
    """All calls of a log that histories of the candidate count. Add every record before the first one is replayed."""

    def __init__(self, most: int = MOST_CALLS) -> None:
        self._room = most
        self._calls: dict[tuple[HistoryName, str], _CallsOfKey] = {}
        self._unknown: set[HistoryName] = set()

    def add(self, record: Mapping[str, Any], pair: EndpointPair) -> None:
        """Count the call of a record, if it was allowed."""
        shape = parse_record(record)
        if shape is None or pair.new is None:
            return
        if shape.kind != "evaluation" or not shape.decision or shape.dry_run or _is_repeated(record):
            return
        found = rebuild_call(shape)
        for history in wanted(pair.new):
            name = _name(shape, history)
            place = None if found is None else _place(history, pair.new, found, shape)
            if place is None or shape.now is None or self._room <= 0:
                # It may count anywhere.
                self._unknown.add(name)
            elif place.total is not None:
                self._room -= 1
                counted = _CountedCall(int(shape.now * 1000), _id(record), place.total)
                self._calls.setdefault((name, place.object), _CallsOfKey()).add(counted)

    def numbers(self, record: Mapping[str, Any], pair: EndpointPair) -> dict[str, HistoryNumbers]:
        """Return what the rules of the candidate would read for a record, by the names of its histories."""
        shape = parse_record(record)
        found = None if shape is None else rebuild_call(shape)
        if shape is None or found is None or shape.now is None or pair.new is None or _is_repeated(record):
            return {}
        numbers: dict[str, HistoryNumbers] = {}
        for history in wanted(pair.new):
            name = _name(shape, history)
            place = None if name in self._unknown else _place(history, pair.new, found, shape)
            if place is not None and place.object:
                calls = self._calls.get((name, place.object), _CallsOfKey())
                numbers[history.name] = calls.numbers(history, place.total, (int(shape.now * 1000), _id(record)))
        return numbers


def wanted(endpoint: CompiledEndpoint) -> Iterator[CompiledHistory]:
    """Yield the histories that rules of an endpoint read."""
    read = {name for rule in endpoint.rules for one in rule.conditions for name in one.histories}
    yield from (one for one in endpoint.histories if one.name in read)


class _Place(NamedTuple):
    """Where a call is counted, or read: an object. `total` None: it is only read. No object: it is neither."""

    object: str
    total: int | None


def _place(
    history: CompiledHistory, endpoint: CompiledEndpoint, found: CallOnRecord, shape: RecordShape
) -> _Place | None:
    """Return where a history counts the call of a record; None if the record does not say."""
    call, subject = found.call, found.call.subject
    if not isinstance(subject, Party) or not counts_at_once(history):
        return None
    inputs = seen(endpoint, call, subject, shape.now or 0.0)
    speaks = call.action.name in history.actions
    if speaks and history.when is not None and not all(_is_known(inputs, path) for path in history.when.reads):
        return None
    needs = history_needs([history], call, subject, inputs, [history.name])
    if isinstance(needs, Reason):
        return None
    if needs is None:
        # It does not count the call, and the record does not say of which key the call is.
        return _Place("", None)
    (need,) = needs.objects
    return _Place(need.name, need.adds[0].total if need.adds else None)


def _is_known(inputs: Inputs, path: Path) -> bool:
    """Tell whether a record has a whole value at a path; of an object it may have a part."""
    value: Any = inputs
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return not isinstance(value, Mapping)


def _window_start(history: CompiledHistory, now: int) -> int:
    """Return since when calls stand in a window, as the decision point counts in slots."""
    window = history.window
    if isinstance(window, CalendarWindow):
        return period_start(window, now)
    # A slot is out when all of it has been over for as long as the window is.
    length = slot_length(window)
    return max(((now - window.milliseconds) // length) * length, 0)


def _name(shape: RecordShape, history: CompiledHistory) -> HistoryName:
    namespace, _, endpoint = shape.endpoint.partition("/")
    return namespace, endpoint, history.digest


def _is_repeated(record: Mapping[str, Any]) -> bool:
    """Tell whether an earlier decision on the same request counted the call."""
    return any(one.get("repeated") for one in record.get("history") or ())


def _id(record: Mapping[str, Any]) -> str:
    return f"{record.get('evaluation_id')} {record.get('item')}"
