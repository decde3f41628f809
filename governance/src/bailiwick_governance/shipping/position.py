"""How far a file is stored, and how that is kept for the next process.

Standing: under `shipper`. Holds: it spares work and proves nothing. One that is lost, old or malformed has lines sent
again that are stored already, and the store's answer says so.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_NAME: Final = "position.json"
_HASH: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = 4096
TAIL: Final = 4096
"""How many bytes before a position are looked at, at most."""


def _hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Position:
    """The first bytes of a file, which are stored.

    `file`: its id. `copy`: 0, or more where lines changed that are stored. `tail_size`, `tail_hash`: how many bytes
    before the offset were looked at, and their hash: of the last line, or most of it.
    """

    file: str
    copy: int = 0
    offset: int = 0
    tail_size: int = 0
    tail_hash: str = _hash_of(b"")

    @property
    def name(self) -> str:
        """The object that holds the lines from there, below the prefix."""
        return f"{self.file}.{self.copy}/{self.offset:020}.log.gz"

    def after(self, size: int, tail: bytes) -> "Position":
        """Return the position so many bytes later. `tail`: the last of them, `TAIL` or all."""
        return Position(self.file, self.copy, self.offset + size, len(tail), _hash_of(tail))

    def ends_in(self, tail: bytes) -> bool:
        """Tell whether these are the bytes before it."""
        return len(tail) == self.tail_size and _hash_of(tail) == self.tail_hash


class PositionFile:
    """Where it is kept."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def read(self) -> Position | None:
        """Return what was kept; None if nothing was that can be understood."""
        try:
            with self._path.open("rb") as file:
                kept = json.loads(file.read(_MOST))
            position = Position(**kept)
            hashed = all(map(_HASH.fullmatch, (position.file, position.tail_hash)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        numbers = (position.copy, position.offset, position.tail_size)
        counted = all(type(number) is int and number >= 0 for number in numbers)
        return position if counted and hashed and position.tail_size <= min(TAIL, position.offset) else None

    def write(self, position: Position) -> None:
        """Keep it, in place of the one before. Raises `OSError`, and then the one before stays."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(position)), encoding="utf-8")
        fresh.replace(self._path)
