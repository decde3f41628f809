"""The tally of a replay: how much of a log counts, and what came of it by subject, action and class.

Standing: under `gate` and `view`. Holds: its memory is bounded, however many subjects and days a log has, and however
long their names are; what is beyond the bound is still counted in the classes.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from bailiwick_api import times
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_engine import keys
from bailiwick_evidence.replay.outcomes import (
    CHANGES,
    Hindrance,
    ReplayClass,
    ReplayOutcome,
    ReplaySide,
    not_replayable,
)

SAMPLES: Final = 3
MOST_GROUPS: Final = 20_000
MOST_DAYS: Final = 20_000
LONGEST: Final = 512
"""So many characters of a text are kept. A call can name a resource of a MiB."""
_SHOWN: Final = 400
_DIGITS: Final = 32
_OTHERS: Final = "(others)"
_ASKS: Final = frozenset({ReplayClass.ALLOW_APPROVAL, ReplayClass.DENY_APPROVAL})
_COUNTED: Final = CHANGES | {ReplayClass.UNCHANGED}


class ReplayGroup(NamedTuple):
    """Of whom, what and with which class so many records are."""

    subject: str
    action: str
    code: str


class ReplaySample(NamedTuple):
    """One record with what either side says of it. `order`: the number of its line among all lines that were read."""

    evaluation_id: str
    time: str
    resource: str
    old: ReplaySide | None
    news: tuple[ReplaySide, ...]
    order: int = 0


@dataclass(slots=True)
class ReplayTally:
    """Counts. `elsewhere`: decisions of endpoints of which the candidate says nothing; they are not in `total`.

    `may`: of MAYBE, how often each class is possible; `possible`: which are, by group. `asked`: new approvals by day
    and step. `foreign`: lines in no chain that look like no record. `others`: decisions of another version of the
    engine, or of one that is not known.
    """

    codes: Counter[str] = field(default_factory=Counter)
    groups: Counter[ReplayGroup] = field(default_factory=Counter)
    samples: dict[ReplayGroup, list[ReplaySample]] = field(default_factory=dict)
    may: Counter[ReplayClass] = field(default_factory=Counter)
    possible: dict[ReplayGroup, frozenset[ReplayClass]] = field(default_factory=dict)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    elsewhere: int = 0
    foreign: int = 0
    others: int = 0
    first: float | None = None
    last: float | None = None
    old_ns: int = 0
    new_ns: int = 0

    @property
    def total(self) -> int:
        """How many decisions could have been replayed."""
        return self.codes.total()

    @property
    def replayed(self) -> int:
        """How many were, so that their class is certain."""
        return sum(self.codes[kind] for kind in _COUNTED)

    @property
    def sealed(self) -> int:
        """How many depend on a value that is sealed."""
        return self.codes[ReplayClass.MAYBE] + self.codes[not_replayable(Hindrance.SEALED).code]

    @property
    def hindered(self) -> int:
        """How many could not be replayed, for whichever reason: they are no evidence."""
        return self.total - self.replayed - self.codes[ReplayClass.MAYBE]

    @property
    def slowdown(self) -> float | None:
        """How many times as long the candidate takes; None where nothing was measured."""
        return self.new_ns / self.old_ns if self.old_ns else None

    def count(self, kind: ReplayClass) -> int:
        """Return of how many records this is the class, or may be."""
        return self.codes[kind] + self.may[kind]

    def unread(self, count: int) -> None:
        """Count lines that cannot be read, of which each may be a decision."""
        if count:
            self.codes[not_replayable(Hindrance.UNREADABLE).code] += count

    @property
    def overflowed(self) -> bool:
        """Whether there was no room for all groups or days, so that it depends on the order which of them are here."""
        return any(group.subject == _OTHERS for group in self.groups) or (_OTHERS, _OTHERS) in self.asked

    def join(self, other: "ReplayTally") -> None:
        """Add what another process counted, of other chains. Its samples are put in the order of the lines."""
        self.codes.update(other.codes)
        self.groups.update(other.groups)
        self.may.update(other.may)
        self.asked.update(other.asked)
        for group, kinds in other.possible.items():
            self.possible[group] = self.possible.get(group, frozenset()) | kinds
        for group, samples in other.samples.items():
            both = sorted([*self.samples.get(group, ()), *samples], key=lambda one: one.order)
            self.samples[group] = both[:SAMPLES]
        self.elsewhere += other.elsewhere
        self.others += other.others
        self.old_ns += other.old_ns
        self.new_ns += other.new_ns
        self._span(other.first)
        self._span(other.last)

    def add(self, record: Mapping[str, Any], outcome: ReplayOutcome, order: int = 0) -> None:
        """Count a record. `order`: the number of its line."""
        code = outcome.code
        self.codes[code] += 1
        now = record.get("now")
        if times.is_moment(now):
            self._span(now)
        self.old_ns += outcome.old_ns
        self.new_ns += outcome.new_ns
        group = ReplayGroup(_kept_text(_subject(record)), _kept_text(str(record.get("action"))), code)
        if group not in self.groups and len(self.groups) >= MOST_GROUPS:
            group = ReplayGroup(_OTHERS, _OTHERS, code)
        self.groups[group] += 1
        if outcome.kind is ReplayClass.UNCHANGED:
            return
        if outcome.kind is ReplayClass.MAYBE:
            self.may.update(outcome.may)
            self.possible[group] = self.possible.get(group, frozenset()) | outcome.may
        if outcome.kind in _ASKS and times.is_moment(now):
            self._ask(datetime.fromtimestamp(now, UTC).date().isoformat(), outcome.news[0].steps)
        kept = self.samples.setdefault(group, [])
        if len(kept) < SAMPLES:
            kept.append(_sample(record, outcome, order))

    def _span(self, now: float | None) -> None:
        if now is not None:
            self.first = now if self.first is None or now < self.first else self.first
            self.last = now if self.last is None or now > self.last else self.last

    def _ask(self, day: str, steps: tuple[str, ...]) -> None:
        for step in steps:
            key = (day, step)
            if key not in self.asked and len(self.asked) >= MOST_DAYS:
                key = (_OTHERS, _OTHERS)
            self.asked[key] += 1


def _sample(record: Mapping[str, Any], outcome: ReplayOutcome, order: int) -> ReplaySample:
    resource = record.get("resource")
    named = f"{resource.get('type')}/{resource.get('id')}" if isinstance(resource, dict) else ""
    evaluation, time = (_kept_text(str(record.get(member))) for member in ("evaluation_id", "time"))
    return ReplaySample(evaluation, time, _kept_text(named), outcome.old, outcome.news, order)


def _kept_text(text: str) -> str:
    """Return a text, or of a long one its beginning and its hash, so that no two of them are alike."""
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    return f"{text[:_SHOWN]}… ({len(text):,} characters, sha256:{digest})"


def _subject(record: Mapping[str, Any]) -> str:
    """Return whom a call is for, as people write it."""
    subject = record.get("subject")
    if not isinstance(subject, dict):
        return "(not proven)"
    name, issuer = str(subject.get("id")), subject.get("issuer")
    if ServiceAccountName.parse(name) is not None:
        return keys.label(keys.service_account(name))
    return keys.label(
        keys.user(issuer, name) if isinstance(issuer, str) else keys.entity(str(subject.get("type")), name)
    )
