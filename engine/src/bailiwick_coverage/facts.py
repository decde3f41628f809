"""Facts about a cluster: Services and the pods behind them, ways in, network policies, rights, policies, accounts.

Standing: under every other module of coverage; `inventory` makes them. Holds: frozen, and as the API server has them;
a list that could not be read is in `unread`, so that no absence is concluded from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """An object of the cluster. `namespace` is empty for one outside of namespaces."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container of a pod declares. `name` may be empty."""

    container: str
    name: str
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod that has not ended. `account` is the name of its service account, in its own namespace.

    `addresses` is empty while the pod has none. `containers` are those that run as long as the pod does.
    """

    namespace: str
    name: str
    labels: Labels
    account: str = "default"
    addresses: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    containers: tuple[str, ...] = ()
    host_network: bool = False

    @property
    def username(self) -> str:
        """The API server's name for its account."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service. `target` is the number, or the name, of a port of its pods."""

    name: str
    number: int
    target: int | str
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A Service. `listed` are the names of pods, and `foreign` the addresses of no pod, in its EndpointSlices.

    `selector` is empty if the Service has none, or is an ExternalName.
    """

    namespace: str
    name: str
    kind: str = "ClusterIP"
    selector: Labels = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    annotations: Labels = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def ref(self) -> ObjectRef:
        """The object."""
        return ObjectRef("Service", self.namespace, self.name)

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which pods call it."""
        within = f"{self.name}.{self.namespace}"
        return frozenset((self.name, within, f"{within}.svc", f"{within}.svc.cluster.local"))


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """An Ingress, HTTPRoute or GRPCRoute. `hosts` is empty if it takes every host.

    `backends`: the Services to which it leads, by namespace and name.
    """

    ref: ObjectRef
    hosts: tuple[str, ...]
    backends: tuple[tuple[str, str], ...]
    annotations: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoleRule:
    """One rule of a Role or ClusterRole. `names` is empty if the rule is for objects of every name."""

    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoundSubject:
    """Who a binding names: a `ServiceAccount`, `Group` or `User`. `namespace` is that of an account."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class BindingFacts:
    """A RoleBinding or ClusterRoleBinding with the rules of its role. `rules` None: the role could not be read.

    `role` is the kind and name in its `roleRef`.
    """

    ref: ObjectRef
    role: tuple[str, str]
    subjects: tuple[BoundSubject, ...]
    rules: tuple[RoleRule, ...] | None


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """An EndpointPolicy. `spec` None: it is not valid. `unused_since`: of its status, in seconds since the epoch."""

    namespace: str
    name: str
    spec: EndpointPolicySpec | None
    raw: Mapping[str, object]
    annotations: Labels = field(default_factory=dict)
    unused_since: float | None = None

    @property
    def ref(self) -> ObjectRef:
        """The object."""
        return ObjectRef("EndpointPolicy", self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class UnreadList:
    """A list that was not read: of a plural and its API group, in a namespace, or in all (None). `message`: why."""

    group: str
    plural: str
    namespace: str | None
    message: str

    def covers(self, plural: str, namespace: str) -> bool:
        """Tell whether objects of this plural in a namespace are unknown for want of this list."""
        return self.plural == plural and self.namespace in {None, namespace}


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """Something that an API or MCP server offers. `source`: what says so. `label`: as people name it.

    `action` None: no route of the endpoint maps it. `path` and `method` are those of HTTP, if it is called by them.
    `identifier` None: it concerns many resources of this type.
    """

    source: str
    label: str
    action: str | None
    type: str = ""
    identifier: str | None = None
    method: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """All facts about one cluster. `asked` are the namespaces that findings are about; everything else is around them.

    `namespaces`: the labels of each namespace that is known. `whole`: these are all namespaces. `left_out`: namespaces
    of the platform that were not asked about. `accounts`: annotations of service accounts by namespace and name, of the
    namespaces `account_namespaces`. `reader`: the username that read all this. `partial`: plurals that were read in
    some namespaces alone. `unevaluated`: policies of other kinds that can overrule a NetworkPolicy.
    """

    asked: tuple[str, ...]
    namespaces: Mapping[str, Labels]
    pods: tuple[PodFacts, ...] = ()
    services: tuple[ServiceFacts, ...] = ()
    routes: tuple[RouteFacts, ...] = ()
    network_policies: tuple[Mapping[str, object], ...] = ()
    bindings: tuple[BindingFacts, ...] = ()
    policies: tuple[PolicyFacts, ...] = ()
    endpoints: Mapping[EndpointKey, CompiledEndpoint] = field(default_factory=dict)
    accounts: Mapping[tuple[str, str], Labels] = field(default_factory=dict)
    account_namespaces: frozenset[str] = frozenset()
    unread: tuple[UnreadList, ...] = ()
    left_out: tuple[str, ...] = ()
    reader: str = ""
    partial: frozenset[str] = frozenset()
    unevaluated: tuple[ObjectRef, ...] = ()
    whole: bool = True

    def is_unread(self, plural: str, namespace: str) -> bool:
        """Tell whether objects of this plural in a namespace are unknown."""
        return any(one.covers(plural, namespace) for one in self.unread)
