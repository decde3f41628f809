"""Every field of a policy is in the digest by which grants know a rule, or is an exception that says why.

Each field is changed at each place where it stands. A field that is new is changed too, so that it is in the digest or
turns these tests red.
"""

import typing
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import pytest
from pydantic import BaseModel

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.compile.digestfields import EXCEPTIONS, STAND_INS
from bailiwick_engine.compile.policies import compile_policy, parse_spec
from bailiwick_engine.policy.model import CompiledPolicy, PolicyRef
from support.full_objects import full_policy
from support.objects import Object, rule

Place = tuple[str | int, ...]
REF: Final = PolicyRef("crm", "p", "p-uid", 1)


def whole(*, entities: bool = True, claim: bool = False) -> EndpointPolicySpec:
    """Return a policy that has every field which can stand beside the others, and whose first rule reaches it all.

    `claim`: the session is a claim, and no property.
    """
    raw: Object = full_policy("crm")["spec"]
    del raw["replaces"]
    gate, own = raw["rules"][0], raw["endpointSettings"]
    # Under no name that anything else has, and in a group that people and service accounts are in.
    raw["subjects"][2]["group"]["name"], gate["intents"] = "helpers", ["audit"]
    gate["approval"]["steps"][0]["groups"] = ["system:authenticated"]
    subjects = raw["subjects"] if entities else raw["subjects"][:-1]
    gate["subjects"] = [one["name"] for one in subjects]
    gate["conditions"][0]["expression"] = "variables.big && data.incident.open == true"
    own["session"] = {"claim": "sid"} if claim else own["session"]
    own["delegation"]["principals"] = ["support", "carol"]
    own["delegation"]["ceiling"][0]["conditions"][0]["expression"] = "variables.big && data.incident.open == true"
    own["http"]["routes"].append(
        {**own["http"]["routes"][0], "path": "/customers/{id}/{what}", "action": "customers.other"}
    )
    changes = {"mode": "Enforce", "subjects": subjects, "rules": [gate, rule("other", subjects=["agent", "carol"])]}
    parsed = parse_spec({**raw, **changes})
    assert isinstance(parsed, EndpointPolicySpec), parsed
    return parsed


def digest(spec: EndpointPolicySpec) -> str:
    """Return the digest that a grant of the first rule has."""
    policy = compile_policy(REF, spec)
    assert isinstance(policy.policy, CompiledPolicy), policy.problems
    gate, settings = policy.policy.rules[0].gate, policy.policy.settings
    assert settings is not None
    assert gate is not None
    return settings.gate(gate, policy.policy.rules[0].actions).rules[0].rule_digest


def models(kind: object) -> Iterator[type[BaseModel]]:
    """Yield the models that a type names, without those below them."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    else:
        for part in typing.get_args(kind):
            yield from models(part)


def reachable(kind: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield class and name of every field below a model that holds no model: one that does is there by their fields."""
    for name, field in kind.model_fields.items():
        below = list(models(field.annotation))
        if not below:
            yield kind.__name__, name
        for one in below:
            yield from reachable(one)


class Field(typing.NamedTuple):
    """A field where it stands. `owners`: class and name of each field on the way to it, and of itself."""

    place: Place
    owners: tuple[tuple[str, str], ...]
    annotation: object
    value: Any


def fields(value: object, place: Place = (), owners: tuple[tuple[str, str], ...] = ()) -> Iterator[Field]:
    """Yield every field below a value that holds no model and is there."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from fields(item, (*place, number), owners)
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            way = (*owners, (type(value).__name__, name))
            held = getattr(value, name)
            if list(models(field.annotation)):
                yield from fields(held, (*place, name), way)
            elif held is not None:
                yield Field((*place, name), way, field.annotation, held)


def changed(value: Any, place: Place, new: object) -> Any:  # noqa: ANN401 - a model, or a list of them
    """Return a copy with another value at a place; nothing is checked."""
    if not place:
        return new
    first, rest = place[0], place[1:]
    if isinstance(value, list):
        return [changed(item, rest, new) if number == first else item for number, item in enumerate(value)]
    return value.model_copy(update={first: changed(getattr(value, str(first)), rest, new)})


def another(field: Field) -> object:
    """Return another value for a field, one with which the policy still compiles."""
    if (make := OTHERWISE.get(field.owners[-1])) is not None:
        return make(field.value)
    match field.value:
        case bool():
            return not field.value
        case int():
            return field.value + 1
        case datetime():
            return field.value + timedelta(days=1)
        case str():
            return next((one for one in _literals(field.annotation) if one != field.value), f"{field.value}x")
        case dict():
            return {f"{name}x": held for name, held in field.value.items()}
        case list() if len(field.value) > 1:
            return field.value[:-1]
        case _:
            return [*field.value, f"{field.value[0]}x"]


def _literals(kind: object) -> tuple[str, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


OTHERWISE: Final[dict[tuple[str, str], Callable[[Any], object]]] = {
    ("ConditionExpression", "expression"): lambda text: f"{text} && true",
    ("Variable", "expression"): lambda text: f"({text}) && true",
    ("HttpRoute", "path"): lambda text: f"/v2{text}",
    ("HistoryDefinition", "window"): lambda _: "2h",
    ("HistoryDefinition", "outcome_within"): lambda _: "2h",
    ("HistoryCounts", "what"): lambda what: "Failed" if what == "Succeeded" else "Denied",
    ("CalendarPeriod", "time_zone"): lambda _: "Europe/Paris",
    ("HistoryCounts", "when"): lambda text: f"{text} && true",
    ("Rule", "effect"): lambda _: "RequireApproval",
    ("Step", "signature"): lambda _: "Required",
}
# A name goes together with all that use it.
USED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("DataSource", "name"): ('"name":"{}"', "data.{}"),
    ("Variable", "name"): ('"name":"{}"', "variables.{}"),
    ("Subject", "name"): ('"{}"',),
}


def mutated(spec: EndpointPolicySpec, field: Field) -> EndpointPolicySpec:
    """Return the policy with another value of this field."""
    patterns = USED.get(field.owners[-1])
    if patterns is None:
        made: EndpointPolicySpec = changed(spec, field.place, another(field))
        return made
    text = spec.model_dump_json(by_alias=True, exclude_none=True)
    for pattern in patterns:
        text = text.replace(pattern.format(field.value), pattern.format(f"{field.value}x"))
    return EndpointPolicySpec.model_validate_json(text)


def base_of(field: Field) -> EndpointPolicySpec:
    """Return the policy in which a field is changed: entities need the word of the enforcer, and only people sign."""
    found = whole(entities=field.owners[-1] != ("Identity", "verification"), claim=field.owners[-1] == CLAIM)
    if field.owners[-1] != ("Step", "kind"):
        return found
    unsigned: EndpointPolicySpec = changed(found, (*field.place[:-1], "signature"), None)
    return unsigned


def _named(field: Field) -> str:
    return ".".join(map(str, field.place))


CLAIM: Final = ("SessionSource", "claim")
# The effect is what makes the rule one that grants are of. Of a rule beside it nothing counts.
ALONE: Final = {("Rule", "effect")}
FIELDS: Final = [
    *(field for field in fields(whole()) if field.owners[-1] not in ALONE and field.place[:2] != ("rules", 1)),
    *(field for field in fields(whole(claim=True)) if field.owners[-1] == CLAIM),
]


@pytest.mark.invariant(17)
class TestEveryField:
    @pytest.mark.parametrize("field", FIELDS, ids=_named)
    def test_changes_the_digest_or_is_an_exception(self, field: Field) -> None:
        base = base_of(field)
        excepted = [owner for owner in field.owners if owner in EXCEPTIONS]
        assert (digest(mutated(base, field)) == digest(base)) is bool(excepted)

    @pytest.mark.parametrize("field", [one for one in fields(whole()) if one.place[:2] == ("rules", 1)], ids=_named)
    def test_of_another_rule_does_not_count(self, field: Field) -> None:
        new = "Deny" if field.owners[-1] in ALONE else another(field)
        assert digest(changed(whole(), field.place, new)) == digest(whole())

    def test_is_changed_here(self) -> None:
        # `replaces` needs mode Audit, in which the rule is no gate.
        apart = ALONE | {("EndpointPolicySpec", "replaces")}
        assert {field.owners[-1] for field in FIELDS} | apart == set(reachable(EndpointPolicySpec))

    def test_that_is_an_exception_is_there_and_says_why(self) -> None:
        known = {owner for field in fields(whole()) for owner in field.owners} | {("EndpointPolicySpec", "replaces")}
        assert EXCEPTIONS.keys() | STAND_INS.keys() <= known
        assert not EXCEPTIONS.keys() & STAND_INS.keys()
        assert all(reason.endswith(".") for reason in (*EXCEPTIONS.values(), *STAND_INS.values()))
