"""`request`: a grant that a person writes by hand, PreApproved and for a scope.

Holds: rules, steps and bounds are those of the compiled policies, never wider; what the names stand for, the operator
resolves; the guards say who may ask.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_api.times import epoch_stamp
from bailiwick_cli import output
from bailiwick_cli.commands import wait
from bailiwick_cli.commands.show import describe
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.options import Output
from bailiwick_cli.verbs.grantverbs import RequestFlags, WaitCondition
from bailiwick_engine.approval.display import visible
from bailiwick_engine.approval.gates import Gate, join_gates, unmeetable
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.justification import reason_problem
from bailiwick_engine.decision.match import candidates
from bailiwick_engine.keys import SERVICE_ACCOUNT
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_governance import arguments
from bailiwick_governance.apiserver.cluster import grants_path
from bailiwick_governance.apiserver.people import who_am_i
from bailiwick_governance.display import talk
from bailiwick_governance.grants.grantview import GrantView, span
from bailiwick_governance.sources import clusterpolicies, policies

_MAX_PENDING: Final = 24 * 3600
_PREFIX: Final = "req-"


def run(options: RequestFlags) -> int:
    """Ask, and wait where that is asked."""
    waits = None if options.wait is None else arguments.seconds(options.wait, "--wait")
    if not options.reason.strip():
        raise CliError("--reason is empty: give a reason for the reviewers")
    # Said before anything is read: what is wrong on the command line needs no cluster.
    pending = _parse_bounded(options.pending, "--pending", 30, _MAX_PENDING)
    scope = _scope(options)
    cluster = connect(options)
    me = who_am_i(cluster)
    snapshot = clusterpolicies.read_namespace(cluster)
    _, endpoint = policies.endpoint(snapshot, cluster.namespace, options.endpoint)
    rules = _rules(options, snapshot, cluster.namespace, endpoint, scope)
    gate = join_gates([rule.gate for rule in rules if rule.gate is not None])
    _possible(options, gate, [rule for rule in rules if rule.gate is not None and not rule.gate.scope])
    body = {
        "apiVersion": API_VERSION,
        "kind": "ApprovalGrant",
        "metadata": {"namespace": cluster.namespace, "generateName": _PREFIX},
        "spec": {"request": _request(options, scope, me.username, gate, pending), "reviews": []},
    }
    raw = cluster.create(grants_path(cluster.namespace), body)
    _print(options, raw)
    if waits is None:
        return Exit.OK
    return wait.wait(cluster, raw["metadata"]["name"], WaitCondition.APPROVED, waits, quiet=True)


def _scope(options: RequestFlags) -> dict[str, Any]:
    kind, name = arguments.resource(options.resource)
    properties = arguments.pairs(options.properties, "--property")
    return {"type": kind, "id": name} | ({"properties": properties} if properties else {})


def _rules(
    options: RequestFlags, snapshot: Snapshot, namespace: str, endpoint: CompiledEndpoint, scope: dict[str, Any]
) -> list[CompiledRule]:
    """Return the gates to ask for: those named, else those that stand before the call, else the one that may."""
    if options.rule:
        gates = [rule for rule in endpoint.enforced if rule.effect is Effect.REQUIRE_APPROVAL]
        known = {f"{rule.policy.name}/{rule.name}": rule for rule in gates}
        missing = [name for name in options.rule if name not in known]
        if missing:
            raise CliError(
                f"--rule: no RequireApproval rule {missing[0]!r}: the rules are {', '.join(known) or 'none'}"
            )
        found = [known[name] for name in dict.fromkeys(options.rule)]
    else:
        found = _speaking(options, snapshot, namespace, endpoint, scope)
    why = unmeetable([rule.gate for rule in found if rule.gate is not None]) if found else None
    if why is not None:
        raise CliError(f"no grant can be written for these calls: {why}")
    return found


def _speaking(
    options: RequestFlags, snapshot: Snapshot, namespace: str, endpoint: CompiledEndpoint, scope: dict[str, Any]
) -> list[CompiledRule]:
    account = arguments.service_account(options.subject, "--subject")
    party = Party(SERVICE_ACCOUNT, account.username, "", hypothetical=True)
    call = Call(
        namespace=namespace,
        endpoint=options.endpoint,
        caller=ServiceAccount(next(iter(sorted(endpoint.enforcers)), account.username), ""),
        subject=party,
        action=Action(options.action),
        resource=Resource(scope["type"], scope["id"], scope.get("properties")),
        context={"intent": options.intent} if options.intent else {},
    )
    gates = {
        rule: rule.gate if endpoint.settings is None else endpoint.settings.gate(rule.gate, rule.actions)
        for rule, _ in candidates(endpoint, call, party)
        if rule.effect is Effect.REQUIRE_APPROVAL and not rule.audit and rule.gate is not None
    }
    if not gates:
        spelled = f"{account.short} {options.action} {options.resource} --endpoint {options.endpoint} -n {namespace}"
        raise CliError(
            "no RequireApproval rule applies to this subject, action and resource; to see which rules do, run"
            f" `kubectl bailiwick check --subject {visible(spelled)}`"
        )
    if len(gates) > 1:
        # Their conditions tell which of them stand before the call; the gate of the verdict is those.
        gate = decide(snapshot, call, (), Circumstances(now=time.time())).gate
        if gate is None:
            named = ", ".join(sorted(f"{rule.policy.name}/{rule.name}" for rule in gates))
            raise CliError(f"several rules can require an approval for these calls; choose with --rule: {named}")
        gates = {rule: one for rule, one in gates.items() if one.keys <= gate.keys}
    return sorted(gates, key=lambda rule: rule.place)


def _possible(options: RequestFlags, gate: Gate, exact: Sequence[CompiledRule]) -> None:
    """Refuse what could never be used, and say what is left open."""
    if exact:
        named = ", ".join(f"{rule.policy.name}/{rule.name}" for rule in exact)
        raise CliError(
            f"{named} binds an approval to one exact call (binding: Exact), so it cannot be requested in advance:"
            " make the call, and its denial says how to request the approval"
        )
    if (wrong := reason_problem(gate, options.reason)) is not None:
        raise CliError(f"--reason: {wrong}")
    bound = arguments.pairs(options.properties, "--property")
    if left := sorted(gate.scope_properties - bound.keys()):
        talk(f"note: the grant will cover every value of {', '.join(left)}: to bind it, set --property {left[0]}=VALUE")


def _request(options: RequestFlags, scope: dict[str, Any], username: str, gate: Gate, pending: int) -> dict[str, Any]:
    window = gate.window_seconds
    if options.window is not None:
        window = _parse_bounded(options.window, "--window", 10, gate.window_seconds)
    uses = gate.max_uses if options.uses is None else options.uses
    if uses > gate.max_uses:
        raise CliError(f"--uses: the rules allow at most {gate.max_uses}")
    request: dict[str, Any] = {
        "endpoint": options.endpoint,
        "rules": [{"policy": rule.policy, "rule": rule.rule} for rule in gate.rules],
        "requester": {"username": username},
        "subject": {"type": SERVICE_ACCOUNT, "id": arguments.service_account(options.subject, "--subject").username},
        "action": {"name": options.action},
        "resource": scope,
        "binding": {"mode": "Scope"},
        "reason": options.reason,
        "steps": [step.model_dump(by_alias=True, exclude_none=True) for step in gate.steps],
        "origin": "PreApproved",
        "pendingUntilTime": epoch_stamp(time.time() + pending),
        "windowSeconds": window,
        "maxUses": uses,
    }
    return request | ({"intent": options.intent} if options.intent else {})


def _parse_bounded(text: str, flag: str, least: int, most: int) -> int:
    value = int(arguments.seconds(text, flag))
    if not least <= value <= most:
        raise CliError(f"{flag}: {text} is not between {span(least)} and {span(most)}")
    return value


def _print(options: RequestFlags, raw: dict[str, Any]) -> None:
    name, namespace = raw["metadata"]["name"], raw["metadata"]["namespace"]
    match options.output:
        case Output.JSON | Output.YAML:
            sys.stdout.write(output.document(raw, options.output))
        case Output.NAME:
            sys.stdout.write(output.reference(name) + "\n")
        case _:
            output.write(describe(GrantView(raw, time.time()), screen=output.screen(sys.stdout)))
    talk(f"Requested. To wait for the approval, run `{visible(f'kubectl bailiwick wait {name} -n {namespace}')}`.")
