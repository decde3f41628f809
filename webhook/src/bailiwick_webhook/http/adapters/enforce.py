"""`POST /admission/enforce` of the admission port: AdmissionReviews (admission.k8s.io/v1) of kinds that are not ours.

Contract: `CREATE`, `UPDATE`, `DELETE` and `CONNECT` become `create`, `update`, `delete` and `connect` of the endpoint
`<namespace of the object>/<--kubernetes-endpoint>`. Holds: who asks is authenticated before the review is read, and
others get the same answer to every review; every review that can be read is answered 200, so that a registration
that says Ignore lets nothing of a protected namespace through for a failure of ours; no object is built before it is
known that an enforcer asks about it; a dry run uses and opens nothing; what is ours, and a namespace without the
endpoint, is let through, unless a policy may have come that is not in force.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from aiohttp import web
from msgspec.structs import replace

from bailiwick_engine.approval.binding import ARGS, ARGS_DIGEST
from bailiwick_engine.call import Action
from bailiwick_engine.canonicaljson import NotCanonicalError, sha256
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_process.ijson import strict
from bailiwick_process.ijson.strict import JsonError
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.adapters import k8snames, k8sobject, k8sreview, reviewhead
from bailiwick_webhook.http.adapters.k8sreview import ProtectedNamespaces, ReviewedCall, member, text
from bailiwick_webhook.http.addressing import CorrelationIds, Tenant
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator, VerifiedParties
from bailiwick_webhook.http.authzen.messages import Evaluation
from bailiwick_webhook.http.body import check_headers
from bailiwick_webhook.http.problems import ProblemError, bad_request, forbidden
from bailiwick_webhook.http.shares.slots import RequestSlot, other
from bailiwick_webhook.http.transport import connections
from bailiwick_webhook.http.transport.answers import json
from bailiwick_webhook.identity.apiuser import vouched
from bailiwick_webhook.identity.subject import ClaimedSubject
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.pipeline.offload import LARGE
from bailiwick_webhook.pipeline.pdp import Decision
from bailiwick_webhook.steps import resolve

PATH: Final = "/admission/enforce"
# An object and the one in its place, as the API server can have them, and what is around them.
_MAX_BYTES: Final = 3 * 1024 * 1024 + 64 * 1024
# Values of a review whose object is read. Of a large object, and the one in its place, there are some ten thousand.
_MAX_VALUES: Final = 100_000
_OPERATIONS: Final = {
    "CREATE": k8snames.CREATE,
    "UPDATE": k8snames.UPDATE,
    "DELETE": k8snames.DELETE,
    "CONNECT": k8snames.CONNECT,
}
_SECRETS: Final = "secrets"
_TUNNELS: Final = "pods/portforward"
_FORBIDDEN: Final = 403
_WAIT: Final = 429
_INTERNAL: Final = "internal"
_UNAUTHENTICATED: Final = "unauthenticated"
_PROVE: Final = "Or give the API server a client certificate, in the kubeconfig of its admission configuration."

_Result = TypeVar("_Result")

_log: Final = LogLimit()


class _Answer(NamedTuple):
    """What a review is answered: None as a reason lets through. `retry` in seconds."""

    reason: str | None
    message: str = ""
    evaluation_id: str = ""
    retry: int | None = None


class EnforceHandler:
    """Answers reviews."""

    def __init__(self, authenticator: RequestAuthenticator, namespaces: ProtectedNamespaces) -> None:
        self._authenticator = authenticator
        self._namespaces = namespaces

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer. Raises `ProblemError` (400, 413, 429) where there is no review to answer."""
        check_headers(request)
        with self._authenticator.slots.slot() as slot:
            try:
                # Whose endpoint it is, the body tells, and no body of a stranger is read.
                caller = await self._authenticator.caller(request, Tenant("", self._namespaces.endpoint), slot)
            except Exception as error:
                slot.take(other(request.remote or ""))
                uid = reviewhead.uid_in(await self._authenticator.beginning(request, reviewhead.HEAD_BYTES))
                if not uid:
                    raise
                answer = _failed(error)
                if answer.reason == _UNAUTHENTICATED:
                    answer = answer._replace(message=f"{answer.message} {_PROVE}")
                return json(200, _review(uid, answer))
            raw = await self._authenticator.raw(request, slot, _MAX_BYTES)
            if raw is None:
                raise ProblemError(413, "too-large", "Content too large", f"the body is larger than {_MAX_BYTES} bytes")
            # Not before the body is there: slow ones would keep their connections. Without it, the connection counts as
            # one on which nothing was asked, and is ended after a while, whatever is under way on it.
            connections.note_request(request)
            # Read twice: a number that has no canonical form does not matter where nothing is protected.
            said = await self._beside(caller.account.username, raw, partial(reviewhead.request_of, raw))
            uid = text(said, "uid", "request")
            if not uid:
                raise bad_request("must not be empty", "request.uid")
            try:
                answer = await self._answered(request, slot, raw, said)
            except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and disclose nothing
                answer = _failed(error)
        return json(200, _review(uid, answer))

    async def _answered(self, request: web.Request, slot: RequestSlot, raw: bytes, said: Mapping[str, Any]) -> _Answer:
        call = _call(said)
        authenticator, names = self._authenticator, self._namespaces
        of = names.of(call.namespace)
        protected = names.protected(authenticator.pdp.snapshot, call.namespace)
        doubt = None if protected else authenticator.pdp.doubt(*of)
        if names.spared(call) or not (protected or doubt):
            return _Answer(None)
        user = k8sreview.user_of(member(said, "userInfo", "request"), "username", "request.userInfo")
        if names.is_ours(user):
            return _Answer(None)
        if doubt is not None:
            return _doubted(doubt)
        caller = await authenticator.caller(request, of, slot)
        authenticator.pay(of, slot.sender)
        large = len(raw) >= LARGE
        settings = authenticator.pdp.settings(of, caller.account)
        content = _Content({}, readable=True)
        if settings is not None:
            # Of anybody else the arguments are not looked at.
            content = await self._beside(call.namespace, raw, partial(_content, call, raw))
        subject = ClaimedSubject("", "", None, None, None)
        parsed = Evaluation(subject, Action(call.target.action), call.resource, content.context, None)
        marked = CorrelationIds(_request_id(said, content), None)
        verified = VerifiedParties.known(parsed.subject, vouched(user, settings))
        asked = await resolve(authenticator.call(of, caller, parsed, marked, verified=verified, large=large))
        if call.target.unclear is not None:
            asked = replace(asked, call=replace(asked.call, refused=Reason.AMBIGUOUS_REQUEST))
        elif not content.readable:
            asked = replace(asked, call=replace(asked.call, refused=Reason.UNINSPECTABLE))
        if said.get("dryRun") is True:
            return _tried(call, await authenticator.pdp.verdict(asked, as_counted=True), authenticator)
        decision = await resolve(authenticator.pdp.evaluate(asked))
        if decision.verdict.outcome is Outcome.FORBIDDEN or decision.verdict.dry_run:
            raise forbidden(authenticator.identity.stranger)
        return _decided(call, asked, decision)

    async def _beside(self, turn: str, raw: bytes, work: Callable[[], _Result]) -> _Result:
        """Do some work on a body: where that is large beside the loop, in a turn of this name."""
        return await self._authenticator.pdp.offload.run(turn, work, large=len(raw) >= LARGE)


def _call(said: Mapping[str, Any]) -> ReviewedCall:
    resource = member(said, "resource", "request")
    group, plural = (text(resource, name, "request.resource") for name in ("group", "resource"))
    operation = _OPERATIONS.get(text(said, "operation", "request"))
    if operation is None or not plural:
        raise bad_request("must be CREATE, UPDATE, DELETE or CONNECT of a resource", "request.operation")
    subresource, told = text(said, "subResource", "request"), text(said, "name", "request")
    name, unclear = k8snames.identity(said, operation, told)
    namespace, elsewhere = k8snames.namespace_of(said, text(said, "namespace", "request"))
    target = k8snames.resolved(operation, group, plural, subresource, name)
    if operation == k8snames.CONNECT and subresource == "proxy":
        elsewhere = elsewhere or k8snames.path_problem(said.get("object"))
    unclear = unclear or target.unclear or elsewhere
    if said.get("dryRun") is True:
        unclear = unclear or k8snames.dry_run_problem(target)
    return ReviewedCall(target._replace(unclear=unclear), namespace, group)


class _Content(NamedTuple):
    """What a decision reads of a review's objects. `replaced`: the digest of what somebody wrote of the old one."""

    context: dict[str, Any]
    readable: bool
    replaced: str | None = None


def _content(call: ReviewedCall, raw: bytes) -> _Content:
    if call.target.action == k8snames.DELETE:
        return _Content({}, readable=True)
    try:
        request = strict.parse(raw, _MAX_VALUES)["request"]
        found, old = request.get("object"), request.get("oldObject")
        if not isinstance(found, dict):
            return _Content({}, readable=found is None)
        args = k8sobject.written(call.target.type, found)
        if call.target.action == k8snames.CONNECT:
            args.pop("apiVersion", None)
            if call.target.type == _TUNNELS:
                # Which ports they are is said by each stream, and `ports` is what the client likes to say of them.
                args.pop("ports", None)
        # No reviewer is shown a Secret, nor is one kept in a grant.
        context = {ARGS_DIGEST: sha256(args)} if call.target.type == _SECRETS else {ARGS: args}
        replaced = sha256(k8sobject.replaced(call.target.type, old)) if isinstance(old, dict) else None
    except (JsonError, NotCanonicalError):
        return _Content({}, readable=False)
    return _Content(context, readable=True, replaced=replaced)


def _request_id(said: Mapping[str, Any], content: _Content) -> str:
    """Return the id by which a review is known again that is about the same request of a client.

    The API server reviews a change again where somebody else wrote the object meanwhile, and a deletion that takes
    several steps at each of them, with a `uid` of its own each time. So a deletion is known by the object that it
    deletes, and an update by the object and what stood there before, without its status. Together with the subject and
    the arguments, that is the same change of the same thing. No other request is reviewed twice.
    """
    operation, old = _OPERATIONS[str(said["operation"])], k8snames.uid_of_old(said)
    if operation == k8snames.DELETE and old is not None:
        return f"{operation} {old}"
    if operation == k8snames.UPDATE and old is not None and content.replaced is not None:
        return f"{operation} {old} {content.replaced}"
    return text(said, "uid", "request")


def _decided(call: ReviewedCall, asked: EvaluationRequest, decision: Decision) -> _Answer:
    verdict = decision.verdict
    if decision.allowed:
        return _Answer(None, evaluation_id=decision.evaluation_id)
    pending = verdict.pending if verdict.reason is Reason.APPROVAL_PENDING else None
    message = k8sreview.explained(call, verdict.reason, decision.sentence)
    if pending is not None:
        message += f" Approval: {asked.call.namespace}/{pending.id.partition('.')[0]}."
    retry = messages.RETRY_AFTER if pending is not None or decision.next_action == "retry" else None
    return _Answer(verdict.reason.value, message, decision.evaluation_id, retry)


def _doubted(doubt: Reason) -> _Answer:
    """Return what is answered while it is not known whether the namespace is protected."""
    return _Answer(doubt.value, EXPLAINED[doubt].sentence, retry=messages.RETRY_AFTER)


def _tried(call: ReviewedCall, verdict: Verdict, authenticator: RequestAuthenticator) -> _Answer:
    """Return the answer to a dry run: what the call would come to, by a grant that is not used."""
    if verdict.outcome is Outcome.FORBIDDEN:
        raise forbidden(authenticator.identity.stranger)
    if verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT}:
        return _Answer(None)
    # Without a time to come again: no approval was requested.
    return _Answer(verdict.reason.value, k8sreview.explained(call, verdict.reason, verdict.sentence))


def _failed(error: Exception) -> _Answer:
    """Return what is answered where there is no decision. A defect denies, and discloses nothing."""
    if not isinstance(error, ProblemError):
        _log.error("unforeseen failure", adapter="enforce", exc_info=error)
        return _Answer(_INTERNAL, "The decision point failed; the call is denied.")
    after = error.headers.get("Retry-After")
    return _Answer(k8sreview.reason_of(error), error.detail, retry=None if after is None else int(after))


def _review(uid: str, answer: _Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"uid": uid, "allowed": answer.reason is None}
    if answer.evaluation_id:
        response["auditAnnotations"] = {"evaluation-id": answer.evaluation_id}
    if answer.reason is not None:
        message = f"{answer.reason}: {answer.message}"
        details: dict[str, Any] = {"causes": [{"reason": answer.reason, "message": answer.message}]}
        status = {"code": _FORBIDDEN, "reason": "Forbidden", "message": message}
        if answer.retry is not None:
            status |= {"code": _WAIT, "reason": "TooManyRequests"}
            details["retryAfterSeconds"] = answer.retry
        response["status"] = {**status, "details": details}
        response["auditAnnotations"] = {**response.get("auditAnnotations", {}), "reason": answer.reason}
    return {"apiVersion": reviewhead.VERSION, "kind": "AdmissionReview", "response": response}
