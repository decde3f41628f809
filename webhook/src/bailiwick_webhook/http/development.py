"""Reviews in development: anyone who can connect approves or denies a request (not a part of AuthZEN).

Standing: above `authzen`, beside `app`, which does not know it; `standalone` adds it with `--development` alone. Holds:
the engine judges the review as that of any other reviewer; a browser cannot send one for a page, because a request with
the header Origin is refused; each answer says that the approval protects nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bailiwick_engine.approval.grants import Grant
from bailiwick_webhook.development.grantmemory import GrantMemory, ProposedReview, RefusedReview
from bailiwick_webhook.http.addressing import Tenant, tenant
from bailiwick_webhook.http.app import AUTHENTICATOR
from bailiwick_webhook.http.authzen import tasks
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.problems import ProblemError, bad_request, forbidden
from bailiwick_webhook.http.transport.answers import json

PATH: Final = "/endpoints/{namespace}/{endpoint}/development/reviews"
_DECISIONS: Final = {"Approve": True, "Deny": False}
_MOST_GROUPS: Final = 64
_LISTED: Final = 20


def add_reviews(application: web.Application, memory: GrantMemory) -> None:
    """Serve reviews of the grants in memory on an application of the decision paths."""
    application.router.add_post(PATH, ReviewsHandler(application[AUTHENTICATOR], memory).review)


class ReviewsHandler:
    """The path `development/reviews` of each endpoint."""

    def __init__(self, authenticator: RequestAuthenticator, memory: GrantMemory) -> None:
        self._authenticator = authenticator
        self._memory = memory

    async def review(self, request: web.Request) -> web.StreamResponse:
        """Review the request that the body names, or the only one that is pending.

        The body: `reviewer`, `groups`, `decision` (`Approve` or `Deny`), `reason` and `task`.
        """
        if "Origin" in request.headers:
            raise forbidden("A browser sent this request for a page. Send reviews with a command, such as curl.")
        of = tenant(request)
        with self._authenticator.slots.slot() as slot:
            await self._authenticator.caller(request, of, slot)
            body, _ = await self._authenticator.body(request, of, slot)
            proposed, grant = _proposed(body), self._wanted(of, body)
            outcome = self._memory.review(grant, proposed)
            if isinstance(outcome, RefusedReview):
                raise _conflict(f"Not reviewed: {outcome.detail}.")
            base = self._authenticator.base(of)
            described = tasks.task(outcome, base, self._authenticator.signer.approval(outcome, base))
            return json(200, {**described, **self._authenticator.identity.notice})

    def _wanted(self, of: Tenant, body: Mapping[str, Any]) -> Grant:
        """Return the grant to review. Raises `ProblemError`."""
        waiting, task = self._memory.pending(*of), body.get("task")
        if task is None:
            if len(waiting) == 1:
                return waiting[0]
            if not waiting:
                raise tasks.invalid_task_state("No request of this endpoint is pending.")
            listed = [
                {"id": grant.id, "action": grant.request.action.name, "resource": grant.request.resource.id}
                for grant in waiting[:_LISTED]
            ]
            raise _conflict(f"{len(waiting)} requests are pending: name one of them in the member task.", tasks=listed)
        found = next((grant for grant in waiting if grant.id == task), None)
        if found is None:
            raise tasks.invalid_task_state("No pending request of this endpoint has this task id.")
        return found


def _proposed(body: Mapping[str, Any]) -> ProposedReview:
    """Return the review that a body proposes. Raises `ProblemError` (400)."""
    unknown = sorted(body.keys() - {"reviewer", "groups", "decision", "reason", "task"})
    if unknown:
        raise bad_request("is not a member of a review", unknown[0])
    reviewer, groups, reason = body.get("reviewer"), body.get("groups", []), body.get("reason")
    if not isinstance(reviewer, str) or not reviewer:
        raise bad_request("must be the name of the reviewer, such as ann@example.com", "reviewer")
    if (
        not isinstance(groups, list)
        or not all(isinstance(group, str) for group in groups)
        or len(groups) > _MOST_GROUPS
    ):
        raise bad_request(f"must be a list of at most {_MOST_GROUPS} names of groups", "groups")
    approves = _DECISIONS.get(str(body.get("decision")))
    if approves is None:
        raise bad_request("must be Approve or Deny", "decision")
    for name in ("reason", "task"):
        if not isinstance(body.get(name), str | None):
            raise bad_request("must be a string", name)
    return ProposedReview(reviewer, frozenset(groups), approves, reason)


def _conflict(detail: str, **more: Any) -> ProblemError:  # noqa: ANN401 - members of the problem
    return ProblemError(409, "not_reviewed", "Not reviewed", detail, more=more)
