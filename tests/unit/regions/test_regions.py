"""What `diff` makes of two states of one endpoint: settings, approvals, people's groups, and where it must give up."""

import copy
from typing import Any, Final

import pytest

from bailiwick_engine.cel.data import read_data
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.keys import group
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledPolicy, CompiledResource
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import compare, worst
from bailiwick_regions.pattern import occurrences
from support.objects import Object, gated_rule, rule, settings
from unit.engine.cases import NOW, at, stored

WIDER, MAY, CHANGED, NARROWER, SAME = ChangeClass
STEP: Final = {"name": "owner", "kind": "Human", "count": 1}
PEOPLE: Final = [
    {"name": name, "group": {"issuer": "corp", "name": name}}
    for name in ("staff", "leads", *(f"g{n}" for n in range(12)))
]


def snapshot(*raws: Object) -> Snapshot:
    """Compile these; each of them does."""
    policies = [compile_object(raw) for raw in raws]
    assert all(isinstance(policy, CompiledPolicy) for policy in policies)
    return Snapshot.of(policies)


def changes(base: Object, head: Object, **more: Any) -> tuple[Change, ...]:  # noqa: ANN401 - of `compare`
    """Compare two states of one policy."""
    return compare(snapshot(base), snapshot(head), NOW, **more)


def of(*rules: Object, **spec: object) -> Object:
    """Return the one policy of the endpoint."""
    return stored("a", *(rules or (rule(),)), **{"endpointSettings": settings(), **spec})


def gated(**approval: object) -> Object:
    """Return a policy with one gate."""
    return of(gated_rule(approval={"steps": [STEP], **approval}))


def between(base: Object, head: Object) -> tuple[ChangeClass, ChangeClass]:
    """Return the class of a change, and of its reverse."""
    return worst(changes(base, head)), worst(changes(head, base))


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        ({}, {"steps": [STEP | {"count": 2}]}),
        ({}, {"steps": [STEP, STEP | {"name": "other"}]}),
        ({}, {"steps": [STEP | {"groups": ["owners"]}]}),
        ({"steps": [STEP | {"groups": ["leads", "owners"]}]}, {"steps": [STEP | {"groups": ["owners"]}]}),
        ({"maxUses": 2}, {}),
        ({"windowSeconds": 600}, {"windowSeconds": 60}),
        ({"pendingSeconds": 600}, {"pendingSeconds": 60}),
        ({}, {"reason": {"required": True}}),
        ({}, {"requiredContext": ["ticket"]}),
        ({"show": ["/context/args/a"]}, {"show": ["/context/args/a", "/context/args/b"]}),
        ({"show": ["/context/args/a"]}, {}),
        ({"allowUnseen": True}, {}),
        ({}, {"presentation": "Token"}),
        ({"open": "OnDeny"}, {}),
        ({"binding": "Scope"}, {}),
        ({"limits": {"requestsPerHour": 9}}, {"limits": {"requestsPerHour": 3}}),
        ({"limits": {"pendingPerSubject": 9}}, {"limits": {"pendingPerSubject": 3}}),
        ({"limits": {"denyCooldownSeconds": 60}}, {"limits": {"denyCooldownSeconds": 3600}}),
    ],
    ids=repr,
)
def test_each_part_of_an_approval_is_stronger_one_way_and_weaker_the_other(weak: Object, strong: Object) -> None:
    assert between(gated(**weak), gated(**strong)) == (NARROWER, WIDER)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"maxUses": 2, "windowSeconds": 60}, {"windowSeconds": 600}),
        ({"steps": [STEP | {"groups": ["a"]}]}, {"steps": [STEP | {"groups": ["b"]}]}),
        ({"steps": [STEP]}, {"steps": [STEP | {"kind": "System", "groups": ["system:serviceaccounts"]}]}),
        ({"requiredContext": ["ticket"]}, {"requiredContext": ["case"]}),
        ({"show": ["/context/args/a"]}, {"show": ["/context/args/b"]}),
    ],
    ids=repr,
)
def test_another_approval_widens_both_ways(one: Object, other: Object) -> None:
    assert between(gated(**one), gated(**other)) == (WIDER, WIDER)


OWNERS: Final = STEP | {"groups": ["owners"], "count": 2}


@pytest.mark.parametrize(
    "weak",
    [
        {"steps": [STEP]},
        {"steps": [STEP | {"groups": ["owners"]}]},
        {"steps": [STEP | {"groups": ["bots"]}]},
        {"steps": [OWNERS], "binding": "Scope"},
        {"steps": [OWNERS], "maxUses": 50},
        {"steps": [OWNERS], "windowSeconds": 3000},
        {"steps": [OWNERS], "allowUnseen": True},
        {"steps": [OWNERS], "show": ["/context/args/a"]},
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "strong", [{"pendingSeconds": 3599}, {"reason": {"required": True}}, {"limits": {"requestsPerHour": 1}}], ids=repr
)
def test_what_is_stronger_of_an_approval_hides_nothing_that_is_weaker(weak: Object, strong: Object) -> None:
    base = gated(steps=[OWNERS], pendingSeconds=3600, windowSeconds=600)
    head = gated(**{"pendingSeconds": 3600, "windowSeconds": 600, **weak, **strong})
    assert worst(changes(base, head)) is WIDER


def test_an_approval_that_is_only_asked_for_in_another_way_is_another() -> None:
    one, other = {"pendingSeconds": 60, "limits": {"requestsPerHour": 9}}, {"limits": {"requestsPerHour": 3}}
    assert between(gated(**one), gated(**other)) == (CHANGED, CHANGED)


ON_BEHALF: Final = {
    "maxDepth": 1,
    "principals": ["carol"],
    "ceiling": [{"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}],
}


def gates(*listed: tuple[str, list[str], int], delegation: Object | None = ON_BEHALF) -> Object:
    """Return a policy with these gates, by name, subjects and steps. The agent may act for carol, but not for dave."""
    people = [{"name": name, "user": {"issuer": "corp", "name": name}} for name in ("carol", "dave")]
    agent = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}
    carrying = settings() | {"identity": {"verification": "Token", "issuers": ["cluster", "corp"]}}
    made = [
        gated_rule(name, subjects=who, approval={"steps": [STEP | {"name": f"s{at}"} for at in range(steps)]})
        for name, who, steps in listed
    ]
    return of(
        *made, subjects=[agent, *people], endpointSettings=carrying | ({"delegation": delegation} if delegation else {})
    )


BOTH: Final = [("all", ["agent", "carol"], 1)]
EACH: Final = [("own", ["agent"], 1), ("hers", ["carol"], 1)]
HERS: Final = [(f"p{at}", ["carol"], 1) for at in range(3)]
SPLIT: Final = [("one", ["agent"], 1), ("two", ["agent"], 1)]
SHARING: Final = [("p1", ["carol"], 2), ("one", ["agent"], 2), ("two", ["agent"], 1), ("all", ["agent", "carol"], 1)]


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        # A call of the agent's for carol: two reviews before, and one now.
        (gates(*EACH), gates(*BOTH), (MAY, SAME)),
        (gates(*EACH), gates(*EACH, ("more", ["agent", "carol"], 1)), (NARROWER, WIDER)),
        (gates(*BOTH), gates(("other", ["agent", "carol"], 1)), (SAME, SAME)),
        (gates(*BOTH), gates(("all", ["agent", "carol"], 2)), (NARROWER, WIDER)),
        (gates(*EACH, delegation=None), gates(*BOTH, delegation=None), (SAME, SAME)),
        (gates(("own", ["agent"], 1), ("his", ["dave"], 1)), gates(("all", ["agent", "dave"], 1)), (SAME, SAME)),
        # Five rules before a call for carol, which no grant can meet, and four now.
        (gates(*HERS, *SPLIT), gates(*HERS, ("one", ["agent"], 2)), (MAY, SAME)),
        (gates(*HERS[1:], *SPLIT), gates(*HERS[1:], ("one", ["agent"], 2)), (SAME, SAME)),
        # As many before each of them as there were, and one of them before both.
        (gates(*HERS[1:], *SPLIT, ("three", ["agent"], 1)), gates(*SHARING), (MAY, WIDER)),
    ],
    ids=[
        "one rule for both",
        "one more for both",
        "another for both",
        "a stronger one for both",
        "nobody acts for anybody",
        "nobody acts for him",
        "four rules in place of five",
        "three in place of four",
        "one for both among four in place of five",
    ],
)
def test_gates_of_several_parties_of_a_call_are_compared_together(
    base: Object, head: Object, expected: tuple[ChangeClass, ChangeClass]
) -> None:
    assert between(base, head) == expected


def test_a_rule_that_asks_who_acts_does_not_stand_before_all_parties_that_it_names() -> None:
    acts, both = "'id' in actor", ["agent", "carol"]
    base, head = gates(("theirs", both, 1), ("hers", both, 1)), gates(("all", both, 1))
    for raw, *texts in ((base, acts, f"!({acts})"), (head, f"{acts} || !({acts})")):
        for one, text in zip(raw["spec"]["rules"], texts, strict=True):
            one["conditions"] = [{"name": "c", "expression": text}]
    # A call of the agent's for carol: a review before each of them, and one before both now.
    assert worst(changes(base, head)) is MAY


SCOPED: Final = [
    {"type": "customer", "ids": ["*"]},
    {"type": "customer", "ids": ["x"], "properties": {"env": ["prod"]}},
]


def scoped(*listed: tuple[str, list[str], int], allowed: str = "", delegation: Object | None = ON_BEHALF) -> Object:
    """Return these gates, of which the last one is bound to a scope that a call may lack a part of."""
    raw = gates(*listed, delegation=delegation)
    last = raw["spec"]["rules"][-1]
    last["resources"], last["approval"]["binding"] = SCOPED, "Scope"
    for one in raw["spec"]["rules"]:
        if one["name"] == allowed:
            del one["approval"]
            one["effect"] = "Allow"
    return raw


def exact(raw: Object) -> Object:
    """Return it with each gate bound to the whole call."""
    other = copy.deepcopy(raw)
    for one in other["spec"]["rules"]:
        one["approval"].pop("binding", None)
    return other


OWN: Final = ("own", ["agent"], 1)
CAROLS: Final = ("hers", ["carol"], 1)
DAVES: Final = ("his", ["dave"], 1)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        # A call that lacks the property could not be approved before.
        (scoped(OWN), exact(scoped(OWN)), (MAY, WIDER)),
        (scoped(OWN), scoped(("more", ["agent"], 1), OWN), (MAY, WIDER)),
        (scoped(OWN), scoped(("own", ["agent"], 2)), (NARROWER, WIDER)),
        # Nor could one of the agent's for carol, for whose scope another gate now stands in.
        (scoped(OWN, CAROLS, allowed="own"), scoped(OWN, CAROLS), (MAY, WIDER)),
        (scoped(OWN, DAVES, allowed="own"), scoped(OWN, DAVES), (NARROWER, WIDER)),
        (scoped(OWN, CAROLS, allowed="own", delegation=None), scoped(OWN, CAROLS, delegation=None), (NARROWER, WIDER)),
    ],
    ids=["the whole call", "a gate beside it", "stronger", "a gate of who acts", "of who does not", "nobody acts"],
)
def test_a_gate_on_the_whole_call_lets_through_what_lacks_a_part_of_a_scope(
    base: Object, head: Object, expected: tuple[ChangeClass, ChangeClass]
) -> None:
    assert between(base, head) == expected


TICKET: Final = {"required": True, "pattern": "T-[0-9]+"}


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (TICKET, {"required": False, "pattern": "T-[0-9]+"}, (WIDER, NARROWER)),
        (TICKET, {"required": True, "pattern": ".*"}, (WIDER, MAY)),
        (TICKET, {"required": False, "pattern": ".*"}, (WIDER, MAY)),
        (TICKET, {"required": True}, (WIDER, NARROWER)),
        (TICKET, {"required": True, "pattern": "INC-[0-9]+"}, (MAY, MAY)),
        ({"required": True}, {"required": True, "pattern": ".*"}, (NARROWER, WIDER)),
    ],
    ids=repr,
)
def test_reasons_are_weaker_if_they_are_not_required_or_take_anything(
    base: Object, head: Object, expected: tuple[ChangeClass, ChangeClass]
) -> None:
    assert between(gated(reason=base), gated(reason=head)) == expected


FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
WEB: Final = {"podSelector": {"matchLabels": {"app": "web"}}}


def pod(**workload: object) -> Object:
    """Return a policy whose subject calls from a workload; from anywhere, if none is given."""
    agent = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}
    return of(subjects=[agent | ({"workload": workload} if workload else {})])


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (pod(imageDigests=[FIRST]), pod()),
        (pod(**WEB), pod()),
        (pod(imageDigests=[FIRST]), pod(imageDigests=[FIRST, SECOND])),
        (pod(imageDigests=[FIRST], **WEB), pod(imageDigests=[FIRST])),
        (pod(imageDigests=[FIRST], **WEB), pod(**WEB)),
    ],
    ids=["an image", "a label", "one image less", "an image and a label", "an image beside a label"],
)
def test_a_workload_that_is_asked_for_narrows_and_one_that_is_not_widens(narrow: Object, wide: Object) -> None:
    assert between(narrow, wide) == (WIDER, NARROWER)


def test_another_workload_widens_both_ways_and_is_told() -> None:
    assert between(pod(imageDigests=[FIRST]), pod(imageDigests=[SECOND])) == (WIDER, WIDER)
    assert between(pod(**WEB), pod(podSelector={"matchLabels": {"app": "api"}})) == (WIDER, WIDER)
    (worse, *_) = changes(pod(imageDigests=[FIRST]), pod(imageDigests=[SECOND]))
    assert worse.where["workload"] == (f"images {SECOND}",)


def test_a_deny_of_a_workload_is_taken_for_one_of_those_that_are_not_known() -> None:
    denied = {"name": "shell", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}, "workload": WEB}
    agent = {key: value for key, value in denied.items() if key != "workload"} | {"name": "agent"}
    base = of(rule(), subjects=[agent, denied])
    head = of(rule(), rule("never", effect="Deny", subjects=["shell"]), subjects=[agent, denied])
    assert between(base, head) == (NARROWER, WIDER)
    labels = {label for one in changes(base, head) for label in one.where["workload"]}
    assert labels == {"unknown workload", "other images app=web"}


DELEGATION: Final[Object] = {
    "maxDepth": 1,
    "principals": ["agent"],
    "ceiling": [{"actions": ["a"], "resources": [{"type": "customer", "ids": ["*"]}]}],
}
ENFORCERS: Final = settings()["enforcers"]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({}, {"enforcers": [*ENFORCERS, {"namespace": "crm", "name": "other"}]}),
        ({}, {"identity": {"verification": "Asserted"}}),  # of rules that name one service account
        ({"identity": {"issuers": ["cluster"]}}, {"identity": {"issuers": ["cluster", "corp"]}}),
        ({"identity": {"audiences": ["a"]}}, {"identity": {"audiences": ["a", "b"]}}),
        ({}, {"delegation": DELEGATION}),
        ({"delegation": DELEGATION}, {"delegation": DELEGATION | {"maxDepth": 2}}),
        ({"delegation": DELEGATION | {"principalMustBeEntitled": True}}, {"delegation": DELEGATION}),
        (
            {"delegation": DELEGATION},
            {
                "delegation": DELEGATION
                | {"ceiling": [*DELEGATION["ceiling"], {**DELEGATION["ceiling"][0], "actions": ["b"]}]}
            },
        ),
    ],
    ids=repr,
)
def test_each_setting_has_its_sign(narrow: Object, wide: Object) -> None:
    base, head = (of(endpointSettings=settings() | one) for one in (narrow, wide))
    assert between(base, head) == (WIDER, NARROWER)


ASSERTED: Final = {"identity": {"verification": "Asserted"}}
AGENT_ALONE: Final = [{"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}]
BY_TOKEN: Final = {"identity": {"issuers": ["cluster", "corp"]}}


def test_a_token_that_proves_a_group_which_no_enforcer_can_name_widens() -> None:
    spec = {"subjects": PEOPLE}
    base, head = (
        of(rule(subjects=["staff"]), endpointSettings=settings() | one, **spec) for one in (ASSERTED, BY_TOKEN)
    )
    found = [one for one in changes(base, head) if one.kind is WIDER]
    assert any("tokens prove group:corp/staff" in one.what for one in found)


@pytest.mark.parametrize(
    "told",
    [
        {"conditions": [{"name": "c", "expression": "context.n < 5"}]},
        {"subjects": ["robot"]},
    ],
    ids=["a condition", "a workload"],
)
def test_a_token_that_says_more_of_a_subject_may_widen(told: Object) -> None:
    robot = {"name": "robot", "serviceAccount": {"namespace": "agents", "name": "robot"}, "workload": WEB}
    agent = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}
    base, head = (
        of(rule(**told), subjects=[agent, robot], endpointSettings=settings() | one) for one in (ASSERTED, {})
    )
    assert between(base, head) == (MAY, WIDER)


def test_settings_that_are_gone_deny_every_call() -> None:
    assert between(of(), of(endpointSettings=None)) == (NARROWER, WIDER)


def test_a_ceiling_without_settings_says_nothing_of_them() -> None:
    ceiling, wide = of(rule(), endpointSettings=None), of(rule(actions=["customers.*"]))
    assert changes(ceiling, of(), ceiling=True) == ()
    assert worst(changes(ceiling, wide, ceiling=True)) is WIDER
    assert worst(compare(Snapshot({}), snapshot(of()), NOW, ceiling=True)) is WIDER


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("context.n < 5", "context.n < 6"),
        ("context.n in [1, 2]", "context.n in [1, 2, 3]"),
        ("context.n == 1", "context.n <= 1"),
        ("size(context.a) > 1 && context.n == 1", "size(context.a) > 1"),
        ("size(context.a) > 1", "size(context.a) > 1 || context.n == 1"),
        ("context.s == 'a'", "context.s != 'b'"),
        ("false", "size(context.a) > 1"),
        ("size(context.a) > 1", "true"),
    ],
)
def test_conditions_that_can_be_compared_are(narrow: str, wide: str) -> None:
    base, head = (of(rule(conditions=[{"name": "c", "expression": text}])) for text in (narrow, wide))
    assert between(base, head) == (WIDER, NARROWER)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("size(context.a) > 1", "size(context.a) >= 2"),
        ("context.n * 2 < 10", "context.n < 5"),
        ("context.b == 1u", "context.b == 2u"),
    ],
)
def test_conditions_that_cannot_be_compared_may_widen(one: str, other: str) -> None:
    base, head = (of(rule(conditions=[{"name": "c", "expression": text}])) for text in (one, other))
    assert between(base, head) == (MAY, MAY)


def test_a_condition_by_a_variable_is_the_same_as_written_out() -> None:
    by_name = of(
        rule(conditions=[{"name": "c", "expression": "variables.many"}]),
        variables=[{"name": "many", "expression": "size(context.a) > 1"}],
    )
    written = of(rule(conditions=[{"name": "c", "expression": "size(context.a)>1"}]))
    assert between(by_name, written) == (SAME, SAME)


@pytest.mark.parametrize(
    "value", ["{1: 'a'}", "'a\\u0000b'", "[b'a']"], ids=["a map by numbers", "a text with NUL", "bytes"]
)
def test_a_variable_that_cannot_be_bound_is_not_taken_for_what_is_written_out(value: str) -> None:
    by_name = of(
        rule(conditions=[{"name": "c", "expression": "size(variables.held) > 0"}]),
        variables=[{"name": "held", "expression": value}],
    )
    written = of(rule(conditions=[{"name": "c", "expression": f"size({value}) > 0"}]))
    assert between(by_name, written) == (MAY, MAY)
    assert between(by_name, by_name) == (SAME, SAME)


@pytest.mark.parametrize("value", ["['a', 'b']", "{'a': 1}", "context.b", "size(context.a)", "'a'", "data.d.listed"])
def test_a_variable_that_is_bound_as_it_is_is_the_same_as_written_out(value: str) -> None:
    source = {"data": [{"name": "d", "from": "people"}]}
    by_name = of(
        rule(conditions=[{"name": "c", "expression": "variables.held == variables.held"}]),
        variables=[{"name": "held", "expression": value}],
        **source,
    )
    written = of(rule(conditions=[{"name": "c", "expression": f"{value} == {value}"}]), **source)
    assert between(by_name, written) == (SAME, SAME)


def test_data_that_is_added_widens_a_condition_that_does_not_need_it() -> None:
    source = {"data": [{"name": "d", "from": "people"}]}
    raw = of(rule(conditions=[{"name": "c", "expression": "context.n < 5 || 'x' in data.d.listed"}]), **source)
    made = snapshot(raw)
    data = {"people": read_data("people", "u", 1, {"data": {"listed": []}})}
    beside = Snapshot({key: one.with_data(data) for key, one in made.endpoints.items()})
    assert worst(compare(made, beside, NOW)) in {WIDER, MAY}
    # Without the object nothing is allowed.
    assert {one.kind for one in compare(beside, made, NOW)} & {NARROWER, MAY}


def test_rules_that_cost_less_may_let_through_who_was_denied_for_their_cost() -> None:
    # Three groups, whose rules together are more than one decision looks at. None of them overlaps another.
    def costly(name: str, count: int, properties: int) -> Object:
        held = {f"p{n}": ["x"] for n in range(properties)}
        many = [{"type": "customer", "ids": [f"{n}"], **({"properties": held} if held else {})} for n in range(16)]
        listed = [rule(f"{name}-{n}", subjects=[name], actions=[f"{name}.{n}.*"], resources=many) for n in range(count)]
        return stored(name, *listed, subjects=PEOPLE)

    carrier = of(subjects=[*PEOPLE, *AGENT_ALONE], endpointSettings=settings() | BY_TOKEN)
    kept = [carrier, costly("leads", 36, 16), costly("g0", 36, 16)]
    base, head = snapshot(*kept, costly("staff", 12, 0)), snapshot(*kept, costly("staff", 2, 0))
    (found,) = (one for one in compare(base, head, NOW) if one.kind is MAY)
    assert found.where["subject"] == ("members of several groups of corp",)
    assert {one.kind for one in compare(head, base, NOW)} == {WIDER}
    base, head = snapshot(*kept[:2], costly("staff", 12, 0)), snapshot(*kept[:2], costly("staff", 2, 0))
    assert worst(compare(base, head, NOW)) is NARROWER


def test_what_data_holds_is_part_of_a_condition() -> None:
    source = {"data": [{"name": "d", "from": "people"}]}
    raw = of(rule(conditions=[{"name": "c", "expression": "subject.id in data.d.listed"}]), **source)

    def beside(listed: list[str]) -> Snapshot:
        made = snapshot(raw)
        data = {"people": read_data("people", "u", 1, {"data": {"listed": listed}})}
        return Snapshot({key: one.with_data(data) for key, one in made.endpoints.items()})

    assert worst(compare(beside(["a"]), beside(["a", "b"]), NOW)) is MAY
    assert compare(beside(["a"]), beside(["a"]), NOW) == ()


def test_rules_for_two_groups_of_one_person_meet() -> None:
    allow = rule("allow", subjects=["staff"])
    deny = rule("deny", effect="Deny", subjects=["leads"])
    (found,) = changes(of(allow, deny, subjects=PEOPLE), of(allow, subjects=PEOPLE))
    assert (found.kind, describe_labels(found.where["subject"])) == (WIDER, "group:corp/leads & group:corp/staff")


@pytest.mark.parametrize(
    ("verdict", "labels"), [("Deny", ["group:corp/elsewhere"]), ("Allow", ["group:corp/elsewhere & group:corp/staff"])]
)
def test_a_pattern_of_a_group_that_no_rule_names_is_looked_at(verdict: str, labels: list[str]) -> None:
    raw = of(
        rule(subjects=["staff"]), subjects=PEOPLE, endpointSettings={**settings(), "identity": {"issuers": ["corp"]}}
    )
    ((key, endpoint),) = snapshot(raw).endpoints.items()
    resources = (CompiledResource("customer", NameSet.of(("*",)), {}),)
    pattern = (frozenset((group("corp", "elsewhere"),)), NameSet.of(("customers.list",)), resources)
    found = occurrences(key, endpoint, pattern, frozenset((verdict,)), NOW)
    assert [describe_labels(one.where["subject"]) for one in found] == labels


def test_more_groups_than_can_be_combined_may_widen() -> None:
    rules = [rule(f"r{n}", subjects=[f"g{n}"]) for n in range(12)]
    deny = rule("deny", effect="Deny", subjects=["leads"], actions=["other"])
    found = changes(of(*rules, subjects=PEOPLE), of(*rules[:-1], subjects=PEOPLE))
    assert {one.kind for one in found} == {MAY, NARROWER}
    assert changes(of(*rules, deny, subjects=PEOPLE), of(*rules, deny, subjects=PEOPLE)) == ()


def test_of_many_properties_no_more_is_looked_at_than_the_limit_either() -> None:
    # Of the three to the power of sixteen regions, all but one meet no rule at all.
    named = {f"p{number}": ["x"] for number in range(16)}
    head = of(rule("one", resources=[{"type": "customer", "ids": ["*"], "properties": named}]))
    (found,) = changes(of(rule("none", actions=["unheard"])), head, limit=1000)[-1:]
    assert (found.kind, found.why) == (MAY, "there are too many regions to compare")


def test_regions_beyond_the_limit_may_widen() -> None:
    head = of(rule(resources=[{"type": "customer", "ids": [str(n) for n in range(50)]}]))
    (found,) = changes(of(rule("none", actions=["unheard"])), head, limit=20)[-1:]
    assert (worst(changes(of(), head, limit=20)), found.why) == (MAY, "there are too many regions to compare")


def test_an_end_that_is_to_come_cuts_time() -> None:
    (found,) = changes(of(rule(expireTime=at(60))), of(rule(expireTime=at(120))))
    assert (found.kind, found.what, describe_labels(found.where["from"])) == (WIDER, "Deny → Allow", at(60))


def test_a_candidate_beside_the_policy_that_it_replaces_changes_nothing() -> None:
    candidate = copy.deepcopy(of())
    candidate["metadata"]["name"] = "next"
    candidate["spec"] |= {"mode": "Audit", "replaces": of()["metadata"]["name"], "rules": [rule("any", actions=["*"])]}
    assert compare(snapshot(of()), snapshot(of(), candidate), NOW) == compare(snapshot(of()), snapshot(of()), NOW)


def test_a_policy_in_audit_mode_decides_nothing() -> None:
    deny = stored("b", rule("deny", effect="Deny"))
    audited = copy.deepcopy(deny)
    audited["spec"]["mode"] = "Audit"
    found = compare(snapshot(of(), deny), snapshot(of(), audited), NOW)
    assert worst(found) is WIDER


def test_names_of_rules_do_not_count() -> None:
    assert changes(of(rule("one")), of(rule("other"))) == ()


def counting(text: str, **history: object) -> Object:
    """Return a policy that counts what its rule covers, with a rule of this condition."""
    definition = {"name": "lists", "key": ["agent"], "window": "1h", "counts": {"actions": ["customers.list"]}}
    carrying = {**settings(), "history": [{**definition, **history}]}
    return of(rule(conditions=[{"name": "c", "expression": text}]), endpointSettings=carrying)


FIVE: Final = counting("history.lists.count <= 5")


@pytest.mark.parametrize(
    ("head", "there", "back"),
    [
        (counting("history.lists.count <= 9"), WIDER, NARROWER),
        (counting("history.lists.count < 6"), WIDER, NARROWER),
        (counting("!(history.lists.count > 5)"), SAME, SAME),
        (counting("history.lists.count <= 5 || false"), SAME, SAME),
        # Where its state cannot be read, the one is unknown and the other is not.
        (counting("history.lists.count <= 5 || history.lists.count > 5"), WIDER, NARROWER),
        (counting("true || history.lists.count <= 5"), WIDER, NARROWER),
        (counting("true"), WIDER, NARROWER),
        (counting("history.lists.age <= 5"), MAY, MAY),
        # Other definitions are not compared.
        (counting("history.lists.count <= 5", window="2h"), MAY, MAY),
        (counting("history.lists.count <= 5", key=[]), MAY, MAY),
        (counting("history.lists.count <= 5", counts={"actions": ["customers.*"]}), MAY, MAY),
        (counting("history.lists.count <= 5", name="others"), MAY, MAY),
    ],
)
def test_a_limit_is_compared_as_a_member_and_a_definition_not_at_all(
    head: Object, there: ChangeClass, back: ChangeClass
) -> None:
    assert between(FIVE, head) == (there, back)


def test_a_condition_that_is_true_whatever_a_history_says_is_narrower_than_none() -> None:
    assert between(counting("true || history.lists.count <= 5"), counting("true")) == (WIDER, NARROWER)


def conditioned(text: str, effect: str = "Allow") -> Object:
    """Return a policy with a rule of this condition, beside one without any."""
    agent: Object = {"effect": effect, "conditions": [{"name": "c", "expression": text}]}
    return of(rule(**agent)) if effect == "Allow" else of(rule(), rule("never", **agent))


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (conditioned("true"), of(rule()), (WIDER, NARROWER)),
        (conditioned("true || context.n == 1"), of(rule()), (WIDER, NARROWER)),
        (conditioned("false", "Deny"), of(rule()), (WIDER, NARROWER)),
        (conditioned("true"), conditioned("true || context.n == 1"), (SAME, SAME)),
    ],
    ids=["an Allow that is always on", "whatever a member is", "a Deny that is switched off", "both unknown"],
)
def test_a_condition_that_reads_nothing_is_unknown_for_a_call_with_a_nul_character(
    base: Object, head: Object, expected: tuple[ChangeClass, ChangeClass]
) -> None:
    assert between(base, head) == expected


def test_a_history_that_no_rule_reads_is_narrower_and_may_widen_where_it_goes() -> None:
    assert between(of(), of(endpointSettings=counting("true")["spec"]["endpointSettings"])) == (NARROWER, MAY)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ({"open": True}, {"open": False}, MAY),
        # While it is unknown, no call that the history speaks of can be counted, and each is denied.
        (None, {"open": True}, MAY),
        ({"open": True}, None, MAY),
        ({"open": True}, {"open": True}, SAME),
        (None, None, SAME),
    ],
    ids=["other data", "data added", "data removed", "the same", "none"],
)
@pytest.mark.parametrize("when", ["data.incident.open == true", "variables.opened"])
def test_a_history_may_count_fewer_calls_if_the_data_changed_that_it_counts_by(
    when: str, base: Object | None, head: Object | None, expected: ChangeClass
) -> None:
    counts = {"actions": ["customers.list"], "when": when}
    raw = counting("history.lists.count <= 5", counts=counts)
    raw["spec"]["data"] = [{"name": "incident", "from": "incidents"}]
    raw["spec"]["variables"] = [{"name": "opened", "expression": "data.incident.open == true"}]

    def beside(value: Object | None) -> Snapshot:
        data = {} if value is None else {"incidents": read_data("incidents", "u", 1, {"data": value})}
        return Snapshot({key: one.with_data(data) for key, one in snapshot(raw).endpoints.items()})

    assert worst(compare(beside(base), beside(head), NOW)) is expected


def test_a_history_of_a_name_that_rules_read_already_may_widen() -> None:
    bare = {**FIVE, "spec": {**FIVE["spec"], "endpointSettings": settings()}}
    assert between(bare, FIVE) == (MAY, MAY)
