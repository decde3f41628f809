"""A decision point that SIGKILL ends at a step of its own log, which is the first argument; the rest are its flags.

Standing: run as a program. Holds: all is the real process's but the moment of its death. A step is of one kind of line:
`KIND:before`; `KIND:COUNT`, when so many bytes of the write stand that it is in, below 0 all but so many; `KIND:fsync`,
after the write and before the disk was asked to keep it; `KIND:after`. Or it is around a signature:
`checkpoint:before` and `checkpoint:after`.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from bailiwick_webhook.main import main
from bailiwick_webhook.record.writing.chainlog import ChainLog, SignedCheckpoint, UnknownSize


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # Never reached.


class DyingLine:
    """Ends the process at a write of a line of this kind."""

    def __init__(self, kind: str, step: str) -> None:
        self._kind = f'"kind":"{kind}"'.encode()
        self._step = step
        self._stands = False
        self._write, self._fsync = os.write, os.fsync

    def write(self, descriptor: int, data: bytes) -> int:
        if self._kind not in bytes(data):
            return self._write(descriptor, data)
        if self._step == "before":
            die()
        if self._step.lstrip("-").isdecimal():
            self._write(descriptor, bytes(data)[: int(self._step)])
            die()
        done = self._write(descriptor, data)
        self._stands = True
        return done

    def fsync(self, descriptor: int) -> None:
        if self._stands and self._step == "fsync":
            die()
        self._fsync(descriptor)
        if self._stands:
            die()


def dying_checkpoint(step: str) -> Callable[[ChainLog, int], SignedCheckpoint | UnknownSize]:
    """Return a method that ends the process before it signs, or before what it signed is told."""
    signing = ChainLog.checkpoint

    def checkpoint(self: ChainLog, size: int) -> SignedCheckpoint | UnknownSize:
        if size and step == "before":
            die()
        made = signing(self, size)
        if size:
            die()
        return made

    return checkpoint


if __name__ == "__main__":
    kind, _, step = sys.argv.pop(1).partition(":")
    if kind == "checkpoint":
        ChainLog.checkpoint = dying_checkpoint(step)  # type: ignore[assignment, method-assign]  # what it dies by
    else:
        dying = DyingLine(kind, step)
        os.write, os.fsync = dying.write, dying.fsync  # type: ignore[assignment]  # what it dies by
    raise SystemExit(main())
