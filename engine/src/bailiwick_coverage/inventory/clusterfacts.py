"""The facts of a cluster, read as one person or account.

Standing: over `objects` and `clusterreader`. Holds: each list is read for all namespaces at once, and if that is
refused, for those that matter; what is still refused is in `unread`. A kind that the cluster does not have is empty,
except policies: without them, Bailiwick is not installed.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_DATA, ENDPOINT_POLICIES
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_coverage.facts import (
    BindingFacts,
    ClusterFacts,
    Labels,
    ObjectRef,
    PolicyFacts,
    RoleRule,
    UnreadList,
)
from bailiwick_coverage.inventory import objects
from bailiwick_coverage.inventory.clusterreader import ClusterReader, InventoryError, Object, ReadRefusedError
from bailiwick_engine.compile.listing import DataUnreadError, Tell, compile_listed
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_kube.paths import CORE, data_path, object_path

PLATFORM: Final = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Namespaces of Kubernetes itself, which are left out unless they are named."""
_NETWORKING: Final = "networking.k8s.io/v1"
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_GATEWAY: Final = "gateway.networking.k8s.io/v1"
_DISCOVERY: Final = "discovery.k8s.io/v1"
_NAME_LABEL: Final = "kubernetes.io/metadata.name"
_NO_ROOM: Final = "the objects of this namespace do not fit in memory"
# Policies of the network that stand above NetworkPolicies, by the kind.
_OVERRULING: Final = {
    ("policy.networking.k8s.io/v1alpha1", "adminnetworkpolicies"): "AdminNetworkPolicy",
    ("policy.networking.k8s.io/v1alpha1", "baselineadminnetworkpolicies"): "BaselineAdminNetworkPolicy",
    ("policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies"): "ClusterNetworkPolicy",
}
_Fact = TypeVar("_Fact")


def read_facts(
    cluster: ClusterReader,
    namespaces: Sequence[str] | None,
    now: float,
    tell: Tell,
    installation: str = Installation().namespace,
) -> ClusterFacts:
    """Read everything. `namespaces` None: all but those of the platform, and the installation's.

    `now`: seconds since the epoch. `tell` takes a line about each policy that is not as it should be. Raises
    `InventoryError` and `ReadRefusedError`.
    """
    reading = _ClusterReading(cluster, now, tell)
    known, whole = reading.namespaces(namespaces)
    left_out: tuple[str, ...] = ()
    if namespaces is None:
        left_out = tuple(sorted(one for one in known if one in PLATFORM or one == installation))
        asked = tuple(sorted(one for one in known if one not in left_out))
    else:
        asked = tuple(dict.fromkeys(namespaces))
    policies = reading.objects(API_VERSION, ENDPOINT_POLICIES, asked, needed=True)
    endpoints = reading.endpoints(policies)
    facts = _parsed(objects.policy(one) for one in policies)
    around = tuple(sorted({*asked, *_named_namespaces(asked, facts, endpoints)}))
    slices = objects.slices_by_service(reading.objects(_DISCOVERY, "endpointslices", asked))
    accounts = reading.objects(CORE, "serviceaccounts", around)
    pods = _parsed(map(objects.pod, reading.objects(CORE, "pods", around)))
    by_name = {(one.namespace, one.name): one for one in pods}
    services = reading.objects(CORE, "services", around)
    return ClusterFacts(
        asked=asked,
        namespaces=known,
        pods=pods,
        services=tuple(
            objects.service(one, slices, None if reading.is_unread("pods", one["metadata"]["namespace"]) else by_name)
            for one in services
        ),
        routes=(
            *map(objects.ingress, reading.objects(_NETWORKING, "ingresses", asked)),
            *(objects.gateway_route(one, "HTTPRoute") for one in reading.objects(_GATEWAY, "httproutes", asked)),
            *(objects.gateway_route(one, "GRPCRoute") for one in reading.objects(_GATEWAY, "grpcroutes", asked)),
        ),
        network_policies=tuple(reading.objects(_NETWORKING, "networkpolicies", asked)),
        bindings=reading.bindings(asked),
        policies=facts,
        endpoints=endpoints,
        accounts={
            (one["metadata"]["namespace"], one["metadata"]["name"]): objects.annotations(one) for one in accounts
        },
        account_namespaces=reading.read_namespaces("serviceaccounts", around, known if whole else ()),
        unread=tuple(dict.fromkeys(reading.unread)),
        left_out=left_out,
        reader=reading.reader(),
        partial=frozenset(reading.partial),
        unevaluated=tuple(reading.overruling()),
        whole=whole,
    )


def _parsed(facts: Iterable[_Fact | None]) -> tuple[_Fact, ...]:
    return tuple(one for one in facts if one is not None)


def _named_namespaces(
    asked: Sequence[str], policies: Iterable[PolicyFacts], endpoints: dict[EndpointKey, CompiledEndpoint]
) -> set[str]:
    """Return the namespaces of accounts that policies of the asked namespaces name."""
    usernames = {name for key, one in endpoints.items() if key[0] in asked for name in one.enforcers}
    for one in policies:
        if one.namespace in asked and one.spec is not None:
            accounts = [subject.service_account for subject in one.spec.subjects]
            usernames |= {each.username for each in accounts if each is not None}
    found = [ServiceAccountName.parse(one) for one in usernames]
    return {one.namespace for one in found if one is not None}


class _ClusterReading:
    """Reads lists, and keeps what was refused."""

    def __init__(self, cluster: ClusterReader, now: float, tell: Tell) -> None:
        self._cluster = cluster
        self._now = now
        self._tell = tell
        self.unread: list[UnreadList] = []
        self.partial: set[str] = set()

    def namespaces(self, wanted: Sequence[str] | None) -> tuple[dict[str, Labels], bool]:
        """Return the labels of each namespace that is known, and whether these are all. Raises `InventoryError`."""
        try:
            items = self._cluster.list_all(object_path(CORE, "namespaces"))
        except ReadRefusedError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            if wanted is None:
                raise InventoryError(
                    f"-A needs the right to list namespaces: name namespaces with -n ({error})"
                ) from error
            return {one: self._namespace(one) for one in wanted}, False
        known = {one["metadata"]["name"]: objects.labels(one) for one in items}
        if missing := sorted(set(wanted or ()) - known.keys()):
            raise InventoryError(f"there is no namespace {missing[0]}: check -n")
        return known, True

    def _namespace(self, name: str) -> Labels:
        try:
            return objects.labels(self._cluster.get(object_path(CORE, "namespaces", None, name)))
        except ReadRefusedError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            # It may be that there is none of this name.
            self.unread.append(UnreadList("", "namespaces", name, str(error)))
            return {_NAME_LABEL: name}

    def objects(self, version: str, plural: str, namespaces: Sequence[str], *, needed: bool = False) -> list[Object]:
        """Return all objects of a plural, or else those of the namespaces. `needed`: the cluster must have the kind."""
        found = self._list(version, plural, None, needed=needed)
        if found is not None:
            for namespace in self._cluster.left_out:
                self._note_unread(version, plural, namespace, _NO_ROOM)
            return found
        self.partial.add(plural)
        here: list[Object] = []
        for namespace in namespaces:
            here += self._list(version, plural, namespace, needed=needed, last=True) or []
        return here

    def whole(self, version: str, plural: str) -> list[Object]:
        """Return all objects of a plural that belong to no namespace."""
        return self._list(version, plural, None, last=True) or []

    def is_unread(self, plural: str, namespace: str) -> bool:
        """Tell whether a list of this plural that covers a namespace was refused."""
        return any(one.covers(plural, namespace) for one in self.unread)

    def read_namespaces(self, plural: str, wanted: Iterable[str], every: Iterable[str]) -> frozenset[str]:
        """Return the namespaces in which the objects of a plural are known."""
        refused = {one.namespace for one in self.unread if one.plural == plural}
        if plural not in self.partial:
            return frozenset((*wanted, *every)) - refused
        return frozenset(one for one in wanted if one not in refused)

    def endpoints(self, policies: Iterable[Object]) -> dict[EndpointKey, CompiledEndpoint]:
        """Compile the policies, those of each namespace together."""
        by_namespace: dict[str, list[Object]] = {}
        for one in policies:
            by_namespace.setdefault(one["metadata"]["namespace"], []).append(one)
        found: dict[EndpointKey, CompiledEndpoint] = {}
        for namespace, some in sorted(by_namespace.items()):
            snapshot = compile_listed(some, partial(self._data, namespace), self._tell, self._now)
            found.update(snapshot.endpoints)
        return found

    def bindings(self, namespaces: Sequence[str]) -> tuple[BindingFacts, ...]:
        """Return all bindings, each with the rules of its role."""
        rules: dict[tuple[str, str, str], tuple[RoleRule, ...]] = {}
        for kind, items in (
            ("ClusterRole", self.whole(_RBAC, "clusterroles")),
            ("Role", self.objects(_RBAC, "roles", namespaces)),
        ):
            for one in items:
                place = (kind, one["metadata"].get("namespace", ""), one["metadata"]["name"])
                rules[place] = objects.role_rules(one)
        raws = [
            *(("ClusterRoleBinding", one) for one in self.whole(_RBAC, "clusterrolebindings")),
            *(("RoleBinding", one) for one in self.objects(_RBAC, "rolebindings", namespaces)),
        ]
        return tuple(self._binding(kind, raw, rules) for kind, raw in raws)

    def _binding(self, kind: str, raw: Object, rules: dict[tuple[str, str, str], tuple[RoleRule, ...]]) -> BindingFacts:
        namespace, role = raw["metadata"].get("namespace", ""), raw["roleRef"]
        place = (role["kind"], namespace if role["kind"] == "Role" else "", role["name"])
        plural = "roles" if role["kind"] == "Role" else "clusterroles"
        refused = plural in self.partial or any(one.plural == plural for one in self.unread)
        # A role that does not exist gives nothing.
        held = rules.get(place, None if refused else ())
        ref = ObjectRef(kind, namespace, raw["metadata"]["name"])
        return BindingFacts(ref, (role["kind"], role["name"]), objects.bound_subjects(raw), held)

    def overruling(self) -> list[ObjectRef]:
        """Return policies of the network that can overrule a NetworkPolicy."""
        return [
            ObjectRef(kind, "", one["metadata"]["name"])
            for (version, plural), kind in _OVERRULING.items()
            for one in self.whole(version, plural)
        ]

    def reader(self) -> str:
        """Return who reads; empty if the API server does not say."""
        try:
            return self._cluster.username()
        except ReadRefusedError:
            return ""

    def _data(self, namespace: str) -> list[Object]:
        try:
            return self._cluster.list_all(data_path(namespace))
        except ReadRefusedError as error:
            self._note_unread(API_VERSION, ENDPOINT_DATA, namespace, str(error))
            raise DataUnreadError(str(error)) from error

    def _list(
        self, version: str, plural: str, namespace: str | None, *, needed: bool = False, last: bool = False
    ) -> list[Object] | None:
        """Return a list; None if it was refused. `last`: then it is unread."""
        try:
            return self._cluster.list_all(object_path(version, plural, namespace))
        except ReadRefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND and not needed:
                return []
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            if last:
                self._note_unread(version, plural, namespace, str(error))
            return None

    def _note_unread(self, version: str, plural: str, namespace: str | None, why: str) -> None:
        group = version.partition("/")[0] if "/" in version else ""
        self.unread.append(UnreadList(group, plural, namespace, why))
