"""Whether what a rule asks for can be approved at all; what cannot is a problem, what is doubtful a warning."""

from typing import Final

import pytest

from support.objects import Object, gated_rule
from unit.engine.cases import compilation, stored

HUMAN: Final = {"name": "owner", "kind": "Human"}
SYSTEM: Final = {"name": "robot", "kind": "System"}


def problems(*steps: Object, **approval: object) -> list[str]:
    made = compilation(stored("p", gated_rule(approval={"steps": [*steps], **approval})))
    return [str(problem) for problem in made.problems]


def counted(*counts: int) -> list[Object]:
    return [{"name": f"s{number}", "kind": "Human", "count": count} for number, count in enumerate(counts)]


@pytest.mark.invariant(23)
@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({**SYSTEM, "groups": ["owners"]}, "no service account is in owners"),
        ({**SYSTEM, "groups": ["owners", "system:nodes"]}, "no service account is in owners, system:nodes"),
        ({**SYSTEM, "groups": ["system:serviceaccount:crm"]}, "no service account is in"),
        ({**SYSTEM, "groups": ["system:serviceaccountsx"]}, "no service account is in"),
        ({**HUMAN, "groups": ["system:serviceaccounts"]}, "no person is in system:serviceaccounts"),
        ({**HUMAN, "groups": ["system:serviceaccounts:crm", "system:nodes"]}, "no person is in"),
    ],
)
def test_a_step_that_nobody_of_its_kind_can_fill_is_a_problem(step: Object, words: str) -> None:
    (found,) = problems(HUMAN | {"name": "other"}, step)
    assert found.startswith("spec.rules[0].approval.steps[1].groups: ")
    assert words in found


@pytest.mark.parametrize(
    "step",
    [
        SYSTEM,
        HUMAN,
        {**SYSTEM, "groups": ["system:serviceaccounts"]},
        {**SYSTEM, "groups": ["system:serviceaccounts:ci"]},
        {**SYSTEM, "groups": ["system:authenticated"]},
        {**SYSTEM, "groups": ["owners", "system:serviceaccounts:ci"]},
        {**HUMAN, "groups": ["owners"]},
        {**HUMAN, "groups": ["system:authenticated"]},
        {**HUMAN, "groups": ["owners", "system:nodes"]},
        {**HUMAN, "groups": ["system:masters"]},
    ],
)
def test_a_step_that_somebody_can_fill_is_none(step: Object) -> None:
    assert problems(step) == []


@pytest.mark.invariant(23)
@pytest.mark.parametrize(("counts", "good"), [((5, 5, 5, 5), True), ((5, 5, 5, 5, 1), False), ((4, 4, 4, 4, 4), True)])
def test_no_more_reviews_are_asked_for_than_a_grant_holds(counts: tuple[int, ...], good: bool) -> None:
    found = problems(*counted(*counts))
    assert (found == []) is good
    assert good or "require 21 reviews, but a grant holds at most 20" in found[0]


@pytest.mark.parametrize(
    ("approval", "warned"),
    [
        ({"windowSeconds": 3600}, False),
        ({"windowSeconds": 3601}, True),
        ({"windowSeconds": 86400, "maxUses": 2}, False),
        ({}, False),
    ],
)
def test_an_approval_for_one_use_that_stays_open_for_long_is_warned_of(approval: Object, warned: bool) -> None:
    made = compilation(stored("p", gated_rule(approval={"steps": [HUMAN], **approval})))
    assert made.policy is not None
    found = [str(warning) for warning in made.warnings]
    assert [entry.startswith("spec.rules[0].approval.windowSeconds: ") for entry in found] == [True] * warned
