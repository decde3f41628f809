"""Approvals of a test file, as grants: opened by their call's gate, judged as the operator would, used up in order.

Holds: whether a grant lets a call through, the engine says at each use; in here its reviews are only written down. That
a reviewer is in the group and holds the verb approve is taken for granted: RBAC decides it, and no policy.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api.kinds.approvalgrant import GrantStep, Phase, UseRecord
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_cli.policytest.model import GrantFixture
from bailiwick_cli.policytest.reviewerkey import sign_review
from bailiwick_engine.approval import grants, quorum
from bailiwick_engine.approval.binding import bound_context, hash_of
from bailiwick_engine.approval.display import items_of
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call, Party, ShownApproval, Token
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.policy.snapshot import Snapshot

# As the decision point opens them.
_LONGEST_PENDING: Final = 86_340


class UnfitApprovalError(ValueError):
    """There can be no such approval. `member` is the key of the fixture that says so."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(message)
        self.member = member


def open_grant(snapshot: Snapshot, call: Call, fixture: GrantFixture, around: Circumstances, number: int) -> Grant:
    """Return the grant of a call, opened and reviewed at the time of these. Raises `UnfitApprovalError`."""
    at = around.now
    verdict = decide(snapshot, call, (), around)
    gate, subject = verdict.gate, call.subject
    if gate is None or verdict.digest is None or not verdict.requestable or not isinstance(subject, Party):
        raise UnfitApprovalError("of", f"no approval of this call can be requested: {verdict.reason.value}")
    uid = f"00000000-0000-4000-8000-{number:012}"
    is_person = around.installation.is_person
    scope = grants.scope_of(call.resource, gate) if gate.scope else None
    request = _request(call, subject, gate, verdict.digest, scope, at)
    binding = uid if gate.scope else verdict.digest
    reviews = _reviews(gate.steps, fixture, binding, is_person)
    spec: dict[str, Any] = {"request": request, "reviews": reviews}
    if fixture.revoked:
        spec["revocation"] = {"by": "admin"}
    metadata = {
        "namespace": call.namespace,
        "name": f"agr-test-{number}",
        "uid": uid,
        "resourceVersion": "1",
        "creationTimestamp": _stamp(at),
    }
    signing = {step.name for step in gate.steps if step.signature is not None}
    for review in reviews:
        if review["step"] in signing and review["decision"] == "Approve":
            review["signature"] = sign_review(metadata, request, review)
    raw = {
        "metadata": metadata,
        "spec": spec,
        "status": {"counted": [{"reviewer": review["reviewer"], "time": _stamp(at)} for review in reviews]},
    }
    grant = grants.parse(raw)
    if grant is None:
        raise UnfitApprovalError("of", "no grant can hold this call")
    phase = _phase(grant, call, subject, is_person)
    if fixture.uses and phase != "Active":
        raise UnfitApprovalError("uses", f"the grant is {phase}, so it cannot have been used")
    raw["status"] |= _status(phase, gate, at)
    made = grants.parse(raw)
    if made is None:
        raise UnfitApprovalError("of", "no grant can hold this call")
    if fixture.uses > gate.max_uses:
        raise UnfitApprovalError("uses", f"the approval can be used {gate.max_uses} times")
    for _ in range(fixture.uses):
        made = count_use(made, at)
    return made


def count_use(grant: Grant, now: float) -> Grant:
    """Return a grant with one use more, as the decision point and then the operator write it."""
    count = (grant.status.uses or 0) + 1
    record = UseRecord(key=f"test-{count}", time=datetime.fromtimestamp(now, UTC), evaluation_id=f"test-{count}")
    phase: Phase = "Consumed" if count >= grant.request.max_uses else "Active"
    records = [*(grant.status.use_records or ()), record]
    status = grant.status.model_copy(update={"uses": count, "use_records": records, "phase": phase})
    return dataclasses.replace(grant, status=status)


def show_token(call: Call, grant: Grant) -> Call:
    """Return a call that shows the token of this grant."""
    digest = grant.request.binding.digest
    token = Token(
        grant.id,
        None if digest is None else hash_of(digest),
        grant.request.subject.uid or "",
        tuple(grants.chain(call)),
    )
    return Call(
        call.namespace,
        call.endpoint,
        call.caller,
        call.subject,
        call.action,
        call.resource,
        call.context,
        call.actors,
        ShownApproval(grant.id, token),
    )


def _request(
    call: Call, subject: Party, gate: Gate, digest: str, scope: Mapping[str, str] | None, at: float
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "endpoint": call.endpoint,
        "rules": [
            {"policy": rule.policy, "uid": rule.policy_uid, "rule": rule.rule, "ruleDigest": rule.rule_digest}
            for rule in gate.rules
        ],
        "requester": {"username": call.caller.username},
        "subject": {"type": subject.type, "id": subject.id, "uid": subject.uid},
        "excludedReviewers": sorted(grants.excluded_reviewers(call, subject)),
        "action": {"name": call.action.name},
        "resource": {"type": call.resource.type, "id": call.resource.id} | ({"properties": scope} if scope else {}),
        "binding": {"mode": "Scope"}
        if gate.scope
        else {"mode": "Exact", "digest": digest, "members": sorted(bound_context(call.context))},
        "display": list(items_of(call, gate)),
        "steps": [step.model_dump(mode="json", exclude_none=True) for step in gate.steps],
        "origin": "Requested",
        "pendingUntilTime": _stamp(at + min(gate.pending_seconds, _LONGEST_PENDING)),
        "windowSeconds": gate.window_seconds,
        "maxUses": gate.max_uses,
    }
    if call.intent is not None:
        request["intent"] = call.intent
    if call.actors:
        request["actors"] = [
            {"id": actor, "uid": uid} | ({} if issuer is None else {"issuer": issuer})
            for issuer, actor, uid in grants.chain(call)
        ]
    return request


def _reviews(
    steps: Sequence[GrantStep], fixture: GrantFixture, binding: str, is_person: Callable[[str], bool]
) -> list[dict[str, Any]]:
    lacking = {step.name: step.count for step in steps}
    reviews: list[dict[str, Any]] = []
    named: set[str] = set()
    given = [(f"approvedBy[{index}]", name, "Approve") for index, name in enumerate(fixture.approved_by)]
    given += [("deniedBy", fixture.denied_by, "Deny")] if fixture.denied_by is not None else []
    for member, name, decision in given:
        if name in named:
            raise UnfitApprovalError(member, f"{name} reviews twice, but one reviewer counts once")
        named.add(name)
        fitting = [step for step in steps if _fits(step, name, is_person)]
        step = next((one for one in fitting if lacking[one.name] > 0 or decision == "Deny"), None)
        if step is None:
            why = "no step needs one more reviewer of this kind" if fitting else "no step takes a reviewer of this kind"
            raise UnfitApprovalError(member, f"{name}: {why}")
        lacking[step.name] -= 1
        group = {"group": step.groups[0]} if step.groups else {}
        reviews.append({"reviewer": name, "step": step.name, "decision": decision, "binding": binding, **group})
    return reviews


def _fits(step: GrantStep, name: str, is_person: Callable[[str], bool]) -> bool:
    return is_person(name) if step.kind == "Human" else name.startswith(SERVICE_ACCOUNT_PREFIX)


def _phase(grant: Grant, call: Call, subject: Party, is_person: Callable[[str], bool]) -> Phase:
    """Return the phase that its reviews amount to, by the engine's own count."""
    tally = quorum.tally(
        grant.request,
        grant.reviews,
        binding=quorum.binding_of(grant.request, grant.uid),
        barred=quorum.request_exclusions(grant.request) | grants.excluded_reviewers(call, subject),
        is_person=is_person,
        # They were signed a moment ago; the engine verifies them at each use.
        is_signed=lambda _review, _step: True,
    )
    if grant.revoked:
        return "Revoked" if tally.met else "Withdrawn"
    if tally.denied_by is not None:
        return "Denied"
    return "Active" if tally.met else "Pending"


def _status(phase: Phase, gate: Gate, at: float) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": phase}
    if phase in {"Active", "Revoked"}:
        status |= {"approvedTime": _stamp(at), "notAfterTime": _stamp(at + gate.window_seconds)}
    if phase == "Denied":
        condition = {"type": "Denied", "status": "True", "lastTransitionTime": _stamp(at), "reason": "Denied"}
        status["conditions"] = [condition]
    return status


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
