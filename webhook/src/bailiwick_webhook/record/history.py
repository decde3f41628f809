"""Histories in a record: what was read and counted, by object and number, so that others can add up again.

Standing: beside `evidence`, for `line`; the pipeline gives the counts and the events. Holds: all that rules saw of a
history is written, and nothing of the values that its key is made of.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import orjson

from bailiwick_engine.approval.display import visible
from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.cel.members import HISTORY, Path
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_webhook.record.attributes import spelled


class HistoryCount(msgspec.Struct, frozen=True, gc=False):
    """What one decision read of a history, or counted in it.

    `object` is the name of the EndpointHistory. `seq`: the event that counted the call, or the last one in the state
    that was read; 0: the object did not exist. `numbers` are those that the verdict was made with. `added`: the call is
    counted. `repeated`: by an earlier decision on the same request, whose event `seq` is. `awaited`: it is counted when
    its outcome is reported, and `seq` is the event that noted it down.
    """

    name: str
    object: str
    seq: int
    numbers: HistoryNumbers
    added: bool = False
    repeated: bool = False
    awaited: bool = False

    @property
    def member(self) -> dict[str, Any]:
        """What the record has of it."""
        numbers = self.numbers
        found: dict[str, Any] = {
            "name": self.name,
            "object": self.object,
            "seq": self.seq,
            "count": numbers.count,
            "sum": numbers.decimal_sum,
            "age": numbers.age,
            "added": self.added,
        }
        if self.repeated:
            found["repeated"] = True
        if self.awaited:
            found["awaited"] = True
        return found


class HistoryEvent(msgspec.Struct, frozen=True, gc=False):
    """An event in an object that no decision's record has. `calls`: how many calls it is about.

    `event`: denied calls were counted, or a call that was not let through after all was taken out again. `counts`: the
    histories that changed, with their numbers after it.
    """

    namespace: str
    endpoint: str
    event: Literal["denied", "released"]
    calls: int
    counts: Sequence[HistoryCount]


def outcome_line(
    caller: ServiceAccount,
    endpoint: str,
    evaluation_id: str,
    outcome: str,
    counts: Iterable[HistoryCount],
    *,
    request_id: str | None,
    now: float,
) -> bytes:
    """Return the line of the kind `outcome`. `now` is seconds since the epoch."""
    members = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "kind": "outcome",
        "evaluation_id": evaluation_id,
        "request_id": None if request_id is None else visible(request_id),
        "outcome": outcome,
        "endpoint": endpoint,
        "caller": {"id": caller.username, "uid": caller.uid},
        "history": [count.member for count in counts],
    }
    return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)


def event_line(event: HistoryEvent, now: float) -> bytes:
    """Return the line of the kind `history`. `now` is seconds since the epoch."""
    members = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "kind": "history",
        "event": event.event,
        "calls": event.calls,
        "endpoint": f"{event.namespace}/{event.endpoint}",
        "history": [count.member for count in event.counts],
    }
    return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)


def history_attributes(paths: Iterable[Path], counts: Iterable[HistoryCount]) -> Mapping[str, Any]:
    """Return what rules read of these histories, by name. Of an absent member stands what it would be a member of."""
    known = {count.name: count.numbers.members for count in counts}
    found: dict[str, Any] = {}
    for root, name, *rest in sorted(path for path in paths if path[0] == HISTORY and path[1] in known):
        members = known[name]
        if rest and rest[0] in members:
            found[spelled((root, name, rest[0]))] = members[rest[0]]
        else:
            found[spelled((root, name))] = {}
    return found
