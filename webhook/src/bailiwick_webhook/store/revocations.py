"""Revocations: the sink that keeps the index of who is taken back equal to what the API server has.

Standing: under `store`. Holds: a list replaces the index whole, once it is read to its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.revocations import Revocations, parse
from bailiwick_webhook.store.listwatch import Key


class RevocationWatch:
    """Every `SubjectRevocation`. `templates`: how the API server names each issuer's people."""

    def __init__(self, templates: Mapping[str, UsernameTemplate]) -> None:
        self._templates = templates
        self.index = Revocations(templates)

    def listing(self) -> "_RevocationList":
        """Begin a list."""
        return _RevocationList(self, Revocations(self._templates))

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        if kind == "DELETED":
            self.index.remove(key[1])
        else:
            self.index.put(parse(obj))


@dataclass(frozen=True, slots=True)
class _RevocationList:
    """A list on its way."""

    watch: RevocationWatch
    index: Revocations

    def take(self, key: Key, obj: dict[str, Any]) -> None:  # noqa: ARG002 - the object has its name
        self.index.put(parse(obj))

    def finish(self) -> None:
        self.watch.index = self.index
