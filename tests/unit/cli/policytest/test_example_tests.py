"""Every example that has a policy has tests, and they pass, whatever the order."""

from pathlib import Path
from typing import Final

from support.pages import DOCS
from support.suites import run_tests, run_validate

EXAMPLES: Final = DOCS.parent / "examples"


def policies() -> list[Path]:
    return [file for file in sorted(EXAMPLES.rglob("*.yaml")) if "\nkind: EndpointPolicy\n" in file.read_text()]


def test_the_tests_of_all_examples_pass_in_every_order() -> None:
    ran = run_tests(EXAMPLES, shuffle=2)
    assert ran.code == 0, ran


def test_every_policy_of_the_examples_is_tested() -> None:
    named = {
        (test.parent / name.strip()).resolve()
        for test in EXAMPLES.rglob("*_test.yaml")
        for line in test.read_text().splitlines()
        if line.startswith("policies: [")
        for name in line.removeprefix("policies: [").removesuffix("]").split(",")
    }
    assert len(policies()) > 10
    assert [str(policy) for policy in policies() if policy not in named] == []


def test_the_policies_of_the_examples_are_valid() -> None:
    for policy in policies():
        ran = run_validate(policy)
        # The data that it reads stands in a file beside it.
        apart = "there is no EndpointData" in ran.out
        # A history may deny a call that it cannot count, and says so.
        told = " 0 errors, " in ran.out and "(history_uncountable)" in ran.out
        assert ran.code == 0 or apart or told, ran
