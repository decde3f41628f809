"""The resource: type, ids and properties of what a rule is about.

Holds: a property that a call lacks is unknown: it matches for a Deny and for a gate, never for an Allow.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_api.kinds.matches import ResourceMatch
from bailiwick_engine.call import Resource
from bailiwick_engine.cel.members import Path
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.atom import FRESH
from bailiwick_engine.policy.dimensions.clause import CallView, Clause, plain_clause, spelled_names, truth_clause
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    Meanings,
    RecordReader,
    any_call,
    no_limit,
    no_problems,
)
from bailiwick_engine.policy.effect import Effect
from bailiwick_engine.truth import UNKNOWN, Truth

TYPE_CLAUSE: Final = "resource.type"
ID_CLAUSE: Final = "resource.id"
PROPERTY_CLAUSE: Final = "resource.properties"
_PROPERTIES: Final[Path] = ("resource", "properties")
_ID_READ: Final[frozenset[Path]] = frozenset({("resource",), ("resource", "id")})


@dataclass(frozen=True, slots=True)
class CompiledResource:
    """One entry of a rule's resources. `whole`: it covers every resource of its type."""

    type: str
    ids: NameSet
    properties: Mapping[str, frozenset[str]]
    whole: bool = field(init=False)

    def __post_init__(self) -> None:
        """Keep what does not change."""
        object.__setattr__(self, "whole", self.ids.everything and not self.properties)

    def covers(self, resource: Resource, *, absent_matches: bool) -> bool:
        """Tell whether the resource falls under this entry.

        A property that the resource lacks, or has as something else than a string, is unknown: it matches where
        `absent_matches`, which Deny and RequireApproval ask for and Allow does not.
        """
        if resource.type != self.type or not (self.ids.everything or resource.id in self.ids):
            return False
        return not self.properties or self.holds_properties(resource, absent_matches=absent_matches)

    def holds_properties(self, resource: Resource, *, absent_matches: bool) -> bool:
        """Tell whether the resource has the properties that this entry asks for, whatever its type and id."""
        for name in self.properties:
            held = self.property_held(name, resource)
            if held is False or (held is not True and not absent_matches):
                return False
        return True

    def property_held(self, name: str, resource: Resource) -> Truth:
        """Tell whether the resource has a property as this entry asks."""
        value = (resource.properties or {}).get(name)
        return value in self.properties[name] if isinstance(value, str) else UNKNOWN


@dataclass(frozen=True, eq=False, kw_only=True)
class ResourcePart:
    """The resources of a rule, or of a ceiling."""

    __slots__ = ()

    resources: tuple[CompiledResource, ...]


def compile_resources(resources: Iterable[ResourceMatch]) -> tuple[CompiledResource, ...]:
    """Compile the resources of a rule or a ceiling."""
    return tuple(
        CompiledResource(
            entry.type,
            NameSet.of(entry.ids),
            {name: frozenset(values) for name, values in (entry.properties or {}).items()},
        )
        for entry in resources
    )


def properties(entries: Iterable[CompiledResource]) -> dict[str, dict[str | None, str]]:
    """Return for each property that is asked for its values with their labels: listed, another, None for absent."""
    listed: dict[str, set[str]] = {}
    for entry in entries:
        for name, values in entry.properties.items():
            listed.setdefault(name, set()).update(values)
    found: dict[str, dict[str | None, str]] = {}
    for name, wanted in sorted(listed.items()):
        labels: dict[str | None, str] = {value: value for value in sorted(wanted)}
        labels["".join(sorted(wanted)) + FRESH] = "other"
        labels[None] = "absent"
        found[name] = labels
    return found


def _clauses(rule: ResourcePart, view: CallView) -> Iterable[Clause]:
    """Return the clauses of that one of the resources which comes nearest."""
    return min(
        (tuple(_entry_clauses(entry, view)) for entry in rule.resources),
        key=lambda clauses: sum(not clause.met for clause in clauses),
        default=(),
    )


def _entry_clauses(entry: CompiledResource, view: CallView) -> Iterator[Clause]:
    resource, certain = view.call.resource, view.effect is Effect.ALLOW
    yield plain_clause(TYPE_CLAUSE, held=resource.type == entry.type, wanted=(entry.type,))
    yield plain_clause(ID_CLAUSE, held=resource.id in entry.ids, wanted=spelled_names(entry.ids))
    for name, allowed in sorted(entry.properties.items()):
        held = entry.property_held(name, resource)
        yield truth_clause(PROPERTY_CLAUSE, held, sorted(allowed), name, certain=certain)


def _meaning(rule: ResourcePart, _meanings: Meanings) -> Hashable:
    return frozenset((entry.type, entry.ids, frozenset(entry.properties.items())) for entry in rule.resources)


def _reads(rule: ResourcePart) -> frozenset[Path]:
    return frozenset((*_PROPERTIES, name) for entry in rule.resources for name in entry.properties)


def _record_reader(rules: Sequence[ResourcePart], paths: AbstractSet[Path]) -> RecordReader:
    entries = [entry for rule in rules for entry in rule.resources]
    exact = frozenset(name for entry in entries for name in entry.ids.exact)
    prefixes = tuple(sorted({prefix for entry in entries for prefix in entry.ids.prefixes}))
    is_id_read = not paths.isdisjoint(_ID_READ)

    def read(record: Mapping[str, Any]) -> object:
        kind, name = record["resource"]["type"], record["resource"]["id"]
        if is_id_read or name in exact:
            return [kind, name]
        # Longer than the prefix, as in `NameSet`; the list keeps it from being the name of another.
        return [kind, [prefix for prefix in prefixes if name.startswith(prefix) and len(name) > len(prefix)]]

    return read


RESOURCE: Final = Dimension(
    name="resource",
    part=ResourcePart,
    written=frozenset({"resources"}),
    aspect=Aspect.CALL,
    compile=lambda source: {"resources": compile_resources(source.rule.resources)},
    problems=no_problems,
    limit=no_limit,
    limits_with=(),
    clauses=_clauses,
    meaning=_meaning,
    atoms=any_call,
    reads=_reads,
    record_reader=_record_reader,
    weight=lambda rule: sum([1 + len(entry.properties) for entry in rule.resources]),
)
