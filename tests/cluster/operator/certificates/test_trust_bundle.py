"""The authority as a ClusterTrustBundle on a real API server, which pods of every namespace can mount.

Holds: it says what the ConfigMap says, also during a rotation and after somebody changed it; the operator may write no
other bundle, and nobody may write this one who may not attest for its signer.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import TRUST_BUNDLE, TRUST_SIGNER, Installation
from bailiwick_operator.certificates import issuer
from cluster.operator.certificates.certificates import FOREIGN, Certificates, now
from cluster.operator.operatorprocess import Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import accepted
from support.objects import Object
from support.versions import SINCE_1_37
from support.waits import until, until_ok

pytestmark = SINCE_1_37

BUNDLES: Final = "/apis/certificates.k8s.io/v1/clustertrustbundles"
OURS: Final = f"{BUNDLES}/{TRUST_BUNDLE}"
SETTLE_SECONDS: Final = 3


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    return (
        *("--proof-interval", "3", "--certificate-interval", "0.3", "--ca-settle-seconds", str(SETTLE_SECONDS)),
        *("--health-port", str(health_port)),
    )


@pytest.fixture
def health(health_port: int) -> Callable[[], str]:
    return lambda: str(requests.get(f"http://127.0.0.1:{health_port}/healthz", timeout=5).json()["certificates"])


def bundle(admin: Rest) -> str:
    """Return what it holds; empty where there is none."""
    answer = admin.get(OURS)
    return str(answer.body["spec"]["trustBundle"]) if answer.ok else ""


def body(text: str, name: str = TRUST_BUNDLE, signer: str = TRUST_SIGNER) -> Object:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "ClusterTrustBundle",
        "metadata": {"name": name},
        "spec": {"signerName": signer, "trustBundle": text},
    }


@pytest.mark.usefixtures("operator")
def test_it_holds_what_the_config_map_holds(certificates: Certificates, callers: Callers) -> None:
    certificates.await_whole()
    until(lambda: bundle(callers.admin) == certificates.bundle(), "the bundle is written")
    stored = accepted(callers.admin.get(OURS))
    assert stored["spec"]["signerName"] == "bailiwick.dev/serving"
    assert stored["metadata"]["name"] == "bailiwick.dev:serving:ca"
    # By the label of its signer, as pods mount all bundles of one.
    found = accepted(callers.admin.get(BUNDLES, fieldSelector=f"spec.signerName={TRUST_SIGNER}"))
    assert [item["metadata"]["name"] for item in found["items"]] == [TRUST_BUNDLE]


@pytest.mark.usefixtures("operator")
def test_what_somebody_else_wrote_or_deleted_is_put_right(certificates: Certificates, callers: Callers) -> None:
    certificates.await_whole()
    until(lambda: bundle(callers.admin) == certificates.bundle(), "the bundle is written")
    foreign = FOREIGN.authority(now()).certificate
    accepted(callers.admin.patch(OURS, {"spec": {"trustBundle": foreign}}))
    until(lambda: bundle(callers.admin) == certificates.bundle(), "the foreign authority is gone")
    accepted(callers.admin.delete(OURS))
    until(lambda: bundle(callers.admin) == certificates.bundle(), "the bundle is there again")


def test_a_rotation_publishes_the_next_authority_there_before_it_issues(
    operator: Operator, certificates: Certificates, callers: Callers
) -> None:
    before = certificates.await_alone()
    until(lambda: bundle(callers.admin) == certificates.bundle(), "the bundle is written")
    certificates.annotate(certificates.ca, bailiwick_dev__renew_before=datetime.now(UTC).isoformat())
    until(lambda: len(issuer.ids(bundle(callers.admin))) == 2, "both authorities are in it")
    # Read in the order in which a client meets it: what it trusts, then the certificate.
    trusted = frozenset[str]()
    while (leaf := certificates.leaf()).issuer == before.issuer:
        trusted = issuer.ids(bundle(callers.admin))
    assert leaf.issuer in trusted
    until(lambda: issuer.ids(bundle(callers.admin)) == {leaf.issuer}, "the old authority is gone")
    assert operator.said("published the CA bundle")


@pytest.mark.usefixtures("operator")
def test_an_authority_that_is_kept_out_of_it_does_not_count_as_published(
    certificates: Certificates, callers: Callers, health: Callable[[], str]
) -> None:
    before = certificates.await_alone()
    until(lambda: bundle(callers.admin) == certificates.bundle(), "the bundle is written")
    role = accepted(callers.admin.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/bailiwick-operator"))
    rules = [rule for rule in role["rules"] if "signers" not in rule["resources"]]
    accepted(callers.admin.replace({**role, "rules": rules}))
    try:
        certificates.annotate(certificates.ca, bailiwick_dev__renew_before=datetime.now(UTC).isoformat())
        until(lambda: f"ClusterTrustBundle {TRUST_BUNDLE} cannot be written" in health(), "the operator says so")
        assert "attest" in health()
        until(lambda: len(issuer.ids(certificates.bundle())) == 2, "the ConfigMap has it")
        deadline = now().timestamp() + 2 * SETTLE_SECONDS
        while now().timestamp() < deadline:
            assert certificates.leaf().issuer == before.issuer
    finally:
        role = accepted(callers.admin.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/bailiwick-operator"))
        attest = {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "verbs": ["attest"]}
        attest["resourceNames"] = [TRUST_SIGNER]
        accepted(callers.admin.replace({**role, "rules": [*rules, attest]}))
    certificates.await_other(before)


def test_the_operator_writes_no_other_bundle(callers: Callers, installed: Installation) -> None:
    text = FOREIGN.authority(now()).certificate
    operator = callers(installed.operator)
    for other in (body(text, "bailiwick.dev:serving:other"), body(text, "example.com:x:ca", "example.com/x")):
        assert operator.apply(other, "x", force=True).status == 403
        assert operator.create(other).status == 403
    # By POST, a right to create is of no name.
    assert operator.create(body(text)).status == 403
    assert operator.delete(OURS).status == 403


def test_nobody_writes_it_who_may_not_attest(callers: Callers, installed: Installation) -> None:
    rules = [{"apiGroups": ["certificates.k8s.io"], "resources": ["clustertrustbundles"], "verbs": ["*"]}]
    metadata = {"name": "bundles-without-attest"}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    accepted(callers.admin.create({**kind, "kind": "ClusterRole", "metadata": metadata, "rules": rules}))
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **metadata}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}
    binding = {**kind, "kind": "ClusterRoleBinding", "metadata": metadata, "roleRef": reference, "subjects": [subject]}
    accepted(callers.admin.create(binding))
    text = FOREIGN.authority(now()).certificate
    mallory = callers("mallory")
    until_ok(lambda: mallory.get(BUNDLES), "the role is in force")
    answer = mallory.apply(body(text), "mallory", force=True)
    assert answer.status == 403
    assert "not permitted to attest for signerName" in answer.message
