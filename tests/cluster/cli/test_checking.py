"""`check` against policies in the cluster: the same answer as the decision point's, with what would unlock it."""

import json
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from bailiwick_engine.compile import acceptance
from bailiwick_kube.paths import revocations_path
from support import commandline
from support.commandline import Ran
from support.namespaces import Roles
from support.objects import policy, rule, settings
from support.pdp.tenant import OWNERS, Tenant
from support.waits import until

Cli = Callable[..., Ran]

CODES: Final = {0: True, 1: False, 3: False}


@pytest.fixture(scope="module", autouse=True)
def readers(tenant: Tenant) -> None:
    """To check takes the policies, which whoever approves need not see."""
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", f"group:{OWNERS}")


@pytest.fixture
def check(cli: Cli, tenant: Tenant) -> Callable[..., Ran]:
    def run(*arguments: str) -> Ran:
        return cli("carol", "check", "--subject", f"sa:{tenant.namespace}/agent", *arguments)

    return run


@pytest.mark.parametrize(
    ("action", "code"),
    [("customers.list", 0), ("customers.export", 3), ("customers.purge", 1), ("customers.unheard", 1)],
)
def test_it_says_what_the_decision_point_says(check: Cli, tenant: Tenant, action: str, code: int) -> None:
    ran = check(action, "customer/check", "-o", "json")
    said = json.loads(ran.out)
    asked = tenant.ask_itself(action, "check")
    assert (ran.code, CODES[ran.code], said["reason"]) == (code, asked.decision, asked.reason or "allowed"), ran


def test_what_would_unlock_it_is_told(check: Cli) -> None:
    ran = check("customers.export", "customer/unlock")
    assert (ran.code, ran.out.splitlines()[0]) == (3, "approval required  approval_required"), ran
    assert "1 Human review from crm-owners (crm-agent.export.owner)" in ran.out
    denied = check("customers.unheard", "customer/unlock")
    assert "crm-agent/read: action does not hold; expected: customers.get, customers.list" in denied.out


def test_an_approval_that_is_there_is_found(check: Cli, tenant: Tenant, cli: Cli) -> None:
    name = tenant.approved("customers.export", "found")
    # Only who may see the service account knows the uid that the approval is bound to.
    ran = cli("admin", "check", "--subject", f"sa:{tenant.namespace}/agent", "customers.export", "customer/found")
    assert (ran.code, name in ran.out) == (0, True), ran
    blind = check("customers.export", "customer/found")
    assert (blind.code, "existing approvals are ignored" in blind.err) == (3, True), blind


def test_impersonation_and_the_subject_are_told_apart(tenant: Tenant) -> None:
    ran = commandline.run(
        *("check", "--subject", f"sa:{tenant.namespace}/agent", "--as", "carol", "--as-group", "crm-owners"),
        *("-n", tenant.namespace, "customers.list", "customer/1"),
        kubeconfig=tenant.cluster.kubeconfig("admin"),
    )
    assert ran.code == 0, ran


def test_an_unknown_endpoint_names_those_that_there_are(check: Cli) -> None:
    ran = check("customers.list", "customer/1", "--endpoint", "other")
    assert (ran.code, "the endpoints are crm-api" in ran.err) == (2, True), ran


@pytest.fixture
def bare(tenant: Tenant) -> Iterator[None]:
    """Two more endpoints, one whose settings nobody carries and one whose settings two policies carry."""
    admin, space, rules = tenant.callers.admin, tenant.namespace, [rule(expireTime="2026-03-31T00:00:00Z")]
    bodies = [policy(space, "bare", endpoint="bare")]
    bodies += [
        policy(space, name, endpoint="both", endpointSettings=settings(), rules=rules) for name in ("one", "two")
    ]
    for body in bodies:
        assert admin.create(body).ok
    yield
    for body in bodies:
        assert admin.delete(body).ok


@pytest.mark.usefixtures("bare")
def test_settings_that_nobody_carries_or_two_do_are_told_and_are_no_plain_denial(check: Cli) -> None:
    ran = check("customers.list", "customer/1", "--endpoint", "bare")
    assert (ran.code, f"error: {acceptance.unconfigured_message('bare')}" in ran.err) == (2, True), ran
    ran = check("customers.list", "customer/1", "--endpoint", "both")
    assert (ran.code, ran.out.splitlines()[0]) == (2, "deny  policy_invalid"), ran
    assert f"error: the policy one: {acceptance.conflict_message('both', ['two'])}" in ran.err
    assert "warning: the policy two: spec.rules[0].expireTime: rule read expired at" in ran.err


@pytest.fixture
def take_back(cli: Cli, tenant: Tenant) -> Iterator[Callable[..., str]]:
    """Take the agent back; returns the name of the object. In the end it is given back."""
    made: list[str] = []

    def run(*flags: str) -> str:
        ran = cli("admin", "take-back", f"sa:{tenant.namespace}/agent", "--reason", "stolen", "-o", "name", *flags)
        assert ran.code == 0, ran
        made.append(ran.out.strip().rpartition("/")[2])
        return made[-1]

    yield run
    for name in made:
        assert tenant.callers.admin.delete(revocations_path(name)).ok
    until(lambda: tenant.ask_itself("customers.list", "given-back").decision, "the agent is given back")


def test_a_subject_that_is_held_is_denied_as_the_decision_point_denies_it(
    take_back: Callable[..., str], cli: Cli, tenant: Tenant
) -> None:
    name = take_back("--hold")
    until(lambda: tenant.ask_itself("customers.list", "held").reason == "identity_revoked", "it is held")
    asked = ("check", "--subject", f"sa:{tenant.namespace}/agent", "customers.list", "customer/held")
    ran = cli("admin", *asked, "-o", "json")
    assert (ran.code, json.loads(ran.out)["reason"]) == (1, "identity_revoked"), ran
    assert f"note: SubjectRevocation {name} refuses this subject, or the enforcer" in ran.err
    # Who may not read them gets the answer of the policies, and learns that it is no more than that.
    blind = cli("carol", *asked)
    assert (blind.code, "SubjectRevocations are ignored, because they cannot be read" in blind.err) == (0, True), blind


def test_a_subject_whose_earlier_tokens_are_refused_is_told_and_asked_about_with_a_newer_one(
    take_back: Callable[..., str], cli: Cli, tenant: Tenant
) -> None:
    name = take_back()
    asked = ("check", "--subject", f"sa:{tenant.namespace}/agent", "customers.list", "customer/1")
    # Tokens are refused that were issued up to a second after it was made.
    until(lambda: cli("admin", *asked).code == 0, "a token of now is a newer one")
    ran = cli("admin", *asked)
    assert f"note: SubjectRevocation {name} refuses tokens issued before 20" in ran.err, ran
