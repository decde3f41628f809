"""The candidate: policies that were never in force, which replace a record's policies or are added to them.

Standing: under `pairs`. Holds: a policy with an unchanged text keeps the state that it has in the record.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CandidatePolicy:
    """One policy by its digest."""

    namespace: str
    name: str
    endpoint: str
    digest: str


class Candidate:
    """All policies of each endpoint that one of them names; with `overlay`, only the policies with their names."""

    def __init__(self, policies: Iterable[CandidatePolicy], *, overlay: bool = False) -> None:
        self.policies = tuple(policies)
        self._overlay = overlay
        self._listed: dict[tuple[str, str], dict[str, str]] = {}
        self._names: dict[str, set[str]] = {}
        for one in self.policies:
            self._listed.setdefault((one.namespace, one.endpoint), {})[one.name] = one.digest
            self._names.setdefault(one.namespace, set()).add(one.name)

    def concerns(self, namespace: str, endpoint: str, before: Mapping[str, str | None]) -> bool:
        """Tell whether a decision can change for an endpoint that had these policies."""
        if (namespace, endpoint) in self._listed:
            return True
        return self._overlay and not self._names.get(namespace, set()).isdisjoint(before)

    def candidate_digests(self, namespace: str, endpoint: str, before: Mapping[str, str | None]) -> dict[str, str]:
        """Return the digests of the endpoint's policies under the candidate. A broken policy that stays is left out."""
        own = self._listed.get((namespace, endpoint), {})
        if not self._overlay:
            return dict(own)
        gone = self._names.get(namespace, set())
        return {name: held for name, held in before.items() if name not in gone and held is not None} | own
