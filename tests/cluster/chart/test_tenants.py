"""AB-39: a tenant with `edit` or `admin` on a namespace gets around neither guards nor admission nor decision point.

Holds: the tenant has Kubernetes' own role and, in the namespace, our role for those who edit policies as well; refusals
are RBAC's or a guard's, by the real API server. What a tenant may do is only tried, so that they share one namespace.
"""

import base64
from collections.abc import Callable
from typing import Final

import pytest

from localcluster.rest import Answer, Rest
from support import charts, releases
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Namespaces, Roles
from support.objects import Object, opened_grant, policy
from support.releases import Release

SYSTEM: Final = f"/api/v1/namespaces/{charts.NAMESPACE}"
ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
SLICES: Final = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
SERVICE: Final = "bailiwick-webhook"
# Labels by which other projects let a namespace, or an object, out of admission, and one as it might be called here.
EXEMPTING: Final = {
    "bailiwick.dev/exempt": "true",
    "admission.gatekeeper.sh/ignore": "yes",
    "cert-manager.io/disable-validation": "true",
    "control-plane": "true",
}


@pytest.fixture(scope="module")
def release(callers: Callers) -> Release:
    release = releases.install(callers, {}, charts.NAMESPACE)
    release.await_guards()
    return release


@pytest.fixture(scope="module")
def home(callers: Callers, release: Release) -> str:
    """The tenants' namespace, with nothing in it that exempts."""
    return Namespaces(callers.admin).make("tenants")


@pytest.fixture(scope="module")
def tenants(callers: Callers, home: str) -> dict[str, Rest]:
    """Who has which of Kubernetes' roles."""
    named = {"edit": "eve", "admin": "mallory"}
    for role, who in named.items():
        roles = Roles(callers.admin, home)
        roles.bind(role, who)
        roles.bind("bailiwick-edit", who)
    return {role: callers(who) for role, who in named.items()}


@pytest.fixture(params=["edit", "admin"])
def tenant(request: pytest.FixtureRequest, tenants: dict[str, Rest]) -> Rest:
    return tenants[request.param]


def service(namespace: str) -> Object:
    ports = [{"name": "https", "port": 443, "targetPort": 8443}]
    spec = {"selector": {"app": "evil"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": namespace}, "spec": spec}


def slice_of(namespace: str) -> Object:
    """Return endpoints that say of themselves that they are the decision point's."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "evil", "namespace": namespace, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "ports": [{"name": "status", "port": 8081, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.9.8.7"], "conditions": {"ready": True}}],
    }


def binding(namespace: str, role: str) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "mine", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}],
    }


Attempt = Callable[[Rest, str], Answer]
LOOSE: Final[Object] = {"webhooks": []}
ATTEMPTS: Final[dict[str, Attempt]] = {
    "label its namespace": lambda eve, ns: eve.patch(f"/api/v1/namespaces/{ns}", {"metadata": {"labels": EXEMPTING}}),
    "label our namespace": lambda eve, ns: eve.patch(SYSTEM, {"metadata": {"labels": EXEMPTING}}),
    "delete the webhook configuration": lambda eve, ns: eve.delete(
        f"{ADMISSION}/validatingwebhookconfigurations/bailiwick-endpointpolicies"
    ),
    "empty the webhook configuration": lambda eve, ns: eve.patch(
        f"{ADMISSION}/validatingwebhookconfigurations/bailiwick-endpointpolicies", LOOSE
    ),
    "rewrite objects before the guards see them": lambda eve, ns: eve.create(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "evil"},
        }
    ),
    "delete a guard": lambda eve, ns: eve.delete(f"{ADMISSION}/validatingadmissionpolicies/bailiwick-grants-review"),
    "unbind a guard": lambda eve, ns: eve.delete(
        f"{ADMISSION}/validatingadmissionpolicybindings/bailiwick-grants-review"
    ),
    "narrow a guard's binding": lambda eve, ns: eve.patch(
        f"{ADMISSION}/validatingadmissionpolicybindings/bailiwick-grants-review",
        {"spec": {"validationActions": ["Audit"]}},
    ),
    "change a definition": lambda eve, ns: eve.patch(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/approvalgrants.bailiwick.dev", {"spec": {}}
    ),
    "take our Service over": lambda eve, ns: eve.patch(
        f"{SYSTEM}/services/{SERVICE}", {"spec": {"selector": {"app": "evil"}}}
    ),
    "put a Service beside ours": lambda eve, ns: eve.create(service(charts.NAMESPACE)),
    "put endpoints beside ours": lambda eve, ns: eve.create(slice_of(charts.NAMESPACE)),
    "make endpoints of its own": lambda eve, ns: eve.create(slice_of(ns)),
    "run a pod as one of us": lambda eve, ns: eve.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "evil", "namespace": charts.NAMESPACE},
            "spec": {"containers": [{"name": "x", "image": "x"}], "serviceAccountName": "bailiwick-operator"},
        }
    ),
    "get a token of one of us": lambda eve, ns: eve.create(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        f"{SYSTEM}/serviceaccounts/bailiwick-operator/token",
    ),
    "read the signing keys": lambda eve, ns: eve.get(f"{SYSTEM}/secrets/bailiwick-keys"),
    "read the authority's key": lambda eve, ns: eve.get(f"{SYSTEM}/secrets/bailiwick-ca"),
    "change whom others trust": lambda eve, ns: eve.patch(
        f"{SYSTEM}/configmaps/bailiwick-ca", {"data": {"ca.crt": "x"}}
    ),
    "write the proof of the guards": lambda eve, ns: eve.patch(f"{SYSTEM}/configmaps/bailiwick-guard", {"data": {}}),
    "open the network": lambda eve, ns: eve.delete(
        f"/apis/networking.k8s.io/v1/namespaces/{charts.NAMESPACE}/networkpolicies/{SERVICE}"
    ),
    "give itself the right to approve": lambda eve, ns: eve.create(binding(ns, "bailiwick-approve")),
    "give itself the right to ask": lambda eve, ns: eve.create(binding(ns, "bailiwick-request")),
    "bind itself to our operator's role": lambda eve, ns: eve.create(binding(ns, "bailiwick-operator")),
    "delete a grant": lambda eve, ns: eve.request(
        "DELETE", f"/apis/bailiwick.dev/v1alpha1/namespaces/{ns}/approvalgrants/{opened_grant(ns)['metadata']['name']}"
    ),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_ab_39_rbac_refuses_the_tenant(attempt: Attempt, tenant: Rest, home: str) -> None:
    answer = attempt(tenant, home)
    assert (answer.status, answer.reason) == (403, "Forbidden"), answer.message
    # By RBAC, and not since something else was wrong with it.
    assert '" cannot ' in answer.message or "attempting to grant RBAC permissions not currently held" in answer.message


def test_ab_39_the_tenant_is_one(tenant: Rest, home: str) -> None:
    # The attempts above would be worth nothing by somebody who may do nothing.
    assert accepted(tenant.create(service(home), dry_run=True))
    unheard = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": home}}
    assert accepted(tenant.create(unheard, dry_run=True))


@pytest.mark.parametrize("name", EXEMPTING)
def test_ab_39_no_label_of_a_namespace_lets_it_out_of_the_guards(
    name: str, callers: Callers, release: Release, home: str
) -> None:
    # Not even an administrator's: the guards have no selector that a label could miss.
    accepted(callers.admin.patch(f"/api/v1/namespaces/{home}", {"metadata": {"labels": {name: EXEMPTING[name]}}}))
    forged = opened_grant(home)
    forged["metadata"]["labels"] = {**forged["metadata"].get("labels", {}), name: EXEMPTING[name]}
    answer = callers.admin.create(forged)
    assert answer.status in {403, 422}
    assert "bailiwick-grants-open" in answer.message


def test_ab_39_admission_has_no_selector_that_a_label_could_miss(release: Release) -> None:
    (entry,) = release.live("ValidatingWebhookConfiguration", "bailiwick-endpointpolicies")["webhooks"]
    assert (entry["namespaceSelector"], entry["objectSelector"]) == ({}, {})
    assert "matchConditions" not in entry
    assert entry["failurePolicy"] == "Fail"
    assert entry["rules"][0]["apiVersions"] == ["*"]
    for guard in release.rendering.of("ValidatingAdmissionPolicy"):
        constraints = release.live("ValidatingAdmissionPolicy", guard["metadata"]["name"])["spec"]["matchConstraints"]
        assert (constraints["namespaceSelector"], constraints["objectSelector"]) == ({}, {})
    for bound in release.rendering.of("ValidatingAdmissionPolicyBinding"):
        spec = release.live("ValidatingAdmissionPolicyBinding", bound["metadata"]["name"])["spec"]
        assert spec == {"policyName": bound["metadata"]["name"], "validationActions": ["Deny"]}


def test_ab_39_admission_calls_the_service_of_our_namespace_and_no_namesake(release: Release) -> None:
    (entry,) = release.live("ValidatingWebhookConfiguration", "bailiwick-endpointpolicies")["webhooks"]
    called = entry["clientConfig"]["service"]
    assert (called["namespace"], called["name"]) == (charts.NAMESPACE, SERVICE)
    assert "url" not in entry["clientConfig"]


def test_ab_39_a_policy_is_not_stored_while_nobody_judges_it(callers: Callers, release: Release, home: str) -> None:
    # No pod runs here: what the tenant would gain from an outage of ours is nothing.
    answer = callers.admin.create(policy(home))
    assert answer.status == 500
    assert "failed calling webhook" in answer.message
    del release


def test_ab_39_the_published_authority_is_not_the_tenants_to_choose(tenant: Rest, home: str) -> None:
    # One of its own namespace is nobody's: enforcers are told of the one in ours.
    mine = {"name": "bailiwick-ca", "namespace": home}
    data = {"ca.crt": base64.b64encode(b"mine").decode()}
    assert accepted(
        tenant.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": mine, "data": data}, dry_run=True)
    )
    theirs = {**mine, "namespace": charts.NAMESPACE}
    assert tenant.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs, "data": data}).status == 403
