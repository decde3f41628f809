"""Until when a history counts anything, as the decision point says by a label, and whose histories go first. Pure.

Holds: only a label of the one form that the decision point writes is a time; anything else is unknown, so that the
history is kept. Of those that ended, each namespace's go in turn, so that none waits until another has no more.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from bailiwick_api.kinds.meta import KEEP_UNTIL_LABEL
from bailiwick_api.times import parse_hour


def keep_until(history: Mapping[str, Any]) -> float | None:
    """Return from when on a history counts nothing any more, in seconds since the epoch; None where it is unknown."""
    hour = parse_hour((history["metadata"].get("labels") or {}).get(KEEP_UNTIL_LABEL))
    return None if hour is None else hour.timestamp()


_History = TypeVar("_History")


class NamespaceTurns(Generic[_History]):
    """Histories of all namespaces, of which at most `most` are taken, one of each namespace before the second of any.

    Memory is bounded: at most twice as many are kept until all are added.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[str, list[_History]] = {}
        self._kept = 0

    def add(self, namespace: str, history: _History) -> None:
        """Let a history take part. Those of a namespace are taken in the order in which they are added."""
        self._of.setdefault(namespace, []).append(history)
        self._kept += 1
        if self._kept >= 2 * self._most:
            # Of these alone the others have no turn, and so none of more either.
            first = self._first()
            self._of = {}
            for name, one in first:
                self._of.setdefault(name, []).append(one)
            self._kept = len(first)

    def taken(self) -> list[_History]:
        """Return those whose turn it is, in turn."""
        return [history for _, history in self._first()]

    def _first(self) -> list[tuple[str, _History]]:
        found: list[tuple[str, _History]] = []
        for turn in range(max(map(len, self._of.values()), default=0)):
            found += [(name, own[turn]) for name, own in self._of.items() if turn < len(own)]
            if len(found) >= self._most:
                break
        return found[: self._most]
