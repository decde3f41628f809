"""What a policy is estimated to take is what it takes, or somewhat more; whatever the spec, there is an estimate."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.budget.footprint import expression_bytes, footprint
from bailiwick_engine.budget.ledger import Budget
from support import footprints
from support.objects import changed, policy, rule

pytestmark = pytest.mark.long

ROOT: Final = Path(__file__).parents[3]
# What is measured moves by some percent from run to run.
LEAST: Final = 0.95
MOST: Final = 4.5


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Any]]:
    """What each kind of policy takes, measured in a process of its own and printed."""
    found = {}
    environment = {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'hack'}:{ROOT / 'localcluster/src'}", "PATH": ""}
    command = [sys.executable, "-m", "support.footprints"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            one = json.loads(line)
            found[one["kind"]] = one
    assert process.returncode == 0
    for one in found.values():
        sys.stdout.write(
            f"{one['kind']:36} measured {one['measured']:10,.0f}  estimated {one['estimated']:10,.0f}"
            f"  {one['estimated'] / one['measured']:5.2f}\n"
        )
    return found


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell what a process takes")
@pytest.mark.parametrize("kind", footprints.KINDS)
def test_an_estimate_is_hardly_ever_less_than_what_is_measured_and_never_many_times_more(
    measured: dict[str, dict[str, Any]], kind: str
) -> None:
    ratio = measured[kind]["estimated"] / measured[kind]["measured"]
    assert LEAST < ratio < MOST


def test_a_route_counts_what_the_page_on_budgets_says() -> None:
    text = (ROOT / "docs" / "reference" / "budgets.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"each HTTP route counts about (\d+) KiB", text)
    (kinds,) = re.findall(r"measured memory for (\d+) kinds", text)
    assert int(kinds) == len(footprints.KINDS)
    counted = {count: footprint(footprints.routes(1, count)["spec"]).bytes for count in (1, 64, 128)}
    for count in (64, 128):
        each = (counted[count] - counted[1]) / (count - 1) / 1024
        assert round(each) == int(said)
    # As many as an endpoint can have are a small part of what one policy may take.
    assert counted[128] < Budget().policy / 16


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
PATHS: Final = (
    *("spec.subjects", "spec.rules", "spec.variables", "spec.endpointSettings", "spec.sensitive", "spec.endpoint"),
    *("spec.subjects.0", "spec.subjects.0.serviceAccount", "spec.rules.0", "spec.rules.0.subjects"),
    *("spec.rules.0.actions", "spec.rules.0.resources", "spec.rules.0.resources.0.ids", "spec.rules.0.conditions"),
)


@given(st.sampled_from(PATHS), json_values)
def test_whatever_a_spec_holds_there_is_an_estimate(path: str, value: object) -> None:
    spec = changed(
        policy("crm", variables=[], sensitive=[], endpointSettings={}, rules=[rule(conditions=[])]), path, value
    )
    assert footprint(spec["spec"]).bytes > 0
    assert footprint(value).bytes > 0


@given(st.text(max_size=200) | st.text("()[]{}.?:&|'\"ab1 optMap,", max_size=80))
def test_whatever_an_expression_holds_there_is_an_estimate_that_grows_with_it(text: str) -> None:
    assert 0 < expression_bytes(text) <= expression_bytes(f"{text} && context.a")


@pytest.mark.parametrize(
    ("shorter", "longer", "times"),
    [
        ("context.?a.optMap(v, v)", "context.?a.optMap(v, v).optMap(v, v).optMap(v, v)", 4),
        ("context.?a.optMap(v, v)", "(context.?a.optMap(v, v)).optMap(v, v).optMap(v, v)", 4),
        ("context.?a.optFlatMap(v, v)", "context.?a.optFlatMap(v, v).optFlatMap(v, v).optFlatMap(v, v)", 4),
    ],
)
def test_a_macro_that_repeats_what_it_is_called_on_counts_it_twice(shorter: str, longer: str, times: int) -> None:
    assert expression_bytes(longer) > times * (expression_bytes(shorter) - expression_bytes(""))


def test_an_expression_with_more_such_macros_than_compile_counts_no_more_than_the_most_that_do() -> None:
    longest = "context.?a" + ".optMap(v, v)" * 6
    assert expression_bytes(f"{longest}{'.optMap(v, v)' * 60}") < 10 * expression_bytes(longest)


def test_it_is_the_same_in_every_process() -> None:
    spec = policy("crm", rules=[rule(conditions=[{"name": "c", "expression": "context.a == 1"}])])["spec"]
    code = (
        "import json, sys; from bailiwick_engine.budget.footprint import footprint;"
        "print(json.dumps(footprint(json.load(sys.stdin))))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], input=json.dumps(spec), capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1] == json.dumps(footprint(spec)) + "\n"
