"""Log files: plain, compressed, in OTLP JSON, from stdin or an object store, with progress on stderr if it takes long.

Standing: under every command that reads records, and the console; the one module that opens logs. Holds: a file that
ends in the middle of its compression is read as far as it goes, as one that was cut is; an object that could not be
read to its end is an error. What is read once more begins with what was read first, or is an error too.
"""

import contextlib
import hashlib
import itertools
import shutil
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bailiwick_api import times
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.longlines import MOST_TEXT
from bailiwick_governance.arguments import STDIN
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.leaffile import LeafFile
from bailiwick_governance.records.logplaces import LogPlace, places_of
from bailiwick_governance.records.objectstores import StoredObject
from bailiwick_governance.records.otlplines import unwrap_lines

_PIECE: Final = 256 * 1024
# The header of gzip, and the largest window.
_GZIP: Final = 31
_MAGIC: Final = b"\x1f\x8b"
_LONG: Final = 16 << 20
_LONGEST: Final = MOST_TEXT + 1
_CLOCKS: Final = 3600.0
"""How far the clocks of a store and of what wrote a line may differ, in seconds."""


class _OpenLog(NamedTuple):
    """What reads a log, a piece at a time. `position`: how many bytes of it were read; None if it cannot tell."""

    read: Callable[[int], bytes]
    position: Callable[[], int] | None


class _HashedReading:
    """Reads on, and hashes what was read. `before`: the length and the digest of an earlier reading.

    `fits`: what was read begins with that, or there was none.
    """

    def __init__(self, read: Callable[[int], bytes], before: tuple[int, bytes] | None) -> None:
        self._read = read
        self._size = 0
        self._hash = hashlib.sha256()
        self._before = before
        self.fits = before is None or not before[0]

    @property
    def content(self) -> tuple[int, bytes]:
        """The length and the digest of all that was read."""
        return self._size, self._hash.digest()

    def read(self, most: int) -> bytes:
        """Return the next bytes, at most so many."""
        piece = self._read(most)
        end = self._size + len(piece)
        if self._before is not None and self._size < self._before[0] <= end:
            begun = self._hash.copy()
            begun.update(piece[: self._before[0] - self._size])
            self.fits = begun.digest() == self._before[1]
        self._hash.update(piece)
        self._size = end
        return piece


class _FileWarnings:
    """What is wrong with the lines of a file: each sentence once, and how often."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said: Counter[str] = Counter()

    def add(self, sentence: str) -> None:
        self._said[sentence] += 1

    def end(self) -> None:
        """Print them."""
        for sentence, count in self._said.items():
            talk(f"warning: {self._name}: {sentence}{f' ({count} times)' if count > 1 else ''}")


class LogFiles:
    """Files and objects by the names that were given, in that order. They can be read more than once if `again`.

    `heard` is called with each number of bytes that were read, in place of the terminal; it may raise.
    `modified_since`: leave out objects that their store took earlier, in seconds since the epoch. `hashed`: compute
    the digest of what is read. Raises `UserError` if a URL names nothing that can be read.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        again: bool = False,
        heard: Callable[[int], None] | None = None,
        modified_since: float | None = None,
        hashed: bool = False,
    ) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._again = again
        self._heard = heard
        self._hashed = hashed
        self._digests: list[bytes] = []
        # Of those that are read more than once, what was read first.
        self._contents: dict[str, tuple[int, bytes]] = {}
        self._kept: IO[bytes] | None = None
        # By what they are called: a name may lie below another one.
        self._places = {_name(place): place for name in self.names for place in places_of(name)}
        if modified_since is not None:
            self._leave_out(modified_since)
        self._total = sum(_size(place) for place in self._places.values())

    def lines(self, audit: LogAudit, doing: str) -> Iterator[ChainLine]:
        """Give all of them to an audit, and yield each new line of a chain. Raises `UserError`."""
        self._digests = []
        if audit.pages.spill is None:
            audit.pages.spill = LeafFile()
        with self._progress() as progress:
            task = progress.add_task(doing, total=self._total or None)
            for name in self._places:
                with self._open(name) as (pieces, position):
                    before = 0
                    for piece in pieces:
                        yield from audit.feed(piece)
                        at = before + len(piece) if position is None else position()
                        progress.advance(task, at - before)
                        if self._heard is not None:
                            self._heard(at - before)
                        before = at
                yield from audit.end()
            yield from audit.finish()

    def texts(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield each line with its file and its number, from 1, without its newline. Raises `UserError`.

        One that is too long to be read is cut short.
        """
        for name in self._places:
            with self._open(name) as (pieces, position):
                before = number = 0
                rest = bytearray()
                for piece in pieces:
                    first, *lines = piece.split(b"\n")
                    # What is cut off a line is not copied at each piece.
                    rest += first[: max(_LONGEST - len(rest), 0)]
                    for line in lines:
                        number += 1
                        yield name, number, bytes(rest)
                        rest = bytearray(line[:_LONGEST])
                    if self._heard is not None and position is not None:
                        at = position()
                        self._heard(at - before)
                        before = at
                if rest:
                    yield name, number + 1, bytes(rest)

    @property
    def digest(self) -> str:
        """The SHA-256 of what `lines` read last: of the content of each file, in their order, whatever their names."""
        return hashlib.sha256(b"".join(self._digests)).hexdigest()

    @property
    def total(self) -> int:
        """How many bytes they have, as they are stored, as far as that is known."""
        return self._total

    def _leave_out(self, since: float) -> None:
        """Leave out objects that can hold only older lines, since nothing is written into an object later."""
        objects = [one for one in self._places.values() if isinstance(one, StoredObject)]
        if not objects:
            raise UserError("--modified-since leaves out objects of s3://, gs:// and az://, and none is named")
        old = [one for one in objects if one.modified.timestamp() < since - _CLOCKS]
        for one in old:
            del self._places[one.name]
        stamp = times.epoch_stamp(since)
        if not self._places:
            raise UserError(f"--modified-since: all {len(old)} objects were last changed before {stamp}")
        size = sum(one.size for one in old)
        talk(f"left out {len(old)} of {len(objects)} objects, {size} bytes, which were last changed before {stamp}")

    def _progress(self) -> Progress:
        long = self._total >= _LONG or STDIN in self.names
        seen = self._heard is None and sys.stderr.isatty() and long
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        return Progress(*columns, console=Console(file=sys.stderr), disable=not seen, transient=True)

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[tuple[Iterator[bytes], Callable[[], int] | None]]:
        """Yield what is in a file, in pieces, and what tells how far it was read."""
        try:
            with self._raw(self._places[name]) as raw:
                # Who divides a log compares all of it, and allows no growth.
                content = None
                if self._hashed or self._again:
                    content = _HashedReading(raw.read, None if self._hashed else self._contents.get(name))
                read = raw.read if content is None else content.read
                first = read(_PIECE)
                pieces = itertools.chain([first], iter(lambda: read(_PIECE), b""))
                unpacked = _unpack(name, pieces) if first.startswith(_MAGIC) else pieces
                warnings = _FileWarnings(name)
                yield unwrap_lines(unpacked, warnings.add), raw.position
                warnings.end()
                if content is not None:
                    if not content.fits:
                        raise UserError(f"{name} was changed while it was read: run the command again")
                    self._contents.setdefault(name, content.content)
                    self._digests.append(content.content[1])
        except OSError as error:
            raise UserError(f"{name} cannot be read: {error.strerror or error}") from error

    @contextlib.contextmanager
    def _raw(self, place: LogPlace) -> Iterator[_OpenLog]:
        if isinstance(place, StoredObject):
            reader = place.open()
            yield _OpenLog(reader.read, reader.tell)
        elif place != STDIN:
            with Path(place).open("rb") as file:
                yield _OpenLog(file.read, file.tell if file.seekable() else None)
        else:
            given = self._given()
            yield _OpenLog(given.read, given.tell if given.seekable() else None)

    def _given(self) -> IO[bytes]:
        """Return standard input; if it is wanted twice, a copy from the beginning, since it is read only once."""
        if not self._again:
            return sys.stdin.buffer
        if self._kept is None:
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as we live
            shutil.copyfileobj(sys.stdin.buffer, self._kept, _PIECE)
        self._kept.seek(0)
        return self._kept


def _unpack(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip packed: of one member after the other, a piece at a time."""
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        for piece in pieces:
            # Behind a member stand others, or zeros up to the end of a block.
            rest = piece.lstrip(b"\0") if unpacking.eof else piece
            while rest:
                if unpacking.eof:
                    unpacking = zlib.decompressobj(wbits=_GZIP)
                yield unpacking.decompress(rest, _PIECE)
                rest = unpacking.unused_data.lstrip(b"\0") if unpacking.eof else unpacking.unconsumed_tail
    except zlib.error:
        talk(f"warning: {name} is not valid gzip to its end: read as far as possible")
        return
    if not unpacking.eof:
        talk(f"warning: {name} ends in the middle of its gzip data: read as far as possible")


def _name(place: LogPlace) -> str:
    return place.name if isinstance(place, StoredObject) else place


def _size(place: LogPlace) -> int:
    if isinstance(place, StoredObject):
        return place.size
    try:
        return Path(place).stat().st_size if place != STDIN else 0
    except OSError:
        # The error comes when it is opened.
        return 0
