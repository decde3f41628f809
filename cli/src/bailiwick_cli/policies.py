"""Policies of one namespace, from the cluster or from files, compiled by the engine as where they are served.

Holds: what does not compile is told, and denies as it does there; nothing of it is left out.
"""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bailiwick_api import policyfiles
from bailiwick_api.policyfiles import DirectoryScan, File
from bailiwick_api.positions import MAX_BYTES, Document
from bailiwick_cli import output
from bailiwick_cli.cluster import ClusterClient, policies_path
from bailiwick_cli.errors import CliError
from bailiwick_engine.approval.display import visible
from bailiwick_engine.budget.ledger import Budget, Ledger
from bailiwick_engine.cel.data import read
from bailiwick_engine.compile import acceptance, manifests
from bailiwick_engine.compile.acceptance import NotAcceptedReason
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.compile.checks import expiries
from bailiwick_engine.compile.datafiles import DataEntry
from bailiwick_engine.compile.manifests import ManifestEntry, ManifestFile, Report
from bailiwick_engine.compile.policies import compile_object, parse_spec, policy_ref
from bailiwick_engine.compile.withheld import withheld
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.steps import whole
from bailiwick_kube.paths import data_path

Object = dict[str, Any]

_KIND: Final = "EndpointPolicy"


@dataclass(frozen=True, slots=True)
class PolicySet:
    """What files hold: policies and data. `ignored` counts the objects of other kinds.

    `files` and `documents` are what was read, each with its label.
    """

    entries: tuple[ManifestEntry, ...]
    data: tuple[DataEntry, ...] = ()
    ignored: int = 0
    files: tuple[tuple[str, File], ...] = ()
    documents: tuple[tuple[str, Document], ...] = ()

    def assembled(self) -> tuple[Snapshot, tuple[Report, ...]]:
        """Return what they come to where they are served together, and what is wrong with them."""
        return whole(assemble(self.entries, "", self.data))

    @property
    def namespaces(self) -> list[str]:
        """The namespaces of the policies."""
        return sorted({entry.ref.namespace for entry in self.entries if entry.ref.namespace})


def of_cluster(cluster: ClusterClient) -> Snapshot:
    """Compile the policies of a namespace. Who is over budget there, their status says."""
    items, _ = cluster.listed(policies_path(cluster.namespace))
    compiled = [_compiled(raw) for raw in items]
    snapshot = _beside_data(cluster, Snapshot.of(compiled))
    for (_, name), found in snapshot.endpoints.items():
        if found.conflicted:
            first, *others = sorted(carrier.name for carrier in found.carriers)
            output.talk(f"error: the policy {visible(first)}: {visible(acceptance.conflicted(name, others))}")
        elif not found.carriers:
            output.talk(f"error: {visible(acceptance.unconfigured(name))}")
    return snapshot


def _beside_data(cluster: ClusterClient, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with the data that its policies read, as it is in the cluster."""
    wanted = {name for found in snapshot.endpoints.values() for name in found.data_names}
    if not wanted:
        return snapshot
    try:
        items, _ = cluster.listed(data_path(cluster.namespace))
    except CliError as error:
        # Without the right to see it, or without the kind: here it is unknown, whatever it is to the decision point.
        output.talk(f"error: data cannot be read, and counts as unknown: {error}")
        return snapshot
    objects = {}
    for raw in items:
        metadata = raw["metadata"]
        if metadata["name"] in wanted:
            made = read(metadata["name"], metadata["uid"], metadata["generation"], raw.get("spec"))
            objects[made.name] = made
            if made.unknown is not None:
                output.talk(f"error: the EndpointData {visible(made.name)}: {visible(str(made.unknown.problem))}")
    for name in sorted(wanted - objects.keys()):
        output.talk(f"error: there is no EndpointData {visible(name)}: conditions that read it are unknown")
    return replace(snapshot, endpoints={key: found.beside(objects) for key, found in snapshot.endpoints.items()})


def of_files(names: Sequence[str], namespace: str | None) -> tuple[Snapshot, str]:
    """Compile the policies of files as a decision point does that serves them; returns the namespace to ask about too.

    What is wrong is told with its place, and with what it denies.
    """
    found = policy_set([file for name in names for file in files_of(name)])
    if not found.entries:
        raise CliError(f"{', '.join(names)}: no {_KIND} found")
    snapshot, reports = found.assembled()
    for report in reports:
        output.talk(f"error: {report.problem}; this denies {report.denies}")
    now = time.time()
    for expiry in (expiry for entry in found.entries for expiry in entry.expiries if expiry.time <= now):
        output.talk(f"warning: {expiry.problem}")
    spaces = found.namespaces
    if not spaces:
        raise CliError("none of the policies can be read: fix the problems above")
    if namespace is None and len(spaces) > 1:
        raise CliError(f"the policies belong to several namespaces; choose one with -n: {', '.join(spaces)}")
    return snapshot, namespace or spaces[0]


def endpoint(snapshot: Snapshot, namespace: str, wanted: str | None) -> tuple[str, CompiledEndpoint]:
    """Return the endpoint of this name, or the only one that there is."""
    known = {name: one for (space, name), one in snapshot.endpoints.items() if space == namespace}
    listed = ", ".join(sorted(known)) or "none"
    if wanted is None:
        if len(known) != 1:
            raise CliError(f"set --endpoint: the endpoints in {namespace} are {listed}")
        return next(iter(known.items()))
    if wanted not in known:
        raise CliError(f"no policy in {namespace} is for the endpoint {wanted!r}: the endpoints are {listed}")
    return wanted, known[wanted]


def _compiled(raw: Object) -> CompiledPolicy | BrokenPolicy:
    """Compile a policy of the cluster, unless it is over budget, and tell what is wrong with it by itself."""
    ref, spec, now = policy_ref(raw), raw.get("spec"), time.time()
    name = visible(ref.name)
    if (excess := _told_over(raw)) is not None:
        output.talk(f"error: the policy {name} is over budget: {visible(excess)}")
        return withheld(ref, spec)
    policy = compile_object(raw)
    if isinstance(policy, BrokenPolicy):
        for problem in acceptance.judge(ref, spec).problems:
            output.talk(f"error: the policy {name} is invalid: {visible(str(problem))}")
    elif not isinstance(parsed := parse_spec(spec), tuple):
        for expiry in expiries(parsed):
            if expiry.time <= now:
                output.talk(f"warning: the policy {name}: {visible(str(expiry.problem))}")
    return policy


def _told_over(raw: Object) -> str | None:
    generation = raw["metadata"].get("generation")
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if (
            condition.get("reason") == NotAcceptedReason.OVER_BUDGET
            and condition.get("observedGeneration") == generation
        ):
            return str(condition.get("message", ""))
    return None


def files_of(name: str) -> list[tuple[str, File]]:
    """Return a file that was named, whatever its name, or the files of a folder that a decision point reads."""
    try:
        if name == "-":
            return [("standard input", policyfiles.taken(sys.stdin.buffer.read(MAX_BYTES + 1)))]
        if Path(name).is_dir():
            return list(DirectoryScan(Path(name)).look().items())
        with Path(name).open("rb") as file:
            return [(name, policyfiles.taken(file.read(MAX_BYTES + 1)))]
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror or error}") from error


def policy_set(files: Iterable[tuple[str, File]]) -> PolicySet:
    """Read policies and data, of which those that are over the budgets an installation has by default deny."""
    parsed = [(label, file, () if file.unreadable else manifests.parse(file.content)) for label, file in files]
    ledger = Ledger(Budget())
    for _, _, documents in parsed:
        for namespace, claim in (claim for document in documents for claim in whole(manifests.claims(document))):
            ledger.put(namespace, claim.name, claim)
    ledger.settle()
    read: list[ManifestFile] = []
    for label, file, documents in parsed:
        if file.unreadable is not None:
            read.append(manifests.unreadable(label, file.unreadable))
        read += [whole(manifests.contents(label, document, ledger)) for document in documents]
    return PolicySet(
        tuple(entry for contents in read for entry in contents.entries),
        tuple(one for contents in read for one in contents.data),
        sum(contents.ignored for contents in read),
        tuple((label, file) for label, file, _ in parsed),
        tuple((label, document) for label, _, documents in parsed for document in documents),
    )
