"""The canary grant, and dry runs that the API server must refuse: proof that the guards are present and in force.

Holds: each guard has a probe. The operator's RBAC allows each probe, so that a refusal with the guard's own message can
only come from the guard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from bailiwick_api.accounts import CANARY_GRANT, CANARY_HISTORY, Installation
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_api.manifests import definitionguard, guards, historyguards
from bailiwick_api.times import stamp

_NIL_UID: Final = "00000000-0000-0000-0000-000000000000"
_NOBODY: Final = "nobody"
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Probe:
    """One dry run, and the message with which `guard` must refuse it.

    Against the canary, or creating a history, or applying a definition.
    """

    guard: str
    verb: Literal["create", "patch", "patch-status", "delete", "create-history", "apply-definition"]
    body: Any
    refusal: str


def canary(installation: Installation, now: datetime) -> dict[str, Any]:
    """Return the grant that the probes aim at. It names a policy that does not exist, so it never approves anything."""
    return _grant(CANARY_GRANT, installation, now)


def is_canary(grant: Mapping[str, Any]) -> bool:
    """Tell whether a grant is the canary of any installation, by its request, which approves nothing.

    The name alone is not enough: otherwise every grant with that name would be hidden.
    """
    spec, metadata = grant.get("spec"), grant.get("metadata")
    request = spec.get("request") if isinstance(spec, Mapping) else None
    return (
        isinstance(metadata, Mapping)
        and metadata.get("name") == CANARY_GRANT
        and isinstance(request, Mapping)
        and _timeless(request) == _timeless(_grant(CANARY_GRANT, Installation(), _EPOCH)["spec"]["request"])
    )


def _timeless(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in {"requester", "pendingUntilTime"}}


def probes(installation: Installation, now: datetime) -> tuple[Probe, ...]:
    """Return one probe for each guard; `patch` bodies are JSON patches (RFC 6902), `patch-status` ones too."""
    forged_review = {
        "reviewer": _NOBODY,
        "step": f"{CANARY_GRANT}.canary.canary",
        "decision": "Approve",
        "binding": "none",
    }
    forged_use = {"key": "canary", "time": stamp(now), "evaluationID": "canary"}
    return (
        Probe(
            guards.OPEN,
            "create",
            _grant(f"{guards.GRANT_NAME_PREFIX}canary", installation, now),
            guards.NAMES_RESERVED,
        ),
        Probe(
            guards.REVIEW,
            "patch",
            [{"op": "add", "path": "/spec/reviews", "value": [forged_review]}],
            guards.REVIEW_NAMES_AUTHOR,
        ),
        Probe(
            guards.STATUS,
            "patch-status",
            [{"op": "add", "path": "/status", "value": {"uses": 1, "useRecords": [forged_use]}}],
            guards.USES_ARE_THE_PDPS,
        ),
        Probe(guards.DELETE, "delete", None, guards.ONLY_ENDED_DELETED),
        # No history is stored for the dry runs: each guard refuses the creation of one, under a name of its own.
        Probe(
            historyguards.HISTORY_WRITE,
            "create-history",
            _history(f"{CANARY_HISTORY}-write", installation),
            historyguards.HISTORIES_ARE_THE_PDPS,
        ),
        Probe(
            historyguards.HISTORY_DELETE,
            "create-history",
            _history(CANARY_HISTORY, installation),
            historyguards.CANARY_IS_NEVER_STORED,
        ),
        Probe(
            definitionguard.DEFINITIONS,
            "apply-definition",
            definitionguard.canary_definition(),
            definitionguard.CANARY_IS_NEVER_DEFINED,
        ),
    )


def _history(name: str, installation: Installation) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointHistory",
        "metadata": {"name": name, "namespace": installation.namespace},
        "spec": {"endpoint": CANARY_HISTORY, "key": f"sha256:{'0' * 64}", "seq": 0, "clock": 0},
    }


def _grant(name: str, installation: Installation, now: datetime) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "ApprovalGrant",
        "metadata": {"name": name, "namespace": installation.namespace},
        "spec": {
            "request": {
                "endpoint": CANARY_GRANT,
                "rules": [{"policy": CANARY_GRANT, "uid": _NIL_UID, "rule": "canary", "ruleDigest": "v1:" + "0" * 64}],
                "requester": {"username": installation.operator},
                "subject": {"type": "canary", "id": _NOBODY},
                "action": {"name": "canary"},
                "resource": {"type": "canary", "id": "canary"},
                "binding": {"mode": "Scope"},
                "steps": [
                    {"name": f"{CANARY_GRANT}.canary.canary", "policy": CANARY_GRANT, "kind": "Human", "count": 1}
                ],
                "origin": "PreApproved",
                "pendingUntilTime": stamp(now + timedelta(hours=1)),
                "windowSeconds": 10,
                "maxUses": 1,
            }
        },
    }
