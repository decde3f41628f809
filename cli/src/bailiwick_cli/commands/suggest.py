"""`suggest`: how policies could be narrowed to what a log shows that they are used for.

Holds: nothing is applied; what is shown was compared and replayed before; a log that is not whole suggests nothing.
"""

import sys
import time
from collections.abc import Iterable

from bailiwick_api import times
from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.sources.inforce import read_policies
from bailiwick_cli.verbs.logverbs import SuggestFlags, SuggestOutput
from bailiwick_evidence.audit.claims import AHEAD_SECONDS, WitnessBook
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.arguments import moment, moment_or_none
from bailiwick_governance.display import talk
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.suggestion import view
from bailiwick_governance.suggestion.report import SuggestionReport, SuggestionRequest, report_on
from bailiwick_governance.suggestion.unusedrules import UnusedRules


def run(options: SuggestFlags) -> int:
    """Count, narrow, try and tell."""
    unused = _choose_unused(options)
    since = None if options.since is None else moment(options.since, "--since")
    named, namespace = read_policies(options, "suggest")
    files = LogFiles(
        options.files, again=True, modified_since=moment_or_none(options.modified_since, "--modified-since")
    )

    def reading(doing: str) -> tuple[LogAudit, Iterable[ChainLine]]:
        audit = LogAudit(WitnessBook(()))
        return audit, files.lines(audit, doing)

    latest = time.time() + AHEAD_SECONDS
    request = SuggestionRequest(named, namespace, since, unused, options.approvers or (), latest)
    report = report_on(request, reading)
    if options.write is not None:
        view.write(options.write, report.specs)
    match options.output:
        case SuggestOutput.JSON:
            sys.stdout.write(view.document(report))
        case SuggestOutput.MARKDOWN:
            sys.stdout.write(view.markdown(report))
        case SuggestOutput.PATCH:
            sys.stdout.writelines(view.commands(report))
        case _:
            if report.proposals:
                output.Table(view.HEADERS).add(list(view.rows(report)))
            output.write([[(report.headline, "bold")]])
            sys.stdout.writelines(view.patches(report))
    _talk(report, said=unused is not None)
    return Exit.NO if report.proposals else Exit.OK


def _talk(report: SuggestionReport, *, said: bool) -> None:
    """Say what is not suggested, and why. `said`: what becomes of rules without a use."""
    talk(f"{report.counted} decisions counted")
    for one in report.left_out:
        what = f"{one.proposal.policy}/{one.proposal.rule} {one.proposal.part} → {one.proposal.then}"
        talk(f"left out: {what}, since {one.why}")
    for missing in report.missing:
        talk(f"note: the log is not whole, so nothing is suggested for what may be missing: {missing}")
    if report.unknown:
        talk(f"note: NotYetKnown, and left as they are: {', '.join(report.unknown)}")
        if report.began is not None and report.began > report.window.begin:
            talk(f"note: these policies are known only since {times.epoch_stamp(report.began)}: set --since to that")
    if report.untouched:
        hint = "" if said else "; set --unused to choose what becomes of them"
        talk(f"note: unused, and left as they are: {', '.join(report.untouched)}{hint}")


def _choose_unused(options: SuggestFlags) -> UnusedRules | None:
    """Return what becomes of rules without a use; None where no flag says. Raises `CliError`."""
    if options.approvers:
        if options.unused not in {None, UnusedRules.APPROVAL}:
            raise CliError("--approvers is for --unused approval: remove one of them")
        return UnusedRules.APPROVAL
    if options.unused is UnusedRules.APPROVAL:
        raise CliError("--unused approval: name the group that approves with --approvers")
    return options.unused
