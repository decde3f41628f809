"""What passes for a guarded handler: that handler alone, and no copy, wrapper or neighbour of it."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web  # noqa: TID251 - the application that is guarded
from aiohttp.test_utils import TestClient, TestServer
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.requests import HTTPConnection
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Route as StarletteRoute

from bailiwick import aiohttp as for_aiohttp, fastapi as for_fastapi
from bailiwick.asgi import Application, Deliver, Receive, Route, Routes, Scope
from bailiwick.web import GuardRule
from support.sdk.guardedapps import GuardedApplication, over_asgi
from support.sdk.script import Script, Scripted, allow, deny


def served(*answers: Scripted) -> GuardedApplication:
    return GuardedApplication(Script(*(answers or (allow(),))))


def remembering(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the first answer, as a cache does that somebody puts above the guard."""
    kept: list[Any] = []

    @functools.wraps(endpoint)
    async def remembered(*args: Any, **given: Any) -> Any:  # noqa: ANN401 - what the endpoint takes
        if not kept:
            kept.append(await endpoint(*args, **given))
        return kept[0]

    return remembered


async def over_aiohttp(app: web.Application, *paths: str, host: str = "test") -> list[int]:
    async with TestClient(TestServer(app)) as client:
        headers = {"Authorization": "Bearer t", "Host": host}
        return [(await client.get(path, headers=headers)).status for path in paths]


def partly(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    return functools.update_wrapper(functools.partial(endpoint), endpoint)


@pytest.mark.parametrize("above", [remembering, partly])
class TestAWrapperAboveTheGuard:
    async def test_is_denied_in_fastapi(self, above: Callable[..., Any]) -> None:
        one, app = served(allow(), deny()), FastAPI()

        @for_fastapi.guarded(one.pdp, "secrets.read", resource=("secret", "s"))
        async def read() -> str:
            one.ran.append("s")
            return "secret"

        app.get("/secret")(above(read))
        for_fastapi.install(app, one.pdp)
        assert [(await over_asgi(app, "GET", "/secret")).status for _ in range(2)] == [403, 403]
        assert (one.ran, one.script.sent) == ([], [])

    async def test_is_denied_in_aiohttp(self, above: Callable[..., Any]) -> None:
        one, app = served(allow(), deny()), web.Application()

        @for_aiohttp.guarded(one.pdp, "secrets.read", resource=("secret", "s"))
        async def read(_: web.Request) -> web.Response:
            one.ran.append("s")
            return web.Response()

        app.router.add_get("/secret", above(read))
        for_aiohttp.install(app, one.pdp)
        assert await over_aiohttp(app, "/secret", "/secret") == [403, 403]
        assert (one.ran, one.script.sent) == ([], [])


async def test_below_the_guard_a_wrapper_runs_after_the_decision() -> None:
    one, app = served(allow(), deny()), FastAPI()

    @app.get("/secret")
    @for_fastapi.guarded(one.pdp, "secrets.read", resource=("secret", "s"))
    @remembering
    async def read() -> str:
        return "secret"

    for_fastapi.install(app, one.pdp)
    assert [(await over_asgi(app, "GET", "/secret")).status for _ in range(2)] == [200, 403]


async def test_in_fastapi_only_a_guarded_operation_is_open_however_it_is_added() -> None:
    one, app, router = served(), FastAPI(), APIRouter()

    class Endpoint(HTTPEndpoint):
        async def get(self, request: Request) -> PlainTextResponse:
            one.ran.append("class")
            return PlainTextResponse("")

    class Operations:
        async def bare(self) -> None:
            one.ran.append("bare")

        @for_fastapi.guarded(one.pdp, "a", resource=("t", "i"))
        async def guarded(self) -> None:
            one.ran.append("guarded")

    async def plain(request: Request) -> PlainTextResponse:
        one.ran.append("plain")
        return PlainTextResponse("")

    app.router.routes.append(StarletteRoute("/class", Endpoint))
    app.add_route("/plain", plain)
    app.mount("/mounted", Starlette(routes=[StarletteRoute("/x", plain)]))
    router.add_api_route("/bare", Operations().bare)
    app.include_router(router, prefix="/r")
    app.add_api_route("/both", for_fastapi.guarded(one.pdp, "a", resource=("t", "i"))(Operations().bare))
    app.add_api_route("/both", Operations().bare, methods=["POST"])
    for_fastapi.install(app, one.pdp)
    paths = ("/class", "/plain", "/mounted/x", "/r/bare")
    assert [(await over_asgi(app, "GET", path)).status for path in paths] == [403] * 4
    assert [(await over_asgi(app, method, "/both")).status for method in ("POST", "GET", "HEAD", "OPTIONS")] == [
        *(403, 200, 405, 405)
    ]
    assert one.ran == ["bare"]


def with_frontend(directory: Path, prefixes: tuple[str, ...]) -> FastAPI:
    """Return an application with files, of its own or of a router that is included below these prefixes."""
    app, router = FastAPI(), APIRouter()
    (router if prefixes else app).frontend("/files", directory=directory)
    for prefix in reversed(prefixes[1:]):
        outer = APIRouter()
        outer.include_router(router, prefix=prefix)
        router = outer
    if prefixes:
        app.include_router(router, prefix=prefixes[0])
    return app


@pytest.mark.parametrize("prefixes", [(), ("/outer",), ("/outer", "/more")], ids=["own", "included", "nested"])
async def test_in_fastapi_the_files_of_a_frontend_are_closed(tmp_path: Path, prefixes: tuple[str, ...]) -> None:
    (tmp_path / "secret.json").touch()
    one, app = served(), with_frontend(tmp_path, prefixes)
    for_fastapi.install(app, one.pdp)
    path = f"{''.join(prefixes)}/files/secret.json"
    assert (await over_asgi(with_frontend(tmp_path, prefixes), "GET", path)).status == 200
    assert (await over_asgi(app, "GET", path)).status == 403
    assert one.script.sent == []


@pytest.mark.parametrize("answers", [(deny(),), (allow(),)], ids=["denied", "allowed"])
async def test_in_fastapi_a_guarded_operation_is_no_dependency_of_another(answers: tuple[Scripted, ...]) -> None:
    one, app = served(*answers), FastAPI()

    @for_fastapi.guarded(one.pdp, "secrets.read", resource=("secret", "s"))
    async def may_read() -> None:
        one.ran.append("guarded")

    @app.get("/secret", dependencies=[Depends(may_read)])
    async def read() -> str:
        one.ran.append("read")
        return "secret"

    with pytest.raises(TypeError, match="may_read is guarded as the operation of a route: call it by nothing else"):
        await over_asgi(app, "GET", "/secret")
    assert (one.ran, one.script.sent) == ([], [])


@pytest.mark.parametrize("first", [True, False])
async def test_in_fastapi_a_path_that_a_middleware_makes_is_closed_too(first: bool) -> None:
    one, app = served(), FastAPI()

    class Prefix:
        def __init__(self, app: Application) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Deliver) -> None:
            await self.app({**scope, "path": scope["path"].removeprefix("/api")}, receive, send)

    @app.get("/forgotten")
    async def forgotten() -> None:
        one.ran.append("forgotten")

    if first:
        app.add_middleware(Prefix)
    for_fastapi.install(app, one.pdp)
    if not first:
        app.add_middleware(Prefix)
    assert [(await over_asgi(app, "GET", path)).status for path in ("/api/forgotten", "/forgotten")] == [403, 403]
    assert one.ran == []
    with pytest.raises(RuntimeError, match="before the application serves"):
        for_fastapi.install(app, one.pdp)


def generator() -> Iterator[str]:
    yield ""


async def asynchronous_generator() -> AsyncIterator[str]:
    yield ""


async def coroutine() -> None: ...


def plain_around(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(endpoint)
    def called(*args: Any, **given: Any) -> Any:  # noqa: ANN401 - what the endpoint takes
        return endpoint(*args, **given)

    return called


class CallableObject:
    async def __call__(self) -> None: ...


async def socket(connection: WebSocket) -> None: ...


NOT_GUARDED: dict[str, tuple[Any, str]] = {
    "a generator": (generator, "is a generator"),
    "an asynchronous generator": (asynchronous_generator, "is a generator"),
    "a function around a generator": (plain_around(generator), "is a generator"),
    "a partial of a generator": (functools.partial(generator), "is a generator"),
    "a function around a coroutine": (plain_around(coroutine), "a plain function around a coroutine"),
    "a class": (HTTPEndpoint, "guard a function"),
    "an object that can be called": (CallableObject(), "guard a function"),
    "an operation of a WebSocket": (socket, "serves a WebSocket"),
}


@pytest.mark.parametrize(("endpoint", "why"), NOT_GUARDED.values(), ids=NOT_GUARDED)
def test_in_fastapi_what_cannot_be_guarded_fails_at_once(endpoint: Any, why: str) -> None:  # noqa: ANN401 - any thing
    with pytest.raises(TypeError, match=why):
        for_fastapi.guarded(served().pdp, "a", resource=("t", "i"))(endpoint)


@pytest.mark.parametrize(
    "handler",
    [generator, asynchronous_generator, plain_around(coroutine), web.View, CallableObject()],
    ids=["a generator", "an asynchronous generator", "around a coroutine", "a class", "an object that can be called"],
)
def test_in_aiohttp_what_cannot_be_guarded_fails_at_once(handler: Any) -> None:  # noqa: ANN401 - any thing
    with pytest.raises(TypeError, match="cannot be guarded"):
        for_aiohttp.guarded(served().pdp, "a", resource=("t", "i"))(handler)


async def test_a_guarded_operation_that_is_added_as_a_websocket_is_denied() -> None:
    one, app = served(), FastAPI()

    @app.websocket("/ws")
    @for_fastapi.guarded(one.pdp, "a", resource=("t", "i"))
    async def serve(connection: HTTPConnection) -> None:
        one.ran.append("ws")

    for_fastapi.install(app, one.pdp)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    scope = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": [], "root_path": ""}
    await app(scope, receive, send)
    assert ([message["type"] for message in sent], one.ran, one.script.sent) == (["websocket.close"], [], [])


async def test_in_aiohttp_a_path_is_public_in_the_very_application_that_says_so() -> None:
    one = served()

    async def handle(request: web.Request) -> web.Response:
        one.ran.append(request.path)
        return web.Response()

    def application(*paths: str) -> web.Application:
        app = web.Application()
        for path in paths:
            app.router.add_get(path, handle)
        return app

    app, sub, deep, by_host, told = (application("/healthz") for _ in range(5))
    told.router.add_get("/other", handle)
    for_aiohttp.install(told, one.pdp, public={"/healthz"})
    sub.add_subapp("/deep", deep)
    app.add_subapp("/sub", sub)
    app.add_subapp("/told", told)
    app.add_domain("internal.example", by_host)
    for_aiohttp.install(app, one.pdp, public={"/healthz", "/sub/healthz"})
    paths = ("/healthz", "/sub/healthz", "/sub/deep/healthz", "/told/healthz", "/told/other")
    assert await over_aiohttp(app, *paths) == [200, 403, 403, 200, 403]
    assert await over_aiohttp(app, "/healthz", host="internal.example") == [403]
    assert one.ran == ["/healthz", "/told/healthz"]


async def test_in_aiohttp_a_class_of_handlers_is_denied() -> None:
    one, app = served(), web.Application()

    class View(web.View):
        @for_aiohttp.guarded(one.pdp, "a", resource=("t", "i"))
        async def get(self) -> web.Response:
            one.ran.append("view")
            return web.Response()

    app.router.add_view("/view", View)
    assert await over_aiohttp(app, "/view") == [500]
    guarded = web.Application()
    guarded.router.add_view("/view", View)
    for_aiohttp.install(guarded, one.pdp)
    assert await over_aiohttp(guarded, "/view") == [403]
    assert (one.ran, one.script.sent) == ([], [])


@pytest.mark.parametrize(
    ("path", "resource"),
    [("/x/{a:path}", ("t", "i")), ("/x/{", ("t", "i")), ("/x/{a}", ("t", "{b}")), ("/x/{a}/{b}", ("t", "{a}{b}"))],
)
def test_a_route_that_could_not_be_asked_about_is_refused_at_once(path: str, resource: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        Routes([Route("GET", path, "a", resource)])


def test_two_parts_side_by_side_would_be_one_id_of_several_resources() -> None:
    with pytest.raises(ValueError, match="side by side"):
        GuardRule("a", ("t", "{a}{b}"))
