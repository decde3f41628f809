"""`who-can` of a cluster: the policies that are there, and who could change the answer, as the API server says."""

import json
from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP
from support.commandline import Ran
from support.namespaces import Roles, rule
from support.objects import POLICY
from support.pdp.tenant import OWNERS, Tenant

Cli = Callable[..., Ran]
EXPORT: Final = ("who-can", "customers.export", "--on", "customer/42")


@pytest.fixture(scope="module", autouse=True)
def rights(tenant: Tenant) -> None:
    """Who sees policies, and who may make a token of the agent or change the policies."""
    roles = Roles(tenant.callers.admin, tenant.namespace)
    roles.bind("bailiwick-view", f"group:{OWNERS}")
    roles.give([rule("", "serviceaccounts/token", "create")], "mallory")
    roles.give([rule(GROUP, ENDPOINT_POLICIES, "patch")], f"system:serviceaccount:{tenant.namespace}:deployer")


def test_who_could_change_the_answer_is_told_beside_who_may(cli: Cli, tenant: Tenant) -> None:
    ran = cli("admin", *EXPORT, "-o", "json")
    said = json.loads(ran.out)
    agent = f"sa:{tenant.namespace}/agent"
    assert (ran.code, [(one["subject"], one["verdict"]) for one in said["answers"]]) == (0, [(agent, "approval")]), ran
    routes = {(one["who"], one["can"]) for one in said["indirect"]["routes"]}
    assert routes >= {
        ("user mallory", f"create tokens of {agent}"),
        (f"sa:{tenant.namespace}/deployer", f"change the policies of {tenant.namespace}"),
        (f"group {OWNERS}", f"approve for the policy {POLICY}"),
        ("group system:masters", f"impersonate {agent}"),
        ("group system:masters", f"impersonate the group {OWNERS}"),
    }
    # Whoever is bound to something else is a candidate, and no more.
    assert ("user mallory", f"change the policies of {tenant.namespace}") not in routes
    assert (f"group {OWNERS}", f"create tokens of {agent}") not in routes
    assert said["indirect"]["notAsked"] == []
    table = cli("admin", *EXPORT)
    assert "\nINDIRECTLY" in table.out
    assert "crm-agent/export at" not in table.out


def test_without_the_rights_to_ask_the_answer_stands_and_says_what_it_lacks(cli: Cli) -> None:
    ran = cli("carol", *EXPORT)
    assert (ran.code, "approval" in ran.out, "INDIRECTLY" in ran.out) == (0, True, False), ran
    assert "note: subjects named only by clusterrolebindings are left out: " in ran.err
    assert "note: subjects named only by rolebindings are left out: " in ran.err


def test_direct_asks_nobody_else(cli: Cli) -> None:
    ran = cli("carol", *EXPORT, "--direct")
    assert (ran.code, "approval" in ran.out, "left out" in ran.err) == (0, True, False), ran


def test_of_a_direct_answer_too_is_said_that_revocations_could_not_be_read(cli: Cli) -> None:
    notes = cli("carol", *EXPORT, "--direct").err.splitlines()
    assert [note.partition(", because")[0] for note in notes] == ["note: SubjectRevocations are ignored"]
    assert cli("admin", *EXPORT, "--direct").err == ""


def test_what_the_agent_can_is_what_the_decision_point_says(cli: Cli, tenant: Tenant) -> None:
    ran = cli("carol", "what-can", f"sa:{tenant.namespace}/agent", "-o", "json")
    told = {one["where"]["action"]: one["verdict"] for one in json.loads(ran.out)["answers"]}
    assert (ran.code, told["customers.export"]) == (0, "approval"), ran
    assert "customers.purge" not in " ".join(told)
    assert cli("carol", "what-can", f"sa:{tenant.namespace}/nobody").code == 1
