"""Lines as they stand in files, each with its file and number: those of chains, and long ones that chains have by hash.

Standing: over `longlines`, for readers that show where something stands and judge nothing. Holds: a long line is the
line of each number whose `hash` line names it, as for the audit, whichever of the two stands first. What is in no chain
is yielded too, at the end where it may still have been named.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from bailiwick_evidence.audit.lines import ChainLine, is_chain_beginning, is_json, parse_line, whole
from bailiwick_evidence.audit.longlines import LONG, LongLines, LongText, looks_like_decision
from bailiwick_evidence.chain import ChainLink

_HASH: Final = b'"kind":"hash"'
_WITHIN: Final = 320
_KEPT: Final = 256
"""So much is kept of a line that may still be named."""
_MOST_WAITING: Final = 10_000


class PlacedLine(NamedTuple):
    """A line of a file. `line`: what it is in a chain; None: it is in none.

    `decision`: it looks like the record of one. `lost`: it is a hash, and the line that it stands for is not here, or
    was not read.
    """

    file: str
    number: int
    text: bytes
    line: ChainLine | None
    decision: bool = False
    lost: bool = False


class PlacedLines:
    """Finds the lines of chains in files. `count`: how many lines there were, those without a byte left out."""

    def __init__(self) -> None:
        self.count = 0
        self._long = LongLines()
        # By digest, long lines that no hash names so far; and by number, hashes whose lines did not come so far.
        self._unnamed: dict[str, list[PlacedLine]] = {}
        self._lacking: dict[ChainLink, PlacedLine] = {}

    def read(self, lines: Iterable[tuple[str, int, bytes]]) -> Iterator[PlacedLine]:
        """Yield what lines are, each with its file and its number. A line can be that of several numbers."""
        for file, number, text in lines:
            if text:
                self.count += 1
                yield from self._take(PlacedLine(file, number, text, whole(text)))
        for waiting in self._unnamed.values():
            yield from waiting
        yield from self._lacking.values()

    def _take(self, one: PlacedLine) -> Iterator[PlacedLine]:
        text = one.text
        if one.line is not None:
            yield one
            if _HASH in text[:_WITHIN]:
                yield from self._take_hash(one, one.line.link)
        elif len(text) >= LONG and not is_chain_beginning(text) and is_json(text):
            yield from self._take_long(one)
        else:
            yield one._replace(decision=looks_like_decision(text))

    def _take_hash(self, one: PlacedLine, link: ChainLink) -> Iterator[PlacedLine]:
        members = parse_line(one.text)
        if members.get("kind") != "hash":
            return
        digest = members.get("sha256")
        named = digest if isinstance(digest, str) else ""
        text = self._long.name(named, link)
        self._unnamed.pop(named, None)
        if text is not None:
            yield one._replace(text=text, line=ChainLine(link, text))
        else:
            self._lacking[link] = one._replace(line=None, lost=True)

    def _take_long(self, one: PlacedLine) -> Iterator[PlacedLine]:
        made = LongText()
        made.add(one.text)
        long = made.line()
        known = self._long.is_named(long.digest)
        for link in self._long.take(long):
            self._lacking.pop(link, None)
            yield one._replace(line=ChainLine(link, one.text))
        if known:
            return
        left = one._replace(text=one.text[:_KEPT], decision=long.decision)
        if len(self._unnamed) < _MOST_WAITING:
            self._unnamed.setdefault(long.digest, []).append(left)
        else:
            yield left
