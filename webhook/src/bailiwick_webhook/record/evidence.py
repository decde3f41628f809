"""Evidence: what a record holds so that anybody can derive its verdict again from the policies' text.

Holds: only attributes that a candidate rule reads, and those that the endpoint keeps; never in the clear are arguments,
what a policy calls sensitive, and what is more than a plain value: they stand as an HMAC, or as a mark where there is
no key. The module `derive` of bailiwick_evidence reads it back.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from bailiwick_engine import keys
from bailiwick_engine.call import Call, Party, PodWorkload
from bailiwick_engine.cel.inputs import Inputs, inputs
from bailiwick_engine.cel.members import DATA, HISTORY, Path
from bailiwick_engine.decision import match
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.policy.dimensions.resource import RESOURCE
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_webhook.record.attributes import ABSENT, Attribute, AttributePlan, attributes_of, by_base, spelled
from bailiwick_webhook.record.seals import LARGE, PLAIN_CHARACTERS, ValueSealer, is_plain

_LISTED: Final = 16
"""Policies of an endpoint that each record names with their digests. Of more, it has one digest over all."""

_PLANS: Final = 1_024
_ARGUMENTS: Final[Path] = ("context", "args")
# Of these the record has members of its own; of the intent where it is one.
_SAID: Final = frozenset(
    {("action", "name")} | {(party, member) for party in ("subject", "actor", "resource") for member in ("type", "id")}
)


# A plain tuple: one is made for every record.
AttributesRead = tuple[dict[str, Any] | None, str | None]
"""What the rules read of a call, as `Evidence.read` has it, and what kept conditions from evaluation, if anything.

"nul": none was evaluated, since a text holds a NUL; "size": the call is not small, so that those were not that would
take too long.
"""

_KEPT: Final = 1_024
_NO_PATHS: Final = frozenset[Path]()
# Not of the call.
_APART: Final = frozenset({DATA, HISTORY})

_IMAGES: Final = 32
"""Images that a record lists. No requirement lists more, so that of more it is certain that none is met."""
UNKNOWN: Final = "unknown"


class PartyFacts:
    """What the rules of one endpoint ask of a party. It does not keep the endpoint.

    Of groups a record has only those that a rule names, of labels only those that a rule requires; a workload that
    could not be read stands as unknown.

    `asking`: of whose workload. Of a party without groups, nothing else is recorded.
    """

    def __init__(self, endpoint: CompiledEndpoint) -> None:
        delegation = endpoint.settings.delegation if endpoint.settings else None
        self._named = frozenset().union(
            endpoint.broken, delegation.principals if delegation else (), *(rule.subjects for rule in endpoint.rules)
        )
        self.asking = frozenset(endpoint.workload_keys)
        requirements = [one for rule in endpoint.rules for listed in rule.workloads.values() for one in listed]
        self._labels = tuple(sorted({name for one in requirements for name, _ in one.labels}))

    def tell(self, told: dict[str, Any], party: Party, call: Call, endpoint: CompiledEndpoint) -> None:
        """Add what rules ask of a party. `endpoint` is the one that this is of."""
        if party.groups and party.issuer is not None:
            matched = sorted(name for name in party.groups if keys.group(party.issuer, name) in self._named)
            if matched:
                told["matched"] = matched
        if self.asking and not party.keys.isdisjoint(self.asking):
            if party.workload is not None:
                told["workload"] = self._workload(party.workload)
            elif endpoint.asks_workload(call.action.name, call.resource, party):
                told["workload"] = UNKNOWN

    def _workload(self, workload: PodWorkload) -> dict[str, Any]:
        images = sorted(workload.images)
        told: dict[str, Any] = {
            "images": images[:_IMAGES],
            "labels": {name: workload.labels[name] for name in self._labels if name in workload.labels},
        }
        if len(images) > _IMAGES:
            told["more_images"] = len(images) - _IMAGES
        return told


class DataRead:
    """What the records of one endpoint have of data: the digest of each object, and what candidate rules read.

    Made once for each state of an endpoint and its data: to seal a large value takes a millisecond. Objects stand by
    their names, whatever policies call them.
    """

    def __init__(self, endpoint: CompiledEndpoint) -> None:
        found = {name: endpoint.data.get(name) for name in sorted(endpoint.reads)}
        self.digests: Final = {name: None if held is None else held.digest for name, held in found.items()}
        """By object; None of one that is unknown."""
        self._values = {name: held.value for name, held in found.items() if held is not None and held.value is not None}
        self._kept: dict[frozenset[Path], dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self.digests)

    def attributes(
        self, paths: Iterable[frozenset[Path]], told: Callable[[Path, Any], tuple[str, Any]]
    ) -> Mapping[str, Any]:
        """Return what is read of these paths, by name. What is absent is recorded by what it is not in.

        `told` makes of a path and a value a name, and what is written of it.
        """
        wanted = _NO_PATHS.union(*paths)
        found = self._kept.get(wanted)
        if found is None:
            ours = (self._present(path[1:]) for path in sorted(wanted) if path[0] == DATA and path[1] in self._values)
            found = dict(told((DATA, *path), held) for path, held in ours)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[wanted] = found
        return found

    def _present(self, path: Path) -> tuple[Path, Any]:
        """Return what is there of a path, as far as it goes; in place of one that lacks the rest, an empty object."""
        held: Any = self._values
        for depth, part in enumerate(path):
            if not isinstance(held, Mapping):
                return path[:depth], held
            if part not in held:
                return path[:depth], {}
            held = held[part]
        return path, held


class Evidence:
    """What the records of one endpoint have in common, and what its rules read. Made once for each of its states.

    It does not keep the endpoint: what is over goes, however long no call asks about it again.
    """

    def __init__(self, namespace: str, name: str, endpoint: CompiledEndpoint, sealed: ValueSealer) -> None:
        self._sealed = sealed
        self._plans: dict[tuple[object, ...], AttributePlan] = {}
        self._named: dict[CompiledRule, bytes] = {}
        self._hidden = {_ARGUMENTS} | {_parsed(path) for rule in endpoint.rules for path in rule.sensitive}
        # What a policy that cannot be read calls sensitive is unknown.
        self._sealing_all = bool(endpoint.broken) or endpoint.denied_whole is not None
        settings = endpoint.settings
        self._kept = frozenset(map(_parsed, settings.keep)) if settings else frozenset()
        delegation = settings.delegation if settings else None
        self._ceiling = [(entry.actions, reads_of(entry)) for entry in delegation.ceiling] if delegation else []
        self._rules_by_type = _rules_by_type(endpoint)
        # By what is not seen by any rule.
        self._bounded = delegation is not None and any(entry.conditions for entry in delegation.ceiling)
        self._conditional = self._bounded or any(rule.conditions for rule in endpoint.rules)
        self._reading = (
            self._conditional
            or bool(self._kept)
            or any(found for _, found in self._ceiling)
            or any(map(reads_of, endpoint.rules))
        )
        self.histories = frozenset(
            path
            for found in (*map(reads_of, endpoint.rules), *(found for _, found in self._ceiling))
            for path in found
            if path[0] == HISTORY
        )
        """What conditions read of histories."""
        self._data = DataRead(endpoint)
        self._reads_data = bool(self._data)
        self.parties = PartyFacts(endpoint)
        listed = _policies(endpoint)
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
        if off := sorted({rule.policy.name for rule in endpoint.rules if rule.suspended}):
            # Of one that is being deleted, its text does not tell.
            told["suspended"] = off
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

    def read(self, call: Call, endpoint: CompiledEndpoint, weighed: Sequence[Hop] | None = None) -> AttributesRead:
        """Return what the candidate rules read of a call, by name, without what is absent.

        None where no rule of the endpoint reads anything. `weighed`: what the verdict came from; without it the
        candidates are looked for here. `endpoint` is the one that this is of.
        """
        subject = call.subject
        if not self._reading or not isinstance(subject, Party):
            return _NOTHING_READ
        if weighed is None:
            parties = (subject, *call.actors)
            rules = [rule for party in parties for rule, _ in match.candidates(endpoint, call, party)]
            limits = _limits(_views(call, subject)) if self._conditional else None
        else:
            rules = [finding.rule for hop in weighed for finding in hop.findings]
            limits = _limits(_views(call, subject)) if self._bounded and call.actors else _limits_of(weighed)
        asked: tuple[CompiledRule, ...] = ()
        if self._rules_by_type and (asking := self._rules_by_type.get(call.resource.type)) is not None:
            asked = _speaking(endpoint, call, subject, asking)
        told: dict[str, Any] = {}
        if self._reads_data:
            told.update(self._data.attributes(self._reads(call, rules), self._of_data))
        for base, attributes in self._plan(call, rules, asked):
            holder = base(call)
            if type(holder) is not dict:
                for _, _, attribute in attributes:
                    self._tell(attribute, holder, call, told)
                continue
            for name, key, attribute in attributes:
                # Nothing has the key None.
                held: Any = holder.get(key)
                kind = type(held)
                if (
                    (kind is str and len(held) <= PLAIN_CHARACTERS and held.isascii())
                    or (kind is int and -LARGE <= held < LARGE)
                    or kind is bool
                ):
                    # As almost all are.
                    told[name] = held
                else:
                    self._tell(attribute, holder, call, told)
        return told, limits

    def _tell(self, attribute: Attribute, holder: object, call: Call, told: dict[str, Any]) -> None:
        """Tell one attribute, or what it would be a member of."""
        held: Any = holder
        for part in attribute.rest:
            if isinstance(held, Mapping) and part in held:
                held = held[part]
            else:
                if attribute.above:
                    self._tell_above(attribute, call, told)
                return
        if held is not ABSENT:
            told[attribute.name] = (
                self._sealed.seal(attribute.name, held) if attribute.sealed or not is_plain(held) else held
            )

    def _tell_above(self, attribute: Attribute, call: Call, told: dict[str, Any]) -> None:
        """Tell what an absent attribute would be a member of: to lack it, and to be no object, are two things."""
        held: Any = attribute.base(call)
        for part, place in zip(attribute.rest, attribute.above, strict=True):
            if isinstance(held, Mapping) and part in held:
                held = held[part]
            elif place is None or place.name in told:
                return
            elif isinstance(held, Mapping):
                told[place.name] = {}
                return
            else:
                told[place.name] = self._sealed.seal(place.name, held) if place.sealed or not is_plain(held) else held
                return

    def _plan(self, call: Call, rules: Iterable[CompiledRule], asked: Iterable[CompiledRule]) -> AttributePlan:
        """Return what these candidates read, and what those that are `asked` ask of the resource.

        The same ones come again and again.
        """
        key: tuple[object, ...] = (len(call.actors), call.action.name if call.actors else "", *rules)
        if asked:
            key = (*key, None, *asked)
        found = self._plans.get(key)
        if found is None:
            wanted = {path for rule in rules for path in reads_of(rule)} | self._kept
            wanted |= {path for rule in asked for path in RESOURCE.reads(rule)}
            if call.actors:
                wanted |= {path for actions, read in self._ceiling if call.action.name in actions for path in read}
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            found = self._plans[key] = by_base(
                attribute
                for path in sorted(wanted - _SAID)
                if path[0] not in _APART
                for attribute in attributes_of(path, self._seals, len(call.actors))
            )
        return found

    def _reads(self, call: Call, rules: Iterable[CompiledRule]) -> Iterator[frozenset[Path]]:
        """Yield what the conditions of these candidates read, and those of the ceiling."""
        yield from (condition.reads for rule in rules for condition in rule.conditions)
        if call.actors:
            yield from (read for actions, read in self._ceiling if call.action.name in actions)

    def _of_data(self, path: Path, held: Any) -> tuple[str, Any]:  # noqa: ANN401 - any JSON
        """Return by which name something of data is recorded, and what is written of it."""
        name = spelled(path)
        return name, self._sealed.seal(name, held) if self._seals(path) or not (held == {} or is_plain(held)) else held

    def _seals(self, path: Path) -> bool:
        """Tell whether a policy, or the kind of thing it is, keeps an attribute from being written in the clear."""
        return self._sealing_all or any(path[: len(hidden)] == hidden[: len(path)] for hidden in self._hidden)


_NOTHING_READ: Final[AttributesRead] = (None, None)


def _views(call: Call, subject: Party) -> Iterator[Inputs]:
    return (inputs(call, subject, 0.0, actor) for actor in call.actors or (None,))


def _limits_of(weighed: Sequence[Hop]) -> str | None:
    """Return the limits of what conditions saw."""
    for hop in weighed:
        seen = hop.seen
        if seen is not None and not (seen.whole and seen.small):
            return _limits(one.seen for one in weighed if one.seen is not None)
    return None


def _limits(views: Iterable[Inputs]) -> str | None:
    found = [(view.whole, view.small) for view in views]
    if not all(whole for whole, _ in found):
        return "nul"
    return None if all(small for _, small in found) else "size"


def _speaking(
    endpoint: CompiledEndpoint, call: Call, subject: Party, asking: frozenset[CompiledRule]
) -> tuple[CompiledRule, ...]:
    """Return those of these rules that name a party of the call and its action."""
    found = (endpoint.index.speaking_of(party.keys, call.action.name) for party in (subject, *call.actors))
    return tuple(rule for rules in found for rule in rules if rule in asking)


def _rules_by_type(endpoint: CompiledEndpoint) -> Mapping[str, frozenset[CompiledRule]]:
    """Return, by type of resource, the rules that are no candidates only where a property is known not to fit.

    Without it they would be: what is absent matches for them.
    """
    found: dict[str, set[CompiledRule]] = {}
    for rule in endpoint.rules:
        for entry in rule.resources:
            if entry.properties and rule.effect is not Effect.ALLOW:
                found.setdefault(entry.type, set()).add(rule)
    return {kind: frozenset(rules) for kind, rules in found.items()}


def _policies(endpoint: CompiledEndpoint) -> dict[str, str | None]:
    """Return the digest of each policy by its name, in order; a broken one has none."""
    unread = {ref.name for ref in (*endpoint.broken.values(), *endpoint.carriers)}
    if endpoint.denied_whole is not None:
        unread.add(endpoint.denied_whole.name)
    compiled = {rule.policy.name: rule.policy_digest for rule in endpoint.rules}
    found: dict[str, str | None] = {**dict.fromkeys(unread), **compiled}
    return {name: found[name] for name in sorted(found)}


def _parsed(path: str) -> Path:
    return tuple(path.split("."))
