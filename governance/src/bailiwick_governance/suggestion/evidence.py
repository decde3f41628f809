"""The evidence: what each rule in force was used for, by the records of a log.

Standing: over `policybook`. Holds: only uses of the window count, and none of its last day: those who make calls today
does not teach a policy today; a rule is as old as what it says.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bailiwick_engine.cel.data import Data
from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import CompiledPolicy, CompiledRule, Effect
from bailiwick_evidence.derive.rebuild import spelled_path
from bailiwick_evidence.derive.texts import KnownEndpoint, PolicyTexts
from bailiwick_evidence.usage.attribution import CallUse, UseAttribution
from bailiwick_evidence.usage.scopes import RuleScope, scopes_of
from bailiwick_evidence.usage.sightings import EntrySeen, LargestSeen, PatternsSeen
from bailiwick_governance.suggestion.listings import PolicyListings
from bailiwick_governance.suggestion.policybook import PolicyBook, PolicyInForce, PolicyName
from bailiwick_regions.sides import rule_meaning

_NUMBERED: Final = (("resource", "properties"), ("context",))
_ARGS: Final[Path] = ("context", "args")
_NO_DATA: Final[Data] = {}
_MOST_PATHS: Final = 10_000


class RuleSeen:
    """What one rule was used for. `by`: how often by whom; `largest`: numbers that its conditions read, by path."""

    def __init__(self, raw: Mapping[str, Any], rule: CompiledRule) -> None:
        self.actions: Final = PatternsSeen(raw["actions"])
        self.entries: Final = tuple(
            EntrySeen(one["type"], one["ids"], one.get("properties") or {}) for one in raw["resources"]
        )
        paths = (path for condition in rule.conditions for path in condition.reads)
        # A gate that does not apply asks for no review: only what an Allow reads may be bounded.
        self.largest: Final = {
            path: LargestSeen() for path in sorted(paths) if rule.effect is Effect.ALLOW and _is_number(path)
        }
        self.by: Final = Counter[Key]()
        self.uses = 0
        self.first: float | None = None
        self.last: float | None = None

    def add(self, record: Mapping[str, Any], attributes: Mapping[Path, Any], subjects: list[Key]) -> None:
        """Take a use by some subjects of the rule."""
        now, resource = record["now"], record["resource"]
        self.uses += 1
        self.first = now if self.first is None else min(self.first, now)
        self.last = now if self.last is None else max(self.last, now)
        self.by.update(subjects)
        self.actions.add(record["action"])
        for entry in self.entries:
            entry.add(resource["type"], resource["id"], attributes)
        for path, largest in self.largest.items():
            largest.add(attributes.get(path))


@dataclass(frozen=True)
class EvidenceWindow:
    """Which uses count, in seconds since the epoch: from `begin` to `settled`, a day before the `end` of the log."""

    begin: float
    settled: float
    end: float


class RuleEvidence:
    """Listens to the counting of a log."""

    def __init__(self, book: PolicyBook, window: EvidenceWindow, listings: PolicyListings) -> None:
        self.decisions = Counter[tuple[str, str]]()
        """How many there were of each endpoint, also where nothing was used."""
        self._window = window
        self._listings = listings
        self._rules = dict(_rules(book))
        self._paths: dict[str, Path | None] = {}

    def __call__(self, record: Mapping[str, Any], used: CallUse) -> bool:
        """Take a decision and what it used. Returns False where its record does not say what was done."""
        if not _is_readable(record):
            return False
        namespace, _, endpoint = record["endpoint"].partition("/")
        self.decisions[namespace, endpoint] += 1
        self._listings.add(record)
        if not used.scopes or not self._window.begin <= record["now"] <= self._window.settled:
            return True
        rules: dict[tuple[PolicyName, str], list[Key]] = {}
        for scope in used.scopes:
            rules.setdefault((PolicyName(scope.namespace, scope.policy), scope.rule), []).append(scope.subject)
        attributes = self._attributes(record.get("attributes") or {})
        for place, subjects in rules.items():
            if (seen := self._rules.get(place)) is not None:
                seen.add(record, attributes, subjects)
        return True

    def uses_of(self, policy: PolicyName, rule: str) -> RuleSeen:
        """Return what a rule was used for."""
        return self._rules[policy, rule]

    def _attributes(self, told: Mapping[str, Any]) -> dict[Path, Any]:
        found: dict[Path, Any] = {}
        for name, value in told.items():
            if name not in self._paths:
                if len(self._paths) >= _MOST_PATHS:
                    self._paths.clear()
                self._paths[name] = spelled_path(name)
            if (path := self._paths[name]) is not None:
                found[path] = value
        return found


class CurrentAttribution(UseAttribution):
    """Attributes uses, and takes for in force only what says what the policies of the files say.

    `known`: the text of a policy of theirs, as a record names it, was known at least once.
    """

    def __init__(self, texts: PolicyTexts, book: PolicyBook) -> None:
        super().__init__(texts)
        self.known = False
        self._policies = book.policies
        self._said = {
            (name, scope): told
            for name, one in book.policies.items()
            for scope, told in _sayings(one.compiled, name.namespace)
        }
        self._alike: dict[tuple[str, str, str], tuple[RuleScope, ...]] = {}

    def in_force(self, endpoint: str, listed: Mapping[str, Any]) -> Iterator[RuleScope]:
        """Yield the scopes of the policies that were listed, of rules that are today as they were."""
        for policy, digest in listed.items():
            if isinstance(digest, str):
                yield from self._of(endpoint, policy, digest)

    def _of(self, endpoint: str, policy: str, digest: str) -> tuple[RuleScope, ...]:
        key = (endpoint, policy, digest)
        if key not in self._alike:
            namespace, _, name = endpoint.partition("/")
            known = self.texts.endpoint(namespace, name, {policy: digest}, ())
            policies = known.policies if isinstance(known, KnownEndpoint) else ()
            ours = PolicyName(namespace, policy)
            self.known |= bool(policies) and ours in self._policies
            self._alike[key] = tuple(
                scope
                for one in policies
                for scope, told in _sayings(one, namespace)
                if self._said.get((ours, scope)) == told
            )
        return self._alike[key]


def _rules(book: PolicyBook) -> Iterator[tuple[tuple[PolicyName, str], RuleSeen]]:
    """Yield what rules that give something were used for: nothing yet."""
    for name, policy in book.policies.items():
        for rule, (at, compiled) in policy.rules.items():
            if gives(policy, rule):
                yield (name, rule), RuleSeen(policy.raw["rules"][at], compiled)


def _sayings(policy: CompiledPolicy, namespace: str) -> Iterator[tuple[RuleScope, Hashable]]:
    """Yield what a policy gives, each with all that its rule says of that one subject."""
    rules = {rule.name: rule for rule in policy.rules}
    told = {
        name: rule_meaning(replace(rule, subjects=frozenset(), workloads={}), _NO_DATA) for name, rule in rules.items()
    }
    for scope in scopes_of(policy):
        workloads = rules[scope.rule].workloads.get(scope.subject)
        yield scope._replace(namespace=namespace), (told[scope.rule], workloads)


def gives(policy: PolicyInForce, rule: str) -> bool:
    """Tell whether a rule can let somebody through."""
    return any(scope.rule == rule for scope in scopes_of(policy.compiled))


def _is_readable(record: Mapping[str, Any]) -> bool:
    """Tell whether a record has what was done to what. Of equal uses only the first record was looked at as a whole."""
    resource, attributes = record.get("resource"), record.get("attributes")
    named = [
        record.get("action"),
        *((resource.get("type"), resource.get("id")) if isinstance(resource, dict) else (0,)),
    ]
    return all(isinstance(one, str) for one in named) and (attributes is None or isinstance(attributes, dict))


def _is_number(path: Path) -> bool:
    """Tell whether a path may lead to a number that records have in the clear: arguments they never have."""
    below = any(path[: len(one)] == one and len(path) > len(one) for one in _NUMBERED)
    return below and path[:2] != _ARGS and all(part.isidentifier() and part.isascii() for part in path)
