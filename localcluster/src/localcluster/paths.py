"""Where an object lives: from apiVersion, kind and metadata to its path, by discovery.

Standing: under `rest`. What a server says about a group is kept until a kind is not found in it; then it
is asked once more, because a custom resource definition may have come in the meantime.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcluster.errors import AccessError


@dataclass(frozen=True, slots=True)
class _Kind:
    plural: str
    namespaced: bool


class Paths:
    """The paths of one server; `read` gets a path and returns the JSON object there."""

    def __init__(self, read: Callable[[str], Mapping[str, Any]]) -> None:
        self._read = read
        self._known: dict[tuple[str, str], _Kind] = {}

    def collection(self, body: Mapping[str, Any]) -> str:
        """Return the path to which an object of this kind is posted."""
        version, kind = str(body["apiVersion"]), str(body["kind"])
        found = self._kind(version, kind)
        root = _root(version)
        if not found.namespaced:
            return f"{root}/{found.plural}"
        namespace = body.get("metadata", {}).get("namespace", "default")
        return f"{root}/namespaces/{namespace}/{found.plural}"

    def of(self, body: Mapping[str, Any]) -> str:
        """Return the path of this object."""
        name = body.get("metadata", {}).get("name")
        if not name:
            msg = f"This {body.get('kind')} has no metadata.name: give it one, or create it with `create`."
            raise AccessError(msg)
        return f"{self.collection(body)}/{name}"

    def _kind(self, version: str, kind: str) -> _Kind:
        if (version, kind) not in self._known:
            for resource in self._read(_root(version)).get("resources", ()):
                # `pods/status` and the like are subresources of a kind, not where it lives.
                if "/" not in resource["name"]:
                    self._known[version, resource["kind"]] = _Kind(resource["name"], resource["namespaced"])
        try:
            return self._known[version, kind]
        except KeyError:
            msg = f"The server has no {kind} in {version}: is its definition installed and established?"
            raise AccessError(msg) from None


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
