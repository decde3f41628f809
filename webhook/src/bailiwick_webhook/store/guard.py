"""Guard: whether the guards in force are the very ones that the operator last proved.

Holds: proven only while the fingerprint of what we watch is the one in the ConfigMap; unknown is not proven.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_api.accounts import GUARD_CONFIG_MAP, REVIEWERS_SERIAL_ENTRY, WITNESS_KEYS_ENTRY, Installation
from bailiwick_api.manifests import guards
from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD, OUR_CRDS
from bailiwick_api.voidgrants import NONE, VOID_ENTRY, VoidGrants
from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_engine.approval.fingerprint import deviations, fingerprint
from bailiwick_webhook.cluster.client import Collection
from bailiwick_webhook.store.listwatch import Key

RouteVersion = tuple[str, str, str, str]
"""Uid and resourceVersion of the grants' APIService, and of their definition."""
_ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"


class GuardObjects:
    """The objects of one kind that are looked for, by name. Items of a list come without their kind."""

    def __init__(self, kind: str, wanted: Callable[[str], bool], changed: Callable[[], None]) -> None:
        self._kind = kind
        self._wanted = wanted
        self._changed = changed
        self.found: dict[str, dict[str, Any]] = {}
        self.listed = False

    def listing(self) -> "_Listing":
        """Begin a list."""
        return _Listing(self)

    def replace(self, objects: dict[Key, dict[str, Any]]) -> None:
        """Take this as all that exists."""
        self.found = {name: {**obj, "kind": self._kind} for (_, name), obj in objects.items() if self._wanted(name)}
        self.listed = True
        self._changed()

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        name = key[1]
        if not self._wanted(name):
            return
        if kind == "DELETED":
            self.found.pop(name, None)
        else:
            self.found[name] = {**obj, "kind": self._kind}
        self._changed()


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list on its way."""

    watched: GuardObjects
    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def take(self, key: Key, obj: dict[str, Any]) -> None:
        self.objects[key] = obj

    def finish(self) -> None:
        self.watched.replace(self.objects)


class GuardWatch:
    """The policies, their bindings, the proof, the APIServices and the CRDs, as watched collections."""

    def __init__(
        self, installation: Installation, floor_changed: Callable[[object], None] = lambda _recorded: None
    ) -> None:
        self._installation = installation
        self._floor_changed = floor_changed
        self.proven = False
        self.why = "not read yet"
        self.void = NONE
        """The grants that are void by name. While that list cannot be read nothing is proven."""
        names = frozenset(guards.NAMES).__contains__
        self._policies = GuardObjects("ValidatingAdmissionPolicy", names, self._judge)
        self._bindings = GuardObjects("ValidatingAdmissionPolicyBinding", names, self._judge)
        self._crds = {name: GuardObjects(definitions.KIND, name.__eq__, self._judge) for name in OUR_CRDS}
        self._proof = GuardObjects("ConfigMap", GUARD_CONFIG_MAP.__eq__, self._judge)
        self._routes = GuardObjects(apiroutes.KIND, apiroutes.decides, self._judge)
        self._foreign = GuardObjects(definitions.KIND, definitions.is_foreign, self._judge)
        self._bypassed_at: str | None = None

    def collections(self) -> tuple[tuple[Collection, GuardObjects], ...]:
        """Return what is to be watched, each with its sink."""
        proofs = f"/api/v1/namespaces/{self._installation.namespace}/configmaps"
        return (
            (Collection(f"{_ADMISSION}/validatingadmissionpolicies"), self._policies),
            (Collection(f"{_ADMISSION}/validatingadmissionpolicybindings"), self._bindings),
            (Collection(proofs, GUARD_CONFIG_MAP), self._proof),
            (Collection(apiroutes.PATH), self._routes),
            # Each by its name: definitions of others can be large, and of them the metadata is enough.
            *((Collection(definitions.PATH, name), watched) for name, watched in self._crds.items()),
            (Collection(definitions.PATH, metadata=True), self._foreign),
        )

    @property
    def route(self) -> RouteVersion | None:
        """The version of the grants' APIService and definition by which the guard is proven; None while it is not."""
        route = self._routes.found.get(apiroutes.GRANTS_ROUTE)
        definition = self._crds[APPROVAL_GRANTS_CRD].found.get(APPROVAL_GRANTS_CRD)
        if not self.proven or route is None or definition is None:
            return None
        return (*_version_of(route), *_version_of(definition))

    def covers_route(self, route: dict[str, Any], definition: dict[str, Any], since: RouteVersion | None) -> bool:
        """Tell whether the guard is proven by one version of the grants' APIService and definition, then and now.

        `route`, `definition`: as they were read just now; `since`: their version then. What was put back in between,
        and proven again, tells nothing of what was answered meanwhile.
        """
        return since is not None and since == self.route == (*_version_of(route), *_version_of(definition))

    @property
    def witness_keys(self) -> str:
        """What verifies the witness, as the operator publishes it beside the proof: a `vkey` on each line, or none."""
        proof = self._proof.found.get(GUARD_CONFIG_MAP) or {}
        return str((proof.get("data") or {}).get(WITNESS_KEYS_ENTRY, ""))

    def _judge(self) -> None:
        watched = (self._policies, self._bindings, self._routes, *self._crds.values())
        objects = [document for collection in watched for document in collection.found.values()]
        if self._foreign.found:
            self._bypassed_at = self._proven_time
        self.why = self._doubt(objects)
        self.proven = not self.why
        self.void = self._void() or NONE
        if (proof := self._proof.found.get(GUARD_CONFIG_MAP)) is not None:
            self._floor_changed((proof.get("data") or {}).get(REVIEWERS_SERIAL_ENTRY))

    def _doubt(self, objects: list[dict[str, Any]]) -> str:
        """Why the guard is not proven; empty where it is."""
        if not self._foreign.listed:
            return "the CustomResourceDefinitions are not read yet"
        found = (
            *definitions.intrusions(self._foreign.found),
            *apiroutes.redirections(objects),
            *deviations(objects, self._installation),
        )
        if found:
            return found[0]
        proof = self._proof.found.get(GUARD_CONFIG_MAP)
        if proof is None:
            return f"configmap {GUARD_CONFIG_MAP} is missing: the operator has not yet proven the guard"
        if (proof.get("data") or {}).get("fingerprint") != fingerprint(objects):
            return "the guard has changed since the operator last proved it"
        if self._bypassed_at == self._proven_time:
            # What it let in is void once the operator has proven the guard without it.
            return (
                "a CustomResourceDefinition of others was in Bailiwick's group since the operator last proved the guard"
            )
        if self._void() is None:
            return f"configmap {GUARD_CONFIG_MAP}: the list of void grants cannot be read"
        return ""

    @property
    def _proven_time(self) -> str:
        """When the operator last proved the guard, as recorded."""
        proof = self._proof.found.get(GUARD_CONFIG_MAP) or {}
        return str((proof.get("data") or {}).get("provenTime", ""))

    def _void(self) -> VoidGrants | None:
        proof = self._proof.found.get(GUARD_CONFIG_MAP) or {}
        return VoidGrants.parse((proof.get("data") or {}).get(VOID_ENTRY, ""))


def _version_of(document: dict[str, Any]) -> tuple[str, str]:
    metadata = document["metadata"]
    return metadata["uid"], metadata["resourceVersion"]
