"""NetworkPolicies: whether one pod, or an address, can connect to a port of another pod.

Standing: over `facts`. Holds: pure, and the rules of networking.k8s.io/v1. A pod without an address yet may have any,
so every ipBlock may be about it: what is unknown can reach. `tests/property/coverage` holds this against the evaluator
of kube-network-policies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from bailiwick_coverage.facts import Labels, ObjectRef, PodFacts

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label with a namespace's name, which the API server sets on each."""
_INGRESS: Final = "Ingress"
_EGRESS: Final = "Egress"

Block = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """One requirement of a selector: `In`, `NotIn`, `Exists` or `DoesNotExist`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Tell whether labels meet it. `NotIn` is also met by labels that lack the key."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return self.key not in labels or labels[self.key] not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
        raise ValueError(f"{self.operator!r} is no operator of a label selector")


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A selector: all of its requirements. Without any, it selects everything."""

    requirements: tuple[LabelRequirement, ...] = ()

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> "LabelSelector":
        """Parse a LabelSelector of the API."""
        plain = [
            LabelRequirement(key, "In", frozenset((value,))) for key, value in (raw.get("matchLabels") or {}).items()
        ]
        listed = [
            LabelRequirement(one["key"], one["operator"], frozenset(one.get("values") or ()))
            for one in raw.get("matchExpressions") or ()
        ]
        return cls((*plain, *listed))

    def matches(self, labels: Labels) -> bool:
        """Tell whether labels meet every requirement."""
        return all(one.matches(labels) for one in self.requirements)

    def example(self) -> Labels | None:
        """Return labels that meet every requirement; None if no such labels are found."""
        refused = {one.key: one.values for one in self.requirements if one.operator == "NotIn"}
        labels: dict[str, str] = {}
        for one in self.requirements:
            if one.operator == "In":
                labels[one.key] = min(one.values - refused.get(one.key, frozenset()), default="")
            elif one.operator == "Exists" and one.key not in labels:
                # Longer than each that is refused.
                labels[one.key] = max(refused.get(one.key, frozenset()), key=len, default="") + "x"
        return labels if self.matches(labels) else None


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """A port of a rule. `port` None: every port of the protocol. `end`: the last of a range that begins at `port`."""

    protocol: str
    port: int | str | None
    end: int | None

    def covers(self, pod: PodFacts | None, number: int, protocol: str) -> bool:
        """Tell whether this is a port of a pod, or of an address (None), which has no named ports."""
        if protocol != self.protocol:
            return False
        if self.port is None:
            return True
        if isinstance(self.port, str):
            ports = () if pod is None else pod.ports
            return any((one.name, one.number, one.protocol) == (self.port, number, protocol) for one in ports)
        return self.port <= number <= (self.port if self.end is None else self.end)


@dataclass(frozen=True, slots=True)
class PolicyPeer:
    """A peer of a rule: pods by their labels and those of their namespace, or a block of addresses with exceptions."""

    pods: LabelSelector | None = None
    namespaces: LabelSelector | None = None
    block: Block | None = None
    exceptions: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class TrafficRule:
    """One ingress or egress rule. No peers: everything. No ports: every port. `raw`: as the policy has it."""

    peers: tuple[PolicyPeer, ...]
    ports: tuple[PolicyPort, ...]
    raw: Mapping[str, Any] = field(compare=False, default_factory=dict)

    def covers(self, pod: PodFacts | None, number: int, protocol: str) -> bool:
        """Tell whether it speaks of this port of a pod."""
        return not self.ports or any(one.covers(pod, number, protocol) for one in self.ports)


@dataclass(frozen=True, slots=True)
class NetworkRules:
    """A NetworkPolicy. `ingress` and `egress` None: it restricts nothing in that direction. `raw`: the object."""

    namespace: str
    name: str
    selector: LabelSelector
    ingress: tuple[TrafficRule, ...] | None
    egress: tuple[TrafficRule, ...] | None
    raw: Mapping[str, Any] = field(compare=False, default_factory=dict)

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> "NetworkRules":
        """Parse a NetworkPolicy, also one without the defaults that the API server sets. Raises `ValueError`."""
        spec = raw.get("spec") or {}
        ingress, egress = spec.get("ingress") or (), spec.get("egress") or ()
        # Without policyTypes: ingress always, and egress if there is a rule for it.
        types = spec.get("policyTypes") or [_INGRESS, *([_EGRESS] if egress else [])]
        return cls(
            str(raw["metadata"]["namespace"]),
            str(raw["metadata"]["name"]),
            LabelSelector.from_raw(spec.get("podSelector") or {}),
            tuple(_rule(one, "from") for one in ingress) if _INGRESS in types else None,
            tuple(_rule(one, "to") for one in egress) if _EGRESS in types else None,
            raw,
        )

    def selects(self, pod: PodFacts) -> bool:
        """Tell whether the policy is about a pod. It is never about one in the network of its node."""
        return pod.namespace == self.namespace and not pod.host_network and self.selector.matches(pod.labels)


@dataclass(frozen=True, slots=True)
class TrafficEnd:
    """One end of a connection: a pod, or an address of no pod."""

    pod: PodFacts | None
    address: str | None = None

    def is_in(self, peer: PolicyPeer, block: Block) -> bool:
        """Tell whether this end may have an address in a block, and in no exception of its peer."""
        addresses = (self.address,) if self.address is not None else () if self.pod is None else self.pod.addresses
        if not addresses:
            return True
        return any(
            found in block and not any(found in one for one in peer.exceptions) for found in map(ip_address, addresses)
        )


class Network:
    """The policies of a cluster. `namespaces`: the labels of each namespace that is known."""

    def __init__(self, policies: Iterable[NetworkRules], namespaces: Mapping[str, Labels]) -> None:
        self._policies: dict[str, list[NetworkRules]] = {}
        for one in policies:
            self._policies.setdefault(one.namespace, []).append(one)
        self._namespaces = namespaces

    def selecting(self, pod: PodFacts) -> list[NetworkRules]:
        """Return the policies that are about a pod."""
        return [one for one in self._policies.get(pod.namespace, ()) if one.selects(pod)]

    def connects(self, source: TrafficEnd, destination: TrafficEnd, number: int, protocol: str = "TCP") -> bool:
        """Tell whether the policies of both ends let a connection through. A pod can always reach itself."""
        if source.pod is not None and source.pod is destination.pod:
            return True
        return self._leaves(source, destination, number, protocol) and self._enters(
            source, destination, number, protocol
        )

    def admitting(
        self, source: TrafficEnd, pod: PodFacts, number: int, protocol: str = "TCP"
    ) -> list[tuple[NetworkRules, TrafficRule]]:
        """Return the ingress rules, each with its policy, that let a connection in to a pod."""
        return [
            (policy, rule)
            for policy in self.selecting(pod)
            for rule in policy.ingress or ()
            if rule.covers(pod, number, protocol) and self.has_peer(policy, rule, source)
        ]

    def is_isolated(self, pod: PodFacts) -> bool:
        """Tell whether some policy restricts what comes in to a pod."""
        return any(one.ingress is not None for one in self.selecting(pod))

    def has_peer(self, policy: NetworkRules, rule: TrafficRule, end: TrafficEnd) -> bool:
        """Tell whether an end is a peer of a rule."""
        return not rule.peers or any(self._is_peer(policy, peer, end) for peer in rule.peers)

    def _enters(self, source: TrafficEnd, destination: TrafficEnd, number: int, protocol: str) -> bool:
        pod = destination.pod
        if pod is None or not self.is_isolated(pod):
            return True
        return bool(self.admitting(source, pod, number, protocol))

    def _leaves(self, source: TrafficEnd, destination: TrafficEnd, number: int, protocol: str) -> bool:
        if source.pod is None:
            return True
        restricting = [one for one in self.selecting(source.pod) if one.egress is not None]
        if not restricting:
            return True
        return any(
            rule.covers(destination.pod, number, protocol) and self.has_peer(policy, rule, destination)
            for policy in restricting
            for rule in policy.egress or ()
        )

    def _is_peer(self, policy: NetworkRules, peer: PolicyPeer, end: TrafficEnd) -> bool:
        if peer.block is not None:
            return end.is_in(peer, peer.block)
        pod = end.pod
        # A pod in the network of its node has the node's address, and no selector sees it.
        if pod is None or pod.host_network:
            return False
        if peer.pods is not None and not peer.pods.matches(pod.labels):
            return False
        if peer.namespaces is None:
            return pod.namespace == policy.namespace
        return peer.namespaces.matches(self._namespaces.get(pod.namespace, {NAME_LABEL: pod.namespace}))


def _rule(raw: Mapping[str, Any], side: str) -> TrafficRule:
    peers = tuple(_peer(one) for one in raw.get(side) or ())
    return TrafficRule(peers, tuple(_port(one) for one in raw.get("ports") or ()), raw)


def _peer(raw: Mapping[str, Any]) -> PolicyPeer:
    if (block := raw.get("ipBlock")) is not None:
        return PolicyPeer(
            block=_network(block["cidr"]), exceptions=tuple(_network(one) for one in block.get("except") or ())
        )
    return PolicyPeer(_selector(raw.get("podSelector")), _selector(raw.get("namespaceSelector")))


def _network(text: str) -> Block:
    # The API server takes a block whose address has bits beyond its prefix, and ignores them.
    return ip_network(text, strict=False)


def _selector(raw: Mapping[str, Any] | None) -> LabelSelector | None:
    return None if raw is None else LabelSelector.from_raw(raw)


def _port(raw: Mapping[str, Any]) -> PolicyPort:
    port, end = raw.get("port"), raw.get("endPort")
    return PolicyPort(str(raw.get("protocol") or "TCP"), port, end)


def parse_policies(raws: Iterable[Mapping[str, Any]]) -> tuple[NetworkRules, ...]:
    """Parse NetworkPolicies as the API server returns them, but for those of `unreadable_policies`."""
    return tuple(found for found in map(_readable, raws) if found is not None)


def unreadable_policies(raws: Iterable[Mapping[str, Any]]) -> list[ObjectRef]:
    """Return the policies with an address that can be read in two ways, such as 010.0.0.1.

    The API server takes it, and each network plugin makes of it what it does.
    """
    return [
        ObjectRef("NetworkPolicy", raw["metadata"]["namespace"], raw["metadata"]["name"])
        for raw in raws
        if _readable(raw) is None
    ]


def _readable(raw: Mapping[str, Any]) -> NetworkRules | None:
    try:
        return NetworkRules.from_raw(raw)
    except ValueError:
        return None
