"""The fold of one object of a history: its events are counted again, and each number compared with those before.

Standing: under `historyfold`, over `historylives`. Holds: what an honest process can write is never contradicted,
whatever lines are missing and however far clocks are apart.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from bailiwick_engine.history.windows import period_start, slot_length
from bailiwick_engine.policy.histories import CalendarWindow, CompiledHistory
from bailiwick_evidence.audit.historyevents import HistoryMention, ObjectEvent, ObjectName
from bailiwick_evidence.audit.historylives import CLOCKS, ObjectLife, lives_of
from bailiwick_evidence.historykinds import counts_at_once


class HistoryCode(StrEnum):
    """What became of numbers of a history."""

    GAP = "gap"
    """Numbers are missing: a log is missing, or a process died after it counted a call and before it wrote its line."""
    CONTRADICTED = "contradicted"
    """Lines contradict each other, so that one of them is forged, or the object was changed by somebody else."""
    UNREADABLE = "unreadable"
    """A line names a history in another form than a process writes."""


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """A finding about an object. `place`: the chain and number of the line, where it is about one.

    `cluster`: where the object is, if the auditor's keys name clusters and it is known.
    """

    code: HistoryCode
    object: ObjectName
    said: str
    place: tuple[str, int] | None = None
    cluster: str | None = None

    @property
    def bad(self) -> bool:
        """Whether an honest process and a complete log never cause it."""
        return self.code is not HistoryCode.GAP


@dataclass(slots=True)
class _LineCounts:
    """What is known of one definition in an object, while it is folded.

    `most`: what its count can be at most. `before`: the event that counted last, if nothing is missing since. `times`:
    when calls were counted that no release can have taken out, in order. `lost` and `taken`: what is in these already
    of all that was lost in the object, and of all calls of its name.
    """

    most: int
    lost: int
    taken: int
    before: tuple[ObjectEvent, HistoryMention] | None = None
    times: list[float] = field(default_factory=list)

    def catch_up(self, lost: int, taken: int) -> None:
        """Take note of events of which no line says what they were: each added a call, or took one out.

        And of calls of other definitions with its name, each of which may be the same definition, in other policies.
        """
        count = lost - self.lost
        if count or taken > self.taken:
            self.most += count + taken - self.taken
            self.before = None
        if count:
            # Whichever was taken out, those that are left are out no later than these.
            del self.times[max(0, len(self.times) - count) :]
        self.lost, self.taken = lost, taken

    def standing(self, history: CompiledHistory, now: float) -> int:
        """Return how many calls certainly stand in the window."""
        del self.times[: bisect_left(self.times, _gone_before(history, now))]
        return len(self.times) - bisect_left(self.times, _certain_from(history, now))


class ObjectFold:
    """One object, while it is folded. `doubted`: the places of lines that do not follow from the lines before."""

    def __init__(self, name: ObjectName, events: Iterable[ObjectEvent]) -> None:
        self.name = name
        self.findings: list[HistoryFinding] = []
        self.doubted: set[tuple[str, int]] = set()
        self.events: list[ObjectEvent] = []
        # Lines that record no decision explain a number, of whichever life of the object it is: those that took a call
        # out, and all.
        self.releases: set[int] = set()
        self.others: set[int] = set()
        for event in events:
            if event.mentions:
                self.events.append(event)
            else:
                self.others.add(event.seq)
                if event.withdrawn:
                    self.releases.add(event.seq)
        self._lines: dict[tuple[str, str], _LineCounts] = {}
        # So many events were lost, and so many calls of each name were counted. What was known before takes note of
        # them only when it is used: a line costs the same however many definitions there are.
        self._lost = 0
        self._taken: Counter[str] = Counter()
        # What the count of a name can be at most, without what was lost.
        self._ever: dict[str, int] = {}

    def fold(self) -> None:
        """Judge all events."""
        lives = lives_of(self.events)
        for before, after in pairwise(lives):
            self._check_deletion(before, after)
        for number, life in enumerate(lives):
            # A life that follows another one begins with its first number.
            self._fold_life(life.in_order, 1 if number else None)

    def replace_contradictions(self, events: Iterable[ObjectEvent]) -> None:
        """Take what contradicts itself among these events alone, in place of what does so among all."""
        alone = ObjectFold(self.name, events)
        alone.fold()
        self.findings = [one for one in self.findings if not one.bad] + [one for one in alone.findings if one.bad]
        self.doubted = alone.doubted

    def _fold_life(self, life: Sequence[ObjectEvent], start: int | None) -> None:
        owners: dict[int, ObjectEvent] = {}
        latest: ObjectEvent | None = None
        for event in life:
            if not event.owns:
                continue
            if (other := owners.setdefault(event.seq, event)) is not event:
                self._contradict(event, f"number {event.seq} stands in {spelled(other.place)} too")
            elif latest is not None and event.time < latest.time - CLOCKS:
                self._contradict(event, f"number {event.seq} is older than number {latest.seq}")
            if latest is None or event.time > latest.time:
                latest = event
        lowest = life[0]
        self._find_gaps(life, owners, lowest.seq + (not lowest.owns) if start is None else start)
        self._count_again(life, owners)

    def _find_gaps(self, life: Sequence[ObjectEvent], owners: Mapping[int, ObjectEvent], start: int) -> None:
        """Find numbers that no line has, from this one on.

        A call that was denied after it was counted has been taken out again, which has a number and no line.
        """
        moved = {event.seq for event in life if (event.added or event.noted) and event.repeated}
        withdrawn = {event.seq for event in life if event.withdrawn}
        numbers = {event.seq for event in life} | {seq for seq in self.others if seq <= life[-1].seq}
        lacking: list[tuple[int, int]] = []
        released = 0
        expected = start
        for seq in sorted(number for number in numbers if number >= start):
            taken = min(released, seq - expected)
            released -= taken
            if expected + taken < seq:
                lacking.append((expected + taken, seq - 1))
            expected = seq + 1
            if seq in self.releases:
                if not released and lacking:
                    # It took out a call of which no line says the number, since it was counted again later.
                    first, last = lacking.pop()
                    lacking += [(first, last - 1)] if first < last else []
                released = max(released - 1, 0)
            elif seq in owners:
                released += owners[seq].withdrawn
            elif seq in withdrawn:
                released += 1
            elif seq not in self.others and seq not in moved:
                lacking.append((seq, seq))
        for first, last in _joined(lacking):
            said = f"no line has number {first}" if first == last else f"no line has the numbers {first} to {last}"
            self.findings.append(HistoryFinding(HistoryCode.GAP, self.name, said))

    def _count_again(self, life: Sequence[ObjectEvent], owners: Mapping[int, ObjectEvent]) -> None:
        """Compare the numbers of each line with what the lines before make of them."""
        self._lines, self._ever, self._lost, self._taken = {}, {}, 0, Counter()
        last = life[0].seq
        for event in life:
            lost = event.seq - last - (event.seq in owners) if event.seq > last else 0
            last = event.seq
            self._lost += lost
            for mention in event.mentions:
                self._check_mention(event, mention)

    def _check_mention(self, event: ObjectEvent, mention: HistoryMention) -> None:
        key = (mention.name if mention.history is None else "", mention.definition)
        counted = self._counts(key)
        if (mention.age is None and mention.number > 1) or (mention.age is not None and not mention.number):
            age = "no age" if mention.age is None else "an age"
            self._contradict(event, f"{mention.name} has a count of {mention.number} and {age}")
        most = self._most(event, mention, counted)
        if most is not None and mention.number > most and not event.later:
            self._contradict(event, f"{mention.name} has a count of {mention.number}, and it can be {most} at most")
        own = event.owns and mention.added
        if counted is not None and mention.history is not None:
            least = counted.standing(mention.history, event.time) + (own and counts_at_once(mention.history))
            if mention.number < least and not event.withdrawn:
                self._contradict(event, f"{mention.name} has a count of {mention.number}; {least} calls stand in it")
        if own:
            if counted is not None and counted.before is not None and not event.later:
                self._compare(event, mention, *counted.before)
            self._take(event, mention, key)

    def _counts(self, key: tuple[str, str]) -> _LineCounts | None:
        """Return what is known of a definition by now."""
        counted = self._lines.get(key)
        if counted is not None:
            counted.catch_up(self._lost, self._taken[key[0]])
        return counted

    def _most(self, event: ObjectEvent, mention: HistoryMention, counted: _LineCounts | None) -> int | None:
        """Return what a count can be at most: one more than before, also where the call was not counted after all.

        None: it is not known, since an event may count many calls of a history in which no decision counts.
        """
        if counted is not None:
            return min(event.seq + 1, counted.most + 1)
        if not mention.added:
            return None
        if mention.history is None and mention.name in self._ever:
            return min(event.seq + 1, self._ever[mention.name] + self._lost + 1)
        return event.seq if event.owns else None

    def _take(self, event: ObjectEvent, mention: HistoryMention, key: tuple[str, str]) -> None:
        """Take note of a call that was counted."""
        self._taken[mention.name] += 1
        if (same := self._lines.get((mention.name, key[1]))) is not None:
            # Its own calls are no others.
            same.taken += 1
        counted = self._counts(key) or _LineCounts(event.seq - 1, self._lost, self._taken[key[0]])
        self._lines[key] = counted
        counted.most = counted.most + 1 if event.later else mention.number
        # All events before the first line of it may have been calls of another definition with this name.
        ever = self._ever.get(mention.name, event.seq - 1 - self._lost)
        self._ever[mention.name] = max(ever + 1, counted.most - self._lost)
        counted.before = None if event.later else (event, mention)
        if mention.history is not None and counts_at_once(mention.history):
            insort(counted.times, event.time)

    def _compare(self, event: ObjectEvent, mention: HistoryMention, before: ObjectEvent, said: HistoryMention) -> None:
        """Compare with the line before, where nothing was counted in between."""
        name = mention.name
        if (mention.total is None) != (said.total is None):
            self._contradict(event, f"{name} has a sum in one line and none in another")
        elif mention.number == said.number + 1 and (mention.total or 0) < (said.total or 0):
            self._contradict(event, f"the sum of {name} is less than before, and no call has dropped out")
        passed = event.time - before.time
        if mention.age is not None and abs(mention.age - passed) > CLOCKS:
            self._contradict(event, f"the age of {name} is {mention.age}, and {passed:.0f} seconds have passed")

    def _check_deletion(self, before: ObjectLife, after: ObjectLife) -> None:
        """Find an object that began again while a window still held calls, so that limits were lifted."""
        first = after.owners[0]
        for event in before.owners:
            for mention in event.mentions:
                history = mention.history
                if history is not None and mention.added and event.time > _certain_from(history, first.time):
                    self._contradict(first, f"the numbers go back while {mention.name} still holds calls")
                    return

    def _contradict(self, event: ObjectEvent, said: str) -> None:
        if event.place not in self.doubted:
            self.findings.append(HistoryFinding(HistoryCode.CONTRADICTED, self.name, said, event.place))
        self.doubted.add(event.place)


def _certain_from(history: CompiledHistory, now: float) -> float:
    """Return the time since which each call certainly stands in a window, however far the clocks are apart."""
    window = history.window
    if isinstance(window, CalendarWindow):
        return period_start(window, int((now + CLOCKS) * 1000)) / 1000 + CLOCKS
    return now - window.milliseconds / 1000 + 2 * CLOCKS


def _gone_before(history: CompiledHistory, now: float) -> float:
    """Return the time before which each call is certainly out of a window."""
    window = history.window
    if isinstance(window, CalendarWindow):
        return period_start(window, int((now - CLOCKS) * 1000)) / 1000 - CLOCKS
    return now - (window.milliseconds + slot_length(window)) / 1000 - 2 * CLOCKS


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges, neighbours as one."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and found[-1][1] + 1 == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def spelled(place: tuple[str, int]) -> str:
    """Return a line by its number and its chain."""
    return f"line {place[1]} of chain {place[0]}"
