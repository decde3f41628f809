"""Pulse: how late this process can be with what it reads from the API server.

Standing: under `listwatch`, one for all watches of a process. Holds: what is read had not arrived yet at `sure`, and a
watch that was begun before `resumed` has been left unread for too long to say that.

Why that is so. What has arrived is taken in at the next look at the sockets, and read two turns of the loop later at
most. Between two beats lies at least one look, so what is read now arrived after the beat `_BEATS` beats ago, however
long each turn took, and however long the process was stopped in any of them. The exception is more than one look takes
in at once (64 KiB and more): its rest is read later. So much waits where nothing was read for a while: then the beats
were late, too. Not seen is a process that reads less than comes in turns that are each shorter than `LONGEST`. A pulse
that does not beat leaves everything as old as it is.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

BEAT: Final = 0.25
LONGEST: Final = 5.0
"""More seconds than this between two beats are a stop."""
_BEATS: Final = 6
_NEVER: Final = float("-inf")


class Pulse:
    """The beats of one process, in seconds of `clock`, whose time every reader of `sure` goes by."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._beats = deque([clock()] * _BEATS, _BEATS)
        # What is read at this moment arrived after this one.
        self.sure = self._beats[0]
        # When the process went on after the last stop.
        self.resumed = _NEVER

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            await asyncio.sleep(BEAT)
            self.beat()

    def beat(self) -> None:
        """Take note that the loop runs."""
        now = self.clock()
        if now - self._beats[-1] > LONGEST:
            self.resumed = now
        self._beats.append(now)
        self.sure = self._beats[0]
