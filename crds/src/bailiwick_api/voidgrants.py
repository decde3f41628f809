"""Grants that are void by name: they became void, but their status could not be written, so a list names them.

Standing: part of the record in the ConfigMap of the guard. The operator writes it; operator and decision point read it,
and both treat such a grant as void. Holds: the list stays small enough to store, no matter who creates grants that
cannot be written. If a namespace has too many of them, all of its grants are void; no other namespace is affected.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, Self

VOID_ENTRY: Final = "void"
"""The entry in the ConfigMap of the guard. Without it no grant is void by name."""
PER_NAMESPACE: Final = 100
ALL: Final = 2000
"""With the longest possible names, this many fill two thirds of a ConfigMap (1 MiB)."""
_LINE: Final = re.compile(r"([a-z0-9][-a-z0-9]*)/(?:([a-z0-9][-.a-z0-9]*) ([^\s]+)|\*)")


class VoidGrant(NamedTuple):
    """A grant by its name. `VoidGrants` keys it by uid, so a new grant with the same name is not void."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class VoidGrants:
    """`grants` by their uids, and `namespaces` whose grants are all void."""

    grants: Mapping[str, VoidGrant] = field(default_factory=lambda: MappingProxyType({}))
    namespaces: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.grants) + len(self.namespaces)

    def holds(self, namespace: str, uid: str) -> bool:
        """Tell whether a grant is void by name."""
        return uid in self.grants or namespace in self.namespaces

    def text(self) -> str:
        """Return one line for each entry: `<namespace>/<name> <uid>`, or `<namespace>/*`."""
        lines = [f"{grant.namespace}/{grant.name} {uid}" for uid, grant in self.grants.items()]
        return "\n".join(sorted([*lines, *(f"{namespace}/*" for namespace in self.namespaces)]))

    @classmethod
    def parse(cls, text: object) -> Self | None:
        """Parse the text of a list; None if it is not one. None is not the empty list."""
        if not isinstance(text, str):
            return None
        grants, namespaces = {}, set()
        for line in text.splitlines():
            match = _LINE.fullmatch(line)
            if match is None:
                return None
            namespace, name, uid = match.groups()
            if name is None:
                namespaces.add(namespace)
            else:
                grants[uid] = VoidGrant(namespace, name)
        return cls(grants, frozenset(namespaces))

    def within_limits(self) -> Self:
        """Return a list that is small enough to store: a namespace with too many replaces its grants."""
        counts = Counter(grant.namespace for grant in self.grants.values())
        whole = {*self.namespaces, *(namespace for namespace, count in counts.items() if count > PER_NAMESPACE)}
        remaining = Counter({namespace: count for namespace, count in counts.items() if namespace not in whole})
        for namespace, _ in remaining.most_common():
            if remaining.total() <= ALL:
                break
            whole.add(namespace)
            del remaining[namespace]
        grants = {uid: grant for uid, grant in self.grants.items() if grant.namespace not in whole}
        return type(self)(grants, frozenset(whole))


NONE: Final = VoidGrants()
