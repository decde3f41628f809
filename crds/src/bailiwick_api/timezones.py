"""Time zones: the names of the IANA database, from the package `tzdata` and not from the machine.

The CEL library opens the machine's own files for each zone that a condition names. Whether `Europe/Berlin` is known
would then depend on the image, and the operator could accept a policy that a decision point cannot evaluate.

Holds: `provide` points the library to the package before the first zone is used, in every process that compiles or
evaluates. The lock files give the package the same version everywhere.
"""

import functools
import os
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

_PACKAGE: Final = "tzdata"
# The database's own name for a system whose time zone was never set.
_NO_ZONES: Final = frozenset({"Factory"})


@functools.cache
def names() -> frozenset[str]:
    """Return the names of all zones, and the names that the database keeps for compatibility."""
    return frozenset(resources.files(_PACKAGE).joinpath("zones").read_text("ascii").split()) - _NO_ZONES


@functools.lru_cache(maxsize=1_024)
def zone(name: str) -> ZoneInfo:
    """Return a zone by its name, which must be one of `names`, as the package has it.

    `ZoneInfo(name)` would open the machine's own file before the package's.
    """
    with resources.files(_PACKAGE).joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def provide() -> None:
    """Point libraries of this process that read `$TZDIR`, such as cctz in the CEL library, to the package."""
    os.environ["TZDIR"] = str(resources.files(_PACKAGE).joinpath("zoneinfo"))
