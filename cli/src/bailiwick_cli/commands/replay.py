"""`replay`: what the decisions of a log would have come to under other policies.

Holds: nothing is decided here; a log without a decision that counts is an error, never a pass.
"""

import sys
import time

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace, refuse_stdin_twice
from bailiwick_cli.replay import view
from bailiwick_cli.replay.gate import DEFAULT, ReplayGate
from bailiwick_cli.replay.logreplay import LogReplay, candidate_of
from bailiwick_cli.replay.tally import ReplayTally
from bailiwick_cli.sources.gitfiles import files_at
from bailiwick_cli.verbs.logverbs import ReplayFlags, ReplayOutput
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.replay.outcomes import HINDRANCES, not_replayable
from bailiwick_evidence.replay.projections import ReplayBook
from bailiwick_evidence.replay.replay import EndpointStates
from bailiwick_governance.arguments import STDIN, moment, moment_or_none
from bailiwick_governance.display import talk
from bailiwick_governance.records.derivations import LEDGER, texts_of_ledger
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.sources.policies import files_of
from bailiwick_governance.sources.policytexts import add_files, read_texts

_HISTORY = b"history"


def run(options: ReplayFlags) -> int:
    """Replay and tell."""
    gate = ReplayGate.parse(options.fail_on or DEFAULT)
    since = None if options.since is None else moment(options.since, "--since")
    _refuse(options)
    named = [one for name in options.candidate for one in files_of(name)]
    # Rules over histories need the calls before, and a chain its first line, in files that may come in any order.
    counting = any(_HISTORY in file.content for _, file in named)
    files = LogFiles(
        options.files, again=True, modified_since=moment_or_none(options.modified_since, "--modified-since")
    )
    began = time.monotonic()
    whole = LogAudit(WitnessBook(()))
    for _ in files.lines(whole, "Reading the ledger"):
        pass
    texts = _texts(options, whole)
    candidate = candidate_of(named, texts, overlay=options.overlay)
    states = EndpointStates(texts, candidate, time.perf_counter_ns)
    book = ReplayBook(states)
    replay, audit = LogReplay(book, candidate, since), LogAudit(WitnessBook(()))
    if counting:
        for line in files.lines(LogAudit(WitnessBook(())), "Counting calls"):
            replay.count(line.text)
    for line in files.lines(audit, "Replaying decisions"):
        # A log can grow between the readings, by a chain that the first one did not have.
        replay.add(line.text, whole.chains.get(line.link.id, audit.chains[line.link.id]).opening)
    replay.end(audit)
    tally = replay.tally
    _refuse_empty(tally, files)
    failures = list(gate.failures(tally))
    match options.output:
        case ReplayOutput.JSON:
            sys.stdout.write(view.document(tally, failures))
        case ReplayOutput.MARKDOWN:
            sys.stdout.write(view.markdown(tally, failures))
        case ReplayOutput.JUNIT:
            sys.stdout.write(view.junit(tally, gate))
        case _:
            output.write(view.lines(tally, failures))
    took = time.monotonic() - began
    talk(f"{audit.lines} lines in {took:.1f} s; {book.evaluated} decisions were unlike any before")
    for hindrance, said in HINDRANCES.items():
        if tally.codes[not_replayable(hindrance).code]:
            talk(f"note: {hindrance}: {said}")
    return Exit.NO if failures else Exit.OK


def _texts(options: ReplayFlags, audit: LogAudit) -> PolicyTexts:
    """Return the texts of what decided. `audit`: of the log files."""
    texts = texts_of_ledger(audit) if options.policies in {None, LEDGER} else read_texts(str(options.policies))
    if options.base is not None:
        count = sum(add_files(texts, files_at(options.base, name)) for name in options.candidate)
        if not count:
            raise CliError(f"the candidate's files have no EndpointPolicy at {options.base}")
    return texts


def _refuse(options: ReplayFlags) -> None:
    refuse_cluster(options, "replay")
    refuse_namespace(options, "replay")
    refuse_stdin_twice([*options.files, *options.candidate, options.policies])
    if options.base is not None and STDIN in options.candidate:
        raise CliError("standard input has no revision: name the files in the repository")


def _refuse_empty(tally: ReplayTally, files: LogFiles) -> None:
    """Refuse a log of which nothing counts. Raises `CliError`."""
    names = ", ".join(files.names)
    if not tally.total and not tally.elsewhere:
        raise CliError(f"{names}: no record of a decision")
    if not tally.total:
        raise CliError(f"{names}: no decision of an endpoint that the candidate names, {tally.elsewhere} of others")
    if not tally.replayed and not tally.sealed:
        counted = ", ".join(f"{count} {code}" for code, count in sorted(tally.codes.items()))
        raise CliError(f"{names}: no decision could be replayed: {counted}")
