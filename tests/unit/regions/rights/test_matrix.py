"""The matrix of one endpoint: its rows and cells, and what it says where there is too much to look at."""

from typing import Any, Final

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_regions.rights.matrix import OTHERS, AccessMatrix, Cell, MatrixSubject
from support.objects import Object, gated_rule, policy, rule, settings
from unit.engine.cases import NOW

KEY: Final = ("crm", "crm-api")
PEOPLE: Final = settings() | {"identity": {"issuers": ["cluster", "corp"]}}
GROUPS: Final[list[Object]] = [{"name": name, "group": {"issuer": "corp", "name": name}} for name in ("a", "b")]


def matrix(*rules: Object, **spec: Any) -> AccessMatrix:  # noqa: ANN401 - of a policy
    raw = policy("crm", "one", rules=list(rules), **{"endpointSettings": settings(), **spec})
    raw["metadata"] |= {"uid": "one-uid", "generation": 1}
    return AccessMatrix(KEY, Snapshot.of([compile_object(raw)]).endpoints[KEY], NOW)


def of_groups(*rules: Object) -> AccessMatrix:
    return matrix(*rules, subjects=GROUPS, endpointSettings=PEOPLE)


def levels(cell: Cell) -> list[str | None]:
    assert cell is not None
    return [None if row.way is None else row.way.level.value for row in cell]


def action(found: AccessMatrix, name: str) -> str:
    return next(label for label in found.actions if name in label)


def the_row(found: AccessMatrix) -> MatrixSubject:
    (key,) = found.keys
    return found.subject(key)


def test_a_cell_says_what_a_subject_may_do_by_an_action() -> None:
    found = matrix(rule(), gated_rule())
    row = the_row(found)
    assert levels(found.cell(row, action(found, "list"))) == ["allow"]
    assert levels(found.cell(row, action(found, "export"))) == ["approval"]
    assert found.settings is not None


def test_what_a_deny_takes_away_leaves_an_empty_cell() -> None:
    found = matrix(rule(), rule("never", effect="Deny", actions=["customers.*"]))
    assert found.cell(the_row(found), action(found, "list")) == ()


def test_whoever_no_rule_names_is_a_row_of_its_own_without_rights() -> None:
    for asserted in ({}, {"identity": {"verification": "Asserted"}}):
        found = matrix(rule(), endpointSettings=settings() | asserted)
        assert found.others.id == OTHERS
        assert found.rules(found.others.named.party) == []  # type: ignore[union-attr]
        assert found.cell(found.others, action(found, "list")) == ()


def test_a_subject_of_an_issuer_that_the_endpoint_does_not_accept_has_no_rights() -> None:
    found = matrix(rule(subjects=["a"]), subjects=GROUPS[:1])
    row = the_row(found)
    assert row.named is None
    assert found.cell(row, action(found, "list")) == ()


def test_a_cell_with_more_to_look_at_than_it_may_is_not_known_and_says_what_it_took() -> None:
    found = matrix(rule(), gated_rule())
    row = the_row(found)
    assert found.cell(row, action(found, "list"), 0) is None
    assert found.taken(0) == 0
    assert found.cell(row, action(found, "list"), 100)
    assert 0 < found.taken(100) <= 100


def test_members_of_several_groups_are_told_if_they_may_do_something_else_than_their_parts() -> None:
    both = rule("both", subjects=["a", "b"])
    apart = of_groups(rule("one", subjects=["a"]), rule("two", subjects=["b"], actions=["customers.export"]), both)
    several, capped = apart.combinations()
    assert not capped
    assert [len(one.named.parts) for one in several if one.named] == [2]
    assert [more for _, more in apart.telling(several, 1_000)] == [False]
    denied = of_groups(rule("one", subjects=["a"]), rule("two", subjects=["b"], effect="Deny"))
    several, _ = denied.combinations()
    assert [more for _, more in denied.telling(several, 1_000)] == [True]
    assert denied.cell(several[0], action(denied, "list")) == ()
    assert denied.rules(several[0].named.party)  # type: ignore[union-attr]
    assert [more for _, more in denied.telling(several, 0)] == [None]


def test_one_whom_the_endpoint_does_not_accept_is_no_combination_to_tell_of() -> None:
    found = matrix(rule())
    assert [*found.telling([MatrixSubject("nobody", "nobody", None)], 100)] == []
