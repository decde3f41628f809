"""Circumstances: what tells calls of one action and resource apart: properties, purpose and workload.

Standing: under the questions, over `bailiwick_regions.atoms`. Holds: what the question says is said of all calls; of
all else each value that a rule asks for stands once, with one that none asks for.
"""

from collections.abc import Iterator, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.action import ACTION
from bailiwick_engine.policy.dimensions.atom import CallAtom, CallDraft
from bailiwick_engine.policy.dimensions.intent import INTENT, atom_of as intent_atom
from bailiwick_engine.policy.dimensions.resource import RESOURCE, properties
from bailiwick_engine.policy.model import CompiledResource, CompiledRule
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_regions import atoms
from bailiwick_regions.stage import CALLER, calling_from

_PROPERTY: Final = "property "
_TAKEN: Final = frozenset({ACTION.name, RESOURCE.name}) | atoms.TOLD_APART

CallLabels = tuple[tuple[str, str], ...]
"""Of a call, each dimension and its label."""


@dataclass(frozen=True, slots=True)
class CallPlace:
    """What is asked about. `properties` and `intent` hold of all calls; `intent` None: any."""

    key: EndpointKey
    action: str
    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    intent: str | None = None

    def entries(self, rules: Sequence[CompiledRule]) -> list[tuple[CompiledRule, CompiledResource]]:
        """Return the entries of these rules that may speak of it."""
        return [
            (rule, entry)
            for rule in rules
            if self.action in rule.actions
            for entry in rule.resources
            if entry.type == self.type and self.id in entry.ids
        ]


@dataclass(frozen=True, slots=True)
class CallCircumstances:
    """All circumstances of a place. `atoms` are those of each dimension, `labels` all labels that there are."""

    place: CallPlace
    properties: Mapping[str, Mapping[str | None, str]]
    atoms: Mapping[str, Sequence[CallAtom]]

    @classmethod
    def of(cls, place: CallPlace, rules: Sequence[CompiledRule], keys: AbstractSet[Key]) -> "CallCircumstances":
        """Return those that these rules tell apart, of who has some of these keys. Raises `TooManyError`."""
        found = properties(entry for _, entry in place.entries(rules))
        told = atoms.distinct_atoms(rules, keys)
        if place.intent is not None:
            told[INTENT.name] = (intent_atom(place.intent, ""),)
        return cls(place, {name: values for name, values in found.items() if name not in place.properties}, told)

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Every label of each dimension."""
        found = {dimension(name): tuple(values.values()) for name, values in self.properties.items()}
        return found | {name: tuple(one.label for one in some) for name, some in self.atoms.items() if len(some) > 1}

    def calls(self, party: Party) -> Iterator[tuple[Call, CallLabels]]:
        """Yield a call of a party for each of them."""
        place = self.place
        for chosen in atoms.products(self.properties):
            held = {name: value for name, (value, _) in chosen.items() if value is not None}
            resource = Resource(place.type, place.id, {**place.properties, **held} or None)
            for draft, labels in atoms.drafts_of(self.atoms, CallDraft(0.0)):
                told = [(dimension(name), label) for name, (_, label) in chosen.items()]
                call = Call(
                    namespace=place.key[0],
                    endpoint=place.key[1],
                    caller=CALLER,
                    subject=calling_from(party, draft.workload),
                    action=Action(place.action),
                    resource=resource,
                    context=draft.context,
                )
                yield call, (*told, *labels.items())


def dimension(name: str) -> str:
    """Return the dimension of a property: its name, unless another dimension is called so, or could be."""
    return f"{_PROPERTY}{name}" if name in _TAKEN or name.startswith(_PROPERTY) else name
