"""Follows a file of records, and stores its lines.

Standing: the loop of the verb `ship`. Holds: the next object begins where the last one that is certain to be stored
ends; the name of an object says where in the file its lines were, so a repeat makes the same one or none; memory holds
one object, and what waits stays in the file.
"""

import gzip
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from bailiwick_governance.errors import UserError
from bailiwick_governance.shipping.position import TAIL, Position, PositionFile
from bailiwick_governance.shipping.recordfile import RecordFile

_PIECE: Final = 4 << 20
_UNPACK: Final = 256 * 1024
_LOOK: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_LAST_PAUSE: Final = 2.0
_REMINDER: Final = 60.0
_MOST_FILES: Final = 64
"""So many files wait at most behind the one that is read, each with a descriptor."""
# The header of gzip, and the largest window.
_GZIP: Final = 31


class ObjectMaker(Protocol):
    """Where objects are made. Each method raises `UserError` where the store, or the way to it, fails."""

    def create(self, name: str, content: bytes) -> bool:
        """Make an object; False if there is one of this name."""

    def read(self, name: str) -> Iterable[bytes]:
        """Return what an object holds."""

    def url_of(self, name: str) -> str:
        """Return its URL."""


class _OtherLinesError(Exception):
    """An object holds other lines than the file has there."""


class Shipper:
    """Stores the lines of the file at a path. `seconds`: how long a line waits for others at most.

    `tell` gets sentences for a person. `piece`: how many bytes of lines make an object. `clock`: in seconds,
    of any beginning.
    """

    def __init__(
        self,
        path: Path,
        store: ObjectMaker,
        positions: PositionFile,
        *,
        seconds: float,
        tell: Callable[[str], None],
        piece: int = _PIECE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._store, self._positions = path, store, positions
        self._seconds, self._piece = seconds, piece
        self._tell, self._clock = tell, clock
        self._file: RecordFile | None = None
        # Those that took its place one after the other while it was being stored.
        self._following: list[RecordFile] = []
        # How large the file was when it was last looked at.
        self._seen = 0
        self._position = positions.read()
        # Since when lines wait; since when nothing can be stored, and when that was last said.
        self._waiting: float | None = None
        self._failing: float | None = None
        self._reminded = self._kept = self._crowded = float("-inf")
        self._pause = _LOOK

    @property
    def behind(self) -> int:
        """How many bytes of the file are not stored."""
        if self._file is None or self._position is None:
            return 0
        return max(0, self._file.size - self._position.offset)

    def run(self, ending: Event) -> None:
        """Store lines until `ending`, and then what is left. Raises `UserError` where the file cannot be followed."""
        self._look()
        if self._file is None:
            self._tell(f"waiting for the first line of {self._path}")
        while not ending.wait(min(self._pause, self._seconds) if self._failing is None else self._pause):
            self.step()
        # A store that takes nothing is asked again until the pod's grace period is over.
        while not self.step(everything=True):
            time.sleep(_LAST_PAUSE)

    def step(self, *, everything: bool = False) -> bool:
        """Store what is due, or `everything` there is; False if the store did not take it.

        Raises `UserError` where the file cannot be followed.
        """
        while True:
            self._look()
            file, position = self._file, self._position
            if file is None or position is None:
                return True
            data = file.lines(position.offset, self._piece)
            if not _holds(file, position):
                continue
            if not data:
                self._waiting = None
                if not self._following:
                    return True
                self._leave(file, self._following.pop(0))
            elif not (everything or self._following or self._is_due()):
                return True
            elif not self._stored(file, position, data):
                return False

    def _look(self) -> None:
        """Open the file if none is open, and see what befell the one that is."""
        if self._file is not None and not self._file.begins_as_before:
            self._tell(
                f"warning: {self._path} was emptied by another program. Lines that came after byte"
                f" {self._offset} may be lost: nothing may rotate this file"
            )
            self._file.close()
            self._file = self._position = None
        if self._file is None:
            opened = self._following.pop(0) if self._following else RecordFile.open(self._path)
            if opened is None:
                return
            self._begin(opened)
        elif not _holds(self._file, self._at):
            self._tell_changed()
            self._move(Position(self._file.id))
        elif self._file.size < self._seen:
            self._tell(
                f"warning: {self._path} was cut at byte {self._file.size}. Lines behind it that were not stored are"
                " lost: nothing may cut this file"
            )
        else:
            self._await_next(self._following[-1] if self._following else self._file)
        self._seen = self._file.size if self._file is not None else 0

    def _await_next(self, last: RecordFile) -> None:
        """Open the file that stands in the place of the last one that is known."""
        # Only a new process of the decision point writes into another file: then the one before is complete.
        if last.is_in_place:
            return
        if len(self._following) < _MOST_FILES:
            opened = RecordFile.open(self._path)
            self._following += [] if opened is None else [opened]
        elif self._clock() - self._crowded >= _REMINDER:
            self._crowded = self._clock()
            self._tell(
                f"warning: {_MOST_FILES} files that stood at {self._path} wait to be stored. Of one that is renamed"
                " now, nothing is"
            )

    def _tell_changed(self) -> None:
        self._tell(
            f"warning: {self._path} was cut or changed before byte {self._offset}: all of it is compared with what is"
            " stored"
        )

    def _begin(self, file: RecordFile) -> None:
        """Go on with a file where it was left, or from its beginning."""
        kept, self._file, self._seen = self._position, file, 0
        if kept is not None and kept.file != file.id:
            self._tell(
                f"warning: {self._path} is another file than the one that was stored up to byte {kept.offset}. If that"
                " one has more lines, they are not stored: run `ship` with its new name and another --state"
            )
        elif kept is not None and not _holds(file, kept):
            self._tell_changed()
        if kept is None or kept.file != file.id or not _holds(file, kept):
            self._move(Position(file.id))
        self._tell(f"storing {self._path} from byte {self._offset}: {self._store.url_of(self._at.name)} comes next")

    def _leave(self, file: RecordFile, follows: RecordFile) -> None:
        """Go from a file that is stored to its last line to the one that stands in its place."""
        if self.behind:
            self._tell(f"warning: the file before {self._path} ends in {self.behind} bytes of a line that has no end")
        file.close()
        self._position = None
        self._begin(follows)

    def _is_due(self) -> bool:
        now = self._clock()
        if self._waiting is None:
            self._waiting = now
        return self.behind >= self._piece or now - self._waiting >= self._seconds

    def _stored(self, file: RecordFile, position: Position, data: bytes) -> bool:
        """Store these lines, which stand at this position; False if the store failed, so that they are still to be."""
        try:
            if self._store.create(position.name, gzip.compress(data, 6, mtime=0)):
                reached = position.after(len(data), data[-TAIL:])
            else:
                reached = self._reached_there(file, position)
        except UserError as error:
            self._fail(str(error))
            return False
        except _OtherLinesError:
            url = self._store.url_of(position.name)
            self._tell(
                f"error: {url} is there, and holds other lines than {self._path}. It stays as it is, and the whole file"
                f" is stored again as copy {position.copy + 1}: `audit verify` says what differs"
            )
            self._move(Position(file.id, position.copy + 1))
            self._back_off()
            return False
        self._recover()
        self._move(reached)
        # What is left came while this was on its way.
        self._waiting = None
        return True

    def _reached_there(self, file: RecordFile, position: Position) -> Position:
        """Return where the lines of an object end, which are those of the file. Raises `_OtherLinesError`."""
        unpacker, size, tail = zlib.decompressobj(_GZIP), 0, b""
        try:
            for piece in self._store.read(position.name):
                if unpacker.eof and piece:
                    raise _OtherLinesError
                rest = piece
                while not unpacker.eof:
                    lines = unpacker.decompress(rest, _UNPACK)
                    rest = unpacker.unconsumed_tail
                    if not (lines or rest):
                        break
                    if lines != file.read(position.offset + size, len(lines)):
                        raise _OtherLinesError
                    size, tail = size + len(lines), (tail + lines)[-TAIL:]
        except zlib.error as error:
            raise _OtherLinesError from error
        if not (unpacker.eof and tail.endswith(b"\n")) or unpacker.unused_data:
            raise _OtherLinesError
        return position.after(size, tail)

    @property
    def _at(self) -> Position:
        if self._position is None:
            raise RuntimeError("no file was opened")
        return self._position

    @property
    def _offset(self) -> int:
        return 0 if self._position is None else self._position.offset

    def _move(self, position: Position) -> None:
        self._position = position
        try:
            self._positions.write(position)
        except OSError as error:
            # What is stored is known as long as this process lives, and found out again after it.
            if self._clock() - self._kept >= _REMINDER:
                self._kept = self._clock()
                self._tell(f"warning: how far {self._path} is stored cannot be kept: {error.strerror or error}")

    def _fail(self, why: str) -> None:
        since, now = self._back_off(), self._clock()
        if now - self._reminded >= _REMINDER:
            self._reminded = now
            waiting = f"{self.behind} bytes wait in {self._path}"
            self._tell(f"error: {why}. {waiting}, for {now - since:.0f} seconds; they are sent again")

    def _back_off(self) -> float:
        """Wait longer each time that nothing was stored; returns since when."""
        if self._failing is None:
            self._failing, self._pause = self._clock(), _LOOK
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return self._failing

    def _recover(self) -> None:
        if self._failing is not None:
            self._tell(f"the store takes lines again, after {self._clock() - self._failing:.0f} seconds")
        self._failing, self._pause, self._reminded = None, _LOOK, float("-inf")


def _holds(file: RecordFile, position: Position) -> bool:
    """Tell whether a file has what it had when it was stored: its first line, and the end of what is stored."""
    tail = file.read(position.offset - position.tail_size, position.tail_size)
    return file.begins_as_before and position.ends_in(tail)
