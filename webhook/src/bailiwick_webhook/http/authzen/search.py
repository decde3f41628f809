"""AuthZEN 1.0, search APIs: which subjects, resources or actions a call could name and be allowed.

Holds: what is searched for is ignored where the body names it; nothing that matches is an empty result, never an error;
`context.incomplete` says that there may be more than policies name. Subjects who need an approval are listed apart, in
`context.with_approval`, and share the pages of the others.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web

from bailiwick_api.times import epoch_stamp
from bailiwick_engine.call import Call, Party
from bailiwick_engine.canonicaljson import sha256
from bailiwick_engine.decision.search import SearchKind
from bailiwick_engine.reasons import EXPLAINED
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.addressing import marks, tenant
from bailiwick_webhook.http.authzen import messages, pages
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.authzen.messages import Evaluation
from bailiwick_webhook.http.problems import bad_request, forbidden, unavailable
from bailiwick_webhook.http.shares.slots import RequestSlot
from bailiwick_webhook.http.transport.answers import json
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.pipeline.search import SearchResult
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.steps import resolve

# Stands for what is searched for until a name of the policies takes its place.
_BLANK: Final = "*"


def parse(body: Mapping[str, Any], kind: SearchKind) -> Evaluation:
    """Parse the body of a search. Raises `ProblemError` (400) that names the field."""
    sought = body.get(kind.value)
    if kind is SearchKind.ACTION:
        return messages.parse({**body, "action": {"name": _BLANK}})
    parsed = messages.parse({**body, kind.value: {**sought, "id": _BLANK} if isinstance(sought, dict) else sought})
    if kind is SearchKind.SUBJECT and parsed.subject.names_an_actor:
        raise bad_request("a search for subjects covers only their own calls: remove the actor", "subject")
    return parsed


def query(kind: SearchKind, call: Call, parsed: Evaluation) -> str:
    """Return the digest of all that must be the same from page to page. Evidence may be newer."""
    subject, action, resource = parsed.subject, parsed.action, parsed.resource
    return sha256(
        {
            "search": kind.value,
            "endpoint": [call.namespace, call.endpoint],
            "caller": [call.caller.username, call.caller.uid],
            "subject": [subject.type, subject.id, _members(subject.properties)],
            "action": [action.name, _members(action.properties)],
            "resource": [resource.type, resource.id, _members(resource.properties)],
            "context": dict(parsed.context),
        }
    )


class SearchHandler:
    """POST access/v1/search/subject, /resource or /action."""

    def __init__(self, authenticator: RequestAuthenticator, kind: SearchKind) -> None:
        self._authenticator = authenticator
        self._kind = kind

    async def __call__(self, request: web.Request, slot: RequestSlot) -> web.StreamResponse:
        """Answer a search."""
        of = tenant(request)
        caller = await self._authenticator.caller(request, of, slot)
        body, large = await self._authenticator.body(request, of, slot)
        parsed = parse(body, self._kind)
        asked = await self._evaluation_request(request, caller, parsed, large=large)
        bound = query(self._kind, asked.call, parsed)
        page = pages.read(body, bound)
        try:
            found = await self._authenticator.pdp.search(
                asked, self._kind, partial(self._authenticator.pay, of, slot.sender)
            )
        except RecordFailedError:
            raise unavailable("The search could not be recorded at the moment. Try again.") from None
        if found is None:
            raise forbidden(self._authenticator.identity.stranger)
        gated = frozenset(found.with_approval)
        told, following = pages.cut(sorted((*found.names, *gated)), page, bound)
        results = [self._result(parsed, name) for name in told if name not in gated]
        context = _context(found)
        if asking := [self._result(parsed, name) for name in told if name in gated]:
            context["with_approval"] = asking
        return json(
            200,
            {
                "results": results,
                "page": {"next_token": following, "count": len(results), "total": len(found.names)},
                "context": context,
            },
        )

    async def _evaluation_request(
        self, request: web.Request, caller: AuthenticatedAccount, parsed: Evaluation, *, large: bool
    ) -> EvaluationRequest:
        of = tenant(request)
        if self._kind is not SearchKind.SUBJECT:
            return await resolve(
                self._authenticator.call(of, caller, parsed, marks(request), searching=True, large=large)
            )
        namespace, endpoint = of
        # No one in particular, so that there is nothing to prove, and evidence is not looked at.
        blank = Party(parsed.subject.type, "", "", {}, parsed.subject.properties, hypothetical=True)
        call = Call(namespace, endpoint, caller.account, blank, parsed.action, parsed.resource, parsed.context)
        marked = marks(request)
        return EvaluationRequest(call, marked.request_id, live_identity=caller.live, trace=marked.trace, large=large)

    def _result(self, parsed: Evaluation, name: str) -> dict[str, str]:
        match self._kind:
            case SearchKind.SUBJECT:
                return {"type": parsed.subject.type, "id": name}
            case SearchKind.RESOURCE:
                return {"type": parsed.resource.type, "id": name}
            case SearchKind.ACTION:
                return {"name": name}


def _context(found: SearchResult) -> dict[str, Any]:
    context: dict[str, Any] = {
        "evaluated_at": epoch_stamp(found.time),
        "snapshot": {"revision": found.revision, "age_seconds": round(found.age, 3)},
    }
    if found.incomplete:
        context["incomplete"] = True
    if found.refused is not None:
        sentence = EXPLAINED[found.refused].sentence
        context |= {
            "reason": found.refused.value,
            "reason_user": {"403": sentence},
            "reason_admin": {"403": f"{found.refused.value}: {sentence}"},
        }
    return context


def _members(properties: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if properties is None else dict(properties)
