"""What the status of a policy says: compiled or not and where, configured or not, and in force since or until when."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import pytest

from bailiwick_engine.budget.ledger import MIB, Excess, Limit
from bailiwick_engine.compile.acceptance import CompilationSummary
from bailiwick_engine.problem import Problem
from bailiwick_operator.reconcile import endpointpolicy
from bailiwick_operator.reconcile.conditions import DesiredCondition, Status
from bailiwick_operator.reconcile.endpointpolicy import PolicyObservation, PolicyPlan
from bailiwick_operator.reconcile.programmed import ServedGeneration
from bailiwick_operator.reconcile.usage import PolicyUse
from support.objects import Object, changed, gated_rule, policy, rule, settings, subject
from unit.operator.cases import NOW, at, compile_stored, condition, stored

CARRIER = stored(policy("crm", endpointSettings=settings()))
BROKEN_RULE = rule(conditions=[{"name": "big", "expression": "context.count >\n  nothing.here"}])


def reconciled(
    body: Object, *carriers: str, judged: CompilationSummary | None = None, minutes: float = 0
) -> PolicyPlan:
    named = carriers or (("crm-agent",) if endpointpolicy.carries_settings(body) else ())
    observed = PolicyObservation(judged or compile_stored(body), named, ServedGeneration(2, 2))
    return endpointpolicy.reconcile(body, observed, NOW + timedelta(minutes=minutes))


def status_of(body: Object, *carriers: str, judged: CompilationSummary | None = None, minutes: float = 0) -> Status:
    status = reconciled(body, *carriers, judged=judged, minutes=minutes).status
    assert status is not None
    return status


class TestAPolicyThatCompiles:
    def test_is_accepted_and_ready_with_its_digest(self) -> None:
        status = status_of(CARRIER)
        assert status["observedGeneration"] == 1
        assert status["digest"].startswith("sha256:")
        assert [(entry["type"], entry["status"]) for entry in status["conditions"]] == [
            ("Accepted", "True"),
            ("Programmed", "True"),
            ("Ready", "True"),
        ]
        assert condition(status, "Accepted")["message"] == "1 rule compiled"

    def test_says_the_generation_in_each_condition(self) -> None:
        status = status_of(changed(CARRIER, "metadata.generation", 7))
        assert [entry["observedGeneration"] for entry in status["conditions"]] == [7, 7, 7]

    def test_is_written_once(self) -> None:
        assert reconciled(CARRIER | {"status": status_of(CARRIER)}, minutes=60).status is None

    def test_is_not_written_again_because_of_somebody_elses_condition(self) -> None:
        status = status_of(CARRIER)
        foreign = {"type": "Audited", "status": "True", "reason": "Theirs", "lastTransitionTime": at()}
        assert (
            reconciled(CARRIER | {"status": status | {"conditions": [foreign, *status["conditions"]]}}).status is None
        )

    def test_keeps_the_time_since_when_it_is_so(self) -> None:
        before = status_of(CARRIER)
        after = status_of(changed(CARRIER, "metadata.generation", 2) | {"status": before}, minutes=5)
        assert [entry["lastTransitionTime"] for entry in after["conditions"]] == [at(), at(), at()]

    def test_says_a_new_time_when_it_is_no_longer_so(self) -> None:
        before = status_of(CARRIER)
        after = status_of(CARRIER | {"status": before}, "crm-agent", "other", minutes=5)
        assert condition(after, "Accepted")["lastTransitionTime"] == at(minutes=5)

    def test_tells_its_warnings(self) -> None:
        warning = Problem("spec.rules[0]", "defaults to yes", 1, 4)
        status = status_of(CARRIER, judged=replace(compile_stored(CARRIER), warnings=(warning,)))
        assert (
            condition(status, "Accepted")["message"] == "1 rule compiled; warnings: spec.rules[0]:1:4: defaults to yes"
        )


class TestWhatAPolicyHasInShort:
    def test_is_told_once_it_compiles(self) -> None:
        gated = gated_rule(actions=["customers.export", "customers.delete"])
        body = stored(policy("crm", rules=[rule(), gated, {**gated, "name": "again"}], endpointSettings=settings()))
        status = status_of(body)
        assert (status["ruleCount"], status["gatedActionCount"]) == (3, 2)
        assert status["gatedActions"] == ["customers.delete", "customers.export"]
        assert reconciled(body | {"status": status}).status is None

    def test_without_a_gate_is_that_there_is_none(self) -> None:
        status = status_of(CARRIER)
        assert (status["ruleCount"], status["gatedActionCount"], status["gatedActions"]) == (1, 0, [])

    def test_lists_no_more_actions_than_the_schema_has_room_for(self) -> None:
        gates = [gated_rule(f"gate-{n}", actions=[f"a{n:02}.{m:02}" for m in range(64)]) for n in range(2)]
        status = status_of(stored(policy("crm", rules=gates, endpointSettings=settings())))
        assert (status["gatedActionCount"], len(status["gatedActions"])) == (128, 32)
        assert status["gatedActions"][0] == "a00.00"

    def test_is_taken_back_where_it_does_not_compile(self) -> None:
        status = status_of(stored(policy("crm", rules=[BROKEN_RULE], endpointSettings=settings())))
        assert {"ruleCount", "gatedActionCount", "gatedActions", "shadow"}.isdisjoint(status)


class TestTheUseOfAPolicy:
    USED = PolicyUse(day=int(NOW.timestamp() // 86_400), since=NOW)

    def of(self, body: Object, use: PolicyUse = USED, minutes: float = 0) -> Status:
        observed = PolicyObservation(compile_stored(body), ("crm-agent",), ServedGeneration(2, 2), use=use)
        status = endpointpolicy.reconcile(body, observed, NOW + timedelta(minutes=minutes)).status
        assert status is not None
        return status

    def due(self, body: Object, use: PolicyUse = USED, minutes: float = 0) -> Status | None:
        return endpointpolicy.changed_use_status(body, compile_stored(body), use, NOW + timedelta(minutes=minutes))

    def test_is_written_and_then_nothing_is_due(self) -> None:
        status = self.of(CARRIER)
        assert status["usage"]["lastUsedTime"] == "2026-11-25T00:00:00Z"
        assert self.due(CARRIER) == {"usage": status["usage"]}
        assert self.due(CARRIER | {"status": status}, minutes=60) is None

    @pytest.mark.parametrize(
        "spec",
        [{"mode": "Audit"}, {"suspend": True}, {"rules": [rule(effect="Deny")]}, {"rules": [BROKEN_RULE]}],
        ids=["audit", "suspended", "deny alone", "broken"],
    )
    def test_is_not_missed_where_it_lets_nobody_through(self, spec: Object) -> None:
        body = stored(policy("crm", **{"endpointSettings": settings(), **spec}))
        assert "usage" not in self.of(body, PolicyUse(since=NOW))

    def test_stays_told_where_nothing_is_known_any_more(self) -> None:
        again = self.of(CARRIER | {"status": self.of(CARRIER)}, PolicyUse(), minutes=1)
        assert again["usage"] == {"lastUsedTime": "2026-11-25T00:00:00Z"}

    def test_of_a_candidate_is_what_its_calls_came_to(self) -> None:
        body = stored(policy("crm", "next", mode="Audit", replaces="live"))
        status = self.of(body, PolicyUse(compared=7, different=1, since=NOW))
        assert (status["shadow"]["compared"], status["shadow"]["different"]) == (5, 1)
        assert "usage" not in status
        assert self.due(body | {"status": status}, PolicyUse(compared=99, different=99), minutes=9) is None
        assert "shadow" not in self.of(CARRIER)
        broken = stored(policy("crm", "next", mode="Audit", replaces="live", rules=[BROKEN_RULE]))
        assert "shadow" not in self.of(broken)


class TestAPolicyThatDoesNotCompile:
    def test_says_path_line_and_column(self) -> None:
        body = stored(policy("crm", rules=[BROKEN_RULE], endpointSettings=settings()))
        accepted = condition(status_of(body), "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "InvalidPolicy")
        assert accepted["message"].startswith("spec.rules[0].conditions[0].expression:2:")

    def test_is_not_ready_and_has_no_digest(self) -> None:
        status = status_of(stored(policy("crm", rules=[BROKEN_RULE])))
        assert condition(status, "Ready")["reason"] == "InvalidPolicy"
        assert "digest" not in status

    def test_of_a_shape_that_nobody_knows_says_which_field(self) -> None:
        accepted = condition(status_of(changed(CARRIER, "spec.surprise", True)), "Accepted")
        assert "spec.surprise" in accepted["message"]

    def test_without_any_spec_is_told_too(self) -> None:
        assert (
            condition(status_of(stored({"metadata": {"name": "x", "namespace": "y"}})), "Accepted")["status"] == "False"
        )

    def test_tells_the_first_problems_and_how_many_more(self) -> None:
        problems = tuple(Problem(f"spec.rules[{index}]", "wrong") for index in range(8))
        message = condition(status_of(CARRIER, judged=CompilationSummary(problems)), "Accepted")["message"]
        assert message.startswith("spec.rules[0]: wrong; ")
        assert message.endswith("; and 3 more")

    def test_fits_into_the_schema_however_much_is_wrong(self) -> None:
        problems = tuple(Problem("spec", "x" * 5000) for _ in range(5))
        message = condition(status_of(CARRIER, judged=CompilationSummary(problems)), "Accepted")["message"]
        assert len(message) <= 4096


class TestTheSettingsOfAnEndpoint:
    def test_in_two_policies_are_told_in_both_and_each_names_the_other(self) -> None:
        other = changed(CARRIER, "metadata.name", "other")
        for body, named in ((CARRIER, "other"), (other, "crm-agent")):
            accepted = condition(status_of(body, "crm-agent", "other"), "Accepted")
            assert (accepted["status"], accepted["reason"]) == ("False", "Conflicted")
            assert f"are also in {named}" in accepted["message"]

    def test_in_two_policies_leave_a_third_accepted_and_not_ready(self) -> None:
        status = status_of(stored(policy("crm", "third")), "crm-agent", "other")
        assert condition(status, "Accepted")["status"] == "True"
        assert condition(status, "Ready")["reason"] == "Conflicted"

    def test_nowhere_say_what_to_add(self) -> None:
        status = status_of(stored(policy("crm")))
        assert condition(status, "Accepted")["status"] == "True"
        assert condition(status, "Ready")["reason"] == "EndpointUnconfigured"
        assert "endpointSettings.enforcers" in condition(status, "Ready")["message"]

    def test_in_another_policy_are_enough(self) -> None:
        assert condition(status_of(stored(policy("crm")), "carrier"), "Ready")["status"] == "True"


class TestBeingDeleted:
    DELETING: Final = changed(CARRIER, "metadata.deletionTimestamp", at())

    def test_is_told_and_leaves_it_accepted(self) -> None:
        status = status_of(self.DELETING)
        assert condition(status, "Accepted")["status"] == "True"
        ready = condition(status, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "Deleting")
        assert "Allow rules do not match" in ready["message"]

    def test_is_told_before_anything_else_that_is_wrong(self) -> None:
        for body in (changed(self.DELETING, "spec.surprise", True), changed(self.DELETING, "spec.expireTime", at())):
            assert condition(status_of(body, "crm-agent", "other"), "Ready")["reason"] == "Deleting"

    def test_is_waited_for_no_longer_than_it_takes(self) -> None:
        assert reconciled(changed(self.DELETING, "spec.expireTime", at(minutes=5))).wake is None


def test_a_policy_that_is_over_budget_is_not_accepted_and_denies_what_it_speaks_of() -> None:
    observed = PolicyObservation(
        CompilationSummary(()),
        ("crm-agent", "other"),
        ServedGeneration(2, 2),
        excess=Excess(Limit.POLICY, 17 * MIB, 0, 16 * MIB),
    )
    status = endpointpolicy.reconcile(CARRIER, observed, NOW).status
    assert status is not None
    for kind in ("Accepted", "Ready"):
        told = condition(status, kind)
        # That there are two carriers is not what stops it.
        assert (told["status"], told["reason"]) == ("False", "OverBudget")
        assert told["message"].startswith(
            "the compiled policy needs 17.0 MiB, and the limit for one policy is 16.0 MiB"
        )
    programmed = condition(status, "Programmed")
    assert programmed["status"] == "True"
    assert "it is over budget, so they deny the calls that it covers" in programmed["message"]


CAROL: Final = {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}
SUPPORT: Final = {"name": "support", "group": {"issuer": "helpdesk", "name": "support"}}
HUMAN: Final = {"steps": [{"name": "owner", "kind": "Human"}]}
ROBOT: Final = {"steps": [{"name": "owner", "kind": "System"}]}
NARROW: Final = [{"actions": ["customers.list"], "resources": [{"type": "customer", "ids": ["*"]}]}]
ACTED_FOR: Final = {**settings(), "delegation": {"maxDepth": 1, "principals": ["carol"], "ceiling": NARROW}}


def gates(approval: Object, *subjects: str, **spec: object) -> Object:
    everybody = [subject(), CAROL, SUPPORT]
    rules = [gated_rule(approval=approval, subjects=[*subjects])]
    written = {"endpoint": "crm-api", "endpointSettings": settings(), "subjects": everybody, "rules": rules}
    return stored(policy("crm") | {"spec": {**written, **spec}})


@dataclass(frozen=True)
class MappedCase:
    name: str
    body: Object
    issuers: dict[str, bool] | None
    words: str | None = None
    principals: frozenset[str] = frozenset()


MAPPED: Final = [
    MappedCase("people whose names are known", gates(HUMAN, "carol"), {"corp": True}),
    MappedCase("people whose names nobody knows", gates(HUMAN, "carol"), {"corp": False}, "issuer corp, which has no"),
    MappedCase(
        "people of an issuer that is not there", gates(HUMAN, "carol"), {}, "issuer corp, which is not configured"
    ),
    MappedCase("a group", gates(HUMAN, "agent", "support"), {"corp": True, "helpdesk": False}, "issuer helpdesk"),
    MappedCase("nothing is known of issuers", gates(HUMAN, "carol"), None),
    MappedCase("service accounts only", gates(HUMAN, "agent"), {}),
    MappedCase("service accounts that approve", gates(ROBOT, "carol"), {"corp": False}),
    MappedCase(
        "the cluster's own",
        gates(HUMAN, "me", subjects=[{"name": "me", "user": {"issuer": "cluster", "name": "x"}}]),
        {},
    ),
    MappedCase(
        "a principal of its endpoint",
        gates(HUMAN, "agent", endpointSettings=ACTED_FOR),
        {"corp": False},
        "a principal of its endpoint comes from issuer corp",
        frozenset({"corp"}),
    ),
    MappedCase(
        "a principal of its endpoint by the settings in another policy",
        gates(HUMAN, "agent"),
        {"corp": False},
        "a principal of its endpoint",
        frozenset({"corp"}),
    ),
    MappedCase("no gate, and a principal of its endpoint", CARRIER, {"corp": False}, None, frozenset({"corp"})),
]


@pytest.mark.invariant(1)
@pytest.mark.parametrize("case", MAPPED, ids=[case.name for case in MAPPED])
def test_a_policy_that_gates_people_whom_nobody_knows_as_reviewers_is_not_accepted(case: MappedCase) -> None:
    judged = compile_stored(case.body)
    assert not judged.problems
    observed = PolicyObservation(judged, ("crm-agent",), ServedGeneration(2, 2), case.principals, case.issuers)
    status = endpointpolicy.reconcile(case.body, observed, NOW).status
    assert status is not None
    accepted = condition(status, "Accepted")
    assert accepted["reason"] == ("Compiled" if case.words is None else "UnmappedIssuer")
    assert condition(status, "Ready")["status"] == ("True" if case.words is None else "False")
    assert (case.words or "") in accepted["message"]


def test_who_may_be_acted_for_is_read_from_the_settings() -> None:
    assert compile_stored(gates(HUMAN, "agent", endpointSettings=ACTED_FOR)).people.principals == {"corp"}


class TestWhetherItIsInForce:
    @pytest.mark.parametrize(
        ("field", "value", "ready", "reason", "words"),
        [
            ("mode", "Audit", "True", "Audit", "never affects a decision"),
            ("suspend", True, "True", "Suspended", "RequireApproval rules deny"),
            ("expireTime", at(minutes=5), "True", "Enforced", f"in force until {at(minutes=5)}"),
            ("expireTime", at(), "False", "Expired", f"expired at {at()}"),
        ],
        ids=["audit", "suspended", "not yet expired", "expired"],
    )
    def test_is_told(self, field: str, value: object, ready: str, reason: str, words: str) -> None:
        found = condition(status_of(changed(CARRIER, f"spec.{field}", value)), "Ready")
        assert (found["status"], found["reason"]) == (ready, reason)
        assert words in found["message"]

    def test_is_looked_at_again_when_the_policy_expires(self) -> None:
        body = changed(CARRIER, "spec.expireTime", at(minutes=5))
        assert reconciled(body).wake == NOW + timedelta(minutes=5)
        assert reconciled(body, minutes=5).wake is None


class TestACandidate:
    IN_PLACE = DesiredCondition("Shadowing", "True", "InPlace", "decided once more")

    def of(self, body: Object, *, served: int = 2, replacing: DesiredCondition | None = IN_PLACE) -> Status:
        judged = compile_stored(body)
        observed = PolicyObservation(judged, ("live",), ServedGeneration(served, 2), replacing=replacing)
        status = endpointpolicy.reconcile(body, observed, NOW).status
        assert status is not None
        return status

    def body(self, **spec: object) -> Object:
        return stored(policy("crm", "next", mode="Audit", replaces="live", endpointSettings=settings(), **spec))

    def test_carries_no_settings_and_is_in_place(self) -> None:
        status = self.of(self.body())
        assert condition(status, "Shadowing")["reason"] == "InPlace"
        assert condition(status, "Ready")["reason"] == "Audit"

    def test_is_in_place_only_where_every_process_has_it(self) -> None:
        found = condition(self.of(self.body(), served=1), "Shadowing")
        assert (found["status"], found["reason"]) == (
            "False",
            condition(self.of(self.body(), served=1), "Ready")["reason"],
        )

    def test_that_does_not_compile_shadows_nothing(self) -> None:
        found = condition(self.of(self.body(rules=[BROKEN_RULE])), "Shadowing")
        assert (found["status"], found["reason"]) == ("False", "NotCompiled")

    def test_that_is_one_no_more_loses_the_condition(self) -> None:
        before = self.of(self.body())
        after = self.of(self.body() | {"status": before}, replacing=None)
        assert [entry["type"] for entry in after["conditions"]] == ["Accepted", "Programmed", "Ready"]
