"""Proxies before a whole Bailiwick on a real API server, by the shipped policy: grants are real, and people approve."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import requests
import yaml

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from bailiwick_api.serviceaccounts import ServiceAccountName
from demo.stack import DecisionPoint
from localcluster.access import Cluster
from localcluster.ports import free_ports
from proxies.configurations import EXAMPLES
from support.installation import accepted
from support.namespaces import Roles
from support.objects import AGENT, Object, adding_review, review, revoking
from support.pdp.processes import Bailiwick
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import Answer, attempt, request
from support.proxies.scene import LIFE, Scene
from support.waits import until

EXTERNAL_URL: Final = "https://bailiwick.example.com"
ACCESS_REQUEST: Final = f"{EXTERNAL_URL}/endpoints/crm/crm-api/access/v1/requests"
# All tests ask in the name of one agent.
_PLENTY: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}


class ClusterScene(Scene):
    """The scene whose tokens the API server issues."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder)
        self._cluster = cluster

    def token(self, username: str = AGENT, audience: str = "crm-api.crm", *, seconds: float = LIFE) -> str:
        account = ServiceAccountName.parse(username)
        assert account is not None
        return self._cluster.service_account_token(account.namespace, account.name, (audience,), int(seconds))


class ReplicaPoint:
    """A decision point that serves over TLS. `port` of HTTP, `grpc_port` of gRPC."""

    def __init__(self, point: DecisionPoint, grpc_port: int) -> None:
        self.point = point
        self.port = int(point.url.rpartition(":")[2])
        self.grpc_port = grpc_port

    def serving(self, *, grpc: bool) -> int:
        return self.grpc_port if grpc else self.port


class ApprovingWorld:
    """Everything but the proxies."""

    def __init__(self, bailiwick: Bailiwick, scene: ClusterScene) -> None:
        self.bailiwick = bailiwick
        self.scene = scene
        self.replicas: list[ReplicaPoint] = []
        self._bearer = scene.bearer()

    @classmethod
    def begin(cls, closing: ExitStack, folder: Path) -> Self:
        bailiwick = Bailiwick.begin(closing, replicas=0)
        admin = bailiwick.callers.admin
        for namespace, account in (("crm", None), ("agents", "crm-agent"), ("gateways", "proxy")):
            accepted(admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
            if account is not None:
                metadata = {"namespace": namespace, "name": account}
                accepted(admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
        accepted(admin.create(_policy()))
        roles = Roles(admin, "crm")
        roles.bind("bailiwick-approve", "group:crm-owners")
        world = cls(bailiwick, ClusterScene(folder, bailiwick.cluster))
        world.replicas = [world.replica() for _ in range(2)]
        return world

    def replica(self) -> ReplicaPoint:
        """Start a decision point."""
        (port,) = free_ports(1)
        scene = self.scene
        point = self.bailiwick.start_point(
            *(f"--tls-cert-file={scene.serving.certificate}", f"--tls-key-file={scene.serving.key}"),
            *(f"--client-ca-file={scene.client_ca}", f"--grpc-port={port}", f"--external-url={EXTERNAL_URL}"),
        )
        return ReplicaPoint(point, port)

    def call(
        self, proxy: RunningProxy, customer: str, *shown: tuple[str, str], method: str = "POST", what: str = "/notice"
    ) -> Answer:
        """Call through a proxy, by default for what needs an approval and whose denial asks for it."""
        target = f"/customers/{customer}{what}?template=welcome"
        return attempt(proxy.port, request(method, target, self._bearer, *shown))

    def grants(self, customer: str) -> list[Object]:
        """Return the grants about a customer, the oldest first."""
        path = f"/apis/{API_VERSION}/namespaces/crm/{APPROVAL_GRANTS}"
        found = accepted(self.bailiwick.callers.admin.get(path))["items"]
        ours = [one for one in found if one["spec"]["request"]["resource"]["id"] == customer]
        return sorted(ours, key=lambda one: str(one["metadata"]["creationTimestamp"]))

    def uses(self, customer: str) -> int:
        """Return how many uses were taken of all grants about a customer."""
        return sum(one.get("status", {}).get("uses", 0) for one in self.grants(customer))

    def approve(self, grant: Object, by: str = "carol") -> tuple[str, str]:
        """Review a grant, and return the header that shows it once it is in force."""
        entry = review(grant, by, step_name=grant["spec"]["request"]["steps"][0]["name"], group="crm-owners")
        callers = self.bailiwick.callers
        accepted(callers(by).patch(grant, adding_review(entry), "json"))

        def is_active() -> bool:
            return bool(accepted(callers.admin.get(grant)).get("status", {}).get("phase") == "Active")

        until(is_active, "the grant is active")
        return "X-Bailiwick-Approval", f"{grant['metadata']['name']}.{grant['metadata']['uid']}"

    def approved(self, proxy: RunningProxy, customer: str) -> tuple[str, str]:
        """Have a call denied, which asks for its approval, and have that approved."""
        until(lambda: self.call(proxy, customer).header("x-bailiwick-task"), "the denial has asked")
        (grant,) = self.grants(customer)
        return self.approve(grant)

    def withdraw(self) -> None:
        """Take back what waits for reviews, of which there can only be so much in the name of one agent."""
        callers = self.bailiwick.callers
        path = f"/apis/{API_VERSION}/namespaces/crm/{APPROVAL_GRANTS}"
        for grant in accepted(callers.admin.get(path))["items"]:
            if grant.get("status", {}).get("phase", "Pending") == "Pending" and "revocation" not in grant["spec"]:
                accepted(callers("carol").patch(grant, revoking("carol"), "json"))

    def ask(self, customer: str, action: str) -> Any:  # noqa: ANN401 - as JSON
        """Ask for an approval as the proxy, where a denial says that one can; return the task."""
        scene = self.scene
        body = {
            "subject": {"type": "serviceAccount", "id": AGENT},
            "action": {"name": action},
            "resource": {"type": "customer", "id": customer},
            "context": {"evidence": {"subject_token": scene.token()}, "business_justification": "it is asked for"},
        }
        answer = requests.post(
            f"https://127.0.0.1:{self.replicas[0].port}{ACCESS_REQUEST.removeprefix(EXTERNAL_URL)}",
            json=body,
            cert=(str(scene.proxy.certificate), str(scene.proxy.key)),
            verify=str(scene.authority.bundle),
            timeout=20,
        )
        assert answer.status_code == requests.codes.accepted, answer.text
        return answer.json()["task"]


def _policy() -> Object:
    """Return the shipped policy, with a rule whose approval has to be asked for, and room for all tests."""
    found: Object = yaml.safe_load((EXAMPLES / "policy.yaml").read_text(encoding="utf-8"))
    spec: Any = found["spec"]
    spec["endpointSettings"]["http"]["routes"].append(
        {
            "methods": ["DELETE"],
            "path": "/customers/{id}",
            "action": "customers.delete",
            "resource": {"type": "customer", "id": "{id}"},
        }
    )
    (write,) = [one for one in spec["rules"] if one["name"] == "write"]
    write["approval"]["limits"] = _PLENTY
    approval = {"steps": write["approval"]["steps"], "limits": _PLENTY}
    spec["rules"].append({**write, "name": "delete", "actions": ["customers.delete"], "approval": approval})
    return found


def both(kind: str, ports: Sequence[int]) -> dict[str, str]:
    """Return what to replace in the file of a proxy that asks the first of these ports, so that it asks both."""
    first, second = ports
    if kind == "nginx":
        line = "server 127.0.0.1:{} max_fails=0;"
        return {line.format(first): f"{line.format(first)}\n    {line.format(second)}"}
    if kind == "caddy":
        asked = f"forward_auth https://127.0.0.1:{first} "
        return {asked: f"{asked}https://127.0.0.1:{second} "}
    entry = "        - endpoint:\n            address:\n              socket_address: "
    one, two = (f"{entry}{{address: 127.0.0.1, port_value: {port}}}" for port in (first, second))
    return {one: f"{one}\n{two}"}
