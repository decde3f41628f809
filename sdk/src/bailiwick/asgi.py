"""`Guard`: asks about every request before an ASGI application sees it. Pure ASGI 3, so it streams.

Holds: a route without a mapping is denied; the path that is mapped is the one that the application's router takes, and
a target of two readings is refused before it is mapped; a body that is asked about is read whole, within bounds, and
handed on byte for byte; a WebSocket is asked about before it is accepted. Where you can, guard the handlers themselves
instead (`fastapi`, `aiohttp`): a mapping beside the application can name another route than the one that its router
takes.
"""

import json
import re
import urllib.parse
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from bailiwick.answerwatch import AnswerWatch
from bailiwick.call import AccessCall, Principal
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
    one_reading,
    query_of,
    single_headers,
    task_answer,
    too_large,
    unmapped,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Deliver = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Deliver], Awaitable[None]]
CallMapping = Callable[[Scope, bytes], AccessCall | None]
# Of a WebSocket that is denied (RFC 6455, 7.4.2: 4000 to 4999 are the application's).
WEBSOCKET_DENIED: Final = 4403
WEBSOCKET: Final = "WEBSOCKET"
_CALLER_LEFT: Final = frozenset({"http.disconnect", "websocket.disconnect"})
_ANSWER_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
_ANSWER_ENDS: Final = frozenset({"http.response.body", "http.response.pathsend", "websocket.http.response.body"})
_HOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Where the decision about a request stands: `scope["state"][STATE]`.
STATE: Final = "bailiwick"


@dataclass(frozen=True, slots=True)
class Route:
    """What a route does. `{name}` in `path` is one segment; a WebSocket has the method `WEBSOCKET`.

    `repeated` are the names that may stand more than once in the query.
    """

    method: str
    path: str
    action: str
    resource: tuple[str, str]
    args: Arguments = "body"
    intent: str | None = None
    repeated: tuple[str, ...] = ()


class Routes:
    """A mapping for `Guard`: the first route that fits, and None where none does."""

    def __init__(self, routes: Iterable[Route], subject: Callable[[Scope], Principal] | None = None) -> None:
        """`subject` tells whom a request is for where callers have no token that the decision point verifies.

        Raises `ValueError` for a path that is no template, or that lacks a part which its resource names.
        """
        self._routes = [(route.method, _pattern(route.path), _rule(route)) for route in routes]
        self._subject = subject

    def __call__(self, scope: Scope, body: bytes) -> AccessCall | None:
        """Return the call. Raises `RequestError`."""
        rule, path = self._match_route(scope)
        if rule is None:
            return None
        request = WebRequest(_headers(scope), path, query_of(_query_pairs(scope), rule.repeated), body)
        return call_of(rule, request, None if self._subject is None else self._subject(scope))

    def reads_body(self, scope: Scope) -> bool:
        """Tell whether the body counts: what is denied or has no arguments need not be read."""
        rule, _ = self._match_route(scope)
        return rule is not None and rule.args is not None

    def _match_route(self, scope: Scope) -> tuple[GuardRule | None, Mapping[str, str]]:
        method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
        routed = route_path(scope)
        for wanted, pattern, rule in self._routes:
            if wanted == method and (match := pattern.fullmatch(routed)):
                return rule, match.groupdict()
        return None, {}


class Guard:
    """An ASGI application in front of another."""

    def __init__(
        self,
        app: Application,
        pdp: Asker,
        mapping: CallMapping,
        *,
        public: Iterable[str] = (),
        approvals: str | None = None,
    ) -> None:
        """`public` are whole paths that need no decision; `approvals` is where callers read their requests.

        Both are paths as the application's own routes have them, without the `root_path` of the server.
        """
        self._app = app
        self._pdp = pdp
        self._mapping = mapping
        self._reads_body: Callable[[Scope], bool] = getattr(mapping, "reads_body", lambda _: True)
        self._public = frozenset(public)
        self._approvals = None if approvals is None else approvals.rstrip("/")
        self._task = None if approvals is None else re.compile(re.escape(approvals.rstrip("/")) + r"/([^/]+)")

    async def __call__(self, scope: Scope, receive: Receive, send: Deliver) -> None:
        """Serve one request, or the application's life."""
        match scope["type"]:
            case "lifespan":
                await self._app(scope, receive, self._closing(send))
            case "http" | "websocket" if route_path(scope) in self._public:
                await self._app(scope, receive, send)
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case other:
                raise RuntimeError(f"no rule says what a scope of type {other!r} does")

    async def _http(self, scope: Scope, receive: Receive, send: Deliver) -> None:
        if self._task is not None and scope["method"] == "GET":
            named = self._task.fullmatch(route_path(scope))
            if named is not None:
                return await respond(await task_answer(self._pdp, named[1]), send)
        body = b""
        if self._reads_body(scope):
            found = await _buffered(scope, receive)
            if found is None:
                return None  # The client is gone.
            if isinstance(found, WebAnswer):
                return await respond(found, send)
            body, receive = found, _replayed(found, receive)
        came = await self._decide(scope, body)
        if isinstance(came, WebAnswer):
            return await respond(came, send)
        scope.setdefault("state", {})[STATE] = came
        return await self._serve(came, scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Deliver) -> None:
        came = await self._decide(scope, b"")
        if isinstance(came, WebAnswer):
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": WEBSOCKET_DENIED, "reason": _close_reason(came)})
            return
        scope.setdefault("state", {})[STATE] = came
        await self._serve(came, scope, receive, send)

    async def _serve(self, decision: AccessDecision, scope: Scope, receive: Receive, send: Deliver) -> None:
        if decision.outcome is None:
            return await self._app(scope, receive, send)
        watch = AnswerWatch()
        watch.add(self._pdp, decision)
        return await serve_watched(self._app, watch, scope, receive, send)

    async def _decide(self, scope: Scope, body: bytes) -> AccessDecision | WebAnswer:
        try:
            one_reading(scope["path"], scope.get("raw_path"), scope.get("query_string", b""))
            call = self._mapping(scope, body)
            if call is None:
                return unmapped()
            return await admit(self._pdp, call, _headers(scope), mounted_path(scope, self._approvals))
        except RequestError as error:
            return error.answer

    def _closing(self, send: Deliver) -> Deliver:
        async def closing(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await self._pdp.close()
            await send(message)

        return closing


async def serve_watched(app: Application, watch: AnswerWatch, scope: Scope, receive: Receive, send: Deliver) -> None:
    """Serve a request while its answer is followed. A WebSocket has its outcome when it is accepted or refused."""

    async def watched_receive() -> Message:
        message = await receive()
        if message["type"] in _CALLER_LEFT:
            watch.leave()
        return message

    async def watched_send(message: Message) -> None:
        kind = message["type"]
        try:
            await send(message)
        except OSError:
            # As ASGI has it since 2.4.
            watch.leave()
            raise
        if kind in _ANSWER_STARTS:
            watch.begin(message["status"])
        elif kind in _ANSWER_ENDS and not message.get("more_body", False):
            watch.end()
        elif kind == "websocket.accept":
            watch.begin(HTTPStatus.SWITCHING_PROTOCOLS)
            watch.end()
        elif kind == "websocket.close":
            # Of a socket that was accepted, the outcome is reported already.
            watch.begin(HTTPStatus.FORBIDDEN)
            watch.end()

    try:
        await app(scope, watched_receive, watched_send)
    except BaseException as error:
        watch.stop(error)
        raise
    watch.stop()


def route_path(scope: Scope) -> str:
    """Return the path that the application's router matches: without `root_path`, where the path begins with it.

    As Starlette has it, since servers differ: uvicorn puts its `root_path` before every path, Hypercorn does not.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path


def mounted_path(scope: Scope, path: str | None) -> str | None:
    """Return a path of the application's own routes as its callers have it: below `root_path`."""
    return None if path is None else f"{scope.get('root_path', '')}{path}"


async def respond(answer: WebAnswer, send: Deliver) -> None:
    """Send an answer of ours."""
    body = json.dumps(answer.body, ensure_ascii=False).encode()
    named = {"content-type": answer.media_type, "content-length": str(len(body)), "cache-control": "no-store"}
    headers = [(name.lower().encode(), value.encode()) for name, value in {**named, **answer.headers}.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _buffered(scope: Scope, receive: Receive) -> bytes | WebAnswer | None:
    """Read a body whole; None where the client went away."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > MAX_BODY:
        return too_large()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return too_large()
        if not message.get("more_body", False):
            return bytes(body)


def _close_reason(came: WebAnswer) -> str:
    """Return why a handshake is ended: what an approval was asked for waits, and its task is named."""
    task = came.body.get("task")
    if isinstance(task, Mapping):
        return f"approval_pending {task.get('id', '')}".strip()
    return str(came.body.get("reason", "denied"))


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def _headers(scope: Scope) -> dict[str, str]:
    # Reasons for approvals are words, and words are UTF-8; a header that is not is read as what it is.
    return single_headers((name.decode("latin-1"), _text(value)) for name, value in scope["headers"])


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _query_pairs(scope: Scope) -> list[tuple[str, str]]:
    # As Starlette reads it.
    return urllib.parse.parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def _pattern(path: str) -> re.Pattern[str]:
    parts = _HOLE.split(path)
    if any("{" in text or "}" in text for text in parts[::2]):
        raise ValueError(f"{path!r} is no path of a route: each {{name}} in it is one segment, and has no converter")
    return re.compile("".join(f"(?P<{part}>[^/]+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)))


def _rule(route: Route) -> GuardRule:
    rule = GuardRule(route.action, route.resource, route.args, route.intent, route.repeated)
    if missing := set(rule.parts) - set(_HOLE.findall(route.path)):
        raise ValueError(f"the resource of {route.path!r} names {', '.join(sorted(missing))}, which is no part of it")
    return rule
