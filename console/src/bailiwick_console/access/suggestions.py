"""What `suggest` would print for the policies that name an identity, by the records that the console was given.

Standing: over `suggestion`, which counts, compares and replays. Holds: nothing is proposed that `suggest` does not
print, and nothing is applied; why there is nothing is said in its words.
"""

import dataclasses
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bailiwick_api import times
from bailiwick_api.documents.policyfiles import File
from bailiwick_console.endpoints import source
from bailiwick_console.threads.background import WorkProgress
from bailiwick_console.threads.recordfiles import RecordFiles
from bailiwick_engine.keys import Key
from bailiwick_evidence.audit.claims import AHEAD_SECONDS
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.display import Line
from bailiwick_governance.sources.livepolicies import render_files
from bailiwick_governance.suggestion import view
from bailiwick_governance.suggestion.policybook import PolicyName
from bailiwick_governance.suggestion.report import SuggestionReport, SuggestionRequest, report_on


@dataclass(frozen=True, slots=True)
class ProposedNarrowing:
    """What is proposed for the policies that name an identity: rows of evidence, and a command for each policy.

    `notes`: what is not proposed, and why. `since`: from when on everything is known, where that is later than what was
    looked at; empty: it is not.
    """

    headline: str
    headers: tuple[str, ...]
    rows: tuple[Line, ...]
    commands: tuple[str, ...]
    notes: tuple[str, ...]
    since: str


def report(
    cluster: ClusterClient, namespace: str | None, files: RecordFiles, since: float | None, progress: WorkProgress
) -> SuggestionReport:
    """Read policies and records, and have `suggest` judge. Raises `UserError` as it does."""
    progress.begin("Reading the policies", 0)
    named = list(_live(cluster, namespace))
    latest = time.time() + AHEAD_SECONDS
    return report_on(SuggestionRequest(named, None, since, latest=latest), files.reading(progress))


def narrowing_of(found: SuggestionReport, key: Key) -> ProposedNarrowing:
    """Return what of a report is about the policies that name somebody."""
    policies = {PolicyName(scope.namespace, scope.policy) for scope in found.uses if scope.subject == key}
    own = dataclasses.replace(
        found,
        proposals=tuple(one for one in found.proposals if one.policy in policies),
        left_out=tuple(one for one in found.left_out if one.proposal.policy in policies),
    )
    late = found.began is not None and found.began > found.window.begin and bool(found.unknown)
    return ProposedNarrowing(
        own.headline,
        view.HEADERS,
        tuple(view.rows(own)),
        tuple(command.rstrip("\n") for command in view.commands(own)),
        tuple(_notes(own, {f"{name}/" for name in map(str, policies)})),
        times.epoch_stamp(found.began + 1) if late and found.began is not None else "",
    )


def _notes(found: SuggestionReport, own: set[str]) -> Iterator[str]:
    for one in found.left_out:
        what = f"{one.proposal.policy}/{one.proposal.rule} {one.proposal.part} → {one.proposal.then}"
        yield f"left out: {what}, since {one.why}"
    for missing in found.missing:
        yield f"the log is not whole, so nothing is suggested for what may be missing: {missing}"
    for why, listed in (("not yet known", found.unknown), ("unused", found.untouched)):
        named = [one for one in listed if any(one.startswith(policy) for policy in own)]
        if named:
            yield f"{why}, and left as they are: {', '.join(named)}"


def _live(cluster: ClusterClient, namespace: str | None) -> Iterator[tuple[str, File]]:
    """Yield the policies and data in force, as files. Raises `UserError`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for raw in source.policies(cluster, namespace):
        found.setdefault(raw["metadata"]["namespace"], []).append(raw)
    for name, items in found.items():
        yield from render_files(name, items, functools.partial(source.data, cluster, name)).files
