"""What time it is, and whether the operator may believe it: its clock beside the API server's.

Standing: under everything of the operator that judges by time, and nothing there asks the system itself. Holds: while
the two clocks are not surely within 30 s of each other, in either direction, `trusted` is False, and whoever counts,
approves, ends or deletes by time waits; it goes on by itself when they agree again. What is said of it is said once for
each change.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from bailiwick_api.serverclock import ServerClock
from bailiwick_operator.reconcile.transitions import EventDraft

_LOG: Final = structlog.get_logger(__name__)
_LOOK_SECONDS: Final = 1.0
# Behind a balancer one API server of several may be off: nobody begins anew at every other answer.
_STEADY_SECONDS: Final = 3.0
_COMPARE: Final = "Compare"
_UNTIL: Final = "Nothing is approved, expired or deleted until they agree"


class Clock:
    """The operator's clock. `run` tells people that it is off, and calls `agree_again`; everybody else asks it."""

    def __init__(self, server: ServerClock) -> None:
        self._server = server
        self.monotonic: Final = server.monotonic
        """Seconds from anywhere, which nobody sets: how long ago something was."""
        self._apart_at = float("-inf")
        self._waited_for = False
        self._told = False
        self.agree_again: Callable[[], None] = lambda: None
        """Called when the clock is trusted and somebody was told before that it is not."""
        self.tell: Callable[[EventDraft], None] = lambda _told: None
        """Where people are told of it."""
        self.problem: str | None = None
        """Why the clock is not trusted, for a person; None while it is."""

    def now(self) -> datetime:
        """Return the later of the two clocks' times; where they do not agree, the API server's."""
        return datetime.fromtimestamp(self._server.latest(), UTC)

    def ours(self) -> datetime:
        """Return our own clock's time: for keys and certificates.

        They are compared with nothing that the API server stamped, and what is made or removed by an API server's
        clock that jumps cannot be taken back.
        """
        return datetime.fromtimestamp(self._server.wall(), UTC)

    @property
    def trusted(self) -> bool:
        """Whether anything may be counted, approved, expired or deleted by the time."""
        if not self._server.agree:
            self._apart_at = self.monotonic()
        steady = self.monotonic() - self._apart_at >= _STEADY_SECONDS
        self._waited_for = self._waited_for or not steady
        return steady

    @property
    def ahead(self) -> float | None:
        """By how many seconds ours is ahead, negative: behind. None before the first answer."""
        return self._server.ahead

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Look once."""
        if not self.trusted:
            self.problem = self._server.problem or self.problem
            # Before the first answer there is nothing to tell, and without one we would not lead.
            if self.problem is not None and self.ahead is not None and not self._told:
                self._told = True
                _LOG.error("clock skew: nothing is approved, expired or deleted", problem=self.problem)
                self.tell(EventDraft("Warning", _COMPARE, "ClockSkew", f"{self.problem}. {_UNTIL}"))
            return
        self.problem = None
        if self._told:
            self._told = False
            _LOG.info("the clocks agree again")
            self.tell(
                EventDraft("Normal", _COMPARE, "ClocksAgree", "the operator's and the API server's clock agree again")
            )
        if self._waited_for:
            self._waited_for = False
            self.agree_again()
