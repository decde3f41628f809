"""The lines of ledgers about grants, as text, of which one counts for each grant.

Standing: under `logaudit`, for commands that ask how grants ended; no other keeps them. Holds: what a witness has seen
comes before what no witness has, and it is known only once all is read.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bailiwick_evidence.audit.lines import ChainLine, parse_line


class GrantLine(NamedTuple):
    """A line about a grant. `seen`: a witness has seen it."""

    grant: str
    text: bytes
    seen: bool

    @property
    def members(self) -> Mapping[str, Any]:
        """What it says."""
        return parse_line(self.text)


class GrantLines:
    """Collects lines. They are kept as they stand there: what they say takes several times as much memory."""

    def __init__(self) -> None:
        self._lines: dict[str, list[ChainLine]] = {}

    def add(self, line: ChainLine, members: Mapping[str, Any]) -> None:
        """Add a line about a grant, with what it says."""
        self._lines.setdefault(f"{members.get('namespace')}/{members.get('name')}", []).append(line)

    def last(self, witnessed: Mapping[str, int]) -> Iterator[GrantLine]:
        """Yield the last line about each grant: of those that a witness has seen, if it has seen any.

        `witnessed`: by chain, how many of its lines. The chain that was read last stands last.
        """
        for grant, lines in self._lines.items():
            ordered = _in_order(lines)
            seen = [line for line in ordered if line.link.seq < witnessed.get(line.link.id, 0)]
            yield GrantLine(grant, (seen or ordered)[-1].text, bool(seen))


def _in_order(lines: list[ChainLine]) -> list[ChainLine]:
    """Return lines in the order of their chains; the chain whose line was read last stands last."""
    read = {line.link.id: number for number, line in enumerate(lines)}
    return sorted(lines, key=lambda line: (read[line.link.id], line.link.seq))
