"""What `docs/operations/runbook.md` tells people to type does what it says, with a real operator."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.fingerprint import deviations, fingerprint, paths
from cluster.operator.grants.grants import Grants
from cluster.operator.keys.keys import Secret
from cluster.operator.operatorprocess import Operator
from localcluster.access import Cluster
from support.callers import Callers
from support.guards.sabotage import Guards, record_path, routes
from support.installation import MANAGER, accepted, await_guards
from support.namespaces import Roles
from support.objects import Object, policy
from support.pages import script
from support.shell import Shell, succeeded
from support.waits import until, until_ok

pytestmark = pytest.mark.long

SHIPPED: Final = Path(__file__).parents[3] / "crds" / "guards"
REGISTRATION: Final = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/bailiwick-endpointpolicies"
VOID: Final = "GuardUnproven"
# What is written by hand, and where the proof finds it.
LOOSENED: Final = {
    "another action": (
        """kubectl patch validatingadmissionpolicybinding bailiwick-grants-review --type=merge \
            -p '{"spec": {"validationActions": ["Audit"]}}'""",
        (
            "ValidatingAdmissionPolicyBinding bailiwick-grants-review differs from the shipped version at"
            " spec.validationActions[0]"
        ),
    ),
    "a condition": (
        """kubectl patch validatingadmissionpolicy bailiwick-grants-review --type=merge \
            -p '{"spec": {"matchConditions": [{"name": "never", "expression": "false"}]}}'""",
        "ValidatingAdmissionPolicy bailiwick-grants-review differs from the shipped version at spec.matchConditions",
    ),
}


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return ("--proof-interval", "3", "--key-interval", "0.5", "--certificate-interval", "0.5")


@pytest.fixture
def shell(cluster: Cluster, operator: Operator) -> Shell:
    operator.await_leading()
    return Shell(cluster, "operations/runbook.md")


@pytest.fixture
def guards(callers: Callers, installed: Installation) -> Iterator[Guards]:
    guards = Guards(callers, installed)
    yield guards
    guards.restore()
    guards.await_recorded()


def reason(grant: Object) -> str:
    return next(str(one["reason"]) for one in grant["status"]["conditions"] if one["type"] == "Ready")


class TestGuardsThatWereLoosened:
    @pytest.mark.parametrize("how", LOOSENED)
    def test_are_put_back_by_replacing_them_and_not_by_applying_them(
        self, how: str, shell: Shell, operator: Operator, guards: Guards, callers: Callers, installed: Installation
    ) -> None:
        def wrong() -> tuple[str, ...]:
            return deviations([accepted(callers.admin.get(path)) for path in paths(installed)], installed)

        loosen, found = LOOSENED[how]
        succeeded(shell.type(loosen))
        assert wrong() == (found,)
        succeeded(shell.type("kubectl apply --server-side --force-conflicts -f crds/guards"))
        assert wrong() != ()
        told = "the guards over grants are not proven: no grant is approved"
        until(lambda: any(found in said["problem"] for said in operator.said(told)), "the operator says which")
        of_this = [said["problem"] for said in operator.said(told) if found in said["problem"]]
        assert all("Restore them with kubectl replace" in problem for problem in of_this)
        succeeded(shell.run("kubectl replace -f crds/guards"))
        assert wrong() == ()
        await_guards(callers, installed)
        guards.await_recorded()

    def test_that_were_deleted_are_made_anew_by_applying_them(self, shell: Shell, guards: Guards) -> None:
        deleting, helm = script("operations/runbook.md", "kubectl delete --ignore-not-found validating").split(
            "helm upgrade"
        )
        assert "--reuse-values" in helm
        shipped = [document for file in SHIPPED.glob("*.yaml") for document in yaml.safe_load_all(file.read_text())]
        assert len(succeeded(shell.type(deleting)).splitlines()) == len(shipped)
        succeeded(shell.type("kubectl apply --server-side -f crds/guards"))
        guards.await_recorded()


class TestRevokingEverything:
    def test_of_the_cluster_ends_every_grant_and_lets_new_ones_be_approved(
        self, shell: Shell, grants: Grants, guards: Guards
    ) -> None:
        pending, active = grants.open(), grants.approved()
        succeeded(shell.run("kubectl delete configmap bailiwick-guard"))
        waiting, _, scaling = script("operations/runbook.md", "kubectl wait --for=create").partition("\n")
        assert scaling.startswith("kubectl scale deployment/bailiwick-webhook")
        assert "condition met" in succeeded(shell.type(waiting))
        guards.await_recorded()
        assert reason(grants.await_phase(active, "Lapsed")) == VOID
        assert reason(grants.await_phase(pending, "Expired")) == VOID
        grants.approved()

    def test_of_a_namespace_revokes_what_is_active_there(self, shell: Shell, grants: Grants, roles: Roles) -> None:
        first, second, pending = grants.approved(), grants.approved(), grants.open()
        grants.await_phase(pending, "Pending")
        succeeded(shell.run("for grant in", "carol", crm=grants.namespace))
        for grant in (first, second):
            assert grants.await_phase(grant, "Revoked")["spec"]["revocation"]["reason"] == "incident 4412"
        assert grants.phase(pending) == "Pending"

    def test_of_a_policy_suspends_it(self, shell: Shell, callers: Callers, namespace: str) -> None:
        made = accepted(callers.admin.create(policy(namespace)))
        name = made["metadata"]["name"]
        done = shell.run("kubectl patch epol", **{"epol crm-agent": f"epol {name}", "-n crm": f"-n {namespace}"})
        succeeded(done)
        assert accepted(callers.admin.get(made))["spec"]["suspend"] is True

    def test_never_deletes_a_grant(self, shell: Shell, grants: Grants) -> None:
        name = grants.approved()["metadata"]["name"]
        refused = shell.type(f"kubectl delete agr {name} -n {grants.namespace}")
        assert "a grant is evidence: revoke it instead" in refused.stderr


class TestBreakingTheGlass:
    @pytest.fixture
    def unanswered(self, callers: Callers, installed: Installation) -> Iterator[None]:
        """The check of policies is registered, and nobody answers."""
        service = {"namespace": installed.namespace, "name": "nobody", "path": "/admission/validate", "port": 443}
        hook: dict[str, Any] = {
            "name": "endpointpolicies.bailiwick.dev",
            "clientConfig": {"service": service},
            "rules": [
                {
                    "apiGroups": ["bailiwick.dev"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["endpointpolicies"],
                }
            ],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
        body = {**kind, "metadata": {"name": "bailiwick-endpointpolicies"}, "webhooks": [hook]}
        before = callers.admin.get(REGISTRATION)
        accepted(callers.admin.apply(body, MANAGER, force=True))
        yield
        callers.admin.delete(REGISTRATION)
        if before.ok:
            del before.body["metadata"]["resourceVersion"]
            accepted(callers.admin.create(before.body))

    def test_lets_a_policy_be_written_and_closes_again(
        self, shell: Shell, callers: Callers, namespace: str, unanswered: None
    ) -> None:
        body = policy(namespace)
        refused = 'failed calling webhook "endpointpolicies.bailiwick.dev"'
        until(lambda: refused in callers.admin.create(body).message, "the check is in force")
        patch = (
            'kubectl patch validatingwebhookconfiguration bailiwick-endpointpolicies --type=json \\\n  -p \'[{"op": '
        )
        opening, closing = (f'{patch}"replace", "path": "/webhooks/0/failurePolicy", "value": "{to}' for to in OPENED)
        succeeded(shell.run(opening))
        until_ok(lambda: callers.admin.create(body), "a policy is stored")
        succeeded(shell.run(closing))
        name = body["metadata"]["name"]
        again = f"kubectl label epol {name} -n {namespace} touched=yes --overwrite"
        until(lambda: refused in shell.type(again).stderr, "the check is in force again")
        succeeded(shell.type(f"kubectl delete epol {name} -n {namespace}"))

    def test_is_in_no_reviewers_way(self, shell: Shell, grants: Grants, unanswered: None) -> None:
        assert grants.revoke(grants.approved()).ok


OPENED: Final = ("Ignore", "Fail")


class TestKeys:
    def test_that_were_stolen_are_replaced_at_once(self, shell: Shell, secret: Secret) -> None:
        until(secret.names, "keys")
        before = secret.names()
        succeeded(shell.run("kubectl patch secret bailiwick-keys"))
        assert secret.await_others(before)

    def test_are_listed_with_their_times(self, shell: Shell, secret: Secret) -> None:
        until(secret.names, "keys")
        read = "kubectl get secret bailiwick-keys -n bailiwick-system -o jsonpath='{.data.keys\\.json}' | base64 -d"
        listed = json.loads(succeeded(shell.type(read)))
        assert {key["kid"] for key in listed} == secret.names()
        assert all({"signFromTime", "untilTime"} <= key.keys() for key in listed)


def test_a_certificate_is_renewed_by_the_command_of_the_page(
    shell: Shell, callers: Callers, installed: Installation
) -> None:
    def served() -> str:
        path = f"/api/v1/namespaces/{installed.namespace}/secrets/bailiwick-serving"
        return str((accepted(callers.admin.get(path)).get("data") or {}).get("tls.crt", ""))

    until(served, "a certificate")
    before = served()
    succeeded(shell.run("kubectl annotate secret bailiwick-serving"))
    until(lambda: served() not in {"", before}, "another certificate")


def test_what_is_served_published_and_told_to_the_api_server_is_shown_side_by_side(
    shell: Shell, callers: Callers, installed: Installation
) -> None:
    before = callers.admin.get(REGISTRATION)
    succeeded(shell.run("kubectl apply --server-side -f crds/admission"))
    try:
        until(lambda: told(callers), "the authority in the registration")
        shown = succeeded(shell.run("kubectl get secret bailiwick-serving")).splitlines()
        assert sum(line.startswith("notAfter=") for line in shown) == len(("certificate", "ConfigMap", "caBundle"))
        assert any(f"DNS:{installed.webhook_name}.{installed.namespace}.svc," in line for line in shown)
        *_, published, _, bundled, _ = (line for line in shown if line.startswith(("subject=", "notAfter=")))
        assert published == bundled != shown[0]
    finally:
        if not before.ok:
            callers.admin.delete(REGISTRATION)


def told(callers: Callers) -> bool:
    return bool(accepted(callers.admin.get(REGISTRATION))["webhooks"][0]["clientConfig"].get("caBundle"))


def test_the_record_that_people_look_at_is_that_of_the_guards_in_force(
    shell: Shell, callers: Callers, installed: Installation, guards: Guards
) -> None:
    guards.await_recorded()
    stored = [accepted(callers.admin.get(path)) for path in paths(installed)]
    assert accepted(callers.admin.get(record_path(installed)))["data"]["fingerprint"] == fingerprint(
        [*stored, *routes(callers.admin)]
    )
    install = Shell(shell.cluster, "operations/install.md")
    assert "T" in succeeded(install.run("kubectl get configmap bailiwick-guard")).splitlines()[0]
