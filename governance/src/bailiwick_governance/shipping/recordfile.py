"""The file that a decision point appends to, read in whole lines while it grows.

Standing: under `shipper`, which alone decides what follows. Holds: what is read begins and ends where a line does; a
file is known by its first line, since the number of an inode is given to another file later; no link is followed.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Final, Self

from bailiwick_governance.errors import UserError

_HEAD: Final = 64 * 1024
_LONGEST: Final = 32 << 20
"""The longest line that is stored. Lines of a chain have at most 64 KiB."""
# Without O_NONBLOCK, a pipe of that name would be waited for.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class RecordFile:
    """One file, open. `id`: 32 hexadecimal digits, of its first line. `path`: where it was when it was opened."""

    def __init__(self, path: Path, descriptor: int, head: bytes) -> None:
        self.path = path
        self._descriptor = descriptor
        self._head = head
        self.id = hashlib.sha256(head).hexdigest()[:32]

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open a file; None if it is not there, or has no whole line yet. Raises `UserError`."""
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UserError(f"{path} is not a file: name the file of --record-file")
            head = os.pread(descriptor, _HEAD, 0)
            # Of a longer line, so much of it.
            head = head[: head.find(b"\n") + 1] or (head if len(head) == _HEAD else b"")
            if head:
                opened = cls(path, descriptor, head)
                descriptor = -1
                return opened
            return None
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def size(self) -> int:
        """How many bytes it has now."""
        return os.fstat(self._descriptor).st_size

    @property
    def is_in_place(self) -> bool:
        """Whether its path leads to it still."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(self.path.lstat(), os.fstat(self._descriptor))
        return False

    @property
    def begins_as_before(self) -> bool:
        """Whether it has its first line still, so no other program has emptied it."""
        return os.pread(self._descriptor, len(self._head), 0) == self._head

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes there; fewer at the end."""
        return os.pread(self._descriptor, size, offset)

    def lines(self, offset: int, most: int) -> bytes:
        """Return the whole lines from there, at most so many bytes; a line that is longer, alone. Raises `UserError`.

        Nothing is returned where no line ends yet.
        """
        data = self.read(offset, most)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == most:
            data = self.read(offset, _LONGEST)
            end = data.find(b"\n") + 1
            if not end and len(data) == _LONGEST:
                longest = f"{_LONGEST >> 20} MiB"
                raise UserError(f"{self.path}: the line at byte {offset} is longer than {longest}: it is no record")
        return data[:end]

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)
