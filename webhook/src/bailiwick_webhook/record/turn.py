"""Turns: several processes write whole lines to one stdout, one after the other.

Holds: the lock is the kernel's, of a process and not of a descriptor, so that a process that dies gives it back; who
died in the middle of a line has left a mark, and whoever comes next ends that line first, so that no other is spoiled.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from typing import Self

_WHOLE, _TORN = b"\0", b"\1"


class WriteTurn:
    """What the processes of one decision point share, by a descriptor that the parent made before them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def new(cls) -> Self:
        """Make one. It has no name, and is gone with the last process that holds it."""
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("bailiwick-turn"))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def close(self) -> None:
        """Let it go."""
        os.close(self._descriptor)

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Wait for one's turn; yields whether the last line was left unfinished. Raises `OSError`."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield os.pread(self._descriptor, 1, 0) == _TORN
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def mark(self, *, torn: bool) -> None:
        """Say whether what we write is, or may be left, within a line. Only while it is our turn."""
        os.pwrite(self._descriptor, _TORN if torn else _WHOLE, 0)
