"""The chart is applied, and the operator runs with the flags of its Deployment: guards are proven, nothing drifts.

Holds: the operator is a process on this machine, as the account that the chart made and by a token of it; the pods that
the Deployments make are let in under the restricted profile, and wait for a node that does not come.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import CA_CONFIG_MAP, GUARD_CONFIG_MAP, SERVING_SECRET, SIGNING_KEYS_SECRET
from cluster.operator.operatorprocess import NewOperator, Operator
from cluster.test_rbac import (
    OPERATOR_AT_HOME,
    OPERATOR_EVERYWHERE,
    ROLES,
    WEBHOOK_AT_HOME,
    WEBHOOK_EVERYWHERE,
    beyond,
    verbs,
)
from localcluster.access import Cluster
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile
from support import charts, releases
from support.callers import Callers
from support.charts import Values
from support.installation import accepted
from support.namespaces import Namespaces, Roles
from support.objects import Object
from support.releases import Release
from support.waits import until

pytestmark = pytest.mark.long

REPORTED: Final = {"Deployment", "PodDisruptionBudget", "CustomResourceDefinition", "HorizontalPodAutoscaler"}
# With them the chart ships every role that there is.
TOLD: Final[Values] = {"notifications": {"namespaceTargets": "bound"}}
USUAL: Final[tuple[Values, str]] = (TOLD, charts.NAMESPACE)
# Every name is another, and only usernames of an issuer are people's.
OTHER: Final[tuple[Values, str]] = (
    {
        "fullnameOverride": "boundary",
        "humanUsernamePrefixes": ["oidc:", "corp/"],
        "webhook": {"serviceAccount": {"name": "decider"}},
        "operator": {"serviceAccount": {"name": "keeper"}},
        "commonLabels": {"team": "security"},
        **TOLD,
    },
    "security",
)


@pytest.fixture(scope="module", params=[USUAL, OTHER], ids=["usual names", "other names"])
def release(request: pytest.FixtureRequest, callers: Callers) -> Release:
    """The chart, applied; the second time over the first, whose guards, roles and definitions become its own."""
    values, namespace = request.param
    release = releases.install(callers, values, namespace)
    release.await_guards()
    return release


@pytest.fixture(scope="module")
def operator(release: Release, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator as the Deployment starts it, but for its access and the port of its health."""
    folder = tmp_path_factory.mktemp("operator")
    account = Account(release.installation.namespace, release.installation.operator_name)
    with TokenFile(cluster, account, folder / "token") as token:
        operators = NewOperator(token.write_kubeconfig(), folder, *release.rendering.args("operator"))
        with operators("--health-port=0") as running:
            yield running
        operators.kill_all()


def record(release: Release) -> Object:
    path = f"/api/v1/namespaces/{release.installation.namespace}/configmaps/{GUARD_CONFIG_MAP}"
    found: Object = accepted(release.callers.admin.get(path))["data"]
    return found


def test_the_guards_are_proven_for_the_names_that_the_chart_gave_them(release: Release, operator: Operator) -> None:
    assert record(release)["fingerprint"].startswith("sha256:")
    assert operator.said("the guards over grants are proven to be in force")
    assert not [one for one in operator.entries() if one["level"] == "error"]


def test_the_deployments_make_pods_that_the_restricted_profile_lets_in(release: Release) -> None:
    for one in release.rendering.of("Deployment"):
        name = one["metadata"]["name"]

        def whole(one: Object = one) -> bool:
            status = accepted(release.callers.admin.get(one)).get("status", {})
            return bool(status.get("replicas") == one["spec"]["replicas"] and not failing(status))

        until(whole, f"{name} has its pods")


def failing(status: Object) -> list[Object]:
    return [one for one in status.get("conditions", ()) if one["type"] == "ReplicaFailure" and one["status"] == "True"]


def data(release: Release, kind: str, name: str) -> Object:
    path = f"/api/v1/namespaces/{release.installation.namespace}/{kind}/{name}"
    found: Object = accepted(release.callers.admin.get(path)).get("data") or {}
    return found


def ca_bundle(release: Release) -> str:
    (entry,) = release.live("ValidatingWebhookConfiguration", "bailiwick-endpointpolicies")["webhooks"]
    return str(entry["clientConfig"].get("caBundle") or "")


def test_the_certificate_is_made_for_the_charts_own_service(release: Release, operator: Operator) -> None:
    from cryptography import x509  # noqa: PLC0415 - here alone

    until(lambda: "tls.crt" in data(release, "secrets", SERVING_SECRET), "there is a certificate")
    chain = base64.b64decode(data(release, "secrets", SERVING_SECRET)["tls.crt"])
    names = x509.load_pem_x509_certificate(chain).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    (service,) = release.rendering.of("Service")
    host = f"{service['metadata']['name']}.{release.installation.namespace}.svc"
    assert host in names.value.get_values_for_type(x509.DNSName)
    assert f"--external-url=https://{host}" in release.rendering.args("webhook")
    until(lambda: bool(ca_bundle(release)), "the API server is told whom to trust")
    assert base64.b64decode(ca_bundle(release)).decode() == data(release, "configmaps", CA_CONFIG_MAP)["ca.crt"]
    assert operator.process.poll() is None


def test_ga_04_applying_the_chart_again_conflicts_with_nobody_and_takes_nothing_away(
    release: Release, operator: Operator
) -> None:
    until(lambda: bool(ca_bundle(release)), "the API server is told whom to trust")
    until(lambda: bool(data(release, "secrets", SIGNING_KEYS_SECRET)), "there are keys")
    before = (
        ca_bundle(release),
        data(release, "secrets", SIGNING_KEYS_SECRET),
        data(release, "secrets", SERVING_SECRET),
        record(release)["fingerprint"],
    )
    stood = versions(release)
    refused = [answer.message for answer in release.again() if not answer.ok]
    assert refused == []
    after = (
        ca_bundle(release),
        data(release, "secrets", SIGNING_KEYS_SECRET),
        data(release, "secrets", SERVING_SECRET),
        record(release)["fingerprint"],
    )
    assert after == before
    # Nor did it write anything: to GitOps it is in sync.
    assert [path for path, version in versions(release).items() if version != stood[path]] == []


def versions(release: Release) -> dict[str, object]:
    """Return what moves when somebody writes to an object, by its path; of what controllers report on, the spec's."""
    admin, found = release.callers.admin, {}
    for one in charts.own(release.rendering.documents):
        if one["kind"] != "Pod":
            metadata = accepted(admin.get(one))["metadata"]
            found[admin.path(one)] = metadata["generation" if one["kind"] in REPORTED else "resourceVersion"]
    return found


@pytest.fixture
def elsewhere(callers: Callers, request: pytest.FixtureRequest) -> Iterator[str]:
    namespaces = Namespaces(callers.admin)
    yield namespaces.make(request.node.name)
    namespaces.clean()


def test_the_accounts_may_do_what_is_pinned_and_nothing_else(
    release: Release, callers: Callers, elsewhere: str
) -> None:
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "unbound", "namespace": elsewhere}}
    accepted(callers.admin.create(body))
    nobody = callers(f"system:serviceaccount:{elsewhere}:unbound")
    installation = release.installation
    for account, everywhere, at_home in (
        (installation.webhook, WEBHOOK_EVERYWHERE, WEBHOOK_AT_HOME),
        (installation.operator, OPERATOR_EVERYWHERE, OPERATOR_AT_HOME),
    ):
        client = callers(account)
        assert beyond(client, nobody, elsewhere) == verbs(everywhere)
        assert beyond(client, nobody, installation.namespace) == verbs(everywhere | at_home)


@pytest.mark.parametrize("role", ROLES)
def test_the_roles_for_people_give_what_is_pinned_and_nothing_else(
    role: str, release: Release, callers: Callers, elsewhere: str
) -> None:
    Roles(callers.admin, elsewhere).bind(role, "eve")
    assert beyond(callers("eve"), callers("mallory"), elsewhere) == verbs(ROLES[role])
    assert release.live("ClusterRole", role)["rules"] == release.rendering.one("ClusterRole", role)["rules"]


def test_an_operator_with_the_flags_of_another_release_proves_nothing(
    release: Release, operator: Operator, cluster: Cluster, tmp_path: Path
) -> None:
    assert operator.stop() == 0
    account = Account(release.installation.namespace, release.installation.operator_name)
    with TokenFile(cluster, account, tmp_path / "token") as token:
        flags = (*release.rendering.args("operator"), "--health-port=0", "--human-username-prefix=nobody:")
        operators = NewOperator(token.write_kubeconfig(), tmp_path, *flags)
        lone = operators().start()
        try:
            lone.await_said("the guards over grants are not proven: no grant is approved", seconds=40)
            (first, *_) = lone.said("the guards over grants are not proven: no grant is approved")
            assert "not as shipped" in first["problem"]
        finally:
            lone.stop()
            operator.start().await_leading()
