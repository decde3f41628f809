"""Places: how many requests may be under way at a time, and how they are shared among those who send them.

Standing: under `edge`, which takes a place before it waits for anybody. Holds: nobody has more places than are free, so
that one sender alone has at most half of them, and two a third each; a place is given back once, however its request
ends; a request that gets none was not read, used nothing and was not decided.
"""

import time
from types import TracebackType
from typing import Final, Self

import structlog

from bailiwick_webhook.http.problems import overloaded
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Overload

MOST: Final = 1_000
_COMPLAIN_SECONDS: Final = 10.0

_log = structlog.get_logger()


class Places:
    """The places of one process. Lives in one loop."""

    def __init__(self, most: int, counts: Counts) -> None:
        self._counts = counts
        self._free = most
        self._held: dict[str, int] = {}
        self._complained = float("-inf")

    def place(self) -> "Place":
        """Return what a request holds its place with; it holds none yet."""
        return Place(self)

    def take(self, sender: str) -> None:
        """Take a place in a sender's name. Raises `ProblemError` (429)."""
        held = self._held.get(sender, 0)
        if held >= self._free:
            why = Overload.SHARE if self._free else Overload.FULL
            self._counts.overloads[why] += 1
            self._complain(why, sender, held)
            raise overloaded(why)
        self._held[sender] = held + 1
        self._free -= 1
        self._counts.under_way += 1

    def give_back(self, sender: str) -> None:
        """Give back a place that was taken in this name."""
        left = self._held[sender] - 1
        if left:
            self._held[sender] = left
        else:
            # Or whoever comes with a new name each time would be remembered for ever.
            del self._held[sender]
        self._free += 1
        self._counts.under_way -= 1

    def _complain(self, why: Overload, sender: str, held: int) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_SECONDS:
            self._complained = now
            # By the metric alone nobody could tell whose they are.
            _log.warning(
                "too many requests under way", why=why.value, sender=sender, its=held, all=self._counts.under_way
            )


class Place:
    """One request's place, as a context manager. Until its sender is proven, whoever connects stands for it."""

    __slots__ = ("_places", "_sender")

    def __init__(self, places: Places) -> None:
        self._places = places
        self._sender: str | None = None

    def __enter__(self) -> Self:
        """Begin a request."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it, however."""
        self._leave()

    def take(self, sender: str) -> None:
        """Hold the place in this name from now on, in place of any other. Raises `ProblemError` (429)."""
        if sender != self._sender:
            self._leave()
            self._places.take(sender)
            self._sender = sender

    def _leave(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            self._places.give_back(sender)
