"""Policies in Git, kept in step by the real Argo CD while the operator and the decision points run."""

from collections.abc import Callable
from typing import Final

import pytest
import yaml

from argocd.team import EXAMPLE, Team
from support.gitops import TRACKING
from support.installation import MANAGER, accepted
from support.objects import POLICY, Object, rule
from support.pdp.tenant import RULES
from support.shell import Shell, succeeded
from support.waits import until

ONLY_FROM_GIT: Final = EXAMPLE.with_name("only-from-git.yaml")
NewTeam = Callable[[bool], Team]
DENY = {**RULES[4]}
ADDED: list[Object] = [
    {"op": "add", "path": "/spec/rules/0/actions/-", "value": "customers.purge"},
    {"op": "add", "path": "/spec/rules/-", "value": rule("backdoor", actions=["*"])},
    {"op": "add", "path": "/spec/endpointSettings/enforcers/-", "value": {"namespace": "x", "name": "y"}},
]
BROKEN = [rule("read", conditions=[{"name": "office", "expression": "resource.type = 'customer'"}])]


def condition(body: Object, kind: str = "Ready") -> Object:
    entries = (body.get("status") or {}).get("conditions") or ()
    return next((entry for entry in entries if entry["type"] == kind), {})


def edit(team: Team, *changes: Object) -> None:
    accepted(team.admin.patch(team.path(), list(changes), "json"))


def test_what_is_in_git_is_in_force_and_healthy(team: Team) -> None:
    assert team.tenant.ask("customers.list").decision is True
    assert team.tenant.ask("customers.purge").decision is False
    health = team.app.resource("EndpointPolicy", POLICY)["health"]
    assert health == {"status": "Healthy", "message": "in force; 5 rules compiled"}


def test_nothing_drifts_once_the_operator_has_written_status(team: Team) -> None:
    before = team.live()
    assert condition(before)["status"] == "True"
    syncs = team.app.syncs()
    for how in ("normal", "hard", "normal"):
        status = team.app.refresh(how)
        assert (status["sync"]["status"], status["health"]["status"]) == ("Synced", "Healthy")
    after = team.live()
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert team.app.syncs() == syncs


@pytest.mark.parametrize(
    "change",
    [
        {"op": "replace", "path": "/spec/rules/4/effect", "value": "Allow"},
        {"op": "remove", "path": "/spec/rules/4"},
    ],
    ids=["weakened", "removed"],
)
def test_a_rule_that_was_changed_in_the_cluster_is_restored(team: Team, change: Object) -> None:
    edit(team, change)
    team.admin.wait(team.path(), lambda answer: answer.body["spec"]["rules"][4:] == [DENY], 30)
    team.app.await_settled()
    team.tenant.await_known(lambda said: said.decision is False, "customers.purge")


def test_while_self_heal_is_paused_what_was_taken_away_in_the_cluster_stays_away(new_team: NewTeam) -> None:
    team = new_team(False)
    page = Shell(team.tenant.cluster, "operations/gitops.md")
    succeeded(page.run("kubectl patch application crm-policies", **{"crm-policies": team.app.name}))
    syncs = team.app.syncs()
    edit(team, {"op": "remove", "path": "/spec/rules/0"})
    team.tenant.await_known(lambda said: said.decision is False, "customers.list")
    # The first comparison may still be one with what was there before.
    until(lambda: team.app.refresh("hard")["sync"]["status"] == "OutOfSync", "it is out of step")
    for _ in range(3):
        assert team.app.refresh("hard")["sync"]["status"] == "OutOfSync"
    assert [entry["name"] for entry in team.live()["spec"]["rules"]] == ["export", "notify", "erase", "never"]
    assert team.app.syncs() == syncs


@pytest.mark.parametrize("addition", ADDED, ids=["action", "rule", "enforcer"])
def test_what_was_added_in_the_cluster_is_taken_away(new_team: NewTeam, addition: Object) -> None:
    team = new_team(False)
    before = team.live()["spec"]
    edit(team, addition)
    team.admin.wait(team.path(), lambda answer: answer.body["spec"] == before, 30)
    team.app.await_settled()


@pytest.mark.parametrize("server_side", [False, True], ids=["as advised", "server-side"])
def test_a_field_that_git_does_not_name_is_left_alone_however_it_compares(
    new_team: NewTeam,
    server_side: bool,
) -> None:
    team = new_team(server_side)
    unnamed = {"expireTime": "2030-01-01T00:00:00Z", "endpointSettings": {"identity": {"verification": "Asserted"}}}
    accepted(team.admin.patch(team.path(), {"spec": unnamed}, "merge"))
    # The first comparison may still be one with what was there before, or with half of it.
    until(lambda: team.app.refresh("hard")["sync"]["status"] == "Synced", "it is in step")
    assert team.app.refresh("hard")["sync"]["status"] == "Synced"
    spec = team.live()["spec"]
    assert (spec["expireTime"], spec["endpointSettings"]["identity"]["verification"]) == (
        unnamed["expireTime"],
        "Asserted",
    )


# Why docs/operations/gitops.md advises against both. Where this fails, Argo CD has learnt it, and the advice can go.
def test_what_was_added_in_the_cluster_is_not_even_seen_by_a_server_side_diff(new_team: NewTeam) -> None:
    team = new_team(True)
    edit(team, *ADDED[:2])
    for _ in range(2):
        assert team.app.refresh("hard")["sync"]["status"] == "Synced"
    assert [entry["name"] for entry in team.live()["spec"]["rules"]][-1] == "backdoor"


def test_a_server_side_diff_sees_an_enforcer_that_was_added(new_team: NewTeam) -> None:
    # Enforcers are one value, of which one side has all or nothing.
    team = new_team(True)
    before = team.live()["spec"]
    edit(team, ADDED[2])
    team.admin.wait(team.path(), lambda answer: answer.body["spec"] == before, 30)
    team.app.await_settled()


def test_a_server_side_diff_forgets_that_the_server_refused(new_team: NewTeam) -> None:
    team = new_team(True)
    before = team.live()["spec"]
    team.write(team.policy(rules=[{**rule("read"), "effect": "Maybe"}]))
    team.app.await_refused('Unsupported value: "Maybe"')
    # By the time that it compares again of itself.
    until(lambda: team.app.status()["sync"]["status"] == "Synced", "Argo CD says Synced", 30)
    assert team.app.status()["sync"]["revision"] == team.repository.head
    assert team.live()["spec"] == before


def test_a_change_in_git_is_in_force_soon(team: Team) -> None:
    team.write(team.policy(rules=[rule("read", actions=["customers.get"])]))
    team.app.await_settled()
    team.tenant.await_known(lambda said: said.decision is False, "customers.list")
    assert team.tenant.ask("customers.list").reason == "no_rule"


def test_what_the_schema_refuses_is_shown_and_changes_nothing(team: Team) -> None:
    before = team.live()
    team.write(team.policy(rules=[{**rule("read"), "effect": "Maybe"}]))
    team.app.await_refused('Unsupported value: "Maybe"')
    assert team.live()["spec"] == before["spec"]
    assert team.tenant.ask("customers.list").decision is True
    team.write(team.policy())
    team.app.await_settled()


def test_what_does_not_compile_is_degraded_with_the_words_of_the_compiler(team: Team) -> None:
    team.write(team.policy(rules=BROKEN))
    team.app.await_settled("Degraded")
    message = team.app.resource("EndpointPolicy", POLICY)["health"]["message"]
    assert message == condition(team.live(), "Accepted")["message"]
    assert message.startswith("spec.rules[0].conditions[0].expression:1:15: ")
    until(lambda: team.tenant.ask("customers.list").reason == "policy_invalid", "it denies every call that it covers")
    team.write(team.policy())
    team.app.await_settled()


def test_a_removed_file_is_pruned_and_the_grants_that_were_opened_stay(team: Team) -> None:
    name = team.tenant.approved("customers.notify", "7")
    opened = team.tenant.grant(name)
    # Else Argo CD would take it for its own, and prune it, since Git does not have it.
    assert TRACKING in team.live()["metadata"]["annotations"]
    assert "annotations" not in opened["metadata"]
    assert "argoproj" not in str(opened["metadata"])
    # Argo CD refuses to prune the last object of an application.
    team.write(team.policy("orders", endpoint="orders"), "orders")
    team.remove()
    team.app.await_settled()
    assert team.admin.get(team.path()).status == 404
    assert team.tenant.grant(name)["metadata"]["uid"] == opened["metadata"]["uid"]
    assert team.app.resource("ApprovalGrant", name) == {}
    until(lambda: team.tenant.ask("customers.notify", "7").decision is not True, "nothing is allowed any more")


def test_a_suspended_policy_shows_as_suspended_and_an_expired_one_is_no_alarm(new_team: NewTeam) -> None:
    team = new_team(False)
    team.write(team.policy(suspend=True))
    team.app.await_settled("Suspended")
    team.write(team.policy(expireTime="2026-01-01T00:00:00Z"))
    team.app.await_settled("Healthy")
    assert "expired at" in team.app.resource("EndpointPolicy", POLICY)["health"]["message"]


def test_where_policies_are_only_from_git_nobody_else_writes_them_and_argo_cd_does(new_team: NewTeam) -> None:
    team = new_team(False)
    for document in yaml.safe_load_all(ONLY_FROM_GIT.read_text(encoding="utf-8")):
        accepted(team.admin.apply(document, MANAGER, force=True))
    namespace = f"/api/v1/namespaces/{team.tenant.namespace}"
    accepted(team.admin.patch(namespace, {"metadata": {"labels": {"bailiwick-policies": "from-git"}}}, "merge"))

    def refusal() -> str:
        return team.admin.patch(team.path(), {"spec": {"suspend": True}}, "merge", dry_run=True).message

    until(lambda: "policies of this namespace come from Git" in refusal(), "the admission policy is in force")
    assert team.admin.delete(team.path()).status == 403
    team.write(team.policy(rules=[rule("read", actions=["customers.get"])]))
    team.app.await_settled()
    team.write(team.policy("orders", endpoint="orders"), "orders")
    team.remove()
    team.app.await_settled()
    assert team.admin.get(team.path()).status == 404
