"""How busy this machine is: what takes a second on a quiet one takes longer where others have it, too."""

import os
from typing import Final

# Nothing is worth waiting for longer than this many times.
_MOST: Final = 8.0


def stretch() -> float:
    """Return how many programs share a processor, 1 at least."""
    shared = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(_MOST, max(1.0, shared))
