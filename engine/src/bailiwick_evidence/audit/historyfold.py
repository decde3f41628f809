"""The fold of histories: the events of all logs of a cluster are joined by object and number, and counted again.

Standing: beside `logaudit`, over `objectfold`. Holds: pure. Two clusters can have objects of one name, so a line of
one never explains or contradicts a number of another. What an honest process can write is never called
contradicted, whatever lines are missing and however far clocks are apart. Lines that no witness saw neither excuse nor
accuse those of another log: what is contradicted by lines that a witness saw stays so, and nothing else of them becomes
so, whatever is added. Memory is bounded: an object that there is no room for is not folded, and the report says how
many there are.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_evidence.audit.historyevents import NAMED, ObjectEvent, ObjectName, events_of
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.objectfold import HistoryCode, HistoryFinding, ObjectFold, spelled
from bailiwick_evidence.linekinds import may_have

MOST_EVENTS: Final = 500_000
MOST_OBJECTS: Final = 50_000
MOST_STEPS: Final = 10_000_000
"""How many events are folded again to compare what no witness saw."""
_AROUND: Final = 1_000
"""With how many events before and behind it an event that no witness saw is compared."""
_MOST_UNREADABLE: Final = 1_000

ClustersOf = Callable[[str], frozenset[str]]
"""Returns the clusters whose keys cosigned a chain; a chain is of a cluster only if there is one."""


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """What the fold came to. `derived`: how many lines have the numbers that follow from the lines before.

    `objects`: how many were folded. `left_out`: how many were not, because there was no room. `known`: every line was
    folded with the window that its policies say, so that a count that is too small is found.
    """

    objects: int
    lines: int
    derived: int
    left_out: int
    known: bool
    findings: tuple[HistoryFinding, ...]

    @property
    def contradicted(self) -> int:
        """How many findings are bad."""
        return sum(one.bad for one in self.findings)

    @property
    def gaps(self) -> int:
        """How many gaps there are."""
        return sum(one.code is HistoryCode.GAP for one in self.findings)


class HistoryFold:
    """Collects what lines say of histories. `most_events` and `most_objects` bound its memory."""

    def __init__(self, most_events: int = MOST_EVENTS, most_objects: int = MOST_OBJECTS) -> None:
        self._events: dict[ObjectName, list[ObjectEvent]] = {}
        self._left: set[int] = set()
        self._more = 0
        self._room = most_events
        self._most_objects = most_objects
        self._unreadable: list[HistoryFinding] = []
        self._known = True

    def add(self, line: ChainLine, definitions: Mapping[str, CompiledHistory] | None = None) -> None:
        """Add a line. `definitions`: those of the endpoint then, by name; None: they are not known."""
        if may_have(line.text, NAMED):
            self.add_record(parse_line(line.text), (line.link.id, line.link.seq), definitions)

    def add_record(
        self, record: Mapping[str, Any], place: tuple[str, int], definitions: Mapping[str, CompiledHistory] | None
    ) -> None:
        """Add the members of a line."""
        found = events_of(record, place, definitions or {})
        if found is None:
            said = "the line names a history in another form than a process writes"
            endpoint = str(record.get("endpoint"))
            if len(self._unreadable) < _MOST_UNREADABLE:
                self._unreadable.append(HistoryFinding(HistoryCode.UNREADABLE, (endpoint, ""), said, place))
            return
        for name, event in found:
            if any(one.history is None for one in event.mentions):
                self._known = False
            self._keep(name, event)

    def _keep(self, name: ObjectName, event: ObjectEvent) -> None:
        held = self._events.get(name)
        if hash(name) in self._left:
            return
        if self._room <= 0 or (held is None and len(self._events) >= self._most_objects):
            self._leave_out(name)
            return
        if held is None:
            held = self._events[name] = []
        held.append(event)
        self._room -= 1

    def _leave_out(self, name: ObjectName) -> None:
        """Forget an object: half of its events would look like a gap."""
        self._room += len(self._events.pop(name, ()))
        if len(self._left) < self._most_objects:
            self._left.add(hash(name))
        else:
            self._more += 1

    def report(self, witnessed: Mapping[str, int], clusters_of: ClustersOf | None = None) -> HistoryReport:
        """Return what all that was added comes to. `witnessed`: by chain, how many of its lines a witness has seen.

        `clusters_of`: None if all chains are of one cluster.
        Those lines are also counted by themselves, since anybody can write a line that no witness saw: it must neither
        explain a number that they contradict, nor be why one of them is contradicted. What no witness saw of a chain is
        compared with them, and with no other such lines.
        """
        findings = list(self._unreadable)
        objects = lines = derived = 0
        apart = _UnseenLines(witnessed, clusters_of)
        for name, every in sorted(self._events.items()):
            for cluster, events in _by_cluster(every, clusters_of):
                folded = ObjectFold(name, events)
                folded.fold()
                seen = [event for event in events if _is_seen(event, witnessed)]
                if seen and len(seen) < len(events):
                    folded.replace_contradictions(seen)
                elif not seen and witnessed:
                    folded.replace_contradictions(())
                apart.add(name, cluster, events, folded.doubted)
                findings += [replace(one, cluster=cluster) for one in folded.findings]
                objects += 1
                lines += len(events)
                derived += len(events) - len(folded.doubted)
        known = {(one.object, one.place) for one in findings if one.bad}
        found = [one for one in apart.contradictions() if (one.object, one.place) not in known]
        findings += found
        derived -= len({one.place for one in found})
        left_out = len(self._left) + self._more + apart.left_out
        return HistoryReport(objects, lines, derived, left_out, self._known, tuple(findings))


def _is_seen(event: ObjectEvent, witnessed: Mapping[str, int]) -> bool:
    chain, seq = event.place
    return seq < witnessed.get(chain, 0)


def _by_cluster(
    events: Sequence[ObjectEvent], clusters_of: ClustersOf | None
) -> Iterator[tuple[str | None, Sequence[ObjectEvent]]]:
    """Yield the events of each cluster. A chain of which it is not known counts by itself: it speaks for no other."""
    if clusters_of is None:
        yield None, events
        return
    found: dict[tuple[str, str], list[ObjectEvent]] = {}
    for event in events:
        chain = event.place[0]
        owners = clusters_of(chain)
        found.setdefault((min(owners), "") if len(owners) == 1 else ("", chain), []).append(event)
    for (cluster, _), part in sorted(found.items()):
        yield cluster or None, part


class _UnseenLines:
    """What no witness saw of each chain, to be compared with what witnesses saw of its cluster.

    If the cluster of a chain is not known, it is compared with each cluster, and is contradicted if it fits in none.
    No other line is called contradicted by it, since anyone can write such a chain.
    """

    def __init__(self, witnessed: Mapping[str, int], clusters_of: ClustersOf | None) -> None:
        self._witnessed = witnessed
        self._named = clusters_of is not None
        # By the object and the cluster: what was seen, and what of it contradicts itself.
        self._seen: dict[tuple[ObjectName, str | None], tuple[list[ObjectEvent], frozenset[tuple[str, int]]]] = {}
        self._unseen: dict[tuple[str, str | None], dict[ObjectName, list[ObjectEvent]]] = {}
        self._room = MOST_STEPS
        self.left_out = 0

    def add(
        self, name: ObjectName, cluster: str | None, events: Iterable[ObjectEvent], doubted: Iterable[tuple[str, int]]
    ) -> None:
        """Add the events of a cluster in an object."""
        seen: list[ObjectEvent] = []
        for event in events:
            if _is_seen(event, self._witnessed):
                seen.append(event)
            else:
                self._unseen.setdefault((event.place[0], cluster), {}).setdefault(name, []).append(event)
        if seen:
            self._seen[name, cluster] = sorted(seen, key=lambda event: event.seq), frozenset(doubted)

    def contradictions(self) -> list[HistoryFinding]:
        """Return what is contradicted, at places that no witness saw."""
        clusters = sorted({cluster for _, cluster in self._seen if cluster is not None})
        found: list[HistoryFinding] = []
        for (_, cluster), objects in sorted(self._unseen.items(), key=lambda one: (one[0][0], one[0][1] or "")):
            each: list[str | None] = [cluster]
            if cluster is None and self._named and clusters:
                each = [*clusters]
            tried = (self._contradicted(objects, one) for one in each)
            # The first one stands for all of them.
            first = next(tried)
            found += first if first and all(tried) else []
        return found

    def _contradicted(
        self, objects: Mapping[ObjectName, Sequence[ObjectEvent]], cluster: str | None
    ) -> list[HistoryFinding]:
        """Return what is contradicted of a chain, if it is of this cluster."""
        found: list[HistoryFinding] = []
        for name, events in objects.items():
            every, doubted = self._seen.get((name, cluster), ([], frozenset()))
            seen = _around(every, events)
            self._room -= len(seen) + len(events)
            if self._room < 0:
                self.left_out += 1
                continue
            folded = ObjectFold(name, [*seen, *events])
            folded.fold()
            own = {event.place for event in events}
            bad = [one for one in folded.findings if one.bad and one.place not in doubted]
            if others := [one for one in bad if one.place not in own]:
                # A line that a witness saw is not contradicted by one that it did not see, but the other way round.
                said = f"by this log, {_line_at(others[0].place)}, which a witness saw, could not be: {others[0].said}"
                bad = [replace(others[0], said=said, place=events[0].place), *(one for one in bad if one.place in own)]
            found += [replace(one, cluster=cluster) for one in bad]
        return found


def _around(every: Sequence[ObjectEvent], events: Iterable[ObjectEvent]) -> list[ObjectEvent]:
    """Return those of all events, in order of their numbers, that are near one of these."""
    found: list[ObjectEvent] = []
    end = 0
    for seq in sorted({event.seq for event in events}):
        at = bisect_left(every, seq, key=lambda event: event.seq)
        found += every[max(end, at - _AROUND) : max(end, at + _AROUND)]
        end = max(end, at + _AROUND)
    return found


def _line_at(place: tuple[str, int] | None) -> str:
    return "a line" if place is None else spelled(place)
