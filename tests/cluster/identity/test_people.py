"""People of another issuer, for themselves and with somebody who acts for them, on a real API server."""

import json
from typing import Any, Final

import pytest

from cluster.identity.conftest import REFRESH, Corp
from issuer.keys import Signer
from support.installation import accepted
from support.objects import gated_rule, rule, settings
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.questions import Said
from support.pdp.tenant import STEPS, Tenant, Tenants
from support.waits import until

CEILING: Final = [
    {
        "actions": ["customers.get", "customers.export"],
        "resources": [{"type": "customer", "ids": ["*"]}],
    }
]


@pytest.fixture(scope="module")
def tenant(corp_tenants: Tenants) -> Tenant:
    made = corp_tenants.make("people")
    made.change_policy(
        {
            "endpointSettings": {
                **settings(made.namespace, "api"),
                "identity": {"issuers": ["cluster", "corp"]},
                "delegation": {"maxDepth": 2, "principals": ["support", "carol"], "ceiling": CEILING},
            },
            "subjects": [
                {"name": "agent", "serviceAccount": {"namespace": made.namespace, "name": "agent"}},
                {"name": "helper", "serviceAccount": {"namespace": made.namespace, "name": "stranger"}},
                {"name": "support", "group": {"issuer": "corp", "name": "support"}},
                {"name": "carol", "user": {"issuer": "corp", "name": "carol"}},
            ],
            "rules": [
                rule("read", subjects=["agent", "support"], actions=["customers.get", "customers.list"]),
                rule("help", subjects=["helper"], actions=["customers.list"]),
                gated_rule("export", actions=["customers.export"], approval={"steps": STEPS}),
            ],
        }
    )
    until(lambda: made.ask("customers.get").decision is True, "the policy is known")
    return made


def body(person: str, action: str, resource: str = "42", **context: object) -> dict[str, Any]:
    return {
        "subject": {"type": "user", "id": person},
        "action": {"name": action},
        "resource": {"type": "customer", "id": resource},
        "context": context,
    }


def acted(
    corp: Corp,
    tenant: Tenant,
    action: str,
    resource: str = "42",
    *,
    person: str = "eve",
    actors: tuple[str, ...] = ("agent",),
    presenter: str = "agent",
    path: str = "evaluation",
    **context: object,
) -> Said:
    accounts = [tenant.account(actor) for actor in actors]
    token = corp.signer.token(person, tenant.audience, actors=corp.acting(*accounts), groups=["support"])
    asked = body(person, action, resource, **context)
    return corp.ask(tenant.url(path), token, tenant.pep, asked, tenant.token(presenter, tenant.audience))


def own(corp: Corp, tenant: Tenant, action: str, person: str = "eve", **claims: Any) -> Said:  # noqa: ANN401 - claims
    token = corp.signer.token(
        person, claims.pop("aud", tenant.audience), groups=claims.pop("groups", ["support"]), **claims
    )
    return corp.ask(tenant.url(), token, tenant.pep, body(person, action))


def test_a_person_is_known_by_issuer_and_group(corp: Corp, tenant: Tenant) -> None:
    assert own(corp, tenant, "customers.get").decision is True
    assert own(corp, tenant, "customers.get", groups=["sales"]).reason == "no_rule"
    assert own(corp, tenant, "customers.get", aud="elsewhere").reason == "audience_mismatch"
    assert own(corp, tenant, "customers.get", seconds=0).reason == "identity_invalid"


def test_an_issuer_that_nobody_configured_vouches_for_nobody(corp: Corp, tenant: Tenant) -> None:
    stranger = Signer(corp.signer.folder, "https://elsewhere.example")
    token = stranger.token("eve", tenant.audience, groups=["support"])
    asked = corp.ask(tenant.url(), token, tenant.pep, body("eve", "customers.get"))
    assert asked.reason == "identity_invalid"


def test_an_endpoint_that_names_no_issuer_knows_the_cluster_alone(corp: Corp, corp_tenants: Tenants) -> None:
    other = corp_tenants.make("the-cluster-alone")
    token = corp.signer.token("eve", other.audience, groups=["support"])
    assert corp.ask(other.url(), token, other.pep, body("eve", "customers.list")).reason == "identity_invalid"


def test_a_chain_may_do_what_every_hop_may_and_the_ceiling_covers(corp: Corp, tenant: Tenant) -> None:
    agent, helper = tenant.agent, tenant.account("stranger")
    assert tenant.ask("customers.list").decision is True
    assert acted(corp, tenant, "customers.get").decision is True
    said = acted(corp, tenant, "customers.list")
    assert (said.reason, said.context["hop"]) == ("scope_exceeded", agent)
    said = acted(corp, tenant, "customers.get", actors=("stranger", "agent"), presenter="stranger")
    assert (said.reason, said.context["hop"]) == ("no_rule", helper)
    assert acted(corp, tenant, "customers.get", presenter="stranger").reason == "actor_mismatch"
    assert acted(corp, tenant, "customers.get", actors=("agent",) * 3).reason == "delegation_invalid"
    assert acted(corp, tenant, "customers.get", person="grace", actors=()).reason == "delegation_invalid"


@pytest.mark.invariant(1)
def test_a_call_for_somebody_is_approved_by_none_of_them_and_bound_to_the_chain(corp: Corp, tenant: Tenant) -> None:
    asked = acted(
        corp, tenant, "customers.export", "bound", person="carol", path="requests", business_justification="please"
    )
    assert asked.status == 202, asked
    request = tenant.grant(asked.grant_name)["spec"]["request"]
    uid = tenant.callers.admin.get(f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts/agent").body["metadata"][
        "uid"
    ]
    assert request["subject"] == {"type": "user", "id": "carol", "uid": "corp#carol"}
    assert request["actors"] == [{"issuer": "cluster", "id": tenant.agent, "uid": uid}]
    assert set(request["excludedReviewers"]) == {"carol", tenant.agent, tenant.account("api")}
    # Carol holds the verb and the group, and is the person that it is for.
    refused = tenant.review(asked.grant_name, by="carol")
    assert not refused.ok
    accepted(tenant.review(asked.grant_name, by="dave"))
    until(lambda: tenant.phase(asked.grant_name) == "Active", "the grant is active")
    until(
        lambda: acted(corp, tenant, "customers.export", "bound", person="carol").decision is True, "the grant is known"
    )
    assert tenant.uses(asked.grant_name) == 1
    assert acted(corp, tenant, "customers.export", "bound", person="carol").reason == "approval_consumed"


@pytest.mark.invariant(1)
def test_a_person_within_a_chain_is_denied_by_name_and_reviews_none_of_its_calls(
    corp: Corp, corp_tenants: Tenants
) -> None:
    made = corp_tenants.make("within")
    delegation = {"maxDepth": 2, "principals": ["eve"], "ceiling": CEILING}
    own = {**settings(made.namespace, "api"), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
    people = [{"name": name, "user": {"issuer": "corp", "name": name}} for name in ("carol", "eve")]
    both = ["agent", "carol"]
    made.change_policy(
        {
            "endpointSettings": own,
            "subjects": [
                {"name": "agent", "serviceAccount": {"namespace": made.namespace, "name": "agent"}},
                *people,
            ],
            "rules": [
                rule("read", subjects=both, actions=["customers.get"]),
                rule("not-carol", effect="Deny", subjects=["carol"], actions=["customers.get"]),
                gated_rule("export", subjects=both, actions=["customers.export"], approval={"steps": STEPS}),
            ],
        }
    )

    def ask(action: str, path: str = "evaluation", **context: object) -> Said:
        within = {"sub": "carol", "iss": corp.signer.url}
        token = corp.signer.token("eve", made.audience, actors=[*corp.acting(made.agent), within])
        asked = body("eve", action, "within", **context)
        return corp.ask(made.url(path), token, made.pep, asked, made.token("agent", made.audience))

    until(lambda: ask("customers.export").reason == "approval_required", "the policy is known")
    assert ask("customers.get").reason == "policy_denied"
    asked = ask("customers.export", "requests", business_justification="please")
    assert asked.status == 202, asked
    request = made.grant(asked.grant_name)["spec"]["request"]
    assert request["actors"][1] == {"issuer": "corp", "id": "carol", "uid": "corp#carol"}
    assert "carol" in request["excludedReviewers"]
    # Carol holds the verb and the group.
    assert not made.review(asked.grant_name, by="carol").ok
    accepted(made.review(asked.grant_name, by="dave"))
    until(lambda: made.phase(asked.grant_name) == "Active", "the grant is active")
    until(lambda: ask("customers.export").decision is True, "the grant is known")


@pytest.mark.invariant(14, 24)
def test_an_approval_of_one_chain_serves_no_other(corp: Corp, tenant: Tenant) -> None:
    asked = acted(corp, tenant, "customers.export", "other-chain", path="requests", business_justification="please")
    accepted(tenant.review(asked.grant_name, by="dave"))
    until(lambda: tenant.phase(asked.grant_name) == "Active", "the grant is active")
    twice = acted(corp, tenant, "customers.export", "other-chain", actors=("agent", "agent"))
    assert twice.reason == "approval_required"
    alone = tenant.ask("customers.export", "other-chain")
    assert alone.reason == "approval_required"
    until(lambda: acted(corp, tenant, "customers.export", "other-chain").decision is True, "the grant is known")


@pytest.mark.invariant(17)
def test_an_approved_scope_is_worth_nothing_once_the_ceiling_is_another(corp: Corp, corp_tenants: Tenants) -> None:
    made = corp_tenants.make("ceilings")
    few = [{"name": "few", "expression": "context.args.rows <= 100"}]
    delegation = {"maxDepth": 2, "principals": ["support"], "ceiling": [{**CEILING[0], "conditions": few}]}
    own = {**settings(made.namespace, "api"), "identity": {"issuers": ["cluster", "corp"]}}
    scope = {"steps": STEPS, "binding": "Scope"}
    rules = [
        rule("read", subjects=["agent", "support"], actions=["customers.get"]),
        gated_rule("export", actions=["customers.export"], approval=scope),
    ]
    subjects = [
        {"name": "agent", "serviceAccount": {"namespace": made.namespace, "name": "agent"}},
        {"name": "support", "group": {"issuer": "corp", "name": "support"}},
    ]
    made.change_policy({"endpointSettings": {**own, "delegation": delegation}, "subjects": subjects, "rules": rules})

    def ask(rows: int, **more: Any) -> Said:  # noqa: ANN401 - as `acted`
        return acted(corp, made, "customers.export", "ceiling", args={"rows": rows}, **more)

    until(lambda: ask(10).reason == "approval_required", "the policy is known")
    asked = ask(10, path="requests", business_justification="please")
    accepted(made.review(asked.grant_name, by="dave"))
    until(lambda: made.phase(asked.grant_name) == "Active", "the grant is active")
    assert ask(9000).reason == "scope_exceeded"
    marked = [*rules, rule("marker", actions=["customers.marked"])]
    made.change_policy({"endpointSettings": {**own, "delegation": {**delegation, "ceiling": CEILING}}, "rules": marked})
    until(lambda: made.ask("customers.marked").decision is True, "the change is known")
    for rows in (9000, 10):
        assert ask(rows).reason == "approval_required"
    assert (made.phase(asked.grant_name), made.uses(asked.grant_name)) == ("Active", 0)


def test_the_record_names_subject_actors_and_hop_and_no_token(corp: Corp, tenant: Tenant) -> None:
    acted(corp, tenant, "customers.list", "on-record")
    until(lambda: '"on-record"' in corp.point.records.read_text(), "the decision is on record")
    lines = corp.point.records.read_text().splitlines()
    line = next(line for line in reversed(lines) if '"on-record"' in line)
    record = json.loads(line)
    eve = {"type": "user", "id": "eve", "uid": "corp#eve", "issuer": "corp"}
    assert record["subject"] == {**eve, "matched": ["support"]}
    assert [actor["id"] for actor in record["actors"]] == [tenant.agent]
    assert record["hop"] == tenant.agent
    assert "eyJ" not in line


@pytest.mark.long
def test_a_withdrawn_key_and_a_new_one_are_noticed_without_a_restart(corp: Corp, tenant: Tenant) -> None:
    old = corp.signer.token("eve", tenant.audience, groups=["support"])

    def asked(token: str) -> Said:
        return corp.ask(tenant.url(), token, tenant.pep, body("eve", "customers.get"))

    assert asked(old).decision is True
    corp.signer.forget()
    new = corp.signer.token("eve", tenant.audience, groups=["support"])
    until(lambda: asked(new).decision is True, "the new key is known", REFRESH * 1.2 + 2)
    assert asked(old).reason == "identity_invalid"


@pytest.mark.invariant(1, 23)
def test_people_without_a_name_at_the_api_server_have_nothing_approved(pdp: Bailiwick) -> None:
    """Under Asserted nobody vouches for whom a person is, so that nobody could tell who approves their own request."""
    tenants = pdp.tenants(pdp.points[0])
    made = tenants.make("asserted")
    made.change_policy(
        {
            "endpointSettings": {**settings(made.namespace, "api"), "identity": {"verification": "Asserted"}},
            "subjects": [
                {"name": "agent", "serviceAccount": {"namespace": made.namespace, "name": "agent"}},
                {"name": "people", "entity": {"type": "user", "ids": ["alice"]}},
            ],
            "rules": [
                rule("read", subjects=["people"], actions=["customers.get"]),
                gated_rule("export", subjects=["people"], approval={"steps": STEPS}),
            ],
        }
    )

    def asked(action: str, person: str = "alice") -> Said:
        return questions.post(made.url(), body(person, action), made.pep)

    until(lambda: asked("customers.get").decision is True, "the policy is known")
    assert asked("customers.get", "bob").reason == "no_rule"
    assert asked("customers.export").reason == "approval_unverifiable"
    tenants.namespaces.clean()
