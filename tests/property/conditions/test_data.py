"""Data never widens by going unknown, and closures read it as the CEL library does."""

from typing import Any, Final

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from bailiwick_api.kinds.endpointdata import MOST_BYTES, DataSource
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.cel import expressions
from bailiwick_engine.cel.data import Data, DataObject, over_budget, read_data
from bailiwick_engine.cel.datascope import scope_of
from bailiwick_engine.cel.expressions import DEFERRED, FAILED, Expression, evaluate_expression
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import gated_rule, rule, settings
from unit.engine.cases import AROUND, CALL, active, asked, read as grant, review, reviewed, snapshot, stored

KEYS: Final = ("open", "by", "list", CALL.resource.id)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["42", "x", ""]) | st.floats(-2, 2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)
DATA: Final = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
EXPRESSIONS: Final = (
    "data.one.open == true",
    "!(data.one.open == true)",
    "true || data.one.open == true",
    "has(data.one.open)",
    "!has(data.one.open)",
    "resource.id in data.one.by",
    "!(resource.id in data.one.list)",
    "data.one.by[resource.id] == 'x'",
    "data.one.by[?resource.id].orValue('x') == 'x'",
    "data.one.by[?resource.id].?open.orValue(true) == true",
    "data.one.list.exists(e, e == 'x')",
    "data.two.open == true || data.one.open == true",
    "size(data.one.list) > 0",
)
NAMED: Final = [{"name": "one"}, {"name": "two"}]
RULES: Final = st.lists(
    st.tuples(st.sampled_from(["Allow", "Deny", "RequireApproval"]), st.sampled_from(EXPRESSIONS)),
    min_size=1,
    max_size=4,
)


def beside(compiled: Snapshot, data: Data) -> Snapshot:
    return Snapshot({key: endpoint.with_data(data) for key, endpoint in compiled.endpoints.items()})


def unknown(name: str, why: str) -> DataObject | None:
    """Return an object that is unknown for this reason; None where there is none."""
    if why == "missing":
        return None
    if why == "over budget":
        return over_budget(name, "u", 2, "the namespace has no room")
    return read_data(name, "u", 2, {"data": UNREADABLE[why]})


def governing(rules: list[tuple[str, str]]) -> Snapshot:
    made = [
        (gated_rule if effect == "RequireApproval" else rule)(
            f"r{number}",
            effect=effect,
            actions=["customers.export"],
            conditions=[{"name": "c", "expression": expression}],
        )
        for number, (effect, expression) in enumerate(rules)
    ]
    return snapshot(stored("p", *made, endpointSettings=settings(), data=NAMED))


def approved_by_carol(on: Snapshot) -> list[Grant]:
    """Return the grant of the gate before the call, reviewed in each step; none where there is no gate."""
    if decide(on, CALL, (), AROUND).gate is None:
        return []
    of = asked(on)
    reviews = [review(of, "carol", step) for step in range(len(of["spec"]["request"]["steps"]))]
    return [grant(active(reviewed(of, *reviews)))]


UNREADABLE: Final[dict[str, Any]] = {
    "unreadable": {"open": "a\0b"},
    "of another type": [],
    "too large": {"open": "x" * MOST_BYTES},
}
WHYS: Final = st.sampled_from(["missing", "over budget", *UNREADABLE])


@hypothesis_settings(max_examples=300)
@given(rules=RULES, one=DATA, two=DATA, gone=st.sampled_from(["one", "two", "both"]), why=WHYS)
def test_data_gone_unknown_never_allows_what_was_denied(
    rules: list[tuple[str, str]], one: dict[str, Any], two: dict[str, Any], gone: str, why: str
) -> None:
    compiled = governing(rules)
    data = {"one": read_data("one", "u", 1, {"data": one}), "two": read_data("two", "u", 1, {"data": two})}
    instead = {name: unknown(name, why) if gone in {name, "both"} else held for name, held in data.items()}
    left = {name: held for name, held in instead.items() if held is not None}
    states = [beside(compiled, data), beside(compiled, left)]
    # Whatever a person approved, before or since.
    for grants in ((), *map(approved_by_carol, states)):
        whole, less = (decide(state, CALL, grants, AROUND) for state in states)
        if less.outcome is not Outcome.DENY:
            assert (less.outcome, less.grants) == (whole.outcome, whole.grants)


@pytest.mark.invariant(15)
@pytest.mark.parametrize("why", ["missing", "over budget", "without the member", *UNREADABLE])
def test_a_gate_whose_data_went_unknown_denies_with_an_approval_and_without(why: str) -> None:
    compiled = governing([("RequireApproval", "data.one.open == true")])
    is_open = beside(compiled, {"one": read_data("one", "u", 1, {"data": {"open": True}})})
    grants = approved_by_carol(is_open)
    assert decide(is_open, CALL, grants, AROUND).outcome is Outcome.USE_GRANT
    held = read_data("one", "u", 2, {"data": {"by": {}}}) if why == "without the member" else unknown("one", why)
    gone = beside(compiled, {} if held is None else {"one": held})
    for shown in ((), grants):
        verdict = decide(gone, CALL, shown, AROUND)
        assert (verdict.outcome, verdict.reason, verdict.gate) == (Outcome.DENY, Reason.CONDITION_ERROR, None)


READ: Final = (
    *EXPRESSIONS,
    "data.one.list[0] == 'x'",
    "data.one.by[resource.id].open == true",
    "data.one.by[resource.id][resource.id] == 1",
    "data.one[?resource.id].?open.?by.hasValue()",
    "resource.id in data.one.by[?resource.id].orValue([])",
    "'x' in data.one.by[?resource.id].?list.orValue(['x', 'y'])",
)


@hypothesis_settings(max_examples=300)
@given(text=st.sampled_from(READ), one=DATA, two=DATA)
def test_closures_read_data_as_the_library_does(text: str, one: dict[str, Any], two: dict[str, Any]) -> None:
    expression = scope_of((), [DataSource(name="one"), DataSource(name="two")]).condition(text, "x")
    assert isinstance(expression, Expression)
    party = {"type": "t", "id": "i", "properties": {}}
    values = {"subject": party, "resource": {"type": "t", "id": CALL.resource.id, "properties": {}}, "context": {}}
    seen, bound = Inputs.from_values(values, 0.0), {"data.one": one, "data.two": two}
    by_closure = evaluate_expression(expression, bound, seen, handed=False)
    by_library = expressions._by_library(expression, bound, seen)
    if by_closure is not DEFERRED:
        assert by_closure is by_library if by_library is FAILED else by_closure == by_library
