"""Footprint: how many bytes a policy takes once it is compiled, estimated from its spec before that is done.

Standing: what `ledger` counts; decision point, operator, admission and command line all ask here. Holds: pure and
total, whatever the spec is; linear in its text; the same for the same spec, on every machine. It errs upwards, since
what is counted must fit the memory: tests/process/engine/test_footprint.py holds it against measured memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import orjson

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_engine.budget.celsize import MOST, expression_bytes, kept
from bailiwick_engine.policy.index import SPREAD
from bailiwick_engine.steps import Steps, whole

# Bytes, as measured with Python 3.11 on 64 bits: of the objects themselves, and where they stand in other objects.
_POLICY: Final = 2_400
_SETTINGS: Final = 850
_RULE: Final = 400
_RESOURCE: Final = 160
_GATE: Final = 1_800  # twice: of the rule, and of its endpoint with the digest of grants
_STEP: Final = 1_300
_CEILING: Final = 160
_CONDITION: Final = 420
_VARIABLE: Final = 1_400
_STRING: Final = 64
_NAMES: Final = 160
# Of a key of a subject: in the sets and tables of its endpoint; of a key and an action of a rule: in the index.
_KEY: Final = 240
_ENTRY: Final = 80
_TRIED: Final = 24
_ACTION: Final = 100
_REQUIREMENT: Final = 200
# Of a route, of a segment of its path, and of a value with names in braces.
_ROUTE: Final = 1_180
_SEGMENT: Final = 130
_TEMPLATE: Final = 200
_SLOT: Final = 16
_SMALL_SET: Final = 216
_SMALL: Final = 5
_FEW: Final = 8
_SHORT: Final = 256

Json = Any


@dataclass(frozen=True, slots=True)
class Footprint:
    """`own`: bytes of all but expressions. `expressions`: what each that it has is known by, and its bytes.

    Policies of a namespace that have an expression in common keep one between them. `text`: bytes of the spec as JSON.
    """

    own: int
    expressions: tuple[tuple[int, int], ...]
    text: int

    @property
    def alone(self) -> int:
        """The bytes of a policy that has no expression in common with any other."""
        return self.own + sum(size for _, size in self.expressions)


NO_FOOTPRINT: Final = Footprint(0, (), 0)
"""Of what is not there."""


def footprint(spec: Json) -> Footprint:
    """Return what a spec comes to."""
    return whole(footprint_steps(spec))


def footprint_steps(spec: Json) -> Steps[Footprint]:
    """Return it in steps, each of a rule's length."""
    text = _length(spec)
    made = _Estimate()
    members = _object(spec)
    made.variables(_list(members.get("variables")))
    yield
    made.subjects(_list(members.get("subjects")))
    made.settings(members.get("endpointSettings"))
    yield
    for rule in _list(members.get("rules")):
        made.rule(_object(rule))
        yield
    made.names(_list(members.get("sensitive")))
    # Its text waits beside it when it is compiled anew.
    expressions = tuple(made.expressions.items())
    return Footprint(min(MOST, made.own + text), _one(expressions) if len(expressions) <= _FEW else expressions, text)


class _Estimate:
    """A sum on its way."""

    def __init__(self) -> None:
        self.own = _POLICY
        self.expressions: dict[int, int] = {}
        # Stands for the variables that expressions see.
        self._scope = b""
        # Of each name of a subject: how many keys, and how many bytes its workload takes.
        self._subjects: dict[str, tuple[int, int]] = {}
        self._named: set[frozenset[str]] = set()
        self._listed: set[tuple[str, ...]] = set()

    def variables(self, listed: list[Json]) -> None:
        for one in map(_object, listed):
            name, text = _text(one.get("name")), _text(one.get("expression"))
            self.own += _VARIABLE + len(name)
            self._expression(text)
            # Of the next one, and of all conditions.
            self._scope = _digest(self._scope, name, text)

    def subjects(self, listed: list[Json]) -> None:
        for one in map(_object, listed):
            keys = self._keys(one)
            workload = _object(one.get("workload"))
            asked = 0
            if workload:
                images = _list(workload.get("imageDigests"))
                labels = _object(_object(workload.get("podSelector")).get("matchLabels"))
                asked = _REQUIREMENT
                self.own += _REQUIREMENT + _strings(images) + _set(len(images)) + _strings((*labels, *labels.values()))
            name = _text(one.get("name"))
            known, required = self._subjects.get(name, (0, 0))
            self._subjects[name] = (known + keys, required + asked)

    def _keys(self, subject: Mapping[str, Json]) -> int:
        account, user, group, entity = (
            _object(subject.get(name)) for name in ("serviceAccount", "user", "group", "entity")
        )
        ids = [_text(one) for one in _list(entity.get("ids"))]
        kind = _text(entity.get("type"))
        spelled = [
            *(f"{SERVICE_ACCOUNT_PREFIX}{one.get('namespace')}:{one.get('name')}" for one in (account,) if one),
            *(f"{one.get('issuer')} {one.get('name')}" for one in (user, group) if one),
            *(kind + one for one in ids),
        ]
        self.own += sum(_STRING + _KEY + kept(one) for one in spelled) + _set(len(spelled))
        return len(spelled)

    def settings(self, given: Json) -> None:
        settings = _object(given)
        if not settings:
            return
        self.own += _SETTINGS
        for account in map(_object, _list(settings.get("enforcers"))):
            certificate = _object(account.get("certificate"))
            # In the settings, and in the endpoint's own set.
            self.own += 2 * _SLOT * _SMALL + _STRING + len(f"{SERVICE_ACCOUNT_PREFIX}{account.get('namespace')}")
            self.own += kept(
                _text(account.get("name")) or _text(certificate.get("spiffe")) or _text(certificate.get("dns"))
            )
        self._routes(_object(settings.get("http")))
        self.names(_list(_object(settings.get("record")).get("keep")))
        identity = _object(settings.get("identity"))
        self.names(_list(identity.get("audiences")))
        self.names(_list(identity.get("issuers")))
        delegation = _object(settings.get("delegation"))
        self.own += _set(sum(self._subjects.get(_text(one), (0, 0))[0] for one in _list(delegation.get("principals"))))
        for entry in map(_object, _list(delegation.get("ceiling"))):
            self.own += _CEILING
            self._names(_list(entry.get("actions")))
            self._resources(entry)
            self._conditions(entry)

    def _routes(self, http: Mapping[str, Json]) -> None:
        self.names(_list(http.get("hosts")))
        self.own += 2 * kept(_text(http.get("mcpPath")))
        for route in map(_object, _list(http.get("routes"))):
            resource = _object(route.get("resource"))
            path = _text(route.get("path"))
            self.own += _ROUTE + _SEGMENT * path.count("/") + 3 * kept(path) + kept(_text(route.get("action")))
            self.names(_list(route.get("methods")))
            self.own += _TEMPLATE + kept(_text(resource.get("type"))) + 2 * kept(_text(resource.get("id")))
            for values in (resource.get("properties"), route.get("actionProperties"), route.get("args")):
                for name, value in _object(values).items():
                    self.own += _TEMPLATE + kept(name) + 2 * kept(_text(value))

    def rule(self, rule: Mapping[str, Json]) -> None:
        self.own += _RULE + len(_text(rule.get("name")))
        listed = frozenset([_text(one) for one in _list(rule.get("subjects"))])
        found = [self._subjects[name] for name in listed if name in self._subjects]
        keys = sum([count for count, _ in found])
        if listed not in self._named:
            self._named.add(listed)
            self.own += _set(keys) + sum([asked for _, asked in found])
        actions = [_text(one) for one in _list(rule.get("actions"))]
        self._names(actions)
        self.own += _ACTION * len(actions)
        spread = keys * len(actions)
        plain = spread <= SPREAD and not any(one.endswith("*") for one in actions)
        self.own += spread * _ENTRY if plain else keys * _TRIED
        self._resources(rule)
        self.names(_list(rule.get("intents")))
        self._conditions(rule)
        self._approval(rule.get("approval"))

    def names(self, listed: list[Json]) -> None:
        """Count a set of strings of its own."""
        if listed:
            self.own += _strings(listed) + _set(len(listed))

    def _names(self, listed: list[Json]) -> None:
        """Count names that other rules of the policy may list too, and then keep one set between them."""
        names = tuple([_text(one) for one in listed])
        if names not in self._listed:
            self._listed.add(names)
            self.own += _few_names(names) if len(names) <= _FEW else _names(names)

    def _resources(self, of: Mapping[str, Json]) -> None:
        for entry in map(_object, _list(of.get("resources"))):
            self.own += _RESOURCE + kept(_text(entry.get("type")))
            self._names(_list(entry.get("ids")))
            properties = _object(entry.get("properties"))
            self.own += _set(len(properties))
            for name, values in properties.items():
                self.own += _STRING + kept(name)
                self.names(_list(values))

    def _conditions(self, of: Mapping[str, Json]) -> None:
        for condition in map(_object, _list(of.get("conditions"))):
            self.own += _CONDITION + kept(_text(condition.get("name")))
            if message := _text(condition.get("message")):
                self.own += _STRING + kept(message)
            self._expression(_text(condition.get("expression")))

    def _expression(self, text: str) -> None:
        known = _known(self._scope, text) if len(text) > _SHORT else _short_known(self._scope, text)
        if known not in self.expressions:
            self.expressions[known] = expression_bytes(text)

    def _approval(self, given: Json) -> None:
        approval = _object(given)
        if not approval:
            return
        self.own += _GATE + kept(_text(_object(approval.get("reason")).get("pattern")))
        self.names(_list(approval.get("requiredContext")))
        self.names(_list(approval.get("show")))
        for step in map(_object, _list(approval.get("steps"))):
            self.own += _STEP + kept(_text(step.get("name"))) + _strings(_list(step.get("groups")))


def _digest(scope: bytes, *parts: str) -> bytes:
    """Return what stands for these; the same in every process, since admission compares what two of them found."""
    made = blake2b(scope, digest_size=8)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        made.update(len(encoded).to_bytes(4, "big") + encoded)
    return made.digest()


def _known(scope: bytes, text: str) -> int:
    return int.from_bytes(_digest(scope, text), "big")


_short_known: Final = lru_cache(maxsize=1_024)(_known)


def _names(names: tuple[str, ...]) -> int:
    return _NAMES + _strings(names) + _set(len(names)) + _SLOT * len(names)


_few_names: Final = lru_cache(maxsize=1_024)(_names)


@lru_cache(maxsize=1_024)
def _one(expressions: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Return the same object for equal ones, of which thousands of policies have the same few."""
    return expressions


def _length(spec: Json) -> int:
    try:
        return len(orjson.dumps(spec))
    except TypeError:
        # Half a character, or a number beyond 64 bits: no API server has let that through, and it does not compile.
        return len(repr(spec))


def _strings(listed: Iterable[Json]) -> int:
    return sum([_STRING + kept(_text(one)) for one in listed])


def _set(count: int) -> int:
    """Return the bytes of a set of so many: its table grows to four times what it holds, in powers of two."""
    if count < _SMALL:
        return _SMALL_SET
    slots = 8
    while 5 * count >= 3 * (slots - 1):
        slots = 1 << (4 * ((3 * (slots - 1) + 4) // 5)).bit_length()
    return _SMALL_SET + _SLOT * slots


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
