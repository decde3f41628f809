"""Grants: the sink that keeps them by endpoint and subject, to find candidates with; deciding reads them live.

Holds: what is found here is only ever a candidate; a grant that cannot be read is not kept.
"""

from collections.abc import Iterable
from typing import Any

from bailiwick_engine.grants import Grant, GrantKey, parse
from bailiwick_webhook.store.listwatch import Objects

Key = tuple[str, str]


class Grants:
    """Every `ApprovalGrant` by endpoint and subject uid."""

    def __init__(self) -> None:
        self._by_key: dict[GrantKey, dict[Key, Grant]] = {}
        self._places: dict[Key, GrantKey] = {}

    def candidates(self, namespace: str, endpoint: str, subject_uid: str) -> Iterable[Grant]:
        """Return the grants of this endpoint and subject, in no promised order."""
        return tuple(self._by_key.get((namespace, endpoint, subject_uid), {}).values())

    def replace(self, objects: Objects) -> None:
        """Take this as every grant that exists."""
        self._by_key, self._places = {}, {}
        for key, obj in objects.items():
            self._keep(key, obj)

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        self._drop(key)
        if kind != "DELETED":
            self._keep(key, obj)

    def _keep(self, key: Key, obj: dict[str, Any]) -> None:
        grant = parse(obj)
        if grant is not None:
            self._places[key] = grant.key
            self._by_key.setdefault(grant.key, {})[key] = grant

    def _drop(self, key: Key) -> None:
        place = self._places.pop(key, None)
        if place is not None:
            kept = self._by_key[place]
            del kept[key]
            if not kept:
                del self._by_key[place]
