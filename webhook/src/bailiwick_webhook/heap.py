"""Heap: the collector of cycles is kept from walking over all policies again and again, which would stop the loop.

Standing: `main` alone uses it, around the first list.
Holds: young garbage is always collected; what is old and stays is walked over once, before anything is answered.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Final

# Of full collections: so many of the middle ones must go before. Never, for as long as a start takes.
_NEVER: Final = 1_000_000


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
