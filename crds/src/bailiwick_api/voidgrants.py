"""Grants that are void by name: those that fell and whose status could not be written, so that only a list can say so.

Standing: part of the record in the ConfigMap of the guard. The operator writes it; operator and decision point read it,
and neither takes such a grant for more than void. Holds: the list stays small enough to be stored, whoever makes grants
that cannot be written: of a namespace that has too many all grants are void, and no other namespace is touched.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, Self

VOID_ENTRY: Final = "void"
"""In the ConfigMap of the guard. Without it no grant is void by name."""
PER_NAMESPACE: Final = 100
ALL: Final = 2000
"""With the longest names there are, this many fill two thirds of a ConfigMap (1 MiB)."""
_LINE: Final = re.compile(r"([a-z0-9][-a-z0-9]*)/(?:([a-z0-9][-.a-z0-9]*) ([^\s]+)|\*)")


class VoidGrant(NamedTuple):
    """A grant by its name. Its uid stands beside, so that one made anew under the same name is another."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class VoidGrants:
    """`grants` by their uids, and `namespaces` of which all grants are void."""

    grants: Mapping[str, VoidGrant] = field(default_factory=lambda: MappingProxyType({}))
    namespaces: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.grants) + len(self.namespaces)

    def holds(self, namespace: str, uid: str) -> bool:
        """Tell whether a grant is void by name."""
        return uid in self.grants or namespace in self.namespaces

    def text(self) -> str:
        """Return one line for each: `<namespace>/<name> <uid>`, or `<namespace>/*`."""
        lines = [f"{one.namespace}/{one.name} {uid}" for uid, one in self.grants.items()]
        return "\n".join(sorted([*lines, *(f"{namespace}/*" for namespace in self.namespaces)]))

    @classmethod
    def read(cls, text: object) -> Self | None:
        """Return what a text says; None where it says something else, which is not the empty list."""
        if not isinstance(text, str):
            return None
        grants, namespaces = {}, set()
        for line in text.splitlines():
            found = _LINE.fullmatch(line)
            if found is None:
                return None
            namespace, name, uid = found.groups()
            if name is None:
                namespaces.add(namespace)
            else:
                grants[uid] = VoidGrant(namespace, name)
        return cls(grants, frozenset(namespaces))

    def bounded(self) -> Self:
        """Return the list as it can be stored: a namespace with too many stands for all of its grants."""
        counts = Counter(one.namespace for one in self.grants.values())
        whole = {*self.namespaces, *(namespace for namespace, count in counts.items() if count > PER_NAMESPACE)}
        left = Counter({namespace: count for namespace, count in counts.items() if namespace not in whole})
        for namespace, _ in left.most_common():
            if left.total() <= ALL:
                break
            whole.add(namespace)
            del left[namespace]
        kept = {uid: one for uid, one in self.grants.items() if one.namespace not in whole}
        return type(self)(kept, frozenset(whole))


NONE: Final = VoidGrants()
