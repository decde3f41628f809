"""A grant lets exactly as many calls through as it says, and only those that it was given for."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from support.installation import accepted
from support.objects import gated_rule
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants
from support.waits import until

RACERS: Final = 60
REPLICAS: Final = 3


@pytest.mark.invariant(10)
def test_an_approved_call_goes_through_once(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "once", args={"format": "csv"})
    answers = [tenant.ask("customers.export", "once", args={"format": "csv"}, point=point) for point in (0, 1, 2, 0)]
    assert [answer.decision for answer in answers] == [True, False, False, False]
    assert {answer.reason for answer in answers[1:]} == {"approval_consumed"}
    assert tenant.uses(name) == 1


def test_the_answer_names_the_grant_and_its_use(tenant: Tenant) -> None:
    name = tenant.approved("customers.notify", "named")
    answers = [tenant.ask("customers.notify", "named", point=point) for point in range(REPLICAS)]
    stored = tenant.grant(name)
    assert [answer.context["approval"] for answer in answers] == [
        {
            "id": f"{name}.{stored['metadata']['uid']}",
            "approved_until": stored["status"]["notAfterTime"],
            "uses": use,
        }
        for use in (1, 2, 3)
    ]
    recorded = [record["evaluationID"] for record in stored["status"]["useRecords"]]
    assert recorded == [answer.context["evaluation_id"] for answer in answers]


@pytest.mark.invariant(8)
def test_other_arguments_resources_and_contexts_are_other_calls(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "bound", args={"format": "csv"}, tenant="a")
    others = [
        tenant.ask("customers.export", "bound", args={"format": "json"}, tenant="a"),
        tenant.ask("customers.export", "bound", args={"format": "csv", "more": 1}, tenant="a"),
        tenant.ask("customers.export", "bound", tenant="a"),
        tenant.ask("customers.export", "bound", args={"format": "csv"}, tenant="b"),
        tenant.ask("customers.export", "bound", args={"format": "csv"}),
        tenant.ask("customers.export", "bound-too", args={"format": "csv"}, tenant="a"),
        tenant.ask("customers.notify", "bound", args={"format": "csv"}, tenant="a"),
    ]
    assert {(answer.decision, answer.reason) for answer in others} == {(False, "approval_required")}
    assert tenant.uses(name) == 0
    assert tenant.ask("customers.export", "bound", args={"format": "csv"}, tenant="a").decision is True


# AB-13
@pytest.mark.invariant(10)
def test_of_sixty_calls_at_once_over_three_processes_exactly_three_use_a_grant_of_three(tenant: Tenant) -> None:
    name = tenant.approved("customers.notify", "raced")
    with ThreadPoolExecutor(RACERS) as pool:
        calls = [pool.submit(tenant.ask, "customers.notify", "raced", point=n % REPLICAS) for n in range(RACERS)]
        answers = [call.result() for call in calls]
    assert sorted(answer.context["approval"]["uses"] for answer in answers if answer.decision) == [1, 2, 3]
    assert {answer.reason for answer in answers if not answer.decision} == {"approval_consumed"}
    assert tenant.uses(name) == 3


@pytest.mark.invariant(10)
def test_two_replicas_that_conflict_both_get_a_use(tenant: Tenant) -> None:
    for turn in range(5):
        resource = f"fair-{turn}"
        name = tenant.approved("customers.notify", resource)
        with ThreadPoolExecutor(REPLICAS) as pool:
            calls = [pool.submit(tenant.ask, "customers.notify", resource, point=n) for n in range(REPLICAS)]
            answers = [call.result() for call in calls]
        assert [answer.decision for answer in answers] == [True] * REPLICAS, answers
        assert tenant.uses(name) == 3


# AB-17
@pytest.mark.invariant(11)
def test_the_same_request_id_is_the_same_call_on_every_replica(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "repeated")
    answers = [tenant.ask("customers.export", "repeated", point=n % REPLICAS, request_id="same") for n in range(6)]
    assert [answer.decision for answer in answers] == [True] * 6
    assert tenant.ask("customers.export", "repeated", request_id="another").reason == "approval_consumed"
    assert tenant.ask("customers.export", "repeated").reason == "approval_consumed"
    assert tenant.uses(name) == 1


# AB-17
@pytest.mark.invariant(11)
def test_the_same_request_id_at_the_same_moment_takes_one_use(tenant: Tenant) -> None:
    name = tenant.approved("customers.notify", "storm")
    with ThreadPoolExecutor(12) as pool:
        calls = [
            pool.submit(tenant.ask, "customers.notify", "storm", point=n % REPLICAS, request_id="storm")
            for n in range(12)
        ]
        assert [call.result().decision for call in calls] == [True] * 12
    assert tenant.uses(name) == 1


@pytest.mark.invariant(8, 11)
def test_the_same_request_id_for_another_call_is_another_call(tenant: Tenant) -> None:
    tenant.approved("customers.export", "reused", args={"n": 1})
    assert tenant.ask("customers.export", "reused", args={"n": 1}, request_id="reused").decision is True
    assert tenant.ask("customers.export", "reused", args={"n": 2}, request_id="reused").reason == "approval_required"
    assert tenant.ask("customers.notify", "reused", args={"n": 1}, request_id="reused").reason == "approval_required"


@pytest.mark.invariant(11, 13)
def test_a_repeated_call_is_denied_once_its_grant_is_revoked(tenant: Tenant) -> None:
    name = tenant.approved("customers.notify", "repeated-revoked")
    assert tenant.ask("customers.notify", "repeated-revoked", request_id="again").decision is True
    tenant.revoke(name)
    answer = tenant.ask("customers.notify", "repeated-revoked", request_id="again")
    assert (answer.decision, answer.reason) == (False, "approval_revoked")


@pytest.mark.invariant(11, 15)
def test_a_repeated_call_is_judged_by_the_policy_of_now(tenants: Tenants) -> None:
    tenant = tenants.make("repeated-policy", [RULES[0], _export()])
    for resource in ("denied", "edited"):
        tenant.approved("customers.export", resource)
        assert tenant.ask("customers.export", resource, request_id=resource).decision is True
        assert tenant.ask("customers.export", resource, request_id=resource, point=1).decision is True
    tenant.change_policy({"rules": [RULES[0], _export(), {**RULES[4], "actions": ["customers.export"]}]})
    tenant.await_known(lambda said: said.reason == "policy_denied", "customers.export", "denied")
    assert tenant.ask("customers.export", "denied", request_id="denied").reason == "policy_denied"
    tenant.change_policy({"rules": [RULES[0], _export(conditions=[{"name": "new", "expression": "true"}])]})
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export", "unseen")
    tenant.await_known(lambda said: said.context["policy"]["generation"] == 3, "customers.export", "edited")
    assert tenant.ask("customers.export", "edited", request_id="edited").decision is False


def test_a_repeated_call_takes_no_use_of_a_second_grant(tenant: Tenant) -> None:
    first = tenant.approved("customers.export", "second-grant")
    assert tenant.ask("customers.export", "second-grant", request_id="first").decision is True
    second = tenant.approved("customers.export", "second-grant")
    answer = tenant.ask("customers.export", "second-grant", request_id="first", point=1)
    assert answer.context["approval"]["id"].startswith(f"{first}.")
    assert (tenant.uses(first), tenant.uses(second)) == (1, 0)
    assert tenant.ask("customers.export", "second-grant", point=1).decision is True
    assert tenant.uses(second) == 1


@pytest.mark.invariant(13)
def test_the_next_call_after_a_revocation_is_denied(tenant: Tenant) -> None:
    name = tenant.approved("customers.notify", "revoked")
    assert tenant.ask("customers.notify", "revoked").decision is True
    tenant.revoke(name)
    answers = [tenant.ask("customers.notify", "revoked", point=point) for point in range(REPLICAS)]
    assert {(answer.decision, answer.reason) for answer in answers} == {(False, "approval_revoked")}
    assert tenant.uses(name) == 1


@pytest.mark.invariant(22)
def test_a_grant_that_is_gone_serves_nobody(tenants: Tenants) -> None:
    tenant = tenants.make("gone")
    name = tenant.approved("customers.export", "gone")
    operator = tenant.callers("system:serviceaccount:bailiwick-system:bailiwick-operator")
    assert not any(who.delete(tenant.path_of(name)).ok for who in (operator, tenant.callers.admin))
    tenant.revoke(name)
    tenant.await_known(lambda said: said.reason == "approval_revoked", "customers.export", "gone")
    until(lambda: tenant.phase(name) == "Revoked", "it has ended")
    assert not tenant.callers.admin.delete(tenant.path_of(name)).ok
    assert tenant.ask("customers.export", "gone").reason == "approval_revoked"
    # Retention, which is the operator's alone.
    assert operator.delete(tenant.path_of(name)).ok
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export", "gone")
    assert tenant.ask("customers.export", "gone").decision is False


@pytest.mark.invariant(14)
def test_a_grant_dies_with_the_account_that_it_was_given_to(tenants: Tenants) -> None:
    tenant = tenants.make("account-anew")
    name = tenant.approved("customers.export", "anew")
    accepted(tenant.callers.admin.delete(f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts/agent"))
    tenants.account(tenant.namespace, "agent")
    tenant.tokens.clear()
    answer = tenant.ask("customers.export", "anew")
    assert (answer.decision, answer.reason) == (False, "approval_required")
    assert tenant.uses(name) == 0


@pytest.mark.invariant(17)
def test_a_grant_dies_with_a_change_of_what_its_rule_means_and_outlives_one_of_its_words(tenants: Tenants) -> None:
    condition = {"name": "hours", "expression": "true", "message": "in office hours"}
    tenant = tenants.make("edited", [RULES[0], _export(conditions=[condition])])
    reworded, edited = tenant.approved("customers.export", "reworded"), tenant.approved("customers.export", "edited")
    tenant.change_policy({"rules": [RULES[0], _export(conditions=[{**condition, "message": "from nine to five"}])]})
    tenant.await_known(lambda said: said.context["policy"]["generation"] == 2, "customers.export", "reworded")
    assert tenant.ask("customers.export", "reworded").decision is True
    tenant.change_policy({"rules": [RULES[0], _export(conditions=[{**condition, "expression": "1 == 1"}])]})
    tenant.await_known(lambda said: said.decision is False, "customers.export", "edited")
    assert tenant.ask("customers.export", "edited").reason == "approval_required"
    assert (tenant.uses(reworded), tenant.uses(edited)) == (1, 0)


@pytest.mark.invariant(15, 16)
def test_a_deny_rule_written_after_the_approval_beats_it(tenants: Tenants) -> None:
    tenant = tenants.make("denied-after")
    name = tenant.approved("customers.export", "denied")
    deny = {**RULES[4], "actions": ["customers.export"]}
    tenant.change_policy({"rules": [*RULES[:4], deny]})
    tenant.await_known(lambda said: said.reason == "policy_denied", "customers.export", "denied")
    assert tenant.ask("customers.export", "denied").reason == "policy_denied"
    assert tenant.uses(name) == 0


@pytest.mark.invariant(17)
def test_a_lower_number_of_uses_counts_for_grants_that_exist(tenants: Tenants) -> None:
    tenant = tenants.make("fewer")
    name = tenant.approved("customers.notify", "fewer")
    assert tenant.ask("customers.notify", "fewer").decision is True
    fewer = gated_rule("notify", actions=["customers.notify"], approval={"steps": STEPS, "maxUses": 1})
    tenant.change_policy({"rules": [RULES[0], fewer]})
    tenant.await_known(lambda said: said.decision is False, "customers.notify", "fewer")
    assert tenant.ask("customers.notify", "fewer").decision is False
    assert tenant.uses(name) == 1


def _export(**fields: object) -> dict[str, object]:
    return gated_rule("export", actions=["customers.export"], approval={"steps": STEPS}, **fields)
