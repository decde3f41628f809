"""The text of a file of policies, and what its policies and data ask for: exactly, or quickly.

Standing: under `policysides`. Holds: what is quick counts no less than the exact reading, and as much of every text
that two readers of YAML take for the same. It serves to see that no namespace is over budget, and for nothing else.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import yaml

from bailiwick_api.documents.policyfiles import File
from bailiwick_api.documents.positions import Document
from bailiwick_engine.budget.ledger import Claim
from bailiwick_engine.compile import manifests
from bailiwick_engine.steps import whole

NamedClaim = tuple[str, Claim]
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Anchors share values, and what counts would follow each of them again.
_ANCHOR: Final = b"&"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


class _QuickLoader(_Base):  # type: ignore[misc] # of a library without types
    """libyaml's parser, ten times as quick as one that keeps positions."""


# A time is a string here.
_QuickLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in listed if tag != _TIMESTAMP]
    for first, listed in _Base.yaml_implicit_resolvers.items()
}


class FileText:
    """A file, each reading of which is made once, when it is asked for."""

    def __init__(self, file: File) -> None:
        self._file = file
        self.digest: Final = file.digest
        self.content: Final = file.content

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """What it says, with positions; one that is unreadable says nothing."""
        return () if self._file.unreadable is not None else manifests.parse(self._file.content)

    @cached_property
    def claims(self) -> tuple[NamedClaim, ...]:
        """What it asks for, with namespaces."""
        return tuple(one for document in self.documents for one in whole(manifests.claims(document)))

    @cached_property
    def quick(self) -> tuple[NamedClaim, ...]:
        """The same, without positions, so that of one that is not looked at further nothing is read twice."""
        return self.claims if self._quick is None else self._quick

    @property
    def is_flawed(self) -> bool:
        """Whether it is no sound YAML: then it may speak of anything."""
        if self._file.unreadable is not None:
            return True
        return self._quick is None and any(one.flaws or not one.complete for one in self.documents)

    @cached_property
    def _quick(self) -> tuple[NamedClaim, ...] | None:
        if self._file.unreadable is not None or _ANCHOR in self._file.content:
            return None
        try:
            return tuple(self._quickly())
        except (yaml.YAMLError, ValueError, RecursionError):
            return None

    def _quickly(self) -> Iterator[NamedClaim]:
        for loaded in yaml.load_all(self._file.content, Loader=_QuickLoader):
            if loaded is not None:
                yield from whole(manifests.claims(Document(loaded)))
