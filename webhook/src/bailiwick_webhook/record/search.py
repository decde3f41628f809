"""What the record of a search says: who searched for what, and how much was found.

Holds: no token, no argument and no context value is ever in it, nor the names that were found.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

from bailiwick_engine.approval.display import visible
from bailiwick_engine.call import Call, Party
from bailiwick_engine.decision.search import SearchKind
from bailiwick_engine.reasons import Reason


def search_line(  # noqa: PLR0913 - the parts of one record
    call: Call,
    kind: SearchKind,
    *,
    found: int,
    with_approval: int | None,
    incomplete: bool,
    refused: Reason | None,
    revocation: str | None = None,
    request_id: str | None,
    revision: str,
    age: float,
    now: float,
) -> bytes:
    """Return the record as one JSON line. What is searched for is null."""
    subject = call.subject if isinstance(call.subject, Party) else None
    record: dict[str, Any] = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "kind": "search",
        "searched": kind.value,
        "request_id": None if request_id is None else visible(request_id),
        "reason": None if refused is None else refused.value,
        "endpoint": f"{call.namespace}/{call.endpoint}",
        "caller": {"id": call.caller.username, "uid": call.caller.uid},
        "subject": None
        if subject is None
        else {
            "type": subject.type,
            "id": None if kind is SearchKind.SUBJECT else subject.id,
            "uid": subject.uid or None,
        },
        "actors": [{"type": actor.type, "id": actor.id, "uid": actor.uid} for actor in call.actors],
        "action": None if kind is SearchKind.ACTION else call.action.name,
        "resource": {"type": call.resource.type, "id": None if kind is SearchKind.RESOURCE else call.resource.id},
        "intent": call.intent,
        "found": found,
        "incomplete": incomplete,
        "snapshot": {"revision": revision, "age_seconds": round(age, 3)},
    }
    if revocation is not None:
        record["revocation"] = revocation
    if with_approval is not None:
        record["with_approval"] = with_approval
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
