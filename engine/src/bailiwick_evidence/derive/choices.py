"""Choices: all outcomes of the values that a record does not contain, one combination after the other.

Standing: they replace conditions and resource properties in the engine's own rules. Holds: values that are the same for
the engine have the same outcome. A run needs few choices, since the engine stops at the first that decides.
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
    """Runs through all combinations: `reset`, run, and run again while `more`."""

    def __init__(self) -> None:
        self._places: list[list[int]] = []
        self._made: dict[Hashable, Any] = {}

    @property
    def has_choices(self) -> bool:
        """Whether this run depended on a choice."""
        return bool(self._made)

    @property
    def outcomes(self) -> Mapping[Hashable, Any]:
        """The choices on which this run depended, with their outcomes, in the order of the engine's queries."""
        return self._made

    def reset(self) -> None:
        """Begin with the first combination."""
        self._places = []
        self._made = {}

    def more(self) -> bool:
        """Go on to the next combination; False if there is none."""
        del self._places[len(self._made) :]
        while self._places and self._places[-1][0] + 1 == self._places[-1][1]:
            self._places.pop()
        self._made = {}
        if not self._places:
            return False
        self._places[-1][0] += 1
        return True

    def outcome_of(self, key: Hashable, options: Sequence[Any]) -> Any:  # noqa: ANN401 - of these options
        """Return the outcome of this choice in this run."""
        if key in self._made:
            return self._made[key]
        at = len(self._made)
        if at == len(self._places):
            self._places.append([0, len(options)])
        found = self._made[key] = options[self._places[at][0]]
        return found


@dataclass(frozen=True, slots=True)
class ConditionStandIn(CompiledCondition):
    """A condition with unknown inputs. `costly`: it is only unknown whether it was evaluated at all."""

    choices: Choices
    costly: bool

    def outcome(self, inputs: Inputs) -> Truth:
        """Return one of its outcomes. It may differ for each actor, if it reads the actor."""
        actor = inputs["actor"] if self.costly or any(path[0] == "actor" for path in self.reads) else {}
        key = (id(self.expression), id(self.scope), actor.get("type"), actor.get("id"))
        options = _OUTCOMES
        if self.costly:
            options = (self.scope.evaluate(self.expression, inputs, self.cost, light=self.light), TOO_COSTLY)
        found: Truth = self.choices.outcome_of(key, options)
        return found


@dataclass(frozen=True, slots=True)
class ResourceStandIn(CompiledResource):
    """An entry of a rule's resources with properties whose values are unknown.

    `sealed`: by name, all values that any rule lists.
    """

    choices: Choices
    sealed: dict[str, tuple[str, ...]]

    def property_held(self, name: str, resource: Resource) -> Truth:
        """Tell whether the resource has the property, for one of the values that distinguish entries."""
        if name not in self.sealed:
            return CompiledResource.property_held(self, name, resource)
        value = self.choices.outcome_of(("property", name), (*self.sealed[name], _OTHER, None))
        return UNKNOWN if value is None else value in self.properties[name]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RuleStandIn(CompiledRule):
    """A rule some of whose limits depend on unknown values. `hidden`: the names of their dimensions."""

    choices: Choices
    hidden: frozenset[str]

    def __post_init__(self) -> None:
        """Replace each hidden limit by a choice."""
        CompiledRule.__post_init__(self)
        found = [(one, one.limit(self)) for one in reversed(DIMENSIONS)]
        limits = [
            _ChosenLimit(one, self, self.choices) if one.name in self.hidden else limit
            for one, limit in found
            if limit is not None
        ]
        object.__setattr__(self, "limits", tuple(limits))


class _ChosenLimit:
    """A limit that returns one of its reasons, or None. Equal limits return the same."""

    def __init__(self, dimension: Dimension[Any], rule: CompiledRule, choices: Choices) -> None:
        self._key = ("limit", dimension.name, tuple(getattr(rule, one.name) for one in fields(dimension.part)))
        self._outcomes = (None, *dimension.limits_with)
        self._choices = choices

    def __call__(self, rule: CompiledRule, call: Call, now: float) -> Reason | None:  # noqa: ARG002 - as every limit
        reason: Reason | None = self._choices.outcome_of(self._key, self._outcomes)
        return reason


@dataclass(frozen=True, slots=True)
class Unknowns:
    """The unknown parts of a call. `paths` are sealed; `every`: each condition is unknown, by its possible outcomes."""

    paths: frozenset[Path]
    limits: str | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is unknown."""
        return bool(self.paths) or self.limits is not None

    def hides(self, reads: frozenset[Path]) -> bool:
        """Tell whether any of these paths is sealed."""
        return any(meets(read, path) for read in reads for path in self.paths)

    def property_names(self) -> frozenset[str]:
        """Return the names of properties of the resource that are sealed."""
        return frozenset(path[2] for path in self.paths if path[:2] == ("resource", "properties") and len(path) == 3)  # noqa: PLR2004 - the root, what of it, its member


def standing_in(
    policy: CompiledPolicy, unknown: Unknowns, choices: Choices, listed: dict[str, tuple[str, ...]]
) -> CompiledPolicy:
    """Return a policy with choices in place of unknown values. `listed`: see `ResourceStandIn.sealed`."""

    def conditions(found: Sequence[CompiledCondition]) -> tuple[CompiledCondition, ...]:
        return tuple(_condition(one, unknown, choices) for one in found)

    def resources(found: Sequence[CompiledResource]) -> tuple[CompiledResource, ...]:
        return tuple(_resource(one, choices, listed) for one in found)

    rules: list[CompiledRule] = [
        _rule_stand_in(
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
    """Return all values that rules of these policies list for these properties."""
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


def _rule_stand_in(rule: CompiledRule, unknown: Unknowns, choices: Choices) -> CompiledRule:
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
    """Tell whether one path is within the other. A condition reads the actor that is being evaluated."""
    if path[0].startswith("actors["):
        path = ("actor", *path[1:])
    return path[: len(read)] == read[: len(path)]
