"""Grants as the API server stores them, for tests of what is shown of them. `NOW` is the present of every test."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_governance.grants.grantview import GrantView
from support.objects import AGENT, DIGEST, Object, opened_grant, stamp

NOW: Final = 1_900_000_000.0
OWNERS: Final = {"name": "crm-agent.export.owner", "policy": "crm-agent", "kind": "Human", "groups": ["crm-owners"]}
SECURITY: Final = {"name": "crm-agent.export.security", "policy": "crm-agent", "kind": "Human", "groups": ["sec"]}
ROBOT: Final = {"name": "crm-agent.export.robot", "policy": "crm-agent", "kind": "System"}


def at(seconds: float) -> str:
    """Return the moment so many seconds after `NOW`."""
    return stamp(datetime.fromtimestamp(NOW + seconds, UTC))


def step(of: Mapping[str, Any] = OWNERS, count: int = 1) -> Object:
    return {**of, "count": count}


def review(reviewer: str, of: Mapping[str, Any] = OWNERS, decision: str = "Approve", **fields: object) -> Object:
    return {"reviewer": reviewer, "step": of["name"], "decision": decision, "binding": DIGEST, **fields}


def stored(
    *reviews: Object,
    status: Object | None = None,
    revocation: Object | None = None,
    **request: object,
) -> Object:
    """Return a grant that was opened a minute ago and waits for an hour; keywords replace fields of the request."""
    fields: dict[str, Any] = {"pendingUntilTime": at(3540), "steps": [step()], **request}
    raw = opened_grant("crm", **fields)
    raw["metadata"] |= {"uid": "5f0c0a3e-1111-2222-3333-444444444444", "resourceVersion": "7"}
    raw["metadata"]["creationTimestamp"] = at(-60)
    raw["spec"]["reviews"] = list(reviews)
    if revocation is not None:
        raw["spec"]["revocation"] = revocation
    if status is not None:
        raw["status"] = status
    return copy.deepcopy(raw)


def view(*reviews: Object, now: float = NOW, **fields: Any) -> GrantView:  # noqa: ANN401 - as `stored`
    return GrantView(stored(*reviews, **fields), now)


__all__ = ["AGENT", "DIGEST", "NOW", "OWNERS", "ROBOT", "SECURITY", "at", "review", "step", "stored", "view"]
