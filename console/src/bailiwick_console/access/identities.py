"""Identities: everybody whom a rule of an endpoint names, and at which endpoints.

Holds: pure; the subjects of a policy that could not be read are not known, and the page says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bailiwick_console.endpoints.source import EndpointReading
from bailiwick_console.markup.addressnames import name_of
from bailiwick_engine import keys
from bailiwick_engine.keys import Key


@dataclass(frozen=True, slots=True)
class NamedIdentity:
    """Somebody, and the endpoints at which rules name them, in order of name."""

    key: Key
    label: str
    endpoints: tuple[EndpointReading, ...]

    @property
    def name(self) -> str:
        """Their name in addresses."""
        return name_of(self.key)


def identities(readings: Iterable[EndpointReading]) -> tuple[NamedIdentity, ...]:
    """Return everybody whom these endpoints name, in order of label."""
    found: dict[Key, list[EndpointReading]] = {}
    for one in readings:
        if one.compiled is not None:
            for key in sorted({key for rule in one.compiled.enforced for key in rule.subjects}):
                found.setdefault(key, []).append(one)
    listed = (NamedIdentity(key, keys.label(key), tuple(own)) for key, own in found.items())
    return tuple(sorted(listed, key=lambda one: one.label))


def find_unread(readings: Iterable[EndpointReading]) -> tuple[str, ...]:
    """Return the endpoints that deny every call, so that no subject is listed for them."""
    return tuple("/".join(one.key) for one in readings if one.compiled is None)
