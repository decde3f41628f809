"""What time it is, and whether the operator may believe it: its clock beside the API server's.

Standing: under everything of the operator that judges by the time of day. Three parts ask the system itself, and give
or end no right by it: `programmed.replicas` stamps requests, which the decision point judges by its own clock; `watch`
reads tokens again by the time by which kopf judges them; `coverage.countprocess` is a process of its own. Holds: while
the two clocks are not surely within 30 s of each other, in either direction, `check` returns False, and every part that
counts, approves, ends or deletes by time waits. It continues by itself when they agree again. Each change is reported
once.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from math import isinf
from typing import Final

import structlog

from bailiwick_api.serverclock import ServerClock
from bailiwick_operator.reconcile.transitions import EventDraft

_LOG: Final = structlog.get_logger(__name__)
_LOOK_SECONDS: Final = 1.0
# Behind a balancer the clock of one API server of several may be off: do not resume after every other answer.
_STEADY_SECONDS: Final = 3.0
_COMPARE: Final = "Compare"
_UNTIL: Final = "No grant is approved, expired or deleted until the clocks agree"


class Clock:
    """The operator's one clock. `SkewMonitor` reports when it is off."""

    def __init__(self, server: ServerClock) -> None:
        self._server = server
        self.monotonic: Final = server.monotonic
        """Seconds since an arbitrary start, by a clock that cannot be set: for measuring how long ago something was."""
        self._apart_at = float("-inf")
        self._failed = False

    def now(self) -> datetime:
        """Return the later of the two clocks' times; where they do not agree, the API server's.

        By this, what gives rights ends in time.
        """
        return datetime.fromtimestamp(self._server.latest(), UTC)

    def earliest(self) -> datetime | None:
        """Return the earliest time that it can be, by both clocks; None where they do not agree.

        What gives rights back when its time is over is judged by this: by `now` it would end up to 30 s too early.
        """
        earliest = self._server.earliest()
        return None if isinf(earliest) else datetime.fromtimestamp(earliest, UTC)

    def trusted_earliest(self) -> datetime | None:
        """Return the earliest time; None while `check` fails, and then nothing ends by it."""
        earliest = self.earliest()
        if earliest is None:
            # A clock that was set, and put back before `check` looks, is not trusted either: a caller that gets no
            # time waits, and `take_failed_check` must know of it.
            self._apart_at = self.monotonic()
        return earliest if self.check() else None

    def local_now(self) -> datetime:
        """Return our own clock's time: for keys and certificates.

        They are not compared with times that the API server stamped. A key or certificate that is made or removed
        because an API server's clock jumped cannot be restored.
        """
        return datetime.fromtimestamp(self._server.wall(), UTC)

    def check(self) -> bool:
        """Compare the clocks now. Return whether anything may be counted, approved, expired or deleted by the time.

        Who gets False may wait until `SkewMonitor` resumes it: the failure is kept for `take_failed_check`.
        """
        if not self._server.agree:
            self._apart_at = self.monotonic()
        steady = self.monotonic() - self._apart_at >= _STEADY_SECONDS
        self._failed = self._failed or not steady
        return steady

    @property
    def ahead(self) -> float | None:
        """By how many seconds ours is ahead, negative: behind. None before the first answer."""
        return self._server.ahead

    @property
    def difference(self) -> str | None:
        """Why the two clocks do not agree at the moment, for a person; None where they agree, or it is not known."""
        return self._server.problem

    def take_failed_check(self) -> bool:
        """Return whether any check has failed since the last call, so that a part may wait.

        The monitor's own checks count too: to resume once too often costs nothing.
        """
        failed, self._failed = self._failed, False
        return failed


class SkewMonitor:
    """Reports when the clock is off and when it is right again, and then resumes the parts that waited for it.

    It is not part of `Clock`, because the parts that it calls are made with one. `problem` is why the clock is not
    trusted.
    """

    def __init__(self, clock: Clock, *, tell: Callable[[EventDraft], None], resume: Callable[[], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._resume = resume
        self._told = False
        self.problem: str | None = None

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Look once."""
        if not self._clock.check():
            self.problem = self._clock.difference or self.problem
            # Before the first answer there is nothing to tell, and without one we would not lead.
            if self.problem is not None and self._clock.ahead is not None and not self._told:
                self._told = True
                _LOG.error("clock skew: no grant is approved, expired or deleted", problem=self.problem)
                self._tell(EventDraft("Warning", _COMPARE, "ClockSkew", f"{self.problem}. {_UNTIL}"))
            return
        self.problem = None
        if self._told:
            self._told = False
            _LOG.info("the clocks agree again")
            self._tell(
                EventDraft(
                    "Normal", _COMPARE, "ClocksAgree", "the clocks of the operator and of the API server agree again"
                )
            )
        if self._clock.take_failed_check():
            self._resume()
