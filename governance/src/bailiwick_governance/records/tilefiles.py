"""The files of a log of tiles, each read by its path: below a folder, or below a prefix of an object store.

Standing: beside `logfiles`, over `logplaces`. Holds: a file that is not there is no error, one that cannot be read
is one, and no more is read of a file than was asked for.
"""

from collections.abc import Callable
from pathlib import Path

from bailiwick_governance.errors import UserError
from bailiwick_governance.records.logplaces import local_or_store
from bailiwick_governance.records.objectstores import StoreUrl

TileFiles = Callable[[str, int], bytes | None]
"""Returns the first bytes of the file with this path, at most so many; None: there is none. Raises `UserError`."""


def tile_files(name: str) -> TileFiles:
    """Return what reads the files of the log at a place, which is named as log files are. Raises `UserError`."""
    place = local_or_store(name)
    if isinstance(place, StoreUrl):
        return place.reader().read
    folder = Path(place)
    return lambda path, most: _read(folder, path, most)


def _read(folder: Path, name: str, most: int) -> bytes | None:
    path = folder / name
    try:
        # With a link to a folder above it, a few small files would be a log without an end.
        if any(one.is_symlink() for one in (path, *path.parents[: len(Path(name).parts) - 1])):
            raise UserError(f"{path} is behind a symbolic link, which is not followed")
        if path.exists() and not path.is_file():
            # Such as a pipe, which would be waited for.
            raise UserError(f"{path} is not a file")
        with path.open("rb") as file:
            return file.read(most)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
