"""The cases of guards and schema rules, each marked with the invariants that what it is of serves."""

from collections.abc import Iterable
from typing import Any

import pytest

from enforcement import Expression, Place, SchemaRule
from invariants import INVARIANTS
from support.guards.case import Case
from support.schemas.transitions import Case as RuleCase


def guarded(cases: Iterable[Case]) -> list[Any]:
    """Return the cases of guards as parameters."""
    return [pytest.param(case, id=str(case), marks=_of(Expression(case.guard, case.message))) for case in cases]


def ruled(cases: Iterable[RuleCase]) -> list[Any]:
    """Return the cases of rules as parameters, one for each way to play it."""
    return [
        pytest.param(case, way, id=f"{case.title}, by {way}", marks=_of(SchemaRule(case.rule)))
        for case in cases
        for way in case.ways
    ]


def _of(place: Place) -> list[pytest.MarkDecorator]:
    numbers = [invariant.number for invariant in INVARIANTS if place in invariant.places]
    return [pytest.mark.invariant(*numbers)] if numbers else []
