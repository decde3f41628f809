"""Grants beside Argo CD: what refreshes, dry runs and syncs do to them, and what becomes of one that stands in Git."""

import secrets
from typing import Final

import pytest

from argocd.team import Team
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, GROUP
from bailiwick_api.manifests.guards import FIELDS_OWNED
from localcluster.argocd import NAMESPACE
from support.gitops import TRACKING
from support.installation import accepted
from support.namespaces import Roles, rule as rbac_rule
from support.objects import Object, gated_rule, grant, review, step
from support.pdp.tenant import OWNERS

WRITER: Final = "policy-writer"
BY_HAND: Final = "from-git"
SCOPED: Final = gated_rule(
    "export", approval={"binding": "Scope", "steps": [{"name": "owner", "kind": "Human", "groups": [OWNERS]}]}
)


@pytest.fixture
def lenient(team: Team) -> Team:
    """A team whose project lets grants come from Git, against our advice, and whose rule takes such grants."""
    namespace = team.tenant.namespace
    kinds = [{"group": GROUP, "kind": kind} for kind in ("EndpointPolicy", "ApprovalGrant")]
    project = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/appprojects/{namespace}"
    accepted(team.admin.patch(project, {"spec": {"namespaceResourceWhitelist": kinds}}, "merge"))
    Roles(team.admin, namespace).give(
        [rbac_rule(GROUP, APPROVAL_GRANTS, "get", "list", "create", "update", "patch", "delete")], writer(team)
    )
    team.write(team.policy(rules=[SCOPED]))
    team.app.await_settled()
    return team


def writer(team: Team) -> str:
    """Whom Argo CD acts as for this team."""
    return team.tenant.account(WRITER)


def in_git(team: Team, requester: str, **request: object) -> Object:
    """A grant of the agent's, as somebody would write it into Git."""
    body = grant(
        team.tenant.namespace,
        BY_HAND,
        requester=requester,
        rules=[{"policy": "crm-agent", "rule": "export"}],
        subject={"type": "serviceAccount", "id": team.tenant.agent},
        steps=[step(groups=[OWNERS])],
        **request,
    )
    # What Git does not name, Argo CD leaves to others.
    del body["spec"]["reviews"]
    return body


def commit(team: Team, body: Object) -> None:
    team.repository.write(f"{team.tenant.namespace}/grant.yaml", body)


def sync(team: Team, *options: str, force: bool = False) -> Object:
    """Sync by hand, with these options, and return how it ended."""
    # Two within one second begin and end at the same times, so this one has a name.
    name = [{"name": "test", "value": secrets.token_hex(8)}]
    operation: Object = {"info": name, "sync": {"revision": team.repository.head, "syncOptions": list(options)}}
    if force:
        operation["sync"]["syncStrategy"] = {"apply": {"force": True}}
    accepted(team.admin.patch(team.app.path, {"operation": operation}, "merge"))

    def ended(status: Object) -> bool:
        state = status.get("operationState") or {"operation": {}}
        return state["operation"].get("info") == name and state["phase"] in {"Succeeded", "Failed", "Error"}

    state: Object = team.app.await_(ended, f"synced with {options}")["operationState"]
    return state


def approve(team: Team) -> None:
    """Have Carol approve the grant from Git, once the operator says what it names."""
    path = team.tenant.path_of(BY_HAND)
    stored = team.admin.wait(path, lambda answer: "resolved" in (answer.body.get("status") or {}), 30).body
    carols = {"spec": {"reviews": [review(stored, "carol", group=OWNERS)]}}
    accepted(team.tenant.callers("carol").patch(stored, carols, "merge"))
    team.tenant.await_known(lambda said: said.decision is True, "customers.export")


def test_comparing_uses_no_grant_and_a_used_one_stays_used(team: Team) -> None:
    name = team.tenant.approved("customers.export", "1")
    before = team.tenant.grant(name)
    # A dry run of the whole object, as Argo CD's comparison and `kubectl --dry-run=server` send it. It is refused as
    # the write would be, since this account did not write the grant.
    clean = {key: before[key] for key in ("apiVersion", "kind", "spec")}
    clean["metadata"] = {key: before["metadata"][key] for key in ("name", "namespace")}
    assert FIELDS_OWNED in team.admin.apply(clean, "argocd-controller", dry_run=True, force=True).message
    for how in ("normal", "hard", "normal"):
        team.app.refresh(how)
    assert team.tenant.grant(name) == before
    assert team.tenant.ask("customers.export", "1").decision is True
    team.tenant.callers.admin.wait(team.tenant.path_of(name), lambda said: said.body["status"]["phase"] == "Consumed")
    team.app.refresh("hard")
    sync(team)
    assert team.tenant.uses(name) == 1
    assert team.tenant.ask("customers.export", "1").decision is False


def test_the_project_of_the_example_takes_no_grant_from_git(team: Team) -> None:
    commit(team, in_git(team, writer(team)))
    team.app.await_refused(f"resource {GROUP}:ApprovalGrant is not permitted in project")
    assert team.tenant.grants() == []


def test_a_grant_in_git_is_opened_in_nobody_elses_name_and_by_who_may_request(lenient: Team) -> None:
    commit(lenient, in_git(lenient, "dave"))
    lenient.app.await_refused(f"requester must be you: {writer(lenient)}")
    commit(lenient, in_git(lenient, writer(lenient)))
    lenient.app.await_refused("you need the verb request on each endpointpolicy that the grant names")
    assert lenient.tenant.grants() == []


def test_an_approval_in_git_is_refused_even_of_who_may_request(lenient: Team) -> None:
    Roles(lenient.admin, lenient.tenant.namespace).bind("bailiwick-request", writer(lenient))
    body = in_git(lenient, writer(lenient))
    body["spec"]["reviews"] = [review({**body, "metadata": {"uid": "of-nothing"}}, "dave", group=OWNERS)]
    commit(lenient, body)
    lenient.app.await_refused("a new grant cannot have reviews or a revocation")
    assert lenient.tenant.grants() == []


def test_a_grant_in_git_is_approved_by_people_and_used_once_whatever_is_synced_then(lenient: Team) -> None:
    Roles(lenient.admin, lenient.tenant.namespace).bind("bailiwick-request", writer(lenient))
    commit(lenient, in_git(lenient, writer(lenient)))
    lenient.app.await_settled("Suspended")
    approve(lenient)
    lenient.app.await_settled("Healthy")
    assert lenient.tenant.ask("customers.export").decision is True
    lenient.app.await_settled("Healthy")
    stored = lenient.tenant.grant(BY_HAND)
    assert TRACKING in stored["metadata"]["annotations"]
    # A plain sync changes nothing; a replacement would take the reviews away, and a forced one the grant itself.
    assert sync(lenient)["phase"] == "Succeeded"
    assert "reviews are append-only" in str(sync(lenient, "Replace=true"))
    assert ("a grant is evidence: revoke it instead") in str(sync(lenient, "Replace=true", force=True))
    after = lenient.tenant.grant(BY_HAND)
    assert (after["metadata"]["uid"], after["status"]["uses"]) == (stored["metadata"]["uid"], 1)
    assert lenient.tenant.ask("customers.export").decision is False


def test_a_grant_that_leaves_git_stays_as_evidence(lenient: Team) -> None:
    Roles(lenient.admin, lenient.tenant.namespace).bind("bailiwick-request", writer(lenient))
    commit(lenient, in_git(lenient, writer(lenient)))
    lenient.app.await_settled("Suspended")
    lenient.repository.remove(f"{lenient.tenant.namespace}/grant.yaml")
    lenient.app.await_refused("a grant is evidence: revoke it instead")
    assert lenient.tenant.phase(BY_HAND) == "Pending"
