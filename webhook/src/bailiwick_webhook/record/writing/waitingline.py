"""A line on its way to the file of records, and the answer that waits for it.

Standing: under `writer`, which keeps such lines in order. Holds: frozen; a line that was given up is not taken along.
"""

import asyncio
from collections.abc import Callable

import msgspec


class RecordFailedError(Exception):
    """A record could not be written."""


class WaitingLine(msgspec.Struct, frozen=True, gc=False):
    """A line on its way to the file. `done`: somebody waits.

    `kept`: the decision is given whatever happens, so the line is tried until it stands.
    `numbered`: as it is in the chain, where some of it may stand already. `own`: it is no record, but of the chain.
    `gone`: no answer depends on it; it is dropped where writing fails, and this is called then.
    """

    data: bytes
    done: asyncio.Future[None] | None
    kept: bool
    numbered: bytes | None = None
    own: bool = False
    gone: Callable[[], None] | None = None

    @property
    def given_up(self) -> bool:
        """The answer was no, so that a record of it would be of a decision that was not given."""
        return self.done is not None and not self.kept and self.numbered is None and self.done.done()


def taken_along(waiting: list[WaitingLine], most: int) -> tuple[list[WaitingLine], list[WaitingLine]]:
    """Take out what one write takes along, up to the line with which it has so many bytes; and what was given up."""
    batch: list[WaitingLine] = []
    late: list[WaitingLine] = []
    size = 0
    for line in waiting:
        if line.given_up:
            late.append(line)
            continue
        batch.append(line)
        size += len(line.data)
        if size >= most:
            break
    del waiting[: len(batch) + len(late)]
    return batch, late


def expire(done: asyncio.Future[None], kept: bool) -> None:  # noqa: FBT001 - call_later takes no keywords
    """End the wait for a line."""
    if not done.done():
        done.set_result(None) if kept else done.set_exception(RecordFailedError("the record was not written in time"))
