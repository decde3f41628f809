"""A temporary file for the leaf hashes of a log that is too long for the memory: 32 bytes a line.

Standing: under `logfiles`, which gives it to every audit that reads files. Holds: the file has no name, so that it is
gone with the process; it is made when it is first needed, where `TMPDIR` says.
"""

import os
import tempfile
import weakref
from typing import IO

from bailiwick_evidence.audit.leafpages import PAGE_BYTES
from bailiwick_governance.display import talk


class LeafFile:
    """A `PageSpill`. Where there is no room for it, it says so once."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._full = False

    def write(self, number: int, page: bytes) -> bool:
        """Keep a page."""
        try:
            written = os.pwrite(self._open().fileno(), page, number * PAGE_BYTES)
        except OSError as error:
            self._warn(error.strerror or str(error))
            return False
        if written < len(page):
            self._warn("no space left")
        return written == len(page)

    def read(self, number: int) -> bytes:
        """Return a page that was kept."""
        return os.pread(self._open().fileno(), PAGE_BYTES, number * PAGE_BYTES)

    def _open(self) -> IO[bytes]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="bailiwick-", buffering=0)  # noqa: SIM115 - as long as we live
            weakref.finalize(self, self._file.close)
        return self._file

    def _warn(self, why: str) -> None:
        if not self._full:
            self._full = True
            talk(f"warning: no temporary file for 32 bytes a line ({why}): they stay in memory; set TMPDIR")
