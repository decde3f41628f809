"""Answers to proxies: a verdict in status, headers and a body.

Holds: 200 says allow and nothing else does; a denial is 401 where a credential is what is missing, and 403 otherwise,
also where something of ours failed; every header that an upstream may trust goes with each allow, so that none of a
client's own stays.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson
from aiohttp import web

from bailiwick_api.usernames import ASSERTED
from bailiwick_engine.call import Party
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.authenticator import ENFORCER, RequestAuthenticator
from bailiwick_webhook.http.problems import CONTENT_TYPE, ProblemError
from bailiwick_webhook.pipeline.pdp import Decision

APPROVAL: Final = "X-Bailiwick-Approval"
"""By which a call shows an approval: its id, and after a space its token, where the rule asks for one."""
DECISION: Final = "X-Bailiwick-Decision"
"""The evaluation id of an allow, as the decision's record has it."""
SUBJECT: Final = "X-Bailiwick-Subject"
"""Whom an allowed call is for, percent-encoded where it is not of plain characters."""
ISSUER: Final = "X-Bailiwick-Issuer"
"""Who names the subject so: the installation's name of the issuer. Two issuers can have one name for two subjects."""
REASON: Final = "X-Bailiwick-Reason"
EVALUATION: Final = "X-Bailiwick-Evaluation"
ACCESS_REQUEST: Final = "X-Bailiwick-Access-Request"
"""Where an approval of a denied call can be asked for, by an enforcer."""
TASK: Final = "X-Bailiwick-Task"
"""The approval of a denied call that was asked for, or is under way: what `X-Bailiwick-Approval` then shows."""

TRUSTED: Final = (DECISION, SUBJECT, ISSUER)
"""What goes with every allow."""
UNTRUSTED: Final = (REASON, EVALUATION, ACCESS_REQUEST, TASK)
"""What goes with denials only: a client's own is of no meaning to an upstream."""

# What a client shows us is none of the upstream's business, and what we tell clients it must not forge.
REMOVED: Final = tuple(name.lower() for name in (APPROVAL, ENFORCER, *UNTRUSTED))
"""What Envoy takes out of each call that it lets through."""

TOLD: Final = ("next_action", "retry_after", "hop", "access_request", "task", "policy", "snapshot", "development")
"""Of the answer that AuthZEN gives: what says how to go on, which denials have too."""

_TYPE: Final = "https://bailiwick.dev/problems/"
_PLAIN: Final = ":@/._~+=,-"
# For want of a credential that proves somebody.
_UNPROVEN: Final = frozenset(
    {
        *(Reason.IDENTITY_INVALID, Reason.IDENTITY_RESERVED, Reason.AUDIENCE_MISMATCH),
        *(Reason.POSSESSION_UNPROVEN, Reason.TOKEN_LIFETIME_EXCEEDED),
    }
)
_NEEDS_TOKEN: Final = 'Bearer realm="bailiwick", error="invalid_token"'  # noqa: S105 - a challenge
_NEEDS_APPROVAL: Final = 'Bearer realm="bailiwick", error="insufficient_authorization_details"'
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_INTERNAL: Final = "internal"
_JSON: Final = "application/json"
# Of the codes that JSON-RPC leaves to applications; the guards of the SDK have the same.
_MCP_DENIED: Final = -32001
_HOW_BY_TASK: Final = (
    " Nothing was done. After it is approved, repeat this request with the same arguments, and with"
    ' "dev.bailiwick/approval": "{id}" in its _meta.'
)
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class McpRequest(NamedTuple):
    """A message of MCP that an answer is to. `id`: JSON-RPC's; None where it cannot be read."""

    id: str | int | None


class ProxyReply(NamedTuple):
    """An answer, whatever it is written in. `status`: 200, 401 or 403; `body`: a problem, or nothing."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    content_type: str = CONTENT_TYPE

    @property
    def allows(self) -> bool:
        """Whether this lets the call through."""
        return self.status == _OK

    def response(self, dialect: Mapping[str, str]) -> web.Response:
        """Return it as HTTP has it. `dialect`: what one kind of proxy wants with each allow."""
        if self.allows:
            return web.Response(status=_OK, headers={**self.headers, **dialect})
        return web.Response(status=self.status, body=self.body, content_type=self.content_type, headers=self.headers)


def allowed(decision: Decision, asked: EvaluationRequest) -> ProxyReply:
    """Return the answer that lets a call through."""
    subject = asked.call.subject
    name, issuer = (subject.id, subject.issuer or ASSERTED) if isinstance(subject, Party) else ("", "")
    return ProxyReply(_OK, {DECISION: decision.evaluation_id, SUBJECT: quote(name, safe=_PLAIN), ISSUER: issuer})


def denied(
    authenticator: RequestAuthenticator,
    of: Tenant,
    asked: EvaluationRequest,
    decision: Decision,
    detail: str | None,
    message: McpRequest | None = None,
) -> ProxyReply:
    """Return the answer to a call that is not let through; `message`: what its body was, where that was MCP."""
    reason = decision.verdict.reason
    token = authenticator.binding_token(of, asked, decision)
    context = messages.answer(decision, authenticator.base(of), authenticator.identity.notice, binding_token=token)[
        "context"
    ]
    revoked = reason is Reason.IDENTITY_REVOKED and not authenticator.pdp.is_taken_back(asked.call.caller.username)
    # Another token may do for a client that is taken back, and none does where the proxy is.
    status = _UNAUTHORIZED if revoked or reason in _UNPROVEN else _FORBIDDEN
    sentence = decision.sentence if detail is None else f"{decision.sentence} Details: {detail}."
    headers = {EVALUATION: decision.evaluation_id}
    if status == _UNAUTHORIZED:
        headers["WWW-Authenticate"] = _NEEDS_TOKEN
    elif "access_request" in context:
        headers["WWW-Authenticate"] = _NEEDS_APPROVAL
        headers[ACCESS_REQUEST] = context["access_request"]["endpoint"]
    if "task" in context:
        headers[TASK] = context["task"]["id"]
    if "retry_after" in context:
        headers["Retry-After"] = str(context["retry_after"])
    more = {"evaluation_id": decision.evaluation_id, **{name: context[name] for name in TOLD if name in context}}
    return _denial(_problem(status, reason.value, sentence, more), headers, message)


def refused(problem: ProblemError) -> ProxyReply:
    """Return the answer to a question that came to no decision.

    401 would have the client look for another token, where it is the proxy that has none.
    """
    retry = {name: value for name, value in problem.headers.items() if name == "Retry-After"}
    reason = str(problem.more.get("reason", problem.kind.replace("-", "_")))
    return _denial(_problem(_FORBIDDEN, reason, problem.detail), retry)


def failed() -> ProxyReply:
    """Return the answer to an internal error."""
    return _denial(_problem(_FORBIDDEN, _INTERNAL, "The decision point failed. The call is denied."))


def _problem(status: int, reason: str, detail: str, more: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """Return what a denial says (RFC 9457)."""
    return {
        "type": _TYPE + reason.replace("_", "-"),
        "title": "Unauthenticated" if status == _UNAUTHORIZED else "Forbidden",
        "status": status,
        "detail": detail,
        "reason": reason,
        **more,
    }


def _denial(
    problem: Mapping[str, Any], headers: Mapping[str, str] = _NOTHING, message: McpRequest | None = None
) -> ProxyReply:
    """Return the answer that says this; to a message of MCP an error of JSON-RPC, which clients hand to the model."""
    status, headers = problem["status"], {REASON: problem["reason"], **headers}
    if message is None:
        return ProxyReply(status, headers, orjson.dumps(problem))
    how = _HOW_BY_TASK.format(**problem["task"]) if "task" in problem else ""
    error = {"code": _MCP_DENIED, "message": f"{problem['reason']}: {problem['detail']}{how}", "data": problem}
    body = orjson.dumps({"jsonrpc": "2.0", "id": message.id, "error": error})
    return ProxyReply(status, headers, body, _JSON)
