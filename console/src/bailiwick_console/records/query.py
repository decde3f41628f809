"""Which decisions are asked for, and what of a record a list shows.

Holds: pure; a record of any shape is shown, with what it says or that it does not say it; a filter that cannot be read
is an error, and never one that lets everything through.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from bailiwick_api import times
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_governance.arguments import moment
from bailiwick_governance.errors import UserError

UNSAID: Final = "(not said)"
VERDICTS: Final = ("allow", "deny")
_MOST: Final = 512


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """What a person asks for: letters that texts have, a verdict or a reason as a whole, and times.

    An empty text asks for nothing. Raises `UserError` where one cannot be read.
    """

    endpoint: str = ""
    subject: str = ""
    action: str = ""
    resource: str = ""
    verdict: str = ""
    reason: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> "RecordQuery":
        """Read the query of an address."""
        found = cls(**{one.name: given.get(one.name, "").strip() for one in fields(cls)})
        if long := [name for name, text in found.words.items() if len(text) > _MOST]:
            raise UserError(f"{', '.join(long)}: give at most {_MOST} characters")
        if found.verdict not in {"", *VERDICTS}:
            raise UserError(f"verdict: {found.verdict!r} is not a verdict: choose one of {', '.join(VERDICTS)}")
        found.window()
        return found

    def window(self) -> tuple[float | None, float | None]:
        """Return the times between which decisions are asked for, in seconds since the epoch. Raises `UserError`."""
        begin = moment(self.since, "from") if self.since else None
        end = moment(self.until, "until") if self.until else None
        return begin, end

    @property
    def words(self) -> dict[str, str]:
        """What is asked for, by name, for an address."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: text for name, text in named.items() if text}


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A decision as a list shows it. `moment`: in seconds since the epoch; None: the record does not say."""

    moment: float | None
    chain: str
    seq: int
    endpoint: str
    subject: str
    action: str
    resource: str
    verdict: str
    reason: str
    rule: str

    @classmethod
    def of(cls, line: ChainLine, record: Mapping[str, Any]) -> "ListedRecord":
        """Return what a list shows of a record."""
        resource, policy = record.get("resource"), record.get("policy")
        decision = record.get("decision")
        return cls(
            moment=_moment(record),
            chain=line.link.id,
            seq=line.link.seq,
            endpoint=_text(record.get("endpoint")),
            subject=_member(record.get("subject"), "id"),
            action=_text(record.get("action")),
            resource=f"{_member(resource, 'type')}/{_member(resource, 'id')}",
            verdict=VERDICTS[0] if decision is True else VERDICTS[1] if decision is False else UNSAID,
            reason=_text(record.get("reason")),
            rule="" if policy is None else f"{_member(policy, 'name')}/{_member(policy, 'rule')}",
        )

    @property
    def time(self) -> str:
        """When it was decided, in words."""
        return UNSAID if self.moment is None else times.epoch_stamp(self.moment)

    @property
    def letters(self) -> int:
        """How many letters it has."""
        texts = (self.endpoint, self.subject, self.action, self.resource, self.reason, self.rule)
        return sum(map(len, texts))

    @property
    def order(self) -> tuple[float, str, int]:
        """By which the newest is the greatest."""
        return (float("-inf") if self.moment is None else self.moment, self.chain, self.seq)


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """A query, ready to be held against many records."""

    asked: RecordQuery
    begin: float | None
    end: float | None

    @classmethod
    def of(cls, asked: RecordQuery) -> "RecordFilter":
        """Make it ready."""
        return cls(asked, *asked.window())

    def takes(self, one: ListedRecord) -> bool:
        """Tell whether a record is asked for. One without a time is in no window."""
        asked = self.asked
        if (self.begin, self.end) != (None, None):
            if one.moment is None:
                return False
            if (self.begin is not None and one.moment < self.begin) or (self.end is not None and one.moment > self.end):
                return False
        if asked.verdict not in {"", one.verdict} or asked.reason not in {"", one.reason}:
            return False
        return (
            asked.endpoint in one.endpoint
            and asked.subject in one.subject
            and asked.action in one.action
            and asked.resource in one.resource
        )


def _moment(record: Mapping[str, Any]) -> float | None:
    now = record.get("now")
    if isinstance(now, int | float) and not isinstance(now, bool) and 0 <= now < _LATEST:
        return float(now)
    time = times.parse_time(record.get("time"))
    return None if time is None else time.timestamp()


# The year 9999, behind which there are no dates.
_LATEST: Final = 253_402_300_799


def _member(value: object, name: str) -> str:
    return _text(value.get(name)) if isinstance(value, Mapping) else UNSAID


def _text(value: object) -> str:
    if value is None:
        return UNSAID
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
