"""Archives that are the same wherever and whenever they are made from the same files.

Holds: entries come in the order of their names, belong to nobody, and have the time that is given; a file is either
executable or not, whatever the umask was.
"""

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive."""

    content: bytes
    executable: bool = False


def folder_entries(folder: Path, below: str = "") -> dict[str, Entry]:
    """Return the files of a folder, by their names in an archive, where they lie in the folder `below`."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = f"{below}/{path.relative_to(folder)}".lstrip("/")
            found[name] = Entry(path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))
    return found


def tar(entries: Mapping[str, Entry], created: int) -> bytes:
    """Return a tar archive of these files."""
    output = io.BytesIO()
    # GNU's format has no further headers, in which pax would keep what differs between machines.
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, entry in sorted(entries.items()):
            header = tarfile.TarInfo(name)
            header.size, header.mtime = len(entry.content), created
            header.mode = _EXECUTABLE if entry.executable else _PLAIN
            archive.addfile(header, io.BytesIO(entry.content))
    return output.getvalue()


def tar_gzip(entries: Mapping[str, Entry], created: int) -> bytes:
    """Return a gzipped tar archive of these files; the header of gzip holds no time and no name."""
    return gzip.compress(tar(entries, created), compresslevel=6, mtime=0)
