"""What guards have in common, whatever serves HTTP: a request becomes a call, and a denial an answer.

Holds: the call is made of the very values that the handler will see, and every part of the request that a handler
could act on is in it: path, query and body. What cannot be read is 400 before anybody is asked. A request that asks for
an approval never runs.
"""

import asyncio
import math
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, Literal, Protocol

from bailiwick import sentences
from bailiwick.call import AccessCall, AccessResource, Principal, decoded
from bailiwick.decision import AccessDecision, Approval, ApprovalNeeded, Denied
from bailiwick.outcomes import CallOutcome, OutcomeReport
from bailiwick.targets import OddTargetError, check_target, parts_of, query_texts, resource_id

# A caller repeats the very request with one of these: to show an approval, or to ask for one in its own words.
APPROVAL_HEADER: Final = "X-Approval"
REASON_HEADER: Final = "X-Approval-Reason"
PROBLEM: Final = "application/problem+json"
MAX_BODY: Final = 65536
_TYPE: Final = "https://bailiwick.dev/problems/"
_SINGLE: Final = ("authorization", APPROVAL_HEADER.lower(), REASON_HEADER.lower(), "traceparent")
_REASON_LENGTH: Final = 1024
# Between two looks at a request, where the decision point says nothing.
_LOOK_SECONDS: Final = 5
# The one way to write a charset. Frameworks decode a body by it, and know more ways to write it (RFC 2231).
_UTF_8: Final = re.compile(r'[^;,]*;\s*charset=("?)utf-8\1\s*', re.IGNORECASE)
# A media type and its parameters (RFC 9110, 8.3.1) without what only some parsers take: comments, and encoded words
# (RFC 2047), in which a parser of mail finds another type or charset.
_MEDIA_TYPE: Final = re.compile(
    r"""[\w!#$&^.+-]+/[\w!#$&^.+-]+ \s* (; \s* ([\w!#$&^.+-]+=([\w!#$&^.+-]+ | "([^"\\=] | =(?!\?))*") \s*)?)*""",
    re.ASCII | re.VERBOSE,
)
# Some bodies are JSON and a form at once, and say another thing in each.
_FORMS: Final = ("form-urlencoded", "form-data", "multipart")

UNMAPPED: Final = "unmapped"
TOO_LARGE: Final = "body_too_large"
BAD_REQUEST: Final = "bad_request"
AMBIGUOUS: Final = "ambiguous_request"
UNAUTHENTICATED: Final = "unauthenticated"

# "body": the JSON object in the body. A function: takes that object and returns the arguments, or raises ValueError.
Arguments = Literal["body"] | Callable[[Mapping[str, Any]], Mapping[str, Any]] | None


class Asker(Protocol):
    """What a guard needs of `AsyncBailiwick`."""

    async def evaluate(self, call: AccessCall, *, approval: Approval | None = None) -> AccessDecision:
        """Ask about a call."""

    async def request_approval(self, of: ApprovalNeeded | AccessCall, *, reason: str) -> Approval:
        """Ask for an approval."""

    async def approval(self, identifier: str) -> Approval | AccessDecision:
        """Look what became of a request."""

    def report(self, decision: AccessDecision, outcome: CallOutcome) -> asyncio.Future[OutcomeReport]:
        """Start to report what became of a call. Called only for a decision whose outcome matters."""

    async def close(self) -> None:
        """End the connections, after the reports that are on their way."""


@dataclass(frozen=True, slots=True)
class GuardRule:
    """What one route does: `resource` is type and id, in which `{name}` stands for a part of the path.

    `repeated` are the names that may stand more than once in the query.
    """

    action: str
    resource: tuple[str, str]
    args: Arguments = "body"
    intent: str | None = None
    repeated: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an id that two resources would have. Raises `ValueError`."""
        parts_of(self.resource[1])

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path that the id of the resource is made of."""
        return parts_of(self.resource[1])


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request as its handler will see it.

    `path` are all named parts of the path, `query` the values of its query by name (`query_of`), as the handler gets
    both; names of headers are in lower case.
    """

    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a caller gets instead of what it asked for."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = PROBLEM


class RequestError(Exception):
    """The request cannot be made into a call. `answer` is what its caller gets."""

    def __init__(self, answer: WebAnswer) -> None:
        super().__init__(answer.body["detail"])
        self.answer = answer


def problem(status: int, reason: str, detail: str, more: Mapping[str, Any] | None = None) -> WebAnswer:
    """Return a problem (RFC 9457)."""
    said = {"type": _TYPE + reason.replace("_", "-"), "title": HTTPStatus(status).phrase, "status": status}
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return WebAnswer(status, {**(more or {}), **said, "detail": detail, "reason": reason}, headers)


def single_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name. Raises `RequestError` where one that decides occurs twice: which would count?"""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        if key in found and key in _SINGLE:
            raise RequestError(problem(400, BAD_REQUEST, f"The header {name} occurs twice. Send it once."))
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def ambiguous(why: object) -> RequestError:
    """Return the error for a request that can be read in two ways. `why` ends the sentence "...: its path ..."."""
    return RequestError(problem(400, AMBIGUOUS, sentences.ambiguous(why)))


def one_reading(path: str, raw_path: bytes | None, query: bytes) -> None:
    """Refuse a target that can be read in two ways (see `targets.check_target`). Raises `RequestError`."""
    try:
        check_target(path, raw_path, query)
    except OddTargetError as error:
        raise ambiguous(error) from error


def query_of(pairs: Iterable[tuple[str, str]], repeated: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of a query by name. Raises `RequestError` for a name that occurs twice and must not."""
    try:
        return query_texts(pairs, repeated)
    except OddTargetError as error:
        raise ambiguous(error) from error


def call_of(rule: GuardRule, request: WebRequest, subject: Principal | None = None) -> AccessCall:
    """Return the call that a request is. Raises `RequestError`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    proven = token.strip() if scheme.lower() == "bearer" and token.strip() else None
    if proven is None and subject is None:
        raise RequestError(problem(401, UNAUTHENTICATED, sentences.NO_TOKEN))
    try:
        identifier = resource_id(rule.resource[1], request.path)
    except OddTargetError as error:
        raise ambiguous(error) from error
    # Parts that the id does not name: else an approval for one tenant's customer 42 would be one for each tenant's.
    apart = {name: value for name, value in request.path.items() if name not in rule.parts}
    return AccessCall(
        action=rule.action,
        resource=AccessResource(rule.resource[0], identifier),
        token=proven,
        subject=subject,
        args=_arguments(rule, request),
        intent=rule.intent,
        context={**({"query": request.query} if request.query else {}), **({"path": apart} if apart else {})},
        traceparent=request.headers.get("traceparent"),
    )


def _arguments(rule: GuardRule, request: WebRequest) -> Mapping[str, Any] | None:
    body = request.body
    if rule.args is None or (rule.args == "body" and not body):
        return None
    kind = request.headers.get("content-type", "")
    if any(form in kind.lower() for form in _FORMS):
        raise RequestError(problem(415, BAD_REQUEST, "Send the body as application/json, and not as a form."))
    if kind and not _MEDIA_TYPE.fullmatch(kind):
        raise ambiguous("its Content-Type is no plain media type: send application/json")
    if "charset" in kind.lower() and not _UTF_8.fullmatch(kind):
        raise ambiguous("its body is not in UTF-8, or its Content-Type says so in an unusual way")
    try:
        found = decoded(body)
        if not isinstance(found, dict):
            raise ValueError("the body must be a JSON object")  # noqa: TRY004 - one error for all that is wrong with a body
        return found if rule.args == "body" else rule.args(found)
    except ValueError as error:
        raise RequestError(
            problem(400, BAD_REQUEST, f"The body cannot be read: {error}. Correct it and send it again.")
        ) from error


async def admit(
    pdp: Asker, call: AccessCall, headers: Mapping[str, str], approvals: str | None = None
) -> AccessDecision | WebAnswer:
    """Ask about a call that a request is: an allow, or what its caller gets instead.

    `approvals` is the path below which its caller reads requests for approval; None: nowhere.
    """
    try:
        reason = headers.get(REASON_HEADER.lower())
        if reason is not None:
            return await _request_approval(pdp, call, reason, approvals)
        shown = headers.get(APPROVAL_HEADER.lower())
        decision = await pdp.evaluate(call, approval=None if shown is None else Approval.of_header(shown))
    except ValueError as error:
        return problem(400, BAD_REQUEST, sentences.undecidable("The request", error))
    return decision if decision.allowed else refusal(decision)


async def _request_approval(pdp: Asker, call: AccessCall, reason: str, approvals: str | None) -> WebAnswer:
    words = reason.strip()
    if not words or len(words) > _REASON_LENGTH:
        raise ValueError(f"{REASON_HEADER} holds 1 to {_REASON_LENGTH} characters")
    try:
        approval = await pdp.request_approval(call, reason=words)
    except Denied as error:
        return refusal(error.decision)
    answer = _task_answer(HTTPStatus.ACCEPTED, approval)
    if approvals is None:
        return answer
    location = f"{approvals.rstrip('/')}/{urllib.parse.quote(approval.id, safe='')}"
    return replace(answer, headers={**answer.headers, "Location": location})


async def task_answer(pdp: Asker, identifier: str) -> WebAnswer:
    """Answer somebody who asks what became of a request for approval; its id is a secret that only the asker has."""
    found = await pdp.approval(identifier)
    if isinstance(found, Approval):
        return _task_answer(HTTPStatus.OK, found)
    if found.available:
        return refusal(found)
    detail = "There is no such request for approval, or its state is unknown at the moment. Check its id and try again."
    return problem(404, "unknown_task", detail)


def _task_answer(status: int, approval: Approval) -> WebAnswer:
    """Return a task, and when to look at it again while it is pending."""
    headers = {"Retry-After": str(math.ceil(approval.retry_after or _LOOK_SECONDS))} if approval.pending else {}
    return WebAnswer(status, {"task": dict(approval.task)}, headers, "application/json")


def refusal(decision: AccessDecision) -> WebAnswer:
    """Return what the caller of a denied request gets: why, and how to ask for an approval where one would help."""
    if not decision.available:
        return problem(503, decision.reason, sentences.undecided(refused=decision.refused))
    more = decision.public()
    if decision.access_request is not None:
        more["how"] = (
            f"To request an approval, repeat this request unchanged, with the reason in the header {REASON_HEADER}."
            f" After it is approved, repeat the request unchanged, with the header {APPROVAL_HEADER}:"
            " result.approval of the task, as JSON."
        )
    return problem(HTTPStatus.FORBIDDEN, decision.reason, decision.sentence, more)


def unmapped() -> WebAnswer:
    """Return the answer to a request without a mapping."""
    return problem(HTTPStatus.FORBIDDEN, UNMAPPED, sentences.unmapped("This route"))


def too_large() -> WebAnswer:
    """Return the answer to a body that is larger than what is asked about."""
    detail = f"The body is larger than {MAX_BODY} bytes, so no decision was requested. Send a smaller body."
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE, detail)
