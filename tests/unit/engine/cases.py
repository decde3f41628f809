"""Snapshots, calls and grants for tests of the engine, from plain objects as the API server stores them.

Holds: one fixed moment, `NOW`, is the present of every test; a builder takes only what its test is about.
"""

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_engine.approval import grants as approval
from bailiwick_engine.approval.cooldown import request_digest
from bailiwick_engine.approval.display import items_of
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import Compilation, compile_object, compile_policy, parse_spec, policy_ref
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from support.objects import AGENT, ENDPOINT, Object, gated_rule, policy, rule, settings, stamp

NAMESPACE: Final = "crm"
NOW: Final = 1_900_000_000.0
AROUND: Final = Circumstances(now=NOW)
OPENED_AGO: Final = 1800.0
AGENT_UID: Final = "agent-uid"
ENFORCER: Final = ServiceAccount("system:serviceaccount:crm:crm-api", "enforcer-uid")
THE_AGENT: Final = ServiceAccount(AGENT, AGENT_UID)
CALL: Final = Call(
    namespace=NAMESPACE,
    endpoint=ENDPOINT,
    caller=ENFORCER,
    subject=Party("serviceAccount", AGENT, AGENT_UID),
    action=Action("customers.export"),
    resource=Resource("customer", "42"),
)


def at(seconds: float) -> str:
    """Return the moment so many seconds after `NOW`, as Kubernetes writes it."""
    return stamp(datetime.fromtimestamp(NOW + seconds, UTC))


def stored(name: str, *rules: Object, **spec: object) -> Object:
    """Return a policy as the API server keeps it; its uid is `<name>-uid`."""
    raw = policy(NAMESPACE, name, **{"rules": list(rules), **spec})
    raw["metadata"] |= {"uid": f"{name}-uid", "generation": 1}
    return raw


def carrier(**fields: object) -> Object:
    """Return the policy that carries the endpoint's settings; its one rule speaks of nobody's calls."""
    unrelated = rule("unrelated", actions=["unrelated"])
    return stored("carrier", unrelated, **{"endpointSettings": settings(), **fields})


def snapshot(*policies: Object) -> Snapshot:
    """Compile exactly these policies."""
    return Snapshot.of(compile_object(raw) for raw in policies)


def governed(*rules: Object, **spec: object) -> Snapshot:
    """Return an endpoint that one policy, `crm-agent`, configures and governs with these rules."""
    return snapshot(stored("crm-agent", *rules, **{"endpointSettings": settings(), **spec}))


def counted(on: Snapshot, *histories: CompiledHistory) -> Snapshot:
    """Return the same endpoints, each with these histories in its settings."""
    endpoints = {
        key: dataclasses.replace(one, settings=dataclasses.replace(one.settings, histories=histories))
        for key, one in on.endpoints.items()
        if one.settings is not None
    }
    return dataclasses.replace(on, endpoints=endpoints)


def approving(**approval: object) -> Snapshot:
    """Return an endpoint with one gate before the call, whose `approval` says this besides its one step."""
    gated = gated_rule()
    return governed({**gated, "approval": {**gated["approval"], **approval}})


def compilation(raw: Object) -> Compilation:
    """Compile as the operator does; the policy must have a readable spec."""
    spec = parse_spec(raw["spec"])
    assert not isinstance(spec, tuple), [str(problem) for problem in spec]
    return compile_policy(policy_ref(raw), spec)


def sound(raw: Object) -> CompiledPolicy:
    """Compile a policy that must have no problem."""
    compiled = compile_object(raw)
    assert isinstance(compiled, CompiledPolicy), compilation(raw).problems
    return compiled


def broken(raw: Object) -> BrokenPolicy:
    """Compile a policy that must have a problem."""
    compiled = compile_object(raw)
    assert isinstance(compiled, BrokenPolicy)
    return compiled


def verdict_of(
    on: Snapshot, call: Call = CALL, grants: Iterable[Grant] = (), around: Circumstances = AROUND
) -> Verdict:
    """Decide, by default about the agent's export of customer 42 that the endpoint's enforcer asks about."""
    return decide(on, call, grants, around)


def gate_of(on: Snapshot, call: Call = CALL) -> Gate:
    """Return the gate before a call."""
    gate = verdict_of(on, call).gate
    assert gate is not None
    return gate


def with_context(**context: object) -> Call:
    """Return the call with this context."""
    return replace(CALL, context=context)


def opened(gate: Gate, digest: str, call: Call = CALL, **request: object) -> Object:
    """Return the grant that the decision point opened for a call before this gate, half an hour ago."""
    assert isinstance(call.subject, Party)
    return {
        "metadata": {
            "namespace": call.namespace,
            "name": "agr-opened",
            "uid": "grant-uid",
            "resourceVersion": "7",
            "creationTimestamp": at(-OPENED_AGO),
        },
        "spec": {
            "request": {
                "endpoint": call.endpoint,
                "rules": [
                    {"policy": one.policy, "uid": one.policy_uid, "rule": one.rule, "ruleDigest": one.rule_digest}
                    for one in gate.rules
                ],
                "requester": {"username": ENFORCER.username, "uid": ENFORCER.uid},
                "subject": {"type": call.subject.type, "id": call.subject.id, "uid": call.subject.uid},
                "action": {"name": call.action.name},
                "resource": {"type": call.resource.type, "id": call.resource.id},
                **({"intent": call.intent} if call.intent else {}),
                "binding": {
                    "mode": "Exact",
                    "digest": digest,
                    "request": request_digest(call, call.subject, gate),
                },
                "display": list(items_of(call, gate)),
                "steps": [step.model_dump(mode="json", exclude_none=True) for step in gate.steps],
                "origin": "Requested",
                "pendingUntilTime": at(gate.pending_seconds - OPENED_AGO),
                "windowSeconds": gate.window_seconds,
                "maxUses": gate.max_uses,
                **request,
            },
            "reviews": [],
        },
    }


def review(of: Object, reviewer: str, step: int = 0, **fields: object) -> Object:
    """Return the approval of one step of a grant, by its place."""
    request = of["spec"]["request"]
    wanted = request["steps"][step]
    group = {"group": wanted["groups"][0]} if wanted.get("groups") else {}
    binding = request["binding"].get("digest", of["metadata"]["uid"])
    return {"reviewer": reviewer, "step": wanted["name"], "decision": "Approve", "binding": binding, **group, **fields}


def reviewed(of: Object, *reviews: Object) -> Object:
    """Return a grant with these reviews, all counted."""
    counted = [{"reviewer": name} for name in dict.fromkeys(entry["reviewer"] for entry in reviews)]
    status = {**of.get("status", {}), "counted": counted}
    return {**of, "spec": {**of["spec"], "reviews": list(reviews)}, "status": status}


def active(of: Object, **status: object) -> Object:
    """Return a grant whose window began a minute ago and is as long as was asked for."""
    window = of["spec"]["request"]["windowSeconds"]
    times = {"approvedTime": at(-60), "notAfterTime": at(window - 60)}
    return {**of, "status": {**of.get("status", {}), "phase": "Active", **times, **status}}


def read(of: Object) -> Grant:
    """Parse a stored grant that must be readable."""
    grant = approval.parse(of)
    assert grant is not None
    return grant


def asked(on: Snapshot, call: Call = CALL, **request: object) -> Object:
    """Return the grant that is opened for a call, not reviewed yet."""
    verdict = verdict_of(on, call)
    assert verdict.gate is not None
    assert verdict.digest is not None
    return opened(verdict.gate, verdict.digest, call, **request)


def approved(on: Snapshot, call: Call = CALL, **status: Any) -> Object:  # noqa: ANN401 - fields of a status
    """Return the grant that carol approved."""
    of = asked(on, call)
    return active(reviewed(of, review(of, "carol")), **status)
