"""The operator asks each API server whether it keeps the guards: two of them on one store, one with keep, one without.

Holds: the EndpointSlice of the API servers is written as they write it themselves, by the machine's own address, since
none on loopback is allowed there. Both have the real certificate, and are asked by the operator's own account.
"""

import asyncio
import copy
import re
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP, Installation
from bailiwick_api.manifests.guards import REVIEW
from bailiwick_api.manifests.keep import KEEP, KEEP_PROBE, keep_documents, keep_refusal
from bailiwick_kube.access import from_kubeconfig
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.main import _connect
from cluster.operator.grants.grants import Grants
from cluster.operator.guard.test_guard import never_active
from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane, Settings
from localcluster.pki import Authority
from localcluster.ports import free_ports
from support.callers import Callers
from support.events import await_event, events_in
from support.guards.sabotage import ADMISSION, record_path
from support.installation import accepted
from support.keepfolder import KeepFolder
from support.objects import Object
from support.versions import SINCE_1_37
from support.waits import until

pytestmark = SINCE_1_37

SLICE: Final = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
BINDINGS: Final = f"{ADMISSION}/validatingadmissionpolicybindings"
EVERYWHERE: Final = ("--bind-address", "0.0.0.0")  # noqa: S104 - an EndpointSlice takes no address on loopback
# Before 1.37 this is how every API server is.
NO_FOLDER: Final = ("--feature-gates", "ManifestBasedAdmissionControlConfig=false")


def own_address() -> str:
    """Return an address of this machine that is not on loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def keep_folder(tmp_path_factory: pytest.TempPathFactory) -> KeepFolder:
    folder = KeepFolder(tmp_path_factory.mktemp("keep"))
    folder.put()
    return folder


@pytest.fixture(scope="module")
def plane(keep_folder: KeepFolder) -> Iterator[ControlPlane]:
    settings = Settings(apiserver_flags=(*keep_folder.flags, *EVERYWHERE))
    with ControlPlane(build.ensure(), settings=settings) as plane:
        yield plane


@pytest.fixture(scope="module")
def without(plane: ControlPlane, installed: Installation) -> Cluster:
    """Another API server on the same store, which keeps nothing."""
    return plane.start_another_apiserver(*EVERYWHERE, *NO_FOLDER)


class Addresses:
    """The EndpointSlice of the API servers."""

    def __init__(self, callers: Callers) -> None:
        self._admin = callers.admin

    def write(self, *clusters: Cluster) -> None:
        """Name these API servers and no others."""
        ports = [int(cluster.server.rpartition(":")[2]) for cluster in clusters]
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [own_address()], "conditions": {"ready": True}}],
            "ports": [{"name": f"https-{port}", "port": port, "protocol": "TCP"} for port in ports],
        }
        accepted(self._admin.apply(body, "apiserver", force=True))


@pytest.fixture
def addresses(callers: Callers, plane: ControlPlane) -> Addresses:
    addresses = Addresses(callers)
    addresses.write(plane.cluster)
    return addresses


@pytest.fixture
def started(
    new_operator: NewOperator, health_port: int, addresses: Addresses, request: pytest.FixtureRequest
) -> Iterator[Operator]:
    """An operator that leads for one test, with the flags of its parameter."""
    times = ("--proof-interval", "1", "--guard-settle", "0", "--health-port", f"{health_port}")
    with new_operator(*times, *getattr(request, "param", ())) as operator:
        yield operator
    operator.kill()


REQUIRED: Final = pytest.mark.parametrize("started", [("--require-keep", "true")], indirect=True, ids=["required"])


def recorded(callers: Callers, installed: Installation) -> str:
    return str(accepted(callers.admin.get(record_path(installed)))["data"].get("keep"))


def proven_time(callers: Callers, installed: Installation) -> str:
    return str(accepted(callers.admin.get(record_path(installed)))["data"]["provenTime"])


def is_later(callers: Callers, installed: Installation, before: str) -> bool:
    return proven_time(callers, installed) > before


def events(callers: Callers, installed: Installation, reason: str) -> list[dict[str, Any]]:
    found = events_in(callers.admin, installed.namespace)
    return [one for one in found if one["reason"] == reason and one["regarding"]["name"] == GUARD_CONFIG_MAP]


def metric(port: int, state: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(rf'^bailiwick_guard_keep{{apiservers="{state}"}} (\S+)$', text, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.invariant(27)
def test_the_result_stands_in_record_metric_and_ledger_and_a_server_without_it_is_reported(
    started: Operator,
    callers: Callers,
    installed: Installation,
    addresses: Addresses,
    plane: ControlPlane,
    without: Cluster,
    health_port: int,
) -> None:
    until(lambda: recorded(callers, installed) == "1/1", "the one API server keeps the guards")
    before = events(callers, installed, "KeepMissing")
    addresses.write(plane.cluster, without)
    until(lambda: recorded(callers, installed) == "1/2", "the other one is seen to do without")
    told = await_event(callers.admin, installed.namespace, "KeepMissing", lambda event: event not in before)
    assert f":{without.server.rpartition(':')[2]}: it has no bailiwick-keep" in told["note"]
    assert [metric(health_port, state) for state in ("kept", "without", "silent")] == [1, 1, 0]
    # It is not required, so the guards are proven all the same.
    assert started.said("the guards over grants are not proven: no grant is approved") == []
    addresses.write(plane.cluster)
    until(lambda: recorded(callers, installed) == "1/1", "every API server keeps them again")
    lines = [line for line in started.ledger.read_text().splitlines() if '"kind":"keep"' in line]
    assert [re.findall(r'"apiservers":"(\S+?)"', line)[0] for line in lines] == ["1/1", "1/2", "1/1"]


@pytest.mark.invariant(27)
@REQUIRED
def test_where_it_is_required_nothing_counts_until_every_api_server_keeps_the_guards(
    started: Operator, grants: Grants, addresses: Addresses, plane: ControlPlane, without: Cluster
) -> None:
    first = grants.approved()
    body = grants.open()
    grants.await_phase(body, "Pending")
    addresses.write(plane.cluster, without)
    (entry, *_) = started.await_said("the guards over grants are not proven: no grant is approved")
    assert "1 of 2 addresses of API servers do not keep the guards from their disk" in entry["problem"]
    accepted(grants.review(body, "dave"))
    never_active(grants, body, 3)
    assert grants.phase(first) == "Active"
    assert len(started.said("not every API server keeps the guards")) == 1
    addresses.write(plane.cluster)
    # No guard changed, so what was written meanwhile counts.
    counted = grants.await_phase(body, "Active")["status"]["counted"]
    assert [entry["reviewer"] for entry in counted] == ["dave"]


@pytest.mark.invariant(27)
@REQUIRED
def test_a_server_that_is_gone_is_not_known_to_keep_them(
    started: Operator, addresses: Addresses, plane: ControlPlane, callers: Callers, installed: Installation
) -> None:
    nothing = copy.copy(plane.cluster)
    object.__setattr__(nothing, "server", f"https://127.0.0.1:{free_ports(1)[0]}")
    addresses.write(plane.cluster, nothing)
    (entry, *_) = started.await_said("the guards over grants are not proven: no grant is approved")
    assert "1 of 2 addresses of API servers" in entry["problem"]
    addresses.write(plane.cluster)
    until(lambda: len(started.said("the guards over grants are proven to be in force")) == 2, "proven again")


class TestForgery:
    @pytest.fixture
    def forged(self, without: Cluster) -> Iterator[Callers]:
        """Policy and binding of the very names, made through an API server without a folder; they refuse everything."""
        with Callers(without) as callers:
            policy, binding = copy.deepcopy(keep_documents())
            everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*/*"]}
            condition = f"object.metadata.name == '{KEEP_PROBE}'"
            policy["spec"] = {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [everything]},
                "matchConditions": [{"name": "probe", "expression": condition}],
                "validations": [
                    {
                        "expression": "false",
                        "reason": "Forbidden",
                        "message": keep_refusal().partition("denied request: ")[2],
                    }
                ],
            }
            accepted(callers.admin.create(policy))
            accepted(callers.admin.create(binding))
            yield callers
            for place, document in (("validatingadmissionpolicies", policy), (BINDINGS.rpartition("/")[2], binding)):
                accepted(callers.admin.delete(f"{ADMISSION}/{place}/{document['metadata']['name']}"))

    def test_a_policy_of_the_same_names_refuses_objects_by_the_same_words_but_never_the_probe(
        self,
        forged: Callers,
        started: Operator,
        addresses: Addresses,
        plane: ControlPlane,
        without: Cluster,
        callers: Callers,
        installed: Installation,
    ) -> None:
        config_map: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": KEEP_PROBE, "namespace": installed.namespace},
        }

        def refusal() -> str:
            return forged.admin.create(config_map, dry_run=True).message.partition(" is forbidden: ")[2]

        until(lambda: refusal() == keep_refusal(), "the forged policy answers as keep does")
        addresses.write(plane.cluster, without)
        until(lambda: recorded(callers, installed) == "1/2", "the operator is not deceived")
        # The policy of the disk goes first, and by itself keeps what it keeps.
        answer = callers.admin.patch(f"{BINDINGS}/{REVIEW}", {"spec": {"validationActions": ["Audit"]}}, dry_run=True)
        assert f"ValidatingAdmissionPolicy '{KEEP}'" in answer.message

    def test_a_policy_that_refuses_everything_does_not_refuse_first(
        self, callers: Callers, started: Operator, addresses: Addresses, plane: ControlPlane, installed: Installation
    ) -> None:
        policy, binding = copy.deepcopy(keep_documents())
        policy["metadata"]["name"] = binding["metadata"]["name"] = binding["spec"]["policyName"] = "a-refuses-bindings"
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["*"]}
        policy["spec"] = {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "probe", "expression": f"object.metadata.name == '{KEEP_PROBE}'"}],
            "validations": [{"expression": "false", "message": "no"}],
        }
        accepted(callers.admin.create(policy))
        accepted(callers.admin.create(binding))
        config_map: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": KEEP_PROBE, "namespace": installed.namespace},
        }
        until(lambda: "a-refuses-bindings" in callers.admin.create(config_map, dry_run=True).message, "it refuses")
        for _ in range(3):
            before = proven_time(callers, installed)
            until(partial(is_later, callers, installed, before), "another round")
        assert recorded(callers, installed) == "1/1"
        for place in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
            accepted(callers.admin.delete(f"{ADMISSION}/{place}/a-refuses-bindings"))


async def test_the_token_goes_to_no_server_that_does_not_prove_to_be_an_api_server(
    account: Path, plane: ControlPlane
) -> None:
    server = f"127.0.0.1:{plane.cluster.server.rpartition(':')[2]}"
    transport = _connect(from_kubeconfig(account), 3, server)
    try:
        assert (await transport.call(ApiRequest("GET", "/version"))).ok
    finally:
        await transport.close()
    # Of the cluster's own authority, but of another name: so is the certificate of each kubelet.
    pair = Authority.at(plane.folder / "pki", "ca").serving("kubelet", ("kubelet", "127.0.0.1"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    received: list[bytes] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(receive, "127.0.0.1", 0, ssl=context) as listening:
        port = listening.sockets[0].getsockname()[1]
        transport = _connect(from_kubeconfig(account), 3, f"127.0.0.1:{port}")
        try:
            with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
                await transport.call(ApiRequest("GET", "/version"))
        finally:
            await transport.close()
    assert received in ([], [b""])
