"""What the two service accounts and the people's roles may do, and above all what they may not: as the server judges.

Holds: the rights are written down whole and asked of the API server, so that one too many is as red as one too few.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final, cast

import pytest

from bailiwick_api.accounts import WITNESS_CONFIG_MAP, WITNESS_MONTHS, Installation
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, active_status, grant, opened_grant, policy
from support.waits import until

READ: Final = "get list watch"
GUARD: Final = {
    "admissionregistration.k8s.io/validatingadmissionpolicies": READ,
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": READ,
    "apiextensions.k8s.io/customresourcedefinitions:approvalgrants.bailiwick.dev": "get",
    "apiextensions.k8s.io/customresourcedefinitions:endpointdata.bailiwick.dev": "get",
    "apiextensions.k8s.io/customresourcedefinitions:endpointhistories.bailiwick.dev": "get",
    "apiextensions.k8s.io/customresourcedefinitions:endpointpolicies.bailiwick.dev": "get",
    "apiextensions.k8s.io/customresourcedefinitions:subjectrevocations.bailiwick.dev": "get",
    "apiextensions.k8s.io/customresourcedefinitions": "list watch",
    "apiregistration.k8s.io/apiservices": READ,
}
WEBHOOK_EVERYWHERE: Final = {
    "bailiwick.dev/endpointpolicies": READ,
    "bailiwick.dev/endpointdata": READ,
    "bailiwick.dev/subjectrevocations": READ,
    "bailiwick.dev/approvalgrants": f"{READ} create patch",
    "bailiwick.dev/approvalgrants/status": "update",
    "bailiwick.dev/endpointhistories": "get create update",
    "authentication.k8s.io/tokenreviews": "create",
    "authorization.k8s.io/subjectaccessreviews": "create",
    "/pods": "get",
    **GUARD,
}
OPERATOR_EVERYWHERE: Final = {
    "bailiwick.dev/endpointpolicies": READ,
    "bailiwick.dev/endpointpolicies/status": "patch",
    "bailiwick.dev/endpointdata": READ,
    "bailiwick.dev/endpointdata/status": "patch",
    "bailiwick.dev/approvalgrants": f"{READ} delete",
    "bailiwick.dev/subjectrevocations": f"{READ} create update delete",
    "bailiwick.dev/endpointhistories": "get list delete",
    "bailiwick.dev/approvalgrants/status": "patch",
    "/serviceaccounts": "get",
    "events.k8s.io/events": "create",
    "admissionregistration.k8s.io/validatingwebhookconfigurations:bailiwick-endpointpolicies": "get patch",
    "discovery.k8s.io/endpointslices:kubernetes": "get",
    "admissionregistration.k8s.io/validatingadmissionpolicybindings:bailiwick-keep-probe": "create patch",
    "apiextensions.k8s.io/customresourcedefinitions:canaries.canary.bailiwick.dev": "create patch",
    "certificates.k8s.io/clustertrustbundles:bailiwick.dev:serving:ca": "get create patch",
    "certificates.k8s.io/signers:bailiwick.dev/serving": "attest",
    **GUARD,
}
WEBHOOK_AT_HOME: Final = {
    "/configmaps:bailiwick-guard": READ,
    "/configmaps:bailiwick-reviewers": READ,
    "/secrets:bailiwick-keys": READ,
}
OPERATOR_AT_HOME: Final = {
    "coordination.k8s.io/leases": "create",
    "coordination.k8s.io/leases:bailiwick-operator": "get update",
    "/configmaps": "create",
    "/configmaps:bailiwick-guard": "get update",
    "/configmaps:bailiwick-ca": "get update",
    "/configmaps:bailiwick-reviewers": "get",
    "/configmaps:bailiwick-witness": "get update",
    **{f"/configmaps:bailiwick-witness-{month:02}": "get update" for month in range(1, 13)},
    "bailiwick.dev/approvalgrants": f"{READ} create delete",
    "bailiwick.dev/endpointhistories": "get list create delete",
    "bailiwick.dev/approvalgrants:bailiwick-canary": "patch",
    "/secrets:bailiwick-keys": "get update",
    "/secrets:bailiwick-ca": "get update",
    "/secrets:bailiwick-serving": "get update",
    "/secrets:bailiwick-witness": "get update",
    "bailiwick.dev/endpointpolicies:bailiwick-canary": "request",
    "discovery.k8s.io/endpointslices": "list",
}
ROLES: Final = {
    "bailiwick-view": {
        "bailiwick.dev/endpointpolicies": READ,
        "bailiwick.dev/approvalgrants": READ,
        "bailiwick.dev/endpointdata": READ,
        "bailiwick.dev/subjectrevocations": READ,
    },
    "bailiwick-take-back": {"bailiwick.dev/subjectrevocations": "create"},
    "bailiwick-data": {"bailiwick.dev/endpointdata": f"{READ} update patch"},
    "bailiwick-edit": {
        "bailiwick.dev/endpointpolicies": f"{READ} create update patch delete",
        "bailiwick.dev/endpointdata": f"{READ} create update patch delete",
        "bailiwick.dev/approvalgrants": READ,
    },
    "bailiwick-request": {
        "bailiwick.dev/endpointpolicies": "request",
        "bailiwick.dev/approvalgrants": f"{READ} create patch",
    },
    "bailiwick-approve": {
        "bailiwick.dev/endpointpolicies": "approve revoke",
        "bailiwick.dev/approvalgrants": f"{READ} patch",
    },
    # For the operator, where a namespace wants to be told; bound to nobody.
    "bailiwick-notifications": {"/secrets:bailiwick-notifications": "get"},
}


def rights(client: Rest, namespace: str) -> dict[str, set[str]]:
    """Return verbs by `group/resource:name`, for everything that a caller may do in a namespace."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    status = accepted(client.create(body, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"))["status"]
    assert status["incomplete"] is False
    found: dict[str, set[str]] = {}
    for rule in status["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames") or [""]:
                    key = f"{group}/{resource}" + (f":{name}" if name else "")
                    found.setdefault(key, set()).update(rule["verbs"])
    return found


def beyond(client: Rest, nobody: Rest, namespace: str) -> dict[str, set[str]]:
    """Return the rights of a caller that somebody of the same kind without any role does not have."""
    common = rights(nobody, namespace)
    own = {key: found - common.get(key, set()) for key, found in rights(client, namespace).items()}
    return {key: found for key, found in own.items() if found}


@pytest.fixture
def unbound_account(callers: Callers, namespace: str) -> Rest:
    """A service account without any role; Kubernetes lets even that one do a few things."""
    metadata = {"name": "unbound", "namespace": namespace}
    accepted(callers.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
    return callers(f"system:serviceaccount:{namespace}:unbound")


def verbs(table: dict[str, str]) -> dict[str, set[str]]:
    return {key: set(words.split()) for key, words in table.items()}


def test_the_decision_point_may_do_this_and_nothing_else(
    callers: Callers, installed: Installation, namespace: str, unbound_account: Rest
) -> None:
    client = callers(installed.webhook)
    assert beyond(client, unbound_account, namespace) == verbs(WEBHOOK_EVERYWHERE)
    assert beyond(client, unbound_account, installed.namespace) == verbs(WEBHOOK_EVERYWHERE | WEBHOOK_AT_HOME)


def test_the_operator_may_do_this_and_nothing_else(
    callers: Callers, installed: Installation, namespace: str, unbound_account: Rest
) -> None:
    client = callers(installed.operator)
    assert beyond(client, unbound_account, namespace) == verbs(OPERATOR_EVERYWHERE)
    assert beyond(client, unbound_account, installed.namespace) == verbs(OPERATOR_EVERYWHERE | OPERATOR_AT_HOME)


@pytest.mark.invariant(3)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_for_people_gives_this_and_nothing_else(
    role: str, callers: Callers, installed: Installation, namespace: str, roles: Roles
) -> None:
    roles.bind(role, "eve")
    assert beyond(callers("eve"), callers("mallory"), namespace) == verbs(ROLES[role])
    assert beyond(callers("eve"), callers("mallory"), "default") == {}


def test_no_role_for_people_is_left_out_of_the_table(callers: Callers, installed: Installation) -> None:
    listed = accepted(callers.admin.get("/apis/rbac.authorization.k8s.io/v1/clusterroles"))["items"]
    names = {item["metadata"]["name"] for item in listed if item["metadata"]["name"].startswith("bailiwick-")}
    assert names == {*ROLES, installed.webhook_name, installed.operator_name}


Attempt = Callable[[Rest, str, Object], Answer]
GRANTS: Final = "/apis/bailiwick.dev/v1alpha1/namespaces/{}/approvalgrants"
ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
SYSTEM: Final = "/api/v1/namespaces/bailiwick-system"
CLUSTER_ADMIN: Final = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "everything"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "bailiwick-operator", "namespace": "bailiwick-system"}],
}
SECRET: Final = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "bailiwick-keys", "namespace": "bailiwick-system"},
}
WITNESSED: Final = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "bailiwick-witness", "namespace": "bailiwick-system"},
}
ACCOUNT_TOKEN: Final[Object] = {
    **SECRET,
    "metadata": {
        "name": "any",
        "namespace": "bailiwick-system",
        "annotations": {"kubernetes.io/service-account.name": "bailiwick-webhook"},
    },
    "type": "kubernetes.io/service-account-token",
}
TOKEN: Final = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}

NEITHER: Final[dict[str, Attempt]] = {
    "write a policy": lambda as_, ns, of: as_.create(policy(ns, "another")),
    "change a policy": lambda as_, ns, of: as_.patch(policy(ns), {"spec": {"suspend": True}}),
    "delete a policy": lambda as_, ns, of: as_.delete(policy(ns)),
    "replace a grant": lambda as_, ns, of: as_.replace(of),
    "delete all grants": lambda as_, ns, of: as_.request("DELETE", GRANTS.format(ns)),
    "read a secret at home": lambda as_, ns, of: as_.get(f"{SYSTEM}/secrets/any"),
    "delete the signing keys": lambda as_, ns, of: as_.delete(f"{SYSTEM}/secrets/bailiwick-keys"),
    "patch the signing keys": lambda as_, ns, of: as_.patch(f"{SYSTEM}/secrets/bailiwick-keys", {"data": {}}),
    "delete the certificate authorities": lambda as_, ns, of: as_.delete(f"{SYSTEM}/secrets/bailiwick-ca"),
    "patch the certificate": lambda as_, ns, of: as_.patch(f"{SYSTEM}/secrets/bailiwick-serving", {"data": {}}),
    "delete what was witnessed": lambda as_, ns, of: as_.delete(f"{SYSTEM}/configmaps/bailiwick-witness"),
    "delete the keys of the witness": lambda as_, ns, of: as_.delete(f"{SYSTEM}/secrets/bailiwick-witness"),
    "delete the published authorities": lambda as_, ns, of: as_.delete(f"{SYSTEM}/configmaps/bailiwick-ca"),
    "make a webhook configuration": lambda as_, ns, of: as_.create(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "bailiwick-endpointpolicies"},
        }
    ),
    "change another webhook configuration": lambda as_, ns, of: as_.patch(
        f"{ADMISSION}/validatingwebhookconfigurations/another", {"webhooks": []}
    ),
    "change a mutating webhook configuration": lambda as_, ns, of: as_.patch(
        f"{ADMISSION}/mutatingwebhookconfigurations/bailiwick-endpointpolicies", {"webhooks": []}
    ),
    "read signing keys elsewhere": lambda as_, ns, of: as_.get(f"/api/v1/namespaces/{ns}/secrets/bailiwick-keys"),
    "make a Secret at home": lambda as_, ns, of: as_.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": "bailiwick-webhook-token",
                "namespace": "bailiwick-system",
                "annotations": {"kubernetes.io/service-account.name": "bailiwick-webhook"},
            },
        }
    ),
    "list secrets at home": lambda as_, ns, of: as_.get(f"{SYSTEM}/secrets"),
    "list secrets elsewhere": lambda as_, ns, of: as_.get(f"/api/v1/namespaces/{ns}/secrets"),
    "list all secrets": lambda as_, ns, of: as_.get("/api/v1/secrets"),
    "read another config map": lambda as_, ns, of: as_.get(f"{SYSTEM}/configmaps/kube-root-ca.crt"),
    "loosen a guard": lambda as_, ns, of: as_.patch(
        f"{ADMISSION}/validatingadmissionpolicies/bailiwick-grants-review", {"spec": {"failurePolicy": "Ignore"}}
    ),
    "unbind a guard": lambda as_, ns, of: as_.delete(
        f"{ADMISSION}/validatingadmissionpolicybindings/bailiwick-grants-review"
    ),
    "change a definition": lambda as_, ns, of: as_.patch(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/approvalgrants.bailiwick.dev",
        {"metadata": {"labels": {"seen": "yes"}}},
    ),
    "get a token of the operator": lambda as_, ns, of: as_.create(
        TOKEN, f"{SYSTEM}/serviceaccounts/bailiwick-operator/token"
    ),
    "get a token of the decision point": lambda as_, ns, of: as_.create(
        TOKEN, f"{SYSTEM}/serviceaccounts/bailiwick-webhook/token"
    ),
    "give itself everything": lambda as_, ns, of: as_.create(CLUSTER_ADMIN),
    "list pods": lambda as_, ns, of: as_.get("/api/v1/pods"),
    "act as somebody else": lambda as_, ns, of: as_.request(
        "GET", "/api/v1/namespaces", headers={"Impersonate-User": "carol"}
    ),
}
WEBHOOK_ONLY: Final[dict[str, Attempt]] = {
    "delete a grant": lambda as_, ns, of: as_.delete(of),
    "tell of something": lambda as_, ns, of: as_.create(
        {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "x", "namespace": ns}}
    ),
    "read a service account": lambda as_, ns, of: as_.get(f"/api/v1/namespaces/{ns}/serviceaccounts/default"),
    "patch a grant's status": lambda as_, ns, of: as_.patch(of, {"status": active_status()}, "merge", "status"),
    "patch a policy's status": lambda as_, ns, of: as_.patch(policy(ns), {"status": {}}, "merge", "status"),
    "write the keys of reviewers": lambda as_, ns, of: as_.patch(
        f"{SYSTEM}/configmaps/bailiwick-reviewers", {"data": {}}
    ),
    "write the proof of the guard": lambda as_, ns, of: as_.patch(f"{SYSTEM}/configmaps/bailiwick-guard", {"data": {}}),
    "write another proof of the guard": lambda as_, ns, of: as_.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "bailiwick-system"}}
    ),
    "read what was witnessed of its log": lambda as_, ns, of: as_.get(f"{SYSTEM}/configmaps/bailiwick-witness"),
    "write what was witnessed of its log": lambda as_, ns, of: as_.replace(WITNESSED),
    "write what was witnessed of logs that are over": lambda as_, ns, of: as_.replace(
        {**WITNESSED, "metadata": {"name": "bailiwick-witness-11", "namespace": "bailiwick-system"}}
    ),
    "read the keys of the witness": lambda as_, ns, of: as_.get(f"{SYSTEM}/secrets/bailiwick-witness"),
    "replace the signing keys": lambda as_, ns, of: as_.replace(SECRET),
    "read the keys of the certificate authorities": lambda as_, ns, of: as_.get(f"{SYSTEM}/secrets/bailiwick-ca"),
    "read the certificate's key": lambda as_, ns, of: as_.get(f"{SYSTEM}/secrets/bailiwick-serving"),
    "change the webhook configuration": lambda as_, ns, of: as_.patch(
        f"{ADMISSION}/validatingwebhookconfigurations/bailiwick-endpointpolicies", {"webhooks": []}
    ),
    "write a secret": lambda as_, ns, of: as_.create(SECRET),
    "take the lease": lambda as_, ns, of: as_.get(
        "/apis/coordination.k8s.io/v1/namespaces/bailiwick-system/leases/bailiwick-operator"
    ),
}
OPERATOR_ONLY: Final[dict[str, Attempt]] = {
    "revoke a grant": lambda as_, ns, of: as_.patch(of, {"spec": {"revocation": {"by": "carol"}}}),
    "review a grant": lambda as_, ns, of: as_.patch(of, {"spec": {"reviews": []}}),
    "replace a grant's status": lambda as_, ns, of: as_.replace({**of, "status": active_status()}, "status"),
    "open a grant away from home": lambda as_, ns, of: as_.create(grant(ns, requester="carol")),
    "patch another grant at home": lambda as_, ns, of: as_.patch(f"{GRANTS.format('bailiwick-system')}/other", {}),
    "list service accounts": lambda as_, ns, of: as_.get("/api/v1/serviceaccounts"),
    "read events": lambda as_, ns, of: as_.get(f"/apis/events.k8s.io/v1/namespaces/{ns}/events"),
    "review tokens": lambda as_, ns, of: as_.create(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "t"}},
        "/apis/authentication.k8s.io/v1/tokenreviews",
    ),
    "make the signing keys": lambda as_, ns, of: as_.create(SECRET),
    "list the signing keys": lambda as_, ns, of: as_.get(
        f"{SYSTEM}/secrets?fieldSelector=metadata.name=bailiwick-keys"
    ),
    "delete the webhook configuration": lambda as_, ns, of: as_.delete(
        f"{ADMISSION}/validatingwebhookconfigurations/bailiwick-endpointpolicies"
    ),
    "write a secret away from home": lambda as_, ns, of: as_.create(
        {**SECRET, "metadata": {"name": "bailiwick-keys", "namespace": ns}}
    ),
    "write a config map away from home": lambda as_, ns, of: as_.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": ns}}
    ),
}


def _attempts() -> list[Any]:
    tables = {"webhook": NEITHER | WEBHOOK_ONLY, "operator": NEITHER | OPERATOR_ONLY}
    return [
        pytest.param(account, attempt, id=f"{account} cannot {title}")
        for account, table in tables.items()
        for title, attempt in table.items()
    ]


@pytest.mark.invariant(3, 18)
@pytest.mark.parametrize(("account", "attempt"), _attempts())
def test_an_account_is_refused_by_rbac(
    account: str, attempt: Attempt, callers: Callers, installed: Installation, namespace: str
) -> None:
    accepted(callers.admin.create(policy(namespace)))
    stored = accepted(callers(installed.webhook).create(opened_grant(namespace)))
    username = cast("str", getattr(installed, account))
    answer = attempt(callers(username), namespace, stored)
    assert (answer.status, answer.reason) == (403, "Forbidden")
    # RBAC's words, not a guard's.
    assert f'User "{username}" cannot ' in answer.message


def test_the_secret_of_the_signing_keys_never_becomes_a_token_of_an_account(
    callers: Callers, installed: Installation
) -> None:
    path = f"{SYSTEM}/secrets/bailiwick-keys"
    stored = accepted(callers(installed.operator).get(path))
    annotations = ACCOUNT_TOKEN["metadata"]["annotations"]
    asked = {**stored, "type": ACCOUNT_TOKEN["type"], "metadata": {**stored["metadata"], "annotations": annotations}}
    answer = callers(installed.operator).replace(asked)
    assert (answer.status, "type: Invalid value" in answer.message) == (422, True)
    assert "field is immutable" in answer.message
    assert accepted(callers.admin.get(path))["type"] == "Opaque"


@pytest.mark.invariant(3)
@pytest.mark.parametrize("account", ["webhook", "operator"])
@pytest.mark.parametrize("verb", ["approve", "revoke", "request"])
def test_neither_account_has_a_verb_on_a_policy(
    verb: str, account: str, callers: Callers, installed: Installation, namespace: str
) -> None:
    client = callers(getattr(installed, account))
    for where, name in ((namespace, "crm-agent"), (installed.namespace, "crm-agent"), ("", ""), (namespace, "*")):
        attributes = {"group": "bailiwick.dev", "resource": "endpointpolicies", "verb": verb, "name": name}
        assert not may(client, {**attributes, "namespace": where})


@pytest.mark.invariant(3, 25)
def test_who_edits_policies_does_not_approve(callers: Callers, installed: Installation, roles: Roles) -> None:
    roles.bind("bailiwick-edit", "eve")
    asked = {
        verb: may(
            callers("eve"),
            {"group": "bailiwick.dev", "resource": "endpointpolicies", "verb": verb, "namespace": roles.namespace},
        )
        for verb in ("update", "approve", "revoke", "request")
    }
    assert asked == {"update": True, "approve": False, "revoke": False, "request": False}


@pytest.mark.parametrize("name", [WITNESS_CONFIG_MAP, *WITNESS_MONTHS])
@pytest.mark.parametrize("resource", ["configmaps", "secrets"])
def test_the_decision_point_may_do_nothing_with_what_is_witnessed_of_it(
    resource: str, name: str, callers: Callers, installed: Installation
) -> None:
    named = {"resource": resource, "name": name, "namespace": installed.namespace}
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
    assert not [verb for verb in verbs if may(callers(installed.webhook), {**named, "verb": verb})]


def may(client: Rest, attributes: Object) -> bool:
    spec = {"resourceAttributes": attributes}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    answer = client.create(body, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    return bool(accepted(answer)["status"]["allowed"])


@pytest.mark.invariant(3, 25)
def test_no_role_of_ours_flows_into_admin_or_edit(callers: Callers, installed: Installation) -> None:
    # A role that does flow shows that the controller which carries them over has been at work since ours came.
    name = f"flows-{secrets.token_hex(4)}"
    marks = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
    mark = {"apiGroups": [f"{name}.bailiwick.test"], "resources": ["things"], "verbs": ["get"]}
    body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [mark]}
    role = accepted(callers.admin.create({**body, "metadata": {"name": name, "labels": marks}}))
    try:
        for standard in ("admin", "edit", "view"):
            path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{standard}"
            until(lambda: mark in callers.admin.get(path).body["rules"], f"{standard} has what flows")  # noqa: B023
            groups = {group for rule in callers.admin.get(path).body["rules"] for group in rule["apiGroups"]}
            assert "bailiwick.dev" not in groups
            assert "*" not in groups
    finally:
        callers.admin.delete(role)
