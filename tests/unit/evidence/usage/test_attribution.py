"""A use is a call that a rule or an approval let through; what cannot be told puts all scopes of a subject in doubt."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine import keys
from bailiwick_engine.call import Party
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.usage.attribution import NOTHING, CallUse, UseAttribution
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState, ScopeUse, scopes_of
from property.evidence.test_odd_members import places_in, with_value
from support.objects import AGENT, Object, gated_rule, rule, settings, subject
from unit.engine.cases import CALL
from unit.evidence.derive.test_derive import GATED, approved, carrier, record, stored, texts

EXPORT: Final[dict[str, Any]] = {"actions": ["customers.export"]}
ALLOW: Final = carrier(rule(**EXPORT))
DAVE: Final = Party("user", "dave", "corp#dave", issuer="corp", groups=("sales", "staff"))
SUBJECTS: Final[list[Object]] = [
    subject(),
    {"name": "sales", "group": {"issuer": "corp", "name": "sales"}},
    {"name": "staff", "group": {"issuer": "corp", "name": "staff"}},
    {"name": "dave", "user": {"issuer": "corp", "name": "dave"}},
]


def scope(name: str, key: str = AGENT) -> RuleScope:
    return RuleScope("crm", "crm-agent", name, keys.Key(key))


def use(told: Object, *policies: Object) -> CallUse | None:
    return UseAttribution(texts(*policies)).use(told)


def test_the_rule_that_decided_was_used() -> None:
    assert use(record(ALLOW), ALLOW) == CallUse((scope("read"),))


@pytest.mark.parametrize(
    "member",
    [{"decision": False}, {"dry_run": True}, {"kind": "request"}, {"kind": "search"}],
    ids=["a denial", "a dry run", "a request", "a search"],
)
def test_what_let_nothing_through_is_no_use(member: Object) -> None:
    assert use({**record(ALLOW), **member}, ALLOW) is NOTHING


def test_a_rule_in_audit_mode_is_not_used() -> None:
    other = stored("beside", mode="Audit", rules=[rule("beside", **EXPORT)])
    told = record(ALLOW, other)
    assert told["audit"]
    assert use(told, ALLOW, other) == CallUse((scope("read"),))


def test_every_rule_of_a_grant_that_was_used_was() -> None:
    told = record(GATED, used=approved())
    told["grant"]["rules"].append({"policy": "second", "rule": "ask", "digest": None})
    second = RuleScope("crm", "second", "ask", keys.Key(AGENT))
    assert use(told, GATED) == CallUse((scope("export"), second))


def test_every_group_that_was_matched_was_used() -> None:
    made = carrier(rule(subjects=["sales", "staff"], **EXPORT), subjects=SUBJECTS)
    made["spec"]["endpointSettings"]["identity"] = {"issuers": ["corp"]}
    told = record(made, call=replace(CALL, subject=DAVE))
    groups = tuple(scope("read", keys.group("corp", name)) for name in ("sales", "staff"))
    # Dave is named by his groups alone; without the policy's text that is not known.
    assert use(told, made) == CallUse(groups)
    assert use(told) == CallUse((*groups, scope("read", keys.user("corp", "dave"))))


def delegating(*rules: Object, **fields: Any) -> Object:  # noqa: ANN401 - any field
    ceiling = [{**EXPORT, "resources": [{"type": "customer", "ids": ["*"]}]}]
    delegation = {"maxDepth": 2, "principals": ["dave"], "ceiling": ceiling, "principalMustBeEntitled": True}
    made = carrier(*rules, subjects=SUBJECTS, **fields)
    issuers = {"issuers": ["cluster", "corp"]}
    return {
        **made,
        "spec": {**made["spec"], "endpointSettings": {**settings(), "identity": issuers, "delegation": delegation}},
    }


BEHALF: Final = replace(CALL, subject=DAVE, actors=(Party("serviceAccount", AGENT, "u"),), context={"n": 2})


def test_a_call_on_behalf_of_another_uses_the_rule_of_each_party() -> None:
    made = delegating(rule("agents", **EXPORT), rule("people", subjects=["dave"], **EXPORT))
    told = record(made, call=BEHALF)
    assert told["decision"], told
    assert use(told, made) == CallUse((scope("agents"), scope("people", keys.user("corp", "dave"))))


def test_of_such_a_call_that_cannot_be_decided_again_everything_is_in_doubt() -> None:
    condition = [{"name": "few", "expression": "context.n < 9"}]
    rules = (rule("agents", conditions=condition, **EXPORT), rule("people", subjects=["dave"], **EXPORT))
    sealed = delegating(*rules, sensitive=["context.n"])
    found = use(record(sealed, call=BEHALF), sealed)
    assert found is not None
    assert {keys.Key(AGENT), keys.user("corp", "dave")} <= found.doubtful
    # The engine comes to the record without it, and would name another rule for Dave.
    more = delegating(
        rule("agents", **EXPORT),
        rule("people", subjects=["dave"], conditions=condition, **EXPORT),
        rule("persons", subjects=["dave"], **EXPORT),
        sensitive=["context.n"],
    )
    found = use(record(more, call=BEHALF), more)
    assert found is not None
    assert keys.user("corp", "dave") in found.doubtful
    plain = delegating(*rules)
    told = record(plain, call=BEHALF)
    known, unknown = use(told, plain), UseAttribution(PolicyTexts()).use(told)
    assert known is not None
    assert unknown is not None
    assert (bool(known.doubtful), bool(unknown.doubtful)) == (False, True)
    other = use({**told, "policy": {**told["policy"], "rule": "people"}}, plain)
    assert other is not None
    assert other.doubtful


def test_a_party_of_such_a_call_does_not_pass_by_audit_mode() -> None:
    made = delegating(rule("agents", **EXPORT), rule("people", subjects=["dave"], **EXPORT))
    audit = stored("audit", mode="Audit", subjects=SUBJECTS, rules=[rule("all", subjects=["dave"], **EXPORT)])
    found = use(record(made, audit, call=BEHALF), made, audit)
    assert found == CallUse((scope("agents"), scope("people", keys.user("corp", "dave"))))


def test_a_record_of_another_shape_is_none() -> None:
    assert use({**record(ALLOW), "subject": 7}, ALLOW) is None
    assert use({**record(ALLOW), "decision": "yes"}, ALLOW) is None
    assert use({**record(ALLOW), "actors": 7}, ALLOW) is None


@pytest.mark.parametrize("value", [None, 7, -1e300, "x", True, [], {}, [7], {"a": 7}], ids=repr)
@pytest.mark.parametrize("told", [record(ALLOW), record(GATED, used=approved())], ids=["a rule", "a grant"])
def test_a_record_with_an_odd_member_says_nothing_of_others(told: Object, value: object) -> None:
    attribution = UseAttribution(texts(ALLOW, GATED))
    expected = UseAttribution(texts(ALLOW, GATED)).use(told)
    assert expected
    for at in places_in(told):
        attribution.use(with_value(told, at, value))
        assert attribution.use(told) == expected
        attribution._uses.clear()


def test_what_gives_nothing_is_no_scope() -> None:
    made = compile_object(carrier(rule("a"), rule("b", effect="Deny"), gated_rule("c")))
    assert isinstance(made, CompiledPolicy)
    assert [one.rule for one in scopes_of(made)] == ["a", "c"]
    audit = compile_object(stored(mode="Audit", rules=[rule()]))
    assert isinstance(audit, CompiledPolicy)
    assert list(scopes_of(audit)) == []


def test_scopes_in_force_are_those_of_texts_that_are_known() -> None:
    told = record(ALLOW)
    found = UseAttribution(texts(ALLOW)).in_force(
        told["endpoint"], {**told["policies"], "broken": None, "x": "sha256:0"}
    )
    assert list(found) == [scope("read")]


@pytest.mark.parametrize(
    ("seen", "used", "whole", "state"),
    [
        (0.0, None, True, ScopeState.UNUSED),
        (10.0, None, True, ScopeState.UNUSED),
        (10.1, None, True, ScopeState.NOT_YET_KNOWN),
        (None, None, True, ScopeState.NOT_YET_KNOWN),
        (0.0, None, False, ScopeState.NOT_YET_KNOWN),
        (0.0, 9.9, True, ScopeState.UNUSED),
        (0.0, 9.9, False, ScopeState.NOT_YET_KNOWN),
        (0.0, 10.0, True, ScopeState.USED),
        (None, 10.0, False, ScopeState.USED),
    ],
)
def test_a_scope_is_unused_only_where_all_of_the_window_is_known(
    seen: float | None, used: float | None, whole: bool, state: ScopeState
) -> None:
    assert ScopeUse(seen, used).state(10.0, whole=whole) is state
