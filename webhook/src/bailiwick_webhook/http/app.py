"""The application: routes, authentication of the caller, and the one place where failures become answers.

Holds: who asks is authenticated before the body is read; the request id is echoed on every answer; whatever is not
foreseen is a 500 that says nothing; an answer while we drain ends its connection, so that none is cut later.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from bailiwick_engine.call import Call
from bailiwick_engine.reasons import Reason
from bailiwick_engine.verdict import Outcome
from bailiwick_webhook.asked import Asked
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.http import arap, authzen
from bailiwick_webhook.http.authzen import Evaluation
from bailiwick_webhook.http.body import read_object
from bailiwick_webhook.http.problems import ProblemError, bad_request, forbidden, unauthenticated, unavailable
from bailiwick_webhook.identity.proof import Identity
from bailiwick_webhook.identity.tokens import Proven, Refused
from bailiwick_webhook.opening import Opened, Refused as NotOpened, reason_problem
from bailiwick_webhook.pdp import Pdp

REQUEST_ID: Final = "X-Request-ID"
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TENANT: Final = "/endpoints/{namespace}/{endpoint}"

_DRAINING: Final[web.AppKey[Callable[[], bool]]] = web.AppKey("draining")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger()


def build(pdp: Pdp, identity: Identity, external_url: str, draining: Callable[[], bool]) -> web.Application:
    """Return the application of the decision paths."""
    edge = _Edge(pdp, identity, external_url)
    app = web.Application(middlewares=[_answered])
    app[_DRAINING] = draining
    app.router.add_post(f"{_TENANT}/access/v1/evaluation", edge.evaluate)
    app.router.add_post(f"{_TENANT}/access/v1/requests", edge.submit)
    app.router.add_get(f"{_TENANT}/access/v1/requests/{{task}}", edge.poll)
    return app


class _Edge:
    def __init__(self, pdp: Pdp, identity: Identity, external_url: str) -> None:
        self._pdp = pdp
        self._identity = identity
        self._external_url = external_url

    async def evaluate(self, request: web.Request) -> web.StreamResponse:
        """AuthZEN 1.0, POST access/v1/evaluation."""
        asked, _ = await self._asked(request)
        decision = await self._pdp.evaluate(asked)
        if decision.verdict.outcome is Outcome.FORBIDDEN:
            raise forbidden(self._identity.stranger)
        return _json(200, authzen.answer(decision, self._base(request), self._identity.notice))

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """ARAP, POST access/v1/requests."""
        asked, parsed = await self._asked(request)
        verdict = self._pdp.judge(asked)
        if verdict.outcome is Outcome.FORBIDDEN or verdict.dry_run:
            raise forbidden(self._identity.stranger)
        if verdict.gate is not None and (wrong := reason_problem(verdict.gate, parsed.reason)):
            raise bad_request(wrong, "context.business_justification")
        decision, outcome = await self._pdp.request(asked, parsed.reason)
        if decision.verdict.reason is Reason.RECORD_FAILED:
            raise unavailable("The request could not be recorded at the moment; ask again.")
        match outcome:
            case Opened(grant, _):
                body = arap.task(grant, self._base(request))
                status = 202 if body["task"]["status"] == "pending" else 201
                return _json(status, body, Location=body["task"]["status_endpoint"])
            case NotOpened(detail):
                raise arap.not_requestable(decision.verdict, detail)
            case None:
                raise arap.not_requestable(decision.verdict)

    async def poll(self, request: web.Request) -> web.StreamResponse:
        """ARAP, GET access/v1/requests/{id}."""
        caller = await self._caller(request)
        namespace, endpoint = request.match_info["namespace"], request.match_info["endpoint"]
        grant = await self._pdp.task(namespace, endpoint, caller.account, request.match_info["task"])
        if grant is None:
            raise arap.unknown_task()
        return _json(200, arap.task(grant, self._base(request)), **{"Retry-After": str(authzen.RETRY_AFTER)})

    async def _asked(self, request: web.Request) -> tuple[Asked, Evaluation]:
        caller = await self._caller(request)
        parsed = authzen.parse(await read_object(request))
        namespace, endpoint = request.match_info["namespace"], request.match_info["endpoint"]
        audiences = self._pdp.audiences(namespace, endpoint, caller.account)
        subject, live = await self._identity.subject(parsed.subject, caller, audiences)
        call = Call(namespace, endpoint, caller.account, subject, parsed.action, parsed.resource, parsed.context)
        return Asked(call, request_id(request), live_identity=live and caller.live), parsed

    async def _caller(self, request: web.Request) -> Proven:
        match await self._identity.caller(request.headers.get("Authorization", "")):
            case Proven() as proven:
                return proven
            case None:
                raise unauthenticated(
                    "Send a service-account token for the audience bailiwick as Authorization: Bearer."
                )
            case Refused(Reason.IDENTITY_UNVERIFIABLE):
                raise unavailable("The API server cannot be asked about the caller's token at the moment.")
            case Refused():
                raise unauthenticated("The token is not a current service-account token for the audience bailiwick.")

    def _base(self, request: web.Request) -> str:
        """The endpoint's own base URL: from the setting, never from Host."""
        return f"{self._external_url}/endpoints/{request.match_info['namespace']}/{request.match_info['endpoint']}"


def request_id(request: web.Request) -> str | None:
    """Return the caller's request id, if it is one that can be echoed and recorded."""
    found = request.headers.get(REQUEST_ID)
    return found if found is not None and _REQUEST_ID.fullmatch(found) else None


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    response: web.StreamResponse
    try:
        response = await handler(request)
    except ProblemError as problem:
        response = problem.response()
    except ClusterUnavailableError as error:
        _log.warning("API server gave no answer", path=request.path, error=str(error))
        response = unavailable("The API server does not answer at the moment.").response()
    except web.HTTPException as error:
        response = ProblemError(error.status, "http", error.reason, "There is nothing here for that.").response()
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except Exception:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
        _log.exception("unforeseen failure", path=request.path)
        response = ProblemError(
            500, "internal", "Internal error", "The decision point failed; treat as denied."
        ).response()
    if request.app[_DRAINING]():
        response.force_close()
    response.headers["Cache-Control"] = "no-store"
    if (echoed := request_id(request)) is not None:
        response.headers[REQUEST_ID] = echoed
    return response


def _json(status: int, body: dict[str, Any], **headers: str) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=headers)
