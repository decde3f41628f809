"""Proof files: they prove to a third party, without the log, that one line is in it.

Source: C2SP tlog-proof. Holds: the line itself is not in the file; the proof does not authenticate `extra`.
"""

import re
from typing import Final, NamedTuple

from bailiwick_evidence.base64text import decode_base64, encode_base64
from bailiwick_evidence.note import NoteError

_FIRST: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})")
_HASH: Final = 32
_MOST: Final = 64


class LogProof(NamedTuple):
    """`seq`: of the line, from 0. `path`: hashes from the leaf's sibling upwards. `checkpoint`: the signed note."""

    seq: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""

    def text(self) -> str:
        """Return the file."""
        lines = [_FIRST]
        if self.extra:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines += [f"index {self.seq}", *map(encode_base64, self.path), "", self.checkpoint]
        return "\n".join(lines)

    @classmethod
    def parse(cls, text: str) -> "LogProof":
        """Read a file. Raises `NoteError`. The note in it is not verified."""
        head, found, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        extra: bytes | None = b""
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        path = [decode_base64(line) for line in lines]
        whole = [one for one in path if one is not None and len(one) == _HASH]
        if first != _FIRST or not found or index is None or extra is None or len(whole) != len(path):
            message = (
                f"not a proof: it begins with {_FIRST}, an index, and hashes, before an empty line and a checkpoint"
            )
            raise NoteError(message)
        if len(path) > _MOST:
            message = "not a proof: its index is too large"
            raise NoteError(message)
        return cls(int(index[1]), tuple(whole), checkpoint, extra)
