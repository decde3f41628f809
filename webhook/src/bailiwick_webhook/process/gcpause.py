"""GC pause: the collector of cycles is kept from walking over all policies again and again, which would stop the loop.

Standing: `main` uses it around the first list, and hands `CollectorKeeper.tend` to who compiles.
Holds: young garbage is always collected; what is old and stays is walked over once: before anything is answered, or a
few thousand objects at a time while more of it comes; all of it again only where the process has grown by much.
"""

import contextlib
import gc
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

# Of full collections: so many of the middle ones must go before. Never, for as long as a start takes.
_NEVER: Final = 1_000_000
# Collections of the middle generation, each of which makes some thousand objects old: to walk over those takes
# milliseconds.
_OFTEN: Final = 1
# Bytes that the process may grow by before all of it is walked over, which takes 0.05 s for the 250,000 objects of ten
# thousand policies, where the processor is free.
_GROWN: Final = 64 * 2**20
_STATM: Final = Path("/proc/self/statm")


@contextlib.contextmanager
def filling() -> Iterator[Callable[[], None]]:
    """Put full collections off while the store fills; the function that is returned says that it is filled."""
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)

    def filled() -> None:
        gc.collect()
        # What is compiled has no garbage in it that only a collector would find: replaced, it is freed at once.
        gc.freeze()
        gc.set_threshold(young, middle, old)

    try:
        yield filled
    finally:
        gc.set_threshold(young, middle, old)


class CollectorKeeper:
    """Keeps the collector from what stays. `resident` returns the bytes that the process holds in memory."""

    def __init__(self, resident: Callable[[], int] | None = None) -> None:
        self._resident = resident or _resident
        self._most: float = 0

    def tend(self) -> None:
        """Walk over what has grown old since this was done last, and not again. For whoever makes much that stays.

        Left alone, the collector waits until there is a quarter more than before, and then walks over all of it. What
        dies later is freed as ever, when the last reference to it goes; only what refers to itself stays, as a
        connection does that is open in this moment. Once those have come to `_GROWN`, all is walked over after all:
        in the soak of `tests/chaos` they were 20 MiB a minute.
        """
        if gc.get_count()[2] < _OFTEN:
            return
        held = self._resident()
        if not self._most:
            self._most = held + _GROWN
        thawed = held > self._most
        if thawed:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        if thawed:
            # The C library may keep what is free now: it is used again before the process grows.
            self._most = self._resident() + _GROWN


def _resident() -> int:
    """Return what `statm` says (man 5 proc); 0 where there is none, so that nothing is ever walked over again."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()
