"""Every expression of the guards refuses what it should, and is what refuses it.

Holds: each case is played three times: the expression refuses the request (as a dry run too), lets its nearest
neighbour through, and where only this expression is left out the very same request is accepted, or refused by the one
that the case names. RBAC lets all of it through.
"""

from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from localcluster.rest import Answer
from support.guards import variants
from support.guards.case import Case
from support.guards.ground import Ground
from support.guards.history_cases import CASES as HISTORIES
from support.guards.open_cases import CASES as OPENINGS
from support.guards.other_cases import DELETIONS, REVOCATIONS, STATUSES
from support.guards.review_cases import CASES as REVIEWS
from support.guards.variants import Expression
from support.marks import guarded
from support.waits import until

pytestmark = pytest.mark.long

CASES: Final = (*OPENINGS, *REVIEWS, *REVOCATIONS, *STATUSES, *DELETIONS, *HISTORIES)
Without = Callable[[Expression | None, bool], Ground]


def refusal(answer: Answer) -> tuple[int, str]:
    """Return the status and which policy said what."""
    return answer.status, answer.message.partition("is forbidden: ")[2] or answer.message


def words(policy: str, message: str) -> str:
    return f"ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: {message}"


def expression_of(case: Case) -> Expression:
    return Expression(case.guard, case.message)


def await_in_force(ground: Ground, case: Case, policy: str) -> None:
    """Wait until another expression of the same guard refuses, under the name of this variant of it."""
    other = next(one for one in CASES if one.guard == case.guard and one.message != case.message and not one.unruled)
    ask = other.refused(ground)
    wanted = other.status, words(policy, other.says or other.message)
    until(lambda: refusal(ground.send(ask, dry_run=True)) == wanted, f"{policy} is in force")


@pytest.fixture
def ground(case: Case, request: pytest.FixtureRequest) -> Ground:
    """The shipped guards, or those before a schema without rules where the schema would refuse first."""
    if not case.unruled:
        shipped: Ground = request.getfixturevalue("shipped")
        return shipped
    without: Without = request.getfixturevalue("ground_without")
    whole = without(None, True)
    await_in_force(without(None, False), case, variants.policy_name(case.guard))
    return whole


@pytest.mark.parametrize("case", guarded(CASES))
def test_the_guard_refuses(case: Case, ground: Ground) -> None:
    policy = variants.policy_name(case.guard) if case.unruled else case.guard
    ask = case.refused(ground)
    wanted = case.status, words(policy, case.says or case.message)
    assert refusal(ground.send(ask, dry_run=True)) == wanted
    assert refusal(ground.send(ask)) == wanted


@pytest.mark.parametrize("case", guarded(CASES))
def test_the_guard_lets_the_nearest_neighbour_through(case: Case, ground: Ground) -> None:
    assert ground.send(case.accepted(ground)).message == ""


@pytest.mark.parametrize("case", guarded(CASES))
def test_without_the_expression_the_same_request_is_not_refused_by_it(
    case: Case, installed: Installation, ground_without: Without
) -> None:
    expression = expression_of(case)
    number = variants.number_of(installed, expression)
    ground = ground_without(expression, case.unruled)
    await_in_force(ground_without(expression, False), case, variants.policy_name(case.guard, number))
    # A dry run: what only this expression keeps out (a finalizer, say) should not come to stay.
    answer = ground.send(case.refused(ground), dry_run=True)
    assert answer.message.partition("denied request: ")[2] == case.then
    assert answer.ok == (not case.then)


def test_the_table_covers_every_expression_of_the_guards(installed: Installation) -> None:
    assert {expression_of(case) for case in CASES} == set(variants.expressions(installed))


def test_no_guard_has_two_expressions_of_one_message(installed: Installation) -> None:
    found = variants.expressions(installed)
    assert len(found) == len(set(found))


def test_every_expression_but_two_refuses_something_alone(installed: Installation) -> None:
    alone = {expression_of(case) for case in CASES if not case.then}
    never_alone = {one.message for one in set(variants.expressions(installed)) - alone}
    # What these two refuse, another expression refuses as well; they are there for their messages.
    assert never_alone == {"add one review at a time", "the grant has no such step"}
