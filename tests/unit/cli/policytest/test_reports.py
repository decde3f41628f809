"""What `test` prints: as a table, as an object, as JUnit, with coverage, and in other orders."""

import json
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from bailiwick_cli.policytest import trial
from bailiwick_cli.policytest.trial import TriedCase
from support.objects import gated_rule, policy, rule, settings
from support.suites import run_tests, written
from unit.cli.policytest.test_verdicts import EXPORT, LIST, suite

CONDITIONS: Final = [{"name": "few", "expression": "context.count < 5"}]
POLICY: Final = policy("crm", rules=[rule(conditions=CONDITIONS), gated_rule()], endpointSettings=settings())
FEW: Final = {"name": "few", "context": {"count": 1}, "expect": [{**LIST, "is": "Allow"}]}
MANY: Final = {"name": "many", "context": {"count": 9}, "expect": [{**LIST, "is": "Deny"}]}
WRONG: Final = {"name": "wrong", "expect": [{**EXPORT, "is": "Allow"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"policy.yaml": POLICY, "crm_test.yaml": suite(FEW, WRONG), "other_test.yaml": suite(MANY)}
    return written(tmp_path, files)


def test_the_table_names_each_failure_with_its_place(folder: Path) -> None:
    ran = run_tests(folder)
    assert ran.code == 1
    assert "1 failed" in ran.out
    (line,) = [line for line in ran.out.splitlines() if "expected" in line]
    assert line.startswith(f"{folder}/crm_test.yaml:")
    assert line.endswith(
        ": wrong: agent one customers.export: expected Allow, got Approval (approval_required, crm-agent/export)"
    )


def test_a_filter_runs_what_fits(folder: Path) -> None:
    for wanted, names in (("few", ["few"]), ("*n*", ["wrong", "many"]), ("an", ["many"])):
        ran = run_tests(folder, filter=wanted, output="json")
        assert [case["name"] for file in json.loads(ran.out)["files"] for case in file["tests"]] == names


def test_junit_has_each_test_and_what_could_not_be_run(folder: Path) -> None:
    written(folder, {"broken_test.yaml": "kind: PolicyTest\n"})
    ran = run_tests(folder, output="junit")
    root = ElementTree.fromstring(ran.out)  # noqa: S314 - what we have just written
    counted = {suite.get("name", "").rpartition("/")[2]: suite.attrib for suite in root}
    assert {name: (one["tests"], one["failures"], one["errors"]) for name, one in counted.items()} == {
        "broken_test.yaml": ("1", "0", "1"),
        "crm_test.yaml": ("2", "1", "0"),
        "other_test.yaml": ("1", "0", "0"),
    }
    assert ran.code == 2


def test_coverage_tells_what_no_test_shows(folder: Path) -> None:
    ran = run_tests(folder / "crm_test.yaml", filter="few", coverage=True)
    assert ran.out.splitlines()[-5:-1] == [
        "Not covered:",
        "  crm/crm-agent/export: the rule never decides",
        "  crm/crm-agent/export: the action customers.export is never tested",
        "  crm/crm-agent/read: the condition few is never false",
    ]
    everything = run_tests(folder, coverage=True)
    assert "Everything is covered." in everything.out


def test_coverage_as_an_object_says_what_was_seen(folder: Path) -> None:
    body = json.loads(run_tests(folder / "crm_test.yaml", filter="few", coverage=True, output="json").out)
    assert body["coverage"]["rules"] == [
        {"namespace": "crm", "policy": "crm-agent", "rule": "export", "decisive": False, "conditions": {}},
        {"namespace": "crm", "policy": "crm-agent", "rule": "read", "decisive": True, "conditions": {"few": [True]}},
    ]


def test_a_rule_that_only_came_nearest_is_not_decisive(folder: Path) -> None:
    ran = run_tests(folder / "other_test.yaml", coverage=True)
    assert "crm/crm-agent/read: the rule never decides" in ran.out


def test_a_result_that_hangs_on_an_order_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "differ" not in run_tests(folder, filter="few", shuffle=3).out
    made: list[int] = []
    honest = trial.try_case

    def fickle(*given: object) -> TriedCase:
        made.append(0)
        found = honest(*given)  # type: ignore[arg-type]  # as it was given
        return TriedCase(found.name, found.place, found.calls * len(made))

    monkeypatch.setattr(trial, "try_case", fickle)
    ran = run_tests(folder / "crm_test.yaml", filter="few", shuffle=1)
    assert ran.code == 1
    assert "few: has another result with --shuffle 1" in ran.out


def test_policies_given_stand_in_the_place_of_those_named(folder: Path) -> None:
    written(
        folder, {"other.yaml": policy("crm", rules=[rule(effect="Deny"), gated_rule()], endpointSettings=settings())}
    )
    ran = run_tests(folder / "crm_test.yaml", filter="few", file=[str(folder / "other.yaml")])
    assert (ran.code, "got Deny (policy_denied, crm-agent/read)" in ran.out) == (1, True)
