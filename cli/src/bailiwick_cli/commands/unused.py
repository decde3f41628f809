"""`unused`: which parts of policies let no call through for a while.

Holds: a log that is not whole, or does not reach back far enough, makes nothing unused; the file that remembers uses is
written last.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

from bailiwick_api.documents.policyfiles import File
from bailiwick_cli import output, statefile
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import ReportOutput
from bailiwick_cli.shards.logusages import UsageShare, UsageTotals
from bailiwick_cli.shards.shardfile import ShardWriter, read_share, share_of
from bailiwick_cli.shards.shardjob import print_job
from bailiwick_cli.sources.inforce import read_policies
from bailiwick_cli.verbs.logverbs import UnusedFlags
from bailiwick_cli.views import usageview
from bailiwick_engine.policy.dimensions.condition import ConditionPart
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_evidence.audit.claims import AHEAD_SECONDS, WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.usage.attribution import UseAttribution
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState, ScopeUse, scopes_of
from bailiwick_governance.arguments import moment_or_none, seconds
from bailiwick_governance.display import talk
from bailiwick_governance.records.derivations import texts_of_ledger
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.sources.policysides import read_sides
from bailiwick_governance.sources.policytexts import add_files
from bailiwick_governance.usage.logusage import LogLoss, LogUsage
from bailiwick_governance.usage.memory import UseMemory

VERB: Final = "unused"
_GAPS: Final = 100
"""A hundredth of the window may have no line of any chain."""


def run(options: UnusedFlags) -> int:
    """Count and tell."""
    if options.as_job is not None:
        return print_job(options, options.files, VERB)
    share = share_of(options)
    window = seconds(options.window, "--window")
    if window <= 0:
        raise CliError("--window: give how long a rule must be without a use, such as 90d")
    if share is not None and options.state is not None:
        raise CliError("--state makes the log of each run short: remove it, or --shards")
    named, namespace = read_policies(options, "unused")
    writer = None if share is None else ShardWriter(options, share, VERB, [file.content for _, file in named])
    policies = _policies(named, namespace)
    scopes = _scopes(policies)
    latest = time.time() + AHEAD_SECONDS
    memory = UseMemory() if options.state is None else statefile.read_memory(options.state, latest)
    files = LogFiles(
        options.files,
        again=True,
        modified_since=moment_or_none(options.modified_since, "--modified-since"),
        hashed=share is not None,
    )
    first = read_share(files, share, "Reading the ledger", writer)
    texts = texts_of_ledger(first)
    add_files(texts, named)
    audit = LogAudit(WitnessBook(()), share=first.share)
    usage = LogUsage(memory, UseAttribution(texts), window / _GAPS, latest=latest)
    for line in files.lines(audit, "Counting uses"):
        if audit.judges(line.link.id):
            usage.add(line, audit.lines)
        else:
            usage.learn(line)
    talk(f"{audit.lines} lines, {usage.counted} decisions counted")
    notes = tuple(f"no rule reads history {history} of {place}" for place, history in unread_histories(policies))
    totals = UsageTotals(window, window / _GAPS, scopes, audit.unread_apart, audit.count_of_chains(), notes)
    if writer is not None:
        writer.check(files)
        writer.write(totals, UsageShare.from_usage(usage, audit))
        return Exit.OK
    losses = usage.end(audit)
    if memory.covered is None:
        raise CliError(f"{', '.join(files.names)}: no line of a chain, and nothing is remembered")
    if options.state is not None:
        statefile.write(options.state, memory)
    return show(totals, memory, losses, options.output)


def show(totals: UsageTotals, memory: UseMemory, losses: Iterable[LogLoss], form: ReportOutput) -> int:
    """Print what was used, and return the exit code."""
    covered = memory.covered or 0.0
    # A window can be longer than the calendar.
    begin = max(covered - totals.window, 0.0)
    missing = tuple(dict.fromkeys(loss.said for loss in losses if loss.until >= begin))
    lines = tuple(_scope_line(scope, memory, begin) for scope in totals.scopes)
    report = usageview.UsageReport(lines, begin, covered, missing)
    match form:
        case ReportOutput.JSON:
            sys.stdout.write(usageview.document(report))
        case ReportOutput.MARKDOWN:
            sys.stdout.write(usageview.markdown(report))
        case _:
            output.Table(usageview.HEADERS).add(list(usageview.rows(report)))
            output.write([[(report.headline, "bold")]])
    for note in totals.notes:
        talk(f"note: {note}")
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


def _scopes(policies: Iterable[CompiledPolicy]) -> tuple[RuleScope, ...]:
    """Return the scopes of these policies, in order. Raises `CliError`."""
    found = frozenset(scope for policy in policies for scope in scopes_of(policy))
    if not found:
        raise CliError("no rule of the policies lets a call through: nothing can be unused")
    return tuple(sorted(found))
