"""The collector of cycles: what it is kept from, since each walk over all that stays would stop the loop.

Standing: the decision point's `main` uses it around the first list, and hands `CollectorKeeper.tend` to what compiles;
what holds data parses it with `paused`, and takes it out of sight with `untrack`. Holds: young garbage is always
collected; what is old and stays is walked over once: before anything is answered, or a few thousand objects at a time
while more of it comes; all of it again only where there is much more of it than before. Data is never walked over: a
hundred objects of 256 KiB hold a million dicts and lists, and to freeze them is not enough, since the next walk over
everything thaws them.
"""

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

# Of full collections: so many of the middle ones must go before. Never, for as long as a start takes.
_NEVER: Final = 1_000_000
# Collections of the middle generation, each of which makes some thousand objects old: to walk over those takes
# milliseconds.
_OFTEN: Final = 1
# Blocks that may be in use beyond those of the last time before all of it is walked over: some 20 MiB of objects, and
# what the C libraries keep for them. A walk takes 0.05 s for the 250,000 objects of ten thousand small policies where
# the processor is free, and half a second for those of a hundred large ones where it is not.
_GROWN: Final = 200_000
# A walk that frees less than this part of what came to be was in vain: what grew are policies. The next one waits for
# twice as much, up to so many times as much. Almost all are, so the first one waits for the most.
_WORTH: Final = 0.25
_PATIENCE: Final = 4
_STEP: Final = 256
# Python's own, by which each of its containers leaves the collector before it is freed; a second time it does nothing.
_UNTRACK: Final = ctypes.pythonapi.PyObject_GC_UnTrack
_UNTRACK.argtypes = [ctypes.py_object]
_UNTRACK.restype = None


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
    """Keeps the collector from what stays. `allocated` returns how many blocks of memory objects use."""

    def __init__(self, allocated: Callable[[], int] = sys.getallocatedblocks) -> None:
        self._allocated = allocated
        self._most = 0
        self._grown = _PATIENCE * _GROWN

    def tend(self) -> None:
        """Walk over what has grown old since this was done last, and not again. For those who make much that stays.

        Left alone, the collector waits until there is a quarter more than before, and then walks over all of it. What
        dies later is freed as ever, when the last reference to it goes; only what refers to itself stays, as a
        connection does that is open in this moment. Once there may be too much of that, all is walked over after all;
        sooner where the last walk freed much, since all calls wait for it.

        Blocks in use are counted, and not the bytes that the process holds: the C library keeps what is freed, so that
        after each walk as much garbage as before would fit into what is held, and more.
        """
        if gc.get_count()[2] < _OFTEN:
            return
        allocated = self._allocated()
        if not self._most:
            self._most = allocated + self._grown
        thawed = allocated > self._most
        if thawed:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        if thawed:
            left = self._allocated()
            worth = allocated - left >= _WORTH * self._grown
            self._grown = _GROWN if worth else min(2 * self._grown, _PATIENCE * _GROWN)
            self._most = left + self._grown


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Collect nothing meanwhile: in the midst of a parse, the collector would walk over what is made so far."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def untrack(value: Any) -> Generator[None, None, None]:  # noqa: ANN401 - any JSON
    """Take a value and all that is in it out of the collector's sight, in steps.

    The value came from a parser, so that it holds no cycle, and nothing changes it: the collector has nothing to find
    in it, and it is freed when the last reference to it goes.
    """
    waiting = [value]
    count = 0
    while waiting:
        one = waiting.pop()
        _UNTRACK(one)
        members = one.values() if type(one) is dict else one
        waiting += [member for member in members if type(member) is dict or type(member) is list]
        count += 1
        if count % _STEP == 0:
            yield
