"""What is found out about a chain, in words and codes that are stable.

Standing: under `judgement`, which makes them, and the command line, which prints them. Holds: nothing says that nobody
tampered; the best that is said is what can be told, and up to when.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FindingCode(StrEnum):
    """What became of a chain, or of a part of it."""

    TRUNCATED = "truncated"
    """The last lines that somebody saw are not here."""
    GAP = "gap"
    """Lines are not here that stand before others."""
    ALTERED = "altered"
    """A line is not as it was written."""
    FORKED = "forked"
    """Two lines have one number."""
    MISSING = "missing"
    """A witness saw the chain, and no line of it is here."""
    UNKNOWN = "unknown"
    """Lines of the chain are here, and no witness saw it."""
    FORGED = "forged"
    """A checkpoint has the cosignature of a witness, but not the signature of the process."""
    CONTRADICTED = "contradicted"
    """A process signed, or a witness cosigned, two checkpoints that cannot both be true."""
    TAIL = "tail"
    """Lines stand after the last cosignature: of these nothing can be told."""
    REMOVED = "removed"
    """Lines are not here, and the hashes that were kept of them prove that nothing else is missing."""
    BRIEF = "brief"
    """The chain was over before a witness asked for the first time."""
    UNCLOSED = "unclosed"
    """The chain has no line that closes it: the process was killed, or still runs."""
    STALE = "stale"
    """The last cosignature is long before the last line, or before what others wrote or cosigned."""
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
"""What an honest process and an honest witness do not leave behind."""


@dataclass(frozen=True, slots=True)
class LogFinding:
    """One of them, in a sentence. `first` and `last`: the numbers of the lines, where it is of lines."""

    code: FindingCode
    said: str
    first: int | None = None
    last: int | None = None

    @property
    def bad(self) -> bool:
        """Whether the log is not what it was."""
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
    """What is known of one chain. Times in seconds since the epoch; `witnessed`: lines at the last cosignature.

    `removed`: how many lines were removed, whose leaves are here. `pod`: where the process ran, as far as anybody says.
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

    @property
    def intact(self) -> bool:
        """Whether nothing was removed or changed of what a witness saw."""
        return not any(found.bad or found.code is FindingCode.BRIEF for found in self.findings)

    @property
    def bad(self) -> bool:
        """Whether there is something that must be looked at."""
        return any(found.bad for found in self.findings)

    @property
    def whole(self) -> bool:
        """Whether a witness saw all of it, to its end: nothing can be added or taken away any more."""
        return self.intact and self.closed and self.witnessed == self.lines + self.removed
