"""A proxied call: what all adapters share, from who asks and what is asked to a decision.

Standing: above `authzen`, whose request authenticator proves the parties; each adapter only says where its proxy puts
what. Holds: who asks is authenticated before anything is read; every call of an authenticated proxy is decided by the
one pipeline and recorded, also one that stands for no action; whatever goes wrong on the way is a denial that says so.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from aiohttp import web
from msgspec.structs import replace
from multidict import MultiMapping

from bailiwick_engine.call import Action, Resource
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.mcpmessages import message_call
from bailiwick_engine.policy.overrides import has_ambiguous_header, is_form, is_override
from bailiwick_engine.policy.routes import MappedCall, McpMatch, RouteMatch, RouteRefusal, RouteTable
from bailiwick_engine.reasons import Reason
from bailiwick_process.ijson import strict
from bailiwick_process.ijson.strict import JsonError
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.adapters import replies
from bailiwick_webhook.http.adapters.question import ProxiedCall, ProxyQuestion, says_json
from bailiwick_webhook.http.adapters.replies import McpRequest, ProxyReply
from bailiwick_webhook.http.addressing import Tenant, marks
from bailiwick_webhook.http.authzen import metadata
from bailiwick_webhook.http.authzen.authenticator import ENFORCER, RequestAuthenticator
from bailiwick_webhook.http.authzen.messages import Evaluation, PresentedApproval
from bailiwick_webhook.http.body import MAX_BYTES
from bailiwick_webhook.http.problems import ProblemError, forbidden
from bailiwick_webhook.http.shares.slots import RequestSlot
from bailiwick_webhook.http.transport.clientcerts import certified
from bailiwick_webhook.identity.subject import ClaimedSubject
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.pipeline.offload import LARGE
from bailiwick_webhook.pipeline.pdp import Decision
from bailiwick_webhook.steps import resolve

# RFC 6750, 2.1; one token and nothing beside it, such as a second one that a proxy has joined to it by a comma.
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9._~+/-]+=*)")
_APPROVAL: Final = re.compile(r"([a-z0-9][a-z0-9.-]{0,316})(?: ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+))?")
_SHOWN: Final = 200
_T = TypeVar("_T")

_log: Final = LogLimit()


Read = Callable[[web.BaseRequest], ProxiedCall | None]
"""Reads a call out of a question; None where the proxy does not say it, or says it twice."""

Dialect = Mapping[str, str]
"""Headers that one kind of proxy wants with each allow."""


class HttpQuestion:
    """A question by HTTP."""

    def __init__(self, authenticator: RequestAuthenticator, request: web.BaseRequest, read: Read) -> None:
        self._authenticator = authenticator
        self._request = request
        self._read = read
        self.headers = request.headers

    async def caller(self, of: Tenant, slot: RequestSlot) -> AuthenticatedAccount:
        """Return which proxy asks. Raises `ProblemError`."""
        sent = self.headers.getall(ENFORCER, ())
        return await self._authenticator.by_proxy(self._request, of, slot, certified(self._request), sent)

    def call(self) -> ProxiedCall | None:
        """Return what is asked about."""
        return self._read(self._request)

    async def body(self, slot: RequestSlot) -> bytes | None:
        """Return the body. Raises `ProblemError`."""
        return await self._authenticator.raw(self._request, slot, MAX_BYTES)


async def answer(
    authenticator: RequestAuthenticator, request: web.BaseRequest, of: Tenant | None, read: Read, dialect: Dialect
) -> web.Response:
    """Decide a call that a proxy asks about by HTTP. Never raises, but where the client goes away."""
    reply = await decide(authenticator, HttpQuestion(authenticator, request, read), of, request.path.split("/")[1])
    return reply.response(dialect)


async def decide(
    authenticator: RequestAuthenticator, question: ProxyQuestion, of: Tenant | None, adapter: str
) -> ProxyReply:
    """Decide a proxied call. Never raises, but where it is cancelled."""
    try:
        if of is None or not metadata.well_formed(*of):
            raise forbidden(authenticator.identity.stranger)
        with authenticator.slots.slot() as slot:
            decision, asked, detail, message = await _decided(authenticator, question, of, slot)
        if decision.verdict.outcome is Outcome.FORBIDDEN or decision.verdict.dry_run:
            # A dry run is for somebody who asks about themselves: it lets nothing through.
            raise forbidden(authenticator.identity.stranger)
        if decision.allowed:
            return replies.allowed(decision, asked)
        return replies.denied(authenticator, of, asked, decision, detail, message)
    except ProblemError as problem:
        return replies.refused(problem)
    except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
        _log.error("unexpected failure", adapter=adapter, exc_info=error)
        return replies.failed()


class _ReadCall(NamedTuple):
    """What a proxied call comes to. `message` and `shown` are of MCP: whom to answer, and the approval in the body."""

    found: MappedCall | RouteRefusal
    message: McpRequest | None = None
    shown: tuple[str, str | None] | None = None


class _DecidedCall(NamedTuple):
    """A decision and what it is about. `detail`: more than the reason says; `message`: of MCP, whom to answer."""

    decision: Decision
    asked: EvaluationRequest
    detail: str | None
    message: McpRequest | None


async def _decided(
    authenticator: RequestAuthenticator, question: ProxyQuestion, of: Tenant, slot: RequestSlot
) -> _DecidedCall:
    caller = await question.caller(of, slot)
    call = question.call()
    raw = await question.body(slot)
    authenticator.pay(of, slot.sender)
    settings = authenticator.pdp.settings(of, caller.account)
    read = await _read_call(authenticator, question, of, call, None if settings is None else settings.routes, raw)
    found, approval = read.found, _approval(question.headers)
    if read.shown is not None:
        # By header or in the message: both at once are two readings, though they may say the same.
        approval = PresentedApproval(*read.shown) if approval is None else _TWICE
    if approval is _TWICE and isinstance(found, MappedCall):
        found = RouteRefusal(
            Reason.AMBIGUOUS_REQUEST, f"{replies.APPROVAL} is malformed, or an approval is shown twice"
        )
    mapped = found if isinstance(found, MappedCall) else _unmapped(call)
    parsed = Evaluation(
        ClaimedSubject.bearer(_credential(question.headers)),
        mapped.action,
        mapped.resource,
        {} if mapped.args is None else {"args": mapped.args},
        None,
        approval=approval if isinstance(approval, PresentedApproval) else None,
    )
    asked = await resolve(authenticator.call(of, caller, parsed, marks(question), large=len(raw or b"") >= LARGE))
    if isinstance(found, RouteRefusal):
        asked = replace(asked, call=replace(asked.call, refused=found.reason))
    told = found.detail if isinstance(found, RouteRefusal) else None
    return _DecidedCall(await resolve(authenticator.pdp.evaluate(asked)), asked, told, read.message)


async def _read_call(
    authenticator: RequestAuthenticator,
    question: ProxyQuestion,
    of: Tenant,
    call: ProxiedCall | None,
    table: RouteTable | None,
    raw: bytes | None,
) -> _ReadCall:
    """Return what the call stands for, by the endpoint's routes."""
    if call is None or has_ambiguous_header(question.headers):
        detail = (
            "the proxy does not describe the call or describes it twice, or a header has a name that some upstreams"
            " take for another one"
        )
        return _ReadCall(RouteRefusal(Reason.AMBIGUOUS_REQUEST, detail))
    if table is None:
        return _ReadCall(RouteRefusal(Reason.UNMAPPED))
    match = table.find(call.method, call.host, call.target)
    if isinstance(match, RouteRefusal):
        return _ReadCall(match)
    if call.cut:
        refusal = RouteRefusal(Reason.UNINSPECTABLE, "the proxy sent only a part of the body")
        return _ReadCall(refusal, McpRequest(None) if isinstance(match, McpMatch) else None)
    if isinstance(match, McpMatch):
        return await _message(authenticator, question, of, raw)
    return _ReadCall(await _mapped(authenticator, question, of, match, raw))


async def _mapped(
    authenticator: RequestAuthenticator, question: ProxyQuestion, of: Tenant, found: RouteMatch, raw: bytes | None
) -> MappedCall | RouteRefusal:
    headers = _values_by_name(question.headers)
    if not found.route.reads_body:
        told = None if found.route.forms else _hidden(question.headers, raw)
        if told is not None:
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, told)
        if not found.route.queries or not raw or not says_json(question.headers):
            return found.call(headers)
        # No argument is taken from it, but an upstream may take it for the query.
        document = await _document(authenticator, question, of, raw)
        if document is None:
            detail = "the route takes arguments from the query, and the body is no JSON object that could have them too"
            return RouteRefusal(Reason.UNINSPECTABLE, detail)
        return await _beside(authenticator, of, raw, partial(found.call, headers, document))
    if raw == b"":
        return RouteRefusal(
            Reason.CONTEXT_INSUFFICIENT,
            ("the route takes arguments from the body, but the body is missing or the proxy does not send it"),
        )
    document = await _document(authenticator, question, of, raw)
    if document is None:
        return RouteRefusal(
            Reason.UNINSPECTABLE, ("the route takes arguments from the body, but the body is not a JSON object")
        )
    if any(is_override(name) for name in document):
        return RouteRefusal(Reason.AMBIGUOUS_REQUEST, "the body has a member by which some upstreams change the method")
    return await _beside(authenticator, of, raw, partial(found.call, headers, document))


def _hidden(headers: MultiMapping[str], raw: bytes | None) -> str | None:
    """Return how the body of a route that reads none could name another method; None where it cannot.

    Proxies that send no body say its type all the same, and refuse by themselves one of which it is not said.
    """
    sent = headers.getall("Content-Type", ())
    if is_form(sent):
        return (
            "the body is a form, and some upstreams read another method in a form; the route can accept forms"
            " (forms: true) if this upstream does not"
        )
    # One that is there and empty is sent also by proxies that send no body, and do not take it for missing.
    if not all(one.strip() for one in sent) or (raw != b"" and not sent):
        return "the type of the body is missing, and some upstreams read such a body as a form"
    return None


async def _message(
    authenticator: RequestAuthenticator, question: ProxyQuestion, of: Tenant, raw: bytes | None
) -> _ReadCall:
    """Return what a message of MCP stands for."""
    if raw == b"":
        detail = "the message of MCP is missing, or the proxy does not send it"
        return _ReadCall(RouteRefusal(Reason.CONTEXT_INSUFFICIENT, detail), McpRequest(None))
    document = await _document(authenticator, question, of, raw)
    if document is None:
        refusal = RouteRefusal(Reason.UNINSPECTABLE, "the body is not one message of MCP as JSON")
        return _ReadCall(refusal, McpRequest(None))
    identifier = document.get("id")
    known = isinstance(identifier, str | int) and not isinstance(identifier, bool)
    message = McpRequest(identifier if known else None)
    work = partial(message_call, document, f"{of.namespace}/{of.endpoint}", _values_by_name(question.headers))
    said = await _beside(authenticator, of, raw, work)
    return _ReadCall(said, message) if isinstance(said, RouteRefusal) else _ReadCall(said.call, message, said.approval)


async def _document(
    authenticator: RequestAuthenticator, question: ProxyQuestion, of: Tenant, raw: bytes | None
) -> dict[str, Any] | None:
    """Return the body where it is a JSON object in every reading; None where it is not, or is too large."""
    if raw is None or not says_json(question.headers):
        return None
    if set(question.headers.getall("Content-Encoding", ())) - {"identity"}:
        return None
    try:
        return await _beside(authenticator, of, raw, partial(strict.parse, raw))
    except JsonError:
        return None


async def _beside(authenticator: RequestAuthenticator, of: Tenant, raw: bytes | None, work: Callable[[], _T]) -> _T:
    """Do some work on a body: where that is large beside the loop, in the tenant's turn."""
    return await authenticator.pdp.offload.run(of.namespace, work, large=len(raw or b"") >= LARGE)


def _unmapped(call: ProxiedCall | None) -> MappedCall:
    """Return what stands in the record of a call that stands for no action: no rule is ever asked about it."""
    path = "" if call is None else call.target.partition("?")[0]
    method = "" if call is None else call.method
    return MappedCall(
        Action(f"http:{method[:16]}"), Resource("http", path[:_SHOWN].encode("ascii", "replace").decode()), None
    )


def _credential(headers: MultiMapping[str]) -> str | None:
    """Return the one credential of a call; None where there is none, more than one, or something else."""
    sent = headers.getall("Authorization", ())
    found = _BEARER.fullmatch(sent[0]) if len(sent) == 1 else None
    return None if found is None else found[1]


class _Twice:
    """Stands for what is there twice, or cannot be read."""


_TWICE: Final = _Twice()


def _approval(headers: MultiMapping[str]) -> PresentedApproval | _Twice | None:
    sent = headers.getall(replies.APPROVAL, ())
    if not sent:
        return None
    found = _APPROVAL.fullmatch(sent[0]) if len(sent) == 1 else None
    return _TWICE if found is None else PresentedApproval(found[1], found[2])


def _values_by_name(headers: MultiMapping[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers.items():
        found.setdefault(name.lower(), []).append(value)
    return found


def one(request: web.BaseRequest, name: str) -> str | None:
    """Return a header that must be there once; None where it is not."""
    sent = request.headers.getall(name, ())
    return sent[0] if len(sent) == 1 and sent[0] else None
