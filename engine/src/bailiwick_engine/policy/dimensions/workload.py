"""The workload: from where the subjects in a rule must call.

Holds: a workload narrows a service account and nothing else; an unknown workload is neither met nor unmet.
"""

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, Final

from bailiwick_api.kinds.endpointpolicy import Workload
from bailiwick_engine.call import Party, PodWorkload
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.atom import FRESH, CallAtom, CallDraft, TooManyError
from bailiwick_engine.policy.dimensions.clause import CallView, Clause, truth_clause
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    Meanings,
    no_attributes,
    no_limit,
    no_problems,
    no_reader,
    weightless,
)
from bailiwick_engine.policy.dimensions.subject import SubjectPart
from bailiwick_engine.policy.effect import Effect
from bailiwick_engine.truth import UNKNOWN, Truth, any_of

WORKLOAD_CLAUSE: Final = "workload"
_MOST_IMAGE_SETS: Final = 6


@dataclass(frozen=True, slots=True)
class WorkloadRequirement:
    """The workload that a subject must call from. `images` None: any. `labels` alone are advisory."""

    images: frozenset[str] | None
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, workload: Workload) -> "WorkloadRequirement":
        """Compile what an entry of `spec.subjects` asks for."""
        selector = workload.pod_selector
        return cls(
            images=frozenset(workload.image_digests) if workload.image_digests else None,
            labels=tuple(sorted(selector.match_labels.items())) if selector else (),
        )

    def meets(self, workload: PodWorkload | None) -> Truth:
        """Tell whether this workload will do. `workload` None: it is not known."""
        if workload is None:
            return UNKNOWN
        if self.images is not None and not (workload.images and workload.images <= self.images):
            return False
        return all(workload.labels.get(name) == value for name, value in self.labels)


@dataclass(frozen=True, eq=False, kw_only=True)
class WorkloadPart(SubjectPart):
    """What is asked of the workload, by key. A key without an entry is named from anywhere."""

    __slots__ = ()

    workloads: Mapping[Key, tuple[WorkloadRequirement, ...]] = field(default_factory=dict)

    def names(self, party: Party) -> Truth:
        """Tell whether the rule names this party; UNKNOWN if that depends on an unknown workload."""
        named = party.keys & self.subjects
        if not named or not self.workloads:
            return bool(named)
        return any_of(
            [
                requirement.meets(party.workload) if requirement else True
                for key in named
                for requirement in self.workloads.get(key) or (None,)
            ]
        )


def _clauses(rule: WorkloadPart, view: CallView) -> Iterable[Clause]:
    party = view.party
    if not rule.workloads.keys().isdisjoint(party.keys & rule.subjects):
        asked = requirements_of([rule], party.keys)
        images = sorted({image for requirement in asked for image in requirement.images or ()})
        labels = sorted({f"{name}={value}" for requirement in asked for name, value in requirement.labels})
        certain = view.effect is not Effect.DENY
        yield truth_clause(WORKLOAD_CLAUSE, rule.names(party), (*images, *labels), certain=certain)


def requirements_of(rules: Iterable[WorkloadPart], named: Iterable[Key]) -> list[WorkloadRequirement]:
    """Return what rules ask of the workload of who has one of these keys, each once."""
    ordered = sorted(named)
    return list(dict.fromkeys(one for rule in rules for key in ordered for one in rule.workloads.get(key, ())))


def _atoms(rules: Sequence[WorkloadPart], keys: AbstractSet[Key], _now: float) -> Sequence[CallAtom]:
    """Return workloads that meet each set of requirements that can be met, and none that is known."""
    requirements = requirements_of(rules, keys)
    if not requirements:
        return (CallAtom(),)
    sets = sorted({one.images for one in requirements if one.images is not None}, key=sorted)
    if len(sets) > _MOST_IMAGE_SETS:
        raise TooManyError
    images: dict[frozenset[str], str] = {frozenset((FRESH,)): "other images"}
    for count in range(1, len(sets) + 1):
        for some in combinations(sets, count):
            if shared := frozenset.intersection(*some):
                images[shared] = "images " + ", ".join(sorted(shared))
    named: dict[str, set[str | None]] = {}
    for name, value in (pair for one in requirements for pair in one.labels):
        named.setdefault(name, {None}).add(value)
    found = [CallAtom("unknown workload")]
    for held, label in images.items():
        for chosen in product(*(sorted(values, key=str) for values in named.values())):
            labels = {name: value for name, value in zip(named, chosen, strict=True) if value is not None}
            told = " ".join(f"{name}={value}" for name, value in labels.items())
            found.append(_calling_from(PodWorkload(held, labels), f"{label} {told}".strip()))
    return found


def _calling_from(workload: PodWorkload, label: str) -> CallAtom:
    def put(draft: CallDraft) -> CallDraft:
        return draft._replace(workload=workload)

    return CallAtom(label, put)


def _meaning(rule: WorkloadPart, _meanings: Meanings) -> frozenset[Any]:
    return frozenset(rule.workloads.items())


WORKLOAD: Final = Dimension(
    name="workload",
    part=WorkloadPart,
    written=frozenset(),
    aspect=Aspect.PARTY,
    compile=lambda source: {"workloads": source.workloads},
    problems=no_problems,
    limit=no_limit,
    limits_with=(),
    clauses=_clauses,
    meaning=_meaning,
    atoms=_atoms,
    reads=no_attributes,
    record_reader=no_reader,
    weight=weightless,
)
