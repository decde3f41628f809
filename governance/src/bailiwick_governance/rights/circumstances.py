"""Circumstances: what tells calls of one action and resource apart: properties, purpose and workload.

Standing: under the questions, over `bailiwick_regions.atoms`. Holds: what the question says is said of all calls; of
all else each value that a rule asks for stands once, with one that none asks for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import CompiledResource, CompiledRule, WorkloadRequirement
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_regions import atoms
from bailiwick_regions.stage import CALLER, calling_from

_PROPERTY: Final = "property "
_TAKEN: Final = frozenset({"action", "resource", "intent", "workload"})

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
    """All circumstances of a place. `labels` are all that there are, by dimension."""

    place: CallPlace
    properties: Mapping[str, Mapping[str | None, str]]
    intents: Mapping[str | None, str]
    workloads: Sequence[tuple[PodWorkload | None, str]]

    @classmethod
    def of(
        cls, place: CallPlace, rules: Sequence[CompiledRule], requirements: Sequence[WorkloadRequirement]
    ) -> "CallCircumstances":
        """Return those that these rules tell apart. Raises `TooManyError`."""
        found = atoms.properties(entry for _, entry in place.entries(rules))
        properties = {name: values for name, values in found.items() if name not in place.properties}
        intents = atoms.intents(rule.intents for rule in rules)
        if place.intent is not None:
            intents = {place.intent: ""}
        return cls(place, properties, intents, atoms.workloads(requirements))

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Every label of each dimension."""
        found = {dimension(name): tuple(values.values()) for name, values in self.properties.items()}
        found |= {"intent": tuple(self.intents.values())} if len(self.intents) > 1 else {}
        return found | ({"workload": tuple(label for _, label in self.workloads)} if len(self.workloads) > 1 else {})

    def calls(self, party: Party) -> Iterator[tuple[Call, CallLabels]]:
        """Yield a call of a party for each of them."""
        place = self.place
        for chosen in atoms.products(self.properties):
            held = {name: value for name, (value, _) in chosen.items() if value is not None}
            resource = Resource(place.type, place.id, {**place.properties, **held} or None)
            for intent, purpose in self.intents.items():
                for workload, pod in self.workloads:
                    told = [(dimension(name), label) for name, (_, label) in chosen.items()]
                    told += [("intent", purpose)] if len(self.intents) > 1 else []
                    told += [("workload", pod)] if len(self.workloads) > 1 else []
                    call = Call(
                        namespace=place.key[0],
                        endpoint=place.key[1],
                        caller=CALLER,
                        subject=calling_from(party, workload),
                        action=Action(place.action),
                        resource=resource,
                        context={} if intent is None else {"intent": intent},
                    )
                    yield call, tuple(told)


def dimension(name: str) -> str:
    """Return the dimension of a property: its name, unless another dimension is called so, or could be."""
    return f"{_PROPERTY}{name}" if name in _TAKEN or name.startswith(_PROPERTY) else name


def requirements_of(rules: Sequence[CompiledRule], keys: Iterable[Key]) -> list[WorkloadRequirement]:
    """Return what these rules ask of the workload of a party with one of these keys."""
    named = sorted(keys)
    return list(dict.fromkeys(one for rule in rules for key in named for one in rule.workloads.get(key, ())))
