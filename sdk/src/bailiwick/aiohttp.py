"""Guards for aiohttp.web: `@guarded` on a handler, `install` on its application.

Holds: a handler runs only after `decision: true` about the very values that it sees; with `install`, a route whose
handler is not guarded and that is not public is denied, also where somebody forgot the decorator or put another one
above it.
"""

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from types import MethodType
from typing import Any, Final

from aiohttp import web

from bailiwick.answerwatch import AnswerWatch, report_soon
from bailiwick.call import Principal
from bailiwick.decision import AccessDecision
from bailiwick.outcomes import FAILED, SUCCEEDED, outcome_of_error
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
    one_reading,
    query_of,
    single_headers,
    task_answer,
    too_large,
    unmapped,
)

Handler = Callable[..., Awaitable[web.StreamResponse]]
# Where the decision about a request stands: `request[DECISION]`.
DECISION: Final = web.RequestKey("bailiwick.decision", AccessDecision)
# Where what follows the answer to a request stands: in the request that the server has, and in copies of it.
_WATCH: Final = web.RequestKey("bailiwick.answer_watch", AnswerWatch)
# On a guarded handler: that handler itself. A wrapper that copies it (`functools.wraps`) has another's.
_MARK: Final = "__bailiwick__"
# On an application: the settings that `install` got for it.
_PUBLIC: Final = web.AppKey("bailiwick.public", frozenset[str])
# Of a request: the path below which its caller reads requests for approval; empty: nowhere.
_APPROVALS: Final = web.RequestKey("bailiwick.approvals", str)


def guarded(
    pdp: Asker,
    action: str,
    *,
    resource: tuple[str, str],
    args: Arguments = "body",
    intent: str | None = None,
    subject: Callable[[web.Request], Principal] | None = None,
    repeated: Iterable[str] = (),
) -> Callable[[Handler], Handler]:
    """Guard a handler, a function or a method: it runs only where the decision point allows it.

    `resource` is type and id, in which `{name}` stands for a part of the path. `args`: see `web.Arguments`; the body is
    at most 64 kB. `subject` tells whom a request is for where callers have no token that the decision point verifies.
    `repeated` are the names that may stand more than once in the query. Put it directly above the handler, below
    everything else. Raises `TypeError` for what is no coroutine function.
    """
    rule = GuardRule(action, resource, args, intent, tuple(repeated))

    def decorate(handler: Handler) -> Handler:
        if not inspect.iscoroutinefunction(handler):
            raise TypeError(
                f"{handler!r} cannot be guarded: guard a function or a method that is declared with `async def`,"
                " directly above it; a class or a generator would run before or after the decision"
            )

        @functools.wraps(handler)
        async def asked(*given: Any) -> web.StreamResponse:  # noqa: ANN401 - of a function or of a method
            *of, request = given
            if not isinstance(request, web.Request):
                raise TypeError("a guarded handler takes the request: a method of web.View does not, so use a function")
            watch = request.get(_WATCH)
            request = request.clone(client_max_size=MAX_BODY)
            try:
                body = await request.read()
                headers = single_headers(request.headers.items())
                raw_path, _, raw_query = request.raw_path.encode(errors="surrogateescape").partition(b"?")
                one_reading(request.path, raw_path, raw_query)
                query = query_of(request.query.items(), rule.repeated)
                seen = WebRequest(headers, request.match_info, query, body)
                call = call_of(rule, seen, None if subject is None else subject(request))
            except web.HTTPRequestEntityTooLarge:
                return _response(too_large())
            except RequestError as error:
                return _response(error.answer)
            came = await admit(pdp, call, headers, request.get(_APPROVALS) or None)
            if isinstance(came, WebAnswer):
                return _response(came)
            request[DECISION] = came
            return await _run_followed(pdp, came, watch, functools.partial(handler, *of, request))

        setattr(asked, _MARK, asked)
        return asked

    return decorate


def install(app: web.Application, pdp: Asker, *, approvals: str | None = None, public: Iterable[str] = ()) -> None:
    """Deny every route of an application that is neither guarded nor public, and close the client with it.

    `public` are the paths of routes of this very application, as they were added, with all their methods; a
    sub-application is as closed as it, and has public routes only by an `install` of its own. `approvals` is where
    callers read what became of their requests for approval: `GET <approvals>/<id>`. Outcomes are reported when an
    answer has ended.
    """
    path = None if approvals is None else f"{approvals.rstrip('/')}/{{id}}"
    app[_PUBLIC] = frozenset(public) | ({path} if path is not None else set())

    @web.middleware
    async def only_guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if closed(request.match_info):
            return _response(unmapped())
        if _WATCH not in request:
            request[_WATCH] = AnswerWatch()
        # As it is now: a parent may have mounted this application below a path of its own.
        request[_APPROVALS] = "" if reading is None else reading.canonical.removesuffix("/{id}")
        return await handler(request)

    def closed(match: web.UrlMappingMatchInfo) -> bool:
        # Without a route there is nothing to run: aiohttp answers 404 or 405 itself.
        if match.http_exception is not None or _guarded(match.handler):
            return False
        inner = match.apps[match.apps.index(app) + 1 :]
        # An application further in that has a guard of its own decides by its own settings.
        if any(_PUBLIC in one for one in inner):
            return False
        return bool(inner) or _own_path(match) not in app[_PUBLIC]

    async def read(request: web.Request) -> web.StreamResponse:
        return _response(await task_answer(pdp, request.match_info["id"]))

    async def close(_: web.Application) -> None:
        await pdp.close()

    app.middlewares.append(only_guarded)
    app.on_response_prepare.append(_follow)
    app.on_cleanup.append(close)
    reading = None if path is None else app.router.add_get(path, read).resource


async def _run_followed(
    pdp: Asker, decision: AccessDecision, watch: AnswerWatch | None, run: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Run a handler, and see to it that its outcome is reported if it matters."""
    if decision.outcome is None:
        return await run()
    if watch is not None:
        watch.add(pdp, decision)
    try:
        response = await run()
    except BaseException as error:
        if watch is None:
            redirected = isinstance(error, web.HTTPException) and error.status < HTTPStatus.BAD_REQUEST
            report_soon(pdp, decision, SUCCEEDED if redirected else outcome_of_error(error))
        elif watch.began or not isinstance(error, Exception):
            if isinstance(error, ConnectionError):
                watch.leave()
            watch.stop(error)
        # Else there will be an answer that says so.
        raise
    if watch is None:
        # Without `install` nothing follows the answer.
        report_soon(pdp, decision, SUCCEEDED if response.status < HTTPStatus.BAD_REQUEST else FAILED)
    return response


async def _follow(request: web.Request, response: web.StreamResponse) -> None:
    """Follow an answer that is about to begin, whichever middleware made it."""
    watch = request.get(_WATCH)
    if watch is None or watch.began:
        return
    watch.begin(response.status)
    if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
        watch.end()
        return
    end = response.write_eof

    async def write_eof(*data: bytes) -> None:
        await end(*data)
        watch.end()

    # aiohttp has no signal for the end of an answer, but ends each one by this method of the response.
    vars(response)["write_eof"] = write_eof


def _guarded(handler: Any) -> bool:  # noqa: ANN401 - whatever a route has
    runs = handler.__func__ if isinstance(handler, MethodType) else handler
    return getattr(runs, _MARK, None) is runs


def _own_path(match: web.UrlMappingMatchInfo) -> str | None:
    """Return the path of a route as it was added to its application, which knows no prefix of a parent."""
    if match.route.resource is None:
        return None
    canonical = match.route.resource.canonical
    if len(match.apps) == 1:
        return canonical
    *_, parent, own = match.apps
    mounted = (resource.get_info() for resource in parent.router.resources())
    prefix = next((info.get("prefix", "") for info in mounted if info.get("app") is own), "")
    return canonical.removeprefix(prefix)


def _response(answer: WebAnswer) -> web.Response:
    return web.Response(
        body=json.dumps(answer.body, ensure_ascii=False).encode(),
        status=answer.status,
        content_type=answer.media_type,
        headers={"Cache-Control": "no-store", **answer.headers},
    )
