"""The file or pipe that records are appended to.

Standing: under `writer`, whose thread alone appends. Holds: what a full disk cut off is ended before anything else is
written; of what goes to a pipe, which others may write to as well, no more is written at once than the kernel keeps
together, if lines are no longer than that.
"""

import os
import select
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_NEWLINE: Final = ord("\n")


class AppendOutcome(NamedTuple):
    """How many bytes are certain to stand, how many may, and what stopped it; None if nothing did."""

    certain: int
    reached: int
    error: OSError | None


class LineFile:
    """Appends lines; `path` None is stdout. `fsync`: a line is certain only once a disk has it.

    Raises `OSError` where the file cannot be opened.
    """

    def __init__(self, path: Path | None, *, fsync: bool) -> None:
        self._descriptor = (
            sys.stdout.fileno() if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        )
        self._owned = path is not None
        mode = os.fstat(self._descriptor).st_mode
        self._fsync = fsync and stat.S_ISREG(mode)
        self._pipe = stat.S_ISFIFO(mode)
        self._torn = path is not None and _ends_torn(path)

    def append(self, lines: Sequence[bytes]) -> AppendOutcome:
        """Write these, each with its newline."""
        reached = 0
        try:
            for piece in _pieces(lines) if self._pipe else (b"".join(lines),):
                # So that what was cut off spoils no line but its own.
                ended = int(self._torn)
                view = memoryview(b"\n" + piece if ended else piece)
                done = 0
                while done < len(view):
                    written = os.write(self._descriptor, view[done:])
                    reached += written if done else max(0, written - ended)
                    done += written
                    self._torn = view[done - 1] != _NEWLINE
            if self._fsync:
                os.fsync(self._descriptor)
        except OSError as error:
            # Lines that stand but are not on the disk for certain are written again rather than lost.
            unsure = reached == sum(map(len, lines))
            return AppendOutcome(0 if unsure else reached, reached, error)
        return AppendOutcome(reached, reached, None)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            os.close(self._descriptor)


def whole_lines(lines: Sequence[bytes], size: int) -> int:
    """Return how many lines so many bytes hold whole."""
    for index, line in enumerate(lines):
        size -= len(line)
        if size < 0:
            return index
    return len(lines)


def begun_lines(lines: Sequence[bytes], size: int) -> int:
    """Return how many lines have some of so many bytes."""
    whole = whole_lines(lines, size)
    return whole + (sum(map(len, lines[:whole])) < size)


def _pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Join lines to pieces that are written whole, or not at all: no other writer's come between (pipe(7))."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > select.PIPE_BUF and piece:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    yield b"".join(piece)


def _ends_torn(path: Path) -> bool:
    """Tell whether a file ends within a line, as a process that was killed while it wrote leaves it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        return file.read(1) not in {b"", b"\n"}
