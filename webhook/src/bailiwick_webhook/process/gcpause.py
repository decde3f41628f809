"""GC pause: the collector of cycles is kept from walking over all policies again and again, which would stop the loop.

Standing: `main` uses it around the first list, and hands `tend` to who compiles.
Holds: young garbage is always collected; what is old and stays is walked over once: before anything is answered, or a
few thousand objects at a time while more of it comes.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Final

# Of full collections: so many of the middle ones must go before. Never, for as long as a start takes.
_NEVER: Final = 1_000_000
# Collections of the middle generation, each of which makes some thousand objects old: to walk over those takes
# milliseconds.
_OFTEN: Final = 1


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


def tend() -> None:
    """Walk over what has grown old since this was done last, and never again. For whoever makes much that stays.

    Left alone, the collector waits until there is a quarter more than before, and then walks over all of it. What
    dies later is freed as ever, when the last reference to it goes; only what refers to itself would stay.
    """
    if gc.get_count()[2] >= _OFTEN:
        gc.collect()
        gc.freeze()
