"""`docs/how-to/recipes.md` is the files of examples/recipes, and each of them is valid, tested and covered."""

from pathlib import Path

import pytest

import generate_recipes
from support.commandline import Ran
from support.pages import objects
from support.suites import run_tests, run_validate

# Of a history that needs a member of the call, a warning says which calls it denies.
EXPECTED = (" is only the enforcer's word, ", " is denied (history_uncountable)")
NAMES = [name for names in generate_recipes.GROUPS.values() for name in names]


def assert_valid(ran: Ran) -> None:
    warned = [line for line in (ran.out + ran.err).splitlines() if line.startswith("warning: ")]
    assert all(any(part in line for part in EXPECTED) for line in warned), ran
    assert (ran.code, " 0 errors, " in ran.out) == (int(bool(warned)), True), ran


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_recipes.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_there_are_at_least_twenty_and_no_file_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(NAMES) == len(set(NAMES)) >= 20
    monkeypatch.setitem(generate_recipes.GROUPS, "Whose", ())
    with pytest.raises(ValueError, match="own-records"):
        generate_recipes.rendered()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_a_title_a_text_and_a_test_and_the_page_has_all(name: str) -> None:
    page = generate_recipes.PATH.read_text(encoding="utf-8")
    one = generate_recipes.recipe(name)
    assert one.tests
    assert len(one.text) > 80
    for part in (f"\n## {one.title}\n", one.text, one.policies, *(path.name for path in one.tests)):
        assert part in page


def test_every_test_of_the_folder_is_of_a_recipe() -> None:
    shown = {path for name in NAMES for path in generate_recipes.recipe(name).tests}
    assert shown == set((generate_recipes.RECIPES / "tests").iterdir())


def test_they_are_valid_all_together() -> None:
    ran = run_validate(generate_recipes.RECIPES)
    assert_valid(ran)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_valid_alone(name: str) -> None:
    assert_valid(run_validate(generate_recipes.RECIPES / f"{name}.yaml"))


def test_their_tests_pass_and_cover_every_rule_condition_and_action() -> None:
    ran = run_tests(generate_recipes.RECIPES, coverage=True)
    assert (ran.code, "Everything is covered." in ran.out) == (0, True), ran


def test_the_page_shows_whole_objects_alone() -> None:
    kinds = [found["kind"] for found in objects("how-to/recipes.md")]
    assert {*kinds} == {"EndpointPolicy", "EndpointData", "PolicyTest"}
    assert kinds.count("PolicyTest") == len([*Path(generate_recipes.RECIPES / "tests").iterdir()])
