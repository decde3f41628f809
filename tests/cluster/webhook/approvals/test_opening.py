"""Asking for an approval: what is opened, how often, for whom (AuthZEN ARAP, submit)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from support.objects import gated_rule
from support.pdp import questions
from support.pdp.questions import Said
from support.pdp.tenant import OWNERS, RULES, STEPS, Tenant, Tenants
from support.waits import until


@pytest.mark.invariant(9)
def test_a_request_opens_a_grant_that_shows_the_call(tenant: Tenant) -> None:
    answer = tenant.submit("customers.export", "shown", args={"format": "csv"}, intent="support")
    assert answer.status == 202
    assert answer.headers["Location"] == answer.task["status_endpoint"]
    stored = tenant.grant(answer.grant_name)
    request = stored["spec"]["request"]
    assert answer.task["id"] == f"{answer.grant_name}.{stored['metadata']['uid']}"
    assert (request["requester"]["username"], request["subject"]["id"]) == (tenant.account("api"), tenant.agent)
    assert request["excludedReviewers"] == [tenant.agent, tenant.account("api")]
    assert (request["resource"], request["intent"]) == ({"type": "customer", "id": "shown"}, "support")
    assert request["display"] == [{"name": "args.format", "value": "csv"}]
    assert (request["origin"], request["reason"]) == ("Requested", "INC-1 please")


@pytest.mark.invariant(19)
def test_a_storm_of_requests_over_two_processes_opens_one_grant(tenants: Tenants) -> None:
    tenant = tenants.make("storm")
    with ThreadPoolExecutor(30) as pool:
        calls = [pool.submit(tenant.submit, "customers.export", "storm", point=n % 2) for n in range(30)]
        answers = [call.result() for call in calls]
    assert {answer.status for answer in answers} == {202}
    assert len({answer.task["id"] for answer in answers}) == 1
    assert len(tenant.grants()) == 1


def test_a_denial_of_a_call_with_a_pending_request_names_it(tenant: Tenant) -> None:
    task = tenant.submit("customers.export", "named").task
    tenant.await_known(lambda said: said.reason == "approval_pending", "customers.export", "named")
    answer = tenant.ask("customers.export", "named", point=2)
    told = {"id": task["id"], "status": "pending"}
    assert (answer.reason, answer.context["task"] | told) == ("approval_pending", answer.context["task"])
    assert tenant.poll(answer.context["task"]["status_endpoint"].rpartition("/")[2]).task["id"] == task["id"]
    assert "access_request" not in answer.context


def test_a_request_for_what_is_approved_already_returns_the_approval(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "approved-already")
    answer = tenant.submit("customers.export", "approved-already")
    assert (answer.status, answer.task["status"], answer.grant_name) == (201, "approved", name)


def test_a_grant_that_ended_is_followed_by_another_on_every_replica(tenant: Tenant) -> None:
    names = []
    for point in (0, 1, 2):
        # At once, so that a store that has not heard of the last use yet has to find out by the names.
        names.append(tenant.approved("customers.export", "chain"))
        assert tenant.ask("customers.export", "chain", point=point).decision is True
        assert tenant.submit("customers.export", "chain", point=(point + 1) % 3).grant_name not in names
    assert len(set(names)) == 3


@pytest.mark.invariant(13)
def test_a_grant_that_was_revoked_can_be_asked_for_again(tenant: Tenant) -> None:
    first = tenant.approved("customers.export", "asked-again")
    tenant.revoke(first)
    second = tenant.opened("customers.export", "asked-again", point=1)
    assert second != first
    assert tenant.phase(second) == "Pending"


@pytest.mark.invariant(13, 19)
def test_what_a_reviewer_denied_cannot_be_asked_for_again(tenant: Tenant) -> None:
    name = tenant.opened("customers.export", "refused")
    assert tenant.review(name, decision="Deny").ok
    until(lambda: tenant.phase(name) == "Denied", "the grant is denied")
    tenant.await_known(lambda said: said.reason == "approval_denied", "customers.export", "refused")
    answers = [tenant.submit("customers.export", "refused", point=point) for point in range(3)]
    assert {(answer.status, answer.reason) for answer in answers} == {(400, "approval_denied")}
    assert "access_request" not in tenant.ask("customers.export", "refused").context
    for shown in ({"id": "agr-another.uid"}, {"id": "agr-another.uid", "state": "no.to.ken"}):
        # To name another approval hides the denial from nobody.
        assert tenant.submit("customers.export", "refused", approval=shown).status == 400
        assert "access_request" not in tenant.ask("customers.export", "refused", approval=shown).context
    assert [one["spec"]["request"]["resource"]["id"] for one in tenant.grants()].count("refused") == 1


NOT_REQUESTABLE: Final[dict[str, tuple[Callable[[Tenant], Said], str]]] = {
    "what is allowed": (lambda tenant: tenant.submit("customers.list"), "allowed"),
    "what a rule denies": (lambda tenant: tenant.submit("customers.purge"), "policy_denied"),
    "what no rule names": (lambda tenant: tenant.submit("customers.unheard"), "no_rule"),
    "arguments that are too many to show": (
        lambda tenant: tenant.submit("customers.export", args={f"a{n}": n for n in range(33)}),
        "uninspectable",
    ),
    "an argument that is too long to show": (
        lambda tenant: tenant.submit("customers.export", args={"a": "x" * 1025}),
        "uninspectable",
    ),
    "a digest instead of arguments": (
        lambda tenant: tenant.submit("customers.export", args_digest="sha256:" + "a" * 64),
        "uninspectable",
    ),
    "a resource id that no grant can hold": (
        lambda tenant: tenant.submit("customers.export", "x" * 254),
        "approval_required",
    ),
}


@pytest.mark.invariant(9)
@pytest.mark.parametrize("what", NOT_REQUESTABLE)
def test_what_cannot_be_asked_for_is_a_problem_that_says_why(tenant: Tenant, what: str) -> None:
    before = len(tenant.grants())
    submit, reason = NOT_REQUESTABLE[what]
    answer = submit(tenant)
    assert (answer.status, answer.reason) == (400, reason)
    assert answer.body["type"] == "urn:openid:authzen:access-request:error:not_requestable"
    assert len(tenant.grants()) == before


@pytest.mark.parametrize("reason", [None, "", "   ", "because", "INC-1", "INC-x please", "please INC-1 please"])
def test_a_reason_that_the_rule_asks_for_and_does_not_get_is_a_problem_that_names_it(
    tenant: Tenant, reason: str | None
) -> None:
    answer = tenant.submit("customers.erase", "no-reason", business_justification=reason)
    assert (answer.status, answer.body["field"]) == (400, "context.business_justification")


def test_a_reason_that_is_too_long_is_a_problem(tenant: Tenant) -> None:
    answer = tenant.submit("customers.erase", "long", business_justification="INC-1 " + "x" * 4096)
    assert (answer.status, answer.body["field"]) == (400, "context.business_justification")


@pytest.mark.invariant(9)
def test_the_reason_is_no_part_of_the_request_that_it_is_bound_to(tenant: Tenant) -> None:
    answers = [
        tenant.submit("customers.erase", "reasons", business_justification=f"INC-{n} {word}")
        for n, word in enumerate(("please", "now"))
    ]
    assert len({answer.task["id"] for answer in answers}) == 1


@pytest.mark.invariant(1)
def test_two_enforcers_share_a_request_and_neither_reviews_it(tenants: Tenants) -> None:
    steps = [{"name": "robot", "kind": "System", "count": 1}]
    tenant = tenants.make("two-enforcers", [RULES[0], gated_rule("export", approval={"steps": steps})])
    tenants.account(tenant.namespace, "b")
    second = tenant.token("b", ENFORCER_AUDIENCE)
    enforcers = [{"namespace": tenant.namespace, "name": name} for name in ("api", "b")]
    tenant.change_policy({"endpointSettings": {"enforcers": enforcers}})
    body = tenant.body("customers.export", "shared")
    until(lambda: questions.post(tenant.url(), body, second).status == 200, "the second enforcer may ask")
    opened = tenant.submit("customers.export", "shared")
    joined = questions.post(tenant.url("requests"), body, second)
    assert (joined.status, joined.task["id"]) == (202, opened.task["id"])
    assert len(tenant.grants()) == 1


@pytest.mark.invariant(17)
def test_a_policy_that_changes_its_rule_opens_a_new_grant(tenants: Tenants) -> None:
    tenant = tenants.make("new-rule")
    first = tenant.opened("customers.export", "changed")
    wider = gated_rule("export", approval={"steps": [{**STEPS[0], "groups": [OWNERS, "sec-oncall"]}]})
    tenant.change_policy({"rules": [RULES[0], wider]})
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export", "changed")
    second = tenant.opened("customers.export", "changed")
    assert first != second
    assert tenant.grant(second)["spec"]["request"]["steps"][0]["groups"] == [OWNERS, "sec-oncall"]
