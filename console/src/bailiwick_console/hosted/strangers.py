"""The log of people who are not logged in: anyone may come, as often as they like.

Holds: so many lines a minute at most, and how many were left out.
"""

import time
from collections.abc import Callable
from typing import Final

from bailiwick_governance.display import talk, talk_line
from bailiwick_process.rates import RateWindow

LINES: Final = 30
_SECONDS: Final = 60.0


class StrangerLog:
    """Tells it. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = RateWindow(LINES, _SECONDS)
        self._left_out = 0

    def tell(self, line: str) -> None:
        """Tell a line, if there is room for it in this minute."""
        if not self._window.take(self._clock()):
            self._left_out += 1
            return
        if self._left_out:
            talk(f"{self._left_out} lines of people who are not logged in were left out.")
            self._left_out = 0
        talk_line(line)
