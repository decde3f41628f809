"""Parties in a record: who they are, and what of their groups and workload a rule of the endpoint asks for.

Standing: under `evidence`. Holds: of groups only those that a rule names, of labels only those that a rule asks for;
a workload that could not be read stands as unknown.
"""

from typing import Any, Final

from bailiwick_engine import keys
from bailiwick_engine.call import Call, Party, PodWorkload
from bailiwick_engine.policy.snapshot import CompiledEndpoint

_IMAGES: Final = 32
"""Images that a record lists. No requirement lists more, so that of more it is certain that none is met."""
UNKNOWN: Final = "unknown"


class PartyFacts:
    """What the rules of one endpoint ask of a party. It does not keep the endpoint.

    `asking`: of whose workload. Of a party without groups, nothing else is told.
    """

    def __init__(self, endpoint: CompiledEndpoint) -> None:
        delegation = endpoint.settings.delegation if endpoint.settings else None
        self._named = frozenset().union(
            endpoint.broken, delegation.principals if delegation else (), *(rule.subjects for rule in endpoint.rules)
        )
        self.asking = frozenset(endpoint.workload_keys)
        requirements = [one for rule in endpoint.rules for listed in rule.workloads.values() for one in listed]
        self._labels = tuple(sorted({name for one in requirements for name, _ in one.labels}))

    def tell(self, told: dict[str, Any], party: Party, call: Call, endpoint: CompiledEndpoint) -> None:
        """Add what rules ask of a party. `endpoint` is the one that this is of."""
        if party.groups and party.issuer is not None:
            matched = sorted(name for name in party.groups if keys.group(party.issuer, name) in self._named)
            if matched:
                told["matched"] = matched
        if self.asking and not party.keys.isdisjoint(self.asking):
            if party.workload is not None:
                told["workload"] = self._workload(party.workload)
            elif endpoint.asks_workload(call.action.name, call.resource, party):
                told["workload"] = UNKNOWN

    def _workload(self, workload: PodWorkload) -> dict[str, Any]:
        images = sorted(workload.images)
        told: dict[str, Any] = {
            "images": images[:_IMAGES],
            "labels": {name: workload.labels[name] for name in self._labels if name in workload.labels},
        }
        if len(images) > _IMAGES:
            told["more_images"] = len(images) - _IMAGES
        return told
