"""One policy of one cluster as its status tells of it, and how the same policy differs between clusters. Pure.

Holds: a status counts only for the generation that it is about; nothing that an API server sends makes anything here
raise.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.times import parse_time
from bailiwick_engine.approval.display import visible

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
PolicyName = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class PolicyState:
    """One policy. None: not known. `behind_since`: when it began that not every decision point serves it."""

    name: PolicyName
    generation: int | None
    digest: str | None
    accepted: bool | None
    served: bool
    behind_since: float | None = None

    @property
    def shown_name(self) -> str:
        """Namespace and name, for people."""
        return visible("/".join(self.name))


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """A policy with more than one digest. `states`: by cluster, of those that have it and say a digest."""

    name: PolicyName
    states: Mapping[str, PolicyState]


def policy_state(raw: Mapping[str, Any]) -> PolicyState:
    """Read one policy as the API server lists it."""
    metadata, status = _mapping(raw.get("metadata")), _mapping(raw.get("status"))
    name = (str(metadata.get("namespace", "")), str(metadata.get("name", "")))
    generation = _generation(metadata.get("generation"))
    if generation is None:
        return PolicyState(name, None, None, None, served=False)
    conditions = {
        str(one.get("type")): one
        for one in map(_mapping, _items(status.get("conditions")))
        if _generation(one.get("observedGeneration")) == generation
    }
    accepted = conditions.get("Accepted", {}).get("status")
    programmed = conditions.get("Programmed", {})
    served = programmed.get("status") == "True"
    digest = status.get("digest")
    observed = _generation(status.get("observedGeneration"))
    known = observed == generation and isinstance(digest, str) and _DIGEST.fullmatch(digest)
    since = None if served else parse_time(programmed.get("lastTransitionTime"))
    return PolicyState(
        name,
        generation,
        digest if known else None,
        {"True": True, "False": False}.get(accepted) if isinstance(accepted, str) else None,
        served,
        None if since is None else since.timestamp(),
    )


def policy_differences(clusters: Mapping[str, Iterable[PolicyState]]) -> tuple[PolicyDifference, ...]:
    """Return the policies of one namespace and name that have another digest in another cluster."""
    by_name: dict[PolicyName, dict[str, PolicyState]] = {}
    for cluster, states in clusters.items():
        for state in states:
            if state.digest is not None:
                by_name.setdefault(state.name, {})[cluster] = state
    return tuple(
        PolicyDifference(name, states)
        for name, states in sorted(by_name.items())
        if len({state.digest for state in states.values()}) > 1
    )


def partial_policies(clusters: Mapping[str, Iterable[PolicyState]]) -> Mapping[PolicyName, tuple[str, ...]]:
    """Return the policies that some of the clusters do not have, each with those that have it."""
    having: dict[PolicyName, list[str]] = {}
    for cluster, states in clusters.items():
        for name in {state.name for state in states}:
            having.setdefault(name, []).append(cluster)
    return {name: tuple(names) for name, names in sorted(having.items()) if len(names) < len(clusters)}


def _generation(value: object) -> int | None:
    # True would be equal to 1.
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> Iterator[object]:
    yield from value if isinstance(value, list) else ()
