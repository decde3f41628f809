"""The lines of chains in files and streams, also torn lines, and lines that were cut in two.

Standing: under `logaudit`. Holds: files may be cut anywhere and may come in any order. Of a file, only its first and
its last piece of a line are kept. A line that is too long for a chain is a `LongLine`, also where it was cut: a runtime
of containers writes it in parts, and can begin another file between them. A torn line is the beginning of an object and
not a whole object, so that no reader of JSON finds a record in text that the audit skips.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
from pydantic_core import from_json

from bailiwick_evidence.audit.longlines import LONG, MOST_TEXT, LongLine, LongText, looks_like_decision
from bailiwick_evidence.chain import MOST_BYTES, ChainLink, is_chain_id, link
from bailiwick_evidence.jsondepth import MOST_DEPTH, is_shallow

_BEGINS: Final = b'{"log":{"id":"'
_CLOSE: Final = b"}"
_MOST_BEGINNINGS: Final = 64
_ID: Final = slice(len(_BEGINS), len(_BEGINS) + 22)
# The parser's message for text that ended before its value did, and for no other text.
_CUT_OFF: Final = "EOF while parsing"
_LENIENT: Final = json.JSONDecoder(strict=False)
# Bytes of pieces that are tried with each other, each try counted as `_FOR_EACH` more; likewise of what makes a line;
# and how often it is asked whether that is the one that was cut.
_MOST_TRIED: Final = 1 << 30
_MOST_JOINED: Final = 64 << 20
_FOR_EACH: Final = 1_024
_MOST_FITTED: Final = 2_000_000
# How many bytes of pieces of long lines are kept, and how many are hashed to find which of them belong together.
_MOST_LONG: Final = 32 << 20
_MOST_HASHED: Final = 256 << 20
# Some readers skip these before a value; the first is a byte order mark.
_BLANK: Final = "\ufeff \t\r\n\v\f"


class ChainLine(NamedTuple):
    """A whole line of a chain, without its newline.

    The text of a long one names no chain: it has the place of the `hash` line that names it, which is a line too.
    """

    link: ChainLink
    text: bytes


class _Joint(NamedTuple):
    """Two pieces that make a line: the number of an end of a file, and that of the file with a beginning."""

    tail: int
    head: int
    link: ChainLink


class LineReader:
    """Finds lines of chains, and long ones that may be such by their hash. `torn`: beginnings of lines.

    `foreign`: all other lines; `unchained`: those of them that still look like the record of a decision. `strays`: how
    many foreign and long lines name a chain, by its id, although no process writes such a line; `respelled`: the chains
    of which one of them has a number.

    For each file in turn: `feed` its content, in pieces of any length, then call `end`; after all files, `finish`.
    """

    def __init__(self) -> None:
        self.torn = self.foreign = self.unchained = 0
        self.strays: Counter[str] = Counter()
        self.respelled: set[str] = set()
        self._rest = b""
        self._long: LongText | None = None
        self._first = True
        self._cut = b""
        # Ends of files, each with the number of the file that came next; and beginnings, by the number of the file.
        self._tails: list[tuple[bytes, int | None]] = []
        self._heads: dict[int, bytes] = {}
        self._long_room, self._joined_room = _MOST_LONG, _MOST_TRIED
        self._files = 0

    def feed(self, data: bytes) -> Iterator[ChainLine | LongLine]:
        """Take the next piece of a file."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._long is not None:
                self._long.add(line)
                yield from self._end_long(self._long)
                self._long, self._first = None, False
            elif self._first:
                self._first = False
                yield from self._beginning(line)
            elif (found := whole(line)) is not None:
                yield found
            elif line:
                yield from self._odd(line)
        if self._long is not None or len(self._rest) > 2 * MOST_BYTES:
            if self._long is None:
                self._long = LongText()
            self._long.add(self._rest)
            self._rest = b""

    def end(self) -> Iterator[ChainLine | LongLine]:
        """Take the end of a file, whose last line may lack its newline, or its end."""
        rest, self._rest = self._rest, b""
        long, self._long = self._long, None
        if long is not None:
            rest = long.text or b""
            if not rest:
                yield from self._end_long(long)
                self._first = False
            elif _line_behind(rest) is not None:
                yield from self._odd(rest)
                rest, self._first = b"", False
        if self._first and self._goes_on(rest):
            # All of the file is one piece of a line, or nothing.
            rest = self._cut + rest
        elif self._cut:
            yield from self._keep_tail(self._cut, None)
        self._cut = b""
        self._first = True
        self._files += 1
        found = whole(rest)
        # Without its newline, a line that looks whole may lack a brace, if a string contains one.
        if found is not None and is_json(rest):
            yield found
        elif len(rest) >= LONG and is_json(rest):
            yield from self._unread(rest)
        elif rest:
            self._cut = rest[: MOST_TEXT + 1]

    def _goes_on(self, rest: bytes) -> bool:
        """Tell whether all of a file goes on with the last line of the file before."""
        if (rest and is_chain_beginning(rest)) or (rest.startswith(b"{") and len(rest) >= LONG and is_json(rest)):
            return False
        if len(self._cut) > 2 * MOST_BYTES:
            # Each file with a piece of a long line has that line read once more.
            self._joined_room -= len(self._cut) + len(rest)
        return self._joined_room >= 0

    def finish(
        self,
        fits: Callable[[ChainLine], bool | None],
        doubt: Callable[[ChainLine], None],
        wanted: Callable[[], Collection[str]] = tuple,
    ) -> Iterator[ChainLine | LongLine]:
        """Join the remaining pieces of lines that were cut between files.

        `fits` says whether a line is the one that was cut; None: it may be, since pieces of two lines can make a third
        line. `doubt` receives each line that is only one of several candidates. `wanted` returns the digests of long
        lines that chains have the hash of, and that are not here.
        """
        if self._cut:
            yield from self._keep_tail(self._cut, None)
            self._cut = b""
        pieces = _LinePieces(self._tails, self._heads)
        yield from pieces.certain_lines(fits)
        possible = pieces.possible_joints(fits)
        while len(possible) == 1:
            yield pieces.take(possible[0])
            possible = pieces.possible_joints(fits)
        for one in possible:
            doubt(pieces.joined(one))
        # Each is used in some of them.
        pieces.drop(possible)
        for text in pieces.long_texts(wanted()):
            yield from self._unread(text)
        for piece in pieces.left():
            yield from self._unread(piece)
        self._tails, self._heads = [], {}

    def _beginning(self, line: bytes) -> Iterator[ChainLine | LongLine]:
        """Take the first line of a file, which may be the end of the last one of the file before."""
        cut, self._cut = self._cut, b""
        if cut:
            yield from self._keep_tail(cut, self._files)
        found = whole(line)
        if found is not None:
            yield found
        elif line.startswith(_BEGINS) or (len(line) >= LONG and is_json(line)):
            yield from self._odd(line)
        elif line and self._has_room(line):
            self._heads[self._files] = line
        elif line:
            yield from self._odd(line)

    def _keep_tail(self, cut: bytes, after: int | None) -> Iterator[ChainLine | LongLine]:
        """Keep the end of a file, whose last line goes on elsewhere. `after`: the number of the next file."""
        if self._has_room(cut):
            self._tails.append((cut, after))
        else:
            yield from self._unread(cut)

    def _has_room(self, piece: bytes) -> bool:
        """Tell whether a piece can be kept. Those of lines of chains always can."""
        if len(piece) <= 2 * MOST_BYTES:
            return True
        self._long_room -= len(piece)
        return self._long_room >= 0

    def _odd(self, line: bytes) -> Iterator[ChainLine | LongLine]:
        """Take a line that is not whole: after what a killed process began, a line of another process may follow."""
        found = _line_behind(line)
        if found is not None:
            yield from self._unread(line[: -len(found.text)])
            yield found
        else:
            yield from self._unread(line)

    def _end_long(self, text: LongText) -> Iterator[ChainLine | LongLine]:
        """Take the end of a line of which only its hash, or all of it, was kept while it was read."""
        line = text.text
        if line is None:
            self._count_stray(text.beginning)
            yield text.line()
        elif is_json(line):
            self._count_stray(line)
            yield text.line()
        elif self._first and _line_behind(line) is None:
            yield from self._beginning(line)
        else:
            yield from self._odd(line)

    def _unread(self, line: bytes) -> Iterator[LongLine]:
        # Processes can be killed one after the other. What holds more beginnings than that is of no process.
        for _ in range(_MOST_BEGINNINGS):
            at = line.rfind(_BEGINS)
            if at <= 0 or not line.startswith(_BEGINS) or is_beginning(line):
                break
            yield from self._unread_piece(line[at:])
            line = line[:at]
        yield from self._unread_piece(line)

    def _unread_piece(self, line: bytes) -> Iterator[LongLine]:
        begins = is_chain_beginning(line)
        if not begins and len(line) >= LONG and is_json(line):
            self._count_stray(line)
            found = LongText()
            found.add(line)
            yield found.line()
        elif begins and is_beginning(line):
            self.torn += 1
        else:
            self._count_foreign(line)

    def _count_foreign(self, line: bytes) -> None:
        self.foreign += 1
        self.unchained += looks_like_decision(line)
        self._count_stray(line)

    def _count_stray(self, line: bytes) -> None:
        named = _named_link(line)
        if named is not None and isinstance(chain := named.get("id"), str):
            self.strays[chain] += 1
            if "seq" in named and is_chain_id(chain):
                self.respelled.add(chain)


class _LinePieces:
    """Ends and beginnings of files, and which of them make a line together.

    Anyone can add files with such pieces, and each end can be tried with each beginning: all work is bounded. What is
    not tried then stays a piece. The beginning of the next file is always tried.
    """

    def __init__(self, tails: list[tuple[bytes, int | None]], heads: dict[int, bytes]) -> None:
        self._tails = dict(enumerate(tails))
        self._heads = heads
        self._joints = [*self._matching_pieces()]
        self._questions = _MOST_FITTED

    def certain_lines(self, fits: Callable[[ChainLine], bool | None]) -> Iterator[ChainLine]:
        """Yield, and use up, what certainly was a line."""
        # A line that is found may identify the line before it, so that they are taken from both ends in turn.
        turn, found = 1, True
        while found and self._questions > 0:
            found = False
            for one in self._open()[::turn]:
                if self._is_open(one) and fits(self.joined(one)):
                    found = True
                    yield self.take(one)
            turn = -turn

    def possible_joints(self, fits: Callable[[ChainLine], bool | None]) -> list[_Joint]:
        """Return what may have been a line; nothing once too much was asked."""
        return [one for one in self._open() if fits(self.joined(one)) is not False] if self._questions > 0 else []

    def joined(self, joint: _Joint) -> ChainLine:
        """Return the line that two pieces make."""
        return ChainLine(joint.link, self._tails[joint.tail][0] + self._heads[joint.head])

    def take(self, joint: _Joint) -> ChainLine:
        """Return the line that two pieces make, and use them up."""
        line = self.joined(joint)
        del self._tails[joint.tail], self._heads[joint.head]
        return line

    def drop(self, joints: Iterable[_Joint]) -> None:
        """Use up the pieces of lines of which none is certain."""
        for one in joints:
            self._tails.pop(one.tail, None)
            self._heads.pop(one.head, None)

    def long_texts(self, wanted: Collection[str]) -> Iterator[bytes]:
        """Yield, and use up, two pieces that have one of these digests together."""
        if not wanted:
            return
        hashed = _MOST_HASHED
        # The next file is the most likely one.
        adjacent = [(number, after) for number, (_, after) in self._tails.items() if after is not None]
        for number, head in itertools.chain(adjacent, itertools.product([*self._tails], [*self._heads])):
            if number not in self._tails or head not in self._heads:
                continue
            tail, begins = self._tails[number][0], self._heads[head]
            size = len(tail) + len(begins)
            hashed -= size + _FOR_EACH if LONG <= size <= MOST_TEXT else _FOR_EACH
            if hashed < 0:
                return
            if LONG <= size <= MOST_TEXT and hashlib.sha256(tail + begins).hexdigest() in wanted:
                del self._tails[number], self._heads[head]
                yield tail + begins

    def left(self) -> Iterator[bytes]:
        """Yield the pieces that are not used."""
        yield from (tail for tail, _ in self._tails.values())
        yield from self._heads.values()

    def _open(self) -> list[_Joint]:
        self._questions -= len(self._joints)
        return [one for one in self._joints if self._is_open(one)]

    def _is_open(self, joint: _Joint) -> bool:
        return joint.tail in self._tails and joint.head in self._heads

    def _matching_pieces(self) -> Iterator[_Joint]:
        tried, joined = _MOST_TRIED, _MOST_JOINED
        for number, (tail, after) in self._tails.items():
            if not is_chain_beginning(tail):
                continue
            if after in self._heads and (found := whole(tail + self._heads[after])) is not None:
                # The next file is the most likely one.
                yield _Joint(number, after, found.link)
            for head, begins in self._heads.items() if min(tried, joined) > 0 else ():
                size = len(tail) + len(begins)
                # Long pieces make no line of a chain, and must not take what others need.
                cost = size + _FOR_EACH if size <= MOST_BYTES else _FOR_EACH
                tried -= cost
                if size <= MOST_BYTES and head != after and (found := whole(tail + begins)) is not None:
                    joined -= cost
                    yield _Joint(number, head, found.link)
                if min(tried, joined) <= 0:
                    break


def _line_behind(line: bytes) -> ChainLine | None:
    """Return the whole line that ends a line: another process may have written it behind what a killed one began."""
    at = line.rfind(_BEGINS)
    return whole(line[at:]) if at > 0 else None


def whole(line: bytes) -> ChainLine | None:
    """Return a line of a chain: with its place, within the maximum length, and a whole object; else None."""
    found = link(line)
    if found is None or not line.endswith(_CLOSE) or len(line) > MOST_BYTES:
        return None
    # Not by counting braces: strings contain some, so that the beginning of a line could take the line's place.
    return ChainLine(found, line) if is_json(line) else None


def is_chain_beginning(line: bytes) -> bool:
    """Tell whether a line begins as one of a chain does, or is a piece of such a beginning."""
    return line.startswith(_BEGINS) or _BEGINS.startswith(line)


def is_beginning(line: bytes) -> bool:
    """Tell whether a line is what a process leaves if it is stopped while it writes: JSON that ends too early."""
    try:
        from_json(line, allow_inf_nan=False)
    except ValueError as error:
        return str(error).startswith(_CUT_OFF)
    return False


def is_json(line: bytes) -> bool:
    """Tell whether a line is JSON to its end, and no deeper than what a process writes."""
    try:
        _parse(line)
    except ValueError:
        return False
    return True


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the members of a line; empty if it is not an object. A `kind` that is no text is read as none."""
    try:
        found = _parse(line)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    if not isinstance(found.get("kind"), str | None):
        # No process writes it, and readers look kinds up.
        found["kind"] = None
    return found


def _parse(line: bytes) -> object:
    """Return what a line says. Raises `ValueError`."""
    found: object = orjson.loads(line)
    # Almost every line has too few brackets to be deep.
    if line.count(b"[") + line.count(b"{") > MOST_DEPTH and not is_shallow(found):
        message = "it is deeper than any line of a process"
        raise ValueError(message)
    return found


def _named_link(line: bytes) -> dict[str, Any] | None:
    """Return the place in a chain to which a lenient reader would assign a line."""
    if line.startswith(_BEGINS):
        return {"id": line[_ID].decode(errors="replace")} | ({"seq": None} if b'"seq"' in line else {})
    try:
        found, _ = _LENIENT.raw_decode(line.decode(errors="replace").lstrip(_BLANK))
    except (ValueError, RecursionError):
        return None
    log = found.get("log") if isinstance(found, dict) else None
    return log if isinstance(log, dict) else None
