"""Guards for FastAPI: `@guarded` on a path operation, `install` on its application.

Holds: the body of a path operation runs only after `decision: true`, and after FastAPI has validated its parameters,
whose values are the ones that are asked about: `/customers/042` with `id: int` is customer 42, `?amount=9_000` is 9000.
With `install`, a route that is neither guarded nor public is denied: a decorator in the wrong order, one above the
guard, or none, lets nothing through.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, params
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.routing import Match
from starlette.websockets import WebSocket

from bailiwick.answerwatch import AnswerWatch, report_soon
from bailiwick.asgi import (
    WEBSOCKET_DENIED,
    Application,
    Deliver,
    Receive,
    Scope,
    mounted_path,
    respond,
    serve_watched,
)
from bailiwick.call import Principal
from bailiwick.decision import AccessDecision
from bailiwick.outcomes import FAILED, SUCCEEDED, outcome_of_error
from bailiwick.parameters import asked_query, text_of
from bailiwick.targets import OddTargetError
from bailiwick.web import (
    MAX_BODY,
    Arguments,
    Asker,
    GuardRule,
    RequestError,
    WebAnswer,
    WebRequest,
    admit,
    ambiguous,
    call_of,
    one_reading,
    single_headers,
    task_answer,
    too_large,
    unmapped,
)

Endpoint = Callable[..., Any]
# On a guarded operation: that operation itself. A wrapper that copies it (`functools.wraps`) has another's.
_MARK: Final = "__bailiwick__"
_REQUEST: Final = "bailiwick_request"
# Where what follows the answer to a request stands in its scope.
_WATCH: Final = "bailiwick.answer_watch"
# Where the path below which callers read their requests for approval stands in it.
_APPROVALS: Final = "bailiwick.approvals"


def guarded(
    pdp: Asker,
    action: str,
    *,
    resource: tuple[str, str],
    args: Arguments = "body",
    intent: str | None = None,
    subject: Callable[[Request], Principal] | None = None,
    repeated: Iterable[str] = (),
) -> Callable[[Endpoint], Endpoint]:
    """Guard a path operation, directly below its `@app.post(...)`.

    `resource` is type and id, in which `{name}` stands for a part of the path, which the operation takes as a parameter
    of this name. `args`: see `web.Arguments`; the body is at most 64 kB. `subject` tells whom a request is for where
    callers have no token that the decision point verifies. `repeated` are the names that may stand more than once in
    the query although no parameter takes them. The decision is `request.state.bailiwick`. Raises `ValueError` for an
    operation that does not take such a part, and `TypeError` for what cannot be guarded: a generator, a class, a plain
    function around a coroutine, an operation of a WebSocket. What it returns raises `TypeError` where it is called by
    something else than its route, such as `Depends`: the caller would take a denial for a value.
    """
    rule = GuardRule(action, resource, args, intent, tuple(repeated))

    def decorate(endpoint: Endpoint) -> Endpoint:
        _check_kind(endpoint)
        signature = inspect.signature(endpoint, eval_str=True)
        if any(_is_a(one.annotation, WebSocket) for one in signature.parameters.values()):
            raise TypeError(f"{_name(endpoint)} serves a WebSocket: guard it with bailiwick.asgi.Guard")
        for part in rule.parts:
            if not _takes(signature, part):
                raise ValueError(
                    f"resource names {{{part}}}, which {_name(endpoint)} does not take:"
                    f" give it a parameter {part} of the type that it acts on, without an alias and not by Depends"
                )
        # A parameter of such a name that is given by Depends is something else than the part of the path.
        taken = frozenset(name for name in signature.parameters if _takes(signature, name))
        own = next((name for name, one in signature.parameters.items() if _is_a(one.annotation, Request)), None)

        @functools.wraps(endpoint)
        async def asked(**given: Any) -> Any:  # noqa: ANN401 - what the operation takes and returns
            request: Request = given[own] if own is not None else given.pop(_REQUEST)
            _check_route(asked, request)
            parts = {name: given[name] for name in taken & request.path_params.keys()}
            came = await _decide(pdp, rule, request, given, parts, subject)
            if isinstance(came, WebAnswer):
                return _response(came)

            async def run() -> Any:  # noqa: ANN401 - what the operation returns
                if inspect.iscoroutinefunction(endpoint):
                    return await endpoint(**given)
                return await run_in_threadpool(endpoint, **given)

            return await _run_followed(pdp, came, request, run)

        if own is None:
            added = inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request)
            signature = signature.replace(parameters=[*signature.parameters.values(), added])
        asked.__signature__ = signature  # type: ignore[attr-defined]  # as functools and inspect have it
        setattr(asked, _MARK, asked)
        return asked

    return decorate


def install(app: FastAPI, pdp: Asker, *, approvals: str | None = None, public: Iterable[str] = ()) -> None:
    """Deny every route of an application that is neither guarded nor public, and close the client with it.

    `public` are the paths of routes, as they were added, with all their methods; the documentation is one (`/docs`,
    `/openapi.json`). A mounted application is one route, which is denied, or public with all that it serves.
    `approvals` is where callers read what became of their requests for approval: `GET <approvals>/<id>`. Outcomes are
    reported when an answer has ended. Raises `RuntimeError` once the application serves.
    """
    open_to_all = set(public)
    below = None if approvals is None else approvals.rstrip("/")
    if below is not None:
        path = f"{below}/{{id}}"
        open_to_all.add(path)

        @app.get(path)
        async def read_approval(id: str) -> JSONResponse:  # noqa: A002 - the path's word
            return _response(await task_answer(pdp, id))

    around: Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]] = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(of: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as Starlette has it
        try:
            async with around(of) as state:
                yield state
        finally:
            await pdp.close()

    app.router.lifespan_context = lifespan
    if app.middleware_stack is not None:
        raise RuntimeError("install the guard before the application serves")
    # The innermost, and not by `add_middleware`, which puts it outermost: what another one makes of a path is routed.
    app.user_middleware.append(Middleware(_OnlyGuarded, router=app.router, public=open_to_all, approvals=below))


class _OnlyGuarded:
    """Denies what the router could take to something that is not guarded."""

    def __init__(self, app: Application, router: APIRouter, public: set[str], approvals: str | None) -> None:
        self._app = app
        self._router = router
        self._public = public
        self._approvals = approvals

    async def __call__(self, scope: Scope, receive: Receive, send: Deliver) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif all(self._open(route, scope) for route in self._matching(scope)):
            # Where nothing matches there is nothing to run but a 404 or a 405.
            watch = scope[_WATCH] = AnswerWatch()
            scope[_APPROVALS] = mounted_path(scope, self._approvals)
            await serve_watched(self._app, watch, scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": WEBSOCKET_DENIED, "reason": "unmapped"})
        else:
            await respond(unmapped(), send)

    def _matching(self, scope: Scope) -> Iterator[object]:
        """Yield every route that the router might choose, and not only the first: which it is, is its own affair."""
        for route in (*self._router.routes, *self._low_priority_routes()):
            if route.matches(scope)[0] is not Match.FULL:
                continue
            # FastAPI looks into included routers while it serves. If that changes, they are routes without an
            # operation, and denied.
            inner = getattr(route, "effective_route_contexts", None)
            found = [] if inner is None else [one for one in inner() if one.matches(scope)[0] is Match.FULL]
            yield from found or [route]

    def _low_priority_routes(self) -> Iterator[Any]:
        """Yield what FastAPI tries where no route matches, of included routers too: the files of a frontend."""
        yield from getattr(self._router, "_low_priority_routes", ())
        for route in self._router.routes:
            of_included = getattr(route, "effective_low_priority_routes", None)
            if of_included is not None:
                yield from of_included()

    def _open(self, route: object, scope: Scope) -> bool:
        of = getattr(route, "starlette_route", None) or route
        path = getattr(of, "path_format", None) or getattr(of, "path", "")
        endpoint = getattr(of, "endpoint", None)
        guarded = endpoint is not None and getattr(endpoint, _MARK, None) is endpoint
        return (guarded and scope["type"] == "http") or path in self._public


async def _decide(
    pdp: Asker,
    rule: GuardRule,
    request: Request,
    given: Mapping[str, Any],
    parts: Mapping[str, Any],
    subject: Callable[[Request], Principal] | None,
) -> Any:  # noqa: ANN401 - a decision or an answer, as `admit` returns
    try:
        headers = single_headers(request.headers.items())
        # Not `request.url`, which is put together from the scope and read again: it ends at a "#".
        scope = request.scope
        one_reading(scope["path"], scope.get("raw_path"), scope["query_string"])
        body = await request.body()
        if len(body) > MAX_BODY:
            return too_large()
        # The validated value, which is what the operation will act on: as it was sent it may be another, 007 and not 7.
        sent = {name: str(text) for name, text in request.path_params.items()}
        path = {**sent, **_texts(parts)}
        try:
            query = asked_query(_dependant(request), given, request.query_params, rule.repeated)
        except OddTargetError as error:
            raise ambiguous(error) from error
        seen = WebRequest(headers, path, query, body)
        call = call_of(rule, seen, None if subject is None else subject(request))
    except RequestError as error:
        return error.answer
    came = await admit(pdp, call, headers, request.scope.get(_APPROVALS))
    request.state.bailiwick = came
    return came


async def _run_followed(
    pdp: Asker, decision: AccessDecision, request: Request, run: Callable[[], Awaitable[Any]]
) -> Any:  # noqa: ANN401 - what the operation returns
    """Run an operation, and see to it that its outcome is reported if it matters."""
    watch = request.scope.get(_WATCH)
    if decision.outcome is None:
        return await run()
    if watch is not None:
        watch.add(pdp, decision)
        return await run()
    # Without `install` nothing follows the answer, so what the operation returns has to do.
    try:
        came = await run()
    except BaseException as error:
        report_soon(pdp, decision, outcome_of_error(error))
        raise
    report_soon(
        pdp,
        decision,
        FAILED if isinstance(came, Response) and came.status_code >= HTTPStatus.BAD_REQUEST else SUCCEEDED,
    )
    return came


def _check_route(asked: Endpoint, request: Request) -> None:
    """Raise `TypeError` unless the route of a request has this operation, be it below other decorators."""
    endpoint = request.scope.get("endpoint")
    while endpoint is not None and getattr(endpoint, "__func__", endpoint) is not asked:
        endpoint = getattr(endpoint, "__wrapped__", None)
    if endpoint is None:
        raise TypeError(f"{_name(asked)} is guarded as the operation of a route: call it by nothing else")


def _texts(parts: Mapping[str, Any]) -> dict[str, str]:
    return {name: text_of(value) for name, value in parts.items()}


def _takes(signature: inspect.Signature, part: str) -> bool:
    """Tell whether FastAPI gives an operation this part of the path, validated, by its own name."""
    taken = signature.parameters.get(part)
    if taken is None:
        return False
    said = [*getattr(taken.annotation, "__metadata__", ()), taken.default]
    marks = [one for one in said if isinstance(one, params.Depends | params.Param | params.Body)]
    return all(isinstance(one, params.Path) and one.alias in (None, part) for one in marks)


def _check_kind(endpoint: Endpoint) -> None:
    runs = endpoint.func if isinstance(endpoint, functools.partial) else endpoint
    if not inspect.isroutine(runs):
        raise TypeError(f"{endpoint!r} cannot be guarded: guard a function")
    inner = inspect.unwrap(endpoint)
    if any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in (runs, inner)):
        raise TypeError(
            f"{_name(endpoint)} is a generator, which runs after its operation has returned: return a StreamingResponse"
        )
    if inspect.iscoroutinefunction(inner) and not inspect.iscoroutinefunction(endpoint):
        raise TypeError(f"{_name(endpoint)} is a plain function around a coroutine: declare it with `async def` too")


def _name(endpoint: Endpoint) -> str:
    return getattr(endpoint, "__name__", "the operation")


def _dependant(request: Request) -> Dependant:
    """Return what FastAPI gives values to for this request: with a router's own dependencies, where it was included."""
    included = request.scope.get("fastapi", {}).get("effective_route_context")
    route = request.scope["route"]
    own = included if getattr(included, "original_route", None) is route else route
    found: Dependant = own.dependant
    return found


def _is_a(annotation: object, kind: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, kind)


def _response(answer: WebAnswer) -> JSONResponse:
    headers = {"Cache-Control": "no-store", **answer.headers}
    return JSONResponse(dict(answer.body), answer.status, headers, answer.media_type)
