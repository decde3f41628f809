"""The table of invariants in tests-as-evidence.md: what it names is there, and what is wrong with it is told."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

import generate_invariants
from bailiwick_api.kinds import cel
from bailiwick_api.manifests import guards
from enforcement import Code, Expression, Field, Invariant, NoField, Place, Role, SchemaRule
from generate_invariants import Shown, marked, problems
from invariants import INVARIANTS, NUMBERS

EVERYTHING: Final = (Shown("tests/cluster/test_all.py", "test_all", tuple(NUMBERS)),)


class TestTheTable:
    def test_has_each_number_once_and_in_order(self) -> None:
        assert [invariant.number for invariant in INVARIANTS] == sorted(NUMBERS)

    def test_is_up_to_date_and_nothing_is_wrong_with_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert generate_invariants.main(["--check"]) == 0
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", "")

    def test_says_each_in_sentences_and_in_one_cell(self) -> None:
        for invariant in INVARIANTS:
            assert invariant.holds.endswith((".", ")"))
            assert "|" not in invariant.holds

    def test_names_no_place_twice_for_one_invariant(self) -> None:
        for invariant in INVARIANTS:
            assert len(set(invariant.places)) == len(invariant.places)


def wrong(shown: Sequence[Shown] = EVERYTHING, invariants: Sequence[Invariant] = INVARIANTS) -> str:
    """Return the one problem that there is."""
    (problem,) = problems(shown, invariants)
    return problem


GONE: Final[dict[str, Place]] = {
    "a rule that hangs nowhere": SchemaRule(cel.CelRule("true", "nothing is wrong")),
    "a rule whose expression was changed": SchemaRule(replace(cel.PHASE_FINAL, expression="true")),
    "an expression that the guard has not": Expression(guards.REVIEW, "nobody is perfect"),
    "an expression of another guard": Expression(guards.OPEN, guards.REVIEW_NAMES_AUTHOR),
    "a field": Field("ApprovalGrant", "spec.request.nothing"),
    "a field of a list": Field("EndpointPolicy", "spec.rules[].approval.nothing"),
    "a field that came to be": NoField("ApprovalGrant", "spec.request.subject.uid"),
    "a field that is missing where nothing is": NoField("ApprovalGrant", "spec.nothing.at"),
    "a role": Role("bailiwick-nobody", "approve"),
    "a verb that the role has not": Role("bailiwick-edit", "approve"),
    "a verb that the role has": Role("bailiwick-approve", "approve", held=False),
    "a function": Code("bailiwick_engine.approval.quorum.counted"),
    "a module": Code("bailiwick_engine.quora.tally"),
    "a method": Code("bailiwick_webhook.approvals.consumer.Consumer.take"),
    "what is no function": Code("bailiwick_webhook.approvals.consumer.IDEMPOTENT_FOR"),
}


@pytest.mark.parametrize("what", GONE)
def test_a_place_that_is_gone_is_told(what: str) -> None:
    place = GONE[what]
    assert not place.present()
    told = [*INVARIANTS[:-1], replace(INVARIANTS[-1], places=(*INVARIANTS[-1].places, place))]
    assert wrong(invariants=told) == f"invariant {INVARIANTS[-1].number} names what is not there: {place}"


@pytest.mark.parametrize("number", sorted(NUMBERS))
def test_an_invariant_without_a_test_is_told(number: int) -> None:
    others = Shown("tests/cluster/test_all.py", "test_all", tuple(NUMBERS - {number}))
    assert f"invariant {number} has no test" in wrong([others])


def test_a_test_that_needs_no_api_server_is_not_enough() -> None:
    alone = [replace(EVERYTHING[0], numbers=tuple(NUMBERS - {7})), Shown("tests/unit/test_one.py", "test_one", (7,))]
    assert "invariant 7 has no test on a real API server" in wrong(alone)


@pytest.mark.parametrize(("numbers", "told"), [((99,), "99"), ((0, 1), "0"), (("one",), "one"), ((), "none is named")])
def test_a_mark_of_no_invariant_is_told(numbers: tuple[object, ...], told: str) -> None:
    shown = [*EVERYTHING, Shown("tests/unit/test_one.py", "test_one", numbers)]
    assert wrong(shown) == f"tests/unit/test_one.py: test_one: no such invariant: {told}"


def test_an_expression_of_a_guard_that_serves_no_invariant_is_told() -> None:
    message = "you cannot review your own request"
    bare = [
        replace(one, places=tuple(place for place in one.places if place != Expression(guards.REVIEW, message)))
        for one in INVARIANTS
    ]
    assert message in wrong(invariants=bare)


MARKED: Final = '''
import pytest

pytestmark = [pytest.mark.invariant(1), pytest.mark.other]

@pytest.mark.invariant(2, 3)
@pytest.mark.parametrize("case", [1])
def test_one(case): ...

@pytest.mark.invariant(4)
class TestTwo:
    @pytest.mark.invariant(5)
    async def test_three(self): ...

@pytest.mark.invariant(NUMBER)
def test_four(): ...

def test_five():
    """@pytest.mark.invariant(6)"""
'''


def test_marks_are_found_on_modules_classes_and_functions(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "cluster"
    folder.mkdir(parents=True)
    (folder / "test_some.py").write_text(MARKED)
    (folder / "helper.py").write_text(MARKED)
    assert {(shown.path, shown.name, shown.numbers) for shown in marked(tmp_path / "tests")} == {
        ("tests/cluster/test_some.py", name, numbers)
        for name, numbers in (
            ("every test", (1,)),
            ("test_one", (2, 3)),
            ("TestTwo", (4,)),
            ("TestTwo.test_three", (5,)),
            ("test_four", ("NUMBER",)),
        )
    }
