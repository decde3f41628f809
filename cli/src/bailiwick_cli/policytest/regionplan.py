"""Patterns of calls that a test speaks of as a whole: `never` and `always`, as subjects, actions and resources.

Standing: under `plan`, beside `fixtures`. Holds: a pattern about which no policy says anything is refused where a slip
of the pen would make it so, since it would hold for ever.
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
from bailiwick_engine import keys
from bailiwick_engine.cel.hints import meant
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledResource

_VERDICTS: Final[frozenset[VerdictWord]] = frozenset(("Allow", "Approval", "Deny"))


@dataclass(frozen=True, slots=True)
class PlannedRegion:
    """One pattern. `excluded`: the verdicts to which none of its calls may come."""

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
        parts = (self._said_of(one.subject), one.action, self._said_of(one.resource))
        return PlannedRegion(
            self._document.place(path),
            f"{word} {one.is_}: {' '.join(part for part in parts if part)}",
            self._subjects(f"{path}.subject", one.subject),
            NameSet.of((one.action,)),
            self._resources(f"{path}.resource", one.resource),
            excluded,
        )

    def _said_of(self, part: str | GroupPattern | ResourcePattern | None) -> str:
        match part:
            case GroupPattern(group=name):
                return f"group {name}"
            case ResourcePattern(type=kind, id=name):
                return f"{kind}/{name}"
            case _:
                return part or ""

    def _subjects(self, path: str, subject: str | GroupPattern | None) -> frozenset[Key]:
        rules = self._tested.endpoint.enforced
        if subject is None:
            delegation = self._tested.settings.delegation
            principals = frozenset[Key]() if delegation is None else delegation.principals
            return principals.union(*(rule.subjects for rule in rules))
        if isinstance(subject, str):
            party, actors = self._fixtures.subject(subject, path)
            if actors:
                raise self._document.wrong(path, f"{subject} has actors, and a pattern is of whom calls are for")
            if party.groups:
                groups = ", ".join(f"{{group: {party.issuer}:{name}}}" for name in party.groups)
                raise self._document.wrong(path, f"{subject} has groups, and a pattern is of one: write {groups}")
            return party.keys
        issuer, _, name = subject.group.partition(":")
        if not (issuer and name):
            raise self._document.wrong(f"{path}.group", "must be ISSUER:NAME")
        key = keys.group(issuer, name)
        known = {f"{spelled[1]}:{spelled[2]}" for spelled in self._groups()}
        if subject.group not in known:
            hint = meant(subject.group, sorted(known))
            raise self._document.wrong(f"{path}.group", f"no policy names the group {subject.group}{hint}")
        return frozenset((key,))

    def _groups(self) -> list[tuple[str, ...]]:
        delegation = self._tested.settings.delegation
        named = frozenset[Key]() if delegation is None else delegation.principals
        every = named.union(*(rule.subjects for rule in self._tested.endpoint.enforced))
        return [spelled for key in every if (spelled := keys.spelled(key))[0] == "group"]

    def _resources(self, path: str, resource: str | ResourcePattern | None) -> tuple[CompiledResource, ...]:
        kinds = sorted({entry.type for rule in self._tested.endpoint.enforced for entry in rule.resources})
        if resource is None:
            return tuple(CompiledResource(kind, NameSet.of(("*",)), {}) for kind in kinds)
        if isinstance(resource, str):
            found = self._fixtures.resource(resource, path)
            resource = ResourcePattern(type=found.type, id=found.id)
        if resource.type not in kinds:
            hint = meant(resource.type, kinds)
            raise self._document.wrong(
                path, f"no policy names the type {resource.type}{hint}: every call of it is denied, and always will be"
            )
        return (CompiledResource(resource.type, NameSet.of((resource.id,)), {}),)
