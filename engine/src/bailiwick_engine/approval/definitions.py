"""Which CustomResourceDefinitions the group of grants has: ours, and no other.

Standing: beside `apiroutes`, which says the same of the servers of the group. Holds: a definition is known by its name
alone, `PLURAL.GROUP`, which the API server ties to its group; so metadata is enough to read. Another definition of the
group can be given the names of ours, and is then a second way to the very same objects, with a schema of its own.
"""

from collections.abc import Iterable
from typing import Final

from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.manifests.crds import OUR_CRDS

KIND: Final = "CustomResourceDefinition"
PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def is_foreign(name: str) -> bool:
    """Tell whether a definition of this name is of our group and not ours."""
    return name.partition(".")[2] == GROUP and name not in OUR_CRDS


def intrusions(names: Iterable[str]) -> tuple[str, ...]:
    """Return, for a person, which of these definitions have to go; empty where none has."""
    return tuple(
        f"{KIND} {name} is not Bailiwick's, and in the group {GROUP} it can reach Bailiwick's objects"
        for name in sorted(set(names))
        if is_foreign(name)
    )
