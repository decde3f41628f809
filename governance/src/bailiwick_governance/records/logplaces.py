"""Where logs are: a name that a person gave, and the files or objects that it stands for.

Standing: under `logfiles`. Holds: a name without `://` is a file's, and asks no network; of a folder every file is
read, and what is none is an error, since an audit must not pass over what it was given.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from bailiwick_governance.errors import UserError
from bailiwick_governance.records.objectstores import StoredObject, StoreUrl

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_FILE: Final = "file"

LogPlace = str | StoredObject
"""A file by its name (`-`: standard input), or an object of a store."""


def places_of(name: str) -> list[LogPlace]:
    """Return what a name stands for, in order of names. Raises `UserError`."""
    place = local_or_store(name)
    if isinstance(place, StoreUrl):
        return list(place.objects())
    return [name] if place == name else list(_files_below(name, place))


def local_or_store(name: str) -> str | StoreUrl:
    """Return the path that a name is, or that a URL of a folder has, or the URL of objects. Raises `UserError`."""
    found = _URL.fullmatch(name)
    if found is None:
        return name
    scheme = found[1].lower()
    if scheme != _FILE:
        return StoreUrl.parse(scheme, found[2])
    path = unquote(found[2])
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise UserError(f"{name} names no folder: write it as file:///FOLDER, without ..")
    return path


def _files_below(name: str, path: str) -> Iterator[str]:
    """Yield a file, or all files below a folder. Raises `UserError`."""
    try:
        if not stat.S_ISDIR(Path(path).stat().st_mode):
            yield path
            return
        empty = True
        for folder, below, files in os.walk(path, onerror=_raise):
            below.sort()
            files.sort()
            for one in (*below, *files):
                found = Path(folder) / one
                mode = found.lstat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise UserError(f"{found} is neither a file nor a folder, and is not followed: name the files")
            yield from (str(Path(folder) / one) for one in files)
            empty = empty and not files
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}") from error
    if empty:
        raise UserError(f"{name}: no file there")


def _raise(error: OSError) -> None:
    raise error
