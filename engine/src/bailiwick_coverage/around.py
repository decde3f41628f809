"""`around`: what reaches a protected port and is not the enforcement point in front of it.

Standing: over `protection` and `networkpolicies`. Holds: besides the pods that there are, a pod without labels in each
namespace is tried, in a new namespace too, and each block of addresses that is let in; a pod whose network is the
node's is out of reach of every policy. Labels of pods are what their authors choose, so a pod with the labels that a
rule asks for is tried as well, but in the namespaces of enforcement points: who may create pods there can pass for one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_coverage import manifests
from bailiwick_coverage.facts import ClusterFacts, ContainerPort, PodFacts, ServiceFacts, ServicePort
from bailiwick_coverage.findings import CoverageCode, CoverageFinding, CoverageFix
from bailiwick_coverage.networkpolicies import (
    NAME_LABEL,
    Block,
    LabelSelector,
    Network,
    NetworkRules,
    PolicyPeer,
    TrafficEnd,
    TrafficRule,
    parse_policies,
)
from bailiwick_coverage.protection import ProtectionKind, Protections, ServiceProtection

_SHOWN: Final = 3
_NEW: Final = "a-namespace-that-is-not-there-yet"
_SOURCE: Final = "any pod"
Port = tuple[str, int]
"""Protocol and number."""


@dataclass(frozen=True, slots=True)
class WayAround:
    """One thing that reaches a port. `rules`: the ingress rules that let it in, each with its policy."""

    label: str
    rules: tuple[tuple[NetworkRules, TrafficRule], ...]


def around(facts: ClusterFacts, protections: Protections) -> Iterator[CoverageFinding]:
    """Yield a finding for each port of a protected Service that something else reaches."""
    search = _WaySearch(facts)
    for service in facts.services:
        if service.namespace not in facts.asked:
            continue
        held = protections.by_service[service.namespace, service.name]
        if held.kind is ProtectionKind.PROXY:
            yield from _proxied(facts, search, service, held)
        elif held.kind is ProtectionKind.OWN:
            yield from _beside(search, service, held)


def _proxied(
    facts: ClusterFacts, search: "_WaySearch", service: ServiceFacts, held: ServiceProtection
) -> Iterator[CoverageFinding]:
    if facts.is_unread("networkpolicies", service.namespace):
        return
    if held.unclear:
        sentence = (
            "its enforcement point is known by a certificate alone, so no network policy says whether others reach its"
            " pods: name a service account among the enforcers"
        )
        yield CoverageFinding(CoverageCode.UNKNOWN, service.ref, sentence)
        return
    if service.foreign:
        sentence = f"it leads to addresses of no pod ({', '.join(service.foreign[:_SHOWN])}), which no policy guards"
        yield CoverageFinding(CoverageCode.AROUND, service.ref, sentence)
    for port in service.ports:
        targets = {(pod.name, number): (pod, number) for pod in held.pods for number in _numbers(port, pod)}
        unguarded = [pod.name for pod, _ in targets.values() if pod.host_network]
        ways = {
            way.label: way
            for pod, number in targets.values()
            if not pod.host_network
            for way in search.ways(pod, (port.protocol, number), held)
        }
        detail = f"port {port.number}"
        if unguarded:
            sentence = f"{detail}: the pod {unguarded[0]} has the network of its node, which no network policy guards"
            yield CoverageFinding(CoverageCode.AROUND, service.ref, sentence, None, detail)
        elif ways:
            shown = [*list(ways)[:_SHOWN], *([f"{len(ways) - _SHOWN} more"] if len(ways) > _SHOWN else [])]
            sentence = f"{detail}: {', '.join(shown)} can reach its pods without the enforcement point"
            fix = _closing(facts, service, held, port, ways.values())
            yield CoverageFinding(CoverageCode.AROUND, service.ref, sentence, fix, detail)
        yield from _unseen(facts, search, service, targets.values(), port)


def _beside(search: "_WaySearch", service: ServiceFacts, held: ServiceProtection) -> Iterator[CoverageFinding]:
    """Yield a finding for each port of another container in pods whose own container enforces."""
    targets = {port: {number for pod in held.pods for number in _numbers(port, pod)} for port in service.ports}
    numbers = {number for each in targets.values() for number in each}
    # The pods of a Service need not be alike.
    found: dict[tuple[str, str, int], CoverageFinding] = {}
    for pod in held.pods:
        if len(pod.containers) <= 1:
            continue
        # A pod need not declare its ports. Where none declares the one that enforces, each container may be another.
        enforcing = {one.container for one in pod.ports if one.number in numbers}
        for other in pod.ports:
            place = (other.container, other.protocol, other.number)
            if other.container in enforcing or place in found:
                continue
            ways = list(search.ways(pod, (other.protocol, other.number), held))
            if ways:
                make = _beside_finding if enforcing else _undeclared_finding
                found[place] = make(service, held, other, ways)
    yield from found.values()


def _undeclared_finding(
    service: ServiceFacts, held: ServiceProtection, other: ContainerPort, ways: list[WayAround]
) -> CoverageFinding:
    pods = ", ".join(one.name for one in held.pods if other in one.ports)
    detail = f"container {other.container}, port {other.number}"
    sentence = (
        f"{detail}: {ways[0].label} can reach it, and no container of the pod {pods} declares the port that enforces,"
        " so nothing says whether this one does"
    )
    return CoverageFinding(CoverageCode.UNKNOWN, service.ref, sentence, None, detail)


def _beside_finding(
    service: ServiceFacts, held: ServiceProtection, other: ContainerPort, ways: list[WayAround]
) -> CoverageFinding:
    detail = f"container {other.container}, port {other.number}"
    sentence = f"{detail}: {ways[0].label} can reach it beside the port {service.ports[0].number} that enforces"
    ports = {(port.protocol, number) for port in service.ports for pod in held.pods for number in _numbers(port, pod)}
    made = manifests.network_policy(
        service.namespace,
        manifests.name_from(service.name, "enforced-ports"),
        service.selector or manifests.lasting_labels(held.pods),
        [],
        (),
    )
    made["spec"]["ingress"] = [{"ports": [{"protocol": one, "port": number} for one, number in sorted(ports)]}]
    note = "Network policies add up: another one that lets somebody in to this port keeps it open."
    return CoverageFinding(CoverageCode.AROUND, service.ref, sentence, CoverageFix((made,), note), detail)


def _numbers(port: ServicePort, pod: PodFacts) -> Iterator[int]:
    """Yield the port of a pod that a port of its Service means."""
    if isinstance(port.target, int):
        yield port.target
        return
    yield from (one.number for one in pod.ports if one.name == port.target and one.protocol == port.protocol)


def _unseen(
    facts: ClusterFacts,
    search: "_WaySearch",
    service: ServiceFacts,
    targets: Iterable[tuple[PodFacts, int]],
    port: ServicePort,
) -> Iterator[CoverageFinding]:
    """Yield a finding if a policy lets in pods of namespaces that could not be read."""
    if facts.whole and "pods" not in facts.partial:
        return
    for pod, number in targets:
        if search.admits_unread(pod, (port.protocol, number)):
            sentence = f"port {port.number}: network policies let in pods of namespaces that you may not read"
            yield CoverageFinding(CoverageCode.UNKNOWN, service.ref, sentence, None, f"port {port.number}")
            return


class _WaySearch:
    """Tries everything that may reach a port."""

    def __init__(self, facts: ClusterFacts) -> None:
        self._facts = facts
        self._network = Network(parse_policies(facts.network_policies), facts.namespaces)
        self._read = {one.namespace for one in facts.pods} | set(facts.asked)
        named = [PodFacts(one, "", {}, "") for one in sorted(facts.namespaces)]
        self._strangers = [(f"{_SOURCE} of {one.namespace}", one) for one in named]
        self._strangers.append((f"{_SOURCE} of a new namespace", PodFacts(_NEW, "", {}, "")))

    def ways(self, pod: PodFacts, port: Port, held: ServiceProtection) -> Iterator[WayAround]:
        """Yield what reaches a port of a pod, but the enforcement point and the pods of the same Service."""
        protocol, number = port
        destination = TrafficEnd(pod)
        siblings = {(one.namespace, one.name) for one in held.pods}
        if not self._network.is_isolated(pod):
            yield WayAround("every pod and address", ())
            return
        enforcing = held.enforcers if held.kind is ProtectionKind.PROXY else frozenset()
        strangers = (*reversed(self._strangers), *self._disguised(pod, port, enforcing))
        everybody = [(f"pod {one.namespace}/{one.name}", one) for one in self._facts.pods]
        # A sentence about every pod says more than one about a single pod.
        for label, one in (*strangers, *everybody):
            if (one.namespace, one.name) in siblings:
                continue
            if one.username in enforcing and one.name and not one.host_network:
                continue
            source = TrafficEnd(one)
            if one.host_network and not one.addresses:
                continue
            # Without an address, only what selectors say counts: no block is about a pod that is not there.
            if not one.name and not self._selected(one, pod, port):
                continue
            if self._network.connects(source, destination, number, protocol):
                yield WayAround(label, tuple(self._network.admitting(source, pod, number, protocol)))
        yield from self._blocks(pod, port, enforcing)

    def admits_unread(self, pod: PodFacts, port: Port) -> bool:
        """Tell whether a rule lets in pods by the labels of their namespace, of which some could not be read."""
        return any(
            peer.namespaces is not None and not self._is_known(peer.namespaces)
            for policy in self._network.selecting(pod)
            for rule in policy.ingress or ()
            if rule.covers(pod, port[1], port[0])
            for peer in rule.peers
        )

    def _is_known(self, selector: LabelSelector) -> bool:
        """Tell whether a selector is about namespaces alone whose pods were read."""
        return any(
            one.key == NAME_LABEL and one.operator == "In" and one.values <= self._read for one in selector.requirements
        )

    def _disguised(self, pod: PodFacts, port: Port, enforcing: frozenset[str]) -> Iterator[tuple[str, PodFacts]]:
        """Yield a pod with the labels that a rule asks for, for each namespace that is not an enforcement point's."""
        accounts = map(ServiceAccountName.parse, enforcing)
        homes = {one.namespace for one in accounts if one is not None}
        places = [one.namespace for _, one in reversed(self._strangers) if one.namespace not in homes]
        wanted = dict.fromkeys(
            tuple(sorted(labels.items()))
            for policy in self._network.selecting(pod)
            for rule in policy.ingress or ()
            if rule.covers(pod, port[1], port[0])
            for peer in rule.peers
            if peer.pods is not None and (labels := peer.pods.example())
        )
        for pairs in wanted:
            shown = ",".join(f"{key}={value}" for key, value in pairs)
            for place in places:
                where = "a new namespace" if place == _NEW else place
                yield f"a pod of {where} with the labels {shown}", PodFacts(place, "", dict(pairs), "")

    def _selected(self, stranger: PodFacts, pod: PodFacts, port: Port) -> bool:
        found = self._network.admitting(TrafficEnd(stranger), pod, port[1], port[0])
        return any(_admits_by_labels(self._network, policy, rule, stranger) for policy, rule in found)

    def _blocks(self, pod: PodFacts, port: Port, enforcing: frozenset[str]) -> Iterator[WayAround]:
        """Yield the blocks of addresses that are let in, unless every address in one is an enforcement point's."""
        known = {
            ip_address(address)
            for one in self._facts.pods
            if one.username in enforcing and not one.host_network
            for address in one.addresses
        }
        for policy in self._network.selecting(pod):
            for rule in policy.ingress or ():
                if not rule.covers(pod, port[1], port[0]):
                    continue
                for peer in rule.peers:
                    if peer.block is not None and not _holds_only(peer, peer.block, known):
                        yield WayAround(f"addresses of {peer.block}", ((policy, rule),))


def _admits_by_labels(network: Network, policy: NetworkRules, rule: TrafficRule, pod: PodFacts) -> bool:
    """Tell whether a rule lets a pod in whatever its address is."""
    peers = tuple(one for one in rule.peers if one.block is None)
    if rule.peers and not peers:
        return False
    return network.has_peer(policy, TrafficRule(peers, rule.ports), TrafficEnd(pod))


def _holds_only(peer: PolicyPeer, block: Block, known: set[Any]) -> bool:
    """Tell whether a block without its exceptions has only known addresses."""
    parts: list[Block] = [block]
    for exception in peer.exceptions:
        parts = [rest for part in parts for rest in _without(part, exception)]
    return sum(one.num_addresses for one in parts) <= sum(any(address in one for one in parts) for address in known)


def _without(part: Block, exception: Block) -> list[Block]:
    if part.version != exception.version or not part.overlaps(exception):
        return [part]
    if exception.num_addresses >= part.num_addresses:
        return []
    return list(part.address_exclude(exception))  # type: ignore[arg-type]  # both are of one version


def _closing(
    facts: ClusterFacts,
    service: ServiceFacts,
    held: ServiceProtection,
    port: ServicePort,
    ways: Iterable[WayAround],
) -> CoverageFix | None:
    """Return the policy that lets only the enforcement point in, and the others without what lets in somebody else."""
    selector = dict(service.selector) or manifests.lasting_labels(held.pods)
    if not selector:
        return None
    peers = _enforcement_points(facts, held)
    ports = [(port.protocol, port.target)]
    name = manifests.name_from(service.name, "from-enforcement-point", port.name or str(port.number))
    made = [manifests.network_policy(service.namespace, name, selector, peers, ports)]
    wrong: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    policies: dict[tuple[str, str], NetworkRules] = {}
    for way in ways:
        for policy, rule in way.rules:
            policies[policy.namespace, policy.name] = policy
            wrong.setdefault((policy.namespace, policy.name), []).append(rule.raw)
    notes = ["It lets in the pods of the enforcement point, on this port alone."]
    for key, policy in sorted(policies.items()):
        if key == (service.namespace, name):
            continue
        made.append(_narrowed(policy, wrong[key]))
        notes.append(f"The policy {policy.name} loses what lets others in, for all pods that it selects.")
    if not peers:
        notes = ["No pod of the enforcement point runs, so this lets no pod in. Add its labels.", *notes[1:]]
    return CoverageFix(tuple(made), " ".join(notes))


def _enforcement_points(facts: ClusterFacts, held: ServiceProtection) -> list[Mapping[str, object]]:
    """Return a peer for each namespace with pods of the enforcement point, by labels that no other pod there has."""
    peers: list[Mapping[str, object]] = []
    siblings = {(one.namespace, one.name) for one in held.pods}
    running = [one for one in facts.pods if one.username in held.enforcers and not one.host_network]
    for account in sorted({one.username for one in running}):
        pods = [one for one in running if one.username == account and (one.namespace, one.name) not in siblings]
        if not pods:
            continue
        chosen = manifests.lasting_labels(pods)
        others = [
            one for one in facts.pods if one.namespace == pods[0].namespace and one.username not in held.enforcers
        ]
        if not chosen or any(all(one.labels.get(key) == value for key, value in chosen.items()) for one in others):
            continue
        peers.append(
            {
                "namespaceSelector": {"matchLabels": {NAME_LABEL: pods[0].namespace}},
                "podSelector": {"matchLabels": chosen},
            }
        )
    return peers


def _narrowed(policy: NetworkRules, wrong: list[Mapping[str, Any]]) -> manifests.Manifest:
    """Return a policy without these ingress rules."""
    spec = policy.raw["spec"]
    kept = [one for one in spec.get("ingress") or () if one not in wrong]
    metadata = {"namespace": policy.namespace, "name": policy.name}
    return {
        "apiVersion": str(policy.raw.get("apiVersion") or f"{manifests.NETWORKING}/v1"),
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {**spec, "ingress": kept},
    }
