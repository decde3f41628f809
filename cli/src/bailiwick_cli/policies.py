"""Policies of one namespace, from the cluster or from files, compiled by the engine as where they are served.

Holds: what does not compile is told, and denies as it does there; nothing of it is left out.
"""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from bailiwick_api import policyfiles
from bailiwick_api.policyfiles import File, Looker
from bailiwick_api.positions import MAX_BYTES
from bailiwick_cli import output
from bailiwick_cli.cluster import Cluster, policies_path
from bailiwick_cli.errors import CliError
from bailiwick_engine import acceptance, manifests
from bailiwick_engine.checks import expiries
from bailiwick_engine.compile import compile_object, parse_spec, policy_ref
from bailiwick_engine.compiled import BrokenPolicy, CompiledPolicy
from bailiwick_engine.display import visible
from bailiwick_engine.manifests import Contents, Entry
from bailiwick_engine.snapshot import CompiledEndpoint, Snapshot

Object = dict[str, Any]

_KIND: Final = "EndpointPolicy"


def of_cluster(cluster: Cluster) -> Snapshot:
    """Compile the policies of a namespace."""
    items, _ = cluster.listed(policies_path(cluster.namespace))
    compiled = [compile_object(raw) for raw in items]
    for raw, policy in zip(items, compiled, strict=True):
        _tell(raw, policy)
    snapshot = Snapshot.of(compiled)
    for (_, name), found in snapshot.endpoints.items():
        if found.conflicted:
            first, *others = sorted(carrier.name for carrier in found.carriers)
            output.talk(f"error: the policy {visible(first)}: {visible(acceptance.conflicted(name, others))}")
        elif not found.carriers:
            output.talk(f"error: {visible(acceptance.unconfigured(name))}")
    return snapshot


def of_files(names: Sequence[str], namespace: str | None) -> tuple[Snapshot, str]:
    """Compile the policies of files as a decision point does that serves them; returns the namespace to ask about too.

    What is wrong is told with its place, and with what it denies.
    """
    entries = [entry for name in names for label, file in _files(name) for entry in _entries(label, file)]
    if not entries:
        raise CliError(f"{', '.join(names)}: no {_KIND} there")
    snapshot, reports = manifests.assemble(entries, "")
    for report in reports:
        output.talk(f"error: {report.problem}; this denies {report.denies}")
    now = time.time()
    for expiry in (expiry for entry in entries for expiry in entry.expiries if expiry.time <= now):
        output.talk(f"warning: {expiry.problem}")
    spaces = sorted({entry.ref.namespace for entry in entries if entry.ref.namespace})
    if not spaces:
        raise CliError("no policy there can be read: fix the problems above")
    if namespace is None and len(spaces) > 1:
        raise CliError(f"the policies are of several namespaces, say which with -n: {', '.join(spaces)}")
    return snapshot, namespace or spaces[0]


def endpoint(snapshot: Snapshot, namespace: str, wanted: str | None) -> tuple[str, CompiledEndpoint]:
    """Return the endpoint of this name, or the only one that there is."""
    known = {name: one for (space, name), one in snapshot.endpoints.items() if space == namespace}
    listed = ", ".join(sorted(known)) or "none"
    if wanted is None:
        if len(known) != 1:
            raise CliError(f"say --endpoint: in {namespace} there are {listed}")
        return next(iter(known.items()))
    if wanted not in known:
        raise CliError(f"no policy in {namespace} speaks of the endpoint {wanted!r}: there are {listed}")
    return wanted, known[wanted]


def _tell(raw: Object, policy: CompiledPolicy | BrokenPolicy) -> None:
    """Tell what is wrong with a policy of the cluster by itself."""
    name, now = visible(policy.ref.name), time.time()
    if isinstance(policy, BrokenPolicy):
        for problem in acceptance.judge(policy_ref(raw), raw.get("spec")).problems:
            output.talk(f"error: the policy {name} is broken: {visible(str(problem))}")
    elif not isinstance(spec := parse_spec(raw.get("spec")), tuple):
        for expiry in expiries(spec):
            if expiry.time <= now:
                output.talk(f"warning: the policy {name}: {visible(str(expiry.problem))}")


def _files(name: str) -> list[tuple[str, File]]:
    """Return a file that was named, whatever its name, or the files of a folder that a decision point reads."""
    try:
        if name == "-":
            return [("standard input", policyfiles.taken(sys.stdin.buffer.read(MAX_BYTES + 1)))]
        if Path(name).is_dir():
            return list(Looker(Path(name)).look().items())
        with Path(name).open("rb") as file:
            return [(name, policyfiles.taken(file.read(MAX_BYTES + 1)))]
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror or error}") from error


def _entries(label: str, file: File) -> list[Entry]:
    if file.unreadable is not None:
        read: Iterable[Contents] = (manifests.unreadable(label, file.unreadable),)
    else:
        read = (manifests.contents(label, document) for document in manifests.parse(file.content))
    return [entry for contents in read for entry in contents.entries]
