"""A namespace where somebody may do everything but to what is called `precious`, and what the API server says of it.

What is called `gated` is a ConfigMap, a Pod or a Deployment that is deleted with an approval for one use; so is whether
the Deployment is paused.

Holds: whether `precious` was touched is read from the API server, and whether it was reached from an upstream and from
the API server's own answers. Nothing here knows how the decision point reads a name.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from localcluster.rest import Answer
from support.apiserver import REGISTRATION, AskingServer
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, adding_review, review
from support.pdp.tenant import PLENTY
from support.proxies.servers import Server
from support.waits import until

PRECIOUS: Final = "precious"
OTHER: Final = "other"
GATED: Final = "gated"
STRANGER: Final = "carol"
CONTENTS: Final = f"contents of {PRECIOUS}"
MARK: Final = "touched"
DATA: Final = "c2VjcmV0LW9mLXByZWNpb3Vz"
# In the answers of the API server to a call that came as far as the object itself.
_REACHED: Final = (
    "does not have a host assigned",
    "address not allowed",
    "no endpoints available",
    "no service port",
    "error trying to reach service",
)
_PER_RULE: Final = 16
# Written by the controller of deployments, some time after one is there.
_REVISION: Final = "deployment.kubernetes.io/revision"
_POD: Final[Object] = {"containers": [{"name": "web", "image": "registry.example.com/shop:1"}]}
# Of its own for each object, so that no controller takes one for that of another.
_LABELS: Final = {"app": "@kind-@name"}
_TEMPLATE: Final[Object] = {"metadata": {"labels": _LABELS}, "spec": _POD}
_NEVER: Final[Object] = {**_TEMPLATE, "spec": {**_POD, "restartPolicy": "Never"}}
_SELECTOR: Final[Object] = {"matchLabels": _LABELS}
# What no controller changes while nobody asks it to: workloads have no replicas, and jobs wait.
BODIES: Final[Mapping[str, Object]] = {
    "v1/ConfigMap": {"data": {"key": DATA}},
    "v1/Secret": {"data": {"key": DATA}},
    "v1/Service": {"spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "nothing"}}},
    "v1/ServiceAccount": {"automountServiceAccountToken": False},
    "v1/Event": {"involvedObject": {"kind": "Pod", "name": PRECIOUS}, "message": DATA},
    "v1/Pod": {"spec": _POD},
    "v1/PodTemplate": {"template": _TEMPLATE},
    "v1/ReplicationController": {"spec": {"replicas": 0, "selector": _LABELS, "template": _TEMPLATE}},
    "apps/v1/Deployment": {"spec": {"replicas": 0, "selector": _SELECTOR, "template": _TEMPLATE}},
    "apps/v1/ReplicaSet": {"spec": {"replicas": 0, "selector": _SELECTOR, "template": _TEMPLATE}},
    "apps/v1/StatefulSet": {"spec": {"replicas": 0, "selector": _SELECTOR, "template": _TEMPLATE, "serviceName": "x"}},
    "apps/v1/DaemonSet": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
    "batch/v1/Job": {"spec": {"suspend": True, "template": _NEVER}},
    "batch/v1/CronJob": {
        "spec": {"suspend": True, "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": _NEVER}}}
    },
    "coordination.k8s.io/v1/Lease": {"spec": {"holderIdentity": DATA}},
}


def body_of(kind: str, name: str) -> Object:
    """Return an object of a kind without its metadata."""
    text = json.dumps(BODIES[kind]).replace("@kind", kind.rpartition("/")[2].lower()).replace("@name", name)
    body: Object = json.loads(text)
    return body


@dataclass(frozen=True)
class PreciousWorld:
    """One such namespace. `kinds`: paths of the collections, by kind. `types`: what a rule can name, by discovery."""

    server: AskingServer
    namespace: str
    kinds: Mapping[str, str]
    types: tuple[str, ...]

    @classmethod
    def begin(cls, server: AskingServer, name: str, *people: str) -> Self:
        """Make the namespace with its policy, and have the API server ask about whatever is done in it."""
        kinds, types = discovered(server)

        def rules(policy: Object) -> None:
            spec: Any = policy["spec"]
            spec["subjects"] = [
                {"name": "people", "entity": {"type": "user", "ids": [*people]}},
                {"name": "admin", "entity": {"type": "user", "ids": ["admin"]}},
            ]
            spec["rules"] = [
                {
                    "name": f"{effect.lower()}-{place // _PER_RULE}",
                    "effect": effect,
                    "subjects": subjects,
                    "actions": ["*"],
                    "resources": [{"type": kind, "ids": [ids]} for kind in types[place : place + _PER_RULE]],
                }
                for effect, ids, subjects in (
                    ("Allow", "*", ["people", "admin"]),
                    ("Deny", PRECIOUS, ["people"]),
                )
                for place in range(0, len(types), _PER_RULE)
            ]
            steps = [{"name": "owner", "kind": "Human", "groups": ["crm-owners"]}]
            gate = {"open": "OnDeny", "steps": steps, "limits": PLENTY}
            rule = {"effect": "RequireApproval", "subjects": ["people"]}
            for action, gated, shown in (
                ("delete", ("configmaps", "pods", "apps/deployments"), {}),
                ("update", ("apps/deployments",), {"show": ["/context/args/spec/paused"]}),
            ):
                resources = [{"type": kind, "ids": [GATED]} for kind in gated]
                approval: Object = {**gate, **shown}
                named = {"name": f"gate-{action}", "actions": [action], "resources": resources, "approval": approval}
                spec["rules"].append(rule | named)

        namespace = server.tenant(name, rules)
        everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
        Roles(server.callers.admin, namespace).give(everything, *people)
        world = cls(server, namespace, {kind: kinds[kind].format(namespace) for kind in BODIES}, types)
        world.restore(PRECIOUS, OTHER)
        return world

    def ask_about_everything(self, by: str) -> None:
        """Register the shipped webhook for every operation in the namespace, and wait until somebody feels that."""
        self.server.register(self.namespace, STRANGER)
        raw = accepted(self.server.callers.admin.get(REGISTRATION))
        every = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "*"}
        raw["webhooks"][0]["rules"] = [every]
        accepted(self.server.callers.admin.replace(raw))
        path = f"{self.kinds['v1/Secret']}/{PRECIOUS}?dryRun=All"
        until(lambda: refused(self.send(by, "DELETE", path)), "admission is felt")

    def restore(self, *names: str) -> None:
        """Make the objects of these names that are not there, and wait until nothing changes them by itself."""
        for kind, path in self.kinds.items():
            for name in names:
                version, _, short = kind.rpartition("/")
                metadata: Object = {"namespace": self.namespace, "name": name, "labels": {"which": name}}
                metadata["annotations"] = {"what": f"contents of {name}"}
                body = {"apiVersion": version, "kind": short, "metadata": metadata, **body_of(kind, name)}
                if kind == "v1/Event":
                    body |= {"involvedObject": {**body["involvedObject"], "namespace": self.namespace}}
                # What is being deleted is in the way until the garbage collector has come to it.
                until(lambda: self._stands(path, body), f"{kind} {name} is there", 30.0)  # noqa: B023 - at once

    def state(self, name: str = PRECIOUS) -> dict[str, object]:
        """Return all objects of a name as they are kept, without what controllers report about them."""
        return {kind: self._kept(f"{path}/{name}") for kind, path in self.kinds.items()}

    def send(
        self, by: str, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Answer:
        """Send a request as somebody, by "" without a credential. Its target is sent as it is written."""
        login = self.server.callers(by or "admin").login
        where = urlsplit(login.server)
        trust = ssl.create_default_context(cafile=str(login.authority))
        connection = http.client.HTTPSConnection(str(where.hostname), where.port, timeout=20, context=trust)
        raw = b"" if body is None else json.dumps(body).encode()
        try:
            connection.putrequest(method, path)
            own = login.headers() if by else []
            for key, value in (*own, ("Content-Type", content_type), ("Content-Length", str(len(raw)))):
                connection.putheader(key, value)
            connection.endheaders(raw)
            response = connection.getresponse()
            text = response.read(65_536).decode(errors="replace")
        finally:
            connection.close()
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = {}
        return Answer(response.status, parsed if isinstance(parsed, dict) else {}, dict(response.headers), text)

    def _stands(self, path: str, body: Object) -> bool:
        """Create an object if it is not there; tell whether it is there, and not being deleted."""
        admin = self.server.callers.admin
        if (created := admin.create(body, path)).status != 409:
            return created.status == 201
        where = f"{path}/{body['metadata']['name']}"
        there = admin.get(where)
        if not there.ok or "deletionTimestamp" not in there.body["metadata"]:
            return there.ok
        # One that a call has bound to a node waits for the kubelet, and there is none.
        admin.delete(f"{where}?gracePeriodSeconds=0")
        return False

    def _kept(self, path: str) -> object:
        answer = self.server.callers.admin.get(path)
        if not answer.ok or answer.body["metadata"].get("deletionTimestamp"):
            return None
        kept = {name: value for name, value in answer.body.items() if name != "status"}
        unstable = {"resourceVersion", "managedFields"}
        kept["metadata"] = {name: value for name, value in kept["metadata"].items() if name not in unstable}
        kept["metadata"]["annotations"] = {**kept["metadata"].get("annotations", {})}
        kept["metadata"]["annotations"].pop(_REVISION, None)
        return kept, MARK in answer.text


def reached(answer: Answer) -> bool:
    """Tell whether a call that connects came as far as the object that it names."""
    return answer.status == 101 or any(words in answer.message for words in _REACHED)


def refused(answer: Answer) -> bool:
    """Tell whether it was Bailiwick that refused, at admission or before RBAC."""
    return answer.status in {403, 429} and ("denied the request" in answer.message or "Bailiwick: " in answer.message)


class PodUpstream(Server):
    """What runs in a pod, on an address that the API server takes for one of a pod."""

    def __init__(self) -> None:
        super().__init__()
        self.host = own_address()

    def start(self) -> None:
        """Listen."""
        self._begin(socket.create_server((self.host, self.port), backlog=64))

    def give(self, world: PreciousWorld, name: str) -> None:
        """Give its address to a pod."""
        status = {"status": {"podIP": self.host, "podIPs": [{"ip": self.host}], "phase": "Running"}}
        path = f"{world.kinds['v1/Pod']}/{name}"
        accepted(world.server.callers.admin.patch(path, status, "strategic", "status"))


def own_address() -> str:
    """Return an address of this machine that is not its loopback. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def approved(world: PreciousWorld, denied: Answer) -> Object:
    """Approve what a denial names as waiting, as carol, and return the grant."""
    name = denied.message.rpartition(f"Approval: {world.namespace}/")[2].rstrip(".")
    path = f"/apis/{API_VERSION}/namespaces/{world.namespace}/{APPROVAL_GRANTS}/{name}"
    grant: Object = accepted(world.server.callers.admin.get(path))
    entry = review(grant, STRANGER, step_name=grant["spec"]["request"]["steps"][0]["name"], group="crm-owners")
    accepted(world.server.callers(STRANGER).patch(grant, adding_review(entry), "json"))
    return grant


def grants_of(world: PreciousWorld, kind: str) -> list[Object]:
    """Return the grants for objects of a type."""
    path = f"/apis/{API_VERSION}/namespaces/{world.namespace}/{APPROVAL_GRANTS}"
    found: list[Object] = accepted(world.server.callers.admin.get(path))["items"]
    return [one for one in found if one["spec"]["request"]["resource"]["type"] == kind]


def discovered(server: AskingServer) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the paths of the collections by kind, and every type and subresource that a rule can name."""
    admin = server.callers.admin
    groups = [group["preferredVersion"]["groupVersion"] for group in accepted(admin.get("/apis"))["groups"]]
    kinds, types = {}, []
    for version in ("v1", *groups):
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        group = version.rpartition("/")[0]
        for resource in accepted(admin.get(root))["resources"]:
            if not resource["namespaced"] or group == "bailiwick.dev":
                continue
            types.append(f"{group}/{resource['name']}".lstrip("/"))
            if "/" not in resource["name"] and "delete" in resource["verbs"]:
                kinds[f"{version}/{resource['kind']}"] = f"{root}/namespaces/{{}}/{resource['name']}"
    return kinds, tuple(types)
