"""Policy files: the files that a directory of policies holds at this moment, and whether they have changed.

Standing: the decision point and `kubectl bailiwick check -f` read the same files of a folder with it.

Holds: a file is read again if its inode, size or times differ, and while its times are too recent to distinguish two
writes. Hidden names are skipped, and links are followed: a mounted ConfigMap consists of links into a hidden folder,
`..data`, which is itself a link that is replaced as a whole.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailiwick_api.documents.positions import MAX_BYTES

SUFFIXES: Final = (".yaml", ".yml")
MAX_FILES: Final = 10_000
MAX_DEPTH: Final = 16
# A second write within one tick of the file system's clock leaves the times as they are.
_YOUNG_NANOSECONDS: Final = 2_000_000_000

Signature = tuple[int, ...]


class TooMuchError(OSError):
    """More files than `MAX_FILES`, or deeper than `MAX_DEPTH`: probably not a directory of policies."""


@dataclass(frozen=True, slots=True)
class File:
    """A file and its content, or why it is `unreadable`. `digest` is the digest of either."""

    digest: str
    content: bytes = b""
    unreadable: str | None = None


class DirectoryScan:
    """Scans one directory repeatedly."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[Signature, File]] = {}

    def look(self) -> dict[str, File]:
        """Return every file by its path, that of the root included. Blocks. Raises `OSError` for a folder."""
        files: dict[str, tuple[Signature, File]] = {}
        for path in _paths(self._root, frozenset(), 0):
            if len(files) >= MAX_FILES:
                raise TooMuchError(f"{self._root} has more than {MAX_FILES} files")
            files[path] = self._file(path)
        self._known = files
        return {path: file for path, (_, file) in sorted(files.items())}

    def _file(self, path: str) -> tuple[Signature, File]:
        try:
            now = time.time_ns()
            status = os.stat(path)  # noqa: PTH116 - of thousands of files, twice a second
            previous = self._known.get(path)
            signature = _signature(status)
            if (
                previous is not None
                and previous[0] == signature
                and now - max(status.st_mtime_ns, status.st_ctime_ns) > (_YOUNG_NANOSECONDS)
            ):
                return previous
            if not stat.S_ISREG(status.st_mode):
                return signature, _unreadable_file("not a file")
            return signature, _read_file(path)
        except OSError as error:
            # A dangling link, or no permission to read: the content is unknown.
            return (), _unreadable_file((error.strerror or "cannot be read").lower())


def _paths(folder: Path | str, above: frozenset[tuple[int, int]], depth: int) -> Iterator[str]:
    status = os.stat(folder)  # noqa: PTH116 - likewise
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        # A link to one of the folders above.
        return
    if depth > MAX_DEPTH:
        raise TooMuchError(f"{folder} is more than {MAX_DEPTH} folders deep")
    with os.scandir(folder) as entries:
        children = sorted(entries, key=lambda entry: entry.name)
    for entry in children:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _paths(entry.path, above | {identity}, depth + 1)
        elif entry.name.endswith(SUFFIXES):
            yield entry.path


def is_read(path: str) -> bool:
    """Tell whether a file of a folder is read, by its path below that folder."""
    return path.endswith(SUFFIXES) and not any(part.startswith(".") for part in path.split("/"))


def policy_file(content: bytes, most: int = MAX_BYTES) -> File:
    """Return the file with this content. The caller needs to read at most `most` + 1 bytes."""
    if len(content) > most:
        return _unreadable_file(f"larger than {most} bytes")
    return File(hashlib.sha256(content).hexdigest(), content)


def _read_file(path: str) -> File:
    # Do not wait for the writer of a pipe that has replaced the file.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return policy_file(file.read(MAX_BYTES + 1))


def _unreadable_file(why: str) -> File:
    return File(f"unreadable: {why}", unreadable=why)


def _signature(status: os.stat_result) -> Signature:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
