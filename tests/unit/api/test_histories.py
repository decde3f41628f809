"""Definitions of histories in files: refused as the API server refuses them, with its words and at its place."""

from typing import Final

import pytest

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.histories import window_milliseconds
from bailiwick_engine.compile.policies import parse_spec
from bailiwick_engine.problem import Problem
from support.schemas.policy_cases import POLICY_CASES
from support.schemas.transitions import Case

RULES: Final = (
    cel.WINDOW_LIMITED,
    cel.HISTORY_HAS_ONE_WINDOW,
    cel.OUTCOME_TIME_LIMITED,
    cel.OUTCOMES_ARE_COUNTED,
    cel.DENIED_HAVE_NO_AMOUNT,
    cel.DENIED_ARE_NOT_APPROVED,
    cel.SESSION_IS_ONE_THING,
    cel.SESSION_KEY_NEEDS_SESSION,
    cel.HISTORY_KEYS_LIMITED,
)
CASES: Final = [case for case in POLICY_CASES if case.rule in RULES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_definition_that_the_api_server_refuses_is_refused_with_the_same_words(case: Case) -> None:
    assert parse_spec(case.refused["spec"]) == (Problem(case.field, case.rule.message),)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_its_nearest_neighbour_is_accepted(case: Case) -> None:
    assert not isinstance(parse_spec(case.accepted["spec"]), tuple)


def test_each_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(RULES)


@pytest.mark.parametrize(
    ("window", "milliseconds"),
    [
        ("1m", 60_000),
        ("90m", 5_400_000),
        ("1h", 3_600_000),
        ("24h", 86_400_000),
        ("1d", 86_400_000),
        ("31d", 2_678_400_000),
    ],
)
def test_a_window_has_a_length(window: str, milliseconds: int) -> None:
    assert window_milliseconds(window) == milliseconds
