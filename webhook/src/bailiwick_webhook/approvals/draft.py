"""Grant draft: an approval of one call, and the grant that it is asked for with.

Standing: under `opener`. Holds: everything in a grant but the requester's words follows from the call as it was
decided; the name follows from all of it, so that a storm of retries opens one.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from bailiwick_api.kinds.approvalgrant import ApprovalGrantSpec
from bailiwick_api.kinds.meta import API_VERSION, SUBJECT_LABEL
from bailiwick_engine.approval import grants
from bailiwick_engine.approval.binding import bound_context
from bailiwick_engine.approval.cooldown import request_digest
from bailiwick_engine.approval.display import items_of
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Call, Party
from bailiwick_engine.canonicaljson import sha256
from bailiwick_engine.compile import schemaerrors
from bailiwick_webhook.approvals.throttle import label_of

_LONGEST_PENDING: Final = 86_400 - 60


class GrantDraft(NamedTuple):
    """An approval of this call by this gate. `reason` is the requester's own; `key` is its Idempotency-Key."""

    call: Call
    subject: Party
    gate: Gate
    digest: str
    reason: str | None = None
    origin: Literal["Requested", "OnDeny"] = "Requested"
    key: str | None = None

    @property
    def scope(self) -> dict[str, str] | None:
        """The properties that a scope of this call binds; None where it is bound to its digest."""
        return grants.scope_of(self.call.resource, self.gate) if self.gate.scope else None

    def name(self, previous: str) -> str:
        """Return the grant's name; `previous` is the uid of the latest ended grant of the same request, or ""."""
        scope = self.scope
        digest = self.digest if scope is None else grants.scope_digest(self.call, self.subject, scope)
        return grants.grant_name(self.call, self.gate, digest, self.subject.uid, previous_uid=previous)

    def idempotency(self) -> dict[str, str] | None:
        """Return what makes the same request again the same task (ARAP, Idempotency-Key); None without a key."""
        if self.key is None:
            return None
        return {
            "key": sha256([self.call.namespace, self.call.caller.username, self.key]),
            "request": sha256(
                [
                    self.call.endpoint,
                    self.digest,
                    self.subject.uid,
                    [list(actor) for actor in grants.chain(self.call)],
                    self.reason,
                ]
            ),
        }

    def problem(self) -> str | None:
        """Return what of the call no grant can hold; None where there is nothing. The API server need not be asked."""
        try:
            ApprovalGrantSpec.model_validate(self.manifest("", 0.0)["spec"])
        except ValidationError as error:
            return str(schemaerrors.problems(error, ApprovalGrantSpec, values=False)[0])
        return None

    def manifest(self, previous: str, now: float) -> dict[str, Any]:
        """Return the grant to create."""
        call, subject, gate, scope = self.call, self.subject, self.gate, self.scope
        # The guard counts 24 hours by the API server's clock; a minute less leaves room for ours to be ahead of it.
        pending = timedelta(seconds=min(gate.pending_seconds, _LONGEST_PENDING))
        request: dict[str, Any] = {
            "endpoint": call.endpoint,
            "rules": [
                {"policy": rule.policy, "uid": rule.policy_uid, "rule": rule.rule, "ruleDigest": rule.rule_digest}
                for rule in gate.rules
            ],
            "requester": {"username": call.caller.username, "uid": call.caller.uid},
            "subject": {"type": subject.type, "id": subject.id, "uid": subject.uid},
            # Of the parties of this very call, by the API server's names for them: none of them approves.
            "excludedReviewers": sorted(grants.excluded_reviewers(call, subject)),
            "action": {"name": call.action.name},
            "resource": {"type": call.resource.type, "id": call.resource.id} | ({"properties": scope} if scope else {}),
            "binding": {
                **(
                    {"mode": "Exact", "digest": self.digest, "members": sorted(bound_context(call.context))}
                    if scope is None
                    else {"mode": "Scope"}
                ),
                "request": request_digest(call, subject, gate),
            },
            "display": list(items_of(call, gate)),
            "steps": [step.model_dump(mode="json", exclude_none=True) for step in gate.steps],
            "origin": self.origin,
            "pendingUntilTime": (datetime.fromtimestamp(now, UTC) + pending).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "windowSeconds": gate.window_seconds,
            "maxUses": gate.max_uses,
        }
        actors = [
            {"id": actor, "uid": uid} | ({"issuer": issuer} if issuer is not None else {})
            for issuer, actor, uid in grants.chain(call)
        ]
        optional = {
            "intent": call.intent,
            "reason": self.reason,
            "actors": actors,
            "idempotency": self.idempotency(),
        }
        return {
            "apiVersion": API_VERSION,
            "kind": "ApprovalGrant",
            "metadata": {
                "name": self.name(previous),
                "namespace": call.namespace,
                "labels": {SUBJECT_LABEL: label_of(call, subject)},
            },
            # An empty list, so that the first review is added like every other: `add /spec/reviews/-`.
            "spec": {"request": request | {key: value for key, value in optional.items() if value}, "reviews": []},
        }
