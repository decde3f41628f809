"""What coverage says of the network, tried on one that enforces NetworkPolicies: pods connect, or their packets go.

Holds: kube-network-policies drops the packets, unmodified. What coverage finds around an enforcement point is a way in,
the fix that it prints closes it, and the enforcement point still reaches its Service.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import yaml

from bailiwick_api.accounts import Installation
from demo.ground import KUBECTL
from localcluster import process
from localcluster.node import networkpolicies
from localcluster.node.cluster import NodeCluster
from localcluster.node.needs import NodeNeedsError
from localcluster.node.networkpolicies import PROGRAM, NetworkPolicyEnforcement
from localcluster.progress import Silent
from support import commandline
from support.callers import Callers
from support.coverageworld import CoverageWorld, allow, from_pods
from support.namespaces import Namespaces
from support.node.pods import Pods, pod_spec, python
from support.objects import Object
from support.waits import until

# Its first build takes minutes.
pytestmark = pytest.mark.timeout(900)

# Answers each GET with the name of the pod.
SERVER: Final = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["HOSTNAME"].encode())
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""
CONNECT: Final = """
import sys, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=2).read().decode())
    except OSError as error:
        print(getattr(error, "reason", error))
"""
DROPPED: Final = "timed out"
GATEWAY: Final = {"app": "mcp-gateway"}
CLIENT: Final = {"role": "client"}
Finding = dict[str, Any]


def open_ways(pods: str) -> dict[str, list[Object] | None]:
    """Return what lets a stranger in, by the name of a Service: the rules of its NetworkPolicy. None: it has none."""
    return {
        "no-policy": None,
        "every-namespace": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}],
        "addresses": [from_pods(GATEWAY), {"from": [{"ipBlock": {"cidr": pods}}], "ports": [{"port": 8080}]}],
        "labels": [from_pods(GATEWAY), {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": CLIENT}}]}],
    }


WAYS: Final = tuple(open_ways(""))


@dataclass(frozen=True)
class Site:
    """A namespace `shop` with Services behind a gateway, and one `agents` with a stranger."""

    node: NodeCluster
    world: CoverageWorld
    shop: Pods
    agents: Pods

    @classmethod
    def make(cls, node: NodeCluster, callers: Callers, namespaces: Namespaces) -> "Site":
        shop, agents = (namespaces.make(f"{part}-enforced-network") for part in ("shop", "agents"))
        admin = callers.admin
        site = cls(node, CoverageWorld(admin, shop, agents, shop, [0]), Pods(admin, shop), Pods(admin, agents))
        site.world.account(agents, "crm-agent")
        # As root, which is what tells a node's own packets from those of its pods.
        loose: Object = {"runAsUser": 0}
        idle = "import time; time.sleep(86400)"
        site.agents.start("stranger", pod_spec(python(idle, securityContext=loose), securityContext={}), CLIENT)
        site.world.account(shop, "mcp-gateway")
        site.shop.start("mcp-gateway", pod_spec(python(idle), serviceAccountName="mcp-gateway"), GATEWAY)
        for name, ingress in {**open_ways(str(node.network.pods)), "sound": [from_pods(GATEWAY)]}.items():
            site.serve(name, "mcp-gateway", serving("main", "http", 8080))
            if ingress is not None:
                site.world.network_policy(shop, name, {"app": name}, ingress)
        site.serve("ledger", "ledger", serving("main", "http", 8080), serving("app", "raw", 9000))
        return site

    def serve(self, name: str, enforcer: str, *containers: Object) -> None:
        """Start a pod, and make its Service and the endpoint of that."""
        namespace = self.shop.namespace
        self.world.account(namespace, name)
        self.shop.start(name, pod_spec(*containers, serviceAccountName=name), {"app": name})
        self.world.service(namespace, name, {"app": name}, "http")
        self.world.policy(namespace, name, namespace, enforcer, [allow("read", [f"{name}.read"], "tool")])

    def found(self, name: str) -> list[Finding]:
        """Return what is around the enforcement point of a Service."""
        names = ("-n", self.shop.namespace, "-n", self.agents.namespace)
        ran = commandline.run("coverage", *names, "-o", "json", kubeconfig=self.node.cluster.kubeconfig("admin"))
        assert ran.code in {0, 1}, ran
        (cluster,) = json.loads(ran.out)["clusters"]
        return [one for one in cluster["findings"] if (one["code"], one["object"]["name"]) == ("around", name)]

    def paste(self, finding: Finding) -> None:
        """Apply a fix as a person does."""
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(finding["fix"]["manifests"]))

    def urls(self, name: str) -> tuple[str, str]:
        """Return where a Service is: at its own address, and at that of its pod."""
        service = self.world.admin.get(f"/api/v1/namespaces/{self.shop.namespace}/services/{name}").body
        return f"http://{service['spec']['clusterIP']}", self.url_of_pod(name, 8080)

    def url_of_pod(self, name: str, port: int) -> str:
        return f"http://{self.shop.get(name)['status']['podIP']}:{port}"

    def answers(self, pods: Pods, source: str, *urls: str) -> list[str]:
        """Return what each URL answers a pod."""
        return self.kubectl("-n", pods.namespace, "exec", source, "--", "python3", "-c", CONNECT, *urls).splitlines()

    def stranger(self, *urls: str) -> list[str]:
        return self.answers(self.agents, "stranger", *urls)

    def gateway(self, *urls: str) -> list[str]:
        return self.answers(self.shop, "mcp-gateway", *urls)

    def kubectl(self, *arguments: str, given: str = "") -> str:
        command = [str(KUBECTL), "--kubeconfig", str(self.node.cluster.kubeconfig("admin")), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout


def serving(name: str, port_name: str, port: int) -> Object:
    """Return a container that answers on a port."""
    probe = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    listed = [{"name": port_name, "containerPort": port}]
    return {**python(SERVER, str(port), ports=listed, readinessProbe=probe), "name": name}


@pytest.fixture(scope="module")
def enforcement(node: NodeCluster) -> Iterator[NetworkPolicyEnforcement]:
    enforcement = node.network_policies(Silent())
    try:
        enforcement.start()
    except NodeNeedsError as error:
        pytest.skip(str(error))
    yield enforcement
    enforcement.stop()


@pytest.fixture(scope="module")
def site(
    node: NodeCluster, callers: Callers, installed: Installation, enforcement: NetworkPolicyEnforcement
) -> Iterator[Site]:
    namespaces = Namespaces(callers.admin)
    yield Site.make(node, callers, namespaces)
    namespaces.clean()


@pytest.mark.parametrize("name", WAYS)
def test_what_is_found_around_an_enforcement_point_is_a_way_in_until_its_fix_is_pasted(site: Site, name: str) -> None:
    (finding,) = site.found(name)
    urls = site.urls(name)
    until(lambda: site.stranger(*urls) == [name, name], f"{name} answers a pod that is not the gateway")
    assert site.gateway(*urls) == [name, name]
    site.paste(finding)
    until(lambda: site.stranger(*urls) == [DROPPED, DROPPED], f"no packet of a stranger comes to {name}")
    assert site.gateway(*urls) == [name, name]
    assert site.found(name) == []


def test_another_port_of_pods_that_enforce_is_a_way_in_until_its_fix_is_pasted(site: Site) -> None:
    (finding,) = site.found("ledger")
    urls = (*site.urls("ledger"), site.url_of_pod("ledger", 9000))
    until(lambda: site.stranger(*urls) == ["ledger"] * 3, "both containers answer")
    site.paste(finding)
    until(lambda: site.stranger(*urls) == ["ledger", "ledger", DROPPED], "the port that enforces alone answers")
    assert site.found("ledger") == []


def test_nothing_but_the_gateway_reaches_a_service_around_which_nothing_is_found(site: Site) -> None:
    assert site.found("sound") == []
    urls = site.urls("sound")
    until(lambda: site.gateway(*urls) == ["sound", "sound"], "the gateway is answered")
    assert site.stranger(*urls) == [DROPPED, DROPPED]


def test_no_pod_is_reached_while_the_program_that_judges_is_dead(
    site: Site, enforcement: NetworkPolicyEnforcement
) -> None:
    urls = site.urls("sound")
    until(lambda: site.gateway(*urls) == ["sound", "sound"], "the gateway is answered")
    judge = enforcement.process
    assert judge is not None
    process.kill([judge])
    enforcement.stop_program()
    try:
        assert site.gateway(*urls) == [DROPPED, DROPPED]
    finally:
        enforcement.start_program()
    assert site.gateway(*urls) == ["sound", "sound"]


def test_the_policies_are_in_force_only_while_they_are_enforced(
    site: Site, node: NodeCluster, enforcement: NetworkPolicyEnforcement
) -> None:
    urls = site.urls("sound")
    assert site.stranger(*urls) == [DROPPED, DROPPED]
    enforcement.stop()
    try:
        assert enforcement.process is None
        assert site.stranger(*urls) == ["sound", "sound"]
        account = f"/api/v1/namespaces/kube-system/serviceaccounts/{PROGRAM}"
        assert node.cluster.rest().get(account).status == 404
        # A second time it finds nothing to take away.
        enforcement.stop()
    finally:
        enforcement.start()
    assert site.stranger(*urls) == [DROPPED, DROPPED]


def test_what_the_kernel_refuses_is_said_and_nothing_is_left_behind(
    node: NodeCluster, enforcement: NetworkPolicyEnforcement, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforcement.stop()
    try:
        with monkeypatch.context() as patched:
            # There is no queue of this number, as there is none at all in a kernel without NFQUEUE.
            patched.setattr(networkpolicies, "QUEUE", 1 << 16)
            with pytest.raises(NodeNeedsError, match=r"need a kernel for `iptables .* -j NFQUEUE") as refused:
                node.network_policies(Silent()).start()
        assert refused.value.exit_code == 4
    finally:
        # It would fail if a rule were there already.
        enforcement.start()
