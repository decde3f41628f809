"""Reads: what an expression can read of a call is told from its text, and nothing is left out."""

from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import Inputs, inputs
from bailiwick_engine.cel.members import Path, paths
from bailiwick_engine.cel.reads import reads

TEXTS: Final[dict[str, set[str]]] = {
    "!has(context.count) || context.count > 100": {"context.count"},
    "resource.?properties.?owner.orValue('') == subject.id": {"resource.properties.owner", "subject.id"},
    "context['a'].b[\"c\"].d == 1": {"context.a.b.c.d"},
    "context[?'x'].y.size() > 1 // context.hidden": {"context.x.y"},
    "context.a[action.name] == 1": {"context.a", "action.name"},
    "context['a' + 'b'] == 1": {"context"},
    "context['a\\'b'] == 1": {"context"},
    "context == {}": {"context"},
    "context.xs.exists(x, x == subject.claims['email'])": {"context.xs", "subject.claims.email"},
    "'context.a' == \"context.b\" || '''context.c''' == r'context.d\\'": set(),
    "r'\\' == context.a || r\"'\" == context.b": {"context.a", "context.b"},
    "variables.context.y == 1": set(),
    "actor.?claims.?group.orValue('') == 'x'": {"actor.claims.group"},
    "[context.a, context.b]": {"context.a", "context.b"},
    "true ? context.a:context.b": {"context.a", "context.b"},
    "context\n  .a // of old\n  .b": {"context.a.b"},
    "contexts.a == subject_id": set(),
    "1e3 < context.a && 0x1f < context.b": {"context.a", "context.b"},
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_tells_what_is_read(text: str) -> None:
    assert {".".join(path) for path in paths(text)} == TEXTS[text]


def test_variables_are_read_where_they_are_used() -> None:
    variables = [
        Variable(name="small", expression="context.count < 10"),
        Variable(name="unused", expression="context.unused == 1"),
        Variable(name="fine", expression="variables.small && context.fine == 1"),
    ]
    scope = Scope(variables)
    condition = scope.condition("variables.fine", "here")
    assert isinstance(condition, Expression)
    assert reads(scope, [condition]) == {("context", "count"), ("context", "fine")}


MEMBERS: Final = ("a", "b", "c")


def _selected(root: str, steps: list[tuple[str, str]]) -> str:
    text = root
    for how, name in steps:
        text += {"dot": f".{name}", "maybe": f".?{name}", "index": f"['{name}']", "whether": f'[?"{name}"]'}[how]
    return text


STEPS: Final = st.lists(st.tuples(st.sampled_from(("dot", "index")), st.sampled_from(MEMBERS)), min_size=1, max_size=3)
TREES: Final = st.recursive(
    st.integers(0, 2), lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3), max_leaves=9
).filter(lambda tree: isinstance(tree, dict))


def _without(tree: Any, read: frozenset[Path], at: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return a tree of which everything that is not read is gone."""
    if at in read or not isinstance(tree, dict):
        return tree
    return {
        name: _without(member, read, (*at, name))
        for name, member in tree.items()
        if any(path[: len(at) + 1] == (*at, name)[: len(path)] for path in read)
    }


def _seen(context: dict[str, Any]) -> Inputs:
    caller, subject = ServiceAccount("pep", "pep-uid"), Party("user", "ann", "ann-uid")
    return inputs(Call("ns", "api", caller, subject, Action("do"), Resource("thing", "1"), context), subject, 0.0)


@given(context=TREES, one=STEPS, other=STEPS, operator=st.sampled_from(("==", "!=", "in")))
def test_what_is_not_read_changes_nothing(
    context: dict[str, Any], one: list[tuple[str, str]], other: list[tuple[str, str]], operator: str
) -> None:
    left, right = _selected("context", one), _selected("context", other)
    text = f"has({_selected('context', [*one[:-1], ('dot', one[-1][1])])}) && {left} {operator} {right}"
    scope = Scope(())
    condition = scope.condition(f"({text}) == true", "here")
    assert isinstance(condition, Expression)
    whole = scope.evaluate(condition, _seen(context))
    parts = scope.evaluate(condition, _seen(_without(context, paths(text), ("context",))))
    assert whole == parts
