"""What the record of a shadow decision says: which decision, which candidate, and what it would have come to.

Holds: it names the decision by its id, and has nothing of the call that the decision's own record does not have.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

from bailiwick_engine.decision.shadow import verdict_class
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.snapshot import ShadowEndpoint


def shadow_line(
    evaluation_id: str,
    endpoint: str,
    live: Verdict,
    shadow: ShadowEndpoint,
    verdict: Verdict,
    *,
    revision: str,
    now: float,
) -> bytes:
    """Return the record as one JSON line. `live` is the verdict by which the call was answered."""
    candidate = shadow.candidate
    record: dict[str, Any] = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "kind": "shadow",
        "evaluation_id": evaluation_id,
        "endpoint": endpoint,
        "live": _verdict_members(live),
        "shadow": {
            "policy": candidate.name,
            "uid": candidate.uid,
            "generation": candidate.generation,
            "digest": shadow.digest,
            "replaces": shadow.replaced,
            **_verdict_members(verdict),
        },
        "snapshot": {"revision": revision},
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _verdict_members(verdict: Verdict) -> dict[str, Any]:
    rule = verdict.rule
    return {
        "verdict": verdict_class(verdict).value,
        "reason": verdict.reason.value,
        "rule": None if rule is None else {"policy": rule.policy.name, "name": rule.name},
    }
