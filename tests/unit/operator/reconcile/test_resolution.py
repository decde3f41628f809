"""What the names in a grant written by hand stand for, and each reason why that cannot be said."""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from bailiwick_api.kinds.approvalgrant import ApprovalGrant, Request
from bailiwick_api.usernames import ASSERTED
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.keys import uid_of
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_operator.reconcile import endpointpolicy
from bailiwick_operator.reconcile.resolution import (
    Resolution,
    ResolutionInput,
    ResolvedStatus,
    UnresolvedReason,
    accounts_of,
    resolve,
)
from support.objects import AGENT, Object, gated_rule, grant, policy, rule, settings, step, subject
from unit.engine.cases import AROUND, CALL

CAROL: Final = "carol@corp.example"
DAVE: Final[Object] = {"subject": {"type": "user", "id": "dave", "uid": uid_of("corp", "dave")}}
PEOPLE: Final = [
    subject(),
    {"name": "carol", "user": {"issuer": "corp", "name": CAROL}},
    {"name": "support", "group": {"issuer": "corp", "name": "support"}},
    {"name": "entity", "entity": {"type": "robot", "ids": ["r2"]}},
]
APPROVAL: Final = {"binding": "Scope", "steps": [{"name": "owner", "kind": "Human"}], "maxUses": 3}
BOTH: Final = [{"policy": "crm-agent", "rule": "export"}, {"policy": "second", "rule": "export"}]
OWNER: Final = step()
# Of people whom only their enforcer knows no person approves anything: nobody could tell them from a reviewer.
BY_SYSTEMS: Final[Object] = {"approval": {**APPROVAL, "steps": [{"name": "owner", "kind": "System"}]}}
SYSTEM: Final[Object] = {"steps": [step(kind="System")]}
SECOND: Final = step("second")


def compiled(name: str = "crm-agent", *, spec: Object | None = None, **fields: object) -> CompiledPolicy | BrokenPolicy:
    """Compile a policy with one gated rule; keywords replace fields of the rule."""
    gated = {**gated_rule(approval=APPROVAL), **fields}
    body = policy("crm", name, **{"subjects": PEOPLE, "rules": [gated, rule()], **(spec or {})})
    return compile_object(body | {"metadata": {**body["metadata"], "uid": f"{name}-uid", "generation": 1}})


def request(**fields: object) -> Request:
    named = grant("crm", rules=[{"policy": "crm-agent", "rule": "export"}])["spec"]["request"]
    return ApprovalGrant.model_validate({"spec": {"request": {**named, **fields}}}).spec.request


def resolved(
    fields: Object,
    *policies: CompiledPolicy | BrokenPolicy,
    accounts: dict[str, str | None] | None = None,
    asserted: bool = False,
    configured: bool = True,
) -> Resolution:
    named = {one.ref.name: one for one in policies or (compiled(),)}
    wanted = request(**fields)
    return resolve(
        wanted,
        ResolutionInput(
            {ref.policy: named.get(ref.policy) for ref in wanted.rules},
            SETTINGS if configured else None,
            accounts or {AGENT: "agent-uid"},
            asserted,
        ),
    )


CARRIER: Final = compile_object(
    policy("crm", "carrier", endpointSettings=settings())
    | {"metadata": {"namespace": "crm", "name": "carrier", "uid": "carrier-uid", "generation": 1}}
)
SETTINGS: Final = CARRIER.settings.meaning if CARRIER.settings is not None else None


class TestWhatIsResolved:
    def test_is_nothing_while_the_endpoint_has_no_settings(self) -> None:
        found = resolved({}, configured=False)
        assert isinstance(found, UnresolvedReason)
        assert "endpoint crm-api has no endpointSettings in force" in found.why

    def test_is_the_digest_that_the_decision_point_asks_for(self) -> None:
        found, made = resolved({}), compiled()
        assert isinstance(found, ResolvedStatus)
        assert isinstance(made, CompiledPolicy)
        assert isinstance(CARRIER, CompiledPolicy)
        gate = decide(Snapshot.of([made, CARRIER]), CALL, (), AROUND).gate
        assert gate is not None
        assert [one["ruleDigest"] for one in found.status["rules"]] == [one.rule_digest for one in gate.rules]

    def test_is_the_uid_of_the_account_and_of_each_policy_with_the_digest_of_each_rule(self) -> None:
        found = resolved({"rules": BOTH, "steps": [SECOND, OWNER]}, compiled(), compiled("second"))
        assert isinstance(found, ResolvedStatus)
        assert found.status["subjectUID"] == "agent-uid"
        assert [(one["policy"], one["rule"], one["uid"]) for one in found.status["rules"]] == [
            ("crm-agent", "export", "crm-agent-uid"),
            ("second", "export", "second-uid"),
        ]
        assert all(one["ruleDigest"].startswith("v2:") for one in found.status["rules"])

    def test_is_the_same_where_its_author_wrote_it_out(self) -> None:
        plain = resolved({})
        assert isinstance(plain, ResolvedStatus)
        (one,) = plain.status["rules"]
        written: Object = {
            "rules": [one],
            "subject": {"type": "serviceAccount", "id": AGENT, "uid": plain.status["subjectUID"]},
        }
        assert resolved(written) == plain


def _properties(*values: str) -> Object:
    return {"resources": [{"type": "customer", "ids": ["*"], "properties": {"env": [*values]}}]}


def _ids(*ids: str) -> Object:
    return {"resources": [{"type": "customer", "ids": [*ids]}]}


def _resource(name: str, **fields: object) -> Object:
    return {"resource": {"type": "customer", "id": name, **fields}}


@dataclass(frozen=True)
class Fits:
    name: str
    fields: Object = field(default_factory=dict)
    rule: Object = field(default_factory=dict)
    accounts: dict[str, str | None] | None = None
    asserted: bool = False
    spec: Object | None = None


@dataclass(frozen=True)
class Unfit(Fits):
    why: str = ""


FITTING: Final = [
    Fits("an exact id within all"),
    Fits("an exact id that is listed", _resource("42"), _ids("42", "43")),
    Fits("an exact id under a prefix", _resource("eu/42"), _ids("eu/*")),
    Fits("all ids where the rule takes all", _resource("*")),
    Fits("a prefix where the rule takes all", _resource("eu/*")),
    Fits("the prefix of the rule", _resource("eu/*"), _ids("eu/*")),
    Fits("a longer prefix", _resource("eu/de/*"), _ids("eu/*")),
    Fits("a property among the rule's", _resource("42", properties={"env": "prod"}), _properties("prod", "test")),
    Fits("a property that the rule does not list", _resource("42", properties={"colour": "red"})),
    Fits("no property where the rule lists one", _resource("42"), _properties("prod")),
    Fits("an intent among the rule's", {"intent": "support"}, {"intents": ["support"]}),
    Fits("any intent where the rule lists some", {}, {"intents": ["support"]}),
    Fits("fewer uses and a shorter window", {"maxUses": 1, "windowSeconds": 10}),
    Fits("an action under a prefix", {"action": {"name": "customers.export"}}, {"actions": ["customers.*"]}),
    Fits("a reason that matches", {"reason": "INC-1 x"}, {"approval": {**APPROVAL, "reason": {"pattern": "INC-.*"}}}),
    Fits(
        "a person by name",
        {"subject": {"type": "user", "id": CAROL, "uid": uid_of("corp", CAROL)}},
        {"subjects": ["carol"]},
    ),
    Fits(
        "a person who may be in a group of their issuer",
        {"subject": {"type": "user", "id": CAROL, "uid": uid_of("corp", CAROL)}},
        {"subjects": ["support"]},
    ),
    Fits(
        "an actor that the rule names, for a person whom it does not",
        {
            "subject": {"type": "user", "id": CAROL, "uid": uid_of("corp", CAROL)},
            "actors": [{"issuer": "cluster", "id": AGENT, "uid": "agent-uid"}],
        },
    ),
    Fits(
        "whom the enforcer asserts",
        {"subject": {"type": "robot", "id": "r2"}, **SYSTEM},
        {"subjects": ["entity"], **BY_SYSTEMS},
        asserted=True,
    ),
    Fits("an account that the enforcer asserts", accounts={}, asserted=True),
    Fits(
        "an actor that the enforcer asserts, for somebody whom the rule does not name",
        {
            "subject": {"type": "user", "id": "dave"},
            "actors": [{"id": "bot", "uid": uid_of(ASSERTED, "bot")}],
            **SYSTEM,
        },
        {"subjects": ["bot"], **BY_SYSTEMS},
        accounts={},
        asserted=True,
        spec={"subjects": [*PEOPLE, {"name": "bot", "entity": {"type": "user", "ids": ["bot"]}}]},
    ),
    Fits(
        "an actor of the person's issuer that the rule names",
        {**DAVE, "actors": [{"issuer": "corp", "id": CAROL, "uid": uid_of("corp", CAROL)}]},
        {"subjects": ["carol"]},
    ),
    Fits(
        "an account for which the person's issuer vouches",
        {**DAVE, "actors": [{"issuer": "corp", "id": AGENT, "uid": uid_of("corp", AGENT)}]},
        accounts={},
    ),
    Fits(
        "a property among those of one of the rule's entries",
        _resource("42", properties={"env": "test"}),
        {"resources": [*_properties("prod")["resources"], *_properties("test")["resources"]]},
    ),
    Fits(
        "no reason where only its form is asked for",
        {},
        {"approval": {**APPROVAL, "reason": {"required": False, "pattern": "INC-.*"}}},
    ),
    Fits("a reason of any form", {"reason": "please"}, {"approval": {**APPROVAL, "reason": {"required": True}}}),
    Fits("a rule of a policy that is suspended", spec={"suspend": True}),
]


@pytest.mark.parametrize("case", FITTING, ids=[case.name for case in FITTING])
def test_what_is_within_the_rule_is_resolved(case: Fits) -> None:
    found = resolved(case.fields, compiled(spec=case.spec, **case.rule), accounts=case.accounts, asserted=case.asserted)
    assert isinstance(found, ResolvedStatus), found


def test_whom_the_enforcer_asserts_has_the_uid_that_the_decision_point_gives_them() -> None:
    found = resolved(
        {"subject": {"type": "robot", "id": "r2"}, **SYSTEM},
        compiled(subjects=["entity"], **BY_SYSTEMS),
        accounts={},
        asserted=True,
    )
    assert isinstance(found, ResolvedStatus)
    assert found.status["subjectUID"] == uid_of(ASSERTED, "r2")


RULE: Final = {"policy": "crm-agent", "rule": "export"}
UNFIT: Final = [
    Unfit(
        "people who approve for whom the enforcer asserts",
        {"subject": {"type": "robot", "id": "r2"}},
        {"subjects": ["entity"]},
        asserted=True,
        why="r2 is asserted by the enforcer alone: Bailiwick cannot detect a review by r2",
    ),
    Unfit(
        "a policy that is not there",
        {"rules": [{**RULE, "policy": "other"}], "steps": [step("other")]},
        why="EndpointPolicy other does not exist",
    ),
    Unfit("a rule that is not there", {"rules": [{**RULE, "rule": "nothing"}]}, why="has no rule nothing"),
    Unfit("a rule that gates nothing", {"rules": [{**RULE, "rule": "read"}]}, why="has effect Allow"),
    Unfit("a policy of another endpoint", {"endpoint": "other"}, why="is for endpoint crm-api, not other"),
    Unfit("a policy in mode Audit", spec={"mode": "Audit"}, why="mode Audit"),
    Unfit(
        "a policy that does not compile",
        spec={"variables": [{"name": "v", "expression": "1 +"}]},
        why="does not compile",
    ),
    Unfit(
        "another uid of the policy", {"rules": [{**RULE, "uid": "older"}]}, why="the uid of policy crm-agent differs"
    ),
    Unfit(
        "another digest of the rule",
        {"rules": [{**RULE, "ruleDigest": "v1:" + "0" * 64}]},
        why="the digest of rule crm-agent/export differs",
    ),
    Unfit(
        "a step too few",
        {"steps": [OWNER]},
        {"approval": {**APPROVAL, "steps": [{"name": "owner", "kind": "Human"}, {"name": "robot", "kind": "System"}]}},
        why="crm-agent.export.robot",
    ),
    Unfit("a step too many", {"steps": [OWNER, step(name="export.more")]}, why="crm-agent.export.more"),
    Unfit("a step of another name", {"steps": [step(name="export.boss")]}, why="crm-agent.export.boss"),
    Unfit("a step of another kind", {"steps": [step(kind="System")]}, why="the steps must be those of the rules"),
    Unfit("a step of other groups", {"steps": [step(groups=["friends"])]}, why="the steps must be those of the rules"),
    Unfit(
        "a step of a smaller count",
        {"steps": [OWNER]},
        {"approval": {**APPROVAL, "steps": [{"name": "owner", "kind": "Human", "count": 2}]}},
        why="the steps must be those of the rules",
    ),
    Unfit(
        "a rule that takes single calls only",
        rule={"approval": {**APPROVAL, "binding": "Exact"}},
        why="has binding Exact",
    ),
    Unfit(
        "an Exact grant",
        {"binding": {"mode": "Exact", "digest": "sha256:" + "a" * 64}},
        why="must have binding mode Scope",
    ),
    Unfit("another action", {"action": {"name": "customers.delete"}}, why="action customers.delete"),
    Unfit(
        "several actions", {"action": {"name": "customers.*"}}, {"actions": ["customers.*"]}, why="action customers.*"
    ),
    Unfit("another type", {"resource": {"type": "invoice", "id": "42"}}, why="resource type invoice"),
    Unfit("an id that is not listed", _resource("44"), _ids("42", "43"), why="covers more than the ids"),
    Unfit("a prefix where the rule lists ids", _resource("eu/*"), _ids("eu/42"), why="covers more than the ids"),
    Unfit("a shorter prefix", _resource("eu/*"), _ids("eu/de/*"), why="covers more than the ids"),
    Unfit("a prefix beside the rule's", _resource("eux/*"), _ids("eu/*"), why="covers more than the ids"),
    Unfit("all ids where the rule takes a prefix", _resource("*"), _ids("eu/*"), why="covers more than the ids"),
    Unfit("a star within an id", _resource("e*u"), why="must be exact, or end"),
    Unfit("a star after a letter", _resource("eu*"), why="must be exact, or end"),
    Unfit(
        "a property that is not among the rule's",
        _resource("42", properties={"env": "dev"}),
        _properties("prod"),
        why="the properties of the resource",
    ),
    Unfit("an intent that the rule does not take", {"intent": "fun"}, {"intents": ["support"]}, why="intent fun"),
    Unfit("a longer window", {"windowSeconds": 601}, why="windowSeconds is 601, but the rules allow at most 600"),
    Unfit("more uses", {"maxUses": 4}, why="maxUses is 4, but the rules allow at most 3"),
    Unfit("no reason", rule={"approval": {**APPROVAL, "reason": {"required": True}}}, why="a reason is required"),
    Unfit(
        "another reason",
        {"reason": "please"},
        {"approval": {**APPROVAL, "reason": {"pattern": "INC-.*"}}},
        why="must match INC-",
    ),
    Unfit(
        "a subject whom the rule does not name",
        {"subject": {"type": "serviceAccount", "id": "system:serviceaccount:a:b"}},
        accounts={"system:serviceaccount:a:b": "uid"},
        why="does not name the subject",
    ),
    Unfit(
        "a person beside the one of their issuer whom the rule names",
        DAVE,
        {"subjects": ["carol"]},
        why="does not name the subject: dave",
    ),
    Unfit(
        "a subject and an actor of whom the rule names neither",
        {**DAVE, "actors": [{"issuer": "cluster", "id": AGENT, "uid": "agent-uid"}]},
        {"subjects": ["carol"]},
        why="does not name the subject or any of the actors: dave",
    ),
    Unfit("an account that is not there", accounts={AGENT: None}, why=f"service account {AGENT} does not exist"),
    Unfit(
        "an account that was made anew",
        {"subject": {"type": "serviceAccount", "id": AGENT, "uid": "older"}},
        why="differs from spec.request.subject.uid",
    ),
    Unfit(
        "a subject of a kind that no call has",
        {"subject": {"type": "robot", "id": CAROL, "uid": uid_of("corp", CAROL)}},
        {"subjects": ["carol"]},
        why="serviceAccount or user",
    ),
    Unfit(
        "a person with the name of an account",
        {"subject": {"type": "user", "id": AGENT, "uid": uid_of("corp", AGENT)}},
        why="begins with system:",
    ),
    Unfit(
        "a person without a uid",
        {"subject": {"type": "user", "id": CAROL}},
        {"subjects": ["carol"]},
        why=f"must have the form <issuer>#{CAROL}",
    ),
    Unfit(
        "a person with somebody's uid",
        {"subject": {"type": "user", "id": CAROL, "uid": "corp#dave"}},
        {"subjects": ["carol"]},
        why=f"must have the form <issuer>#{CAROL}",
    ),
    Unfit(
        "a person without an issuer",
        {"subject": {"type": "user", "id": CAROL, "uid": f"#{CAROL}"}},
        {"subjects": ["carol"]},
        why=f"must have the form <issuer>#{CAROL}",
    ),
    Unfit(
        "a person of another issuer",
        {"subject": {"type": "user", "id": CAROL, "uid": f"other#{CAROL}"}},
        {"subjects": ["carol", "support"]},
        why="does not name the subject",
    ),
    Unfit(
        "an asserted subject with another uid",
        {"subject": {"type": "robot", "id": "r2", "uid": "corp#r2"}},
        {"subjects": ["entity"]},
        asserted=True,
        why="differs from spec.request.subject.uid",
    ),
    Unfit(
        "an asserted subject with an endless name",
        {"subject": {"type": "robot", "id": "r" * 200}},
        {"subjects": ["entity"]},
        asserted=True,
        why="too long",
    ),
    Unfit(
        "an actor without its uid",
        {"actors": [{"issuer": "cluster", "id": AGENT}]},
        why="spec.request.actors[0].uid is required",
    ),
    Unfit(
        "an actor that was made anew",
        {"actors": [{"issuer": "cluster", "id": AGENT, "uid": "older"}]},
        why="differs from spec.request.actors[0].uid",
    ),
    Unfit(
        "an actor that is not there",
        {"actors": [{"issuer": "cluster", "id": "system:serviceaccount:a:b", "uid": "x"}]},
        why="service account system:serviceaccount:a:b does not exist",
    ),
]


@pytest.mark.invariant(17)
@pytest.mark.parametrize("case", UNFIT, ids=[case.name for case in UNFIT])
def test_what_does_not_fit_is_said(case: Unfit) -> None:
    found = resolved(case.fields, compiled(spec=case.spec, **case.rule), accounts=case.accounts, asserted=case.asserted)
    assert isinstance(found, UnresolvedReason), found
    assert case.why in found.why


@pytest.mark.invariant(16)
def test_of_several_rules_the_strictest_counts() -> None:
    wide, narrow = compiled(), compiled("second", approval={**APPROVAL, "maxUses": 1, "windowSeconds": 30})
    both: dict[str, Any] = {"rules": BOTH, "steps": [OWNER, SECOND]}
    assert resolved({**both, "maxUses": 2, "windowSeconds": 30}, wide, narrow) == UnresolvedReason(
        "maxUses is 2, but the rules allow at most 1"
    )
    assert resolved({**both, "windowSeconds": 31}, wide, narrow) == UnresolvedReason(
        "windowSeconds is 31, but the rules allow at most 30"
    )
    assert isinstance(resolved({**both, "windowSeconds": 30}, wide, narrow), ResolvedStatus)


@pytest.mark.invariant(23)
def test_several_rules_that_ask_for_more_reviews_than_a_grant_holds_are_never_met() -> None:
    many = {**APPROVAL, "steps": [{"name": f"s{number}", "kind": "Human", "count": 5} for number in range(3)]}
    steps = [step(name, f"export.s{number}", count=5) for name in ("crm-agent", "second") for number in range(3)]
    found = resolved({"rules": BOTH, "steps": steps}, compiled(approval=many), compiled("second", approval=many))
    assert found == UnresolvedReason("the rules together require 30 reviews, but a grant holds at most 20")


def test_accounts_are_looked_up_for_subject_and_actors_of_the_cluster_alone() -> None:
    actors = [{"issuer": "cluster", "id": "a", "uid": "u"}, {"issuer": "corp", "id": "b", "uid": "v"}]
    assert accounts_of(request(actors=actors), asserted=False) == {AGENT, "a"}
    assert accounts_of(request(subject={"type": "user", "id": "c"}), asserted=False) == frozenset()
    assert accounts_of(request(actors=actors), asserted=True) == frozenset()


@pytest.mark.parametrize(
    ("spec", "asserted"),
    [
        ({"endpointSettings": {**settings(), "identity": {"verification": "Asserted"}}}, True),
        ({"endpointSettings": {**settings(), "identity": {"verification": "Token"}}}, False),
        ({"endpointSettings": settings()}, False),
        ({"endpointSettings": "nonsense"}, False),
        ({"endpointSettings": {"identity": ["nonsense"]}}, False),
        ({}, False),
    ],
    ids=["asserted", "token", "by default", "unreadable settings", "unreadable identity", "no settings"],
)
def test_the_carrier_says_whether_the_enforcers_word_is_taken(spec: Object, asserted: bool) -> None:
    assert endpointpolicy.is_asserted(policy("crm", **spec)) is asserted
