"""Asking by hand: what is written, and what the guards make of it."""

from collections.abc import Callable
from typing import Any

import pytest

from bailiwick_api.kinds.meta import GROUP
from support.commandline import Ran
from support.namespaces import Roles
from support.pdp import questions
from support.pdp.tenant import Tenant
from support.waits import until

Cli = Callable[..., Ran]


@pytest.fixture(scope="module", autouse=True)
def rights(tenant: Tenant) -> None:
    """Eve may ask; mallory may only look."""
    roles = Roles(tenant.callers.admin, tenant.namespace)
    roles.bind("bailiwick-request", "eve")
    roles.bind("bailiwick-view", "eve", "mallory")


@pytest.fixture
def ask(cli: Cli, tenant: Tenant) -> Callable[..., Ran]:
    def run(person: str, *arguments: str) -> Ran:
        agent = f"sa:{tenant.namespace}/agent"
        named = ("--endpoint", "crm-api", "--subject", agent, "--reason", "INC-7 please")
        # What is said last holds.
        return cli(person, "request", *named, *arguments)

    return run


def written(tenant: Tenant, ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran
    name = ran.out.strip().removeprefix(f"approvalgrant.{GROUP}/")
    request: dict[str, Any] = tenant.grant(name)["spec"]["request"]
    return request


def test_what_is_written_is_of_the_rule_that_speaks_of_it(ask: Cli, tenant: Tenant) -> None:
    ran = ask("eve", "customers.rotate", "customer/42", "--property", "env=prod", "--intent", "incident")
    request = written(tenant, ran)
    assert request.pop("pendingUntilTime")
    assert request == {
        "endpoint": "crm-api",
        "rules": [{"policy": "crm-agent", "rule": "rotate"}],
        "requester": {"username": "eve"},
        "subject": {"type": "serviceAccount", "id": tenant.agent},
        "action": {"name": "customers.rotate"},
        "resource": {"type": "customer", "id": "42", "properties": {"env": "prod"}},
        "intent": "incident",
        "binding": {"mode": "Scope"},
        "reason": "INC-7 please",
        "steps": [
            {
                "name": "crm-agent.rotate.owner",
                "policy": "crm-agent",
                "kind": "Human",
                "groups": ["crm-owners"],
                "count": 1,
            }
        ],
        "origin": "PreApproved",
        "windowSeconds": 1200,
        "maxUses": 3,
    }


def test_window_and_uses_can_be_less_and_not_more(ask: Cli, tenant: Tenant) -> None:
    request = written(tenant, ask("eve", "customers.rotate", "customer/1", "--window", "5m", "--uses", "2"))
    assert (request["windowSeconds"], request["maxUses"]) == (300, 2)
    for more, said in ((("--window", "1h"), "--window: 1h is not between"), (("--uses", "4"), "allow at most 3")):
        ran = ask("eve", "customers.rotate", "customer/1", *more)
        assert (ran.code, said in ran.err) == (2, True), ran


def test_a_rule_can_be_named(ask: Cli, tenant: Tenant) -> None:
    request = written(tenant, ask("eve", "customers.rotate", "customer/named-*", "--rule", "crm-agent/rotate"))
    assert request["resource"]["id"] == "named-*"
    ran = ask("eve", "customers.rotate", "customer/1", "--rule", "crm-agent/read")
    assert (ran.code, "no RequireApproval rule 'crm-agent/read'" in ran.err) == (2, True), ran


@pytest.mark.invariant(3)
def test_without_the_verb_the_guard_refuses(ask: Cli, tenant: Tenant) -> None:
    ran = ask("mallory", "customers.rotate", "customer/1")
    assert (ran.code, "cannot create resource" in ran.err) == (2, True), ran


def test_what_no_rule_gates_is_told_with_what_to_look_at(ask: Cli, tenant: Tenant) -> None:
    ran = ask("eve", "customers.list", "customer/1")
    assert ran.code == 2, ran
    assert f"kubectl bailiwick check --subject sa:{tenant.namespace}/agent customers.list customer/1" in ran.err


@pytest.mark.invariant(8)
def test_what_is_bound_to_one_exact_call_cannot_be_asked_for_beforehand(ask: Cli) -> None:
    ran = ask("eve", "customers.export", "customer/1")
    assert (ran.code, "crm-agent/export binds an approval to one exact call" in ran.err) == (2, True), ran


def test_a_reason_is_of_the_kind_that_the_rule_wants(ask: Cli) -> None:
    ran = ask("eve", "customers.seal", "customer/1", "--reason", "just so")
    assert (ran.code, "--reason: the reason must match INC-[0-9]+ .*" in ran.err) == (2, True), ran


def test_a_property_that_is_left_open_is_told(ask: Cli) -> None:
    assert "every value of env" in ask("eve", "customers.rotate", "customer/3").err
    assert "every value of env" not in ask("eve", "customers.rotate", "customer/3", "--property", "env=prod").err


@pytest.mark.invariant(1)
def test_what_was_asked_for_is_approved_by_somebody_else_and_used(ask: Cli, cli: Cli, tenant: Tenant) -> None:
    name = ask("eve", "customers.rotate", "customer/used", "--property", "env=prod").out.strip().rpartition("/")[2]
    until(lambda: "resolved" in tenant.grant(name).get("status", {}), f"{name} is resolved")
    binding = ("--yes", "--binding", tenant.grant(name)["metadata"]["uid"])
    own = cli("eve", "approve", name, "--reason", "mine", *binding)
    assert (own.code, "eve is not allowed to approve this" in own.err) == (2, True), own
    done = cli("carol", "approve", name, "--reason", "seen", *binding)
    assert done.code == 0, done
    waited = cli("carol", "wait", name, "--timeout", "20s")
    assert (waited.code, tenant.phase(name)) == (0, "Active"), waited
    body = tenant.body("customers.rotate", "used")
    body["resource"]["properties"] = {"env": "prod"}
    until(lambda: questions.post(tenant.url(), body, tenant.pep).decision is True, "the call is allowed")
    assert tenant.uses(name) == 1
    body["resource"]["properties"] = {"env": "test"}
    assert questions.post(tenant.url(), body, tenant.pep).decision is False


def test_waiting_for_it_ends_with_a_code_of_its_own(ask: Cli) -> None:
    ran = ask("eve", "customers.rotate", "customer/2", "--wait", "2s")
    assert ran.code == 4, ran
