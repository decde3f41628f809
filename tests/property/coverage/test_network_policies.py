"""The law of paths in the network: a connection is possible here exactly if kube-network-policies lets it through.

The oracle is that project's evaluator, which also drops the packets of clusters, compiled from its pinned sources. The
worlds are drawn: policies with every kind of peer and port, for pods of three namespaces and for addresses of no pod.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bailiwick_coverage.inventory import objects
from bailiwick_coverage.networkpolicies import Network, TrafficEnd, parse_policies
from localcluster import build

# It takes two minutes where nothing of Go was ever built.
pytestmark = pytest.mark.long

NAMESPACES: Final = {"crm": {"team": "crm"}, "agents": {"team": "ai", "tier": "low"}, "web": {}}
ADDRESSES: Final = ("10.0.0.1", "10.0.1.1", "10.0.1.2", "10.1.0.1", "192.0.2.9", "fd00::1", "fd00::2")
FOREIGN: Final = ("203.0.113.5", "10.0.0.77", "fd00::ff")
BLOCKS: Final = ("0.0.0.0/0", "10.0.0.0/8", "10.0.1.0/24", "10.0.1.2/32", "192.0.2.0/24", "::/0", "fd00::/16")
PARTS: Final = {
    "0.0.0.0/0": ("10.0.0.0/8", "192.0.2.9/32"),
    "10.0.0.0/8": ("10.0.1.0/24", "10.1.0.0/16"),
    "10.0.1.0/24": ("10.0.1.2/32",),
    "::/0": ("fd00::/16",),
    "fd00::/16": ("fd00::2/128",),
}
KEYS: Final = ("app", "tier")
VALUES: Final = ("api", "proxy", "low")
PORTS: Final = (80, 443, 8080, 8081)
NAMES: Final = ("http", "admin")
Json = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """The program, which answers a world on each line."""

    process: "subprocess.Popen[str]"

    def judge(self, world: Json) -> list[bool]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(world) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the judge has ended"
        judged: list[bool] = json.loads(answer)
        return judged


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    program = build.ensure(build.netpolicies()) / "netpolicies"
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Judge(process)
        assert process.stdin is not None
        process.stdin.close()


def label_sets() -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)


@st.composite
def expressions(draw: st.DrawFn) -> Json:
    operator = draw(st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")))
    body: Json = {"key": draw(st.sampled_from((*KEYS, "team"))), "operator": operator}
    if operator in {"In", "NotIn"}:
        body["values"] = draw(st.lists(st.sampled_from((*VALUES, "crm", "ai")), min_size=1, max_size=2, unique=True))
    return body


@st.composite
def selectors(draw: st.DrawFn) -> Json:
    body: Json = {}
    if plain := draw(label_sets()):
        body["matchLabels"] = plain
    if listed := draw(st.lists(expressions(), max_size=1)):
        body["matchExpressions"] = listed
    return body


@st.composite
def peers(draw: st.DrawFn) -> Json:
    match draw(st.sampled_from(("block", "pods", "namespaces", "both"))):
        case "block":
            cidr = draw(st.sampled_from(BLOCKS))
            parts = draw(st.lists(st.sampled_from(PARTS.get(cidr, ("",))), max_size=1))
            block: Json = {"cidr": cidr, **({"except": parts} if any(parts) else {})}
            return {"ipBlock": block}
        case "pods":
            return {"podSelector": draw(selectors())}
        case "namespaces":
            return {"namespaceSelector": draw(selectors())}
    return {"podSelector": draw(selectors()), "namespaceSelector": draw(selectors())}


@st.composite
def policy_ports(draw: st.DrawFn) -> Json:
    body: Json = {"protocol": draw(st.sampled_from(("TCP", "TCP", "UDP")))}
    match draw(st.sampled_from(("any", "number", "name", "range"))):
        case "number":
            body["port"] = draw(st.sampled_from(PORTS))
        case "name":
            body["port"] = draw(st.sampled_from(NAMES))
        case "range":
            body["port"] = draw(st.sampled_from(PORTS))
            body["endPort"] = body["port"] + draw(st.integers(0, 400))
    return body


@st.composite
def traffic_rules(draw: st.DrawFn, side: str) -> Json:
    body: Json = {}
    if some := draw(st.lists(peers(), max_size=2)):
        body[side] = some
    if ports := draw(st.lists(policy_ports(), max_size=2)):
        body["ports"] = ports
    return body


@st.composite
def network_policies(draw: st.DrawFn, name: str) -> Json:
    types = draw(st.sampled_from((["Ingress"], ["Egress"], ["Ingress", "Egress"])))
    spec: Json = {"podSelector": draw(selectors()), "policyTypes": types}
    # A list for a direction that policyTypes leaves out says nothing.
    for member, side in (("ingress", "from"), ("egress", "to")):
        if some := draw(st.lists(traffic_rules(side), max_size=2)):
            spec[member] = some
    metadata = {"namespace": draw(st.sampled_from(tuple(NAMESPACES))), "name": name}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


@st.composite
def pods(draw: st.DrawFn, address: str) -> Json:
    ports = [
        {"name": name, "containerPort": draw(st.sampled_from(PORTS)), "protocol": draw(st.sampled_from(("TCP", "UDP")))}
        for name in NAMES
        if draw(st.booleans())
    ]
    labels = draw(label_sets())
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": draw(st.sampled_from(tuple(NAMESPACES))),
            "name": f"pod-{ADDRESSES.index(address)}",
            "labels": labels,
        },
        "spec": {
            "hostNetwork": draw(st.integers(0, 9)) == 0,
            "containers": [{"name": "main", "image": "none", "ports": ports}],
        },
        "status": {"phase": "Running", "podIPs": [{"ip": address}]},
    }


@st.composite
def worlds(draw: st.DrawFn) -> Json:
    count = draw(st.integers(1, 4))
    listed = [draw(pods(address)) for address in draw(st.permutations(ADDRESSES))[: draw(st.integers(2, 5))]]
    ends = [one["status"]["podIPs"][0]["ip"] for one in listed]
    packets = [
        {"source": source, "destination": destination, "protocol": protocol, "port": port}
        for source in (*ends, *FOREIGN)
        for destination in ends
        if source != destination
        for protocol, port in draw(
            st.lists(st.tuples(st.sampled_from(("TCP", "UDP")), st.sampled_from(PORTS)), min_size=1, max_size=3)
        )
    ]
    return {
        "policies": [draw(network_policies(f"policy-{number}")) for number in range(count)],
        "namespaces": [{"metadata": {"name": name, "labels": labels}} for name, labels in NAMESPACES.items()],
        "pods": listed,
        "packets": packets,
    }


def connections(world: Json) -> list[bool]:
    """Return what we say of each packet."""
    network = Network(parse_policies(world["policies"]), NAMESPACES)
    facts = [one for one in map(objects.pod, world["pods"]) if one is not None]
    by_address = {address: one for one in facts for address in one.addresses}

    def end(address: str) -> TrafficEnd:
        found = by_address.get(address)
        return TrafficEnd(found, None if found is not None else address)

    return [
        network.connects(end(one["source"]), end(one["destination"]), one["port"], one["protocol"])
        for one in world["packets"]
    ]


def differences(world: Json, ours: Sequence[bool], theirs: Sequence[bool]) -> list[Json]:
    return [one for one, mine, other in zip(world["packets"], ours, theirs, strict=True) if mine != other]


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(world=worlds())
def test_a_connection_is_possible_exactly_if_another_implementation_lets_it_through(judge: Judge, world: Json) -> None:
    theirs = judge.judge(world)
    ours = connections(world)
    assert differences(world, ours, theirs) == []


def test_the_drawn_worlds_have_connections_of_both_kinds(judge: Judge) -> None:
    seen: set[bool] = set()

    @settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck), database=None)
    @given(world=worlds())
    def look(world: Json) -> None:
        seen.update(judge.judge(world))

    look()
    assert seen == {True, False}
