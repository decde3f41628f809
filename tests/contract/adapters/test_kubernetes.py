"""The two reviews of the API server, each by its own contract: what is asked, and what each outcome is answered by."""

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import ClientSession

from bailiwick_webhook.http import app
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.metrics.table import ConnectionLimit, Port
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone, KeptRecords, NamedTokens
from support.revocations import in_force, revocation

SERVER: Final = "system:serviceaccount:kube-system:apiserver"
STRANGER: Final = "system:serviceaccount:shop:stranger"
OPERATOR: Final = "system:serviceaccount:bailiwick-system:bailiwick-operator"
WEBHOOK: Final = "system:serviceaccount:bailiwick-system:bailiwick-webhook"
NAMED: Final = "system:serviceaccount:shop:deployer"
EXEC: Final = [{"type": "pods/exec", "ids": ["*"]}]
DEPLOYMENTS: Final = [{"type": "apps/deployments", "ids": ["*"]}]
SECRETS: Final = [{"type": "secrets", "ids": ["*"]}]
CALM: Final = [{"name": "few", "expression": "context.args.spec.replicas < 3"}]
RULES: Final = (
    rule("deploy", subjects=["dave", "deployer"], actions=["create"], resources=DEPLOYMENTS, conditions=CALM),
    rule("read", subjects=["dave"], actions=["get"], resources=[{"type": "secrets", "ids": ["open"]}]),
    gated_rule("list", subjects=["dave"], actions=["list"], resources=SECRETS),
    gated_rule("exec", subjects=["dave", "deployer"], actions=["connect"], resources=EXEC),
    rule(
        "shut",
        effect="Deny",
        subjects=["dave", "deployer"],
        actions=["connect"],
        resources=[{"type": "pods/attach", "ids": ["*"]}],
    ),
)
# What tells one reading of a review from another.
FINE: Final = (
    rule(
        "digest",
        subjects=["dave"],
        actions=["create"],
        resources=SECRETS,
        conditions=[
            {"name": "unseen", "expression": "!has(context.args) && context.args_digest.startsWith('sha256:')"}
        ],
    ),
    rule(
        "options",
        subjects=["dave"],
        actions=["connect"],
        resources=[{"type": "pods/portforward", "ids": ["*"]}],
        conditions=[{"name": "bare", "expression": "context.args == {}"}],
    ),
    rule(
        "whole",
        subjects=["dave"],
        actions=["update"],
        resources=[{"type": "apps/statefulsets", "ids": ["web"]}],
        conditions=[{"name": "version", "expression": "context.args.apiVersion == 'apps/v1'"}],
    ),
    rule(
        "group",
        subjects=["dave"],
        actions=["update"],
        resources=[{"type": "configmaps", "ids": ["*"]}],
        conditions=[{"name": "ops", "expression": "'ops' in subject.properties.groups"}],
    ),
    rule("named", subjects=["dave"], actions=["delete"], resources=[{"type": "configmaps", "ids": ["named"]}]),
    rule("emptied", subjects=["dave"], actions=["delete"], resources=[{"type": "batch/jobs", "ids": ["*"]}]),
    rule(
        "reached",
        subjects=["dave"],
        actions=["connect"],
        resources=[
            {"type": "pods/proxy", "ids": ["web"], "properties": {"scheme": ["http"], "port": ["80"]}},
            {"type": "services/proxy", "ids": ["web"], "properties": {"portName": ["http"]}},
        ],
    ),
    rule(
        "shut-port",
        effect="Deny",
        subjects=["dave"],
        actions=["connect"],
        resources=[{"type": "services/proxy", "ids": ["web"], "properties": {"port": ["443"]}}],
    ),
    rule("gone", subjects=["dave"], actions=["delete"], resources=[{"type": "pods", "ids": ["named"]}]),
    rule("bound", subjects=["dave"], actions=["create"], resources=[{"type": "pods/binding", "ids": ["named"]}]),
    rule("noted", subjects=["dave"], actions=["delete"], resources=[{"type": "events", "ids": ["named"]}]),
    rule("all", subjects=["dave"], actions=["list", "watch", "delete"], resources=[{"type": "leases", "ids": ["*"]}]),
    rule(
        "but-one",
        effect="Deny",
        subjects=["dave"],
        actions=["list", "watch", "delete"],
        resources=[{"type": "leases", "ids": ["one"]}, {"type": "leases", "ids": ["many.*"]}],
    ),
    rule("lots", subjects=["dave"], actions=["list"], resources=[{"type": "quotas", "ids": ["*"]}]),
    rule(
        "by-condition",
        effect="Deny",
        subjects=["dave"],
        actions=["list"],
        resources=[{"type": "quotas", "ids": ["*"]}],
        conditions=[{"name": "one", "expression": "resource.id == 'one'"}],
    ),
    rule(
        "all-but-one",
        subjects=["dave"],
        actions=["list", "watch", "delete"],
        resources=[{"type": "limits", "ids": ["*"]}],
        conditions=[{"name": "other", "expression": "resource.id != 'one'"}],
    ),
    rule("tokens", subjects=["dave"], actions=["create"], resources=[{"type": "serviceaccounts/token", "ids": ["*"]}]),
    rule("made", subjects=["dave"], actions=["create"], resources=[{"type": "batch/jobs", "ids": ["gen.*"]}]),
    rule(
        "never",
        effect="Deny",
        subjects=["dave"],
        actions=["create"],
        resources=[{"type": "configmaps", "ids": ["*"]}],
    ),
    rule(
        "elsewhere",
        effect="Deny",
        subjects=["dave"],
        actions=["connect"],
        resources=[{"type": kind, "ids": ["*"]} for kind in ("example.com/pods/exec", "jobs/exec", "pods/log")],
    ),
)
GROUPS: Final = {
    "deployments": "apps",
    "statefulsets": "apps",
    "jobs": "batch",
    "approvalgrants": "bailiwick.dev",
}
SUBJECTS: Final = [
    {"name": "dave", "entity": {"type": "user", "ids": ["dave"]}},
    {"name": "deployer", "serviceAccount": {"namespace": "shop", "name": "deployer"}},
]


def protecting(namespace: str = "shop", **settings: object) -> Object:
    """Return the policy of a namespace, as the API server keeps it."""
    own = {
        "enforcers": [{"namespace": "kube-system", "name": "apiserver"}],
        "identity": {"verification": "Asserted"},
        **settings,
    }
    spec = {"endpoint": "kubernetes", "endpointSettings": own, "subjects": SUBJECTS, "rules": [*RULES, *FINE]}
    metadata = {"namespace": namespace, "name": "kubernetes", "uid": "kubernetes-uid", "generation": 1}
    return {"apiVersion": "bailiwick.dev/v1alpha1", "kind": "EndpointPolicy", "metadata": metadata, "spec": spec}


def access(verb: str = "create", resource: str = "pods", subresource: str = "", **more: Any) -> Object:  # noqa: ANN401 - as JSON
    """Return a SubjectAccessReview."""
    user = more.pop("user", "dave")
    asked = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": "shop", **more}
    spec = {"user": user, "groups": ["system:authenticated"], "resourceAttributes": asked}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def admitting(operation: str = "CREATE", resource: str = "deployments", **more: Any) -> Object:  # noqa: ANN401 - as JSON
    """Return an AdmissionReview."""
    written = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}}
    request = {
        "uid": "review-uid",
        "operation": operation,
        "resource": {"group": GROUPS.get(resource, ""), "version": "v1", "resource": resource},
        "name": "web",
        "namespace": "shop",
        "userInfo": {"username": "dave", "groups": ["system:authenticated"]},
        "object": written,
        **more,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


Post = Callable[..., Any]


@asynccontextmanager
async def asked(alone: Alone, path: str, bounds: Bounds | None = None) -> AsyncIterator[Post]:
    """Serve, and return what posts to a path; the caller's token is its name."""
    handler: Any = alone.enforce.__call__
    admission = app.build_admission(handler, lambda: False, alone.pdp.counts, bounds, enforce=handler)
    server = await serve(alone.application if path == "/authorize" else admission, "127.0.0.1", 0)
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as client:

            async def post(body: object, by: str | None = SERVER, **headers: str) -> tuple[int, Any]:
                said = {"Content-Type": "application/json", **headers}
                if by is not None:
                    said["Authorization"] = f"Bearer {by}"
                raw = body if isinstance(body, bytes) else json.dumps(body)
                answer = await client.post(path, data=raw, headers=said)
                return answer.status, json.loads(await answer.read())

            yield post
    finally:
        await server.stop()


async def test_a_connection_on_which_reviews_come_is_not_ended_as_one_on_which_nothing_came() -> None:
    alone = Alone([protecting()])
    async with asked(alone, "/admission/enforce", Bounds(first=0.3)) as post:
        began = time.monotonic()
        while time.monotonic() - began < 1:
            status, _ = await post(admitting())
            assert status == 200
    assert alone.pdp.counts.connections_limited[Port.ADMISSION, ConnectionLimit.SILENT] == 0


def reason(status: Mapping[str, Any]) -> str | None:
    """Return the reason code of a denial by /authorize; None where there is no opinion."""
    assert status["allowed"] is False
    if "denied" not in status:
        return None
    assert status["denied"] is True
    return str(status["reason"].split(": ")[1])


@pytest.mark.parametrize(
    ("review", "denied"),
    [
        (access("get", "secrets", name="open"), None),
        (access("get", "secrets", name="shut"), "no_rule"),
        (access("get", "secrets"), "no_rule"),
        # An approval cannot be used for what admission does not see.
        (access("list", "secrets"), "approval_required"),
        # Admission asks for the approval, by whichever verb kubectl comes.
        (access("create", "pods", "exec", name="web"), None),
        (access("get", "pods", "exec", name="web"), None),
        (access("get", "pods", "attach", name="web"), "policy_denied"),
        (access("get", "pods", "attach", name="web", user=NAMED), "policy_denied"),
        (access("get", "pods", "log", name="web"), "no_rule"),
        (access("create", "pods", "exec", name="web", user="eve"), "no_rule"),
        # The arguments, and a new object's name, are told to admission only.
        (access("create", "deployments", group="apps"), None),
        (access("create", "deployments"), None),
        (access("delete", "deployments", group="apps", name="web"), "no_rule"),
        (access("patch", "deployments", group="apps", name="web"), "no_rule"),
        # A collection has no name that a body could tell.
        (access("deletecollection", "deployments", group="apps"), "no_rule"),
        (access("deletecollection", "configmaps"), "no_rule"),
        (access("deletecollection", "jobs", group="batch"), None),
        (access("update", "deployments", group="apps"), "no_rule"),
        (access("*", "*"), "no_rule"),
        # A Deny that needs no name to be one.
        (access("create", "configmaps"), "policy_denied"),
        # Only what leads into pods, services and nodes of the cluster itself is one thing whatever the verb.
        (access("get", "pods", "exec", group="example.com", name="web"), "no_rule"),
        (access("get", "jobs", "exec", name="web"), "no_rule"),
        (access("get", "services", "proxy", name="web"), "policy_denied"),
        (access("create", "pods", "proxy", name="web"), "no_rule"),
        # A name that is proxied carries scheme and port.
        (access("get", "pods", "proxy", name="web:80"), None),
        (access("get", "pods", "proxy", name="http:web:80"), None),
        (access("get", "pods", "proxy", name="https:web:80"), "no_rule"),
        (access("get", "pods", "proxy", name="web:80:x:y"), "ambiguous_request"),
        (access("get", "pods", "proxy", name="web:080"), "ambiguous_request"),
        (access("get", "services", "proxy", name="web:http"), "policy_denied"),
        # What has two names is one thing.
        (access("create", "pods", "eviction", name="named"), None),
        (access("create", "pods", "eviction", name="other"), "no_rule"),
        (access("create", "bindings", name="named"), None),
        (access("delete", "events", name="named", group="events.k8s.io"), None),
        (access("delete", "events", name="other", group="events.k8s.io"), "no_rule"),
        # A collection is every object in it.
        (access("list", "leases", name="two"), None),
        (access("list", "leases", name="one"), "policy_denied"),
        (access("list", "leases"), "policy_denied"),
        (access("watch", "leases"), "policy_denied"),
        (access("deletecollection", "leases"), "policy_denied"),
        (access("list", "quotas", name="two"), None),
        (access("list", "quotas"), "condition_error"),
        # A rule that allows by name does not allow what has no name.
        (access("list", "limits", name="two"), None),
        (access("list", "limits", name="one"), "condition_false"),
        (access("list", "limits"), "condition_error"),
        (access("watch", "limits"), "condition_error"),
        # Admission is asked about each object.
        (access("deletecollection", "limits"), None),
        # Nobody's endpoint.
        (access("get", "secrets", namespace="other"), None),
        (access("get", "secrets", namespace=""), None),
        (access("get", "approvalgrants", group="bailiwick.dev"), None),
        (access("get", "secrets", namespace="bailiwick-system"), None),
        (access("get", "secrets", user=OPERATOR), None),
        (access("get", "secrets", user=WEBHOOK), None),
        (access("get", "secrets", user="system:kube-scheduler"), None),
        (access("get", "secrets", user="system:anonymous"), "no_rule"),
        (access("get", "secrets", user="system:serviceaccount:kube-system:job-controller"), None),
        ({**access(), "spec": {"user": "dave", "nonResourceAttributes": {"path": "/healthz", "verb": "get"}}}, None),
    ],
    ids=str,
)
async def test_an_access_review_is_denied_or_finds_no_opinion(review: Object, denied: str | None) -> None:
    records = KeptRecords()
    async with asked(Alone([protecting(), protecting("bailiwick-system")], records=records), "/authorize") as post:
        code, body = await post(review)
    assert (code, reason(body["status"])) == (200, denied)
    assert (body["apiVersion"], body["kind"]) == ("authorization.k8s.io/v1", "SubjectAccessReview")
    assert records.lines == []


@pytest.mark.parametrize(("many", "denied"), [(256, "policy_denied"), (257, "condition_error")])
async def test_of_a_collection_some_hundred_names_are_judged_and_more_are_denied(many: int, denied: str) -> None:
    policy = protecting()
    every = [{"type": "secrets", "ids": ["*"]}]
    rules = [rule("every", subjects=["dave"], actions=["watch"], resources=every)]
    for first in range(0, many, 64):
        named = [{"type": "secrets", "ids": [f"n-{number}" for number in range(first, min(first + 64, many))]}]
        rules.append(rule(f"from-{first}", effect="Deny", subjects=["dave"], actions=["watch"], resources=named))
    policy["spec"]["rules"] = rules
    async with asked(Alone([policy]), "/authorize") as post:
        _, body = await post(access("watch", "secrets"))
    assert reason(body["status"]) == denied


@pytest.mark.parametrize(
    ("sent", "by", "headers", "denied"),
    [
        (access("get", "pods", "log"), None, {}, "unauthenticated"),
        (access("get", "pods", "log"), "nobody", {}, "unauthenticated"),
        (access("get", "pods", "log"), STRANGER, {}, "forbidden"),
        (b"{", SERVER, {}, "bad_request"),
        (b'{"kind": 1, "kind": 2}', SERVER, {}, "bad_request"),
        (b" " * 300_000, SERVER, {}, "bad_request"),
        ({}, SERVER, {}, "bad_request"),
        (admitting(), SERVER, {}, "bad_request"),
        ({**access(), "kind": "SelfSubjectAccessReview"}, SERVER, {}, "bad_request"),
        ({**access(), "apiVersion": "authorization.k8s.io/v1beta1"}, SERVER, {}, "bad_request"),
        (access("get", ""), SERVER, {}, "bad_request"),
        ({**access(), "spec": None}, SERVER, {}, "bad_request"),
        ({**access(), "spec": {"user": "dave", "resourceAttributes": []}}, SERVER, {}, "bad_request"),
        (access(""), SERVER, {}, "bad_request"),
        (access("get", "x" * 254), SERVER, {}, "bad_request"),
        (access("get", "x" * 253), SERVER, {}, "no_rule"),
        (access("get", "secrets", name=7), SERVER, {}, "bad_request"),
        ({**access(), "spec": {**access()["spec"], "groups": "ops"}}, SERVER, {}, "bad_request"),
        ({**access(), "spec": {**access()["spec"], "groups": False}}, SERVER, {}, "bad_request"),
        ({**access(), "spec": {**access()["spec"], "groups": ["ops", 1]}}, SERVER, {}, "bad_request"),
        ({**access(), "spec": {**access()["spec"], "groups": {"ops": 1}}}, SERVER, {}, "bad_request"),
        (access(user=""), SERVER, {}, "bad_request"),
        (access(), SERVER, {"Content-Type": "text/plain"}, "bad_request"),
        (access(), SERVER, {"Content-Encoding": "gzip"}, "bad_request"),
    ],
)
async def test_whatever_goes_wrong_with_an_access_review_is_a_denial_by_200(
    sent: object, by: str | None, headers: dict[str, str], denied: str
) -> None:
    async with asked(Alone([protecting()]), "/authorize") as post:
        code, body = await post(sent, by, **headers)
    assert (code, reason(body["status"])) == (200, denied)


@pytest.mark.parametrize(
    "name", ["X-Remote-User", "X-Forwarded-User", "Impersonate-User", "X-Bailiwick-Enforcer", "X-Forwarded-Client-Cert"]
)
async def test_no_header_but_one_proves_the_api_server(name: str) -> None:
    said = {name: f"Bearer {SERVER}" if name == "X-Bailiwick-Enforcer" else SERVER}
    async with asked(Alone([protecting()]), "/authorize") as post:
        _, body = await post(access("get", "pods", "log"), None, **said)
    assert reason(body["status"]) == "unauthenticated"
    async with asked(Alone([protecting()]), "/admission/enforce") as post:
        _, body = await post(admitting(), None, **said)
    assert outcome(body) == "unauthenticated"


async def test_too_much_at_once_is_a_denial_by_200_too() -> None:
    async with asked(Alone([protecting()], bounds=Bounds(requests_at_once=1)), "/authorize") as post:
        answers = await asyncio.gather(*(post(access("get", "secrets", name="open")) for _ in range(12)))
    assert {code for code, _ in answers} == {200}
    assert {reason(body["status"]) for _, body in answers} <= {None, "overloaded"}


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", ["/authorize", "/admission/enforce"])
async def test_a_review_is_posted(path: str, method: str) -> None:
    alone = Alone([protecting()])
    handler: Any = alone.enforce.__call__
    admission = app.build_admission(handler, lambda: False, alone.pdp.counts, enforce=handler)
    server = await serve(alone.application if path == "/authorize" else admission, "127.0.0.1", 0)
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as client:
            assert (await client.request(method, path, json=access())).status == 405
    finally:
        await server.stop()


def broken() -> Object:
    """Return a policy beside `protecting` whose own subject is denied, since it does not compile."""
    made = protecting()
    made["metadata"] |= {"name": "broken", "uid": "broken-uid"}
    del made["spec"]["endpointSettings"]
    made["spec"]["subjects"] = [{"name": "other", "serviceAccount": {"namespace": "shop", "name": "other"}}]
    made["spec"]["rules"] = [
        rule(
            "x", subjects=["other"], actions=["get"], resources=SECRETS, conditions=[{"name": "x", "expression": "(("}]
        )
    ]
    return made


def by_entity(made: Object) -> Object:
    """Return a policy with the same subjects, each service account of which is named as the enforcer calls it."""
    made = copy.deepcopy(made)
    for subject in made["spec"]["subjects"]:
        if (account := subject.pop("serviceAccount", None)) is not None:
            username = f"system:serviceaccount:{account['namespace']}:{account['name']}"
            subject["entity"] = {"type": "serviceAccount", "ids": [username]}
    return made


def unsettled() -> Object:
    """Return a policy whose endpoint denies everybody."""
    made = protecting()
    del made["spec"]["endpointSettings"]
    return made


def of_whom() -> Object:
    """Return a policy beside `protecting` of which nobody can tell whom it speaks of, so that all are denied."""
    made = broken()
    made["spec"]["subjects"] = "everybody"
    return made


def unreadable() -> Object:
    """Return a policy of which nobody can tell whose endpoint it is of."""
    made = protecting()
    made["spec"]["endpoint"] = ["kubernetes"]
    return made


@pytest.mark.parametrize(
    ("policies", "user", "denied"),
    [
        ([protecting(), broken()], "system:serviceaccount:shop:other", "policy_invalid"),
        ([protecting(), by_entity(broken())], "system:serviceaccount:shop:other", "policy_invalid"),
        ([by_entity(protecting())], NAMED, "no_rule"),
        ([protecting(), broken()], "system:serviceaccount:shop:third", None),
        ([protecting()], "system:serviceaccount:shop:other", None),
        ([unsettled()], "system:serviceaccount:shop:other", None),
        ([unsettled()], "dave", "forbidden"),
        ([protecting(), of_whom()], "system:serviceaccount:shop:other", "policy_invalid"),
        ([protecting(), of_whom()], "system:kube-scheduler", None),
        ([unreadable()], "system:serviceaccount:shop:other", "forbidden"),
        ([unreadable()], "dave", "forbidden"),
        ([unreadable()], "system:kube-scheduler", None),
    ],
)
async def test_a_part_of_the_cluster_is_left_to_rbac_unless_a_policy_could_speak_of_it(
    policies: list[Object], user: str, denied: str | None
) -> None:
    async with asked(Alone(policies), "/authorize") as post:
        _, body = await post(access("get", "secrets", name="shut", user=user))
    assert reason(body["status"]) == denied


@pytest.mark.parametrize(
    ("user", "denied"),
    [
        ("system:serviceaccount:shop:other", "identity_revoked"),
        ("system:serviceaccount:shop:third", None),
        ("system:kube-scheduler", None),
    ],
)
async def test_a_part_of_the_cluster_that_is_taken_back_is_denied(user: str, denied: str | None) -> None:
    alone = Alone([protecting()])
    alone.store.revocations = in_force(revocation(sub="system:serviceaccount:shop:other"))
    async with asked(alone, "/authorize") as post:
        _, body = await post(access("get", "secrets", name="shut", user=user))
    assert reason(body["status"]) == denied


class Broken(NamedTokens):
    """Has a defect."""

    def authenticate(self, token: str, audiences: frozenset[str]) -> Any:  # noqa: ANN401 - never returns
        message = "a secret of ours"
        raise RuntimeError(message)


async def test_a_defect_denies_and_tells_nothing() -> None:
    async with asked(Alone([protecting()], tokens=Broken()), "/authorize") as post:
        code, body = await post(access())
    assert (code, reason(body["status"]), "secret" in str(body)) == (200, "internal", False)
    async with asked(Alone([protecting()], tokens=Broken()), "/admission/enforce") as post:
        code, body = await post(admitting())
    assert (code, outcome(body), "secret" in str(body)) == (200, "internal", False)


def outcome(body: Object) -> str | None:
    """Return the reason code of a refusal by admission; None where it is let through."""
    response = body["response"]
    assert response["uid"] == "review-uid"
    if response["allowed"]:
        assert "status" not in response
        return None
    ((cause),) = response["status"]["details"]["causes"]
    assert response["status"]["message"] == f"{cause['reason']}: {cause['message']}"
    return str(cause["reason"])


THREE: Final = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {"replicas": 3}}
CLUTTER: Final = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{}]},
    "spec": {"replicas": 2**60},
}


@pytest.mark.parametrize(
    ("review", "denied"),
    [
        (admitting(), None),
        (admitting(object=THREE), "condition_false"),
        (admitting(object=None), "condition_error"),
        (admitting(object=CLUTTER), "uninspectable"),
        (admitting(object=CLUTTER, namespace="other"), None),
        (admitting("UPDATE"), "no_rule"),
        (admitting("DELETE", object=None), "no_rule"),
        (admitting("CONNECT", "pods", subResource="attach", object={}), "policy_denied"),
        (admitting("CONNECT", "pods", subResource="exec", object={}), "approval_required"),
        (admitting("CONNECT", "pods", subResource="exec", object={}, dryRun=True), "approval_required"),
        # The API server issues the token in a dry run, too.
        (admitting("CREATE", "serviceaccounts", subResource="token"), None),
        (admitting("CREATE", "serviceaccounts", subResource="token", dryRun=True), "ambiguous_request"),
        (admitting(userInfo={"username": "eve"}), "no_rule"),
        (admitting(userInfo={"username": OPERATOR}), None),
        (admitting(userInfo={"username": WEBHOOK}), None),
        (admitting("UPDATE", "configmaps", userInfo={"username": "dave", "groups": ["ops"]}), None),
        (admitting("UPDATE", "configmaps", userInfo={"username": "dave", "groups": ["other"]}), "condition_false"),
        (admitting(userInfo={"username": NAMED, "uid": "u"}), None),
        (admitting(userInfo={"username": "system:kube-scheduler"}), "no_rule"),
        (admitting(userInfo={"username": "da\nve"}), "identity_invalid"),
        (admitting(namespace="other"), None),
        (admitting(namespace=""), None),
        (admitting(namespace="bailiwick-system", userInfo={"username": "eve"}), None),
        (admitting("UPDATE", "approvalgrants"), None),
        (admitting("EXPLODE"), "bad_request"),
        (admitting("DELETE", "configmaps", name="named", object=None), None),
        (admitting("DELETE", "configmaps", name="other", object=None), "no_rule"),
        # Of a collection that is deleted, each object is named by itself alone.
        (admitting("DELETE", "configmaps", name="", object=None, oldObject={"metadata": {"name": "named"}}), None),
        (admitting("DELETE", "configmaps", name="", object=None, oldObject={"metadata": {"name": "x"}}), "no_rule"),
        (admitting("DELETE", "configmaps", name="", object=None, oldObject=None), "ambiguous_request"),
        (admitting("DELETE", "configmaps", name="", object=None, oldObject={"metadata": {}}), "ambiguous_request"),
        (
            admitting("DELETE", "configmaps", name="named", object=None, oldObject={"metadata": {"name": "x"}}),
            "ambiguous_request",
        ),
        (
            admitting("DELETE", "configmaps", name="", object=None, oldObject={"metadata": {"name": ["named"]}}),
            "ambiguous_request",
        ),
        (admitting("UPDATE", "statefulsets", name="other"), "ambiguous_request"),
        (admitting("UPDATE", "statefulsets", name="", object={"metadata": {}}), "ambiguous_request"),
        (admitting("UPDATE", "statefulsets", object={"metadata": {"namespace": "other"}}), "ambiguous_request"),
        (
            admitting("UPDATE", "configmaps", namespace="", object={"metadata": {"namespace": "shop"}}),
            "condition_error",
        ),
        (admitting("CREATE", "jobs", name="", object={"metadata": {"name": "gen.1", "generateName": "x-"}}), None),
        (admitting("CREATE", "jobs", name="gen.1", object={"metadata": {"name": "gen.2"}}), "ambiguous_request"),
        (admitting("CONNECT", "pods", subResource="exec", name="", object={}), "ambiguous_request"),
        # What has two names is one thing.
        (admitting("CREATE", "pods", subResource="eviction", name="named", object={}), None),
        (admitting("CREATE", "pods", subResource="eviction", name="other", object={}), "no_rule"),
        (admitting("CREATE", "bindings", name="named", object={}), None),
        # A name that is proxied carries scheme and port, and the API server cleans its path.
        (admitting("CONNECT", "pods", subResource="proxy", name="web:80", object={"path": "/a/b/"}), None),
        (admitting("CONNECT", "pods", subResource="proxy", name="web:80", object={}), None),
        (admitting("CONNECT", "pods", subResource="proxy", name="web", object={}), "no_rule"),
        (admitting("CONNECT", "pods", subResource="proxy", name="web:80", object={"path": "//"}), "ambiguous_request"),
        (admitting("CONNECT", "pods", subResource="proxy", name="web:80", object={"path": "/.."}), "ambiguous_request"),
        (
            admitting("CONNECT", "pods", subResource="proxy", name="web:80", object={"path": "/a\n"}),
            "ambiguous_request",
        ),
        (admitting("CONNECT", "pods", subResource="proxy", name="web:80", object={"path": 1}), "ambiguous_request"),
        (admitting("CONNECT", "services", subResource="proxy", name="web:http", object={}), "policy_denied"),
        (admitting("CONNECT", "services", subResource="proxy", name="web:80", object={}), "no_rule"),
        (admitting("CREATE", "jobs", name="", object={"metadata": {"generateName": "gen."}}), None),
        (admitting("CREATE", "jobs", name="gen.1", object={"metadata": {"generateName": "other-"}}), None),
        (admitting("CREATE", "jobs", name="", object={"metadata": {"generateName": "other-"}}), "no_rule"),
        (admitting("CREATE", "jobs", name="", object={"metadata": {"generateName": ""}}), "no_rule"),
        (admitting("CREATE", "jobs", name="", object={"metadata": {"generateName": 7}}), "no_rule"),
        (admitting("CREATE", "jobs", name="", object={"metadata": "gen."}), "no_rule"),
        (admitting("CREATE", "jobs", name="", object=["gen."]), "uninspectable"),
        # Nobody is shown a Secret.
        (admitting("CREATE", "secrets", object={"apiVersion": "v1", "data": {"a": "YQ=="}}), None),
        (admitting("CONNECT", "pods", subResource="portforward", object={"apiVersion": "v1", "ports": [80]}), None),
        (admitting("UPDATE", "statefulsets"), None),
        (admitting(userInfo=None), "bad_request"),
        (admitting(userInfo=None, namespace="other"), None),
        (admitting(resource=""), "bad_request"),
    ],
    ids=str,
)
async def test_an_admission_review_is_decided_as_an_action_on_a_resource(review: Object, denied: str | None) -> None:
    policies = [protecting(), protecting("bailiwick-system")]
    async with asked(Alone(policies), "/admission/enforce") as post:
        code, body = await post(review)
    assert (code, outcome(body)) == (200, denied)


@pytest.mark.parametrize(
    ("info", "denied"),
    [
        ({"username": "eve", "groups": ["g" * 60] * 2_400}, "bad_request"),
        ({"username": "eve", "groups": False}, "bad_request"),
        ({"username": "dave", "groups": None}, None),
        # As long as a name of the API server can be, and longer than any that a policy can name.
        ({"username": "x" * 512}, "identity_invalid"),
        ({"username": "x" * 513}, "bad_request"),
        ({"username": "x" * 5_000}, "bad_request"),
        ({"username": "dave", "uid": "u" * 512}, None),
        ({"username": "dave", "uid": "u" * 513}, "bad_request"),
    ],
    ids=range(8),
)
async def test_who_calls_is_looked_at_only_where_a_policy_speaks(info: Object, denied: str | None) -> None:
    async with asked(Alone([protecting()]), "/admission/enforce") as post:
        _, body = await post(admitting(userInfo=info))
        assert outcome(body) == denied
        _, body = await post(admitting(userInfo=info, namespace="other"))
        assert outcome(body) is None


@pytest.mark.parametrize(
    ("length", "denied"), [(512, "identity_invalid"), (513, "bad_request"), (5_000, "bad_request")]
)
async def test_before_rbac_who_calls_is_looked_at_only_where_a_policy_speaks(length: int, denied: str) -> None:
    async with asked(Alone([protecting()]), "/authorize") as post:
        _, body = await post(access("get", "secrets", user="x" * length))
        assert reason(body["status"]) == denied
        _, body = await post(access("get", "secrets", user="x" * length, namespace="other"))
        assert reason(body["status"]) is None


@pytest.mark.parametrize(
    ("by", "settings", "denied"),
    [
        (None, {}, "unauthenticated"),
        (STRANGER, {}, "forbidden"),
        (SERVER, {"identity": {"verification": "Token"}}, "identity_invalid"),
    ],
)
async def test_who_asks_is_proven_and_trusted_by_the_policy(
    by: str | None, settings: Object, denied: str | None
) -> None:
    async with asked(Alone([protecting(**settings)]), "/admission/enforce") as post:
        _, body = await post(admitting(), by)
        assert outcome(body) == denied
        # Who is proven is told of namespaces that nobody protects.
        _, body = await post(admitting(namespace="other"), by)
        assert outcome(body) == ("unauthenticated" if by is None else None)


@pytest.mark.parametrize("by", [None, "", "garbage"])
async def test_who_is_not_proven_is_told_the_same_of_every_review(by: str | None) -> None:
    reviews = [
        admitting(),
        admitting(namespace="other"),
        admitting(namespace="bailiwick-system"),
        admitting("UPDATE", "approvalgrants"),
        admitting(userInfo={"username": OPERATOR}),
        admitting("EXPLODE"),
        admitting(userInfo=None),
    ]
    async with asked(Alone([protecting()]), "/admission/enforce") as post:
        answers = [await post(review, by) for review in reviews]
    assert {code for code, _ in answers} == {200}
    assert {outcome(body) for _, body in answers} == {"unauthenticated"}
    assert all(body == answers[0][1] for _, body in answers)


@pytest.mark.parametrize("sent", [b"{", b"", b"[[[[]]]]", {"request": {"name": "web", "uid": "u"}}])
async def test_who_is_not_proven_and_sends_no_uid_first_is_401(sent: object) -> None:
    async with asked(Alone([protecting()]), "/admission/enforce") as post:
        code, _ = await post(sent, None)
    assert code == 401


MANY: Final = {"spec": {"replicas": 2, "many": [[] for _ in range(100_001)]}}
DEEP: Final = {"spec": json.loads("[" * 40 + "]" * 40)}


@pytest.mark.parametrize("written", [MANY, DEEP], ids=["many", "deep"])
async def test_an_object_that_is_too_much_is_refused_only_where_a_policy_speaks_of_it(written: Object) -> None:
    async with asked(Alone([protecting()]), "/admission/enforce") as post:
        _, body = await post(admitting(object=written))
        assert outcome(body) == "uninspectable"
        _, body = await post(admitting(object=written, namespace="other"))
        assert outcome(body) is None


@pytest.mark.parametrize("by", [SERVER, STRANGER])
@pytest.mark.parametrize("wrong", ["name", "namespace", "subResource", "operation"])
async def test_what_names_a_call_is_bounded_before_it_is_parsed(wrong: str, by: str) -> None:
    async with asked(Alone([protecting()]), "/admission/enforce") as post:
        review = admitting()
        review["request"][wrong] = [[]] * 5_000
        code, body = await post(review, by)
    assert code == 400
    assert "more than 4096 bytes" in body["detail"]


OTHERS: Final = [{**admitting(), "kind": "Other"}, {**admitting(), "apiVersion": "admission.k8s.io/v1beta1"}]


@pytest.mark.parametrize("sent", [b"{", [], {}, access(), {**admitting(), "request": {}}, *OTHERS])
async def test_what_is_no_admission_review_is_no_200(sent: object) -> None:
    async with asked(Alone([protecting()]), "/admission/enforce") as post:
        code, _ = await post(sent)
    assert code == 400


async def test_a_decision_by_admission_is_recorded_and_a_dry_run_is_not() -> None:
    records = KeptRecords()
    async with asked(Alone([protecting()], records=records), "/admission/enforce") as post:
        await post(admitting(dryRun=True))
        assert records.lines == []
        _, body = await post(admitting())
    (line,) = records.lines
    assert body["response"]["auditAnnotations"]["evaluation-id"].encode() in line
    assert b"review-uid" in line


async def test_no_object_makes_a_write_to_the_cluster_a_dry_run_of_its_call() -> None:
    records = KeptRecords()
    review = admitting(dry_run=True, context={"dry_run": True})
    review["request"]["object"] = {**(review["request"].get("object") or {}), "dry_run": True}
    async with asked(Alone([protecting()], records=records), "/admission/enforce") as post:
        await post(review)
    (line,) = map(json.loads, records.lines)
    assert line["dry_run"] is False
