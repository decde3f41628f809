"""What a cluster lets through that Git does not, and the other way round, by the comparison of `diff`.

Standing: over `sources`. Holds: what cannot be compared is unknown, and never "none".
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bailiwick_api.documents.policyfiles import File
from bailiwick_engine.approval.display import visible
from bailiwick_governance.errors import UserError
from bailiwick_governance.fleet.reading import ClusterReading, Listing, Object
from bailiwick_governance.sources.livepolicies import render_files
from bailiwick_governance.sources.policysides import Named, read_beside_live, read_sides
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import compare

_SAID: Final = {
    ChangeClass.WIDER: "wider than in Git",
    ChangeClass.MAY_WIDEN: "may be wider",
    ChangeClass.CHANGED: "changed",
    ChangeClass.NARROWER: "narrower",
}


@dataclass(frozen=True, slots=True)
class ClusterDrift:
    """How a cluster differs from Git. `problem`: why that is not known; then there are no changes."""

    changes: tuple[Change, ...] = ()
    problem: str | None = None

    @property
    def counts(self) -> Mapping[ChangeClass, int]:
        """How many changes there are of each class, the worst first."""
        counted = Counter(one.kind for one in self.changes)
        return {kind: counted[kind] for kind in ChangeClass if counted[kind]}

    @property
    def summary(self) -> str:
        """The counts in words."""
        return ", ".join(f"{count} {_SAID[kind]}" for kind, count in self.counts.items()) or "none"

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that differ, for people."""
        return tuple(sorted({visible("/".join(one.endpoint)) for one in self.changes}))


def refuse_unusable(files: Named, what: str, namespace: str | None) -> None:
    """Raise `UserError` if files cannot be compared with a cluster: nothing may be taken for "no drift".

    `namespace` None: all of them are compared.
    """
    side, _ = read_sides(files, [])
    side.refuse_broken(what)
    if not side.entries:
        raise UserError(f"{what} has no EndpointPolicy")
    if nameless := sorted({entry.ref.name for entry in side.entries if not entry.ref.namespace}):
        raise UserError(f"{what}: {', '.join(nameless)} has no metadata.namespace, so it is not known where it belongs")
    if namespace is not None and namespace not in side.namespaces:
        raise UserError(f"{what} has no EndpointPolicy in the namespace {visible(namespace)}: check -n")


def cluster_drift(reading: ClusterReading, files: Named, namespace: str | None) -> ClusterDrift:
    """Compare a cluster with files. `namespace` None: all namespaces of either side."""
    if isinstance(reading.policies, str):
        return ClusterDrift(problem=reading.policies)
    try:
        return ClusterDrift(_changes(reading.policies, reading, files, namespace))
    except UserError as error:
        return ClusterDrift(problem=str(error))
    except Exception as error:  # noqa: BLE001 - the objects are whatever the cluster sent
        return ClusterDrift(problem=f"its policies cannot be compared ({type(error).__name__})")


def _changes(
    policies: tuple[Object, ...], reading: ClusterReading, files: Named, namespace: str | None
) -> tuple[Change, ...]:
    live: list[tuple[str, File]] = []
    data: dict[str, tuple[str, File]] = {}
    by_namespace: dict[str, list[Object]] = {}
    for raw in policies:
        by_namespace.setdefault(raw["metadata"]["namespace"], []).append(raw)
    for name, found in by_namespace.items():
        rendered = render_files(name, found, lambda name=name: _data(reading.data, name))  # type: ignore[misc]
        live += rendered.files
        data |= rendered.data
    git, there = read_beside_live(files, live, data)
    if git.is_broken:
        raise UserError("the policies of --against cannot be read beside the data of this cluster")
    if there.is_broken:
        raise UserError("a policy of this cluster is invalid: `kubectl bailiwick validate` says more")
    changes = compare(git.snapshot, there.snapshot, reading.time)
    return tuple(one for one in changes if namespace in {None, one.endpoint[0]})


def _data(listing: Listing, namespace: str) -> list[Object]:
    if isinstance(listing, str):
        raise UserError(listing)
    return [raw for raw in listing if raw["metadata"].get("namespace") == namespace]
