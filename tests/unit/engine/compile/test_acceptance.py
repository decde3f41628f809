"""Whether a policy is accepted, and why not: what is wrong with it comes before what is wrong around it."""

from typing import Any, Final

import pytest

from bailiwick_engine.budget.ledger import MIB, Excess, Limit
from bailiwick_engine.compile.acceptance import (
    CompilationSummary,
    NotAcceptedReason,
    PolicyContext,
    Refusal,
    carries_settings,
    endpoint_of,
    judge,
    over_budget,
    refusal,
)
from bailiwick_engine.compile.reviewers import People, issuers_of
from bailiwick_engine.keys import entity, group, service_account, user
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.problem import Problem
from support.objects import gated_rule, policy, rule, settings

REF: Final = PolicyRef("crm", "crm-agent", "", 0)
PROBLEM: Final = Problem("spec.rules[0]", "wrong")
UNMAPPED: Final = People((("export", frozenset({"corp"})),))


def spec(**fields: Any) -> Any:  # noqa: ANN401 - a spec as it is written
    return policy("crm", **fields)["spec"]


def told(judged: CompilationSummary, *, carries: bool = True, **around: Any) -> Refusal | None:  # noqa: ANN401 - as `PolicyContext` has them
    return refusal(judged, "crm-api", PolicyContext(**around), carries=carries)


def test_a_sound_policy_is_accepted() -> None:
    assert told(judge(REF, spec(endpointSettings=settings())), issuers={}) is None


def test_what_is_wrong_with_it_comes_first_then_a_conflict_then_its_people() -> None:
    everything: dict[str, Any] = {"others": ["other"], "issuers": {"corp": False}}
    found = [
        told(CompilationSummary((PROBLEM,), people=UNMAPPED), **everything),
        told(CompilationSummary((), people=UNMAPPED), **everything),
        told(CompilationSummary((), people=UNMAPPED), issuers={"corp": False}),
        told(CompilationSummary((), people=UNMAPPED), issuers={"corp": True}),
    ]
    assert [one and one.why for one in found] == [
        NotAcceptedReason.INVALID,
        NotAcceptedReason.CONFLICTED,
        NotAcceptedReason.UNMAPPED,
        None,
    ]


def test_what_is_over_budget_is_told_before_all_that_was_not_looked_at() -> None:
    found = told(
        CompilationSummary(()), excess=Excess(Limit.POLICY, 17 * MIB, 0, 16 * MIB), others=["other"], issuers={}
    )
    assert found is not None
    assert found.why is NotAcceptedReason.OVER_BUDGET


OVER: Final[dict[Limit, tuple[Excess, str]]] = {
    Limit.POLICY: (
        Excess(Limit.POLICY, 20 * MIB, 0, 16 * MIB),
        (
            "the compiled policy needs 20.0 MiB, and the limit for one policy is 16.0 MiB (4.0 MiB over the limit):"
            " shorten its conditions, or split it into several policies"
        ),
    ),
    Limit.POLICIES: (
        Excess(Limit.POLICIES, 1, 100, 100),
        (
            "the namespace has 100 other policies, and the limit is 100 policies in total: delete policies that you do"
            " not need, or combine the rules of several policies into one"
        ),
    ),
    Limit.TEXT: (
        Excess(Limit.TEXT, 2048, 99 * 1024, 100 * 1024),
        (
            "the spec needs 2.0 KiB as JSON, and the other specs of the namespace use 99.0 KiB of the namespace's limit"
            " of 100.0 KiB (1.0 KiB over the limit): delete policies that you do not need, or shorten them"
        ),
    ),
    Limit.NAMESPACE: (
        Excess(Limit.NAMESPACE, 2 * MIB, 95 * MIB, 96 * MIB),
        (
            "the compiled policy needs 2.0 MiB, and the other policies of the namespace use 95.0 MiB of the namespace's"
            " limit of 96.0 MiB (1.0 MiB over the limit): delete policies that you do not need, shorten them, or ask an"
            " administrator for a larger budget"
        ),
    ),
    Limit.SHARE: (
        Excess(Limit.SHARE, 2 * MIB, 47 * MIB, 48 * MIB),
        (
            "the compiled policy needs 2.0 MiB, and the other policies of the namespace use 47.0 MiB of the namespace's"
            " share (the decision point is full) of 48.0 MiB (1.0 MiB over the limit): delete policies that you do not"
            " need, shorten them, or ask an administrator for a larger budget"
        ),
    ),
}


@pytest.mark.parametrize("limit", Limit)
def test_what_is_over_budget_says_how_much_is_used_by_how_much_it_is_over_and_what_to_do(limit: Limit) -> None:
    excess, words = OVER[limit]
    assert over_budget(excess) == Refusal(NotAcceptedReason.OVER_BUDGET, words)


def test_a_policy_without_settings_is_in_conflict_with_nobody() -> None:
    assert told(CompilationSummary(()), others=["other"], carries=False) is None


def test_a_conflict_names_the_first_five_in_order() -> None:
    found = told(CompilationSummary(()), others=[f"p{number}" for number in range(8, 0, -1)])
    assert found is not None
    assert "are also in p1, p2, p3, p4, p5 and 3 more:" in found.message


def test_people_who_may_be_acted_for_at_the_endpoint_count_for_every_gate() -> None:
    people = People((("export", frozenset()),))
    found = told(CompilationSummary((), people=people), principals=["helpdesk"], issuers={})
    assert found is not None
    assert "a principal of its endpoint comes from issuer helpdesk, which is not configured" in found.message


@pytest.mark.parametrize(
    ("of", "endpoint", "carries"),
    [
        (spec(), "crm-api", False),
        (spec(endpointSettings=None), "crm-api", True),
        ({"endpoint": 7}, "", False),
        ([], "", False),
        (None, "", False),
    ],
    ids=["a policy", "settings that cannot be read", "no text", "a list", "nothing"],
)
def test_endpoint_and_settings_are_read_of_whatever_is_there(of: object, endpoint: str, carries: bool) -> None:
    assert (endpoint_of(of), carries_settings(of)) == (endpoint, carries)


def test_a_spec_that_cannot_be_read_is_judged_and_has_no_digest() -> None:
    judged = judge(REF, {"surprise": 1})
    assert judged.digest is None
    assert judged.problems


def test_judging_tells_what_is_of_interest_beside_the_rules() -> None:
    judged = judge(REF, spec(rules=[rule(), gated_rule()], suspend=True, mode="Audit"))
    assert (judged.rules, judged.suspend, judged.audit, judged.problems) == (2, True, True, ())
    assert judged.people.gated == (("export", frozenset()),)


def test_issuers_are_read_of_the_keys_of_people_alone() -> None:
    keys = [
        user("corp", "carol"),
        group("helpdesk", "support"),
        group("cluster", "system:masters"),
        service_account("system:serviceaccount:crm:agent"),
        entity("user", "alice"),
    ]
    assert issuers_of(keys) == {"corp", "helpdesk"}
