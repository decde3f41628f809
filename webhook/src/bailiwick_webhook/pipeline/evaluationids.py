"""Evaluation ids: they sort by time, cannot be guessed, and no two are alike, in whatever process they are made.

Standing: under the pipeline. The system is asked for random bytes in blocks: each time it is asked, this thread gives
the interpreter lock away, and may wait for it longer than a decision takes.
"""

import os
import time
from typing import Final

_BYTES: Final = 10
_BLOCK: Final = 256

# Taken from the end, which is one step for any number of threads.
_ready: Final[list[str]] = []
# A child would go on with what its parent has ready, and so would the next child.
os.register_at_fork(after_in_child=_ready.clear)


def new_evaluation_id() -> str:
    """Return a new id: 48 bits of milliseconds, then 80 random bits."""
    try:
        random = _ready.pop()
    except IndexError:
        digits = os.urandom(_BYTES * _BLOCK).hex()
        random, *more = [digits[at : at + 2 * _BYTES] for at in range(0, len(digits), 2 * _BYTES)]
        _ready.extend(more)
    return f"eval_{int(time.time() * 1000):012x}{random}"
