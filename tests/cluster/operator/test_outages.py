"""The API server goes away and comes back, hangs, or refuses the token: the operator goes on, or says why not.

Holds: an outage that is shorter than the lease is survived in place; a longer one ends the leader; a follower waits.
"""

import time
from pathlib import Path

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import crds
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane
from localcluster.rest import Rest
from localcluster.tokenrequest import Account
from support.callers import Callers
from support.installation import DEFINITIONS, accepted, apply
from support.objects import Object, policy
from support.waits import until

pytestmark = pytest.mark.long


def test_a_restart_of_the_api_server_is_survived(operator: Operator, plane: ControlPlane, grants: Grants) -> None:
    body = grants.open()
    grants.await_phase(body, "Pending")
    plane.restart_apiserver(grace=0)
    accepted(grants.review(body))
    grants.await_phase(body, "Active", 30)
    assert grants.approved()["status"]["phase"] == "Active"
    assert operator.said("lost leadership, exiting") == []


def test_an_api_server_that_hangs_for_a_moment_is_survived(
    operator: Operator, plane: ControlPlane, grants: Grants
) -> None:
    plane.pause()
    time.sleep(5)
    plane.resume()
    assert grants.approved()["status"]["phase"] == "Active"
    assert operator.said("lost leadership, exiting") == []


def test_a_long_outage_ends_the_leader_with_a_reason(operator: Operator, plane: ControlPlane, grants: Grants) -> None:
    plane.pause()
    try:
        assert operator.process.wait(30) == 1
    finally:
        plane.resume()
    assert "could not be renewed within 10 s" in operator.said("lost leadership, exiting")[0]["why"]
    operator.start().await_leading(60)


def test_a_leader_stops_within_seconds_though_the_api_server_hangs(
    operator: Operator, plane: ControlPlane, grants: Grants
) -> None:
    plane.pause()
    try:
        began = time.monotonic()
        assert operator.stop() == 0
        assert time.monotonic() - began < 10
    finally:
        plane.resume()
    operator.start().await_leading(60)


def test_a_follower_waits_for_an_api_server_that_is_not_there(
    operator: Operator, new_operator: NewOperator, plane: ControlPlane, grants: Grants
) -> None:
    assert operator.stop() == 0
    plane.stop_apiserver(grace=0)
    try:
        early = new_operator().start()
        early.await_said("not leading")
        time.sleep(12)
        assert early.process.poll() is None
    finally:
        plane.start_apiserver()
    early.await_leading(60)
    assert early.stop() == 0
    operator.start().await_leading()


class TestDefinitionsThatAreNotThere:
    @pytest.fixture
    def definition(self, callers: Callers, installed: Installation) -> Object:
        """The definition of policies, which a test may remove."""
        return crds.endpoint_policies()

    def test_are_waited_for_at_the_start(
        self, operator: Operator, new_operator: NewOperator, callers: Callers, definition: Object, namespace: str
    ) -> None:
        assert operator.stop() == 0
        remove(callers.admin, definition)
        early = new_operator().start()
        early.await_said("leading")
        early.await_said("waiting for the custom resources: apply crds/ and the roles of Bailiwick")
        apply(callers.admin, [definition])
        early.await_leading()
        assert has_status(callers.admin, policy(namespace))
        assert early.stop() == 0
        operator.start().await_leading()

    def test_are_waited_for_when_they_were_there(
        self, operator: Operator, callers: Callers, definition: Object, namespace: str
    ) -> None:
        assert has_status(callers.admin, policy(namespace, "before"))
        remove(callers.admin, definition)
        time.sleep(3)
        apply(callers.admin, [definition])
        assert has_status(callers.admin, policy(namespace, "after"))


def remove(admin: Rest, definition: Object) -> None:
    """Remove a definition and all objects of its kind, and wait until they are gone."""
    path = f"{DEFINITIONS}/{definition['metadata']['name']}"
    accepted(admin.delete(path))
    until(lambda: admin.get(path).status == 404, "the definition is gone")


def has_status(admin: Rest, body: Object) -> bool:
    """Create a policy and wait until it has a status."""
    until(lambda: admin.create(body).status in {201, 409}, "the policy is created")
    return "status" in admin.wait(body, lambda answer: "status" in answer.body, 30).body


@pytest.mark.timeout(180)
def test_a_token_that_is_replaced_is_used(
    new_operator: NewOperator,
    operator: Operator,
    cluster: Cluster,
    installed: Installation,
    tmp_path: Path,
    account: Path,
    grants: Grants,
) -> None:
    assert operator.stop() == 0
    who = Account(installed.namespace, installed.operator_name)
    binding = accepted(grants.admin.create(secret(installed)))
    # Dies with the secret that it is bound to, as a pod's does with the pod.
    first = cluster.issue_token(who, binding).value
    token, kubeconfig = tmp_path / "token", tmp_path / "kubeconfig"
    token.write_text(first)
    lines = account.read_text().splitlines()
    kubeconfig.write_text("\n".join(f"    tokenFile: {token}" if "tokenFile" in line else line for line in lines))
    with new_operator("--proof-interval", "3", kubeconfig=kubeconfig) as rotated:
        token.write_text(cluster.issue_token(who).value)
        accepted(grants.admin.delete(binding))
        until(lambda: cluster.rest_with_token(first).get("/api").status == 401, "the first token is refused")
        assert grants.approved()["status"]["phase"] == "Active"
        assert has_status(grants.admin, policy(grants.namespace))
        assert rotated.said("lost leadership, exiting") == []
    operator.start().await_leading()


def secret(installed: Installation) -> Object:
    metadata = {"namespace": installed.namespace, "name": "bound-to"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
