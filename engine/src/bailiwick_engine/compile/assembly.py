"""Assembly: the snapshot of the policies in all files, and the problems that only exist between policies.

Standing: after `manifests`, for processes that decide by files. Holds: no problem widens. If two policies have one
name, neither allows; a policy for an unknown namespace denies in every namespace.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bailiwick_engine.cel.data import Data
from bailiwick_engine.compile.acceptance import conflict_message, unconfigured_message
from bailiwick_engine.compile.datafiles import DataEntry, by_namespace, missing
from bailiwick_engine.compile.manifests import ManifestEntry, Report
from bailiwick_engine.compile.policies import salvage
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.replacements import Replacement, replaced_by, standings
from bailiwick_engine.policy.snapshot import EndpointKey, Snapshot, home
from bailiwick_engine.steps import Steps

_READERS: Final = "what would be allowed by a condition that reads it"


def assemble(
    entries: Sequence[ManifestEntry], revision: str, data: Sequence[DataEntry] = ()
) -> Steps[tuple[Snapshot, tuple[Report, ...]]]:
    """Return the snapshot of all files' policies and data, and what is wrong with them, in steps."""
    named: dict[tuple[str, str], list[ManifestEntry]] = {}
    for entry in entries:
        if entry.policy is not None and entry.ref.name:
            named.setdefault((entry.ref.namespace, entry.ref.name), []).append(entry)
    judged = [_twin(entry, named.get((entry.ref.namespace, entry.ref.name), [])) for entry in entries]
    policies = [entry.policy for entry in judged if entry.policy is not None]
    nowhere = [entry for entry in judged if entry.policy is None]
    snapshot = yield from Snapshot.steps([*policies, *_everywhere(policies, nowhere)], revision)
    if whole := [entry.ref for entry in nowhere if entry.endpoint is None]:
        namespaces = {namespace for namespace, _ in snapshot.endpoints}
        snapshot = replace(snapshot, unreadable={**dict.fromkeys(namespaces, whole[0]), **snapshot.unreadable})
    reports = [report for entry in judged for report in entry.reports]
    objects, twice = by_namespace(data)
    beside = {
        key: endpoint.with_data(objects.get(key[0], {})) if endpoint.data_names else endpoint
        for key, endpoint in snapshot.endpoints.items()
    }
    snapshot = replace(snapshot, endpoints=beside)
    reports += [Report(problem, _READERS) for problem in (*(one.problem for one in data if one.problem), *twice)]
    reports += _unfound(judged, objects)
    return snapshot, (*reports, *_unsettled(judged, snapshot))


def _unfound(entries: Iterable[ManifestEntry], objects: Mapping[str, Data]) -> Iterator[Report]:
    """Yield what policies name and no file holds."""
    for entry in entries:
        if isinstance(entry.policy, CompiledPolicy):
            for name in missing(entry.policy, objects.get(entry.ref.namespace, {})):
                problem = f"{entry.where}: spec.data: there is no EndpointData {entry.ref.namespace}/{name}"
                yield Report(problem, _READERS)


def _unsettled(entries: Iterable[ManifestEntry], snapshot: Snapshot) -> Iterator[Report]:
    """Yield what is wrong with endpoints whose policies are sound one by one: each denies all that is asked."""
    homes: dict[tuple[str, str], list[ManifestEntry]] = {}
    for entry in entries:
        if entry.policy is not None and (key := home(entry.policy)) is not None:
            homes.setdefault(key, []).append(entry)
    for (namespace, endpoint), found in homes.items():
        yield from _unshadowed(endpoint, found, elsewhere=homes)
        carriers = [entry for entry in found if entry.settings]
        denies = f"{namespace}/{endpoint}"
        if not snapshot.endpoints[namespace, endpoint].carriers:
            unconfigured = f"{unconfigured_message(endpoint)}; if a file that was not read has them, add that file"
            yield Report(f"{found[0].named}: spec.endpoint: {unconfigured}", denies)
        for entry in carriers if len(carriers) > 1 else ():
            others = {other.ref.name or other.where for other in carriers if other is not entry}
            yield Report(f"{entry.settings}: spec.endpointSettings: {conflict_message(endpoint, others)}", denies)


def _unshadowed(
    endpoint: str, found: Sequence[ManifestEntry], elsewhere: Mapping[EndpointKey, Sequence[ManifestEntry]]
) -> Iterator[Report]:
    """Yield the candidates of an endpoint that replace no policy. One that does not compile is already reported."""

    def other(name: str) -> str | None:
        return next((key[1] for key, held in elsewhere.items() if key[0] == namespace and _holds(held, name)), None)

    namespace = found[0].ref.namespace
    standing = standings(endpoint, {entry.ref.name: replaced_by(entry.spec) for entry in found}, other)
    for entry in found:
        told = standing.get(entry.ref.name)
        if told is None or told.standing is Replacement.IN_PLACE or not isinstance(entry.policy, CompiledPolicy):
            continue
        yield Report(f"{entry.replaces}: spec.replaces: {told.message}", "nothing: Audit mode")


def _holds(entries: Iterable[ManifestEntry], name: str) -> bool:
    return any(entry.ref.name == name for entry in entries)


def _twin(entry: ManifestEntry, same: Sequence[ManifestEntry]) -> ManifestEntry:
    """Return the entry, broken if another has its name: it is unknown which of the two was meant."""
    others = [other.where for other in same if other is not entry]
    if not others:
        return entry
    message = f"{entry.where}: metadata.name: {entry.ref.namespace}/{entry.ref.name} is also defined at {others[0]}"
    policy = entry.policy
    if isinstance(policy, CompiledPolicy):
        policy = salvage(entry.ref, entry.spec)
    return replace(entry, policy=policy, problems=(*entry.problems, message))


def _everywhere(
    policies: Iterable[CompiledPolicy | BrokenPolicy], nowhere: Iterable[ManifestEntry]
) -> Iterator[BrokenPolicy]:
    """Yield what denies an endpoint in every namespace that has one of that name."""
    known = {(policy.ref.namespace, policy.endpoint) for policy in policies}
    for entry in nowhere:
        for namespace, endpoint in known:
            if entry.endpoint is not None and endpoint == entry.endpoint:
                yield BrokenPolicy(replace(entry.ref, namespace=namespace), endpoint, None, audit=False)
