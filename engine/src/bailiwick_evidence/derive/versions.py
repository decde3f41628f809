"""The versions of the engine: another version can decide differently on the same policies.

Holds: read once for each process, since they cannot change within one.
"""

from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Final

from bailiwick_api.distribution import DISTRIBUTION

_PACKAGES: Final = (("engine", DISTRIBUTION), ("cel", "cel-expr-python"), ("tzdata", "tzdata"))


@cache
def engine_versions() -> MappingProxyType[str, str]:
    """Return the versions of Bailiwick, of the CEL library and of the time zones, by the members of a record."""
    return MappingProxyType({member: version(package) for member, package in _PACKAGES})
