"""Protection: which endpoint a Service belongs to, and where that endpoint's enforcement point is.

Standing: over `facts`. Holds: an endpoint protects Services of its own namespace alone, unless an annotation of the
Service names it, so that no author of policies elsewhere makes a Service count as protected. The endpoint of a proxied
Service has its name, or maps calls of its hosts. A Service of which one pod does not enforce is not protected by its
pods, and an enforcer as whom no pod runs is no proxy before any.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bailiwick_api.kinds.enforcers import certificate_username
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_coverage.facts import ClusterFacts, PodFacts, ServiceFacts
from bailiwick_engine.policy.paths import without_port
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey

ENDPOINT: Final = "bailiwick.dev/endpoint"
"""The annotation by which a Service names its endpoint: `NAME`, or `NAMESPACE/NAME` for one of another namespace."""
_CERTIFICATE: Final = certificate_username("")
_SPIFFE_PARTS: Final = 4
_SHOWN: Final = 3


class ProtectionKind(StrEnum):
    """Where the enforcement point of a Service is."""

    OWN = "own"
    """Its pods enforce."""
    PROXY = "proxy"
    """Something in front of its pods does."""
    NONE = "none"
    """Nowhere."""


@dataclass(frozen=True, slots=True)
class ServiceProtection:
    """What protects a Service. `enforcers` are usernames. `why`: for NONE, what is missing.

    `unclear`: some enforcers are certificates of which no pod is known.
    """

    kind: ProtectionKind
    pods: tuple[PodFacts, ...]
    endpoint: EndpointKey | None = None
    enforcers: frozenset[str] = frozenset()
    why: str = ""
    unclear: bool = False
    elsewhere: EndpointKey | None = None
    """For NONE: an endpoint of another namespace that its pods do enforce."""
    absent: EndpointKey | None = None
    """For NONE: its endpoint, if no pod runs as an enforcer of that."""


class Protections:
    """What protects each Service of a cluster."""

    def __init__(self, facts: ClusterFacts) -> None:
        self._facts = facts
        self._pods: dict[str, list[PodFacts]] = {}
        for one in facts.pods:
            self._pods.setdefault(one.namespace, []).append(one)
        self._running = {one.username for one in facts.pods}
        self._routed: dict[tuple[str, str], set[str]] = {}
        for route in facts.routes:
            for backend in route.backends:
                self._routed.setdefault(backend, set()).update(route.hosts)
        self.by_service = {(one.namespace, one.name): self._protection(one) for one in facts.services}

    def pods_of(self, service: ServiceFacts) -> tuple[PodFacts, ...]:
        """Return the pods that serve a Service: those that it selects, and those that its EndpointSlices name."""
        return tuple(
            one
            for one in self._pods.get(service.namespace, ())
            if one.name in service.listed
            or (service.selector and all(one.labels.get(key) == value for key, value in service.selector.items()))
        )

    def _protection(self, service: ServiceFacts) -> ServiceProtection:
        pods = self.pods_of(service)
        named = service.annotations.get(ENDPOINT)
        candidates = dict(self._candidates(service, named))
        accounts = {one.username for one in pods}
        for key, endpoint in candidates.items():
            if accounts and accounts <= endpoint.enforcers and not service.foreign:
                return ServiceProtection(ProtectionKind.OWN, pods, key, endpoint.enforcers)
        absent: EndpointKey | None = None
        for key, endpoint in candidates.items():
            if named is not None or key[1] == service.name or self._maps(endpoint, service):
                enforcers, unclear = self._enforcers(endpoint)
                others = enforcers - accounts
                if unclear or any(self._may_run(one) for one in others):
                    return ServiceProtection(ProtectionKind.PROXY, pods, key, enforcers, unclear=unclear)
                absent = absent or (key if others else None)
        elsewhere = self._enforced_elsewhere(service, accounts)
        absent = None if elsewhere is not None else absent
        why = self._missing(service, pods, elsewhere, absent)
        return ServiceProtection(ProtectionKind.NONE, pods, why=why, elsewhere=elsewhere, absent=absent)

    def _candidates(self, service: ServiceFacts, named: str | None) -> Iterator[tuple[EndpointKey, CompiledEndpoint]]:
        if named is None:
            yield from (item for item in self._facts.endpoints.items() if item[0][0] == service.namespace)
            return
        namespace, slash, name = named.partition("/")
        key = (namespace, name) if slash else (service.namespace, named)
        if key in self._facts.endpoints:
            yield key, self._facts.endpoints[key]

    def _maps(self, endpoint: CompiledEndpoint, service: ServiceFacts) -> bool:
        """Tell whether an endpoint maps proxied calls of a host of this Service."""
        hosts = hosts_of(endpoint)
        return bool(hosts & (service.hosts | self._routed.get((service.namespace, service.name), set())))

    def _enforcers(self, endpoint: CompiledEndpoint) -> tuple[frozenset[str], bool]:
        """Return the accounts that enforce, and whether there are enforcers of which none is known."""
        accounts = {one for one in endpoint.enforcers if not one.startswith(_CERTIFICATE)}
        named = {one.removeprefix(_CERTIFICATE) for one in endpoint.enforcers if one.startswith(_CERTIFICATE)}
        unclear = False
        for name in named:
            known = _account_of_spiffe(name) or self._accounts_of_dns(name)
            unclear = unclear or not known
            accounts |= known
        return frozenset(accounts), unclear

    def _may_run(self, username: str) -> bool:
        """Tell whether a pod runs as an account, as far as pods of its namespace are known."""
        account = ServiceAccountName.parse(username)
        if username in self._running or account is None or self._facts.is_unread("pods", account.namespace):
            return True
        # Where pods were listed by namespace, one of which there are none may not have been listed.
        listed = {*self._facts.asked, *self._pods}
        return "pods" in self._facts.partial and account.namespace not in listed

    def _accounts_of_dns(self, name: str) -> set[str]:
        """Return the accounts of the pods behind a Service of this name, such as `envoy.gateways.svc`."""
        found = [one for one in self._facts.services if name in one.hosts and "." in name]
        return {pod.username for one in found for pod in self.pods_of(one)}

    def _enforced_elsewhere(self, service: ServiceFacts, accounts: set[str]) -> EndpointKey | None:
        """Return an endpoint of another namespace that all of these accounts enforce."""
        found = (key for key, one in self._facts.endpoints.items() if accounts and accounts <= one.enforcers)
        return min((key for key in found if key[0] != service.namespace), default=None)

    def _missing(
        self,
        service: ServiceFacts,
        pods: tuple[PodFacts, ...],
        elsewhere: EndpointKey | None,
        absent: EndpointKey | None,
    ) -> str:
        named = service.annotations.get(ENDPOINT)
        if absent is not None:
            return f"no pod runs as an enforcer of its endpoint {'/'.join(absent)}, so no enforcing proxy is before it"
        if named is not None:
            return (
                f"its annotation names the endpoint {named}, which no policy has, or whose enforcers are not before it"
            )
        if service.foreign:
            return f"it leads to addresses of no pod: {', '.join(service.foreign[:_SHOWN])}"
        if elsewhere is not None:
            return f"its pods enforce {'/'.join(elsewhere)} of another namespace, and no annotation of it says so"
        accounts = sorted({one.account for one in pods})
        listed = ", ".join(f"{service.namespace}/{one}" for one in accounts)
        return f"its pods run as {listed}, which no endpoint has as an enforcer, and no enforcing proxy is before it"


def hosts_of(endpoint: CompiledEndpoint) -> frozenset[str]:
    """Return the hosts of proxied calls of an endpoint, each also without its port."""
    routes = None if endpoint.settings is None else endpoint.settings.routes
    return frozenset() if routes is None else frozenset((*routes.hosts, *map(without_port, routes.hosts)))


def _account_of_spiffe(name: str) -> set[str]:
    """Return the account in a SPIFFE ID of a cluster, `spiffe://DOMAIN/ns/NAMESPACE/sa/NAME`."""
    parts = name.removeprefix("spiffe://").split("/")[1:]
    if not name.startswith("spiffe://") or len(parts) != _SPIFFE_PARTS or (parts[0], parts[2]) != ("ns", "sa"):
        return set()
    return {ServiceAccountName(parts[1], parts[3]).username}
