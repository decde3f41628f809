"""The report about several clusters: a row for each, and what differs between them. Pure.

Standing: over `judging`. Holds: a row has checks or a problem, never neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bailiwick_api.documents.policyfiles import File
from bailiwick_engine.approval.display import visible
from bailiwick_governance.errors import UserError
from bailiwick_governance.fleet.asking import ClusterAnswer
from bailiwick_governance.fleet.drift import ClusterDrift, cluster_drift
from bailiwick_governance.fleet.judging import (
    ClusterVersions,
    FleetCheck,
    FleetContext,
    cluster_checks,
    cluster_versions,
)
from bailiwick_governance.fleet.policies import (
    PolicyDifference,
    PolicyName,
    PolicyState,
    partial_policies,
    policy_differences,
    policy_state,
)
from bailiwick_governance.fleet.reading import ClusterReading

NOT_COMPARED = ClusterDrift(problem="--against has no manifests for this cluster")


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One cluster. `problem`: why it could not be asked; then there is nothing else."""

    name: str
    problem: str | None
    checks: tuple[FleetCheck, ...] = ()
    policies: tuple[PolicyState, ...] = ()
    versions: ClusterVersions | None = None
    drift: ClusterDrift | None = None


@dataclass(frozen=True, slots=True)
class FleetReport:
    """All rows. `partial`: policies that some of the clusters do not have, with those that have them."""

    rows: tuple[FleetRow, ...]
    differences: tuple[PolicyDifference, ...]
    partial: Mapping[PolicyName, tuple[str, ...]]


def fleet_report(
    answers: Sequence[ClusterAnswer],
    against: Mapping[str, Sequence[tuple[str, File]]],
    namespace: str | None,
    now: float,
) -> FleetReport:
    """Judge what the clusters said. `against`: the files of Git by cluster, and under the empty name those of the rest.

    `namespace` None: all of them. `now`: in seconds since the epoch.
    """
    readings = [one for one in answers if isinstance(one, ClusterReading)]
    states = {one.name: _states(one) for one in readings}
    known = {name: found for name, found in states.items() if not isinstance(found, str)}
    versions = {one.name: cluster_versions(one.deployments) for one in readings}
    fleet = FleetContext(
        frozenset(found.operator for found in versions.values() if found is not None), policy_differences(known)
    )
    rows: list[FleetRow] = []
    for one in answers:
        if not isinstance(one, ClusterReading):
            rows.append(FleetRow(one.name, one.problem))
            continue
        files = against.get(one.name) or against.get("")
        drift = None if not against else NOT_COMPARED if files is None else cluster_drift(one, files, namespace)
        checks = cluster_checks(one, states[one.name], fleet, drift, now)
        rows.append(FleetRow(one.name, None, checks, known.get(one.name, ()), versions[one.name], drift))
    return FleetReport(tuple(rows), tuple(fleet.differences), partial_policies(known))


def refuse_empty_namespace(answers: Sequence[ClusterAnswer], namespace: str) -> None:
    """Raise `UserError` if every cluster answered and none has a policy in a namespace: it is probably mistyped.

    Without any policy, every check of policies is good.
    """
    if all(isinstance(one, ClusterReading) and one.policies == () for one in answers):
        raise UserError(f"no cluster has an EndpointPolicy in the namespace {visible(namespace)}: check -n")


def _states(reading: ClusterReading) -> tuple[PolicyState, ...] | str:
    if isinstance(reading.policies, str):
        return reading.policies
    return tuple(sorted((policy_state(raw) for raw in reading.policies), key=lambda one: one.name))
