"""Policy files: what files a directory of policies holds at this moment, and whether that is a change.

Standing: the decision point and `kubectl bailiwick check -f` read the same files of a folder by it.

Holds: a file is read again whenever its inode, size or times differ, and as long as they are too young to tell two
writes apart. Hidden names are passed over, links are followed: a mounted ConfigMap is links into a hidden folder,
`..data`, that is itself a link and swapped whole.
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
    """More files than `MAX_FILES`, or deeper than `MAX_DEPTH`: this is hardly a directory of policies."""


@dataclass(frozen=True, slots=True)
class File:
    """A file and its content; `unreadable` says why there is none. `digest` is of either."""

    digest: str
    content: bytes = b""
    unreadable: str | None = None


class DirectoryScan:
    """Looks at one directory, again and again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[Signature, File]] = {}

    def look(self) -> dict[str, File]:
        """Return every file by its path, that of the root included. Blocks. Raises `OSError` for a folder."""
        found: dict[str, tuple[Signature, File]] = {}
        for path in _paths(self._root, frozenset(), 0):
            if len(found) >= MAX_FILES:
                raise TooMuchError(f"{self._root} has more than {MAX_FILES} files")
            found[path] = self._file(path)
        self._known = found
        return {path: file for path, (_, file) in sorted(found.items())}

    def _file(self, path: str) -> tuple[Signature, File]:
        try:
            now = time.time_ns()
            there = os.stat(path)  # noqa: PTH116 - of thousands of files, twice a second
            known = self._known.get(path)
            signature = _signature(there)
            if (
                known is not None
                and known[0] == signature
                and now - max(there.st_mtime_ns, there.st_ctime_ns) > (_YOUNG_NANOSECONDS)
            ):
                return known
            if not stat.S_ISREG(there.st_mode):
                return signature, _unreadable("not a file")
            return signature, _read(path)
        except OSError as error:
            # A link to nothing, or no right to read: what it ought to say is unknown.
            return (), _unreadable((error.strerror or "cannot be read").lower())


def _paths(folder: Path | str, above: frozenset[tuple[int, int]], depth: int) -> Iterator[str]:
    there = os.stat(folder)  # noqa: PTH116 - likewise
    here = (there.st_dev, there.st_ino)
    if here in above:
        # A link to a folder that we are in.
        return
    if depth > MAX_DEPTH:
        raise TooMuchError(f"{folder} is more than {MAX_DEPTH} folders deep")
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _paths(entry.path, above | {here}, depth + 1)
        elif entry.name.endswith(SUFFIXES):
            yield entry.path


def is_read(path: str) -> bool:
    """Tell whether a file of a folder is read, by its path below that folder."""
    return path.endswith(SUFFIXES) and not any(part.startswith(".") for part in path.split("/"))


def taken(content: bytes, most: int = MAX_BYTES) -> File:
    """Return the file of this content, of which at most `most` and one more byte need be read."""
    if len(content) > most:
        return _unreadable(f"larger than {most} bytes")
    return File(hashlib.sha256(content).hexdigest(), content)


def _read(path: str) -> File:
    # Not to wait for whoever writes into a pipe that took the file's place.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return taken(file.read(MAX_BYTES + 1))


def _unreadable(why: str) -> File:
    return File(f"unreadable: {why}", unreadable=why)


def _signature(there: os.stat_result) -> Signature:
    return (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)
