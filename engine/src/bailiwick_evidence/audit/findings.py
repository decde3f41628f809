"""The findings of an audit about a chain, with stable codes.

Standing: under `judgement`, which makes them, and the command line, which prints them. Holds: no finding claims that a
log was not tampered with; a report only says what is proven, and up to which time.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FindingCode(StrEnum):
    """The state of a chain, or of a part of it."""

    TRUNCATED = "truncated"
    """The last lines that a witness or another chain saw are missing."""
    GAP = "gap"
    """Lines before others are missing."""
    ALTERED = "altered"
    """A line differs from what was written."""
    FORKED = "forked"
    """Two lines have the same number."""
    MISSING = "missing"
    """A witness saw the chain, but all of its lines are missing."""
    UNKNOWN = "unknown"
    """Lines of the chain are here, but no witness saw it."""
    FORGED = "forged"
    """A checkpoint has the cosignature of a witness, but not the signature of the process."""
    CONTRADICTED = "contradicted"
    """A process signed, or a witness cosigned, two checkpoints that contradict each other, or the keys of two clusters
    cosigned the chain."""
    TAIL = "tail"
    """There are or were lines after the last cosignature, which cannot be verified."""
    REMOVED = "removed"
    """Lines are missing, and their kept hashes prove that nothing else is missing."""
    BRIEF = "brief"
    """The chain ended before a witness first polled the process."""
    UNCLOSED = "unclosed"
    """The chain has no line that closes it: the process was killed, or still runs."""
    STALE = "stale"
    """The last cosignature is much older than the last line, or than lines and cosignatures of other chains."""
    AHEAD = "ahead"
    """A cosignature is from the future: its time does not count."""
    LOST = "lost"
    """The process says that it could not write all of its records."""


BAD: Final = frozenset(
    {
        FindingCode.TRUNCATED,
        FindingCode.GAP,
        FindingCode.ALTERED,
        FindingCode.FORKED,
        FindingCode.MISSING,
        FindingCode.UNKNOWN,
        FindingCode.FORGED,
        FindingCode.CONTRADICTED,
    }
)
"""Findings that an honest process and an honest witness never cause."""


@dataclass(frozen=True, slots=True)
class LogFinding:
    """A finding with its sentence. `first` and `last`: the numbers of the lines, if it is about lines."""

    code: FindingCode
    said: str
    first: int | None = None
    last: int | None = None

    @property
    def bad(self) -> bool:
        """Whether the finding shows that the log was changed."""
        return self.code in BAD

    @property
    def place(self) -> str:
        """Return the code with the numbers of the lines."""
        if self.first is None:
            return self.code.value
        if self.first == self.last:
            return f"{self.code} at {self.first}"
        return f"{self.code} {self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The report on one chain. Times in seconds since the epoch; `witnessed`: lines at the last cosignature.

    `removed`: how many lines were removed whose leaves are here. `pod`: where the process ran, if a line or entry says.
    `cluster`: the one whose key cosigned it, where the keys name clusters; None: no cluster's, or several did.
    """

    chain: str
    lines: int
    witnessed: int | None
    upto: int | None
    findings: tuple[LogFinding, ...]
    repeated: int = 0
    torn: int = 0
    began: float | None = None
    ended: float | None = None
    closed: bool = False
    pod: str | None = None
    removed: int = 0
    cluster: str | None = None

    @property
    def intact(self) -> bool:
        """Whether no line that a witness saw was removed or changed."""
        return not any(found.bad or found.code is FindingCode.BRIEF for found in self.findings)

    @property
    def bad(self) -> bool:
        """Whether a person must look at the chain."""
        return any(found.bad for found in self.findings)

    def rank(self) -> tuple[bool, float, str]:
        """Return by what reports are ordered: what is bad first, then by time."""
        return not self.bad, self.began or 0.0, self.chain

    @property
    def whole(self) -> bool:
        """Whether a witness saw all of it, to its end: a line that is added or removed later is noticed."""
        return self.intact and self.closed and self.witnessed == self.lines + self.removed
