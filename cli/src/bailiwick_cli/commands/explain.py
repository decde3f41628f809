"""`explain`: why a decision came out as it did, of a record in the log, or of a call.

Holds: of a record that its own policies do not reproduce nothing is explained but what the engine says instead; a
call is decided as `check` decides it.
"""

import json
import sys
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_cli import output
from bailiwick_cli.commands import check
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.options import LogOutput
from bailiwick_cli.verbs.askverbs import ExplainFlags
from bailiwick_cli.views.verdictview import verdict_lines, verdict_object
from bailiwick_engine.approval.display import visible
from bailiwick_engine.decision.explain import Explanation
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_evidence.derive.derive import Retrace
from bailiwick_governance.display import talk
from bailiwick_governance.records.derivations import LEDGER, RecordDerivation, record_of
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.views.nearview import NearView
from bailiwick_governance.views.recordview import record_lines, sentence

_WORDS: Final = 2


def run(options: ExplainFlags) -> int:
    """Explain what the words name."""
    return _explain_record(options) if options.subject is None else _explain_call(options)


def _explain_call(options: ExplainFlags) -> int:
    if len(options.words) != _WORDS:
        raise CliError("with --subject, name one call: explain ACTION TYPE/ID")
    if options.policies is not None:
        raise CliError("--policies has what decided a record: for a call by the policies of files, set -f instead")
    if options.item is not None:
        raise CliError("--item chooses from a batch on record, and --subject describes one call: leave one out")
    action, resource = options.words
    found = check.check_call(options, action, resource, options.subject or "")
    near = NearView(found.endpoint, found.call, found.around.now, found.explanation)
    if options.output is LogOutput.JSON:
        body = verdict_object(found.verdict, found.explanation, found.code)
        _print(body | {"kind": "Explanation"} | near.objects())
    else:
        output.write_folded([*verdict_lines(found.verdict, found.explanation, found.code), *near.lines()])
        found.tell_how_to_ask()
    return found.end()


def _explain_record(options: ExplainFlags) -> int:
    refuse_cluster(options, "explain of a record")
    refuse_namespace(options, "explain of a record")
    wanted, *files = options.words
    if not files:
        raise CliError("name the log files that hold the record; to explain a call, set --subject")
    for flag, value in (
        ("--arg", options.arguments),
        ("--property", options.properties),
        ("--call-context", options.members),
        ("--now", options.now),
        ("--filename", options.file),
        ("--endpoint", options.endpoint),
        ("--at", options.at),
        ("--log", options.log),
    ):
        if value:
            raise CliError(f"{flag} describes a call, and a record holds its own; to explain a call, set --subject")
    found = record_of(wanted, options.item, LogFiles(files), options.policies or LEDGER)
    near = None if found.retrace is None else NearView.from_retrace(found.retrace)
    if found.found is not None and found.found.kind is DerivationClass.CONTRADICTED:
        talk(f"error: its own policies do not reproduce this record, so nothing explains it: {found.why}")
        # What the engine weighed explains its own answer, and not the record.
        output.write(() if near is None else near.lines(), sys.stderr)
        return Exit.NO
    if found.retrace is None:
        call = " To explain the call instead, name it: explain ACTION TYPE/ID --subject sa:NAMESPACE/NAME -f POLICIES"
        why = found.why if found.found is not None else found.why + call
        raise CliError(f"the record of {visible(wanted)} cannot be explained: {why}")
    if options.output is LogOutput.JSON:
        _print(_object(found, found.retrace) | ({} if near is None else near.objects()))
    else:
        output.write_folded([*record_lines(found, found.retrace), *(() if near is None else near.lines())])
    return Exit.OK


def _object(found: RecordDerivation, retrace: Retrace) -> dict[str, Any]:
    record, reason = found.record, Reason(found.record["reason"])
    code = Exit.OK if record["decision"] is True else Exit.NO
    body = verdict_object(replace(retrace.verdict, reason=reason), Explanation(), code)
    body |= {"kind": "Explanation", "evaluationId": record.get("evaluation_id"), "message": sentence(reason, retrace)}
    if found.found is not None:
        body["follows"] = found.found.kind.value
    if (grant := record.get("grant")) is not None:
        body["grant"] = grant["name"]
    return body


def _print(body: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(body, indent=2) + "\n")
