"""`explain`: why a decision came out as it did, of a record in the log, or of a call.

Holds: of a record that its own policies do not reproduce nothing is explained; a call is decided as `check` decides it.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_cli import output
from bailiwick_cli.askflags import CheckFlags, ExplainFlags
from bailiwick_cli.commands import check
from bailiwick_cli.derivations import RecordDerivation, record_of
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.gateview import needed
from bailiwick_cli.logfiles import LogFiles
from bailiwick_cli.nearview import NearView
from bailiwick_cli.options import LogOutput
from bailiwick_cli.output import Line
from bailiwick_cli.verdictview import verdict_lines, verdict_object
from bailiwick_engine.approval.display import visible
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.explain import Explanation, explain
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_evidence.derive.derive import Retrace

_WORDS: Final = 2
_FOLLOWS: Final = {
    DerivationClass.DERIVED: "It follows from the policies of that time.",
    DerivationClass.ATTESTED: "It follows from the policies of that time, and from what only the decision point knew.",
}


def run(options: ExplainFlags) -> int:
    """Explain what the words name."""
    return _of_record(options) if options.subject is None else _of_call(options)


def _of_call(options: ExplainFlags) -> int:
    if len(options.words) != _WORDS:
        raise CliError("with --subject, name one call: explain ACTION TYPE/ID")
    action, resource = options.words
    found = check.decided(
        CheckFlags(
            namespace=options.namespace,
            context=options.context,
            kubeconfig=options.kubeconfig,
            as_user=options.as_user,
            as_group=options.as_group,
            request_timeout=options.request_timeout,
            action=action,
            resource=resource,
            subject=options.subject or "",
            endpoint=options.endpoint,
            arguments=options.arguments,
            properties=options.properties,
            members=options.members,
            file=options.file,
        )
    )
    near = NearView(found.endpoint, found.call, found.around.now, found.explanation)
    if options.output is LogOutput.JSON:
        body = verdict_object(found.verdict, found.explanation, found.code)
        _print(body | {"kind": "Explanation"} | near.objects())
    else:
        output.write([*verdict_lines(found.verdict, found.explanation, found.code), *near.lines()])
        found.tell_how_to_ask()
    return found.code


def _of_record(options: ExplainFlags) -> int:
    wanted, *files = options.words
    if not files:
        raise CliError("name the log files that hold the record; of a call, set --subject")
    for flag, value in (
        ("--arg", options.arguments),
        ("--property", options.properties),
        ("--call-context", options.members),
        ("--filename", options.file),
        ("--endpoint", options.endpoint),
    ):
        if value:
            raise CliError(f"{flag} describes a call: a record says what was called; of a call, set --subject")
    found = record_of(wanted, options.item, LogFiles(files), options.policies)
    if found.retrace is None:
        if found.found is not None and found.found.kind is DerivationClass.CONTRADICTED:
            output.talk(f"error: its own policies do not reproduce this record, so nothing explains it: {found.why}")
            return Exit.NO
        raise CliError(f"the record of {visible(wanted)} cannot be explained: {found.why}")
    near = _near(found.retrace)
    if options.output is LogOutput.JSON:
        _print(_object(found, found.retrace) | ({} if near is None else near.objects()))
    else:
        output.write([*_lines(found, found.retrace), *(() if near is None else near.lines())])
    return Exit.OK


def _near(retrace: Retrace) -> NearView | None:
    """Return what was weighed of a call on record; None where no rule was looked at."""
    endpoint, call = retrace.endpoint, retrace.call
    if endpoint is None:
        return None
    snapshot = Snapshot({(call.namespace, call.endpoint): endpoint})
    found = explain(snapshot, call, Circumstances(retrace.now))
    return None if found is None else NearView(endpoint, call, retrace.now, found, retrace.sealed)


def _lines(found: RecordDerivation, retrace: Retrace) -> Iterator[Line]:
    record, reason = found.record, Reason(found.record["reason"])
    allowed = record["decision"] is True
    yield [("allow" if allowed else "deny", f"bold {'green' if allowed else 'red'}"), (f"  {reason.value}", "")]
    yield [(visible(_sentence(reason, retrace)), "")]
    for title, text in _facts(record, retrace):
        yield [(f"{title}: ", "bold"), (text, "")]
    if found.found is not None:
        yield [(_FOLLOWS[found.found.kind], "")]


def _facts(record: Any, retrace: Retrace) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a record
    subject = record.get("subject")
    yield (
        "Call",
        visible(
            f"{record['action']} on {record['resource']['type']}/{record['resource']['id']}"
            f" by {'somebody who was not proven' if subject is None else subject['id']} at {record['endpoint']}"
        ),
    )
    if (time := record.get("time")) is not None:
        yield "Time", visible(str(time))
    if (policy := record.get("policy")) is not None:
        yield "Rule", visible(f"{policy['name']}/{policy['rule']}")
    if (grant := record.get("grant")) is not None:
        yield "Approval", visible(str(grant["name"]))
    if retrace.verdict.gate is not None:
        yield "It takes", needed(retrace.verdict.gate)


def _sentence(reason: Reason, retrace: Retrace) -> str:
    """Return the policy's own word where it is the one of this reason."""
    return retrace.verdict.sentence if retrace.verdict.reason is reason else EXPLAINED[reason].sentence


def _object(found: RecordDerivation, retrace: Retrace) -> dict[str, Any]:
    record, reason = found.record, Reason(found.record["reason"])
    code = Exit.OK if record["decision"] is True else Exit.NO
    body = verdict_object(replace(retrace.verdict, reason=reason), Explanation(), code)
    body |= {"kind": "Explanation", "evaluationId": record.get("evaluation_id"), "message": _sentence(reason, retrace)}
    if found.found is not None:
        body["follows"] = found.found.kind.value
    if (grant := record.get("grant")) is not None:
        body["grant"] = grant["name"]
    return body


def _print(body: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(body, indent=2) + "\n")
