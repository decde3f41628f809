"""Held states: objects as this replica saw them last, and how far each had come.

Standing: under `commits`. Holds: memory is bounded; a state that is behind one that was seen before, or is gone before
its time, made again or not, is not trusted until all that it may lack is out of every window.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_LABEL, KEEP_UNTIL_LABEL
from bailiwick_api.times import parse_hour
from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.history.state import KeyState, parse_state, state_spec
from bailiwick_webhook.history.ports import HistoryKey

KIND: Final = "EndpointHistory"
REMEMBERED: Final = 10_000
"""Objects of which it is remembered how far they had come."""
MOST_PARTS: Final = 100_000
"""Slots and entries of all states that are kept: up to 46 MB, where each state has one call."""
_SPREAD: Final = 30_000
"""Milliseconds before its hour from which on nothing of a state matters (see `retention.keep_until`)."""


class HeldState(msgspec.Struct, frozen=True, gc=False):
    """A state as the API server held it at some moment after `proven`. `keep_until`: milliseconds since the epoch.

    `version` and `uid` None: there is no such object. `read`: when it was last read. `rests_until`: when it may be
    written again. All times but `keep_until` are by a monotonic clock.
    """

    state: KeyState
    version: str | None
    uid: str | None
    keep_until: int
    proven: float
    read: float
    rests_until: float = 0.0

    @property
    def parts(self) -> int:
        """How much there is of it."""
        lines = sum(len(line.slots) for line in self.state.lines.values())
        return 1 + lines + sum(1 + len(entry.shares) for entry in self.state.recent)


def parse_held(body: Mapping[str, Any], empty: KeyState, began: float) -> HeldState | None:
    """Return the state that an object holds; None where it is not one of this key, or is being deleted.

    `empty` is of the same key; `began`: when it was read.
    """
    metadata = body.get("metadata") or {}
    state = parse_state(body.get("spec"))
    if state is None or (state.endpoint, state.key) != (empty.endpoint, empty.key) or "deletionTimestamp" in metadata:
        return None
    keep_until = hour_of(keep_until_label(body))
    if keep_until is None:
        return None
    return HeldState(state, metadata["resourceVersion"], metadata["uid"], keep_until, began, began)


def manifest(key: HistoryKey, state: KeyState, held: HeldState, keep_until: str) -> dict[str, Any]:
    """Return the object that holds a state, to be written in place of the one that is held.

    `keep_until`: the hour from which nothing of it matters any more.
    """
    metadata: dict[str, Any] = {
        "namespace": key[0],
        "name": key[1],
        "labels": {ENDPOINT_LABEL: state.endpoint, KEEP_UNTIL_LABEL: keep_until},
        # Nothing but the decision point writes the object. Whose field is which takes the API server a seventh of the
        # time of a write, and etcd half a kilobyte.
        "managedFields": [{}],
    }
    if held.version is not None:
        metadata |= {"resourceVersion": held.version, "uid": held.uid}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": state_spec(state)}


def keep_until_label(body: Mapping[str, Any]) -> object:
    """Return by what an object says until when it is kept; None where it does not say."""
    return ((body.get("metadata") or {}).get("labels") or {}).get(KEEP_UNTIL_LABEL)


def hour_of(label: object) -> int | None:
    """Return the hour of a label, in milliseconds since the epoch; None where it is none."""
    hour = parse_hour(label)
    return None if hour is None else int(hour.timestamp()) * 1000


class HeldStates:
    """The states of the objects that were used last, and the numbers of more."""

    def __init__(self) -> None:
        self._held: OrderedDict[HistoryKey, HeldState] = OrderedDict()
        self._parts = 0
        # The uid of the object, its `seq` and until when it is kept.
        self._seen: BoundedCache[HistoryKey, tuple[str | None, int, int]] = BoundedCache(REMEMBERED)

    def __len__(self) -> int:
        """How many states are kept."""
        return len(self._held)

    def get(self, key: HistoryKey) -> HeldState | None:
        """Return the state that was seen last, if it is still kept."""
        return self._held.get(key)

    def is_there(self, key: HistoryKey) -> bool | None:
        """Tell whether there is an object, as it was seen last; None: it was not seen, or that is forgotten."""
        held = self._held.get(key)
        if held is not None:
            return held.version is not None
        return True if key in self._seen else None

    def put(self, key: HistoryKey, held: HeldState) -> None:
        """Keep a state, as the one that is the last to go."""
        self.drop(key)
        self._held[key] = held
        self._parts += held.parts
        if held.version is not None:
            self._seen.put(key, (held.uid, held.state.seq, held.keep_until))
        while self._parts > MOST_PARTS and len(self._held) > 1:
            self.drop(next(iter(self._held)))

    def drop(self, key: HistoryKey) -> None:
        """Forget a state, but not how far it had come."""
        held = self._held.pop(key, None)
        if held is not None:
            self._parts -= held.parts

    def is_behind(self, key: HistoryKey, held: HeldState, earliest: int) -> bool:
        """Tell whether a state lacks what was seen before, and that may still count at `earliest`.

        Another object of the same name lacks all of it, however far it has come: another replica, which has not seen
        the first, may have made it.
        """
        seen = self._seen.get(key)
        if seen is None:
            return False
        uid, seq, keep_until = seen
        return (held.uid != uid or held.state.seq < seq) and earliest < keep_until - _SPREAD
