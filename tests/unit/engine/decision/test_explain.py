"""Explanations: each rule clause by clause, and what the nearest one lacks."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource, ServiceAccount, UnprovenParty
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.explain import NEAR, Explanation, explain
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import UNKNOWN, Truth
from support.objects import AGENT, Object, gated_rule, rule, settings
from unit.engine.cases import AROUND, CALL, NOW, at, carrier, governed, snapshot, stored, with_context

IMAGE: Final = "sha256:" + "a" * 64


def explained(on: Snapshot, call: Call = CALL, around: Circumstances = AROUND) -> Explanation:
    found = explain(on, call, around)
    assert found is not None
    return found


def export(name: str = "a", **fields: Any) -> Object:  # noqa: ANN401 - of a rule
    return rule(name, **{"actions": ["customers.export"], **fields})


def lacks(found: Explanation) -> list[tuple[str, str, Truth]]:
    """Return rule, clause and whether it held, of everything that the nearest miss lacks."""
    return [
        (change.rule.name if change.rule else "ceiling", str(clause.kind), clause.held)
        for change in found.changes
        for clause in change.clauses
    ]


CLAUSES: Final[dict[str, tuple[Object, list[tuple[str, str, Truth]]]]] = {
    "action": (export(actions=["customers.list"]), [("a", "action", False)]),
    "resource type": (export(resources=[{"type": "order", "ids": ["*"]}]), [("a", "resource.type", False)]),
    "resource id": (export(resources=[{"type": "customer", "ids": ["7"]}]), [("a", "resource.id", False)]),
    "property absent": (
        export(resources=[{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]),
        [("a", "resource.properties", UNKNOWN)],
    ),
    "nearest of two resources": (
        export(resources=[{"type": "order", "ids": ["7"]}, {"type": "customer", "ids": ["7"]}]),
        [("a", "resource.id", False)],
    ),
    "intent": (export(intents=["support"]), [("a", "intent", False)]),
    "expiry": (export(expireTime=at(0)), [("a", "expiry", False)]),
    "conditions": (
        export(
            conditions=[
                {"name": "c", "expression": "false"},
                {"name": "d", "expression": "true"},
                {"name": "e", "expression": "context.nothing == 1"},
            ]
        ),
        [("a", "condition", False), ("a", "condition", UNKNOWN)],
    ),
}


class TestTheNearestMiss:
    @pytest.mark.parametrize("name", CLAUSES)
    def test_lacks(self, name: str) -> None:
        made, lacking = CLAUSES[name]
        assert lacks(explained(governed(made))) == lacking

    def test_lacks_the_subject(self) -> None:
        other = replace(CALL, subject=Party("serviceAccount", "other", "uid"))
        assert lacks(explained(governed(export()), other)) == [("a", "subject", False)]

    def test_lacks_an_unsuspended_policy(self) -> None:
        assert lacks(explained(governed(export(), suspend=True))) == [("a", "suspension", False)]

    @pytest.mark.parametrize(("images", "held"), [(None, UNKNOWN), ({"sha256:" + "b" * 64}, False)])
    def test_lacks_the_workload(self, images: set[str] | None, held: Truth) -> None:
        agent = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}
        on = governed(export(), subjects=[{**agent, "workload": {"imageDigests": [IMAGE]}}])
        workload = PodWorkload(frozenset(images)) if images else None
        subject = Party("serviceAccount", AGENT, "uid", workload=workload)
        assert lacks(explained(on, replace(CALL, subject=subject))) == [("a", "workload", held)]

    def test_is_of_the_rule_with_the_fewest_false_clauses(self) -> None:
        far = export("a", actions=["x"], resources=[{"type": "order", "ids": ["7"]}])
        conditions = [{"name": name, "expression": "false"} for name in ("c", "d")]
        nearer = export("b", conditions=conditions)
        nearest = export("c", intents=["support"])
        assert lacks(explained(governed(far, nearer, nearest))) == [("c", "intent", False)]

    def test_prefers_an_allow_to_a_gate(self) -> None:
        on = governed(gated_rule("a", intents=["x"], actions=["other"]), export("b", actions=["other"]))
        found = explained(on)
        assert (lacks(found), found.approval) == ([("b", "action", False)], ())

    def test_may_be_a_gate(self) -> None:
        found = explained(governed(gated_rule("a", actions=["other"])))
        assert lacks(found) == [("a", "action", False)]
        assert [gate.name for gate in found.approval] == ["a"]

    def test_is_a_gate_that_is_shut(self) -> None:
        found = explained(governed(gated_rule("a", intents=["support"]), export("b")))
        assert lacks(found) == [("a", "intent", False)]
        assert [gate.name for gate in found.approval] == ["a"]

    def test_is_a_deny_to_be_lifted(self) -> None:
        found = explained(governed(export("a"), export("never", effect="Deny")))
        assert [(change.rule and change.rule.name, change.lift, change.clauses) for change in found.changes] == [
            ("never", True, ())
        ]

    def test_is_a_deny_to_be_lifted_and_a_rule_to_be_met(self) -> None:
        found = explained(governed(export("a", intents=["x"]), export("never", effect="Deny")))
        assert [(change.rule and change.rule.name, change.lift) for change in found.changes] == [
            ("never", True),
            ("a", False),
        ]

    def test_is_none_where_only_denies_are(self) -> None:
        assert explained(governed(export(effect="Deny"))).changes == ()

    def test_is_none_of_a_call_that_is_allowed(self) -> None:
        found = explained(governed(export()))
        assert (found.changes, [one.standing for one in found.near]) == ((), [Standing.APPLIES])

    def test_is_no_change_where_an_approval_is_all_that_lacks(self) -> None:
        found = explained(governed(gated_rule()))
        assert (found.changes, [gate.name for gate in found.approval]) == ((), ["export"])

    def test_is_never_of_an_audit_policy(self) -> None:
        on = snapshot(carrier(), stored("audit", export("near", intents=["x"]), mode="Audit"))
        assert [change.rule and change.rule.name for change in explained(on).changes] == ["unrelated"]


class TestAnExplanation:
    @pytest.mark.parametrize(
        "call",
        [replace(CALL, endpoint="nowhere"), replace(CALL, caller=ServiceAccount("stranger", "uid"))],
        ids=["nowhere", "stranger"],
    )
    def test_is_not_for_whoever_may_not_ask(self, call: Call) -> None:
        assert explain(governed(export()), call, AROUND) is None

    def test_says_what_denied_before_any_rule(self) -> None:
        unproven = replace(CALL, subject=UnprovenParty(Reason.IDENTITY_INVALID))
        assert explained(governed(export()), unproven) == Explanation(refused=Reason.IDENTITY_INVALID)
        dead = Circumstances(now=NOW, freshness=Freshness.DEAD)
        assert explained(governed(export()), around=dead) == Explanation(refused=Reason.STORE_STALE)

    def test_shows_the_nearest_rules_of_many(self) -> None:
        rules = [export(f"r{number:02}", actions=["other"], intents=["x"]) for number in range(20)]
        found = explained(governed(*rules, export("z", actions=["other"])))
        assert len(found.near) == NEAR
        assert found.near[0].rule.name == "z"

    def test_shows_every_rule_that_decides(self) -> None:
        denies = [export(f"d{number}", effect="Deny") for number in range(NEAR + 2)]
        found = explained(governed(*denies, export("a")))
        assert len([one for one in found.near if one.standing is Standing.APPLIES]) == NEAR + 3

    def test_says_nothing_of_the_call(self) -> None:
        conditions = [{"name": "c", "expression": "context.args.iban == context.secret && subject.claims.x == 'y'"}]
        call = replace(
            with_context(args={"iban": "DE00 SECRET"}, secret="hush", intent="mine"),
            subject=Party("serviceAccount", AGENT, "uid", {"x": "claimed"}, {"team": "hidden"}),
            resource=Resource("customer", "42", {"env": "quiet"}),
        )
        entry = {"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}
        found = explained(governed(export(conditions=conditions, intents=["x"], resources=[entry])), call)
        told = repr([one.clauses for one in found.near])
        assert not [text for text in ("DE00", "hush", "mine", "claimed", "hidden", "quiet") if text in told]


class TestACallOnSomebodysBehalf:
    PERSON: Final = Party("user", "carol", "corp#carol", issuer="corp")
    ACTOR: Final = Party("serviceAccount", AGENT, "agent-uid")

    def on(self, *rules: Object, ceiling: Object, entitled: bool = False) -> Snapshot:
        delegation = {"maxDepth": 1, "principals": ["carol"], "ceiling": [ceiling], "principalMustBeEntitled": entitled}
        carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
        agent = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}
        carol = {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}
        return snapshot(stored("p", *rules, subjects=[agent, carol], endpointSettings=carried))

    def call(self, action: str = "customers.export") -> Call:
        return replace(CALL, subject=self.PERSON, actors=(self.ACTOR,), action=Action(action))

    def test_lacks_what_the_ceiling_asks(self) -> None:
        ceiling = {"actions": ["customers.list"], "resources": [{"type": "customer", "ids": ["*"]}]}
        found = explained(self.on(export(), ceiling=ceiling), self.call())
        assert lacks(found) == [("ceiling", "action", False)]
        assert [(change.party.id, change.entry) for change in found.changes] == [(AGENT, 0)]

    def test_lacks_what_each_hop_lacks(self) -> None:
        ceiling = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}
        on = self.on(export(intents=["x"]), ceiling=ceiling, entitled=True)
        found = explained(on, self.call())
        assert [(change.party.id, [str(clause.kind) for clause in change.clauses]) for change in found.changes] == [
            (AGENT, ["intent"]),
            ("carol", ["subject", "intent"]),
        ]

    def test_of_both_hops_lifts_a_deny_once(self) -> None:
        ceiling = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}
        on = self.on(export(), export("never", effect="Deny", subjects=["agent", "carol"]), ceiling=ceiling)
        assert [change.lift for change in explained(on, self.call()).changes] == [True]
