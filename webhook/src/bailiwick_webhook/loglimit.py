"""A limit of log lines, for events that a caller or a broken disk can cause without limit.

Standing: parts that serve unauthenticated callers, or call the API server for a caller, log by it. Holds: of one event
a line is written at most once in `SECONDS`, and the next line says how many were left out, so that no flood of requests
fills a disk.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from bailiwick_process.rates import RateWindow

SECONDS: Final = 10.0


class LogLimit:
    """Logs events; each call returns whether its line was written. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By event. Events are our own constant texts, so there are only as many as calls in the source.
        self._windows: dict[str, RateWindow] = {}
        self._left_out: dict[str, int] = {}

    def debug(self, event: str, **fields: Any) -> bool:  # noqa: ANN401 - whatever a logger takes
        """Log for a person who looks for it."""
        return self._log("debug", event, fields)

    def info(self, event: str, **fields: Any) -> bool:  # noqa: ANN401 - likewise
        """Log what explains a denial."""
        return self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> bool:  # noqa: ANN401 - likewise
        """Log what an operator has to know."""
        return self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> bool:  # noqa: ANN401 - likewise
        """Log what an operator has to fix."""
        return self._log("error", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> bool:
        window = self._windows.get(event)
        if window is None:
            window = self._windows[event] = RateWindow(1, SECONDS)
        if not window.take(self._clock()):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return False
        if left_out := self._left_out.pop(event, 0):
            fields["left_out"] = left_out
        # Fetched each time, because `logs` configures it after this module was imported.
        getattr(structlog.get_logger(), level)(event, **fields)
        return True
