"""What one record says: who, for whom, what, verdict, why, under which policy and snapshot, with which grant.

Holds: no token, no argument and no context value is ever in it.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

from bailiwick_engine.call import Call, Subject
from bailiwick_engine.grants import Grant
from bailiwick_engine.verdict import Verdict


def line(  # noqa: PLR0913 - the parts of one record
    call: Call,
    verdict: Verdict,
    *,
    kind: str,
    evaluation_id: str,
    request_id: str | None,
    allowed: bool,
    used: Grant | None,
    revision: str,
    age: float,
    now: float,
) -> bytes:
    """Return the record as one JSON line. `kind` is evaluation or request; `used` is the grant used or opened."""
    rule = verdict.rule
    record: dict[str, Any] = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "kind": kind,
        "evaluation_id": evaluation_id,
        "request_id": request_id,
        "decision": allowed,
        "reason": verdict.reason.value,
        "dry_run": verdict.dry_run,
        "endpoint": f"{call.namespace}/{call.endpoint}",
        "caller": {"id": call.caller.username, "uid": call.caller.uid},
        "subject": _party(call.subject) if isinstance(call.subject, Subject) else None,
        "actors": [_party(actor) for actor in call.actors],
        "hop": verdict.hop,
        "action": call.action.name,
        "resource": {"type": call.resource.type, "id": call.resource.id},
        "intent": call.intent,
        "digest": verdict.digest,
        "policy": None
        if rule is None
        else {
            "name": rule.policy.name,
            "uid": rule.policy.uid,
            "generation": rule.policy.generation,
            "digest": rule.policy_digest,
            "rule": rule.name,
        },
        "grant": None if used is None else {"name": used.name, "uid": used.uid, "uses": used.status.uses},
        "audit": [{"policy": policy, "rule": name, "effect": effect} for policy, name, effect in verdict.audit],
        "snapshot": {"revision": revision, "age_seconds": round(age, 3)},
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _party(party: Subject) -> dict[str, str | None]:
    """`issuer` None: on the enforcer's word."""
    return {"type": party.type, "id": party.id, "uid": party.uid, "issuer": party.issuer}
