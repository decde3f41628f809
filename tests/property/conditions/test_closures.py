"""Closures say what the CEL library says, of every expression that has one and of every input.

Holds: expressions are drawn so that most have a closure, and inputs so that most are answered by it; both are counted,
so that this test cannot come to pass by testing nothing. What is drawn differs from run to run, since Hypothesis draws
the constants of the modules that are loaded too: what is counted must hold by a wide margin.
"""

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.call import Action, Party, Resource
from bailiwick_engine.cel import expressions as library
from bailiwick_engine.cel.closures import DeferredError, FailedError
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import Inputs, inputs
from bailiwick_engine.truth import UNKNOWN
from unit.engine.cases import CALL, NOW

NAMES: Final = ("a", "b", "c", "size", "n n", "é")
PLAIN: Final = NAMES[:4]
TEXTS: Final = ("", "a", "b", "ab", "aé", "é", "e\u0301", "\U0001f600", "\uffff", "1", "true")
# Around every edge of 53, 63 and 64 bits.
EDGES: Final = tuple(
    sign * (edge + off) for edge in (0, 1, 2**53, 2**63, 2**64) for off in (-1, 0, 1) for sign in (1, -1)
)
NUMBERS: Final = tuple(number for number in EDGES if -(2**63) <= number < 2**64)
DOUBLES: Final = (0.0, -0.0, 0.5, 1.0, -1.0, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 1e300, 5e-324)
ODD: Final = (float("nan"), float("inf"), float("-inf"))

# ------------------------------------------------------------------ inputs

texts: Final = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(), max_size=2))
leaves: Final = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 2, "a", "b", "ab"]),
    st.sampled_from([*NUMBERS, *DOUBLES, *ODD]),
    texts,
)
values: Final = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=4)
    ),
    max_leaves=6,
)
members: Final = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)


def some_members(chance: random.Random, depth: int) -> Any:  # noqa: ANN401 - JSON
    """Return what `members` would draw, in a hundredth of the time."""
    kind = chance.randrange(8) if depth else 7
    if kind == 0:
        return [some_members(chance, chance.randrange(depth)) for _ in range(chance.randrange(4))]
    if kind <= depth:
        names = chance.sample(NAMES, chance.randrange(1, 5))
        return {name: some_members(chance, chance.randrange(depth)) for name in names}
    if not chance.randrange(200):
        # What the library takes over not at all, or not whole.
        return chance.choice(["a\x00b", "\ud800", *EDGES])
    if chance.randrange(4):
        return chance.choice([None, True, False, 0, 1, 2, "a", "b", "ab", 1.0])
    return chance.choice([*NUMBERS, *DOUBLES, *ODD, *TEXTS, *TEXTS])


def _pool(size: int) -> list[dict[str, Any]]:
    chance = random.Random(7)  # noqa: S311 - reproducible, not secret
    return [
        {name: some_members(chance, 2) for name in chance.sample(NAMES, chance.randrange(2, 7))} for _ in range(size)
    ]


POOL: Final = _pool(1_000)
pooled: Final = st.one_of(*[st.sampled_from(POOL)] * 7, members)


@st.composite
def seen(draw: st.DrawFn) -> Inputs:
    """Draw what a condition sees."""
    call = replace(
        CALL,
        action=Action("a", draw(st.one_of(st.none(), pooled))),
        resource=Resource("b", draw(texts), draw(pooled)),
        context=draw(pooled),
    )
    subject = Party("user", draw(st.sampled_from(TEXTS[1:4])), "uid", draw(pooled), draw(pooled))
    actor = draw(st.sampled_from([None, Party("serviceAccount", "a", "uid")]))
    return inputs(call, subject, NOW, actor)


# ------------------------------------------------------------------ expressions


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(one):08x}" for one in text) + '"'


literals: Final = st.one_of(
    st.sampled_from(["0", "1", "2", "-1", "1.0", "0.5", "'a'", "'b'", "'ab'", "true", "false", "null"]),
    st.sampled_from([str(number) for number in NUMBERS if -(2**63) <= number < 2**63]),
    st.sampled_from([repr(number) for number in DOUBLES]),
    st.sampled_from([quoted(text) for text in (*TEXTS, "\x00", "a\x00b")]),
)


ROOTS: Final = (
    *("context", "context", "context", "subject.properties", "subject.claims", "resource.properties", "action"),
    *("actor", "subject.id", "resource.id"),
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Draw a way to a member, there or not."""
    root = draw(st.sampled_from(ROOTS))
    for _ in range(draw(st.integers(0 if "." in root else 1, 3))):
        name = draw(st.sampled_from(NAMES))
        root += f".{name}" if name in PLAIN and draw(st.booleans()) else f"[{quoted(name)}]"
    return root


@st.composite
def optionals(draw: st.DrawFn) -> str:
    """Draw a way to a member that need not be there."""
    root = draw(st.sampled_from(["context", "subject", "resource.properties", "actor", "context.a"]))
    steps = draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=3))
    return root + "".join(f".?{name}" for name in steps)


def expressions(depth: int) -> tuple[st.SearchStrategy[str], st.SearchStrategy[str]]:
    """Return what yields anything, and what is a condition most of the time."""
    if depth == 0:
        value = st.one_of(paths(), paths(), literals)
        return value, st.one_of(paths(), st.sampled_from(["true", "false"]))
    value, truth = expressions(depth - 1)
    listed = st.lists(literals, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    some_values = st.lists(value, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    anything = st.one_of(
        value,
        optional_values(value),
        st.builds("size({})".format, value),
        st.builds("({}).size()".format, value),
        st.builds("({} ? {} : {})".format, truth, value, value),
    )
    condition = st.one_of(
        st.builds("({} {} {})".format, anything, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), anything),
        st.builds("({} {} {})".format, truth, st.sampled_from(["&&", "||"]), truth),
        st.builds("({0} {1} {2} {1} {3})".format, truth, st.sampled_from(["&&", "||"]), truth, truth),
        st.builds("!({})".format, truth),
        st.builds("({} in {})".format, anything, st.one_of(listed, listed, some_values, paths())),
        st.builds("has({}.{})".format, paths(), st.sampled_from(PLAIN)),
        st.builds("{}.hasValue()".format, optionals()),
        st.builds("({}).{}({})".format, value, st.sampled_from(["startsWith", "endsWith", "contains"]), value),
        st.builds("({} ? {} : {})".format, truth, truth, truth),
    )
    return anything, condition


def optional_values(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}.orValue({})".format, optionals(), value)


VALUES, TRUTHS = expressions(1)
DEEP_VALUES, DEEP_TRUTHS = expressions(2)
drawn: Final = st.one_of(VALUES, TRUTHS, DEEP_VALUES, DEEP_TRUTHS, DEEP_TRUTHS)

# ------------------------------------------------------------------ both


def by_library(expression: Expression, bindings: Inputs) -> Any:  # noqa: ANN401 - any value
    """Return what the library says of all that there is, whether or not the expression reads it."""
    return library._yielded(expression, {**bindings, "now": datetime.fromtimestamp(NOW, UTC)})


def same(one: object, other: object) -> bool:
    """Tell whether two values are the same to the bit and of one type; NaN is itself, and maps have no order."""
    return spelled(one) == spelled(other)


def spelled(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{name!r}: {spelled(held)}" for name, held in value.items())) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(spelled(held) for held in value) + "]"
    return f"{type(value).__name__} {value!r}"


def compiled(scope: Scope, text: str) -> Expression | None:
    made = library.compile_expression(text, "here", scope._declared)
    return made if isinstance(made, Expression) else None


def answered(expression: Expression, bindings: Inputs, counts: Counter[str]) -> None:
    """Hold one evaluation by a closure against the library's."""
    if not bindings.whole:
        # Which the library would cut, and nobody is asked then.
        counts["cut"] += 1
        return
    expected = by_library(expression, bindings)
    counts["evaluations"] += 1
    found = library.evaluate_expression(expression, {}, bindings)
    # What cannot be taken over fails only where it is read.
    assert same(found, expected) or (not bindings.plain and expected is library.FAILED)
    if not bindings.plain or expression.closure is None:
        return
    assert same(library._by_library(expression, {}, bindings), expected)
    try:
        value = expression.closure(bindings)
    except DeferredError:
        return
    except FailedError:
        counts["failed"] += 1
        assert expected is library.FAILED
    else:
        counts[f"{type(value).__name__}"] += 1
        if type(value) is bool:
            counts[str(value)] += 1
            assert value is expected


def test_a_closure_yields_what_the_library_yields_and_fails_where_it_fails() -> None:
    scope, counts = Scope(()), Counter[str]()

    @settings(max_examples=20 * settings().max_examples)
    @given(drawn, st.lists(seen(), min_size=3, max_size=3))
    def compare(text: str, made: list[Inputs]) -> None:
        conditions = counts["bool"]
        hold(text, made)
        if counts["bool"] > conditions:
            # So that what holds is as frequent as what does not, however few are drawn.
            hold(f"!({text})", made)

    def hold(text: str, made: list[Inputs]) -> None:
        expression = compiled(scope, text)
        if expression is None:
            return
        counts["expressions"] += 1
        counts["closures"] += expression.closure is not None
        for bindings in made:
            answered(expression, bindings, counts)

    compare()
    assert counts["closures"] > 0.9 * counts["expressions"] > 0
    answers = counts["failed"] + counts["bool"] + counts["str"] + counts["int"] + counts["float"]
    assert answers > 0.4 * counts["evaluations"], counts
    # None of the three outcomes is seldom.
    assert min(counts["True"], counts["False"], counts["failed"]) > 0.02 * counts["evaluations"], counts


@st.composite
def with_variables(draw: st.DrawFn) -> str:
    """Draw a condition that reads a variable or two, as they are or a member of them."""
    parts = [draw(st.sampled_from(["variables.v", "variables.w", "variables.w.a"])) for _ in range(2)]
    left, right, other = parts[0], draw(st.one_of(st.just(parts[1]), literals)), draw(TRUTHS)
    return draw(
        st.sampled_from(
            [
                f"{left} == {right} && {other}",
                f"{left} == {right} || {other}",
                f"{left} != {right}",
                f"{left} == true",
                f"{left} == true || {other}",
                f"{left} in [{right}, {parts[1]}]",
                f"({other} ? {left} : {right}) == {parts[1]}",
                f"dyn({left}) == {right}",
            ]
        )
    )


def test_a_condition_with_variables_holds_by_closures_as_by_the_library() -> None:
    counts = Counter[str]()

    # Fewer do not tell how often a kind of condition is drawn.
    @settings(max_examples=max(240, 4 * settings().max_examples))
    @given(st.one_of(literals, VALUES, TRUTHS), drawn, with_variables(), st.lists(seen(), min_size=3, max_size=3))
    def compare(v: str, w: str, text: str, made: list[Inputs]) -> None:
        scope = Scope.of([Variable(name="v", expression=v), Variable(name="w", expression=w)])
        # With its contrary, so that as many are true as are false.
        for either in (text, f"!({text})"):
            expression = compiled(scope, either)
            if expression is None:
                return
            counts["conditions"] += 1
            counts["with variables"] += bool(expression.uses) and expression.closure is not None
            for bindings in made:
                slowly = Inputs.from_values(bindings, NOW)
                slowly.plain = False
                slowly.allowance = bindings.allowance = 10**15
                held = scope.evaluate(expression, bindings)
                counts[str(held)] += 1
                assert held == scope.evaluate(expression, slowly)

    compare()
    assert counts["with variables"] > 0.5 * counts["conditions"] > 0, counts
    assert min(counts["True"], counts["False"], counts[str(UNKNOWN)]) > 0.02 * counts["conditions"], counts
