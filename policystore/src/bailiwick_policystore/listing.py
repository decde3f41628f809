"""Listing: a list on its way, object by object: each is heard of as one of a watch is, and what is missing is gone.

Standing: between lists of the API server and the policy controller or `data`, which each begin it. Holds: if a list is
interrupted, the objects already read are valid, and all others are unchanged until the next one.
"""

from collections.abc import Callable
from typing import Any

from bailiwick_engine.steps import Steps
from bailiwick_policystore.endpoints import Key


class ObjectListing:
    """A list on its way. `hear` takes one object; `finish` takes the keys of everything that exists."""

    def __init__(
        self, hear: Callable[[Key, dict[str, Any]], Steps[None] | None], finish: Callable[[set[Key]], Steps[None]]
    ) -> None:
        self._hear = hear
        self._finish = finish
        self._keys: set[Key] = set()

    def take(self, key: Key, obj: dict[str, Any]) -> Steps[None] | None:
        """Take in one object. Returns the steps to be taken before the next one, if there are any."""
        self._keys.add(key)
        return self._hear(key, obj)

    def finish(self) -> Steps[None]:
        """Take what was taken in for everything that exists. Take the steps: nothing is done without them."""
        return self._finish(self._keys)
