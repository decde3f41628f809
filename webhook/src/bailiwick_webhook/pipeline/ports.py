"""Ports: what the pipeline asks of what writes records.

Standing: under every module of the pipeline; `record/writing` stands behind it. Holds: nothing here decides.
"""

from collections.abc import Callable
from typing import Protocol


class Records(Protocol):
    """Where records go."""

    @property
    def waits(self) -> bool:
        """`write` returns only when a line is written, though it need not be."""

    def take(self, line: bytes) -> bool:
        """Take one line for which no answer need wait; False where only `write` can tell what becomes of it."""

    def spare(self, line: bytes, gone: Callable[[], None]) -> bool:
        """Take one line that no answer depends on, where no other needs the room; returns whether it was taken."""

    async def write(self, line: bytes, *, must: bool = True) -> None:
        """Take one line, or raise `RecordFailedError`; with `must`, return only when it is written."""
