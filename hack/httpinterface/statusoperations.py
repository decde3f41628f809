"""Operations of the status port: paths, what is sent there, and what comes back with which status.

Standing: between `statusshapes` and the generator. Holds: every route of the status port is here.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bailiwick_webhook.http import problems
from bailiwick_webhook.http.status import exposition
from httpinterface.shapes import described, ref
from httpinterface.statusshapes import SIZE

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_PROBLEM: Final = problems.CONTENT_TYPE


class StatusOperation(NamedTuple):
    """One operation. `answered` has the names of shapes, by status and type of content; `sent` is one too.

    `since`: the query can name a size.
    """

    method: str
    path: str
    name: str
    summary: str
    tag: str
    answered: Mapping[int, Mapping[str, str]]
    sent: str | None = None
    since: bool = False


_OVERLOADED: Final = {429: {_PROBLEM: "Problem"}}
_QUESTION: Final = {
    # The body is not what it must be, or comes too slowly or in part.
    400: {_TEXT: "Mistake", _PROBLEM: "Problem"},
    413: {_TEXT: "Mistake"},
    **_OVERLOADED,
}
_CHECKPOINT: Final = {
    200: {_JSON: "Checkpoint"},
    400: {_JSON: "CheckpointRefusal"},
    404: {_JSON: "CheckpointRefusal"},
    409: {_JSON: "CheckpointRefusal"},
    **_OVERLOADED,
}
_HEALTH: Final = "Health"
_POLICIES: Final = "Policies"
_RECORD: Final = "Decision record"
OPERATIONS: Final = (
    StatusOperation("get", "/healthz", "live", "Whether the process responds", _HEALTH, {200: {_TEXT: "Liveness"}}),
    StatusOperation(
        "get",
        "/readyz",
        "ready",
        "Whether decisions of the process can be trusted, and why not",
        _HEALTH,
        {200: {_JSON: "Readiness"}, 503: {_JSON: "Readiness"}},
    ),
    StatusOperation(
        "get",
        "/metrics",
        "metrics",
        "Metrics for Prometheus",
        _HEALTH,
        {200: {exposition.CONTENT_TYPE: "Metrics"}, **_OVERLOADED},
    ),
    StatusOperation(
        "post",
        "/served",
        "served",
        "Which generations of policies the process decides by",
        _POLICIES,
        {200: {_JSON: "ServedGenerations"}, **_QUESTION},
        sent="PolicyGenerations",
    ),
    StatusOperation(
        "post",
        "/usage",
        "usage",
        "When policies were last used, and what candidates came to",
        _POLICIES,
        {200: {_JSON: "Uses"}, **_QUESTION},
        sent="PolicyDays",
    ),
    StatusOperation(
        "get",
        "/checkpoint",
        "readCheckpoint",
        "How many lines the chain of the process has, with a proof that it only grew",
        _RECORD,
        _CHECKPOINT,
        since=True,
    ),
    StatusOperation(
        "post",
        "/checkpoint",
        "witnessCheckpoint",
        "The same for a witness, which can add a checkpoint of its own log",
        _RECORD,
        {
            **_CHECKPOINT,
            400: {_JSON: "CheckpointRefusal", _PROBLEM: "Problem"},
            413: {_JSON: "CheckpointRefusal"},
        },
        sent="CheckpointQuestion",
    ),
)


def paths() -> dict[str, Any]:
    """Return the paths of the document."""
    found: dict[str, Any] = {}
    for one in OPERATIONS:
        found.setdefault(one.path, {})[one.method] = _told(one)
    return found


def _told(one: StatusOperation) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": one.name, "summary": one.summary, "tags": [one.tag]}
    if one.since:
        size = described({**SIZE, "default": 0}, "The number of lines that you know, or 0.")
        told["parameters"] = [{"name": "from", "in": "query", "schema": size}]
    if one.sent is not None:
        told["requestBody"] = {"required": True, "content": {_JSON: {"schema": ref(one.sent)}}}
    told["responses"] = {
        str(status): {
            "description": _MEANING[status],
            "content": {kind: {"schema": ref(shape)} for kind, shape in one.answered[status].items()},
        }
        for status in sorted(one.answered)
    }
    return told


_MEANING: Final = {
    200: "Answered.",
    400: "The request is not what it must be, or its body is incomplete or too slow.",
    404: "The process chains no records: --record-chain is off.",
    409: "There is no proof from this size. `sizes` has those that there is one from.",
    413: "The body is too large.",
    429: "Too many requests of this kind wait.",
    503: "The process is not ready. `checks` says why.",
}
