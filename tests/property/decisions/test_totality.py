"""The engine answers whatever it is given: it neither raises nor lets through what it cannot read."""

import contextlib
from typing import Any, Final

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.approval import grants as approval
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.compile.policies import compile_object, parse_spec
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import BrokenPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.truth import UNKNOWN
from property.worlds.strategies import EXPRESSIONS
from support.objects import Object, changed, gated_rule, rule, settings
from unit.engine.cases import CALL, NOW, approved, carrier, governed, read, stored, verdict_of

leaves: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=4),
    st.sampled_from(["agent", "Allow", "crm-api", "*", "a.*", "Audit", "true", "x", {}, []]),
)
anything: Final = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
objects: Final = st.dictionaries(st.text(st.characters(), max_size=3), anything, max_size=4)

POLICY: Final = stored(
    "fuzzed",
    rule("read", conditions=[{"name": "c", "expression": "true"}], intents=["support"]),
    gated_rule("export"),
    endpointSettings=settings(),
    variables=[{"name": "v", "expression": "true"}],
    mode="Enforce",
    suspend=False,
    expireTime="2040-01-01T00:00:00Z",
)


def paths(node: Any, prefix: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Return every path of a stored object."""
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = []
    for name, inner in members:
        path = f"{prefix}{name}"
        found += [path, *paths(inner, f"{path}.")]
    return found


def damaged(raw: Object, below: str) -> st.SearchStrategy[Object]:
    """Return the object with anything at one or two of its places."""
    places = [path for path in paths(raw) if path.startswith(below)]

    def apply(changes: list[tuple[str, Any]]) -> Object:
        out = raw
        for path, value in changes:
            with contextlib.suppress(KeyError, IndexError, TypeError, ValueError):
                out = changed(out, path, value)
        return out

    change = st.tuples(st.sampled_from(places), st.one_of(anything, st.just(...)))
    return st.lists(change, min_size=1, max_size=2).map(apply)


@given(damaged(POLICY, "spec"))
def test_every_spec_compiles_or_is_broken(raw: Object) -> None:
    compiled = compile_object(raw)
    assert compiled.ref.name == "fuzzed"
    if isinstance(compiled, BrokenPolicy):
        parsed = parse_spec(raw.get("spec"))
        if isinstance(parsed, tuple):
            assert parsed


@given(anything)
def test_whatever_stands_for_a_spec_is_broken(spec: object) -> None:
    assert isinstance(compile_object({**POLICY, "spec": spec}), BrokenPolicy)


@given(damaged(POLICY, "spec"))
def test_a_broken_policy_that_carries_the_settings_lets_nobody_through_but_those_it_does_not_name(raw: Object) -> None:
    compiled = compile_object(raw)
    if not isinstance(compiled, BrokenPolicy) or compiled.audit:
        return
    verdict = verdict_of(Snapshot.of([compiled, compile_object(stored("sound", rule(actions=["*"])))]))
    assert isinstance(CALL.subject, Party)
    named = compiled.subjects is None or not CALL.subject.keys.isdisjoint(compiled.subjects)
    if compiled.endpoint in {None, "crm-api"} and named:
        assert verdict.outcome in {Outcome.DENY, Outcome.FORBIDDEN}


@st.composite
def hostile_calls(draw: st.DrawFn) -> Call:
    optional = st.one_of(st.none(), objects)
    return replace(
        CALL,
        subject=Party(draw(st.text(max_size=3)), draw(mostly_the_agent), "agent-uid", draw(objects), draw(optional)),
        action=Action(draw(st.one_of(st.just("customers.export"), st.text(st.characters()))), draw(optional)),
        resource=Resource("customer", draw(st.text(st.characters())), draw(optional)),
        context={**draw(objects), **draw(st.dictionaries(st.sampled_from(["args", "intent", "n"]), anything))},
    )


mostly_the_agent: Final = st.one_of(st.just("system:serviceaccount:agents:crm-agent"), st.text(st.characters()))
CONDITIONED: Final = [
    governed(
        gated_rule(
            resources=[{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}],
            conditions=[{"name": "c", "expression": text}],
        ),
        rule("allow", actions=["*"], conditions=[{"name": "c", "expression": text}]),
        variables=[
            {"name": "greater", "expression": "context.n > 1"},
            {"name": "twice", "expression": "variables.greater == true"},
        ],
    )
    for text in EXPRESSIONS
]


@given(hostile_calls(), st.sampled_from(CONDITIONED))
def test_every_call_is_decided(call: Call, on: Snapshot) -> None:
    verdict = verdict_of(on, call)
    assert verdict.outcome in Outcome
    assert verdict.sentence


ACTIVE: Final = approved(governed(gated_rule()))


@given(damaged(ACTIVE, ""))
def test_a_damaged_grant_is_none_or_is_judged(raw: Object) -> None:
    grant = approval.parse(raw)
    if grant is not None:
        assert verdict_of(governed(gated_rule()), grants=[grant]).outcome in {Outcome.DENY, Outcome.USE_GRANT}


@given(damaged(ACTIVE, "spec.request.binding"))
def test_a_grant_with_another_binding_opens_nothing(raw: Object) -> None:
    grant = approval.parse(raw)
    if grant is not None and grant.request.binding != read(ACTIVE).request.binding:
        same = (grant.request.binding.mode, grant.request.binding.digest) == (
            "Exact",
            read(ACTIVE).request.binding.digest,
        )
        opened = verdict_of(governed(gated_rule()), grants=[grant]).outcome is Outcome.USE_GRANT
        assert opened is same


VALUES: Final = st.sampled_from(
    ["1", "true", "'a'", "null", "[1, 'a']", "{'a': [1]}", "context", "context.n", "1.5", "now", "2u", "1 / 0"]
)


@given(
    VALUES, VALUES, st.sampled_from(["{0} == {1}", "{0} == {1} || true", "[{0}] == [{1}] && false", "!({0} == {1})"])
)
def test_a_variable_says_what_its_expression_says_or_nothing(one: str, other: str, form: str) -> None:
    call = replace(CALL, context={"n": 2})
    assert isinstance(call.subject, Party)
    values = inputs(call, call.subject, NOW)
    plain, scoped = Scope(()), Scope([Variable(name="one", expression=one), Variable(name="other", expression=other)])
    inline = plain.condition(form.format(f"dyn({one})", f"dyn({other})"), "here")
    by_name = scoped.condition(form.format("dyn(variables.one)", "dyn(variables.other)"), "here")
    assert isinstance(inline, Expression)
    assert isinstance(by_name, Expression)
    assert scoped.evaluate(by_name, values) in {plain.evaluate(inline, values), UNKNOWN}


SEGMENTS: Final = st.lists(st.sampled_from(["a", "b", "*", ".", ":", "/", ""]), max_size=5).map("".join)


@given(st.lists(SEGMENTS, max_size=3), SEGMENTS)
def test_a_name_set_holds_what_a_look_at_each_name_finds(listed: list[str], name: str) -> None:
    def matches(pattern: str) -> bool:
        if pattern == "*":
            return True
        if pattern[-1:] == "*":
            return name[: len(pattern) - 1] == pattern[:-1] and len(name) >= len(pattern)
        return pattern == name

    assert (name in NameSet.of(listed)) is any(matches(pattern) for pattern in listed)


def test_the_object_that_is_damaged_is_whole() -> None:
    assert not isinstance(compile_object(POLICY), BrokenPolicy)
    assert verdict_of(Snapshot.of([compile_object(carrier())])).outcome is Outcome.DENY
