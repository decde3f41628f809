"""Log files, read for the audit: plain, compressed, from stdin, with progress on stderr where it takes long.

Standing: under the commands of `audit`; the one that opens files. Holds: a file that ends in the middle of its
compression is read as far as it goes, as one that was cut is.
"""

import contextlib
import itertools
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bailiwick_cli import output
from bailiwick_cli.errors import CliError
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit

STDIN: Final = "-"
_PIECE: Final = 256 * 1024
# The header of gzip, and the largest window.
_GZIP: Final = 31
_MAGIC: Final = b"\x1f\x8b"
_LONG: Final = 16 << 20


class LogFiles:
    """Files by the names that were given, in that order. They can be read more than once if `again`."""

    def __init__(self, names: Sequence[str], *, again: bool = False) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._again = again
        self._kept: IO[bytes] | None = None
        self._total = sum(_size(name) for name in self.names)

    def lines(self, audit: LogAudit, doing: str) -> Iterator[ChainLine]:
        """Give all of them to an audit, and yield each new line of a chain. Raises `CliError`."""
        with self._progress() as progress:
            task = progress.add_task(doing, total=self._total or None)
            for name in self.names:
                with self._opened(name) as (pieces, raw):
                    before = 0
                    for piece in pieces:
                        yield from audit.feed(piece)
                        at = raw.tell() if raw.seekable() else before + len(piece)
                        progress.advance(task, at - before)
                        before = at
                yield from audit.end()
            yield from audit.finish()

    def _progress(self) -> Progress:
        seen = sys.stderr.isatty() and (self._total >= _LONG or STDIN in self.names)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        return Progress(*columns, console=Console(file=sys.stderr), disable=not seen, transient=True)

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[tuple[Iterator[bytes], IO[bytes]]]:
        """Yield what is in a file, in pieces, and the file, by which progress goes."""
        try:
            with self._raw(name) as raw:
                first = raw.read(_PIECE)
                pieces = itertools.chain([first], iter(lambda: raw.read(_PIECE), b""))
                yield (_unpacked(name, pieces) if first.startswith(_MAGIC) else pieces), raw
        except OSError as error:
            raise CliError(f"{name} cannot be read: {error.strerror or error}") from error

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


def _unpacked(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
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
        output.talk(f"warning: {name} is no longer compressed as gzip does: read as far as it goes")
        return
    if not unpacking.eof:
        output.talk(f"warning: {name} ends in the middle of its compression: read as far as it goes")


def _size(name: str) -> int:
    try:
        return Path(name).stat().st_size if name != STDIN else 0
    except OSError:
        # It is told when it is opened.
        return 0
