"""Grants for the start row: as many pending ones as there are policies, as the decision point would have opened them.

Standing: beside `workload`; no decision that is measured needs one.
"""

from typing import Any

from benchmarks.rig.workload import ENDPOINT, EXPORT, GATEWAY, Place


def grant(place: Place) -> dict[str, Any]:
    """Return an `ApprovalGrant` as the API server would store it."""
    request = {
        "endpoint": ENDPOINT,
        "rules": [{"policy": place.name, "uid": _uid(place, 1), "rule": "export", "ruleDigest": f"v1:{'0' * 64}"}],
        "requester": {"username": GATEWAY, "uid": _uid(place, 2)},
        "subject": {"type": "serviceAccount", "id": place.agent, "uid": _uid(place, 3)},
        "excludedReviewers": [place.agent, GATEWAY],
        "action": {"name": EXPORT},
        "resource": {"type": place.type, "id": "42"},
        "intent": "support",
        "binding": {"mode": "Exact", "digest": f"sha256:{place.number:064x}", "members": ["intent", "ticket"]},
        "display": [{"name": "resource.id", "value": "42"}, {"name": "context.ticket", "value": "INC-4412"}],
        "reason": "the customer asked for it",
        "steps": [
            {
                "name": f"{place.name}.export.owner",
                "policy": place.name,
                "kind": "Human",
                "groups": ["crm-owners"],
                "count": 1,
            }
        ],
        "origin": "Requested",
        "pendingUntilTime": "2099-01-01T00:00:00Z",
        "windowSeconds": 600,
        "maxUses": 1,
    }
    return {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "ApprovalGrant",
        "metadata": {
            "namespace": place.namespace,
            "name": f"agr-{place.number:020}",
            "uid": _uid(place, 4),
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"request": request, "reviews": []},
        "status": {"observedGeneration": 1, "phase": "Pending"},
    }


def _uid(place: Place, kind: int) -> str:
    return f"{kind:08}-0000-4000-8000-{place.number:012}"
