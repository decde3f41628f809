"""Which decisions are asked for.

Holds: pure; a filter that cannot be read is an error, and never one that lets everything through.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from bailiwick_governance.arguments import moment
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.listedrecords import VERDICTS, ListedRecord

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
