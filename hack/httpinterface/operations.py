"""Operations of the decision point: paths, what is sent there, and what comes back with which status.

Standing: between `shapes` and the generator. Holds: every route of the decisions' port is here, or in `APART` with the
reason why not.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from httpinterface.shapes import TEXT, ref

TENANT: Final = "/endpoints/{namespace}/{endpoint}"
_API: Final = f"{TENANT}/access/v1"
_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"


class HttpOperation(NamedTuple):
    """One operation. `sent`, `problem` and the values of `answered` are names of shapes; None: there is no body."""

    method: str
    path: str
    name: str
    summary: str
    tag: str
    sent: str | None
    answered: Mapping[int, str | None]
    problems: tuple[int, ...] = ()
    problem: str = "Problem"
    authenticated: bool = True
    headers: Mapping[str, str] = {}


_REFUSALS: Final = (400, 401, 403, 429, 503)
_EVALUATION: Final = "Access evaluation"
_APPROVAL: Final = "Approvals"
_PROXY: Final = "Proxies"
_ORIGINAL: Final = {
    "X-Original-Method": "The method of the call.",
    "X-Original-URI": "The raw path and query of the call.",
    "X-Original-Host": "The host of the call.",
}
_FORWARDED: Final = {
    "X-Forwarded-Method": "The method of the call.",
    "X-Forwarded-Uri": "The raw path and query of the call.",
    "X-Forwarded-Host": "The host of the call.",
}
OPERATIONS: Final = (
    HttpOperation(
        "post",
        f"{_API}/evaluation",
        "evaluate",
        "Decide one call",
        _EVALUATION,
        "EvaluationRequest",
        {200: "EvaluationResponse"},
        _REFUSALS,
    ),
    HttpOperation(
        "post",
        f"{_API}/evaluations",
        "evaluateMany",
        "Decide several calls",
        _EVALUATION,
        "EvaluationsRequest",
        {200: "EvaluationsResponse"},
        _REFUSALS,
    ),
    *(
        HttpOperation(
            "post",
            f"{_API}/search/{kind}",
            f"search{kind.capitalize()}s",
            f"List the {kind}s with which the call would be allowed",
            "Search",
            f"{kind.capitalize()}SearchRequest",
            {200: "SearchResponse"},
            _REFUSALS,
        )
        for kind in ("subject", "resource", "action")
    ),
    HttpOperation(
        "post",
        f"{_API}/requests",
        "requestApproval",
        "Request an approval of a call",
        _APPROVAL,
        "AccessRequest",
        {202: "TaskResponse", 201: "TaskResponse"},
        (400, 401, 403, 409, 410, 429, 503),
        headers={"Idempotency-Key": "The same key and request is the same task."},
    ),
    HttpOperation(
        "get",
        f"{_API}/requests/{{task}}",
        "readTask",
        "Read how a request for approval stands",
        _APPROVAL,
        None,
        {200: "TaskResponse"},
        (401, 403, 404, 429, 503),
    ),
    HttpOperation(
        "post",
        f"{_API}/requests/{{task}}/cancel",
        "cancelTask",
        "Withdraw a pending request for approval",
        _APPROVAL,
        "CancelRequest",
        {200: "TaskResponse"},
        (400, 401, 403, 404, 409, 429, 503),
    ),
    HttpOperation(
        "post",
        f"{_API}/outcomes",
        "reportOutcome",
        "Report what became of a call that was let through",
        _EVALUATION,
        "OutcomeRequest",
        {200: "OutcomeResponse"},
        (400, 401, 403, 409, 410, 429, 503),
    ),
    HttpOperation(
        "get",
        f"/.well-known/authzen-configuration{TENANT}",
        "describe",
        "Where each API of an endpoint is",
        "Metadata",
        None,
        {200: "Metadata"},
        (404,),
        authenticated=False,
    ),
    HttpOperation(
        "get",
        "/.well-known/jwks.json",
        "readKeys",
        "The public keys of approval tokens",
        "Metadata",
        None,
        {200: "KeySet"},
        (503,),
        authenticated=False,
    ),
    HttpOperation(
        "get",
        "/auth-request/{namespace}/{endpoint}",
        "authRequest",
        "Decide a proxied call, for nginx and HAProxy",
        _PROXY,
        None,
        {200: None},
        (401, 403),
        "ProxyDenial",
        authenticated=False,
        headers=_ORIGINAL,
    ),
    HttpOperation(
        "get",
        "/forward-auth/{namespace}/{endpoint}",
        "forwardAuth",
        "Decide a proxied call, for Caddy and Traefik",
        _PROXY,
        None,
        {200: None},
        (401, 403),
        "ProxyDenial",
        authenticated=False,
        headers=_FORWARDED,
    ),
)

APART: Final = {
    "/ext-authz/": "Envoy sends the call itself, with its own method, path and body: docs/reference/proxies.md",
    "/authorize": "a SubjectAccessReview of the API server: docs/reference/kubernetes.md",
}
"""Beginnings of paths that are no part of the document, each with the reason."""


def paths() -> dict[str, Any]:
    """Return the paths of the document."""
    found: dict[str, Any] = {}
    for one in OPERATIONS:
        found.setdefault(one.path, {"parameters": _in_path(one.path)})[one.method] = _told(one)
    return found


def _told(one: HttpOperation) -> dict[str, Any]:
    answers = {str(status): _answer(status, shape) for status, shape in one.answered.items()}
    answers |= {str(status): _content(_MEANING[status], _PROBLEM, one.problem) for status in one.problems}
    header = [{"name": name, "in": "header", "description": text, "schema": TEXT} for name, text in one.headers.items()]
    told: dict[str, Any] = {"operationId": one.name, "summary": one.summary, "tags": [one.tag]}
    if header:
        told["parameters"] = header
    if one.sent is not None:
        body = {"content": {_JSON: {"schema": ref(one.sent)}}}
        # Whoever withdraws need not say why.
        told["requestBody"] = body if one.name == "cancelTask" else {"required": True, **body}
    told["responses"] = {status: answers[status] for status in sorted(answers)}
    told["security"] = [{"enforcer": []}] if one.authenticated else []
    return told


def _in_path(path: str) -> list[dict[str, Any]]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]


def _answer(status: int, shape: str | None) -> dict[str, Any]:
    meaning = _MEANING[status]
    return {"description": meaning} if shape is None else _content(meaning, _JSON, shape)


def _content(meaning: str, kind: str, shape: str) -> dict[str, Any]:
    return {"description": meaning, "content": {kind: {"schema": ref(shape)}}}


_MEANING: Final = {
    200: "Answered.",
    201: "Approved already: the task.",
    202: "Requested: the task.",
    400: "The body is not what it must be. `field` names what is wrong.",
    401: "The caller, or the caller of a proxied call, is not proven.",
    403: "The caller is no enforcer of the endpoint, or there is no such endpoint; of a proxied call, it is denied.",
    404: "There is no such thing, or not for this caller.",
    409: "The key is another request's, or the task has ended.",
    410: "The denial is over.",
    429: "Too much is under way, or too much was asked for.",
    503: "It cannot be told at the moment.",
}
