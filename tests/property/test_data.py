"""Data never widens by going missing, and closures read it as the CEL library does."""

from typing import Any, Final

from hypothesis import given, settings as hypothesis_settings, strategies as st

from bailiwick_api.endpointdata import DataSource
from bailiwick_engine.cel import expressions
from bailiwick_engine.cel.data import Data, read
from bailiwick_engine.cel.datascope import scope_of
from bailiwick_engine.cel.expressions import DEFERRED, FAILED, Expression, evaluated
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from support.objects import gated_rule, rule, settings
from unit.engine.cases import AROUND, CALL, snapshot, stored

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
    return Snapshot({key: endpoint.beside(data) for key, endpoint in compiled.endpoints.items()})


@hypothesis_settings(max_examples=150)
@given(rules=RULES, one=DATA, two=DATA, gone=st.sampled_from(["one", "two", "both"]))
def test_data_gone_missing_never_allows_what_was_denied(
    rules: list[tuple[str, str]], one: dict[str, Any], two: dict[str, Any], gone: str
) -> None:
    made = [
        (gated_rule if effect == "RequireApproval" else rule)(
            f"r{number}",
            effect=effect,
            actions=["customers.export"],
            conditions=[{"name": "c", "expression": expression}],
        )
        for number, (effect, expression) in enumerate(rules)
    ]
    compiled = snapshot(stored("p", *made, endpointSettings=settings(), data=NAMED))
    data = {"one": read("one", "u", 1, {"data": one}), "two": read("two", "u", 1, {"data": two})}
    left = {name: held for name, held in data.items() if gone not in {name, "both"}}
    whole, less = (decide(beside(compiled, held), CALL, (), AROUND) for held in (data, left))
    if less.outcome is Outcome.ALLOW:
        assert whole.outcome is Outcome.ALLOW


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
    seen, bound = Inputs.of(values, 0.0), {"data.one": one, "data.two": two}
    by_closure = evaluated(expression, bound, seen, handed=False)
    by_library = expressions._by_library(expression, bound, seen)
    if by_closure is not DEFERRED:
        assert by_closure is by_library if by_library is FAILED else by_closure == by_library
