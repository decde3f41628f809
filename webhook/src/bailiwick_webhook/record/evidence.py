"""Evidence: what a record holds so that anybody can derive its verdict again from the policies' text.

Holds: only attributes that a candidate rule reads; never in the clear are arguments, what a policy calls sensitive, and
what is more than a plain value: they stand as an HMAC, or as a mark where there is no key.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from bailiwick_engine.approval.binding import NotCanonicalError, canonical
from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.cel.members import DATA, Path
from bailiwick_engine.decision import match
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.policy.model import CompiledCondition, CompiledResource, CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_webhook.record.dataread import DataRead

_LISTED: Final = 16
"""Policies of an endpoint that each record names with their digests. Of more, it has one digest over all."""

_MEMBERS: Final = 16
_CHARACTERS: Final = 256
_LARGE: Final = 2**63
_PLANS: Final = 1_024
_ABSENT: Final = object()
_HALF: Final = re.compile("[\ud800-\udfff]")
_REDACTED: Final = {"redacted": True}
_ARGUMENTS: Final[Path] = ("context", "args")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of these the record has members of its own.
_SAID: Final = frozenset(
    {("action", "name"), ("context", "intent")}
    | {(party, member) for party in ("subject", "actor", "resource") for member in ("type", "id")}
)


class ValueSealer:
    """Takes the place of values that must not be read. `key` None: nothing is left of them but a mark."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        # Tells which key it was, once there is another.
        self._id = "" if key is None else hmac.new(key, b"bailiwick record key", hashlib.sha256).hexdigest()[:8]

    def seal(self, name: str, held: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Return what stands for a value: equal only for equal values under the same name."""
        if self._key is None:
            return _REDACTED
        try:
            text = canonical(held)
        except NotCanonicalError:
            return _REDACTED
        told = hmac.new(self._key, name.encode() + b"\0" + text, hashlib.sha256).hexdigest()
        return {"hmac": f"{self._id}:{told}"}


class Evidence:
    """What the records of one endpoint have in common, and what its rules read. Made once for each of its states.

    It does not keep the endpoint: what is over goes, however long nobody asks about it again.
    """

    def __init__(self, namespace: str, name: str, endpoint: CompiledEndpoint, sealed: ValueSealer) -> None:
        self._sealed = sealed
        self._plans: dict[tuple[object, ...], tuple[_Attribute, ...]] = {}
        self._named: dict[CompiledRule, bytes] = {}
        self._hidden = {_ARGUMENTS} | {_parsed(path) for rule in endpoint.rules for path in rule.sensitive}
        # What a policy that cannot be read calls sensitive, nobody knows.
        self._sealing_all = bool(endpoint.broken) or endpoint.denied_whole is not None
        delegation = endpoint.settings.delegation if endpoint.settings else None
        self._ceiling = (
            [(entry.actions, _read(entry.conditions, entry.resources)) for entry in delegation.ceiling]
            if delegation
            else []
        )
        self._reading = any(found for _, found in self._ceiling) or any(
            rule.conditions or any(entry.properties for entry in rule.resources) for rule in endpoint.rules
        )
        self._data = DataRead(endpoint)
        listed = dict(sorted(_policies(endpoint)))
        where = f"{namespace}/{name}"
        told: dict[str, Any] = {"endpoint": where, "policies": listed}
        self.preamble = b""
        if len(listed) > _LISTED:
            digest = "sha256:" + hashlib.sha256(orjson.dumps(listed)).hexdigest()
            told = {"endpoint": where, "policies_digest": digest}
            # Said once, before the first record that refers to it.
            self.preamble = orjson.dumps(
                {"kind": "policies", **told, "policies": listed}, option=orjson.OPT_APPEND_NEWLINE
            )
        if self._data:
            told["data"] = self._data.digests
        self.common = orjson.dumps(told)[1:-1] + b","

    def named(self, rule: CompiledRule) -> bytes:
        """Return the member that names a rule."""
        found = self._named.get(rule)
        if found is None:
            policy = {
                "name": rule.policy.name,
                "uid": rule.policy.uid,
                "generation": rule.policy.generation,
                "digest": rule.policy_digest,
                "rule": rule.name,
            }
            found = self._named[rule] = b'"policy":' + orjson.dumps(policy) + b","
        return found

    def attributes(
        self, call: Call, endpoint: CompiledEndpoint, weighed: Iterable[Hop] | None = None
    ) -> dict[str, Any] | None:
        """Return what the candidate rules read of a call, by name, without what is absent.

        None where no rule of the endpoint reads anything. `weighed`: what the verdict came from; without it the
        candidates are looked for here. `endpoint` is the one that this is of.
        """
        subject = call.subject
        if not self._reading or not isinstance(subject, Party):
            return None
        if weighed is None:
            parties = (subject, *call.actors)
            rules = [rule for party in parties for rule, _ in match.candidates(endpoint, call, party)]
        else:
            rules = [finding.rule for hop in weighed for finding in hop.findings]
        told: dict[str, Any] = {}
        if self._data:
            told.update(self._data.attributes(self._reads(call, rules), self._of_data))
        for name, base, rest, sealed in self._plan(call, rules):
            held: Any = base(call)
            for part in rest:
                if (type(held) is dict or isinstance(held, Mapping)) and part in held:
                    held = held[part]
                else:
                    held = _ABSENT
                    break
            if held is not _ABSENT:
                told[name] = self._sealed.seal(name, held) if sealed or not _plain(held) else held
        return told

    def _plan(self, call: Call, rules: Iterable[CompiledRule]) -> tuple["_Attribute", ...]:
        """Return what these candidates read; the same candidates come again and again."""
        key = (len(call.actors), call.action.name if call.actors else "", *rules)
        found = self._plans.get(key)
        if found is None:
            wanted = {path for rule in rules for path in _read(rule.conditions, rule.resources)}
            if call.actors:
                wanted |= {path for actions, read in self._ceiling if call.action.name in actions for path in read}
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            found = self._plans[key] = tuple(
                attribute
                for path in sorted(wanted - _SAID)
                if path[0] != DATA
                for attribute in _attributes(path, self._seals(path), len(call.actors))
            )
        return found

    def _reads(self, call: Call, rules: Iterable[CompiledRule]) -> Iterator[frozenset[Path]]:
        """Yield what the conditions of these candidates read, and those of the ceiling."""
        yield from (condition.reads for rule in rules for condition in rule.conditions)
        if call.actors:
            yield from (read for actions, read in self._ceiling if call.action.name in actions)

    def _of_data(self, path: Path, held: Any) -> tuple[str, Any]:  # noqa: ANN401 - any JSON
        """Return by which name something of data is told, and what is written of it."""
        name = _spelled(path)
        return name, self._sealed.seal(name, held) if self._seals(path) or not (held == {} or _plain(held)) else held

    def _seals(self, path: Path) -> bool:
        """Tell whether a policy, or the kind of thing it is, keeps an attribute from being written in the clear."""
        return self._sealing_all or any(path[: len(hidden)] == hidden[: len(path)] for hidden in self._hidden)


class _Attribute(NamedTuple):
    """One thing to be told of a call: its name, what holds it, and the way from there."""

    name: str
    base: Callable[[Call], object]
    rest: Path
    sealed: bool


def _attributes(path: Path, sealed: bool, actors: int) -> Iterator[_Attribute]:  # noqa: FBT001 - of `_Attribute`
    if path[0] == "actor":
        for index in range(actors):
            place = f"actors[{index}]"
            yield _Attribute(_spelled((place, *path[1:])), _actor(index), path[1:], sealed)
    elif (base := _BASES.get(path[:2])) is not None and len(path) > len(path[:2]):
        yield _Attribute(_spelled(path), base, path[2:], sealed)
    elif path[0] == "context":
        yield _Attribute(_spelled(path), lambda call: call.context, path[1:], sealed)
    else:
        yield _Attribute(_spelled(path), _seen, path, sealed)


_BASES: Final[Mapping[Path, Callable[[Call], object]]] = {
    ("resource", "properties"): lambda call: call.resource.properties,
    ("action", "properties"): lambda call: call.action.properties,
    ("subject", "properties"): lambda call: call.subject.properties if isinstance(call.subject, Party) else None,
    ("subject", "claims"): lambda call: call.subject.claims if isinstance(call.subject, Party) else None,
}


def _seen(call: Call) -> object:
    return inputs(call, call.subject, 0.0) if isinstance(call.subject, Party) else None


def _actor(index: int) -> Callable[[Call], object]:
    def found(call: Call) -> object:
        subject = call.subject
        return inputs(call, subject, 0.0, call.actors[index])["actor"] if isinstance(subject, Party) else None

    return found


def _read(conditions: Iterable[CompiledCondition], resources: Iterable[CompiledResource]) -> frozenset[Path]:
    named = {("resource", "properties", name) for entry in resources for name in entry.properties}
    return frozenset().union(named, *(condition.reads for condition in conditions))


def _plain(held: object) -> bool:
    """Tell whether a value is short and simple enough to be written as it is."""
    if type(held) is str and len(held) <= _CHARACTERS and held.isascii():
        # As almost all are.
        return True
    if isinstance(held, list):
        return len(held) <= _MEMBERS and all(map(_scalar, held))
    return _scalar(held)


def _scalar(held: object) -> bool:
    if isinstance(held, str):
        # Half a character has no bytes to be written.
        return len(held) <= _CHARACTERS and (held.isascii() or not _HALF.search(held))
    if isinstance(held, int):
        # A token's claims may hold larger ones, and JSON is written with those of 64 bits.
        return -_LARGE <= held < _LARGE
    return held is None or isinstance(held, float)


def _policies(endpoint: CompiledEndpoint) -> Iterator[tuple[str, str | None]]:
    """Yield each policy's name and digest; a broken one has none."""
    broken = set(endpoint.broken.values())
    if endpoint.denied_whole is not None:
        broken.add(endpoint.denied_whole)
    yield from ((ref.name, None) for ref in broken)
    yield from {rule.policy.name: rule.policy_digest for rule in endpoint.rules}.items()


def _parsed(path: str) -> Path:
    return tuple(path.split("."))


def _spelled(path: Path) -> str:
    """Spell a path as an expression would."""
    return path[0] + "".join(f".{part}" if _NAME.fullmatch(part) else f"[{part!r}]" for part in path[1:])
