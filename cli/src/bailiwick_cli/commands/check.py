"""`check`: what the policies decide of a call, by the engine itself.

Holds: there is no rule here. The call is given to `decide` as an enforcer would give it, with its subject proven by a
token of now; what only the decision point learns (workload, claims) is unknown, as the engine knows unknown.
"""

import shlex
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.offline import refuse_cluster, refuse_stdin_twice
from bailiwick_cli.options import Output
from bailiwick_cli.sources.policysources import past_of
from bailiwick_cli.sources.revocations import earlier_note, read_revocations
from bailiwick_cli.verbs.askverbs import CallFlags, CheckFlags
from bailiwick_cli.views.verdictview import EFFECTS, verdict_lines, verdict_object
from bailiwick_engine.approval import grants
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import RESERVED_CONTEXT, Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.explain import Explanation, explain
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import NONE, Revocations
from bailiwick_governance import arguments
from bailiwick_governance.apiserver.cluster import ClusterClient, grants_path
from bailiwick_governance.display import talk
from bailiwick_governance.errors import ApiError
from bailiwick_governance.records.policytimes import PastEndpoint
from bailiwick_governance.sources import clusterpolicies, policies
from bailiwick_regions.rights.refusals import TokenRefusals

# What denies is not what somebody wrote, but that it cannot be read or is not whole.
_BROKEN: Final = {Reason.POLICY_INVALID, Reason.ENDPOINT_UNCONFIGURED}


@dataclass(frozen=True, slots=True)
class CallCheck:
    """A call that was decided by the policies as they are, or as they were (`past`). `subject` as it was typed."""

    subject: ServiceAccountName
    endpoint: CompiledEndpoint
    call: Call
    around: Circumstances
    verdict: Verdict
    explanation: Explanation
    past: PastEndpoint | None

    @property
    def code(self) -> Exit:
        """What the verdict comes to, as an exit code."""
        return exit_code(self.verdict, self.endpoint)

    def end(self) -> Exit:
        """Say what the answer lacks, and return how a command ends that was asked about it."""
        doubts = () if self.past is None else self.past.doubts
        for one in doubts:
            talk(f"error: the answer is not complete: {one}")
        return Exit.FAILURE if doubts else self.code

    def tell_how_to_ask(self) -> None:
        """Tell how an approval is asked for, where one is needed."""
        gate = self.verdict.gate
        asks = self.code is Exit.PENDING and self.past is None
        if asks and gate is not None and self.verdict.pending is None:
            talk(_how_to_ask(gate, self.call, self.subject))


def run(options: CheckFlags) -> int:
    """Decide and tell."""
    found = check_call(options, options.action, options.resource, options.subject)
    verdict, code = found.verdict, found.code
    if options.output in {Output.JSON, Output.YAML}:
        sys.stdout.write(output.document(verdict_object(verdict, found.explanation, code), options.output))
    elif options.output is Output.NAME:
        sys.stdout.write(EFFECTS[code][0] + "\n")
    else:
        output.write_folded(verdict_lines(verdict, found.explanation, code))
        found.tell_how_to_ask()
    return found.end()


def check_call(options: CallFlags, action: str, resource: str, subject: str) -> CallCheck:
    """Return what the policies decide for a call of these words and flags. Raises `UserError`."""
    _refuse_mistaken(options)
    account = arguments.service_account(subject, "--subject")
    context = _context(options)
    past = past_of(options)
    when = options.at if options.now is None else options.now
    moment = time.time() if when is None else arguments.moment(when, "--at" if options.now is None else "--now")
    cluster = None if options.file or past is not None else connect(options)
    if past is not None:
        snapshot, namespace = Snapshot({past.key: past.endpoint}), past.key[0]
    elif cluster is None:
        snapshot, namespace = policies.compile_files(options.file or (), options.namespace)
    else:
        snapshot, namespace = clusterpolicies.read_namespace(cluster), cluster.namespace
    name, endpoint = policies.endpoint(snapshot, namespace, options.endpoint)
    uid = "" if cluster is None else _uid(cluster, account)
    asserted = endpoint.settings is not None and endpoint.settings.asserted
    party = Party(
        SERVICE_ACCOUNT, account.username, uid, issuer=None if asserted else CLUSTER, hypothetical=not asserted
    )
    refusals = TokenRefusals(endpoint, read_revocations(cluster), moment)
    call = Call(
        namespace=namespace,
        endpoint=name,
        caller=_caller(refusals, account.username, uid),
        subject=party,
        action=Action(action),
        resource=_resource(options, resource),
        context=context,
    )
    around = Circumstances(now=moment, revocations=revocations_of(refusals, party))
    verdict = decide(snapshot, call, () if cluster is None else _grants(cluster), around)
    why = explain(snapshot, call, around) or Explanation()
    return CallCheck(account, endpoint, call, around, verdict, why, past)


def exit_code(verdict: Verdict, endpoint: CompiledEndpoint) -> Exit:
    """Return 0 for allowed, 3 where an approval is needed or waited for, 1 for denied, 2 where policies are broken."""
    if verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT}:
        return Exit.OK
    if verdict.reason in _BROKEN or endpoint.settings is None:
        return Exit.FAILURE
    return Exit.PENDING if verdict.awaits_approval else Exit.NO


def _refuse_mistaken(options: CallFlags) -> None:
    """Refuse flags of kubectl's own that say nothing here, so that they are not taken for something of the call."""
    if "=" in (options.context or ""):
        raise CliError(
            "--context names a kubeconfig context: for the context of the call use --call-context NAME=VALUE"
        )
    if (options.as_user or "").startswith("sa:"):
        raise CliError("--as names a user to impersonate: for the subject of the call use --subject")
    if options.file:
        refuse_cluster(options, "-f")
        refuse_stdin_twice(options.file)


def _context(options: CallFlags) -> dict[str, Any]:
    """Return the context of the call as the decision point would have it: what that takes out is refused."""
    context = arguments.values(options.members, "--call-context")
    if reserved := sorted(RESERVED_CONTEXT & context.keys()):
        raise CliError(f"--call-context: {reserved[0]} is not part of a call, so no rule reads it")
    if not options.arguments:
        return context
    if "args" in context:
        raise CliError("--call-context args=... and --arg say the same twice: leave one out")
    return context | {"args": arguments.values(options.arguments, "--arg")}


def _resource(options: CallFlags, resource: str) -> Resource:
    kind, name = arguments.resource(resource)
    return Resource(kind, name, arguments.values(options.properties, "--property") or None)


def _caller(refusals: TokenRefusals, username: str, uid: str) -> ServiceAccount:
    """Return an enforcer of the endpoint; where it has none the subject, who may always ask about itself."""
    enforcer = refusals.enforcer()
    return ServiceAccount(username, uid) if enforcer is None else ServiceAccount(enforcer, "")


def _uid(cluster: ClusterClient, account: ServiceAccountName) -> str:
    """Return the uid of a service account, by which grants know it; none where we may not see it."""
    try:
        return str(cluster.get(account.path)["metadata"]["uid"])
    except ApiError as error:
        talk(f"note: existing approvals are ignored, because the service account cannot be read: {error}")
        return ""


def revocations_of(refusals: TokenRefusals, party: Party) -> Revocations:
    """Return the revocations if one of them refuses a subject with a token of now, or each enforcer; name that one.

    One that refuses earlier tokens alone is only reported.
    """
    if (refusing := refusals.refusal(party)) is not None:
        talk(f"note: SubjectRevocation {refusing.name} refuses this subject, or the enforcer")
        return refusals.revocations
    if (earlier := refusals.of_party(party, party.id)) is not None:
        talk(f"note: {earlier_note(earlier.revocation)}")
    return NONE


def _grants(cluster: ClusterClient) -> list[Grant]:
    try:
        items, _ = cluster.list_all(grants_path(cluster.namespace))
    except ApiError as error:
        talk(f"note: existing approvals are ignored: {error}")
        return []
    return [grant for raw in items if (grant := grants.parse(raw)) is not None]


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
