"""Denied calls that wait to be counted, by object: what there is room for, and whose turn is next.

Standing: under `denials`. Holds: room is for objects, and calls of one that waits need none; an object that nothing has
been seen of never takes the room or the turn of one that is there; where all is full, the namespace with the most
makes room; an object is written once in `PAUSE` at most.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from math import inf
from typing import Final

from bailiwick_engine.history.changes import count_denied
from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.history.state import KeyState
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_webhook.history.ports import HistoryKey

MOST_WAITING: Final = 1_000
"""Objects that wait in all."""
MOST_OF_NAMESPACE: Final = 250
PAUSE: Final = 1.0
"""Seconds between two writes of an object."""


class DenialLine(IntEnum):
    """The line in which an object waits. The last one makes room first; each has every third turn while all wait.

    Anybody who is denied may make up keys, and whether there is an object is only known once it is read. So those that
    were not read yet do not wait behind those that are known to be new, which may have to wait for long.
    """

    THERE = 0
    UNSEEN = 1
    NEW = 2


@dataclass(slots=True, eq=False)
class WaitingDenials:
    """Denied calls that wait for one object. `calls`: how many; `counts`: how many each history counts, by digest.

    `definitions`: all histories of the endpoint, as the call that came last knew them.
    """

    endpoint: str
    need: ObjectNeed
    definitions: Iterable[CompiledHistory]
    calls: int = 0
    histories: dict[str, CompiledHistory] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_one(cls, endpoint: str, need: ObjectNeed, definitions: Iterable[CompiledHistory]) -> "WaitingDenials":
        """Return one call."""
        counting = {one.history.digest: one.history for one in need.adds}
        return cls(endpoint, need, definitions, 1, counting, Counter(counting.keys()))

    def merge(self, later: "WaitingDenials") -> None:
        """Add calls that came later."""
        self.calls += later.calls
        self.histories |= later.histories
        self.counts.update(later.counts)
        if later.definitions is not self.definitions:
            # Nothing reads what others count any more. So memory is bounded, however often policies change.
            self.definitions = later.definitions
            known = {one.digest for one in later.definitions}
            self.histories = {digest: one for digest, one in self.histories.items() if digest in known}
            self.counts = Counter({digest: calls for digest, calls in self.counts.items() if digest in known})

    def change(self, state: KeyState, moment: ClockBounds) -> KeyState:
        """Return the state with these calls."""
        return count_denied(state, {self.histories[digest]: calls for digest, calls in self.counts.items()}, moment)


class _NamespaceQueue:
    """The objects of one namespace that wait, by name."""

    __slots__ = ("_held_back", "_lines", "_resting", "_turns")

    def __init__(self) -> None:
        self._lines: dict[DenialLine, dict[str, WaitingDenials]] = {line: {} for line in DenialLine}
        # Objects that are being written, or were a moment ago: until when they rest, and what waits for them meanwhile.
        self._resting: dict[str, float] = {}
        self._held_back: dict[str, tuple[WaitingDenials, DenialLine]] = {}
        # The line whose turn is next stands first.
        self._turns = list(DenialLine)

    def __len__(self) -> int:
        """How many objects wait."""
        return sum(map(len, self._lines.values())) + len(self._held_back)

    @property
    def is_writing(self) -> bool:
        """Whether an object is being written."""
        return inf in self._resting.values()

    @property
    def is_resting(self) -> bool:
        """Whether an object rests."""
        return bool(self._resting)

    @property
    def calls(self) -> int:
        """How many calls wait."""
        queued = chain.from_iterable(line.values() for line in self._lines.values())
        return sum(one.calls for one in chain(queued, (one for one, _ in self._held_back.values())))

    def merge(self, name: str, waiting: WaitingDenials, line: DenialLine) -> bool:
        """Add calls to those that wait for the object already; return False where none does."""
        if name in self._held_back:
            self._held_back[name][0].merge(waiting)
            return True
        own = next((one for one in DenialLine if name in self._lines[one]), None)
        if own is None:
            return False
        self._lines[own][name].merge(waiting)
        if line < own:
            # It was seen meanwhile.
            self._lines[line][name] = self._lines[own].pop(name)
        return True

    def put(self, name: str, waiting: WaitingDenials, line: DenialLine) -> None:
        """Let an object wait for which nothing waits."""
        if name in self._resting:
            self._held_back[name] = waiting, line
        else:
            self._lines[line][name] = waiting

    def put_back(self, name: str, waiting: WaitingDenials, line: DenialLine) -> bool:
        """Let calls wait again that were taken; return whether more of the object came meanwhile."""
        later = self._held_back.pop(name, None)
        if later is not None:
            waiting.merge(later[0])
        self.put(name, waiting, line)
        return later is not None

    def take(
        self, now: float, lines: Container[DenialLine], has_turn: Callable[[], bool]
    ) -> tuple[DenialLine, str, WaitingDenials] | None:
        """Take the object whose turn is next in these lines, if `has_turn`. It rests until `rest` is called."""
        self._wake(now)
        line = next((one for one in self._turns if one in lines and self._lines[one]), None)
        if line is None or not has_turn():
            return None
        self._turns = [*(one for one in self._turns if one is not line), line]
        name = next(iter(self._lines[line]))
        self._resting[name] = inf
        return line, name, self._lines[line].pop(name)

    def rest(self, name: str, until: float) -> None:
        """Let an object that was taken rest until then."""
        self._resting[name] = until

    def make_room(self, before: DenialLine | None) -> WaitingDenials | None:
        """Take out the object that came last to the last line. `before`: only to a line behind this one."""
        last = next((one for one in reversed(DenialLine) if self._lines[one]), None)
        if last is None or (before is not None and last <= before):
            return None
        return self._lines[last].popitem()[1]

    def _wake(self, now: float) -> None:
        """Let objects that have rested wait in line again."""
        for name in [name for name, until in self._resting.items() if until <= now]:
            del self._resting[name]
            if (found := self._held_back.pop(name, None)) is not None:
                waiting, line = found
                self._lines[line][name] = waiting


class DenialQueue:
    """The objects of all namespaces that wait. Pure; times are by a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _NamespaceQueue] = {}
        self._objects = 0

    def __len__(self) -> int:
        """How many objects wait."""
        return self._objects

    @property
    def calls(self) -> int:
        """How many calls wait."""
        return sum(queue.calls for queue in self._namespaces.values())

    def add(self, key: HistoryKey, waiting: WaitingDenials, line: DenialLine) -> int:
        """Let calls of an object wait; return how many calls are dropped, of this object or of another."""
        namespace, name = key
        queue = self._namespaces.setdefault(namespace, _NamespaceQueue())
        if queue.merge(name, waiting, line):
            return 0
        dropped = 0
        if self._objects >= MOST_WAITING or len(queue) >= MOST_OF_NAMESPACE:
            leaving = self._make_room(queue, line)
            if leaving is None:
                return waiting.calls
            self._objects -= 1
            dropped = leaving.calls
        queue.put(name, waiting, line)
        self._objects += 1
        return dropped

    def take(
        self, namespace: str, now: float, lines: Container[DenialLine], has_turn: Callable[[], bool]
    ) -> tuple[DenialLine, str, WaitingDenials] | None:
        """Take what waits for the object of a namespace whose turn is next in these lines, if `has_turn`.

        The object rests until `rest` is called.
        """
        taken = self._namespaces[namespace].take(now, lines, has_turn)
        self._objects -= taken is not None
        return taken

    def put_back(self, key: HistoryKey, waiting: WaitingDenials, line: DenialLine) -> None:
        """Let calls wait again that were taken and are not counted. They had room, so they need none."""
        self._objects += not self._namespaces[key[0]].put_back(key[1], waiting, line)

    def rest(self, key: HistoryKey, until: float) -> None:
        """Let an object that was taken rest until then."""
        self._namespaces[key[0]].rest(key[1], until)

    def is_over(self, namespace: str, *, closing: bool) -> bool:
        """Tell whether nothing of a namespace waits, is being written or rests. `closing`: rests do not matter."""
        queue = self._namespaces[namespace]
        return not (queue or queue.is_writing or (queue.is_resting and not closing))

    def forget(self, namespace: str) -> None:
        """Forget a namespace of which nothing waits."""
        del self._namespaces[namespace]

    def _make_room(self, queue: _NamespaceQueue, line: DenialLine) -> WaitingDenials | None:
        """Take out an object in whose place another one may wait."""
        leaving = queue.make_room(line)
        if leaving is not None or len(queue) >= MOST_OF_NAMESPACE:
            return leaving
        largest = max(self._namespaces.values(), key=len)
        return largest.make_room(None) if len(largest) > len(queue) + 1 else None
