"""What a review is answered, by what stands around the policy at the moment."""

from dataclasses import replace
from typing import Any, Final

import pytest
from msgspec import structs

from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, BudgetLedger, Claim
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.admission import review
from bailiwick_webhook.admission.answer import ReviewResponse, answer
from bailiwick_webhook.admission.review import NothingToReview, PolicyFinding, UnknownVersion, examine
from bailiwick_webhook.metrics.table import Admission
from support.admission.reviews import UID, sent
from support.objects import Object, changed, gated_rule, policy, rule, settings
from unit.engine.cases import NOW, at

CAROL: Final = {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}
NARROW: Final = [{"actions": ["customers.list"], "resources": [{"type": "customer", "ids": ["*"]}]}]
ACTED_FOR: Final = {**settings(), "delegation": {"maxDepth": 1, "principals": ["carol"], "ceiling": NARROW}}
CARRIER: Final = policy("crm", "carrier", endpointSettings=settings())
ANY: Final = Budget()
GATED: Final = policy("crm", "gated", rules=[gated_rule()])


def snapshot(*policies: Object) -> Snapshot:
    made = []
    for raw in policies:
        metadata = raw["metadata"] | {"uid": raw["metadata"]["name"], "generation": 1}
        made.append(compile_object(raw | {"metadata": metadata}))
    return Snapshot.of(made)


def taken(budget: Budget, *stored: Object) -> BudgetLedger:
    """Return the ledger of what is stored, each younger than the one before."""
    ledger = BudgetLedger(budget)
    for number, raw in enumerate(stored):
        metadata = raw["metadata"]
        claim = Claim(f"2026-01-01T00:00:{number:02}Z", metadata["name"], footprint(raw["spec"]))
        ledger.put(metadata["namespace"], metadata["name"], claim)
    ledger.settle()
    return ledger


def answered(
    new: Object,
    *stored: Object,
    old: Object | None = None,
    issuers: dict[str, bool] | None = None,
    budget: Budget = ANY,
) -> tuple[Admission, dict[str, Any]]:
    finding = examine(sent(new, old), budget.policy).finding
    assert isinstance(finding, NothingToReview | UnknownVersion | PolicyFinding)
    if isinstance(finding, PolicyFinding):
        # What it lets further is told by somebody else.
        finding = structs.replace(finding, widening=())
    result = answer(finding, snapshot(*stored), taken(budget, *stored), issuers, NOW)
    assert result.body["response"]["uid"] == UID
    return result.outcome, result.body["response"]


def test_nothing_to_judge_is_allowed() -> None:
    result = answer(NothingToReview(UID), snapshot(), BudgetLedger(ANY), None, NOW)
    assert result == ReviewResponse(
        {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": UID, "allowed": True},
        },
        Admission.UNCHANGED,
    )


def test_another_version_is_refused_with_what_to_do() -> None:
    result = answer(UnknownVersion(UID, "v9\x1b"), snapshot(), BudgetLedger(ANY), None, NOW)
    assert result.outcome is Admission.FOREIGN
    assert result.body["response"]["allowed"] is False
    assert result.body["response"]["status"]["message"] == (
        "UnknownVersion: this decision point supports bailiwick.dev/v1alpha1, not v9\\u001b: upgrade the decision"
        " point first"
    )


def test_a_step_that_asks_for_a_signature_is_warned_of_while_none_can_count() -> None:
    steps = [{"name": "owner", "kind": "Human", "signature": "Key"}]
    signing = changed(CARRIER, "spec.rules", [gated_rule(approval={"steps": steps})])
    for raw, problem, warned in (
        (signing, "no registrars", True),
        (signing, "", False),
        (CARRIER, "no registrars", False),
    ):
        finding = examine(sent(raw), ANY.policy).finding
        assert isinstance(finding, PolicyFinding)
        result = answer(finding, snapshot(), BudgetLedger(ANY), None, NOW, problem).body["response"]
        assert result["allowed"] is True
        assert any("no signed review counts" in one for one in result.get("warnings", ())) is warned


class TestTheSettingsOfAnEndpoint:
    SECOND: Final = policy("crm", "second", endpointSettings=settings())

    def test_may_stand_in_one_policy(self) -> None:
        assert answered(CARRIER)[0] is Admission.ALLOWED
        assert answered(policy("crm"), CARRIER)[0] is Admission.ALLOWED

    def test_may_not_stand_in_a_second(self) -> None:
        outcome, response = answered(self.SECOND, CARRIER)
        assert outcome is Admission.CONFLICTED
        assert response["status"]["code"] == 422
        assert response["status"]["message"].startswith("Conflicted: endpointSettings for crm-api are also in carrier")

    def test_may_not_stand_beside_such_as_cannot_be_read(self) -> None:
        assert answered(self.SECOND, changed(CARRIER, "spec.endpointSettings", {"x": 1}))[0] is Admission.CONFLICTED

    def test_may_change_where_they_stand(self) -> None:
        new = changed(CARRIER, "spec.endpointSettings", settings("gateways", "envoy"))
        assert answered(new, CARRIER, old=CARRIER)[0] is Admission.ALLOWED

    def test_may_be_the_same_of_another_endpoint_or_namespace(self) -> None:
        others = [changed(CARRIER, "spec.endpoint", "other"), changed(CARRIER, "metadata.namespace", "other")]
        assert answered(self.SECOND, *others)[0] is Admission.ALLOWED

    def test_that_stood_in_two_already_hold_up_no_edit_of_either_and_are_told(self) -> None:
        new = changed(CARRIER, "spec.suspend", True)
        outcome, response = answered(new, CARRIER, self.SECOND, old=CARRIER)
        assert outcome is Admission.ALLOWED
        (warning,) = response["warnings"]
        assert warning.startswith("Conflicted, as it was before: endpointSettings for crm-api are also in second")

    def test_are_not_added_to_a_policy_while_they_stand_in_another(self) -> None:
        old = changed(self.SECOND, "spec.endpointSettings", ...)
        assert answered(self.SECOND, CARRIER, old, old=old)[0] is Admission.CONFLICTED

    @pytest.mark.parametrize("stored", [(), (GATED,), (policy("crm", "carrier", endpoint="other"),)])
    def test_that_nobody_carries_are_told_and_hold_up_nothing(self, stored: tuple[Object, ...]) -> None:
        outcome, response = answered(policy("crm", "first"), *stored)
        assert outcome is Admission.ALLOWED
        assert response["warnings"] == [acceptance.unconfigured_message("crm-api")]

    def test_that_go_with_this_very_change_are_told(self) -> None:
        _, response = answered(changed(CARRIER, "spec.endpointSettings", ...), CARRIER, old=CARRIER)
        assert "no policy of crm-api has spec.endpointSettings" in response["warnings"][0]

    def test_of_which_the_store_knows_nothing_yet_are_refused_nowhere(self) -> None:
        assert answered(self.SECOND)[0] is Admission.ALLOWED


class TestPeopleWhomNobodyKnowsAsReviewers:
    OWN: Final = policy("crm", "own", subjects=[CAROL], rules=[gated_rule(subjects=["carol"])])

    @pytest.mark.parametrize(
        ("issuers", "outcome"),
        [(None, Admission.ALLOWED), ({"corp": True}, Admission.ALLOWED), ({"corp": False}, Admission.UNMAPPED)],
        ids=["nobody told us", "mapped", "not mapped"],
    )
    def test_may_be_in_no_gate(self, issuers: dict[str, bool] | None, outcome: Admission) -> None:
        assert answered(self.OWN, issuers=issuers)[0] is outcome

    def test_may_not_be_acted_for_at_a_gated_endpoint(self) -> None:
        acting = policy("crm", "carrier", subjects=[*CARRIER["spec"]["subjects"], CAROL], endpointSettings=ACTED_FOR)
        outcome, response = answered(GATED, acting, issuers={"corp": False})
        assert outcome is Admission.UNMAPPED
        assert "a principal of its endpoint comes from issuer corp" in response["status"]["message"]

    def test_are_read_of_the_settings_that_come_and_not_of_those_that_go(self) -> None:
        subjects = [*CARRIER["spec"]["subjects"], CAROL]
        old = policy("crm", "carrier", subjects=subjects, endpointSettings=ACTED_FOR, rules=[rule()])
        new = policy("crm", "carrier", subjects=subjects, endpointSettings=settings(), rules=[gated_rule()])
        assert answered(new, old, old=old, issuers={"corp": False})[0] is Admission.ALLOWED
        assert answered(
            changed(new, "spec.endpointSettings", ACTED_FOR), old, old=old, issuers={"corp": False}
        )[0] is Admission.UNMAPPED  # fmt: skip

    def test_who_were_there_already_hold_up_no_edit_and_are_told(self) -> None:
        never = rule("never", effect="Deny", subjects=["carol"])
        tighter = changed(self.OWN, "spec.rules", [*self.OWN["spec"]["rules"], never])
        outcome, response = answered(tighter, self.OWN, old=self.OWN, issuers={"corp": False})
        assert outcome is Admission.ALLOWED
        assert response["warnings"][0].startswith(
            "UnmappedIssuer, as it was before: people review approvals of rule export"
        )


@pytest.mark.parametrize("why", acceptance.NotAcceptedReason)
def test_a_refusal_of_any_reason_is_one_and_is_counted(why: acceptance.NotAcceptedReason) -> None:
    found = examine(sent(CARRIER)).finding
    assert isinstance(found, PolicyFinding)
    result = answer(
        structs.replace(found, refusal=acceptance.Refusal(why, "no")), snapshot(), BudgetLedger(ANY), None, NOW
    )
    response = result.body["response"]
    assert (response["allowed"], response["status"]["message"]) == (False, f"{why}: no")


def test_calls_that_a_policy_newly_permits_come_first_in_the_warnings_of_an_allowed_policy_alone() -> None:
    found = examine(sent(policy("crm"))).finding
    assert isinstance(found, PolicyFinding)
    found = structs.replace(found, widening=("permits more calls",))
    allowed = answer(found, snapshot(), BudgetLedger(ANY), None, NOW)
    assert allowed.outcome is Admission.ALLOWED
    assert allowed.body["response"]["warnings"] == ["permits more calls", acceptance.unconfigured_message("crm-api")]
    wrong = acceptance.Refusal(acceptance.NotAcceptedReason.INVALID, "no")
    refused = answer(structs.replace(found, refusal=wrong), snapshot(), BudgetLedger(ANY), None, NOW)
    assert "warnings" not in refused.body["response"]


def test_a_policy_that_is_too_costly_is_refused_in_words() -> None:
    costly = rule(conditions=[{"name": "c", "expression": "context.a.matches(context.b)"}])
    outcome, response = answered(policy("crm", rules=[costly]), CARRIER)
    assert outcome is Admission.INVALID
    assert response["status"]["message"].startswith("TooCostly: spec.rules[0].conditions[0].expression:1:")


def test_warnings_of_the_compiler_are_told_of_what_is_allowed() -> None:
    gate = gated_rule(approval={"steps": [{"name": "owner", "kind": "Human"}], "windowSeconds": 7200})
    _, response = answered(policy("crm", rules=[gate]), CARRIER)
    (warning,) = response["warnings"]
    assert warning.startswith("spec.rules[0].approval.windowSeconds: an approval for one use is valid for 7200")


def test_a_policy_of_an_endpoint_that_is_not_there_is_told_nothing_of_others() -> None:
    assert answered(policy("crm", endpoint="secret"), CARRIER)[1] == answered(policy("crm", endpoint="secret"))[1]


def test_rules_that_have_expired_are_told() -> None:
    outcome, response = answered(
        changed(CARRIER, "spec.rules", [rule("old", expireTime=at(-1)), rule(expireTime=at(1))])
    )
    assert outcome is Admission.ALLOWED
    assert response["warnings"] == [
        f"spec.rules[0].expireTime: rule old expired at {at(-1)}: it no longer allows any call"
    ]


def sized(conditions: int, name: str = "sized", **spec: object) -> Object:
    """Return a policy with so many conditions of its own."""
    made = [{"name": f"c{number}", "expression": f"context.{name} == {number}"} for number in range(conditions)]
    return policy("crm", name, **{"rules": [rule(conditions=made)], **spec})


def size(raw: Object) -> int:
    return footprint(raw["spec"]).bytes


OLD: Final = sized(8, "older")
SMALL: Final = sized(1, "small")
# Room for one of eight conditions and a small one, and not for two of eight.
NARROW_BUDGET: Final = Budget(namespace=size(OLD) + size(SMALL), policy=size(OLD))


def test_what_does_not_fit_beside_what_is_there_is_refused_with_how_much_it_is_over() -> None:
    outcome, response = answered(sized(8), OLD, budget=NARROW_BUDGET)
    assert (outcome, response["allowed"]) == (Admission.OVER_BUDGET, False)
    message = response["status"]["message"]
    over = size(OLD) + size(sized(8)) - NARROW_BUDGET.namespace
    for most in (size(sized(8)), size(OLD), NARROW_BUDGET.namespace, over):
        assert f"{most / 1024:.1f} KiB" in message
    assert message.startswith("OverBudget: the compiled policy needs ")
    assert "delete policies that you do not need" in message
    (cause,) = response["status"]["details"]["causes"]
    assert (cause["field"], cause["message"]) == ("spec", message)


def test_what_fits_is_stored_and_so_is_what_grows_within_the_budget() -> None:
    assert answered(SMALL, OLD, budget=NARROW_BUDGET)[0] is Admission.ALLOWED
    assert answered(sized(2, "small"), SMALL, old=SMALL, budget=NARROW_BUDGET)[0] is Admission.ALLOWED


def test_a_policy_that_is_too_large_by_itself_is_refused_before_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("it was compiled")

    monkeypatch.setattr(review, "judge", never)
    outcome, response = answered(sized(9), budget=NARROW_BUDGET)
    assert outcome is Admission.OVER_BUDGET
    assert "and the limit for one policy is" in response["status"]["message"]


@pytest.mark.parametrize(
    "new", [sized(16, suspend=True), sized(15)], ids=["suspended", "made smaller, and still too large"]
)
def test_what_is_over_and_asks_for_no_more_is_stored_with_a_warning(new: Object) -> None:
    over = sized(16, suspend=False)
    outcome, response = answered(new, OLD, over, old=over, budget=NARROW_BUDGET)
    assert outcome is Admission.ALLOWED
    assert response["warnings"][0].startswith("OverBudget, as it was before: the compiled policy needs ")


def test_what_was_over_and_fits_now_is_stored_without_a_word() -> None:
    over, budget = sized(16), replace(NARROW_BUDGET, namespace=NARROW_BUDGET.namespace + size(CARRIER))
    outcome, response = answered(sized(1), CARRIER, OLD, over, old=over, budget=budget)
    assert (outcome, response) == (Admission.ALLOWED, {"uid": UID, "allowed": True})


def test_the_number_of_policies_and_their_text_are_bounded_where_that_is_set() -> None:
    assert answered(SMALL, OLD, budget=Budget(policies=2))[0] is Admission.ALLOWED
    outcome, response = answered(SMALL, OLD, CARRIER, budget=Budget(policies=2))
    assert outcome is Admission.OVER_BUDGET
    assert "the namespace has 2 other policies, and the limit is 2 policies in total" in response["status"]["message"]
    outcome, response = answered(SMALL, OLD, budget=Budget(text=footprint(OLD["spec"]).text))
    assert outcome is Admission.OVER_BUDGET
    assert "other specs of the namespace" in response["status"]["message"]


def test_what_another_namespace_takes_refuses_nobody_who_keeps_within_a_fair_share() -> None:
    greedy = [policy("greedy", f"p{number}", rules=sized(8, f"p{number}")["spec"]["rules"]) for number in range(4)]
    budget = Budget(total=3 * size(OLD), namespace=3 * size(OLD), policy=size(OLD))
    assert answered(sized(8), *greedy, budget=budget)[0] is Admission.ALLOWED
    more = policy("greedy", "more", rules=sized(8, "more")["spec"]["rules"])
    outcome, response = answered(more, *greedy[:2], OLD, budget=budget)
    assert outcome is Admission.OVER_BUDGET
    assert "namespace's share (the decision point is full)" in response["status"]["message"]
