"""Lines that are too long for an entry of a log: their chains have only their hashes, and they stand in no chain.

Standing: under `lines`, which finds them, and `logaudit`. Holds: such a line is the line of each number whose `hash`
line names it, whichever of the two stands first and in whichever file. Memory and work are bounded: a text gives way to
later ones, and a copy is read for a few numbers only. A number for which it was not read is reported.
"""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from bailiwick_evidence.chain import MOST_BYTES, ChainLink

LONG: Final = MOST_BYTES - 512
"""No process writes a line outside of its chain that is shorter."""
MOST_TEXT: Final = 8 << 20
"""The longest line that is read. What a call can put into a record is bounded by its body, which has a MiB at most."""
_MOST_TEXTS: Final = 16 << 20
"""How much text is kept for `hash` lines that stand behind it, in another file for example."""
_MOST_READ: Final = 8
"""For how many numbers one copy is read. A process writes one for each, and strangers can name the same hash."""
_HEAD: Final = 2 * MOST_BYTES
_DECISIONS: Final = (b'"kind":"evaluation"', b'"kind": "evaluation"', b'"kind":"request"', b'"kind": "request"')


class LongLine(NamedTuple):
    """A line that is too long for a chain. `digest`: its SHA-256, in hexadecimal. `text` None: it is too long to read.

    `decision`: it looks like the record of one.
    """

    digest: str
    text: bytes | None
    decision: bool


class LackingLines(NamedTuple):
    """The numbers of a chain that have a hash and no line: it is not here (`missing`), or was not read (`unread`)."""

    missing: tuple[int, ...] = ()
    unread: tuple[int, ...] = ()


NOTHING_LACKS: Final = LackingLines()


class LongText:
    """A long line while it is read, in pieces: all of it, or its beginning and its hash."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._text = bytearray()
        self._whole = True

    @property
    def text(self) -> bytes | None:
        """All of it; None: it is too long to read."""
        return bytes(self._text) if self._whole else None

    @property
    def beginning(self) -> bytes:
        """As much of it as is kept."""
        return bytes(self._text)

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._hash.update(piece)
        if self._whole:
            self._text += piece
            if len(self._text) > MOST_TEXT:
                self._whole = False
                del self._text[_HEAD:]

    def line(self) -> LongLine:
        """Return what it is."""
        return LongLine(self._hash.hexdigest(), self.text, looks_like_decision(self._text))


def looks_like_decision(line: bytes | bytearray) -> bool:
    """Tell, without parsing it, that a line looks like the record of a decision."""
    return any(kind in line for kind in _DECISIONS)


class LongLines:
    """Brings long lines and the `hash` lines of all chains together."""

    def __init__(self) -> None:
        # Each by its digest. `outside`: copies that no `hash` line names, and whether they look like decisions.
        self._outside: dict[str, tuple[int, bool]] = {}
        self._named: set[str] = set()
        self._seen: set[str] = set()
        self._lacking: dict[str, list[ChainLink]] = {}
        # The oldest first, and for how many numbers each may still be read.
        self._texts: dict[str, bytes] = {}
        self._left: dict[str, int] = {}
        self._size = 0

    @property
    def outside(self) -> int:
        """How many long lines are in no chain, not even by their hash."""
        return sum(count for count, _ in self._outside.values())

    @property
    def outside_decisions(self) -> int:
        """How many of them look like the record of a decision."""
        return sum(count for count, decision in self._outside.values() if decision)

    @property
    def unread(self) -> int:
        """How many numbers have a hash, and a line that is not here or was not read."""
        return sum(map(len, self._lacking.values()))

    def is_named(self, digest: str) -> bool:
        """Tell whether a `hash` line so far names a line with this digest."""
        return digest in self._named

    def name(self, digest: str, link: ChainLink) -> bytes | None:
        """Take a `hash` line; returns the line that it stands for, if that was read before."""
        self._named.add(digest)
        if self._outside.pop(digest, None) is not None:
            self._seen.add(digest)
        if (text := self._texts.get(digest)) is None or not self._left[digest]:
            self._lacking.setdefault(digest, []).append(link)
            return None
        self._left[digest] -= 1
        return text

    def take(self, line: LongLine) -> list[ChainLink]:
        """Take a long line; returns the numbers that it is the line of, by the `hash` lines before it."""
        digest = line.digest
        if digest in self._named:
            self._seen.add(digest)
        else:
            count, decision = self._outside.get(digest, (0, line.decision))
            self._outside[digest] = (count + 1, decision)
        if line.text is None:
            return []
        # The latest ones: a process writes the hash and then the line.
        waiting = self._lacking.get(digest, [])
        links = waiting[-_MOST_READ:]
        del waiting[-_MOST_READ:]
        if not waiting:
            self._lacking.pop(digest, None)
        self._keep(digest, line.text, _MOST_READ - len(links))
        return links

    def wanted(self) -> frozenset[str]:
        """Return the digests of the lines that are not here."""
        return frozenset(self._lacking.keys() - self._seen)

    def lacking(self) -> Mapping[str, LackingLines]:
        """Return, by chain, what is missing and what was not read."""
        found: dict[str, tuple[list[int], list[int]]] = {}
        for digest, links in self._lacking.items():
            for link in links:
                found.setdefault(link.id, ([], []))[digest in self._seen].append(link.seq)
        return {chain: LackingLines(tuple(sorted(gone)), tuple(sorted(left))) for chain, (gone, left) in found.items()}

    def _keep(self, digest: str, text: bytes, left: int) -> None:
        """Keep a text for `hash` lines that follow, as the newest one."""
        if (before := self._texts.pop(digest, None)) is not None:
            self._size -= len(before)
        self._texts[digest] = text
        self._left[digest] = left
        self._size += len(text)
        while self._size > _MOST_TEXTS:
            oldest = next(iter(self._texts))
            self._size -= len(self._texts.pop(oldest))
            del self._left[oldest]
