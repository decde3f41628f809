"""The API server asks at admission, by the shipped registration, on the real thing."""

import json
from typing import Any, Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from localcluster.rest import Answer
from support.apiserver import REGISTRATION, AskingServer, deployment, passed, shipped
from support.installation import accepted
from support.namespaces import Namespaces, Roles
from support.objects import Object, adding_review, review
from support.proxies.servers import FaultyPoint
from support.waits import until, until_ok

pytestmark = pytest.mark.long

FOREIGN = "docker.example.net/shop:1"


@pytest.fixture(scope="module")
def namespace(server: AskingServer) -> str:
    """A namespace with the shipped policy, which the shipped registration names."""
    namespace = server.tenant("enforced")
    server.register(namespace)
    return namespace


def grants(server: AskingServer, namespace: str, resource: str) -> list[Object]:
    """Return the grants about one resource."""
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/{APPROVAL_GRANTS}"
    found: list[Object] = accepted(server.callers.admin.get(path))["items"]
    return [one for one in found if one["spec"]["request"]["resource"]["id"] == resource]


def approve(server: AskingServer, grant: Object, by: str = "carol") -> Answer:
    """Review a grant."""
    entry = review(grant, by, step_name=grant["spec"]["request"]["steps"][0]["name"], group="crm-owners")
    return server.callers(by).patch(grant, adding_review(entry), "json")


def uses(server: AskingServer, grant: Object) -> int:
    """Return how often a grant was used."""
    found: int = accepted(server.callers.admin.get(grant)).get("status", {}).get("uses", 0)
    return found


def causes(answer: Answer) -> list[str]:
    """Return the reason codes of a refusal."""
    return [cause["reason"] for cause in answer.body["details"]["causes"]]


def test_what_a_rule_allows_is_created(server: AskingServer, namespace: str) -> None:
    accepted(server.create(namespace, "allowed", by="dave"))
    accepted(server.create(namespace, "deployed", by=f"system:serviceaccount:{namespace}:deployer"))


@pytest.mark.parametrize(
    ("by", "image", "reason", "words"),
    [
        ("dave", FOREIGN, "condition_false", "Use an image of registry.example.com."),
        ("eve", "registry.example.com/shop:1", "no_rule", "No rule allows"),
        ("admin", "registry.example.com/shop:1", "no_rule", "No rule allows"),
    ],
)
def test_what_no_rule_allows_is_refused_though_rbac_allows_it(
    server: AskingServer, namespace: str, by: str, image: str, reason: str, words: str
) -> None:
    answer = server.create(namespace, "refused", by=by, image=image)
    assert (answer.status, causes(answer)) == (403, [reason])
    assert answer.message.startswith('admission webhook "enforcement.bailiwick.dev" denied the request: ')
    assert words in answer.message


def test_an_update_that_no_rule_allows_is_refused(server: AskingServer, namespace: str) -> None:
    accepted(server.create(namespace, "changed", by="dave"))
    assert causes(server.callers("dave").replace(deployment(namespace, "changed", FOREIGN))) == ["condition_false"]


def test_a_deny_rule_closes_a_way_into_pods(server: AskingServer, namespace: str) -> None:
    answer = server.connect(namespace, by="dave", subresource="portforward")
    assert (answer.status, causes(answer)) == (403, ["policy_denied"])


def test_an_approval_of_exec_is_used_once(server: AskingServer, namespace: str) -> None:
    def ask(command: str = "ls") -> Answer:
        return server.connect(namespace, command, by="dave", pod="once")

    refused = ask()
    assert (refused.status, causes(refused)) == (429, ["approval_pending"])
    assert refused.body["details"]["retryAfterSeconds"] == 5
    (grant,) = grants(server, namespace, "once")
    assert f"Approval: {namespace}/{grant['metadata']['name']}." in refused.message
    # Nobody approves for themselves, though the API server alone says who asks.
    assert not approve(server, grant, by="dave").ok
    accepted(approve(server, grant))
    # Another command is another call.
    assert causes(ask("id")) == ["approval_pending"]
    until(lambda: passed(ask()), "the approval is known")
    assert uses(server, grant) == 1
    assert causes(ask()) == ["approval_pending"]
    assert uses(server, grant) == 1


def test_can_i_opens_and_uses_nothing(server: AskingServer, namespace: str) -> None:
    assert server.can(namespace, by="dave", pod="asked")
    assert grants(server, namespace, "asked") == []


def gated(policy: Object) -> None:
    """Have deployments approved, too."""
    rule: dict[str, Any] = policy["spec"]["rules"][0]
    rule |= {"effect": "RequireApproval", "approval": policy["spec"]["rules"][1]["approval"]}


def test_an_approval_binds_what_somebody_wrote_and_nothing_that_the_api_server_adds(
    server: AskingServer, namespace: str
) -> None:
    def wide(policy: Object) -> None:
        gated(policy)
        # All of a workload does not fit what people are shown, so that the policy says what they see.
        approval = {**policy["spec"]["rules"][0]["approval"]}
        approval["show"] = ["/context/args/spec/template/spec/containers"]
        policy["spec"]["rules"][0]["approval"] = approval

    own = server.tenant("gated", wide)
    server.widen(own)
    until(lambda: not server.create(own, "probe", by="eve", dry_run=True).ok, "the registration is felt")
    # A dry run neither opens nor uses anything.
    assert causes(server.create(own, "once", by="dave", dry_run=True)) == ["approval_required"]
    assert grants(server, own, "once") == []
    assert causes(server.create(own, "once", by="dave")) == ["approval_pending"]
    # Again: its uid, its time and its managed fields are new ones.
    assert causes(server.create(own, "once", by="dave")) == ["approval_pending"]
    (grant,) = grants(server, own, "once")
    accepted(approve(server, grant))
    until_ok(lambda: server.create(own, "once", by="dave", dry_run=True), "the approval is known")
    assert uses(server, grant) == 0
    assert causes(server.create(own, "once", by="dave", image="registry.example.com/other:1")) == ["approval_pending"]
    explicit = deployment(own, "once")
    explicit["spec"] |= {"replicas": 1, "revisionHistoryLimit": 10}
    accepted(server.callers("dave").create(explicit))
    assert uses(server, grant) == 1


def test_a_namespace_without_the_endpoint_is_not_protected(server: AskingServer, namespace: str) -> None:
    bare = Namespaces(server.callers.admin).make("bare")
    Roles(server.callers.admin, bare).bind("admin", "eve")
    server.widen(bare)
    until_ok(lambda: server.create(bare, "free", by="eve", dry_run=True), "it is let through")
    accepted(server.create(bare, "free", by="eve", image=FOREIGN))
    assert namespace != bare


def test_an_endpoint_that_is_there_and_says_nothing_denies(server: AskingServer, namespace: str) -> None:
    def unsettled(policy: Object) -> None:
        del policy["spec"]["endpointSettings"]

    def token(policy: Object) -> None:
        policy["spec"]["endpointSettings"]["identity"] = {"verification": "Token"}
        policy["spec"]["subjects"][0] = {"name": "people", "user": {"issuer": "cluster", "name": "dave"}}

    def elsewhere(policy: Object) -> None:
        policy["spec"]["endpointSettings"]["enforcers"] = [{"namespace": "shop", "name": "other"}]

    for name, change, reason in (
        ("unsettled", unsettled, "forbidden"),
        ("token", token, "identity_invalid"),
        ("elsewhere", elsewhere, "forbidden"),
    ):
        own = server.tenant(name, change)
        server.widen(own)
        until(
            lambda: server.create(own, "any", by="dave", dry_run=True).body.get("details", {}).get("causes"),  # noqa: B023 - asked at once
            "the registration is felt",
        )
        assert causes(server.create(own, "any", by="dave")) == [reason], (name, namespace)


def test_our_own_namespace_objects_and_accounts_cannot_be_locked_out(server: AskingServer, namespace: str) -> None:
    installation = server.bailiwick.installation
    ours = installation.namespace
    accepted(server.callers.admin.create(shipped(ours)))
    Roles(server.callers.admin, namespace).bind("admin", installation.operator)
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "note"}}
    # Of everything, by everybody, which is more than what is shipped.
    with server.asking_everything(ours):
        until(lambda: not server.callers.admin.create(note, dry_run=True).ok, "it is felt")
        accepted(server.create(ours, "ours", by="admin", image=FOREIGN))
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/endpointpolicies/kubernetes"
        accepted(server.callers.admin.patch(path, {"metadata": {"labels": {"touched": "yes"}}}))
        assert causes(server.callers.admin.create(note)) == ["no_rule"]
        accepted(server.callers(installation.operator).create(note))


def test_no_label_takes_a_namespace_or_an_object_out(server: AskingServer, namespace: str) -> None:
    # AB-31: whoever may write labels would be whoever may do anything.
    labels = {"kubernetes.io/metadata.name": "kube-system", "bailiwick.dev/exempt": "true", "control-plane": "true"}
    server.callers.admin.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    written = accepted(server.callers.admin.get(f"/api/v1/namespaces/{namespace}"))["metadata"]["labels"]
    assert written["kubernetes.io/metadata.name"] == namespace
    labelled = deployment(namespace, "labelled", FOREIGN)
    labelled["metadata"]["labels"] = labels
    assert causes(server.callers("dave").create(labelled)) == ["condition_false"]


def test_what_the_registration_cannot_tell_is_refused(server: AskingServer, namespace: str) -> None:
    # AB-32, of the two selectors that are not ours: a mistake in them must not leave calls out.
    def failing(webhook: Object) -> None:
        webhook["matchConditions"] = [{"name": "wrong", "expression": "object.spec.nothing.at.all == 'x'"}]

    with server.registered_otherwise(failing):
        until(lambda: not server.create(namespace, "untold", by="dave", dry_run=True).ok, "it is felt")
        answer = server.create(namespace, "untold", by="dave")
        assert (answer.status, "no such key" in answer.message) == (403, True), answer
    until_ok(lambda: server.create(namespace, "untold", by="dave", dry_run=True), "the registration is as before")
    raw = accepted(server.callers.admin.get(REGISTRATION))
    for wrong in ({"operator": "Unheard", "values": ["x"]}, {"operator": "In", "values": []}, {"operator": "In"}):
        expression = {"key": "kubernetes.io/metadata.name", **wrong}
        raw["webhooks"][0]["namespaceSelector"]["matchExpressions"][0] = expression
        assert server.callers.admin.replace(raw).status == 422


ALLOW: Final = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "response": {"uid": "of-another-call", "allowed": True},
}


def answering(body: object, *, short: int = 0) -> str:
    """Return an answer by 200. `short`: so many bytes of it do not come."""
    text = json.dumps(body)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    )
    return head + text[: len(text) - short]


def test_whatever_is_no_answer_lets_nothing_through(server: AskingServer, namespace: str) -> None:
    faults = {
        **{name: name for name in FaultyPoint.FAULTS},
        "of another call": answering(ALLOW),
        "half an allow": answering(ALLOW, short=3),
        "no review": answering({}),
        "no response": answering({**ALLOW, "response": None}),
        "of another version": answering({**ALLOW, "apiVersion": "admission.k8s.io/v1beta1"}),
    }

    def hasty(webhook: Object) -> None:
        webhook["timeoutSeconds"] = 1

    server.stop_point()
    try:
        with server.misbehaving(server.admission_port) as point:
            for name, fault in faults.items():
                point.fault = fault
                answer = server.create(namespace, "unheard", by="dave")
                assert (answer.status, "failed calling webhook" in answer.message) == (500, True), name
            with server.registered_otherwise(hasty):
                point.delay = 3.0
                answer = server.create(namespace, "unheard", by="dave")
                assert (answer.status, "failed calling webhook" in answer.message) == (500, True)
            assert len(point.asked) > len(faults)
            # By which certificate it asks is all that the API server says of itself.
            assert not any(asked.all("authorization") for asked in point.asked)
    finally:
        server.start_point()
    until_ok(lambda: server.create(namespace, "heard-again", by="dave"), "it answers again")


def test_nothing_is_let_through_while_nobody_answers(server: AskingServer, namespace: str) -> None:
    server.stop_point()
    try:
        answer = server.create(namespace, "unheard", by="dave")
        assert (answer.status, "failed calling webhook" in answer.message) == (500, True)
        assert server.connect(namespace, by="dave").status == 500
        # What the registration does not name goes on.
        accepted(server.callers("dave").get(f"/api/v1/namespaces/{namespace}/pods"))
    finally:
        server.start_point()
    until_ok(lambda: server.create(namespace, "heard", by="dave"), "it answers again")
