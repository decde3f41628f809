"""`unused`: which parts of policies let no call through for a while.

Holds: a log that is not whole, or does not reach back far enough, makes nothing unused; the file that remembers uses is
written last.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Final

from bailiwick_api.documents.policyfiles import File
from bailiwick_cli import output, statefile
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import ReportOutput
from bailiwick_cli.sources.inforce import read_policies
from bailiwick_cli.verbs.logverbs import UnusedFlags
from bailiwick_cli.views import usageview
from bailiwick_engine.policy.dimensions.condition import ConditionPart
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.usage.attribution import UseAttribution
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState, ScopeUse, scopes_of
from bailiwick_governance.arguments import moment_or_none, seconds
from bailiwick_governance.display import talk
from bailiwick_governance.records.derivations import texts_of_ledger
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.sources.policysides import read_sides
from bailiwick_governance.sources.policytexts import add_files
from bailiwick_governance.usage.logusage import LogUsage
from bailiwick_governance.usage.memory import UseMemory

_GAPS: Final = 100
"""A hundredth of the window may have no line of any chain."""


def run(options: UnusedFlags) -> int:
    """Count and tell."""
    window = seconds(options.window, "--window")
    if window <= 0:
        raise CliError("--window: give how long a rule must be without a use, such as 90d")
    named, namespace = read_policies(options, "unused")
    policies = _policies(named, namespace)
    scopes = _scopes(policies)
    memory = UseMemory() if options.state is None else statefile.read_memory(options.state)
    files = LogFiles(
        options.files, again=True, modified_since=moment_or_none(options.modified_since, "--modified-since")
    )
    first = LogAudit(WitnessBook(()))
    for _ in files.lines(first, "Reading the ledger"):
        pass
    texts = texts_of_ledger(first)
    add_files(texts, named)
    audit, usage = LogAudit(WitnessBook(())), LogUsage(memory, UseAttribution(texts), window / _GAPS)
    for line in files.lines(audit, "Counting uses"):
        usage.add(line)
    losses = usage.end(audit)
    if memory.covered is None:
        raise CliError(f"{', '.join(files.names)}: no line of a chain, and nothing is remembered")
    begin = memory.covered - window
    missing = tuple(dict.fromkeys(loss.said for loss in losses if loss.until >= begin))
    lines = tuple(_scope_line(scope, memory, begin) for scope in sorted(scopes))
    report = usageview.UsageReport(lines, begin, memory.covered, missing)
    if options.state is not None:
        statefile.write(options.state, memory)
    match options.output:
        case ReportOutput.JSON:
            sys.stdout.write(usageview.document(report))
        case ReportOutput.MARKDOWN:
            sys.stdout.write(usageview.markdown(report))
        case _:
            output.Table(usageview.HEADERS).add(list(usageview.rows(report)))
            output.write([[(report.headline, "bold")]])
    talk(f"{audit.lines} lines, {usage.counted} decisions counted")
    for place, history in unread_histories(policies):
        talk(f"note: no rule reads history {history} of {place}")
    for said in missing:
        talk(f"note: the log is not whole, so nothing counts as unused for now: {said}")
    return Exit.NO if report.count(ScopeState.UNUSED) else Exit.OK


def _scope_line(scope: RuleScope, memory: UseMemory, begin: float) -> usageview.ScopeLine:
    use = memory.scopes.get(scope, ScopeUse())
    return usageview.ScopeLine(scope, use, use.state(begin, whole=memory.whole_since(scope.subject, begin)))


def unread_histories(policies: Iterable[CompiledPolicy]) -> Iterator[tuple[str, str]]:
    """Yield each history that no rule and no ceiling of its endpoint reads, with the endpoint."""
    defined: dict[str, set[str]] = {}
    read: dict[str, set[str]] = {}
    for policy in policies:
        place = f"{policy.ref.namespace}/{policy.endpoint}"
        settings = policy.settings
        ceiling = settings.delegation.ceiling if settings is not None and settings.delegation is not None else ()
        parts: tuple[ConditionPart, ...] = (*policy.rules, *ceiling)
        for part in parts:
            read.setdefault(place, set()).update(*(one.histories for one in part.conditions))
        defined.setdefault(place, set()).update(one.name for one in (settings.histories if settings else ()))
    for place in sorted(defined):
        yield from ((place, name) for name in sorted(defined[place] - read.get(place, set())))


def _policies(named: list[tuple[str, File]], namespace: str | None) -> list[CompiledPolicy]:
    """Return the policies in force. Raises `CliError`."""
    _, side = read_sides((), named)
    if not side.entries:
        raise CliError("the files have no EndpointPolicy: nothing can be unused")
    side.refuse_broken("files")
    policies = [entry.policy for entry in side.entries if isinstance(entry.policy, CompiledPolicy)]
    here = [policy for policy in policies if namespace in {None, policy.ref.namespace}]
    if not here:
        known = ", ".join(sorted({policy.ref.namespace for policy in policies}))
        raise CliError(f"no policy in the files is in the namespace {namespace!r}: their namespaces are {known}")
    return here


def _scopes(policies: Iterable[CompiledPolicy]) -> frozenset[RuleScope]:
    """Return the scopes of these policies. Raises `CliError`."""
    found = frozenset(scope for policy in policies for scope in scopes_of(policy))
    if not found:
        raise CliError("no rule of the policies lets a call through: nothing can be unused")
    return found
