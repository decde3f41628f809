"""Which resources of an API server hold what a pod runs, by its discovery and its OpenAPI.

Holds: every version and subresource that it serves is looked at, and a schema that is open is told apart, not left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from localcluster.rest import Rest
from support.objects import Object

_CONTAINERS: Final = ("core.v1.Container", "core.v1.EphemeralContainer", "core.v1.PodSpec")
_OPEN: Final = ("runtime.RawExtension",)
_OPERATIONS: Final = {"post": "CREATE", "put": "UPDATE", "patch": "UPDATE"}


@dataclass(frozen=True, order=True)
class Written:
    """A resource, with its subresource after a slash, and an operation that writes it."""

    group: str
    resource: str
    operation: str


def holding_containers(admin: Rest) -> tuple[frozenset[Written], frozenset[Written]]:
    """Return what holds containers, and what holds members of any schema."""
    holds, opens = set(), set()
    for path in _read(admin, "/openapi/v3")["paths"]:
        root, _, version = path.partition("/")
        if root not in {"api", "apis"} or version.count("/") != (root == "apis"):
            continue
        document = _read(admin, f"/openapi/v3/{path}")
        references = _references(document)
        for written, schema in _written(document, version.rpartition("/")[0]):
            names = references(schema)
            if any(name.endswith(_CONTAINERS) for name in names):
                holds.add(written)
            elif any(name.endswith(_OPEN) for name in names):
                opens.add(written)
    return frozenset(holds), frozenset(opens)


def _read(admin: Rest, path: str) -> Any:  # noqa: ANN401 - as JSON, whatever its media type
    answer = admin.get(path)
    assert answer.ok, answer
    return json.loads(answer.text)


def _written(document: Object, group: str) -> Iterator[tuple[Written, str]]:
    """Yield each operation that writes, and the name of the schema of what is read there or sent."""
    for path, methods in document.get("paths", {}).items():
        _, _, rest = path.partition("/{namespace}/")
        parts = [part for part in rest.split("/") if part and not part.startswith("{")]
        for method, operation in _OPERATIONS.items():
            if method not in methods or not parts:
                continue
            # A patch has a schema of its own, so that the object is that of the answer.
            answers = methods[method].get("responses", {})
            bodies = [methods[method].get("requestBody", {}), *answers.values()]
            for name in {name for body in bodies for name in _names(body.get("content", {}))}:
                yield Written(group, "/".join(parts), operation), name


def _references(document: Object) -> Any:  # noqa: ANN401 - a cached function
    schemas: Mapping[str, Any] = document.get("components", {}).get("schemas", {})

    @cache
    def reached(name: str) -> frozenset[str]:
        found, waiting = {name}, [name]
        while waiting:
            for each in _names(schemas.get(waiting.pop(), {})):
                if each not in found:
                    found.add(each)
                    waiting.append(each)
        return frozenset(found)

    return reached


def _names(value: object) -> set[str]:
    """Return the names of the schemas that a part of a document refers to."""
    if isinstance(value, list):
        return {name for each in value for name in _names(each)}
    if not isinstance(value, dict):
        return set()
    own = {str(value["$ref"]).rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
    return own | {name for each in value.values() for name in _names(each)}
