"""Files of a folder that `kubectl apply -f` reads and a decision point does not: hidden ones, and JSON.

Standing: under `policies`, and the command line's `gitfiles`. Holds: none that may hold an object of ours is passed
over in silence: neither for how it is spelled nor for its size.
"""

import os
import re
from pathlib import Path
from typing import Final

from bailiwick_api.documents.policyfiles import SUFFIXES, is_read
from bailiwick_api.documents.positions import MAX_STREAM_BYTES
from bailiwick_api.kinds.meta import GROUP
from bailiwick_governance.errors import UserError

_APPLIED: Final = (*SUFFIXES, ".json")
_REPOSITORY: Final = ".git"
# How a text spells a name so that the name's own bytes are not in it, as kubectl reads it: by escapes of characters of
# ASCII, by a tag for base64 (`!!binary`, written out, or by a handle of its own), or in UTF-16.
_DISGUISE: Final = re.compile(rb"\\[ux]|\\U0{6}|!!(?:b|%62)|!<[^>\s]{0,3}[:%]|%TAG|\A(?:\xfe\xff|\xff\xfe)")
# An escaped line break divides a name in two. Scripts are full of them, so that none is a disguise by itself.
_ESCAPED_BREAK: Final = re.compile(rb"\\(?:\r\n?|\n|\xc2\x85|\xe2\x80[\xa8\xa9])[ \t]*")


def is_applied_alone(path: str) -> bool:
    """Tell whether `kubectl apply -f` alone reads a file of a folder, by its path below that folder."""
    return path.endswith(_APPLIED) and not is_read(path) and not any(_is_passed_over(part) for part in path.split("/"))


def refuse_unread(path: str, content: bytes) -> None:
    """Raise `UserError` for a file that may hold an object of ours.

    The caller needs to read at most `MAX_STREAM_BYTES` + 1 bytes.
    """
    if len(content) > MAX_STREAM_BYTES:
        raise UserError(
            f"{path} is larger than {MAX_STREAM_BYTES} bytes, too large to tell whether it holds objects of {GROUP}"
            " that a decision point does not read: move it out of the folder, or divide it"
        )
    if _DISGUISE.search(content) or GROUP.encode() in _ESCAPED_BREAK.sub(b"", content):
        raise UserError(
            f"{path} may hold objects of {GROUP}, but a decision point reads only the .yaml and .yml files of a folder"
            " that are not hidden: rename it, move it out of the folder, or name the file itself"
        )


def refuse_unread_of(root: Path) -> None:
    """Refuse such files of a folder. Raises `UserError`, and `OSError` for what cannot be read."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_passed_over(name))
        for name in sorted(names):
            path = Path(folder) / name
            if is_applied_alone(path.relative_to(root).as_posix()) and path.is_file():
                with path.open("rb") as file:
                    refuse_unread(str(path), file.read(MAX_STREAM_BYTES + 1))


def _is_passed_over(name: str) -> bool:
    """Tell whether a name is a repository's, or that of a mounted ConfigMap's own folders."""
    return name == _REPOSITORY or name.startswith("..")
