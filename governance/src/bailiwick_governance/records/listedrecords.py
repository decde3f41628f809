"""A decision on record as a list or a report shows it.

Standing: under the console's lists and `audit report`. Holds: pure; a record of any shape is shown, with what it says
or that it does not say it. Nothing is escaped yet.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api import times
from bailiwick_engine.reasonrow import Disposition
from bailiwick_engine.reasons import EXPLAINED
from bailiwick_evidence.audit.lines import ChainLine

UNSAID: Final = "(not said)"
VERDICTS: Final = ("allow", "deny")
ALLOWED: Final = "allowed"
ASKED: Final = "asked"
"""Denied until somebody approves it."""
DENIED: Final = "denied"
OUTCOMES: Final = (ALLOWED, ASKED, DENIED)
_ASKED: Final = frozenset(reason.value for reason, row in EXPLAINED.items() if row.disposition is Disposition.CHALLENGE)


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
    def from_line(cls, line: ChainLine, record: Mapping[str, Any]) -> "ListedRecord":
        """Return what a list shows of a record."""
        resource, policy = record.get("resource"), record.get("policy")
        decision = record.get("decision")
        return cls(
            moment=moment_of(record),
            chain=line.link.id,
            seq=line.link.seq,
            endpoint=text_of(record.get("endpoint")),
            subject=member_of(record.get("subject"), "id"),
            action=text_of(record.get("action")),
            resource=f"{member_of(resource, 'type')}/{member_of(resource, 'id')}",
            verdict=VERDICTS[0] if decision is True else VERDICTS[1] if decision is False else UNSAID,
            reason=text_of(record.get("reason")),
            rule="" if policy is None else f"{member_of(policy, 'name')}/{member_of(policy, 'rule')}",
        )

    @property
    def time(self) -> str:
        """When it was decided, in words."""
        return UNSAID if self.moment is None else times.epoch_stamp(self.moment)

    @property
    def outcome(self) -> str:
        """What became of the call: one of `OUTCOMES`. What no reader can tell to be an allow is denied."""
        if self.verdict == VERDICTS[0]:
            return ALLOWED
        return ASKED if self.reason in _ASKED else DENIED

    @property
    def letters(self) -> int:
        """How many letters it has."""
        texts = (self.endpoint, self.subject, self.action, self.resource, self.reason, self.rule)
        return sum(map(len, texts))

    @property
    def order(self) -> tuple[float, str, int]:
        """By which the newest is the greatest."""
        return (float("-inf") if self.moment is None else self.moment, self.chain, self.seq)


def moment_of(record: Mapping[str, Any]) -> float | None:
    """Return when a decision was made, in seconds since the epoch; None: the record does not say."""
    now = record.get("now")
    if times.is_moment(now):
        return float(now)
    time = times.parse_time(record.get("time"))
    return None if time is None else time.timestamp()


def member_of(value: object, name: str) -> str:
    """Return a member as `text_of` has it; of what has no members, that it is not said."""
    return text_of(value.get(name)) if isinstance(value, Mapping) else UNSAID


def text_of(value: object) -> str:
    """Return a value of a record as a text, or that it is not said."""
    if value is None:
        return UNSAID
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        # A line may nest deeper than this writer of JSON does.
        return UNSAID
