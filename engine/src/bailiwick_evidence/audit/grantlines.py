"""The lines of ledgers about grants, as text, of which one counts for each grant.

Standing: under `logaudit`, for commands that ask how grants ended; no other keeps them. Holds: what a witness has seen
comes before what no witness has, and it is known only once all is read.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.chain import ChainLink


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
            read = {line.link.id: number for number, line in enumerate(lines)}

            def order(link: ChainLink, read: Mapping[str, int] = read) -> tuple[int, int]:
                return read[link.id], link.seq

            seen = [line for line in lines if line.link.seq < witnessed.get(line.link.id, 0)]
            yield GrantLine(grant, max(seen or lines, key=lambda line: order(line.link)).text, bool(seen))
