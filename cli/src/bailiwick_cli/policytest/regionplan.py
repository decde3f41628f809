"""Patterns of calls that a test speaks of as a whole: `never` and `always`, as subjects, actions and resources.

Standing: under `plan`, beside `fixtures`. Holds: a pattern that would hold for ever is refused where it looks like a
slip of the pen: of whom the endpoint can never prove, of a group or type that no policy names, or of an action that is
nearly spelled as one of a policy.
"""

from dataclasses import dataclass
from typing import Final

from bailiwick_cli.policytest.document import PlacedDocument
from bailiwick_cli.policytest.fixtures import EndpointUnderTest, Fixtures
from bailiwick_cli.policytest.model import (
    GroupPattern,
    PolicyTest,
    PolicyTestCase,
    RegionExpectation,
    ResourcePattern,
    VerdictWord,
)
from bailiwick_cli.policytest.parties import group_of, refusal
from bailiwick_engine import keys
from bailiwick_engine.cel.hints import suggest_name
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledResource
from bailiwick_regions.parties import provable

_VERDICTS: Final[frozenset[VerdictWord]] = frozenset(("Allow", "Approval", "Deny"))


@dataclass(frozen=True, slots=True)
class PlannedRegion:
    """One pattern. `excluded`: the verdicts that no call matching it may get."""

    place: str
    said: str
    subjects: frozenset[Key]
    actions: NameSet
    resources: tuple[CompiledResource, ...]
    excluded: frozenset[VerdictWord]


def planned_regions(
    document: PlacedDocument[PolicyTest], path: str, case: PolicyTestCase, fixtures: Fixtures, tested: EndpointUnderTest
) -> tuple[PlannedRegion, ...]:
    """Return the patterns of a test. Raises `UnusableTestError`."""
    planner = _Planner(document, fixtures, tested)
    found = [planner.region(f"{path}.never[{at}]", one, "never") for at, one in enumerate(case.never)]
    found += [planner.region(f"{path}.always[{at}]", one, "always") for at, one in enumerate(case.always)]
    return tuple(found)


class _Planner:
    """Plans the patterns of one file."""

    def __init__(self, document: PlacedDocument[PolicyTest], fixtures: Fixtures, tested: EndpointUnderTest) -> None:
        self._document = document
        self._fixtures = fixtures
        self._tested = tested

    def region(self, path: str, one: RegionExpectation, word: str) -> PlannedRegion:
        """Return one pattern."""
        excluded = frozenset({one.is_}) if word == "never" else _VERDICTS - {one.is_}
        subjects = self._subjects(f"{path}.subject", one.subject)
        resources = self._resources(f"{path}.resource", one.resource)
        if word == "always" and not (subjects and resources):
            raise self._document.wrong(path, "no policy names a subject and a resource for it: it would always hold")
        parts = (self._said_of(one.subject), one.action, self._said_of(one.resource))
        return PlannedRegion(
            self._document.place(path),
            f"{word} {one.is_}: {' '.join(part for part in parts if part)}",
            subjects,
            self._actions(f"{path}.action", one.action),
            resources,
            excluded,
        )

    def _said_of(self, part: str | GroupPattern | ResourcePattern | None) -> str:
        match part:
            case GroupPattern(group=name):
                issuer, _, of_issuer = group_of(name)
                return keys.label(keys.group(issuer, of_issuer))
            case ResourcePattern(type=kind, id=name):
                return f"{kind}/{name}"
            case _:
                return part or ""

    def _subjects(self, path: str, subject: str | GroupPattern | None) -> frozenset[Key]:
        rules = self._tested.endpoint.enforced
        if subject is None:
            delegation = self._tested.settings.delegation
            principals = frozenset[Key]() if delegation is None else delegation.principals
            named = principals.union(*(rule.subjects for rule in rules))
            return frozenset(key for key in named if provable(self._tested.settings, key))
        if isinstance(subject, str):
            party, actors = self._fixtures.subject(subject, path)
            if actors:
                raise self._document.wrong(path, f"{subject} has actors, and a pattern is of whom calls are for")
            if party.groups:
                groups = ", ".join(f"{{group: {party.issuer}/{name}}}" for name in party.groups)
                raise self._document.wrong(path, f"{subject} has groups, and a pattern is of one: write {groups}")
            return party.keys
        issuer, between, name = group_of(subject.group)
        if not (issuer and name):
            raise self._document.wrong(f"{path}.group", "must be ISSUER/NAME")
        key = keys.group(issuer, name)
        if not provable(self._tested.settings, key):
            raise self._document.wrong(f"{path}.group", refusal(self._tested.settings, issuer))
        known = {f"{spelled[1]}{between}{spelled[2]}" for spelled in self._groups()}
        if subject.group not in known:
            hint = suggest_name(subject.group, sorted(known))
            raise self._document.wrong(f"{path}.group", f"no policy names the group {subject.group}{hint}")
        return frozenset((key,))

    def _actions(self, path: str, action: str) -> NameSet:
        covered = [rule.actions for rule in self._tested.endpoint.enforced]
        if "*" not in action and not any(action in names for names in covered):
            near = [name for names in covered for name in names.exact if _alike(action, name)]
            if hint := suggest_name(action, sorted(set(near))):
                raise self._document.wrong(
                    path, f"no policy names the action {action}{hint} If you mean another action, write {action}*"
                )
        return NameSet.of((action,))

    def _groups(self) -> list[tuple[str, ...]]:
        delegation = self._tested.settings.delegation
        named = frozenset[Key]() if delegation is None else delegation.principals
        every = named.union(*(rule.subjects for rule in self._tested.endpoint.enforced))
        return [spelled for key in every if (spelled := keys.key_parts(key))[0] == "group"]

    def _resources(self, path: str, resource: str | ResourcePattern | None) -> tuple[CompiledResource, ...]:
        kinds = sorted({entry.type for rule in self._tested.endpoint.enforced for entry in rule.resources})
        if resource is None:
            return tuple(CompiledResource(kind, NameSet.of(("*",)), {}) for kind in kinds)
        if isinstance(resource, str):
            found = self._fixtures.resource(resource, path)
            resource = ResourcePattern(type=found.type, id=found.id)
        if resource.type not in kinds:
            hint = suggest_name(resource.type, kinds)
            raise self._document.wrong(
                path, f"no policy names the type {resource.type}{hint}: every call of it is denied, and always will be"
            )
        return (CompiledResource(resource.type, NameSet.of((resource.id,)), {}),)


def _alike(action: str, name: str) -> bool:
    """Tell whether one word of an action is a slip of the other's. Actions that share a prefix are not alike for it."""
    words, others = action.split("."), name.split(".")
    apart = [pair for pair in zip(words, others, strict=False) if pair[0] != pair[1]]
    return len(words) == len(others) and len(apart) == 1 and bool(suggest_name(apart[0][0], [apart[0][1]]))
