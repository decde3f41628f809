"""Policies and data in files, compiled by the engine as where they are served.

Standing: beside `clusterpolicies`, which has those of the cluster. Holds: what does not compile is reported, and denies
as it does there; nothing of it is left out. No client of a cluster is imported: it takes longer than most commands.
"""

import os
import stat
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bailiwick_api.documents import policyfiles
from bailiwick_api.documents.policyfiles import DirectoryScan, File
from bailiwick_api.documents.positions import MAX_BYTES, MAX_STREAM_BYTES, Document
from bailiwick_api.kinds.meta import GROUP
from bailiwick_engine.budget.ledger import Budget, BudgetLedger, Claim
from bailiwick_engine.compile import manifests
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.compile.datafiles import DataEntry
from bailiwick_engine.compile.manifests import ManifestEntry, ManifestFile, Report
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.steps import whole
from bailiwick_governance.arguments import STDIN
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.unreadfiles import refuse_unread_of

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


def compile_files(names: Sequence[str], namespace: str | None) -> tuple[Snapshot, str]:
    """Compile the policies of files as a decision point does that serves them; returns the namespace to ask about too.

    What is wrong is reported with its place, and with what it denies.
    """
    found = policy_set(files_named(names))
    if not found.entries:
        raise UserError(f"{', '.join(names)}: no {_KIND} found")
    snapshot, reports = found.assembled()
    for report in reports:
        talk(f"error: {report.problem}; this denies {report.denies}")
    now = time.time()
    for expiry in (expiry for entry in found.entries for expiry in entry.expiries if expiry.time <= now):
        talk(f"warning: {expiry.problem}")
    spaces = found.namespaces
    if not spaces:
        raise UserError("none of the policies can be read: fix the problems above")
    if namespace is None and len(spaces) > 1:
        raise UserError(f"the policies belong to several namespaces; choose one with -n: {', '.join(spaces)}")
    return snapshot, namespace or spaces[0]


def endpoint(snapshot: Snapshot, namespace: str, wanted: str | None) -> tuple[str, CompiledEndpoint]:
    """Return the endpoint of this name, or the only one that there is."""
    known = {name: one for (space, name), one in snapshot.endpoints.items() if space == namespace}
    listed = ", ".join(sorted(known)) or "none"
    if wanted is None:
        if len(known) != 1:
            raise UserError(f"set --endpoint: the endpoints in {namespace} are {listed}")
        return next(iter(known.items()))
    if wanted not in known:
        raise UserError(f"no policy in {namespace} is for the endpoint {wanted!r}: the endpoints are {listed}")
    return wanted, known[wanted]


def files_named(names: Iterable[str]) -> list[tuple[str, File]]:
    """Return the files of all these, of which each folder has something of ours. Raises `UserError`."""
    found: list[tuple[str, File]] = []
    for name in names:
        files = files_of(name)
        refuse_others(name, files)
        found += files
    return found


def files_of(name: str) -> list[tuple[str, File]]:
    """Return a file that was named, whatever its name, or the files of a folder that a decision point reads."""
    try:
        if name == STDIN:
            # A rendered chart with all its other objects; each document keeps the bound of a file.
            given = sys.stdin.buffer.read(MAX_STREAM_BYTES + 1)
            return [("standard input", policyfiles.policy_file(given, MAX_STREAM_BYTES))]
        if Path(name).is_dir():
            refuse_unread_of(Path(name))
            return list(DirectoryScan(Path(name)).look().items())
        return [(name, policyfiles.policy_file(_content(name)))]
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}") from error


def refuse_others(name: str, files: Sequence[tuple[str, File]]) -> None:
    """Raise `UserError` for a folder with nothing of ours in its files: another one may have been meant."""
    if name != STDIN and Path(name).is_dir() and not _has_ours([file for _, file in files]):
        raise UserError(f"{name}: no {_KIND} found")


def _content(name: str) -> bytes:
    """Return at most as much of a file as shows that it is too large. Raises `OSError`."""
    # Do not wait for a writer of a pipe. One that there is, as of `<(…)`, is waited for to the end.
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        begin = b""
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            try:
                if not (begin := os.read(descriptor, MAX_BYTES + 1)):
                    raise UserError(f"{name} cannot be read: it is a pipe without a writer")
            except BlockingIOError:
                pass
        os.set_blocking(descriptor, True)
        return begin + file.read(MAX_BYTES + 1 - len(begin))


def _has_ours(files: Sequence[File]) -> bool:
    """Tell whether one of the files is not plainly of others. Most name the group, which shows without parsing."""
    if any(file.unreadable is not None or GROUP.encode() in file.content for file in files):
        return True
    documents = (document for file in files for document in manifests.parse(file.content))
    return any(not manifests.is_foreign(found) for document in documents for _, found in manifests.objects(document))


def policy_set(files: Iterable[tuple[str, File]]) -> PolicySet:
    """Read policies and data, of which those that are over the budgets an installation has by default deny."""
    parsed = [(label, file, () if file.unreadable else manifests.parse(file.content)) for label, file in files]
    ledger = ledger_of(
        claim for _, _, documents in parsed for document in documents for claim in whole(manifests.claims(document))
    )
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


def ledger_of(claims: Iterable[tuple[str, Claim]]) -> BudgetLedger:
    """Return who is over the budgets that an installation has by default, of all that is served together."""
    ledger = BudgetLedger(Budget())
    for namespace, claim in claims:
        ledger.put(namespace, claim.name, claim)
    ledger.settle()
    return ledger
