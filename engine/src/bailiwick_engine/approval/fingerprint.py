"""The guard's fingerprint: which guards stand in the API server, and whether they are the shipped ones.

Holds: operator and decision point compute it by this one function from what the API server stores; uid and generation
are in it, so a guard that was changed and put back never has the fingerprint that it had before. An APIService has no
generation, and that of a CustomResourceDefinition does not count its status, by which it is served: for both, the
resourceVersion takes its place. No start of an API server changes either.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.crds import group_definitions
from bailiwick_api.manifests.guards import guards
from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_engine.canonicaljson import sha256

Object = Mapping[str, Any]

_CRD: Final = definitions.KIND
_BY_VERSION: Final = {apiroutes.KIND, definitions.KIND}
_IN_FORCE: Final = ("NamesAccepted", "Established")
_GROUPS: Final = {
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
    _CRD: "apiextensions.k8s.io/v1",
}
_PLURALS: Final = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    _CRD: "customresourcedefinitions",
}


def shipped_fingerprint(installation: Installation) -> tuple[Object, ...]:
    """Return what an installation ships: the policies with their bindings, and all definitions of the group.

    The objects are the caller's own.
    """
    return tuple(orjson.loads(_shipped_fingerprint(installation)))


@lru_cache(maxsize=4)
def _shipped_fingerprint(installation: Installation) -> bytes:
    # Made from the models in some thirty milliseconds, which are the loop's, and wanted several times a minute.
    return orjson.dumps([*guards(installation), *group_definitions()])


def paths(installation: Installation) -> tuple[str, ...]:
    """Return the API server's paths of the objects that the fingerprint covers."""
    return tuple(
        f"/apis/{_GROUPS[document['kind']]}/{_PLURALS[document['kind']]}/{document['metadata']['name']}"
        for document in shipped_fingerprint(installation)
    )


def fingerprint(objects: Iterable[Object]) -> str:
    """Return `sha256:` and the hex SHA-256 of the canonical JSON (RFC 8785) of kind, name, uid, generation and spec.

    For an APIService and a CustomResourceDefinition the resourceVersion takes the place of the generation. The
    order of the objects does not matter.
    They are as the API server returns them, `kind` included.
    """
    entries = [
        {
            "kind": document["kind"],
            "name": document["metadata"]["name"],
            "uid": document["metadata"]["uid"],
            **_revision(document),
            "spec": document["spec"],
        }
        for document in objects
    ]
    entries.sort(key=lambda entry: (entry["kind"], entry["name"]))
    return sha256(entries)


def _revision(document: Object) -> Object:
    member = "resourceVersion" if document["kind"] in _BY_VERSION else "generation"
    return {member: document["metadata"][member]}


def deviations(objects: Iterable[Object], installation: Installation) -> tuple[str, ...]:
    """Return, for a person, in what the stored objects differ from the shipped ones; empty where they are the same."""
    stored = {(document["kind"], document["metadata"]["name"]): document for document in objects}
    return tuple(
        deviation
        for document in shipped_fingerprint(installation)
        for deviation in _fingerprint_of(stored.get((document["kind"], document["metadata"]["name"])), document)
    )


def _fingerprint_of(stored: Object | None, wanted: Object) -> Iterator[str]:
    name = f"{wanted['kind']} {wanted['metadata']['name']}"
    if stored is None:
        yield f"{name} is missing"
        return
    if "deletionTimestamp" in stored["metadata"]:
        yield f"{name} is being deleted"
    if (place := _difference(stored.get("spec"), wanted["spec"], "spec")) is not None:
        yield f"{name} differs from the shipped version at {place}"
    if wanted["kind"] == _CRD:
        yield from _misnamed(name, stored, wanted)


def _misnamed(name: str, stored: Object, wanted: Object) -> Iterator[str]:
    """Yield in what a definition is not served by its own names, which decide where it stores and who guards it."""
    status = stored.get("status")
    status = status if isinstance(status, Mapping) else {}
    place = _difference(status.get("acceptedNames"), wanted["spec"]["names"], "status.acceptedNames")
    if place is not None:
        yield f"{name} is not served by the names of its spec, at {place}"
    conditions = status.get("conditions")
    held = {
        entry.get("type")
        for entry in (conditions if isinstance(conditions, list) else ())
        if isinstance(entry, Mapping) and entry.get("status") == "True"
    }
    for condition in _IN_FORCE:
        if condition not in held:
            yield f"{name} is not {condition}"


def _difference(stored: object, wanted: object, path: str) -> str | None:
    """Return the path of the first difference."""
    return None if _written_alike(stored, wanted) else _first_difference(stored, wanted, path)


def _written_alike(stored: object, wanted: object) -> bool:
    """Tell whether two JSON values are the same by their text, in a fortieth of the time that it takes to walk them.

    False says nothing: what has no text (half a character) may be the same all the same.
    """
    try:
        return orjson.dumps(stored, option=orjson.OPT_SORT_KEYS) == orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return False


def _first_difference(stored: object, wanted: object, path: str) -> str | None:
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*stored, *wanted}):
            if key not in stored or key not in wanted:
                return f"{path}.{key}"
            if (found := _first_difference(stored[key], wanted[key], f"{path}.{key}")) is not None:
                return found
        return None
    if isinstance(stored, list) and isinstance(wanted, list):
        for index, (left, right) in enumerate(zip(stored, wanted, strict=False)):
            if (found := _first_difference(left, right, f"{path}[{index}]")) is not None:
                return found
        return None if len(stored) == len(wanted) else f"{path}[{min(len(stored), len(wanted))}]"
    # `1 == True` in Python, and nowhere else.
    return None if stored == wanted and type(stored) is type(wanted) else path
