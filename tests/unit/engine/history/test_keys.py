"""Which calls have one key, and which have none."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.history.keys import ObjectKey, object_key
from bailiwick_engine.policy.histories import KeyPart, MemberPart, PartyPart, SessionPart
from unit.engine.cases import CALL, NOW

CAROL: Final = Party("user", "carol", "people#carol", {"sid": "s1", "tenant": "acme"}, issuer="people")
DAVE: Final = replace(CAROL, id="dave", uid="people#dave")
ROBOT: Final = Party("serviceAccount", "system:serviceaccount:agents:robot", "robot-uid")
OTHER_ROBOT: Final = replace(ROBOT, uid="other-uid")
ASSERTED: Final = Party("user", "carol", "people#carol", issuer=None)
SUBJECT: Final = PartyPart("subject")
AGENT: Final = PartyPart("agent")
CLAIM: Final = SessionPart(("subject", "claims", "sid"))
STATED: Final = SessionPart(("context", "session"))


def call(subject: Party = CAROL, *actors: Party, **context: object) -> Call:
    return replace(CALL, subject=subject, actors=actors, context=context)


def key_of(one: Call, *parts: KeyPart) -> ObjectKey | None:
    assert isinstance(one.subject, Party)
    return object_key(one.endpoint, parts, one, one.subject, inputs(one, one.subject, NOW))


def same(first: Call, second: Call, *parts: KeyPart) -> bool:
    keys = key_of(first, *parts), key_of(second, *parts)
    assert keys[0] is not None
    assert keys[1] is not None
    return keys[0] == keys[1]


class TestAKey:
    def test_is_a_name_and_a_digest(self) -> None:
        key = key_of(call())
        assert key is not None
        assert key.name == "h-" + key.key.removeprefix("sha256:")[:40]
        assert len(key.key) == len("sha256:") + 64

    def test_has_the_endpoint(self) -> None:
        assert not same(call(), replace(call(), endpoint="other"))

    def test_has_no_order(self) -> None:
        assert key_of(call(), SUBJECT, AGENT) == key_of(call(), AGENT, SUBJECT)

    def test_has_its_parts(self) -> None:
        # For this call both are the same party.
        assert key_of(call(), SUBJECT) != key_of(call(), AGENT)
        assert key_of(call()) != key_of(call(), AGENT)

    def test_of_nothing_is_that_of_all_calls(self) -> None:
        assert same(call(), replace(call(DAVE, ROBOT, x=1), action=Action("other"), resource=Resource("a", "b")))


class TestAParty:
    def test_is_known_by_issuer_and_uid(self) -> None:
        assert same(call(), call(replace(CAROL, claims={}, properties={"a": 1}, groups=("g",), id="x")), SUBJECT)
        assert not same(call(), call(DAVE), SUBJECT)
        assert not same(call(), call(replace(CAROL, issuer="other")), SUBJECT)
        assert not same(call(ROBOT), call(OTHER_ROBOT), SUBJECT)

    def test_that_is_asserted_is_never_one_that_is_proven(self) -> None:
        assert not same(call(), call(ASSERTED), SUBJECT)
        assert same(call(ASSERTED), call(replace(ASSERTED, uid="other")), SUBJECT)
        assert not same(call(ASSERTED), call(replace(ASSERTED, type="client")), SUBJECT)

    def test_that_is_only_a_name_has_none(self) -> None:
        assert key_of(call(Party("serviceAccount", "a", "", hypothetical=True)), SUBJECT) is None

    def test_agent_is_the_outermost_actor(self) -> None:
        assert same(call(CAROL, ROBOT, OTHER_ROBOT), call(DAVE, ROBOT), AGENT)
        assert not same(call(CAROL, ROBOT), call(CAROL, OTHER_ROBOT), AGENT)
        assert same(call(ROBOT), call(CAROL, ROBOT), AGENT)


class TestASession:
    def test_of_a_claim_is_the_same_for_all_agents(self) -> None:
        assert same(call(CAROL, ROBOT), call(CAROL, OTHER_ROBOT), CLAIM)
        assert same(call(), call(replace(DAVE, claims={"sid": "s1"})), CLAIM)
        assert not same(call(), call(replace(CAROL, claims={"sid": "s2"})), CLAIM)
        assert not same(call(), call(replace(CAROL, issuer="other")), CLAIM)

    def test_that_is_stated_is_that_agents_alone(self) -> None:
        assert same(call(CAROL, ROBOT, session="s"), call(DAVE, ROBOT, session="s"), STATED)
        assert not same(call(CAROL, ROBOT, session="s"), call(CAROL, OTHER_ROBOT, session="s"), STATED)
        assert not same(call(session="s1"), call(session="s2"), STATED)

    def test_that_is_stated_is_never_one_of_a_claim(self) -> None:
        assert key_of(call(session="s1"), STATED) != key_of(call(session="s1"), CLAIM)

    @pytest.mark.parametrize("session", [None, "", 1, True, [], {}, "a\0b", "\ud800"], ids=repr)
    def test_that_is_no_text_has_no_key(self, session: object) -> None:
        assert key_of(call(session=session), STATED) is None
        assert key_of(call(replace(CAROL, claims={"sid": session})), CLAIM) is None

    def test_that_is_not_there_has_no_key(self) -> None:
        assert key_of(call(), STATED) is None
        assert key_of(call(replace(CAROL, claims={})), CLAIM) is None
        assert key_of(call(replace(CAROL, hypothetical=True)), CLAIM) is None
        assert key_of(call(), SessionPart(())) is None

    def test_that_is_stated_by_an_agent_who_is_only_a_name_has_no_key(self) -> None:
        assert key_of(call(CAROL, replace(ROBOT, uid=""), session="s"), STATED) is None

    def test_of_a_claim_of_an_asserted_subject_has_no_key(self) -> None:
        assert key_of(call(replace(ASSERTED, claims={"sid": "s1"})), CLAIM) is None


class TestAMember:
    RESOURCE: Final = MemberPart(("resource",))
    ACTION: Final = MemberPart(("action",))
    INTENT: Final = MemberPart(("intent",))
    ARGUMENT: Final = MemberPart(("context", "args", "a"))

    def test_resource_is_type_and_id(self) -> None:
        one = replace(call(), resource=Resource("ab", "c", {"x": 1}))
        assert same(one, replace(one, resource=Resource("ab", "c")), self.RESOURCE)
        assert not same(one, replace(one, resource=Resource("a", "bc")), self.RESOURCE)

    def test_action_is_its_name(self) -> None:
        assert same(call(), replace(call(), action=Action(CALL.action.name, {"a": 1})), self.ACTION)
        assert not same(call(), replace(call(), action=Action("other")), self.ACTION)

    def test_intent_is_the_declared_one(self) -> None:
        assert not same(call(intent="audit"), call(intent="sale"), self.INTENT)
        assert key_of(call(), self.INTENT) is None
        assert key_of(call(intent=""), self.INTENT) is None

    def test_that_is_a_number_has_one_spelling(self) -> None:
        assert same(call(args={"a": 1}), call(args={"a": 1.0}), self.ARGUMENT)
        assert same(call(args={"a": 0}), call(args={"a": -0.0}), self.ARGUMENT)

    def test_keeps_different_values_apart(self) -> None:
        values: list[Any] = ["1", 1, True, "true", "", "a", "A", 1.5, "1.5", False, 0, "null"]
        keys = [key_of(call(args={"a": value}), self.ARGUMENT) for value in values]
        assert None not in keys
        assert len(set(keys)) == len(values)

    @pytest.mark.parametrize(
        "value", [None, [], [1], {}, {"b": 1}, "a\0", "\ud800", 2**53, float("nan"), float("inf")], ids=repr
    )
    def test_that_is_no_plain_value_has_no_key(self, value: object) -> None:
        assert key_of(call(args={"a": value}), self.ARGUMENT) is None

    @pytest.mark.parametrize("context", [{}, {"args": None}, {"args": "a"}, {"args": {"b": 1}}], ids=repr)
    def test_that_is_not_there_has_no_key(self, context: dict[str, object]) -> None:
        assert key_of(call(CAROL, **context), self.ARGUMENT) is None

    def test_of_the_subject_is_its_claim(self) -> None:
        tenant = MemberPart(("subject", "claims", "tenant"))
        assert same(call(), call(replace(DAVE, claims={"tenant": "acme"})), tenant)
        assert key_of(call(replace(CAROL, hypothetical=True)), tenant) is None

    def test_values_never_run_into_each_other(self) -> None:
        parts = (MemberPart(("context", "a")), MemberPart(("context", "b")))
        assert not same(call(a="x", b="yz"), call(a="xy", b="z"), *parts)
        assert not same(call(a="x", b="y"), call(a="y", b="x"), *parts)
