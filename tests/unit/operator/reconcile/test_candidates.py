"""What a candidate is told of the policy that it replaces."""

from collections.abc import Mapping
from typing import Final

import pytest

from bailiwick_engine.policy.replacements import MOST_CANDIDATES
from bailiwick_operator.reconcile.endpointpolicy import shadowing_conditions
from support.objects import Object, policy

LIVE: Final = policy("crm", "crm-agent")


def candidate(name: str = "next", replaces: object = "crm-agent", mode: str = "Audit") -> Object:
    return policy("crm", name, replaces=replaces, mode=mode)


def told(*policies: Object, elsewhere: Mapping[str, str] | None = None) -> dict[str, tuple[str, str]]:
    found = shadowing_conditions("crm-api", policies, (elsewhere or {}).get)
    assert {one.type for one in found.values()} <= {"Shadowing"}
    return {name: (one.status, one.reason) for name, one in found.items()}


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([LIVE], {}),
        ([LIVE, candidate()], {"next": ("True", "InPlace")}),
        ([candidate()], {"next": ("False", "ReplacedNotFound")}),
        ([LIVE, candidate(replaces="typo")], {"next": ("False", "ReplacedNotFound")}),
        (
            [LIVE, candidate("a"), candidate("b")],
            {"a": ("False", "SeveralCandidates"), "b": ("False", "SeveralCandidates")},
        ),
        (
            [LIVE, candidate("a"), candidate("b", "a")],
            {"a": ("True", "InPlace"), "b": ("False", "ReplacedIsCandidate")},
        ),
        ([LIVE, candidate("a", "a")], {"a": ("False", "ReplacedIsCandidate")}),
        ([LIVE, candidate(mode="Enforce")], {}),
        ([LIVE, candidate(replaces=7)], {}),
        (
            [LIVE, candidate("a"), policy("crm", "other"), candidate("b", "other")],
            {"a": ("True", "InPlace"), "b": ("True", "InPlace")},
        ),
    ],
    ids=[
        "no candidate",
        "one",
        "nobody to replace",
        "of a wrong name",
        "two for one",
        "for a candidate",
        "for itself",
        "one that is enforced",
        "unreadable",
        "two for two",
    ],
)
def test_a_candidate_is_told_how_it_stands(policies: list[Object], expected: dict[str, tuple[str, str]]) -> None:
    assert told(*policies) == expected
    assert told(*reversed(policies)) == expected


def test_one_for_a_policy_of_another_endpoint_is_told_so() -> None:
    found = shadowing_conditions("crm-api", [candidate(replaces="billing")], {"billing": "billing-api"}.get)["next"]
    assert (found.status, found.reason) == ("False", "ReplacedOnOtherEndpoint")
    assert "billing is a policy of billing-api" in found.message


def test_rivals_are_named() -> None:
    found = shadowing_conditions("crm-api", [LIVE, candidate("a"), candidate("b"), candidate("c")], lambda _: None)
    assert "crm-agent is also replaced by a, c, so none of them is shadowed" in found["b"].message


def test_of_many_only_the_first_are_judged() -> None:
    names = [f"policy-{number:02}" for number in range(MOST_CANDIDATES + 2)]
    made = [policy("crm", name) for name in names] + [candidate(f"next-{name}", name) for name in names]
    found = told(*made)
    assert [name for name, (status, _) in found.items() if status == "True"] == [
        f"next-{name}" for name in names[:MOST_CANDIDATES]
    ]
    assert found[f"next-{names[-1]}"] == ("False", "TooManyCandidates")
