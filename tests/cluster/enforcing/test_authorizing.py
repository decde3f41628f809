"""The API server asks before RBAC, by the shipped configuration, on the real thing."""

from typing import Any

import pytest

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from localcluster.rest import Answer
from support.apiserver import AskingServer, passed
from support.installation import accepted
from support.namespaces import Namespaces, Roles
from support.objects import Object, adding_review, review
from support.waits import until

pytestmark = pytest.mark.long

ASKED = "apiserver_authorization_webhook_evaluations_total"


def reading(policy: Object) -> None:
    """Let people read one Secret, and mallory too, whom RBAC lets do nothing."""
    spec: dict[str, Any] = policy["spec"]
    spec["subjects"][0]["entity"]["ids"].append("mallory")
    spec["rules"].append(
        {
            "name": "list",
            "effect": "Allow",
            "subjects": ["people"],
            "actions": ["list", "watch"],
            "resources": [{"type": "secrets", "ids": ["*"]}],
            "conditions": [{"name": "but-one", "expression": "resource.id != 'shut'"}],
        }
    )
    spec["rules"].append(
        {
            "name": "read",
            "effect": "Allow",
            "subjects": ["people"],
            "actions": ["get"],
            "resources": [{"type": "secrets", "ids": ["open"]}],
        }
    )


def read(server: AskingServer, namespace: str, name: str, by: str) -> Answer:
    """Read a Secret that is not there: 404 says that everybody let it through."""
    return server.callers(by).get(f"/api/v1/namespaces/{namespace}/secrets/{name}")


def reason(answer: Answer) -> str | None:
    """Return our reason code; None where it was let through, and "RBAC" where that alone refuses."""
    if answer.status == 404:
        return None
    assert answer.status == 403, answer
    _, ours, said = answer.message.partition("Bailiwick: ")
    return said.split(":")[0] if ours else "RBAC"


@pytest.fixture(scope="module")
def namespace(server: AskingServer) -> str:
    """A namespace that is asked about at admission, and before RBAC."""
    namespace = server.tenant("authorized", reading)
    server.register(namespace)
    # Nobody is asked so far.
    assert read(server, namespace, "shut", "dave").status == 404
    server.authorize(lambda: read(server, namespace, "shut", "dave").status == 403)
    return namespace


def grants(server: AskingServer, namespace: str) -> list[Object]:
    """Return all grants."""
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/{APPROVAL_GRANTS}"
    found: list[Object] = accepted(server.callers.admin.get(path))["items"]
    return found


def phase(server: AskingServer, grant: Object) -> str:
    """Return the phase of a grant; empty before the operator has seen it."""
    return str(accepted(server.callers.admin.get(grant)).get("status", {}).get("phase", ""))


def uses(server: AskingServer, grant: Object) -> int:
    """Return how often a grant was used."""
    found: int = accepted(server.callers.admin.get(grant)).get("status", {}).get("uses", 0)
    return found


def test_a_denial_wins_over_rbac_and_no_opinion_leaves_it_alone(server: AskingServer, namespace: str) -> None:
    found = {
        (name, by): reason(read(server, namespace, name, by))
        for name in ("open", "shut")
        for by in ("dave", "eve", "mallory", "admin")
    }
    assert found == {
        ("open", "dave"): None,
        ("open", "eve"): "no_rule",
        ("open", "mallory"): "RBAC",
        ("open", "admin"): None,
        ("shut", "dave"): "no_rule",
        ("shut", "eve"): "no_rule",
        ("shut", "mallory"): "no_rule",
        # The API server asks nobody about system:masters.
        ("shut", "admin"): None,
    }
    forward = server.connect(namespace, by="dave", subresource="portforward")
    assert reason(forward) == "policy_denied"


def test_a_collection_is_not_read_by_a_rule_that_allows_by_a_condition_on_the_name(
    server: AskingServer, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    for more in ("", "watch=true&timeoutSeconds=1", "fieldSelector=metadata.name!=shut"):
        assert reason(server.callers("dave").get(f"{path}?{more}")) == "condition_error"
    assert reason(server.callers("dave").get(f"{path}?fieldSelector=metadata.name=shut")) == "condition_false"
    accepted(server.callers("dave").get(f"{path}?fieldSelector=metadata.name=open"))


def test_a_namespace_without_the_endpoint_is_left_to_rbac(server: AskingServer, namespace: str) -> None:
    bare = Namespaces(server.callers.admin).make("bare")
    Roles(server.callers.admin, bare).bind("admin", "eve")
    assert reason(read(server, bare, "any", "eve")) is None
    assert reason(read(server, bare, "any", "mallory")) == "RBAC"
    assert bare != namespace


def test_parts_of_the_cluster_that_no_policy_names_are_left_to_rbac(server: AskingServer, namespace: str) -> None:
    # In a namespace of the cluster, and in one of its own, where the policy does not name it.
    installation = server.bailiwick.installation
    role = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    own = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": "other"}}
    accepted(server.callers.admin.create(own))
    unnamed = f"system:serviceaccount:{namespace}:other"
    Roles(server.callers.admin, namespace).give(role, unnamed, installation.operator)
    for somebody in (unnamed, installation.operator):
        assert reason(read(server, namespace, "shut", somebody)) is None
    assert reason(read(server, namespace, "shut", f"system:serviceaccount:{namespace}:deployer")) == "no_rule"


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_an_approval_is_used_by_admission_and_never_by_a_question(
    server: AskingServer, namespace: str, verb: str
) -> None:
    pod = {"GET": "once", "POST": "asked"}[verb]

    def ask() -> Answer:
        return server.connect(namespace, by="dave", pod=pod, verb=verb)

    before = len(grants(server, namespace))
    assert all(server.can(namespace, by="dave", pod=pod, verb=each) for each in ("get", "create"))
    assert len(grants(server, namespace)) == before
    assert ask().status == 429
    (grant,) = [one for one in grants(server, namespace) if one["spec"]["request"]["resource"]["id"] == pod]
    entry = review(grant, "carol", step_name=grant["spec"]["request"]["steps"][0]["name"], group="crm-owners")
    accepted(server.callers("carol").patch(grant, adding_review(entry), "json"))
    until(lambda: phase(server, grant) == "Active", "it is active")
    assert all(server.can(namespace, by="dave", pod=pod) for _ in range(3))
    assert uses(server, grant) == 0
    until(lambda: passed(ask()), "the approval is known")
    assert uses(server, grant) == 1
    assert ask().status == 429


def test_can_i_says_what_would_be_refused(server: AskingServer, namespace: str) -> None:
    assert server.can(namespace, by="dave", resource="secrets", subresource="", name="open", verb="get")
    assert not server.can(namespace, by="dave", resource="secrets", subresource="", name="shut", verb="get")
    assert not server.can(namespace, by="dave", subresource="portforward", pod="web")


def test_every_call_is_asked_about_and_a_change_counts_at_once(server: AskingServer, namespace: str) -> None:
    def asked() -> float:
        return sum(float(line.rpartition(" ")[2]) for line in server.metric(ASKED).splitlines())

    before = asked()
    for _ in range(5):
        assert reason(read(server, namespace, "open", "dave")) is None
    assert asked() == before + 5
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/endpointpolicies/kubernetes"
    rules = accepted(server.callers.admin.get(path))["spec"]["rules"]
    for effect, denied in (("Deny", "policy_denied"), ("Allow", None)):
        changed = [*rules[:-1], {**rules[-1], "effect": effect}]
        accepted(server.callers.admin.patch(path, {"spec": {"rules": changed}}))
        # As long as the decision point needs to hear of it; either cache would keep the old answer for 30 s or more.
        until(lambda: reason(read(server, namespace, "open", "dave")) == denied, "it is heard", 10.0)  # noqa: B023 - asked at once


SAID = '{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","status":{"allowed":false}}'
NO_OPINION = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    f"Content-Length: {len(SAID)}\r\n\r\n{SAID}"
)


def test_what_is_asked_about_is_closed_while_nobody_answers(server: AskingServer, namespace: str) -> None:
    installation = server.bailiwick.installation
    controller = "system:serviceaccount:kube-system:namespace-controller"

    def closed() -> None:
        assert read(server, namespace, "open", "dave").status in {403, 500}
        assert server.connect(namespace, by="dave").status in {403, 500}
        # All else goes on: what is not asked about, whoever is in system:masters, and those who keep us running.
        accepted(server.callers("dave").get(f"/api/v1/namespaces/{namespace}/pods"))
        assert read(server, namespace, "open", "admin").status == 404
        path = f"/api/v1/namespaces/{installation.namespace}/secrets/bailiwick-keys"
        accepted(server.callers(installation.operator).get(path))
        accepted(server.callers(controller).get("/api/v1/namespaces/default"))

    server.stop_point()
    try:
        closed()
        with server.misbehaving(server.port) as point:
            # The API server asks five times where it has no answer.
            for fault in ("garbage", "half a response", "500"):
                point.fault = fault
                assert read(server, namespace, "open", "dave").status in {403, 500}, fault
            point.fault, point.delay = NO_OPINION, 4.0
            assert read(server, namespace, "open", "dave").status in {403, 500}
            assert not any(asked.all("authorization") for asked in point.asked)
            point.fault, point.delay = "garbage", 0.0
            closed()
    finally:
        server.start_point()
    until(lambda: reason(read(server, namespace, "open", "dave")) is None, "it answers again")
