"""Guards for aiohttp.web: `@guarded` on a handler, `install` on its application.

Holds: a handler runs only after `decision: true` about the very values that it sees; with `install`, a route whose
handler is not guarded and that is not public is denied, also where somebody forgot the decorator.
"""

import functools
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiohttp import web

from bailiwick.call import Principal
from bailiwick.decision import AccessDecision
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

Handler = Callable[..., Awaitable[web.StreamResponse]]
# Where the decision about a request stands: `request[DECISION]`.
DECISION: Final = web.RequestKey("bailiwick.decision", AccessDecision)
_MARK: Final = "__bailiwick__"


def guarded(
    pdp: Asker,
    action: str,
    *,
    resource: tuple[str, str],
    args: Arguments = "body",
    intent: str | None = None,
    subject: Callable[[web.Request], Principal] | None = None,
) -> Callable[[Handler], Handler]:
    """Guard a handler, a function or a method: it runs only where the decision point allows it.

    `resource` is type and id, in which `{name}` stands for a part of the path. `args`: see `web.Arguments`; the body is
    at most 64 kB. `subject` tells whom a request is for where callers have no token that the decision point verifies.
    """
    rule = GuardRule(action, resource, args, intent)

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def asked(*given: Any) -> web.StreamResponse:  # noqa: ANN401 - of a function or of a method
            *of, request = given
            request = request.clone(client_max_size=MAX_BODY)
            try:
                body = await request.read()
                headers = single_headers(request.headers.items())
                seen = WebRequest(headers, request.match_info, request.rel_url.raw_query_string, body)
                call = call_of(rule, seen, None if subject is None else subject(request))
            except web.HTTPRequestEntityTooLarge:
                return _response(too_large())
            except RequestError as error:
                return _response(error.answer)
            came = await admit(pdp, call, headers)
            if isinstance(came, WebAnswer):
                return _response(came)
            request[DECISION] = came
            return await handler(*of, request)

        setattr(asked, _MARK, rule)
        return asked

    return decorate


def install(app: web.Application, pdp: Asker, *, approvals: str | None = None, public: Iterable[str] = ()) -> None:
    """Deny every route of an application that is neither guarded nor public, and close the client with it.

    `public` are the paths of routes, as they were added. `approvals` is where callers read what became of their
    requests for approval: `GET <approvals>/<id>`.
    """
    open_to_all = set(public)

    @web.middleware
    async def only_guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        match = request.match_info
        canonical = match.route.resource.canonical if match.route.resource is not None else None
        # Without a route there is nothing to run: aiohttp answers 404 or 405 itself.
        if match.http_exception is None and not hasattr(match.handler, _MARK) and canonical not in open_to_all:
            return _response(unmapped())
        return await handler(request)

    async def read(request: web.Request) -> web.StreamResponse:
        return _response(await task_answer(pdp, request.match_info["id"]))

    async def close(_: web.Application) -> None:
        await pdp.close()

    app.middlewares.append(only_guarded)
    app.on_cleanup.append(close)
    if approvals is not None:
        path = f"{approvals.rstrip('/')}/{{id}}"
        open_to_all.add(path)
        app.router.add_get(path, read)


def _response(answer: WebAnswer) -> web.Response:
    return web.Response(
        body=json.dumps(answer.body, ensure_ascii=False).encode(),
        status=answer.status,
        content_type=answer.media_type,
        headers={"Cache-Control": "no-store", **answer.headers},
    )
