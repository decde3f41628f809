"""Choices: every outcome of what a record does not tell, one after the other, for as many as are asked for.

Standing: stands in for conditions and properties of resources in the engine's own rules. Holds: what is the same to the
engine has the same outcome; a run asks for few, since the engine stops at the first that decides.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from bailiwick_engine.call import Call, Resource
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.cel.members import Path
from bailiwick_engine.policy.dimensions.dimension import Dimension
from bailiwick_engine.policy.dimensions.table import DIMENSIONS
from bailiwick_engine.policy.model import (
    CompiledCeiling,
    CompiledCondition,
    CompiledPolicy,
    CompiledResource,
    CompiledRule,
    CompiledSettings,
)
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN, Truth

_OUTCOMES: Final[tuple[Truth, ...]] = (True, False, UNKNOWN, TOO_COSTLY)
_OTHER: Final = object()


class Choices:
    """Runs through all combinations: `begin`, ask, and again while `more`."""

    def __init__(self) -> None:
        self._places: list[list[int]] = []
        self._made: dict[Hashable, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether this run hung on any."""
        return bool(self._made)

    @property
    def made(self) -> Mapping[Hashable, Any]:
        """What this run hung on, with its outcomes, in the order in which it was asked."""
        return self._made

    def reset(self) -> None:
        """Begin with the first combination."""
        self._places = []
        self._made = {}

    def more(self) -> bool:
        """Go on to the next combination; False where there is none."""
        del self._places[len(self._made) :]
        while self._places and self._places[-1][0] + 1 == self._places[-1][1]:
            self._places.pop()
        self._made = {}
        if not self._places:
            return False
        self._places[-1][0] += 1
        return True

    def of(self, key: Hashable, options: Sequence[Any]) -> Any:  # noqa: ANN401 - of these options
        """Return the outcome of this one in this run."""
        if key in self._made:
            return self._made[key]
        at = len(self._made)
        if at == len(self._places):
            self._places.append([0, len(options)])
        found = self._made[key] = options[self._places[at][0]]
        return found


@dataclass(frozen=True, slots=True)
class ConditionStandIn(CompiledCondition):
    """A condition of which not everything is known. `costly`: only if it was evaluated at all is not known."""

    choices: Choices
    costly: bool

    def outcome(self, inputs: Inputs) -> Truth:
        """Return one of its outcomes. It may be another for each actor, if it reads of them."""
        actor = inputs["actor"] if self.costly or any(path[0] == "actor" for path in self.reads) else {}
        key = (id(self.expression), id(self.scope), actor.get("type"), actor.get("id"))
        options = _OUTCOMES
        if self.costly:
            options = (self.scope.evaluate(self.expression, inputs, self.cost, light=self.light), TOO_COSTLY)
        found: Truth = self.choices.of(key, options)
        return found


@dataclass(frozen=True, slots=True)
class ResourceStandIn(CompiledResource):
    """An entry of a rule's resources that asks for properties of which the values are not known.

    `sealed`: by name, all values that any rule lists.
    """

    choices: Choices
    sealed: dict[str, tuple[str, ...]]

    def property_held(self, name: str, resource: Resource) -> Truth:
        """Tell whether the resource has the property, for one of the values that tell entries apart."""
        if name not in self.sealed:
            return CompiledResource.property_held(self, name, resource)
        value = self.choices.of(("property", name), (*self.sealed[name], _OTHER, None))
        return UNKNOWN if value is None else value in self.properties[name]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RuleStandIn(CompiledRule):
    """A rule of which some limits hang on what is not known. `hidden`: the names of their dimensions."""

    choices: Choices
    hidden: frozenset[str]

    def __post_init__(self) -> None:
        """Put a choice in place of each limit that is hidden."""
        CompiledRule.__post_init__(self)
        found = [(one, one.limit(self)) for one in reversed(DIMENSIONS)]
        limits = [
            _ChosenLimit(one, self, self.choices) if one.name in self.hidden else limit
            for one, limit in found
            if limit is not None
        ]
        object.__setattr__(self, "limits", tuple(limits))


class _ChosenLimit:
    """A limit that gives one of its reasons, or none. Limits that ask the same give the same."""

    def __init__(self, dimension: Dimension[Any], rule: CompiledRule, choices: Choices) -> None:
        self._key = ("limit", dimension.name, tuple(getattr(rule, one.name) for one in fields(dimension.part)))
        self._outcomes = (None, *dimension.limits_with)
        self._choices = choices

    def __call__(self, rule: CompiledRule, call: Call, now: float) -> Reason | None:  # noqa: ARG002 - as every limit
        reason: Reason | None = self._choices.of(self._key, self._outcomes)
        return reason


@dataclass(frozen=True, slots=True)
class Unknowns:
    """What is not known of a call. `paths` are sealed; `every`: of every condition, by what its outcomes are."""

    paths: frozenset[Path]
    limits: str | None = None

    def __bool__(self) -> bool:
        """Anything is not known."""
        return bool(self.paths) or self.limits is not None

    def hides(self, reads: frozenset[Path]) -> bool:
        """Tell whether some of what is read is sealed."""
        return any(meets(read, path) for read in reads for path in self.paths)

    def property_names(self) -> frozenset[str]:
        """Return the names of properties of the resource that are sealed."""
        return frozenset(path[2] for path in self.paths if path[:2] == ("resource", "properties") and len(path) == 3)  # noqa: PLR2004 - the root, what of it, its member


def standing_in(
    policy: CompiledPolicy, unknown: Unknowns, choices: Choices, listed: dict[str, tuple[str, ...]]
) -> CompiledPolicy:
    """Return a policy in which choices stand in for what is not known. `listed`: see `ResourceStandIn.sealed`."""

    def conditions(found: Sequence[CompiledCondition]) -> tuple[CompiledCondition, ...]:
        return tuple(_condition(one, unknown, choices) for one in found)

    def resources(found: Sequence[CompiledResource]) -> tuple[CompiledResource, ...]:
        return tuple(_resource(one, choices, listed) for one in found)

    rules: list[CompiledRule] = [
        _limited(
            replace(rule, conditions=conditions(rule.conditions), resources=resources(rule.resources)), unknown, choices
        )
        for rule in policy.rules
    ]
    settings: CompiledSettings | None = policy.settings
    if settings is not None and settings.delegation is not None:
        ceiling: tuple[CompiledCeiling, ...] = tuple(
            replace(entry, conditions=conditions(entry.conditions), resources=resources(entry.resources))
            for entry in settings.delegation.ceiling
        )
        settings = replace(settings, delegation=replace(settings.delegation, ceiling=ceiling))
    return replace(policy, rules=tuple(rules), settings=settings)


def values_listed(policies: Sequence[CompiledPolicy], names: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Return what any rule of these policies lists for these properties."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for policy in policies:
        ceiling = policy.settings.delegation.ceiling if policy.settings and policy.settings.delegation else ()
        for entry in (
            *(one for rule in policy.rules for one in rule.resources),
            *(one for part in ceiling for one in part.resources),
        ):
            for name in names & entry.properties.keys():
                found[name] |= entry.properties[name]
    return {name: tuple(sorted(values)) for name, values in found.items()}


def _condition(condition: CompiledCondition, unknown: Unknowns, choices: Choices) -> CompiledCondition:
    hidden = unknown.hides(condition.reads) or unknown.limits == "nul"
    if not hidden and unknown.limits is None:
        return condition
    return ConditionStandIn(
        *condition.parts,
        choices,
        not hidden,
    )


def _limited(rule: CompiledRule, unknown: Unknowns, choices: Choices) -> CompiledRule:
    """Return a rule with choices in place of limits that are hidden."""
    hidden = frozenset(one.name for one in DIMENSIONS if one.limits_with and unknown.hides(one.reads(rule)))
    if not hidden:
        return rule
    written = {one.name: getattr(rule, one.name) for one in fields(rule) if one.init}
    return RuleStandIn(**written, choices=choices, hidden=hidden)


def _resource(entry: CompiledResource, choices: Choices, listed: dict[str, tuple[str, ...]]) -> CompiledResource:
    if listed.keys().isdisjoint(entry.properties):
        return entry
    return ResourceStandIn(entry.type, entry.ids, entry.properties, choices, listed)


def meets(read: Path, path: Path) -> bool:
    """Tell whether one is within the other. Of actors a condition reads whichever is judged."""
    if path[0].startswith("actors["):
        path = ("actor", *path[1:])
    return path[: len(read)] == read[: len(path)]
