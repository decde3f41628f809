"""Subjects of a policy: from the names that rules use to the keys that identities have, and what is asked of each.

Standing: over the dimensions `subject` and `workload`. Holds: rules that name the same subjects share what is kept of
them, so that a policy takes room by what it lists, and not by that times its rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bailiwick_api.kinds.endpointpolicy import Subject
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.subject import keys_of
from bailiwick_engine.policy.dimensions.workload import WorkloadRequirement


class RuleSubjects(NamedTuple):
    """Whom a rule speaks of: all keys, and what is asked of the workload, by key; without a key, nothing is asked."""

    keys: frozenset[Key]
    workloads: Mapping[Key, tuple[WorkloadRequirement, ...]]


class Subjects:
    """The subjects of one policy by the names that rules use."""

    def __init__(self, listed: Iterable[Subject]) -> None:
        self._listed = tuple(listed)
        self._keys = [keys_of(subject) for subject in self._listed]
        self._requirements = [
            None if subject.workload is None else WorkloadRequirement.of(subject.workload) for subject in self._listed
        ]
        self._named: dict[tuple[int, ...], RuleSubjects] = {}

    def named(self, names: Iterable[str]) -> RuleSubjects:
        """Return whom a rule speaks of that lists these names."""
        wanted = frozenset(names)
        places = tuple(place for place, subject in enumerate(self._listed) if subject.name in wanted)
        known = self._named.get(places)
        if known is None:
            keys = frozenset(key for place in places for key in self._keys[place])
            known = self._named[places] = RuleSubjects(keys, self._workloads(places))
        return known

    def _workloads(self, places: Sequence[int]) -> Mapping[Key, tuple[WorkloadRequirement, ...]]:
        """Where one entry of a key asks and another does not, the key is named from anywhere."""
        asked: dict[Key, list[WorkloadRequirement]] = {}
        free: set[Key] = set()
        for place in places:
            requirement = self._requirements[place]
            for key in self._keys[place]:
                if requirement is None:
                    free.add(key)
                else:
                    asked.setdefault(key, []).append(requirement)
        return {key: tuple(requirements) for key, requirements in asked.items() if key not in free}
