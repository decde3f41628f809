"""The final state of a grant, as the ledger keeps it: enough to tell later what a use of it rested on. Pure.

Holds: no value that people were shown, no words of theirs and no argument of the call is in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from bailiwick_operator.reconcile import retention

Object = dict[str, Any]
_STEP: Final = ("name", "policy", "kind", "groups", "count")
_REVIEW: Final = ("reviewer", "step", "group", "decision", "binding")
_STATUS: Final = ("approvedTime", "notAfterTime", "uses", "useRecords", "resolved")
_REQUEST: Final = ("origin", "pendingUntilTime", "windowSeconds", "maxUses")


def final_state(grant: Object, digests: Mapping[str, str]) -> Object:
    """Return the members of its line. `digests`: of each policy by its uid, as it is known now."""
    metadata, spec, status = grant["metadata"], grant.get("spec") or {}, grant.get("status") or {}
    request = spec.get("request") or {}
    ended = retention.ended(grant)
    binding = request.get("binding") or {}
    revocation = spec.get("revocation") or {}
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "phase": status.get("phase"),
        "created": metadata.get("creationTimestamp"),
        "ended": None if ended is None else ended.at.isoformat(),
        "endpoint": request.get("endpoint"),
        "requester": (request.get("requester") or {}).get("username"),
        "subject": (request.get("subject") or {}).get("id"),
        "action": (request.get("action") or {}).get("name"),
        "resource": _only(request.get("resource") or {}, ("type", "id")),
        "binding": _only(binding, ("mode", "digest")),
        "rules": [rule | {"policyDigest": digests.get(str(rule.get("uid")))} for rule in request.get("rules") or ()],
        "steps": [_only(step, _STEP) for step in request.get("steps") or ()],
        "reviews": [_only(review, _REVIEW) for review in spec.get("reviews") or ()],
        "counted": [one.get("reviewer") for one in status.get("counted") or ()],
        "voided": [one.get("reviewer") for one in status.get("voided") or ()],
        "revokedBy": revocation.get("by"),
        **_only(request, _REQUEST),
        **_only(status, _STATUS),
    }


def _only(held: Object, names: tuple[str, ...]) -> Object:
    return {name: held[name] for name in names if name in held}
