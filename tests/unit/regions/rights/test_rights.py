"""Rights where a small world does not get to: broken policies, three groups, bounds, what is known of a call."""

from dataclasses import replace
from typing import Any

import pytest

from bailiwick_engine import keys
from bailiwick_engine.call import Party
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.index import MOST_WORK
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_regions.rights.answers import AccessAnswer
from bailiwick_regions.rights.circumstances import CallPlace
from bailiwick_regions.rights.outcomes import AccessLevel, AccessWay
from bailiwick_regions.rights.questions import what_can, who_can
from support.objects import Object, gated_rule, policy, rule, settings, subject
from unit.engine.cases import NOW

KEY = ("crm", "crm-api")
AGENT = "sa:agents/crm-agent"
PEOPLE = settings() | {"identity": {"issuers": ["cluster", "corp"]}}
GROUPS = [{"name": name, "group": {"issuer": "corp", "name": name}} for name in ("a", "b", "c")]


def stored(name: str, **spec: object) -> Object:
    made = policy("crm", name, **spec)
    made["metadata"] |= {"uid": f"{name}-uid", "generation": 1}
    return made


def endpoint(*rules: Object, more: tuple[Object, ...] = (), **spec: Any) -> CompiledEndpoint:  # noqa: ANN401 - of a policy
    carrier = stored("one", rules=list(rules), **{"endpointSettings": settings(), **spec})
    return Snapshot.of(compile_object(raw) for raw in (carrier, *more)).endpoints[KEY]


def asked(found: CompiledEndpoint, *, limit: int = 1_000, **place: Any) -> AccessAnswer:  # noqa: ANN401 - of a place
    return who_can(CallPlace(KEY, "customers.list", "customer", "42", **place), found, NOW, limit=limit)


def told(answer: AccessAnswer) -> list[tuple[str, str | None]]:
    return [(row.subject, None if row.way is None else row.way.level.value) for row in answer.rows]


def way(answer: AccessAnswer) -> AccessWay:
    (row,) = answer.rows
    assert row.way is not None
    return row.way


def given(found: AccessWay) -> list[str]:
    return [one.condition.expression.text for one in found.given]


def test_an_allow_that_a_deny_takes_away_is_not_told() -> None:
    found = endpoint(rule(), rule("never", effect="Deny", actions=["customers.*"]))
    assert asked(found) == AccessAnswer(())


def test_a_limit_by_history_is_a_condition_and_what_is_counted_takes_no_way_away() -> None:
    history = {"name": "lists", "key": ["context.tenant"], "window": "1h", "counts": {"actions": ["customers.list"]}}
    carrying = settings() | {"history": [history]}
    found = way(asked(endpoint(conditional("history.lists.count <= 5"), endpointSettings=carrying)))
    assert (found.level, given(found)) == (AccessLevel.ALLOW, ["history.lists.count <= 5"])
    assert [one.histories for one in found.given] == [["lists"]]
    assert given(way(asked(endpoint(rule(), endpointSettings=carrying)))) == []


def conditional(text: str) -> Object:
    return rule(conditions=[{"name": "c", "expression": text}])


def test_a_deny_on_a_condition_says_what_must_not_hold() -> None:
    deny = rule("never", effect="Deny", conditions=[{"name": "c", "expression": "size(context.a) > 1"}])
    (one,) = way(asked(endpoint(rule(), deny))).given
    assert (one.condition.expression.text, sorted(map(str, one.outcomes))) == ("size(context.a) > 1", ["False"])


def test_the_stricter_of_allow_and_approval_counts() -> None:
    found = endpoint(rule(), gated_rule(actions=["customers.list"]))
    assert told(asked(found)) == [(AGENT, "approval")]


def test_whom_a_broken_policy_denies_is_not_told_to_be_allowed() -> None:
    broken = stored(
        "two",
        subjects=GROUPS[1:2],
        rules=[rule(subjects=["b"], conditions=[{"name": "bad", "expression": "context.a <"}])],
    )
    found = endpoint(rule(subjects=["a"]), subjects=GROUPS, more=(broken,), endpointSettings=PEOPLE)
    assert told(asked(found)) == [("group:corp/a", "allow"), ("group:corp/a & group:corp/b", None)]


def test_of_three_groups_the_row_of_two_goes_before_those_of_one() -> None:
    # a allows; whoever is in a and b is denied by b, unless the purpose is support; c allows too.
    rules = [rule(subjects=["a"]), rule("no", effect="Deny", subjects=["b"]), rule("more", subjects=["c"])]
    said = told(asked(endpoint(*rules, subjects=GROUPS, endpointSettings=PEOPLE)))
    assert said == [
        ("group:corp/a", "allow"),
        ("group:corp/c", "allow"),
        ("group:corp/a & group:corp/b", None),
        ("group:corp/b & group:corp/c", None),
    ]


def test_until_when_it_holds_is_the_end_of_the_last_rule_that_gives_it() -> None:
    soon, later = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"
    found = endpoint(rule(expireTime=soon), rule("more", expireTime=later))
    assert way(asked(found)).until == pytest.approx(1_924_992_000.0)
    assert way(asked(endpoint(rule(expireTime=soon), rule("more")))).until is None


def test_what_is_known_of_the_call_is_evaluated_and_all_else_is_told() -> None:
    reading = [{"name": "own", "expression": "resource.id == '42'"}, {"name": "few", "expression": "context.n < 5"}]
    assert given(way(asked(endpoint(rule(conditions=reading))))) == ["context.n < 5"]
    assert asked(endpoint(rule(conditions=[{"name": "c", "expression": "resource.id == '7'"}]))).rows == ()
    by_property = endpoint(rule(conditions=[{"name": "c", "expression": "resource.properties.env == 'prod'"}]))
    assert given(way(asked(by_property))) == ["resource.properties.env == 'prod'"]
    assert given(way(asked(by_property, properties={"env": "prod"}))) == []
    assert asked(by_property, properties={"env": "test"}).rows == ()


def test_now_is_never_taken_for_known() -> None:
    late = [{"name": "late", "expression": "now < timestamp('2000-01-01T00:00:00Z') && resource.id == '42'"}]
    found = endpoint(rule(conditions=late))
    assert len(given(way(asked(found)))) == 1


def test_properties_purposes_and_workloads_are_told_where_they_tell_apart() -> None:
    entry = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod", "test"]}}]
    answer = asked(endpoint(rule(resources=entry, intents=["support"])))
    assert [dict(row.where) for row in answer.rows] == [{"env": ("prod", "test"), "intent": ("support",)}]
    fixed = asked(endpoint(rule(resources=entry, intents=["support"])), properties={"env": "prod"}, intent="support")
    assert [dict(row.where) for row in fixed.rows] == [{}]
    image = f"sha256:{'a' * 64}"
    answer = asked(endpoint(rule(), subjects=[subject() | {"workload": {"imageDigests": [image]}}]))
    assert [dict(row.where) for row in answer.rows] == [{"workload": (f"images {image}",)}]
    both = [subject(), subject() | {"name": "pod", "workload": {"imageDigests": [image]}}]
    found = endpoint(rule(), rule("never", effect="Deny", subjects=["pod"]), subjects=both)
    assert [dict(row.where) for row in asked(found).rows] == [{"workload": ("other images",)}]


def test_more_than_is_looked_at_is_said_and_never_left_out() -> None:
    many = [{"name": f"c{number}", "expression": f"size(context.c{number}) > 1"} for number in range(8)]
    deny = [rule(f"d{number}", effect="Deny", conditions=[one]) for number, one in enumerate(many)]
    answer = asked(endpoint(rule(), *deny), limit=100)
    assert (answer.rows, answer.incomplete) == ((), (f"{AGENT}: there is more to look at than is looked at",))
    party = Party("serviceAccount", "system:serviceaccount:agents:crm-agent", "~")
    whole = what_can(KEY, endpoint(rule(), *deny), party, AGENT, NOW, limit=100)
    assert (whole.rows, len(whole.incomplete)) == ((), 1)


def test_whom_the_decision_point_denies_for_too_many_rules_is_not_told_to_be_allowed() -> None:
    found = endpoint(rule(), rule("staff", subjects=["a"]), subjects=[subject(), *GROUPS], endpointSettings=PEOPLE)
    agent = keys.service_account("system:serviceaccount:agents:crm-agent")
    laden = {agent: MOST_WORK + 1, keys.group("corp", "b"): MOST_WORK + 1}
    answer = asked(replace(found, index=replace(found.index, laden=laden)))
    assert told(answer) == [("group:corp/a", "allow"), ("group:corp/a & group:corp/b", None)]


def test_seven_conditions_that_must_not_hold_are_one_row() -> None:
    many = [{"name": f"c{number}", "expression": f"size(context.c{number}) > 1"} for number in range(7)]
    deny = [rule(f"d{number}", effect="Deny", conditions=[one]) for number, one in enumerate(many)]
    found = way(who_can(CallPlace(KEY, "customers.list", "customer", "42"), endpoint(rule(), *deny), NOW))
    assert sorted(given(found)) == [one["expression"] for one in many]


def test_audit_mode_says_nothing() -> None:
    audit = stored("two", mode="Audit", rules=[rule("seen", effect="Deny")])
    assert told(asked(endpoint(rule(), more=(audit,)))) == [(AGENT, "allow")]


def test_whoever_the_enforcer_names_is_told_as_that() -> None:
    subjects = [{"name": "agent", "entity": {"type": "agent", "ids": ["bot"]}}]
    found = endpoint(
        rule(), subjects=subjects, endpointSettings=settings() | {"identity": {"verification": "Asserted"}}
    )
    assert told(asked(found)) == [("entity:agent/bot", "allow")]


def test_whom_the_endpoint_does_not_accept_nobody_is_told_to_be() -> None:
    only = settings() | {"identity": {"issuers": ["corp"]}}
    for carrier, said in ((PEOPLE, [(AGENT, "allow"), ("group:corp/a", "allow")]), (only, [("group:corp/a", "allow")])):
        found = endpoint(rule(), rule("staff", subjects=["a"]), subjects=[subject(), *GROUPS], endpointSettings=carrier)
        assert sorted(told(asked(found)), key=str) == sorted(said, key=str)


def test_patterns_are_told_without_what_another_rule_takes_from_them() -> None:
    rules = [rule(actions=["customers.*"]), rule("never", effect="Deny", actions=["customers.purge"])]
    party = Party("serviceAccount", "system:serviceaccount:agents:crm-agent", "~")
    (row,) = what_can(KEY, endpoint(*rules), party, AGENT, NOW).rows
    assert row.where["action"][0].split("\0") == ["customers.*", "customers.purge"]
    assert row.way is not None
    assert row.way.level is AccessLevel.ALLOW


@pytest.mark.parametrize("name", ["action", "resource", "intent", "workload", "property intent", "env"])
def test_a_property_is_told_whatever_else_has_its_name(name: str) -> None:
    entry = {"type": "customer", "ids": ["*"], "properties": {name: ["prod"]}}
    found = endpoint(rule(resources=[entry], intents=["support"]))
    told_as = name if name == "env" else f"property {name}"
    where = {told_as: ("prod",), "intent": ("support",)}
    (row,) = asked(found).rows
    assert row.where == where
    party = Party("serviceAccount", "system:serviceaccount:agents:crm-agent", "~")
    (row,) = what_can(KEY, found, party, AGENT, NOW).rows
    assert row.where == {"action": ("customers.list",), "resource": ("customer/*",), **where}
