"""Which calls have the same digest, and that the digest is the one that AuthZEN's profile describes."""

import hashlib
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.binding import binding_object, bound_context, digest, hash_of
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.canonicaljson import NotCanonicalError, canonical, sha256
from unit.engine.cases import CALL, with_context

ALICE: Final = {"type": "user", "id": "alice@example.com"}
INVOKE: Final = {"name": "invoke"}
TOOL: Final = {"type": "tool", "id": "crm.search_accounts"}


def of(call: Call) -> str:
    assert isinstance(call.subject, Party)
    return digest(call, call.subject)


def with_properties(properties: Any) -> Call:  # noqa: ANN401 - any JSON
    return replace(CALL, subject=Party("serviceAccount", "a", "uid", {}, properties))


def nested(depth: int) -> Any:  # noqa: ANN401 - any JSON
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.invariant(8)
class TestTheKnownAnswer:
    """The one example of the profile whose input stands in it; its other vectors' inputs are not at hand."""

    EXPECTED: Final = "yNM9XG-K4Bg6xk5KzQd4GU0mYM6gMuDm5AWz0q1YeeM"

    def test_is_the_hash_of_type_and_id_name_and_an_empty_context(self) -> None:
        assert hash_of(sha256(binding_object(ALICE, INVOKE, TOOL, {}))) == self.EXPECTED

    def test_is_that_of_the_call(self) -> None:
        call = replace(
            CALL,
            subject=Party("user", "alice@example.com", "uid"),
            action=Action("invoke"),
            resource=Resource("tool", "crm.search_accounts"),
        )
        as_hex = sha256(binding_object(ALICE, INVOKE, TOOL, {}))
        assert of(call) == as_hex
        assert hash_of(of(call)) == self.EXPECTED
        assert as_hex == "sha256:c8d33d5c6f8ae0183ac64e4acd0778194d2660cea032e0e6e405b3d2ad5879e3"

    def test_is_that_of_a_call_with_properties_too(self) -> None:
        call = replace(
            CALL,
            subject=Party("user", "alice@example.com", "uid", {"claim": 1}, {"team": "a"}),
            action=Action("invoke", {"dry": False}),
            resource=Resource("tool", "crm.search_accounts", {"env": "prod"}),
            context={"tenant": "b", "args": {"q": 1}},
        )
        whole = {
            "subject": {**ALICE, "properties": {"team": "a"}},
            "action": {**INVOKE, "properties": {"dry": False}},
            "resource": {**TOOL, "properties": {"env": "prod"}},
            "context": {"tenant": "b", "args_digest": "sha256:" + hashlib.sha256(b'{"q":1}').hexdigest()},
        }
        assert of(call) == sha256(whole)

    @pytest.mark.parametrize(
        "other",
        [
            binding_object({**ALICE, "properties": {}}, INVOKE, TOOL, {}),
            binding_object(ALICE, {**INVOKE, "properties": {}}, TOOL, {}),
            binding_object(ALICE, INVOKE, {**TOOL, "properties": {}}, {}),
            binding_object(ALICE, INVOKE, TOOL, {"a": None}),
            {"subject": ALICE, "action": INVOKE, "resource": TOOL},
            {"subject": ALICE, "action": INVOKE, "resource": TOOL, "context": None},
        ],
    )
    def test_is_nobody_elses(self, other: dict[str, Any]) -> None:
        assert hash_of(sha256(other)) != self.EXPECTED


class TestAnActor:
    ACTING: Final = {**ALICE, "properties": {"act": {"sub": "agent"}, "team": "a"}}

    def test_is_left_out(self) -> None:
        without = {**ALICE, "properties": {"team": "a"}}
        assert binding_object(self.ACTING, INVOKE, TOOL, {}) == binding_object(without, INVOKE, TOOL, {})
        assert of(with_properties({"act": 1, "team": "a"})) == of(with_properties({"team": "a"}))

    def test_leaves_empty_properties_where_it_was_the_only_one(self) -> None:
        assert binding_object({**ALICE, "properties": {"act": 1}}, INVOKE, TOOL, {})["subject"] == {
            **ALICE,
            "properties": {},
        }
        assert of(with_properties({"act": 1})) == of(with_properties({})) != of(with_properties(None))

    def test_counts_anywhere_else(self) -> None:
        assert of(with_properties({"a": {"act": 1}})) != of(with_properties({"a": {}}))
        assert of(with_context(act=1)) != of(with_context())
        acting = replace(CALL, action=Action("customers.export", {"act": 1}))
        assert of(acting) != of(replace(CALL, action=Action("customers.export", {})))

    def test_changes_nothing_in_the_request_itself(self) -> None:
        binding_object(self.ACTING, INVOKE, TOOL, {})
        assert "act" in self.ACTING["properties"]

    @pytest.mark.parametrize("properties", ["act", ["act"], None])
    def test_is_not_looked_for_in_properties_that_are_no_object(self, properties: object) -> None:
        subject = {**ALICE, "properties": properties}
        assert binding_object(subject, INVOKE, TOOL, {})["subject"] == subject


class TestArguments:
    ARGS: Final = {"fields": ["name"], "limit": 10}

    def test_give_way_to_their_digest(self) -> None:
        bound = bound_context({"args": self.ARGS, "tenant": "a"})
        assert bound == {"args_digest": sha256(self.ARGS), "tenant": "a"}

    def test_count_as_their_canonical_form(self) -> None:
        assert of(with_context(args={"limit": 10.0, "fields": ["name"]})) == of(with_context(args=self.ARGS))

    @pytest.mark.parametrize(
        "context",
        [{}, {"args": {}}, {"args": None}, {"args": {"fields": ["name"], "limit": 11}}, {"args": {"limit": 10}}],
    )
    def test_that_differ_differ_in_the_digest(self, context: dict[str, Any]) -> None:
        assert of(with_context(**context)) != of(with_context(args=self.ARGS))

    def test_count_themselves_and_not_what_a_caller_says_their_digest_is(self) -> None:
        assert bound_context({"args": self.ARGS, "args_digest": "mine"}) == bound_context({"args": self.ARGS})

    def test_have_the_digest_of_a_call_that_sends_their_digest_alone(self) -> None:
        # So the display must refuse the latter: nobody was shown anything.
        assert of(with_context(args_digest=sha256(self.ARGS))) == of(with_context(args=self.ARGS))

    def test_that_are_not_there_leave_the_context_alone(self) -> None:
        context = {"tenant": "a"}
        assert bound_context(context) == context
        assert bound_context(context) is not context


EQUAL: Final[list[tuple[Any, Any]]] = [
    (1, 1.0),
    (0, -0.0),
    (100, 1e2),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ((1, 2), [1, 2]),
    ("\u00e9", "é"),
    (1e21, 10**0 * 1e21),
]
DIFFERENT: Final[list[tuple[Any, Any]]] = [
    (1, "1"),
    (1, True),
    (0, False),
    (0, None),
    (None, "null"),
    ("", None),
    ({}, []),
    ({"a": None}, {}),
    ([1, 2], [2, 1]),
    ([[1], 2], [1, [2]]),
    ("é", "e\u0301"),
    ("a", "A"),
    ("a", "a "),
    ("a", "a\u200b"),
    (1, 1.0000000000000002),
    (2**53 - 1, 2**53 - 2),
    ({"ab": "c"}, {"a": "bc"}),
    ({"a": {"b": 1}}, {"a.b": 1}),
]


@pytest.mark.invariant(8)
class TestTwoValues:
    @pytest.mark.parametrize(("one", "other"), EQUAL)
    def test_that_are_the_same_json_have_the_same_digest(self, one: object, other: object) -> None:
        assert sha256(one) == sha256(other)
        assert of(with_context(v=one)) == of(with_context(v=other))

    @pytest.mark.parametrize(("one", "other"), DIFFERENT)
    def test_that_are_not_have_different_ones(self, one: object, other: object) -> None:
        assert sha256(one) != sha256(other)
        assert of(with_context(v=one)) != of(with_context(v=other))
        assert of(with_context(args={"v": one})) != of(with_context(args={"v": other}))

    def test_are_ordered_as_utf_16(self) -> None:
        # U+FB33 comes before U+1F600 as a code point and after it in UTF-16, by which RFC 8785 sorts.
        assert canonical({"\ufb33": 1, "\U0001f600": 2, "a": 3}).decode() == '{"a":3,"\U0001f600":2,"\ufb33":1}'


UNCANONICAL: Final[dict[str, Any]] = {
    "an integer of 2^53": 2**53,
    "an integer of -2^53": -(2**53),
    "an integer of 400 digits": 10**400,
    "no number": float("nan"),
    "infinity": float("inf"),
    "less than infinity": float("-inf"),
    "half a character": "\ud800",
    "two halves of a character": "\ud83d\ude00",
    "half a character as a name": {"\udfff": 1},
    "a number as a name": {1: 2},
    "bytes": b"bytes",
    "a set": {1, 2},
    "a nest too deep": nested(100_000),
}


@pytest.mark.invariant(8)
class TestAValueWithoutCanonicalForm:
    @pytest.mark.parametrize("name", UNCANONICAL)
    def test_is_refused(self, name: str) -> None:
        found = UNCANONICAL[name]
        for value in (found, {"a": [found]}, ["plain", found], {"plain": 1, "then": found}):
            with pytest.raises(NotCanonicalError):
                canonical(value)
            with pytest.raises(NotCanonicalError):
                of(with_context(v=value))

    def test_is_no_number_that_others_only_spell_otherwise(self) -> None:
        assert canonical(["plain", 1.0, {"a": 1, "b": 1e21}]) == b'["plain",1,{"a":1,"b":1e+21}]'

    def test_is_one_more_than_the_largest_that_has_one(self) -> None:
        assert canonical(2**53 - 1) == b"9007199254740991"
        assert canonical(1 - 2**53) == b"-9007199254740991"
