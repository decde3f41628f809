"""`docs/reference/cel.md` has every function, and every value, cost and message on it is the engine's."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml
from msgspec.structs import replace

import generate_cel_reference
from bailiwick_engine.cel.cost.estimate import LIMIT, REFERENCE
from bailiwick_engine.cel.cost.functions import FUNCTIONS
from bailiwick_engine.cel.expressions import Expression, evaluate_expression
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.cel.tree import Invocation, tree, walk
from celpage import examples, trial
from support.objects import policy, rule, settings
from support.pages import blocks
from support.suites import run_validate, written
from unit.engine.cases import CALL, NOW

PAGE: Final = "reference/cel.md"
TEXT: Final = generate_cel_reference.PATH.read_text(encoding="utf-8")
SHOWN: Final = [one for topic in examples.TOPICS for one in topic.examples]
# What the macros become: nobody writes it.
WITHIN: Final = {"@not_strictly_false"}


def called(text: str) -> set[str]:
    """Return the functions that an expression calls, once its macros are expanded."""
    nodes = walk(tree(trial.expression(text).program.serialize()))
    return {node.function for node in nodes if isinstance(node, Invocation)}


class TestThePage:
    def test_is_up_to_date(self) -> None:
        assert generate_cel_reference.rendered() == TEXT

    def test_is_checked(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        assert generate_cel_reference.main(["--check"]) == 0
        assert capsys.readouterr().out == ""
        monkeypatch.delitem(generate_cel_reference.VARIABLES, "now")
        with pytest.raises(ValueError, match="other variables"):
            generate_cel_reference.main(["--check"])

    def test_shows_every_function_and_operator_that_is_offered(self) -> None:
        shown = {function for one in SHOWN for function in called(one.text)}
        assert shown - WITHIN == FUNCTIONS.keys() - WITHIN

    @pytest.mark.parametrize("name", [*generate_cel_reference.VARIABLES][:5])
    def test_names_the_members_that_conditions_see(self, name: str) -> None:
        members = re.findall(r"`(\w+)`", generate_cel_reference.VARIABLES[name])
        seen = inputs(CALL, trial._CAROL, NOW, trial._CAROL)[name]
        assert sorted(members) == sorted(seen)

    def test_says_what_an_actor_is_in_a_call_of_ones_own(self) -> None:
        assert inputs(CALL, trial._CAROL, NOW)["actor"] == {}

    def test_has_the_bounds_of_the_engine(self) -> None:
        said = f"{REFERENCE.length} elements, {REFERENCE.nodes} values and {REFERENCE.characters:,} characters each"
        assert said in TEXT
        assert f"more than {LIMIT // 10**9} ms" in TEXT
        assert f"10 values and {trial.SMALL.characters} characters to the one of the bound" in TEXT

    def test_tells_a_value_as_a_user_reads_it(self) -> None:
        assert "| `context.fields.filter(f, f != 'iban')` | `['name']` |" in TEXT
        assert "| `now.getHours('Europe/Berlin')` | `15` | 12 µs |" in TEXT
        assert "| `context.reason == 'audit'` | unknown |" in TEXT


class TestTheExpressions:
    def test_that_are_shown_alone_compile(self) -> None:
        shown = [line for block in blocks(PAGE, "cel") for line in block.splitlines()]
        assert len(shown) == 2
        assert [text for text in shown if not isinstance(trial.expression(text), Expression)] == []

    def test_of_the_first_block_are_conditions_of_a_valid_rule(self, tmp_path: Path) -> None:
        (block,) = blocks(PAGE, "yaml")
        made = policy("crm", endpointSettings=settings(), rules=[rule(**yaml.safe_load(block))])
        assert run_validate(written(tmp_path, {"policy.yaml": made})).code == 0

    @pytest.mark.parametrize("number", range(2), ids=["bypassed", "not bypassed"])
    def test_are_warned_of_where_leaving_something_out_bypasses_a_deny(self, number: int, tmp_path: Path) -> None:
        condition = {"name": "many", "expression": blocks(PAGE, "cel")[number].strip()}
        denied = rule("deny", effect="Deny", conditions=[condition])
        ran = run_validate(
            written(tmp_path, {"p.yaml": policy("crm", endpointSettings=settings(), rules=[rule(), denied])})
        )
        assert ("a caller can bypass the Deny by omitting it" in ran.out) == (number == 0), ran

    def test_that_some_are_unknown_is_so_and_the_others_are_not(self) -> None:
        values = [trial.tried(one.text).value for one in examples.UNKNOWN]
        assert values.count("unknown") == 7
        assert {"true", "false"} <= {*values}
        assert "unknown" not in {trial.tried(one.text).value for one in SHOWN}

    @pytest.mark.parametrize("refusal", [*examples.REFUSED, *examples.COSTLY], ids=lambda one: one.text)
    def test_that_are_refused_have_one_that_is_accepted_in_their_place(self, refusal: examples.CelRefusal) -> None:
        assert trial.refused(refusal.text)
        assert trial.expression(refusal.instead).yields.name() == "BOOL"
        with pytest.raises(ValueError, match="compiles"):
            trial.refused(refusal.instead)
        with pytest.raises(ValueError, match=re.escape("expression")):
            trial.expression(refusal.text if refusal.text != "context.urgent" else "context.")

    @pytest.mark.parametrize("refusal", examples.COSTLY, ids=lambda one: one.text)
    @pytest.mark.parametrize("lists", [("ab", "bc", "b"), ("ab", "cd", "a"), ("", "a", "a"), ("abc", "cba", "cx")])
    def test_say_the_same_for_less(self, refusal: examples.CelRefusal, lists: tuple[str, ...]) -> None:
        given = {name: [*letters] for name, letters in zip("abc", lists, strict=True)}
        call = replace(CALL, context=given)
        held = evaluate_expression(trial.expression(refusal.instead), {}, inputs(call, trial._CAROL, NOW))
        a, b, c = (set(letters) for letters in lists)
        assert held is bool(a & b & c if "context.c" in refusal.text else a & b)


def test_a_condition_without_a_refusal_has_none_to_tell() -> None:
    with pytest.raises(ValueError, match="compiles"):
        trial.problems("true", "spec")


@pytest.mark.parametrize(
    ("value", "spelled"), [(True, "true"), (1.5, "1.5"), ("a", "'a'"), ([1, "a"], "[1, 'a']"), ({"a": 1}, '{"a":1}')]
)
def test_values_are_spelled_as_in_cel(value: object, spelled: str) -> None:
    assert trial.spelled(value) == spelled
