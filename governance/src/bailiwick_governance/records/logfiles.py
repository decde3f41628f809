"""Log files: plain, compressed, or from stdin, with progress on stderr where it takes long.

Standing: under every command that reads records, and the console; the one module that opens logs. Holds: a file that
ends in the middle of its compression is read as far as it goes, as one that was cut is.
"""

import contextlib
import itertools
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.chain import MOST_BYTES
from bailiwick_governance.arguments import STDIN
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError

_PIECE: Final = 256 * 1024
# The header of gzip, and the largest window.
_GZIP: Final = 31
_MAGIC: Final = b"\x1f\x8b"
_LONG: Final = 16 << 20
_LONGEST: Final = MOST_BYTES + 1


class LogFiles:
    """Files by the names that were given, in that order. They can be read more than once if `again`.

    `heard` is called with each number of bytes that were read, in place of the terminal; it may raise.
    """

    def __init__(
        self, names: Sequence[str], *, again: bool = False, heard: Callable[[int], None] | None = None
    ) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._again = again
        self._heard = heard
        self._kept: IO[bytes] | None = None
        self._total = sum(_size(name) for name in self.names)

    def lines(self, audit: LogAudit, doing: str) -> Iterator[ChainLine]:
        """Give all of them to an audit, and yield each new line of a chain. Raises `UserError`."""
        with self._progress() as progress:
            task = progress.add_task(doing, total=self._total or None)
            for name in self.names:
                with self._open(name) as (pieces, raw):
                    before = 0
                    for piece in pieces:
                        yield from audit.feed(piece)
                        at = raw.tell() if raw.seekable() else before + len(piece)
                        progress.advance(task, at - before)
                        if self._heard is not None:
                            self._heard(at - before)
                        before = at
                yield from audit.end()
            yield from audit.finish()

    def texts(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield each line with its file and its number, from 1, without its newline. Raises `UserError`.

        One that is too long to be in a chain is cut short.
        """
        for name in self.names:
            with self._open(name) as (pieces, raw):
                before = number = 0
                rest = b""
                for piece in pieces:
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        number += 1
                        yield name, number, line[:_LONGEST]
                    rest = rest[:_LONGEST]
                    if self._heard is not None and raw.seekable():
                        at = raw.tell()
                        self._heard(at - before)
                        before = at
                if rest:
                    yield name, number + 1, rest

    @property
    def total(self) -> int:
        """How many bytes they have, as they are stored, as far as that is known."""
        return self._total

    def _progress(self) -> Progress:
        long = self._total >= _LONG or STDIN in self.names
        seen = self._heard is None and sys.stderr.isatty() and long
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        return Progress(*columns, console=Console(file=sys.stderr), disable=not seen, transient=True)

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[tuple[Iterator[bytes], IO[bytes]]]:
        """Yield what is in a file, in pieces, and the file, by which progress goes."""
        try:
            with self._raw(name) as raw:
                first = raw.read(_PIECE)
                pieces = itertools.chain([first], iter(lambda: raw.read(_PIECE), b""))
                yield (_unpack(name, pieces) if first.startswith(_MAGIC) else pieces), raw
        except OSError as error:
            raise UserError(f"{name} cannot be read: {error.strerror or error}") from error

    @contextlib.contextmanager
    def _raw(self, name: str) -> Iterator[IO[bytes]]:
        if name != STDIN:
            with Path(name).open("rb") as file:
                yield file
            return
        if not self._again:
            yield sys.stdin.buffer
            return
        if self._kept is None:
            # It can be read only once, and is wanted twice.
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as we live
            shutil.copyfileobj(sys.stdin.buffer, self._kept, _PIECE)
        self._kept.seek(0)
        yield self._kept


def _unpack(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip packed: of one member after the other, a piece at a time."""
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        for piece in pieces:
            rest = piece
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


def _size(name: str) -> int:
    try:
        return Path(name).stat().st_size if name != STDIN else 0
    except OSError:
        # The error comes when it is opened.
        return 0
