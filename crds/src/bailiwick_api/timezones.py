"""Time zones: the names of the IANA database, from the package `tzdata` and not from the machine.

The CEL library opens the machine's own files for each zone that a condition names. Whether `Europe/Berlin` is known
would hang on the image, so that the operator could accept what a decision point cannot evaluate.

Holds: `provide` points the library to the package before the first zone is asked for, in every process that compiles
or evaluates; the package has the same version everywhere, by the lock.
"""

import functools
import os
from importlib import resources
from typing import Final

_PACKAGE: Final = "tzdata"
# The database's own word for "nobody set the clock".
_NO_ZONES: Final = frozenset({"Factory"})


@functools.cache
def names() -> frozenset[str]:
    """Return the names of all zones, and those that are kept for compatibility."""
    return frozenset(resources.files(_PACKAGE).joinpath("zones").read_text("ascii").split()) - _NO_ZONES


def provide() -> None:
    """Point libraries that read `$TZDIR`, as cctz below the CEL library does, to the package, in this process."""
    os.environ["TZDIR"] = str(resources.files(_PACKAGE).joinpath("zoneinfo"))
