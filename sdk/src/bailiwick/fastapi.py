"""Guards for FastAPI: `@guarded` on a path operation, `install` on its application.

Holds: the body of a path operation runs only after `decision: true`, and after FastAPI has validated its parameters,
whose values are the ones that are asked about: `/customers/042` with `id: int` is customer 42. With `install`, a route
that is neither guarded nor public is denied: a decorator in the wrong order, or none, lets nothing through.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, params
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import SecretBytes, SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.routing import Match

from bailiwick.asgi import WEBSOCKET_DENIED, Application, Deliver, Receive, Scope, respond
from bailiwick.call import Principal
from bailiwick.web import (
    MAX_BODY,
    Arguments,
    Asker,
    GuardRule,
    RequestError,
    WebAnswer,
    WebRequest,
    admit,
    call_of,
    single_headers,
    task_answer,
    too_large,
    unmapped,
)

Endpoint = Callable[..., Any]
_MARK: Final = "__bailiwick__"
_REQUEST: Final = "bailiwick_request"


def guarded(
    pdp: Asker,
    action: str,
    *,
    resource: tuple[str, str],
    args: Arguments = "body",
    intent: str | None = None,
    subject: Callable[[Request], Principal] | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Guard a path operation, below its `@app.post(...)`.

    `resource` is type and id, in which `{name}` stands for a part of the path, which the operation takes as a parameter
    of this name. `args`: see `web.Arguments`; the body is at most 64 kB. `subject` tells whom a request is for where
    callers have no token that the decision point verifies. The decision is `request.state.bailiwick`. Raises
    `ValueError` for an operation that does not take such a part.
    """
    rule = GuardRule(action, resource, args, intent)

    def decorate(endpoint: Endpoint) -> Endpoint:
        signature = inspect.signature(endpoint, eval_str=True)
        for part in rule.parts:
            if not _takes(signature, part):
                raise ValueError(
                    f"resource names {{{part}}}, which {getattr(endpoint, '__name__', 'the operation')} does not take:"
                    f" give it a parameter {part} of the type that it acts on, without an alias and not by Depends"
                )
        own = next((name for name, one in signature.parameters.items() if _is_request(one.annotation)), None)

        @functools.wraps(endpoint)
        async def asked(**given: Any) -> Any:  # noqa: ANN401 - what the operation takes and returns
            request: Request = given[own] if own is not None else given.pop(_REQUEST)
            came = await _asked(pdp, rule, request, given, subject)
            if isinstance(came, WebAnswer):
                return _response(came)
            if inspect.iscoroutinefunction(endpoint):
                return await endpoint(**given)
            return await run_in_threadpool(endpoint, **given)

        if own is None:
            added = inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request)
            signature = signature.replace(parameters=[*signature.parameters.values(), added])
        asked.__signature__ = signature  # type: ignore[attr-defined]  # as functools and inspect have it
        setattr(asked, _MARK, rule)
        return asked

    return decorate


def install(app: FastAPI, pdp: Asker, *, approvals: str | None = None, public: Iterable[str] = ()) -> None:
    """Deny every route of an application that is neither guarded nor public, and close the client with it.

    `public` are the paths of routes, as they were added; the documentation is one (`/docs`, `/openapi.json`).
    `approvals` is where callers read what became of their requests for approval: `GET <approvals>/<id>`.
    """
    open_to_all = set(public)
    if approvals is not None:
        path = f"{approvals.rstrip('/')}/{{id}}"
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
    app.add_middleware(_OnlyGuarded, router=app.router, public=open_to_all)


class _OnlyGuarded:
    """Denies what the router could take to something that is not guarded."""

    def __init__(self, app: Application, router: APIRouter, public: set[str]) -> None:
        self._app = app
        self._router = router
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Deliver) -> None:
        if scope["type"] == "lifespan" or all(self._open(route) for route in self._matching(scope)):
            # Where nothing matches there is nothing to run but a 404 or a 405.
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": WEBSOCKET_DENIED, "reason": "unmapped"})
        else:
            await respond(unmapped(), send)

    def _matching(self, scope: Scope) -> Iterator[object]:
        """Yield every route that the router might choose, and not only the first: which it is, is its own affair."""
        for route in (*self._router.routes, *getattr(self._router, "_low_priority_routes", ())):
            if route.matches(scope)[0] is not Match.FULL:
                continue
            # FastAPI looks into included routers while it serves. If that changes, they are routes without an
            # operation, and denied.
            inner = getattr(route, "effective_route_contexts", None)
            found = [] if inner is None else [one for one in inner() if one.matches(scope)[0] is Match.FULL]
            yield from found or [route]

    def _open(self, route: object) -> bool:
        of = getattr(route, "starlette_route", None) or route
        path = getattr(of, "path_format", None) or getattr(of, "path", "")
        return hasattr(getattr(of, "endpoint", None), _MARK) or path in self._public


async def _asked(
    pdp: Asker,
    rule: GuardRule,
    request: Request,
    given: Mapping[str, Any],
    subject: Callable[[Request], Principal] | None,
) -> Any:  # noqa: ANN401 - a decision or an answer, as `admit` returns
    try:
        headers = single_headers(request.headers.items())
        body = await request.body()
        if len(body) > MAX_BODY:
            return too_large()
        # The validated value, which is what the operation will act on: as it was sent it may be another, 007 and not 7.
        path = {name: _plain(given[name]) for name in rule.parts if name in request.path_params}
        seen = WebRequest(headers, path, request.url.query, body)
        call = call_of(rule, seen, None if subject is None else subject(request))
    except RequestError as error:
        return error.answer
    came = await admit(pdp, call, headers)
    request.state.bailiwick = came
    return came


def _takes(signature: inspect.Signature, part: str) -> bool:
    """Tell whether FastAPI gives an operation this part of the path, validated, by its own name."""
    taken = signature.parameters.get(part)
    if taken is None:
        return False
    said = [*getattr(taken.annotation, "__metadata__", ()), taken.default]
    marks = [one for one in said if isinstance(one, params.Depends | params.Param | params.Body)]
    return all(isinstance(one, params.Path) and one.alias in (None, part) for one in marks)


def _plain(value: object) -> str:
    if isinstance(value, SecretStr | SecretBytes):
        # Written out, every one is the same row of stars. Nothing runs: whoever takes it so finds out at once.
        raise TypeError("a part of the path that is a secret type cannot be asked about: take it as a str")
    found = jsonable_encoder(value)
    return found if isinstance(found, str) else str(value)


def _is_request(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Request)


def _response(answer: WebAnswer) -> JSONResponse:
    headers = {"Cache-Control": "no-store", **answer.headers}
    return JSONResponse(dict(answer.body), answer.status, headers, answer.media_type)
