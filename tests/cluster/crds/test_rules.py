"""Every validation rule of the two kinds refuses what it should, and is the only one that does.

Holds: each case is played three times: the rule refuses it as shipped, lets its nearest neighbour through, and the very
same object is accepted where only this rule is left out. So a case goes red when its rule is missing and when another
rule stands before it.
"""

from typing import Final

import pytest

from bailiwick_api.kinds import cel
from support.callers import Callers
from support.installation import accepted
from support.marks import ruled
from support.namespaces import name_for
from support.schemas import definitions
from support.schemas.definitions import SHIPPED, group_without
from support.schemas.rule_cases import CASES, TIMES, with_status
from support.schemas.transitions import CHANGE, Case, Stage, Way, causes

pytestmark = pytest.mark.long

PLAYED: Final = ruled(CASES)


@pytest.mark.parametrize(("case", "way"), PLAYED)
def test_the_rule_refuses(case: Case, way: Way, callers: Callers, variants: None, shelf: str) -> None:
    answer = Stage(callers.admin, SHIPPED, shelf).play(case, case.refused, way, name_for("refused"))
    assert answer.status == 422
    (cause,) = causes(answer)
    field, message = cause
    assert field == case.field
    assert message.endswith(f": {case.rule.message}")


@pytest.mark.parametrize(("case", "way"), PLAYED)
def test_the_rule_lets_the_nearest_neighbour_through(
    case: Case, way: Way, callers: Callers, variants: None, shelf: str
) -> None:
    assert Stage(callers.admin, SHIPPED, shelf).play(case, case.accepted, way, name_for("accepted")).message == ""


@pytest.mark.parametrize(("case", "way"), PLAYED)
def test_without_the_rule_the_same_object_is_accepted(
    case: Case, way: Way, callers: Callers, variants: None, shelf: str
) -> None:
    stage = Stage(callers.admin, group_without(case.rule), shelf)
    assert stage.play(case, case.refused, way, name_for("unruled")).message == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Pending", "Active"),
        ("Pending", "Denied"),
        ("Pending", "Expired"),
        ("Pending", "Withdrawn"),
        ("Active", "Consumed"),
        ("Active", "Lapsed"),
        ("Active", "Revoked"),
    ],
)
def test_a_phase_that_has_not_ended_moves_on(
    before: str, after: str, callers: Callers, variants: None, shelf: str
) -> None:
    stored, wanted = with_status(phase=before, **TIMES), with_status(phase=after, **TIMES)
    case = Case("", cel.PHASE_FINAL, "status", stored=stored, refused=stored, accepted=wanted, part="status")
    for way in CHANGE:
        answer = Stage(callers.admin, SHIPPED, shelf).play(case, case.accepted, way, name_for("moves-on"))
        assert accepted(answer)["status"]["phase"] == after


def test_the_table_covers_every_rule_of_the_definitions_and_of_the_module() -> None:
    found = definitions.places()
    assert {case.rule for case in CASES} == {place.rule for place in found} == set(definitions.named_rules().values())


def test_every_rule_hangs_in_one_place_only() -> None:
    rules = [place.rule for place in definitions.places()]
    assert len(rules) == len(set(rules))


def test_every_transition_rule_stands_on_a_parent_that_is_always_there() -> None:
    standing = {(place.kind, place.path) for place in definitions.places() if "oldSelf" in place.rule.expression}
    # All are required but for the status, which may come; STATUS_STAYS, on the whole object, says that it never goes.
    assert standing == {
        ("EndpointPolicy", "spec.endpoint"),
        ("ApprovalGrant", ""),
        ("ApprovalGrant", "spec"),
        ("ApprovalGrant", "spec.request"),
        ("ApprovalGrant", "status"),
        ("SubjectRevocation", "spec"),
    }
    for kind, path in standing - {("ApprovalGrant", ""), ("ApprovalGrant", "status")}:
        assert definitions.is_required(kind, path)
