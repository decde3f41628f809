"""Heartbeat: what ties a worker process to its parent: each notices when the other is gone or stands still.

Standing: one pair for each worker; `parent` has one end (`HeartbeatMonitor`), the worker the other (`Heartbeat`, by
its `worker` slot). Holds: a beat comes from the child's loop, so that a loop that does not turn is silent, whatever
its threads do; neither end waits for the other; what a child does not know of the others, or knows no more, it does
not call ready.

A beat is one message of one byte, the child's state. The first process is told every process' state in turn, a byte
each, since it is the one that whoever routes to us asks.
"""

import asyncio
import enum
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final

# Seconds between two beats, and between two looks of the parent at them.
BEAT: Final = 1.0
# So long without a beat is no longer ready. Nobody is killed for that.
QUIET: Final = 3 * BEAT
# What the parent said so long ago, or longer, is not known any more.
STALE: Final = 10 * BEAT
_MOST: Final = 4096


class State(enum.IntEnum):
    """What one process is. STARTING, UNREADY and READY it says itself; the others are said of it."""

    ABSENT = enum.auto()
    STARTING = enum.auto()
    UNREADY = enum.auto()
    READY = enum.auto()
    SILENT = enum.auto()
    UNKNOWN = enum.auto()


class Heartbeat:
    """The child's end: its `index` among all workers."""

    def __init__(self, end: socket.socket, index: int, processes: int) -> None:
        end.setblocking(False)  # noqa: FBT003 - its only argument
        self._end = end
        self._others = [other for other in range(processes) if other != index]
        self._ready: Callable[[], bool] | None = None
        self._heard, self._states = float("-inf"), b""

    def follow(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
        """Beat from now on, and call `stop` when the parent is gone, however it went: its end closes with it."""

        def hear() -> None:
            try:
                said = self._end.recv(_MOST)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if said:
                self._heard, self._states = time.monotonic(), said
                return
            loop.remove_reader(self._end)
            stop()

        def beat() -> None:
            self._beat()
            loop.call_later(BEAT, beat)

        loop.add_reader(self._end, hear)
        beat()

    def tell_serving(self, ready: Callable[[], bool]) -> None:
        """Tell the parent that we listen; with each beat from now on, whether we are `ready`."""
        self._ready = ready
        self._beat()

    def others(self) -> dict[str, str]:
        """Return which of the other processes are not ready, and what they are. Only the first process is told."""
        known = self._states if time.monotonic() - self._heard < STALE else b""
        states = {other: State(known[other]) if other < len(known) else State.UNKNOWN for other in self._others}
        return {str(other): state.name.lower() for other, state in states.items() if state is not State.READY}

    def _beat(self) -> None:
        state = State.STARTING if self._ready is None else State.READY if self._ready() else State.UNREADY
        _send(self._end, bytes([state]))


class HeartbeatMonitor:
    """The parent's end. `silent` are the seconds for which nothing came; `served` once the child said so."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)  # noqa: FBT003 - its only argument
        self._end = end
        self._said = State.STARTING
        self.served = False
        self.silent = 0.0

    @property
    def state(self) -> State:
        """What the child is at the moment."""
        return State.SILENT if self.silent > QUIET else self._said

    def look(self, passed: float) -> None:
        """Take what the child said since the last look, `passed` seconds ago."""
        self.silent += passed
        while True:
            try:
                said = self._end.recv(_MOST)
            except OSError:
                return
            if not said:
                return
            self.silent, self._said = 0.0, State(said[0])
            self.served = self.served or self._said is not State.STARTING

    def tell(self, states: Iterable[State]) -> None:
        """Tell the child what every process is, itself too."""
        _send(self._end, bytes(states))

    def close(self) -> None:
        """Let the child go: it drains and ends."""
        self._end.close()


def pair() -> tuple[HeartbeatMonitor, socket.socket]:
    """Return the parent's end and what a child makes its `Heartbeat` of. Raises `OSError`."""
    # Messages stay whole and apart, and a closed end is told.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return HeartbeatMonitor(ours), theirs


def _send(end: socket.socket, message: bytes) -> None:
    try:
        end.send(message)
    except OSError:
        # Full, since the other end stands still, or closed. Who is there to listen notices by itself.
        return
