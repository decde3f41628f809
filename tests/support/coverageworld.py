"""A cluster for coverage: namespaces set up as the examples have them, and ways around what protects them.

Holds: pods run nowhere, and have the addresses that a kubelet would report; everything else is as a person applies it.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from localcluster.rest import Rest
from support.installation import accepted
from support.namespaces import Namespaces
from support.objects import Object

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
GATEWAY: Final = EXAMPLES / "enforcement" / "mcp" / "gateway.yaml"
_POLICIES: Final = "bailiwick.dev/v1alpha1"


@dataclass(frozen=True)
class CoverageWorld:
    """Namespaces of one test: `crm` with an API that asks, `agents`, and `shop` with tools behind a gateway."""

    admin: Rest
    crm: str
    agents: str
    shop: str
    _addresses: "list[int]"

    @classmethod
    def make(cls, admin: Rest, namespaces: Namespaces, name: str) -> "CoverageWorld":
        crm, agents, shop = (namespaces.make(f"{part}-{name}") for part in ("crm", "agents", "shop"))
        world = cls(admin, crm, agents, shop, [0])
        world.account(agents, "crm-agent")
        world.serve(crm, "crm-api", container="api")
        world.apply(world.example("crm"))
        world.serve(shop, "tools", port=8000)
        world.gateway()
        world.pod(agents, "crm-agent")
        return world

    def example(self, name: str) -> Object:
        """Return the policy of an example, for these namespaces."""
        raw: Object = yaml.safe_load((EXAMPLES / name / "policy.yaml").read_text())
        found: Object = self.moved(raw)
        return found

    def moved(self, raw: Any) -> Any:  # noqa: ANN401 - JSON
        """Return an object with the names of these namespaces."""
        names = {"crm": self.crm, "agents": self.agents, "shop": self.shop}
        if isinstance(raw, dict):
            return {
                key: names.get(value, value)
                if key in {"namespace", "kubernetes.io/metadata.name"} and isinstance(value, str)
                else self.moved(value)
                for key, value in raw.items()
            }
        return [self.moved(one) for one in raw] if isinstance(raw, list) else raw

    def gateway(self) -> None:
        """Make the gateway of the example: its Service and network policies, a pod, and the policy of its endpoint."""
        for raw in yaml.safe_load_all(GATEWAY.read_text()):
            if raw["kind"] in {"Service", "NetworkPolicy"}:
                self.apply(self.moved(raw))
        self.account(self.shop, "mcp-gateway")
        self.pod(self.shop, "mcp-gateway", ports=[("https", 8000)])
        self.policy(self.shop, "tools", self.shop, "mcp-gateway", [allow("orders", ["orders.read"], "tool")])

    def account(self, namespace: str, name: str) -> None:
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": name}})

    def pod(
        self,
        namespace: str,
        name: str,
        *,
        account: str | None = None,
        labels: dict[str, str] | None = None,
        ports: list[tuple[str, int]] | None = None,
        more: list[Object] | None = None,
    ) -> None:
        """Make a pod with an address, labelled `app: NAME`."""
        listed = [{"name": port, "containerPort": number} for port, number in ports or []]
        containers = [{"name": "main", "image": "registry.example.com/none:1", "ports": listed}, *(more or [])]
        spec = {"serviceAccountName": account or name, "containers": containers}
        metadata = {"namespace": namespace, "name": name, "labels": labels or {"app": name}}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self._addresses[0] += 1
        address = f"10.200.{self._addresses[0] // 250}.{self._addresses[0] % 250 + 1}"
        status = {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        accepted(self.admin.patch(path, status, "merge", "status"))

    def serve(self, namespace: str, name: str, *, port: int = 8080, container: str = "main") -> None:
        """Make an account, a pod and a Service of one name. The Service finds its port by name."""
        self.account(namespace, name)
        self.pod(namespace, name, ports=[("http", port)])
        self.service(namespace, name, {"app": name}, "http")

    def service(
        self, namespace: str, name: str, selector: dict[str, str], target: str | int, **annotations: str
    ) -> None:
        """Make a Service on port 80."""
        metadata = {"namespace": namespace, "name": name, "annotations": annotations}
        spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": target}]}
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    def slice(self, namespace: str, service: str, address: str, pod: str) -> None:
        """Make an EndpointSlice of a Service by hand, that says which pod has an address."""
        target = {"kind": "Pod", "name": pod, "namespace": namespace}
        labels = {"kubernetes.io/service-name": service}
        raw = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"namespace": namespace, "name": f"{service}-by-hand", "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "targetRef": target}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
        self.apply(raw)

    def policy(
        self,
        namespace: str,
        endpoint: str,
        of: str,
        enforcer: str,
        rules: list[Object],
        **more: Any,  # noqa: ANN401 - JSON
    ) -> None:
        """Make a policy of an endpoint with its settings, for the agent."""
        settings = {"enforcers": [{"namespace": of, "name": enforcer}], **more}
        subjects = [{"name": "agent", "serviceAccount": {"namespace": self.agents, "name": "crm-agent"}}]
        spec = {"endpoint": endpoint, "endpointSettings": settings, "subjects": subjects, "rules": rules}
        metadata = {"namespace": namespace, "name": endpoint}
        self.apply({"apiVersion": _POLICIES, "kind": "EndpointPolicy", "metadata": metadata, "spec": spec})

    def network_policy(self, namespace: str, name: str, selector: dict[str, str], ingress: list[Object]) -> None:
        """Make a NetworkPolicy for what comes in."""
        metadata = {"namespace": namespace, "name": name}
        spec = {"podSelector": {"matchLabels": selector}, "ingress": ingress}
        self.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec})

    def apply(self, raw: Object) -> None:
        """Create an object."""
        accepted(self.admin.create(copy.deepcopy(raw)))


def allow(name: str, actions: list[str], kind: str) -> Object:
    """Return a rule that allows the agent these actions."""
    return {
        "name": name,
        "effect": "Allow",
        "subjects": ["agent"],
        "actions": actions,
        "resources": [{"type": kind, "ids": ["*"]}],
    }


def from_pods(selector: dict[str, str]) -> Object:
    """Return an ingress rule that lets pods of the same namespace in."""
    return {"from": [{"podSelector": {"matchLabels": selector}}]}
