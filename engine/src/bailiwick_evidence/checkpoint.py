"""Checkpoints: how large a log was, and the root over it, as the text of a signed note.

Source: C2SP tlog-checkpoint. Holds: the name of the key that signs a checkpoint of a process is the log's origin; the
origin names the installation and the chain, so that no two logs are confused.
"""

import re
from typing import Final, NamedTuple

from bailiwick_evidence.base64text import decode_base64, encode_base64
from bailiwick_evidence.note import NoteError

_HASH: Final = 32
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_ORIGIN: Final = re.compile(r"bailiwick/([A-Za-z0-9._-]+)/([A-Za-z0-9_-]{22})")


class Checkpoint(NamedTuple):
    """`size` is in lines; `root` has 32 bytes."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text of the note."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note. Raises `NoteError`. Lines behind the third are for others, and are skipped."""
        origin, size, root, *_ = [*text.split("\n"), "", "", ""]
        held = decode_base64(root)
        if not origin or not _SIZE.fullmatch(size) or held is None or len(held) != _HASH:
            message = "not a checkpoint: an origin, a size and a root, a line each"
            raise NoteError(message)
        return cls(origin, int(size), held)


def origin(installation: str, chain: str) -> str:
    """Return what names the log of a chain: the installation, which is its namespace, and the id of the chain.

    The installations of two clusters are called the same, if their namespaces are: it says nothing of the cluster.
    """
    return f"bailiwick/{installation}/{chain}"


def chain_of(name: str) -> tuple[str, str] | None:
    """Return the installation and the chain that an origin names; None if it is not one of ours."""
    found = _ORIGIN.fullmatch(name)
    return None if found is None else (found[1], found[2])
