"""`POST /authorize`: SubjectAccessReviews (authorization.k8s.io/v1), as an authorizer before RBAC.

Contract: denied, or no opinion, and never allowed: RBAC still has to allow. Holds: the answer is always 200, since the
API server tries again after any other; a failure is a denial; nothing is used, opened or recorded, since anybody may
ask by `kubectl auth can-i`. What only the whole call can tell, its arguments and approvals, is left to `enforce`, for
verbs that admission sees.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from aiohttp import web
from msgspec.structs import replace

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import is_reserved
from bailiwick_engine import keys
from bailiwick_engine.call import Action, Party
from bailiwick_engine.decision.collections import named_objects, reads_id
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.adapters import k8snames, k8sreview
from bailiwick_webhook.http.adapters.k8sreview import ProtectedNamespaces, ReviewedCall, member, text
from bailiwick_webhook.http.addressing import Tenant, marks
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator, VerifiedParties
from bailiwick_webhook.http.authzen.messages import Evaluation
from bailiwick_webhook.http.body import check_headers, parse_object
from bailiwick_webhook.http.problems import ProblemError, bad_request
from bailiwick_webhook.http.transport.answers import json
from bailiwick_webhook.identity.apiuser import vouched
from bailiwick_webhook.identity.subject import ClaimedSubject
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.pipeline.offload import LARGE
from bailiwick_webhook.steps import resolve

PATH: Final = "/authorize"
_VERSION: Final = "authorization.k8s.io/v1"
_KIND: Final = "SubjectAccessReview"
_MAX_BYTES: Final = 256 * 1024
# Of a request without a credential: no part of the cluster.
_ANONYMOUS: Final = "system:anonymous"
# Ways into what runs: whatever the verb, admission sees them as one operation.
_CONNECTED: Final = frozenset({"exec", "attach", "portforward", "proxy"})
_CARRIERS: Final = frozenset({"pods", "services", "nodes"})
# As admission calls them.
_VERBS: Final = {"patch": "update", "deletecollection": "delete"}
_ADMITTED: Final = frozenset({k8snames.CREATE, "update", k8snames.DELETE, k8snames.CONNECT})
# Without a name they are about every object of a type.
_OF_COLLECTIONS: Final = frozenset({"list", "watch", "deletecollection"})
_MOST_NAMED: Final = 256
# What counts a call, which admission does, and not what asks here.
_COUNTING: Final = frozenset({Reason.HISTORY_UNAVAILABLE, Reason.HISTORY_UNCOUNTABLE})
# What depends on arguments, of which there are none here.
_UNTOLD: Final = _COUNTING | {
    Reason.CONDITION_FALSE,
    Reason.CONDITION_ERROR,
    Reason.CONTEXT_INSUFFICIENT,
    Reason.UNINSPECTABLE,
}
_NAME_EACH: Final = "Rules name objects of this collection. Name one object in each request."

_log: Final = LogLimit()


class _Denial(NamedTuple):
    reason: str
    message: str


class AuthorizeHandler:
    """Answers reviews."""

    def __init__(self, authenticator: RequestAuthenticator, namespaces: ProtectedNamespaces) -> None:
        self._authenticator = authenticator
        self._namespaces = namespaces

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer. Never raises, but where the client goes away."""
        try:
            denial = await self._denial(request)
        except ProblemError as problem:
            denial = _Denial(k8sreview.reason_of(problem), problem.detail)
        except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and disclose nothing
            _log.error("unforeseen failure", adapter="authorize", exc_info=error)
            denial = _Denial("internal", "The decision point failed; the call is denied.")
        status: dict[str, Any] = {"allowed": False}
        if denial is not None:
            status |= {"denied": True, "reason": f"Bailiwick: {denial.reason}: {denial.message}"}
        return json(200, {"apiVersion": _VERSION, "kind": _KIND, "status": status})

    async def _denial(self, request: web.Request) -> _Denial | None:
        authenticator, names = self._authenticator, self._namespaces
        with authenticator.slots.slot() as slot:
            # Of whose endpoint it is, the body tells, and no body of a stranger is read.
            known = await authenticator.caller(request, Tenant("", names.endpoint), slot)
            check_headers(request)
            raw = await authenticator.raw(request, slot, _MAX_BYTES)
            if raw is None:
                raise bad_request(f"the body is larger than {_MAX_BYTES} bytes", "")
            parse = partial(parse_object, raw)
            large = len(raw) >= LARGE
            review = await authenticator.pdp.offload.run(known.account.username, parse, large=large)
            call, collective = _call(review)
            if call is None or names.spared(call):
                return None
            snapshot, of = authenticator.pdp.snapshot, names.of(call.namespace)
            protected = names.protected(snapshot, call.namespace)
            doubt = None if protected else authenticator.pdp.doubt(*of)
            if not (protected or doubt):
                return None
            user = k8sreview.user_of(member(review, "spec", ""), "user", "spec")
            if names.is_ours(user) or _is_component(user.username):
                return None
            if protected and self._is_unnamed(snapshot, of, user.username):
                protected, doubt = False, authenticator.pdp.doubt(*of)
            if not protected:
                return None if doubt is None else _Denial(doubt.value, EXPLAINED[doubt].sentence)
            caller = await authenticator.caller(request, of, slot)
            authenticator.pay(of, slot.sender)
            subject = ClaimedSubject("", "", None, None, None)
            parsed = Evaluation(subject, Action(call.target.action), call.resource, {}, None)
            parties = vouched(user, authenticator.pdp.settings(of, caller.account))
            verified = VerifiedParties.known(parsed.subject, parties)
            asked = await resolve(authenticator.call(of, caller, parsed, marks(request), verified=verified))
            if call.target.unclear is not None:
                asked = replace(asked, call=replace(asked.call, refused=Reason.AMBIGUOUS_REQUEST))
            verdict = await authenticator.pdp.verdict(asked)
            denial = _judged(call, verdict, authenticator.identity.stranger)
            if denial is not None or not collective:
                return denial
            if call.target.action not in _ADMITTED and verdict.rule is not None and reads_id(verdict.rule):
                # It was asked about `*`, and not about one of the objects.
                return _Denial(Reason.CONDITION_ERROR.value, _NAME_EACH)
            return await self._judged_each(call, asked)

    def _is_unnamed(self, snapshot: Snapshot, of: Tenant, username: str) -> bool:
        """Tell whether it is a service account that nothing names: to lock it out would break the cluster."""
        if not username.startswith(SERVICE_ACCOUNT_PREFIX):
            return False
        endpoint = snapshot.endpoints.get(of)
        if endpoint is None or endpoint.denied_whole is not None:
            return False
        # By each key that the decision would look for, since a policy may name the account by any of them.
        named = keys.of_asserted(keys.SERVICE_ACCOUNT, username)
        by_policy = not (named.isdisjoint(endpoint.named_subjects) and endpoint.broken.keys().isdisjoint(named))
        return not by_policy and not self._authenticator.pdp.is_taken_back(username)

    async def _judged_each(self, call: ReviewedCall, asked: EvaluationRequest) -> _Denial | None:
        """Judge each object of a collection that a rule names: the API server would not ask about one of them."""
        endpoint = self._authenticator.pdp.snapshot.endpoints.get(self._namespaces.of(call.namespace))
        party = asked.call.subject
        if endpoint is None or not isinstance(party, Party):
            return None
        named = named_objects(endpoint, party, call.target.action, call.target.type)
        if named.unknown or len(named.ids) > _MOST_NAMED:
            return _Denial(Reason.CONDITION_ERROR.value, _NAME_EACH)
        for name in sorted(named.ids):
            each = call._replace(target=call.target._replace(name=name))
            judged = replace(asked, call=replace(asked.call, resource=each.resource))
            denial = _judged(each, await self._authenticator.pdp.verdict(judged), self._authenticator.identity.stranger)
            if denial is not None:
                return denial._replace(message=_NAME_EACH)
        return None


def _call(review: Mapping[str, Any]) -> tuple[ReviewedCall | None, bool]:
    """Return what a review asks, None where it is about no resource, and whether about all objects of a collection.

    Raises `ProblemError`.
    """
    if (review.get("apiVersion"), review.get("kind")) != (_VERSION, _KIND):
        raise bad_request(f"must be a {_KIND} of {_VERSION}", "kind")
    spec = member(review, "spec", "")
    if "resourceAttributes" not in spec:
        return None, False
    asked = member(spec, "resourceAttributes", "spec")
    group, plural, subresource, name, namespace, verb = (
        text(asked, part, "spec.resourceAttributes")
        for part in ("group", "resource", "subresource", "name", "namespace", "verb")
    )
    if not verb or not plural:
        raise bad_request("must name a verb and a resource", "spec.resourceAttributes")
    action = _VERBS.get(verb, verb)
    if not group and plural in _CARRIERS and subresource in _CONNECTED:
        action = k8snames.CONNECT
    target = k8snames.resolved(action, group, plural, subresource, name)
    return ReviewedCall(target, namespace, group), not name and verb in _OF_COLLECTIONS


def _is_component(username: str) -> bool:
    """Tell whether somebody is a part of the cluster other than a service account: none is ever locked out."""
    return is_reserved(username) and username != _ANONYMOUS and not username.startswith(SERVICE_ACCOUNT_PREFIX)


def _judged(call: ReviewedCall, verdict: Verdict, stranger: str) -> _Denial | None:
    if verdict.outcome is Outcome.FORBIDDEN:
        return _Denial("forbidden", stranger)
    admitted = call.target.action in _ADMITTED
    if verdict.gate is not None and not admitted:
        # Nothing would use the approval up.
        return _Denial(
            Reason.APPROVAL_REQUIRED.value, "A rule requires an approval, which cannot be used for a call that reads."
        )
    if verdict.outcome is not Outcome.DENY:
        return None
    if verdict.reason in _COUNTING and not admitted:
        return _Denial(verdict.reason.value, "A history counts this call, and a call that reads is never counted.")
    untold = verdict.gate is not None or verdict.reason in _UNTOLD
    if (call.target.action, call.target.name) == (
        k8snames.CREATE,
        k8snames.UNNAMED,
    ) and verdict.reason is Reason.NO_RULE:
        # A new object's name is in its body. A collection that is deleted has no name anywhere: a subject that may
        # delete all
        # of it has a rule that says so, and admission is asked about each object, if it is registered for that.
        untold = True
    return (
        None
        if admitted and untold
        else _Denial(verdict.reason.value, k8sreview.explained(call, verdict.reason, verdict.sentence))
    )
