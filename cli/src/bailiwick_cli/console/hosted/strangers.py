"""What is told of people who are not logged in: anybody may come, as often as they like.

Holds: so many lines a minute at most, and how many were left out.
"""

import time
from collections.abc import Callable
from typing import Final

from bailiwick_cli import output

LINES: Final = 30
_SECONDS: Final = 60.0


class StrangerLog:
    """Tells it. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._told = 0

    def tell(self, line: str) -> None:
        """Tell a line, if there is room for it in this minute."""
        if self._clock() - self._since >= _SECONDS:
            if self._told > LINES:
                output.talk(f"{self._told - LINES} lines of people who are not logged in were left out.")
            self._since, self._told = self._clock(), 0
        self._told += 1
        if self._told <= LINES:
            output.talk(line)
