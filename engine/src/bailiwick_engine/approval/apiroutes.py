"""Who serves the groups by which grants are read and judged: the API server itself, or a server that it forwards to.

Standing: beside `fingerprint`, which covers what is kept here. Holds: an APIService with a `spec.service` sends every
read and write of its group elsewhere, where grants, guards and dry runs can be answered at will. So each group that
decides must have none, and our own must have none in any version, since people read whatever version is preferred.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.manifests import keep

Object = Mapping[str, Any]

KIND: Final = "APIService"
PATH: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
GRANTS_ROUTE: Final = keep.GRANTS_ROUTE
REQUIRED: Final = keep.DECIDING_ROUTES


def decides(name: str) -> bool:
    """Tell whether an APIService of this name, `VERSION.GROUP`, is one that has to be looked at."""
    return name in REQUIRED or name.partition(".")[2] == GROUP


def redirections(objects: Iterable[Object]) -> tuple[str, ...]:
    """Return, for a person, what is wrong with the APIServices among these objects; empty where nothing is."""
    stored = {
        document["metadata"]["name"]: document
        for document in objects
        if document["kind"] == KIND and decides(document["metadata"]["name"])
    }
    return tuple(problem for name in sorted({*REQUIRED, *stored}) for problem in _problems(name, stored.get(name)))


def _problems(name: str, stored: Object | None) -> Iterator[str]:
    if stored is None:
        yield f"{KIND} {name} is missing"
        return
    if "deletionTimestamp" in stored["metadata"]:
        yield f"{KIND} {name} is being deleted"
    # The API server writes no `service` where it serves a group itself. An empty one is no reading of ours.
    spec = stored.get("spec")
    if not isinstance(spec, Mapping) or spec.get("service") is not None:
        yield f"{KIND} {name} sends the group to another server (spec.service)"
