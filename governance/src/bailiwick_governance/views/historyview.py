"""What an EndpointHistory holds now, as rows and as an object.

Standing: under `history show` and the console. Holds: data only; the numbers are made by the engine; of an object that
is no state, nothing is shown as counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from bailiwick_engine.approval.display import visible
from bailiwick_engine.history.commit import ClockBounds, numbers_at
from bailiwick_engine.history.keys import ObjectKey
from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.history.state import KeyState, parse_state
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_governance.display import Line

HEADERS: Final = ("HISTORY", "COUNT", "SUM", "AGE", "SEQ", "SINCE", "OBJECT")
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class ShownHistory:
    """One object. `state` None: it is unreadable. `since`: when it was created; None: there is no object.

    `histories`: those that may be counted in it.
    """

    name: str
    state: KeyState | None
    since: str | None
    histories: tuple[CompiledHistory, ...]

    @classmethod
    def of_key(cls, key: ObjectKey, histories: tuple[CompiledHistory, ...], raw: Mapping[str, Any] | None) -> Self:
        """Return the object of a key. `raw` None: there is none, so that nothing was counted."""
        if raw is None:
            return cls(key.name, KeyState("", key.key), None, histories)
        state = parse_state(raw.get("spec"))
        return cls(key.name, state if state is not None and state.key == key.key else None, _since(raw), histories)

    @classmethod
    def from_object(cls, raw: Mapping[str, Any], histories: Sequence[CompiledHistory]) -> Self:
        """Return an object whose key is not known, with the histories of which it has counted calls."""
        state = parse_state(raw.get("spec"))
        lines = {} if state is None else state.lines
        counted = tuple(one for one in histories if one.digest in lines)
        return cls(str(raw["metadata"]["name"]), state, _since(raw), counted)

    @property
    def others(self) -> int:
        """How many definitions it has counted calls for that are not in force any more."""
        return 0 if self.state is None else len(self.state.lines.keys() - {one.digest for one in self.histories})

    def numbers(self, now: float) -> Mapping[str, HistoryNumbers]:
        """Return the numbers by name, without another call; one that is unknown is missing."""
        if self.state is None:
            return {}
        moment = int(now * 1000)
        need = ObjectNeed(self.name, self.state.key, self.histories, ())
        return numbers_at(self.state, need, ClockBounds(moment, moment), with_this=False)


def history_rows(shown: Sequence[ShownHistory], now: float) -> Iterator[Line]:
    """Yield a row for each history of each object."""
    for one in shown:
        numbers = one.numbers(now)
        for history in one.histories:
            known = numbers.get(history.name)
            yield _row(history.name, known, one)
        if not one.histories:
            yield _row("(none in force)" if one.state is not None else "(unreadable)", None, one)


def histories_document(place: tuple[str, str], shown: Sequence[ShownHistory], now: float) -> dict[str, object]:
    """Return all of it as an object. `place`: namespace and name of the endpoint."""
    return {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "HistoryNumbers",
        "namespace": place[0],
        "endpoint": place[1],
        "objects": [_object(one, now) for one in shown],
    }


def _row(name: str, numbers: HistoryNumbers | None, shown: ShownHistory) -> Line:
    count = age = total = _UNKNOWN
    if numbers is not None:
        count, total = str(numbers.count), numbers.decimal_sum or "-"
        age = "-" if numbers.age is None else f"{numbers.age}s"
    seq = _UNKNOWN if shown.state is None else str(shown.state.seq)
    texts = (name, count, total, age, seq, shown.since or "-", shown.name)
    return [(visible(text), "") for text in texts]


def _object(shown: ShownHistory, now: float) -> dict[str, object]:
    numbers = shown.numbers(now)
    return {
        "object": shown.name,
        "readable": shown.state is not None,
        "seq": None if shown.state is None else shown.state.seq,
        "since": shown.since,
        "formerDefinitions": shown.others,
        "histories": [_history(one.name, numbers.get(one.name)) for one in shown.histories],
    }


def _history(name: str, numbers: HistoryNumbers | None) -> dict[str, object]:
    if numbers is None:
        return {"name": name, "known": False}
    return {"name": name, "known": True, "count": numbers.count, "sum": numbers.decimal_sum, "age": numbers.age}


def _since(raw: Mapping[str, Any]) -> str | None:
    since = raw["metadata"].get("creationTimestamp")
    return since if isinstance(since, str) else None
