"""`replay`: what the decisions of a log would have come to under other policies.

Holds: nothing is decided here; a log without a decision that counts is an error, never a pass.
"""

import sys
import time
from collections.abc import Sequence
from typing import Final

from bailiwick_api.documents.policyfiles import File
from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace, refuse_stdin_twice
from bailiwick_cli.replay import view
from bailiwick_cli.replay.gate import DEFAULT, ReplayGate
from bailiwick_cli.replay.logreplay import LogReplay, candidate_of
from bailiwick_cli.replay.tally import ReplayTally
from bailiwick_cli.shards.logreplays import ReplayShare, ReplayTotals
from bailiwick_cli.shards.shardfile import ShardWriter, read_share, share_of
from bailiwick_cli.shards.shardjob import print_job
from bailiwick_cli.sources.gitfiles import files_at
from bailiwick_cli.verbs.logverbs import ReplayFlags, ReplayOutput
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.replay.outcomes import HINDRANCES, ReplayClass, not_replayable
from bailiwick_evidence.replay.projections import ReplayBook
from bailiwick_evidence.replay.replay import EndpointStates
from bailiwick_governance.arguments import STDIN, moment, moment_or_none
from bailiwick_governance.display import talk
from bailiwick_governance.records.derivations import LEDGER, texts_of_ledger
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.sources.policies import files_named
from bailiwick_governance.sources.policytexts import add_files, read_texts

VERB: Final = "replay"
_HISTORY: Final = b"history"


def run(options: ReplayFlags) -> int:
    """Replay and tell."""
    if options.as_job is not None:
        return print_job(options, options.files, VERB)
    share = share_of(options)
    words = tuple(options.fail_on or DEFAULT)
    ReplayGate.parse(words)
    since = None if options.since is None else moment(options.since, "--since")
    _refuse(options)
    named = files_named(options.candidate)
    before = _files_before(options)
    contents = [file.content for _, file in (*named, *before)]
    writer = None if share is None else ShardWriter(options, share, VERB, contents)
    # Rules over histories need the calls before, and a chain its first line, in files that may come in any order.
    counting = any(_HISTORY in file.content for _, file in named)
    files = LogFiles(
        options.files,
        again=True,
        modified_since=moment_or_none(options.modified_since, "--modified-since"),
        hashed=share is not None,
    )
    began = time.monotonic()
    whole = read_share(files, share, "Reading the ledger", writer)
    texts = _texts(options, whole, before)
    candidate = candidate_of(named, texts, overlay=options.overlay)
    states = EndpointStates(texts, candidate, time.perf_counter_ns)
    book = ReplayBook(states)
    replay, audit = LogReplay(book, candidate, since), LogAudit(WitnessBook(()), share=whole.share)
    if counting:
        for line in files.lines(LogAudit(WitnessBook(()), share=whole.share), "Counting calls"):
            replay.count(line.text)
        if writer is not None:
            writer.check(files)
    for line in files.lines(audit, "Replaying decisions"):
        if audit.judges(line.link.id):
            # A log can grow between the readings, by a chain that the first one did not have.
            opening = whole.opening_of(line.link.id) or audit.opening_of(line.link.id)
            replay.add(line.text, opening, audit.lines)
        else:
            replay.learn(line.text)
    # Of two lines with one number only the first is read, and which one is true is not known.
    replay.tally.unread(audit.torn_in_chains + audit.forked)
    totals = ReplayTotals(audit.unread_apart, audit.foreign - audit.unchained, words, files.names)
    took = time.monotonic() - began
    talk(f"{audit.lines} lines in {took:.1f} s; {book.evaluated} decisions were unlike any before")
    if writer is not None:
        writer.check(files)
        writer.write(totals, ReplayShare.from_tally(replay.tally))
        return Exit.OK
    return show(totals, replay.tally, options.output)


def show(totals: ReplayTotals, tally: ReplayTally, form: ReplayOutput) -> int:
    """Print a replay, and return the exit code. `tally`: of all chains. Raises `CliError` if nothing counts."""
    tally.unread(totals.unread)
    tally.foreign = totals.foreign
    _refuse_empty(tally, totals.names)
    gate = ReplayGate.parse(totals.fail_on)
    failures = list(gate.failures(tally))
    match form:
        case ReplayOutput.JSON:
            sys.stdout.write(view.document(tally, failures))
        case ReplayOutput.MARKDOWN:
            sys.stdout.write(view.markdown(tally, failures))
        case ReplayOutput.JUNIT:
            sys.stdout.write(view.junit(tally, gate))
        case _:
            output.write(view.lines(tally, failures))
    for hindrance, said in HINDRANCES.items():
        if tally.codes[not_replayable(hindrance).code]:
            talk(f"note: {hindrance}: {said}")
    return Exit.NO if failures else Exit.OK


def _files_before(options: ReplayFlags) -> list[tuple[str, File]]:
    """Return the candidate's files as they were at the revision that the flags name. Raises `CliError`."""
    if options.base is None:
        return []
    return [one for name in options.candidate for one in files_at(options.base, name)]


def _texts(options: ReplayFlags, audit: LogAudit, before: list[tuple[str, File]]) -> PolicyTexts:
    """Return the texts of what decided. `audit`: of the log files. `before`: files that may have decided too."""
    texts = texts_of_ledger(audit) if options.policies in {None, LEDGER} else read_texts(str(options.policies))
    if options.base is not None and not add_files(texts, before):
        raise CliError(f"the candidate's files have no EndpointPolicy at {options.base}")
    return texts


def _refuse(options: ReplayFlags) -> None:
    refuse_cluster(options, "replay")
    refuse_namespace(options, "replay")
    refuse_stdin_twice([*options.files, *options.candidate, options.policies])
    if options.base is not None and STDIN in options.candidate:
        raise CliError("standard input has no revision: name the files in the repository")


def _refuse_empty(tally: ReplayTally, logs: Sequence[str]) -> None:
    """Refuse a log of which nothing counts. Raises `CliError`."""
    names = ", ".join(logs)
    if not tally.total and not tally.elsewhere:
        raise CliError(f"{names}: no record of a decision")
    if not tally.total:
        raise CliError(f"{names}: no decision of an endpoint that the candidate names, {tally.elsewhere} of others")
    if not tally.replayed and not tally.codes[ReplayClass.MAYBE]:
        counted = ", ".join(f"{count} {code}" for code, count in sorted(tally.codes.items()))
        raise CliError(f"{names}: no decision could be replayed: {counted}")
