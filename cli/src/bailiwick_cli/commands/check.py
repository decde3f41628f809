"""`check`: what the policies decide of a call, by the engine itself.

Holds: there is no rule here. The call is given to `decide` as an enforcer would give it, with its subject proven; what
only the decision point learns (workload, claims) is unknown, as the engine knows unknown.
"""

import shlex
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_cli import arguments, clusterpolicies, output, policies
from bailiwick_cli.cluster import ClusterClient, connect, grants_path
from bailiwick_cli.errors import ApiError, CliError, Exit
from bailiwick_cli.flags import CheckFlags
from bailiwick_cli.grantview import span
from bailiwick_cli.options import Output
from bailiwick_cli.output import Line
from bailiwick_engine.approval import grants
from bailiwick_engine.approval.display import visible
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.clauses import Clause
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.explain import Explanation, RequiredChange, explain
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.reasons import Reason

_EFFECTS: Final = {
    Exit.OK: ("allow", "green"),
    Exit.NO: ("deny", "red"),
    Exit.FAILURE: ("deny", "red"),
    Exit.PENDING: ("approval required", "yellow"),
}
# What denies is not what somebody wrote, but that it cannot be read or is not whole.
_BROKEN: Final = {Reason.POLICY_INVALID, Reason.ENDPOINT_UNCONFIGURED}

# An approval is there; what is missing is its token, as the reason says.
_BY_TOKEN: Final = {Reason.APPROVAL_TOKEN_REQUIRED, Reason.APPROVAL_TOKEN_INVALID}


def run(options: CheckFlags) -> int:
    """Decide and tell."""
    _refuse_mistaken(options)
    account = arguments.service_account(options.subject, "--subject")
    context = arguments.values(options.members, "--call-context")
    cluster = None if options.file else connect(options)
    if cluster is None:
        snapshot, namespace = policies.of_files(options.file or (), options.namespace)
    else:
        snapshot, namespace = clusterpolicies.of_cluster(cluster), cluster.namespace
    name, endpoint = policies.endpoint(snapshot, namespace, options.endpoint)
    if options.arguments:
        context["args"] = arguments.values(options.arguments, "--arg")
    uid = "" if cluster is None else _uid(cluster, account)
    asserted = endpoint.settings is not None and endpoint.settings.asserted
    call = Call(
        namespace=namespace,
        endpoint=name,
        caller=_caller(endpoint, account.username, uid),
        subject=Party(
            SERVICE_ACCOUNT, account.username, uid, issuer=None if asserted else CLUSTER, hypothetical=not asserted
        ),
        action=Action(options.action),
        resource=_resource(options),
        context=context,
    )
    around = Circumstances(now=time.time())
    verdict = decide(snapshot, call, () if cluster is None else _grants(cluster), around)
    explanation = explain(snapshot, call, around) or Explanation()
    code = exit_code(verdict, endpoint)
    if options.output in {Output.JSON, Output.YAML}:
        sys.stdout.write(output.document(_object(verdict, explanation, code), options.output))
    elif options.output is Output.NAME:
        sys.stdout.write(_EFFECTS[code][0] + "\n")
    else:
        output.write(_lines(verdict, explanation, code))
        if code is Exit.PENDING and verdict.gate is not None and verdict.pending is None:
            output.talk(_how_to_ask(verdict.gate, call, account))
    return code


def exit_code(verdict: Verdict, endpoint: CompiledEndpoint) -> Exit:
    """Return 0 for allowed, 3 where an approval is needed or waited for, 1 for denied, 2 where policies are broken."""
    if verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT}:
        return Exit.OK
    if verdict.reason in _BROKEN or endpoint.settings is None:
        return Exit.FAILURE
    return Exit.PENDING if verdict.awaits_approval else Exit.NO


def _refuse_mistaken(options: CheckFlags) -> None:
    """Refuse flags of kubectl's own that say nothing here, so that nobody takes them for something of the call."""
    if "=" in (options.context or ""):
        raise CliError(
            "--context names a kubeconfig context: for the context of the call use --call-context NAME=VALUE"
        )
    if (options.as_user or "").startswith("sa:"):
        raise CliError("--as names a user to impersonate: for the subject of the call use --subject")
    if options.file:
        for flag, value in (
            ("--context", options.context),
            ("--as", options.as_user),
            ("--as-group", options.as_group),
        ):
            if value:
                raise CliError(f"-f does not use a cluster: remove {flag}")


def _resource(options: CheckFlags) -> Resource:
    kind, name = arguments.resource(options.resource)
    return Resource(kind, name, arguments.values(options.properties, "--property") or None)


def _caller(endpoint: CompiledEndpoint, username: str, uid: str) -> ServiceAccount:
    """Return an enforcer of the endpoint; where it has none the subject, who may always ask about itself."""
    enforcers = sorted(endpoint.enforcers)
    return ServiceAccount(enforcers[0], "") if enforcers else ServiceAccount(username, uid)


def _uid(cluster: ClusterClient, account: ServiceAccountName) -> str:
    """Return the uid of a service account, by which grants know it; none where we may not see it."""
    try:
        return str(cluster.get(account.path)["metadata"]["uid"])
    except ApiError as error:
        output.talk(f"note: existing approvals are ignored, because the service account cannot be read: {error}")
        return ""


def _grants(cluster: ClusterClient) -> list[Grant]:
    try:
        items, _ = cluster.listed(grants_path(cluster.namespace))
    except ApiError as error:
        output.talk(f"note: existing approvals are ignored: {error}")
        return []
    return [grant for raw in items if (grant := grants.parse(raw)) is not None]


def _lines(verdict: Verdict, explanation: Explanation, code: Exit) -> Iterator[Line]:
    effect, style = _EFFECTS[code]
    yield [(effect, f"bold {style}"), (f"  {verdict.reason.value}", "")]
    yield [(visible(verdict.sentence), "")]
    if verdict.rule is not None:
        yield [("Rule: ", "bold"), (f"{_place(verdict.rule)} ({verdict.rule.effect.value})", "")]
    for grant in verdict.grants[:1]:
        yield [("Approval: ", "bold"), (visible(grant.name), "")]
    if verdict.pending is not None:
        yield [("Pending: ", "bold"), (visible(verdict.pending.name), "")]
    if code is Exit.OK:
        return
    if verdict.gate is not None and verdict.reason not in _BY_TOKEN:
        yield [("To allow it: ", "bold"), (_asked(verdict.gate), "")]
    if explanation.changes:
        yield [("Nearest miss, and what would have to change:", "bold")]
        for change in explanation.changes:
            yield from (([("  " + line, "")]) for line in _changed(change))
        then = "the call would still need an approval" if explanation.approval else "the call would be allowed"
        yield [(f"  Then {then}.", "")]


def _asked(gate: Gate) -> str:
    steps = " and ".join(
        f"{step.count} {step.kind} review{'s' if step.count > 1 else ''}"
        + (f" from {' or '.join(visible(group) for group in step.groups)}" if step.groups else "")
        + f" ({visible(step.name)})"
        for step in gate.steps
    )
    times = "once" if gate.max_uses == 1 else f"{gate.max_uses} times"
    return f"an approval with {steps}; it can be used {times} within {span(gate.window_seconds)}"


def _how_to_ask(gate: Gate, call: Call, account: ServiceAccountName) -> str:
    if not gate.scope:
        return (
            "The enforcer must request the approval with this exact call: the rule binds an approval to the whole call."
        )
    resource = f"{call.resource.type}/{call.resource.id}"
    words = ["kubectl", "bailiwick", "request", call.action.name, resource, "-n", call.namespace]
    words += ["--endpoint", call.endpoint, "--subject", account.short]
    for name in sorted(gate.scope_properties & (call.resource.properties or {}).keys()):
        words += ["--property", f"{name}={(call.resource.properties or {})[name]}"]
    return f"Request an approval in advance:\n  {shlex.join(words)} --reason TEXT"


def _changed(change: RequiredChange) -> Iterator[str]:
    where = "the delegation ceiling" if change.rule is None else _place(change.rule)
    if change.lift:
        yield f"{where} forbids the call"
    for clause in change.clauses:
        yield f"{where}: {_clause(clause)}"


def _clause(clause: Clause) -> str:
    name = f" {visible(clause.name)}" if clause.name else ""
    wanted = ", ".join(visible(" ".join(one.split())) for one in clause.wanted)
    held = "does not hold" if clause.held is False else "is unknown"
    said = f" ({visible(clause.message)})" if clause.message else ""
    return f"{clause.kind.value}{name} {held}" + (f"; expected: {wanted}" if wanted else "") + said


def _place(rule: CompiledRule) -> str:
    return f"{visible(rule.policy.name)}/{visible(rule.name)}"


def _object(verdict: Verdict, explanation: Explanation, code: Exit) -> dict[str, Any]:
    """Return the answer as an object; it is not one of the API server's."""
    body: dict[str, Any] = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "Check",
        "effect": {Exit.OK: "allow", Exit.PENDING: "approvalRequired"}.get(code, "deny"),
        "reason": verdict.reason.value,
        "message": verdict.sentence,
    }
    if verdict.rule is not None:
        body["rule"] = {"policy": verdict.rule.policy.name, "rule": verdict.rule.name}
    if verdict.grants:
        body["grant"] = verdict.grants[0].name
    if verdict.pending is not None:
        body["pending"] = verdict.pending.name
    if verdict.gate is not None and code is not Exit.OK:
        body["approval"] = {
            "steps": [step.model_dump(exclude_none=True) for step in verdict.gate.steps],
            "windowSeconds": verdict.gate.window_seconds,
            "maxUses": verdict.gate.max_uses,
        }
    if explanation.changes and code is not Exit.OK:
        body["nearestMiss"] = {
            "changes": [line for change in explanation.changes for line in _changed(change)],
            "then": "approvalRequired" if explanation.approval else "allow",
        }
    return body
