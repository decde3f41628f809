"""Digest and display, over any JSON: two calls are one exactly if they are the same values, and are shown so."""

import json
from typing import Any, Final

import pytest
import rfc8785
from hypothesis import assume, given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.approval.binding import bound_context, digest
from bailiwick_engine.approval.display import inspectable, items_of
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.canonicaljson import NotCanonicalError, canonical, sha256
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.reasons import Reason
from support.objects import gated_rule
from unit.engine.cases import CALL, gate_of, governed, verdict_of

# Strings that are easily taken for one another, besides any other.
TRICKY: Final = ["1", "true", "null", "", "a", "a\\n", "a\n", "\u202ea", "\\u202ea", "é", "e\u0301", '"a"', "{}", "[1]"]
text: Final = st.one_of(st.sampled_from(TRICKY), st.text(st.characters(codec="utf-8"), max_size=6))
numbers: Final = st.one_of(
    st.integers(-3, 3), st.integers(1 - 2**53, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
json_values: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=6,
)
objects: Final = st.dictionaries(text, json_values, max_size=3)
optional_objects: Final = st.one_of(st.none(), objects)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    context = draw(objects)
    if draw(st.booleans()):
        context = {**context, "args": draw(objects)}
    if draw(st.booleans()):
        context = {**context, "intent": draw(st.one_of(text, json_values))}
    return replace(
        CALL,
        subject=Party("serviceAccount", draw(st.sampled_from("ab")), "uid", {}, draw(optional_objects)),
        action=Action("a", draw(optional_objects)),
        resource=Resource("t", draw(st.sampled_from("12")), draw(optional_objects)),
        context=context,
    )


def digest_of(call: Call) -> str:
    assert isinstance(call.subject, Party)
    return digest(call, call.subject)


def plain(call: Call) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON values that are bound, spelled by `json` alone, numbers as their value."""
    assert isinstance(call.subject, Party)
    properties = call.subject.properties
    if properties is not None:
        properties = {name: value for name, value in properties.items() if name != "act"}
    return json.dumps(
        _numbers_alike(
            [
                [call.subject.id, properties],
                call.action.properties,
                [call.resource.id, call.resource.properties],
                dict(call.context),
            ]
        ),
        sort_keys=True,
    )


def _numbers_alike(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value) + 0.0
    if isinstance(value, dict):
        return {name: _numbers_alike(inner) for name, inner in value.items()}
    return [_numbers_alike(inner) for inner in value]


@given(json_values, json_values)
def test_equal_digests_are_equal_canonical_json(one: object, other: object) -> None:
    assert (sha256(one) == sha256(other)) is (canonical(one) == canonical(other))
    assert (sha256(one) == sha256(other)) is (
        json.dumps(_numbers_alike(one), sort_keys=True) == json.dumps(_numbers_alike(other), sort_keys=True)
    )


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=4)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_the_canonical_form_is_that_of_the_slow_library_and_refused_where_that_refuses(value: object) -> None:
    try:
        expected = rfc8785.dumps(value)  # type: ignore[arg-type]  # it refuses what is not JSON
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(NotCanonicalError):
            canonical(value)
    else:
        assert canonical(value) == expected


@given(json_values)
def test_the_canonical_form_is_json_of_the_same_value(value: object) -> None:
    again = json.loads(canonical(value))
    assert _numbers_alike(again) == _numbers_alike(value)
    # A whole number of 2^53 and more has a form only where it was written as a fraction, as `1e300` is.
    assert canonical(_numbers_alike(again)) == canonical(value)


@given(calls(), calls())
def test_two_calls_have_the_same_digest_exactly_if_they_are_the_same_values(one: Call, other: Call) -> None:
    assume("args_digest" not in one.context)
    assume("args_digest" not in other.context)
    assert (digest_of(one) == digest_of(other)) is (plain(one) == plain(other))


@given(calls(), calls(), st.data())
def test_two_calls_that_differ_in_a_part_have_different_digests(one: Call, other: Call, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["subject", "action", "resource", "context"]))
    mixed = replace(one, **{part: getattr(other, part)})
    assume("args_digest" not in {**one.context, **other.context})
    assert (digest_of(mixed) == digest_of(one)) is (plain(mixed) == plain(one))


WHOLE: Final = gate_of(governed(gated_rule()))


def shown(call: Call) -> Any:  # noqa: ANN401 - a tuple to compare
    """Return all that an approver is told: the fields of the request and the display."""
    assert isinstance(call.subject, Party)
    items = tuple((item["name"], item["value"]) for item in items_of(call, WHOLE))
    return (call.subject.id, call.resource.id, call.intent, items)


@given(calls(), calls(), st.data())
def test_two_calls_that_differ_are_never_shown_alike(one: Call, other: Call, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["subject", "action", "resource", "context", "all"]))
    other = other if part == "all" else replace(one, **{part: getattr(other, part)})
    assume(inspectable(one, WHOLE))
    assume(inspectable(other, WHOLE))
    assert (digest_of(one) == digest_of(other)) is (shown(one) == shown(other))


@given(objects, objects)
def test_arguments_that_differ_are_never_shown_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    calls = [replace(CALL, context={"args": args}) for args in (one, other)]
    assert (canonical(one) == canonical(other)) is (shown(calls[0]) == shown(calls[1]))


@given(calls())
def test_a_display_fits_into_a_grant(call: Call) -> None:
    assume(inspectable(call, WHOLE))
    items = list(items_of(call, WHOLE))
    assert len(items) <= 64
    assert len({item["name"] for item in items}) == len(items)
    for item in items:
        assert 1 <= len(item["name"]) <= 253
        assert len(item["value"]) <= 1024
        assert (item["name"] + item["value"]).isprintable()


@given(calls())
def test_a_call_that_cannot_be_shown_is_never_let_through(call: Call) -> None:
    verdict = verdict_of(governed(gated_rule(actions=["*"], resources=[{"type": "t", "ids": ["*"]}])), call)
    assert verdict.outcome in {Outcome.DENY, Outcome.FORBIDDEN}
    if not inspectable(call, WHOLE):
        assert verdict.reason in {Reason.UNINSPECTABLE, Reason.NO_RULE}


@given(objects)
def test_arguments_never_stand_in_what_is_digested(args: dict[str, Any]) -> None:
    bound = bound_context({"args": args, "tenant": "a"})
    assert bound == {"tenant": "a", "args_digest": sha256(args)}


@given(st.one_of(st.integers(min_value=2**53), st.integers(max_value=-(2**53)), st.sampled_from([float("inf")])))
def test_a_number_beyond_what_json_holds_has_no_digest(number: float) -> None:
    with pytest.raises(NotCanonicalError):
        sha256({"a": [number]})
