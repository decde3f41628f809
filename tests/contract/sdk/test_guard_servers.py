"""Targets that servers and frameworks read in two ways reach no handler, and nobody is asked about them."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

import pytest
from aiohttp import web  # noqa: TID251 - the application that is guarded
from fastapi import APIRouter, Depends, FastAPI, Query, Request, WebSocket
from pydantic import AliasChoices, BaseModel, Field
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute, WebSocketRoute

from bailiwick import AsyncBailiwick, aiohttp as for_aiohttp, fastapi as for_fastapi
from bailiwick.asgi import WEBSOCKET, Guard, Route, Routes
from support.sdk.guardedapps import GuardedApplication
from support.sdk.script import Script, allow
from support.sdk.webservers import UPGRADE, WebServer, by_aiohttp, by_uvicorn, status_of

Send = Callable[..., int]


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with by_uvicorn("h11") as running:
        yield running


@pytest.fixture(scope="module")
def serving() -> Iterator[Callable[[web.Application], Any]]:
    with by_aiohttp() as serve:
        yield serve


def served() -> GuardedApplication:
    return GuardedApplication(Script(allow()))


def over_fastapi(one: GuardedApplication, server: WebServer) -> Send:
    app = FastAPI()

    @app.post("/payments/{account}")
    @for_fastapi.guarded(one.pdp, "pay", resource=("account", "{account}"))
    async def pay(account: str, amount: int) -> None:
        one.ran.append((account, amount))

    @app.get("/files/{path:path}")
    @for_fastapi.guarded(one.pdp, "read", resource=("file", "{path}"))
    async def read(path: str) -> None:
        one.ran.append(path)

    @app.get("/orgs/{org}/{name}")
    @for_fastapi.guarded(one.pdp, "read", resource=("thing", "{org}-{name}"))
    async def thing(org: str, name: str) -> None:
        one.ran.append((org, name))

    for_fastapi.install(app, one.pdp)
    server.current = app
    return server.status_of


def over_starlette(one: GuardedApplication, server: WebServer) -> Send:
    async def ran(request: Any) -> Response:  # noqa: ANN401 - Starlette's
        one.ran.append(request.url.path)
        return Response()

    async def watched(socket: WebSocket) -> None:
        one.ran.append(socket.url.path)
        await socket.accept()
        await socket.close()

    paths = ("/customers/all", "/customers/{id}")
    routes = [StarletteRoute(path, ran, methods=["GET", "POST"]) for path in paths]
    sockets = [WebSocketRoute(path, watched) for path in paths]
    rules = [
        Route(method, path, method, ("customer", "{id}" if "{" in path else "*"))
        for path in paths
        for method in ("GET", "POST", WEBSOCKET)
    ]
    server.current = Guard(Starlette(routes=[*routes, *sockets]), one.pdp, Routes(rules))
    return server.status_of


ODD: Final = [
    ("POST", "/payments/7?amount=5#&amount=9000", "its query holds #"),
    ("POST", "/payments/7#?amount=5", "its path holds #"),
    ("POST", "/payments/7%0A?amount=5", "control character"),
    ("POST", "/payments/%00?amount=5", "control character"),
    ("POST", "/payments/7%7f?amount=5", "control character"),
    ("POST", "/payments/7%C2%85?amount=5", "control character"),
    ("POST", "/payments/7%E2%80%A8?amount=5", "control character"),
    ("POST", "/payments/..?amount=5", "segment that is . or .."),
    ("POST", "/payments/%2e?amount=5", "segment that is . or .."),
    ("POST", "/payments/a%5Cb?amount=5", "backslash"),
    ("POST", "/payments/7?amount=5&amount=9000", "amount occurs twice"),
    ("POST", "/payments/7?amount=5&x=1&x=2", "x occurs twice"),
    ("GET", "/files/public/../secret", "segment that is . or .."),
    ("GET", "/files/public/%2e%2e/secret", "segment that is . or .."),
    ("GET", "/files/public%2Fsecret", "encoded / or"),
    ("GET", "/files/public%5C..%5Csecret", "backslash"),
    ("GET", "/files/public//secret", "empty segment"),
    ("GET", "/files//etc/passwd", "empty segment"),
    ("GET", "/files/public/", "empty segment"),
    ("GET", "/files/", "is empty"),
    ("GET", "/files/%252e%252e/secret", "percent-encoded twice"),
    ("GET", "/orgs/a-b/c", "which ends it"),
]


@pytest.mark.parametrize(("method", "target", "why"), ODD)
def test_a_target_of_two_readings_reaches_no_operation_of_fastapi(
    server: WebServer, method: str, target: str, why: str
) -> None:
    one = served()
    status, body = answered(over_fastapi(one, server), target, method)
    assert (status, one.ran, one.script.sent) == (400, [], [])
    assert b'"ambiguous_request"' in body
    assert why.encode() in body


def answered(send: Send, target: str, method: str) -> tuple[int, bytes]:
    kept: list[bytes] = []
    return send(target.encode(), method, body=kept), b"".join(kept)


@pytest.mark.parametrize("method", ["GET", "POST", WEBSOCKET])
@pytest.mark.parametrize(
    "target", ["/customers/all%0A", "/customers/42%0A", "/customers/42#", "/customers/42?a=1#b", "/customers/.."]
)
def test_a_target_of_two_readings_reaches_nothing_behind_a_guard_for_asgi(
    server: WebServer, method: str, target: str
) -> None:
    one = served()
    send = over_starlette(one, server)
    websocket = method == WEBSOCKET
    status = send(target.encode(), "GET" if websocket else method, UPGRADE if websocket else None)
    assert (status, one.ran, one.script.sent) == (403 if websocket else 400, [], [])


@pytest.mark.parametrize(
    "target",
    [
        "/f/public/../secret",
        "/f/public%2F..%2Fsecret",
        "/f/a%5Cb",
        "/f/a//b",
        "/f/a%09",
        "/f/a?x=1#&y=2",
        "/f/a?x=1&x=2",
    ],
)
def test_a_target_of_two_readings_reaches_no_handler_of_aiohttp(
    serving: Callable[[web.Application], Any], target: str
) -> None:
    one, app = served(), web.Application()

    @for_aiohttp.guarded(one.pdp, "read", resource=("file", "{path}"))
    async def read(request: web.Request) -> web.Response:
        one.ran.append(request.match_info["path"])
        return web.Response()

    app.router.add_get("/f/{path:.*}", read)
    for_aiohttp.install(app, one.pdp)
    with serving(app) as port:
        assert status_of(port, target.encode()) == 400
        assert (one.ran, one.script.sent) == ([], [])
        assert status_of(port, b"/f/public/a%20b?x=1") == 200
    assert (one.ran, one.asked["resource"]["id"]) == (["public/a b"], "public/a b")


class Transfer(BaseModel):
    """A query whose one value has two names."""

    amount: int = Field(default=0, validation_alias=AliasChoices("amount", "betrag"))  # type: ignore[pydantic-alias]  # it is what is shown


async def page(limit: int = 10) -> int:
    return limit


def test_fastapi_gives_one_value_of_a_query_to_everybody_or_nobody_is_asked(server: WebServer) -> None:
    one, app, router = served(), FastAPI(), APIRouter()

    @router.get("/transfers")
    @for_fastapi.guarded(one.pdp, "transfer", resource=("account", "*"))
    async def transfer(query: Annotated[Transfer, Query()]) -> None:
        one.ran.append(query.amount)

    @router.get("/pages")
    @for_fastapi.guarded(one.pdp, "list", resource=("account", "*"))
    async def pages(limit: str) -> None:
        one.ran.append(limit)

    app.include_router(router, dependencies=[Depends(page)])
    for_fastapi.install(app, one.pdp)
    server.current = app
    statuses = [server.status_of(f"/{path}".encode()) for path in ("transfers?amount=5&betrag=9000", "pages?limit=07")]
    assert (statuses, one.ran, one.script.sent) == ([400, 400], [], [])
    assert server.status_of(b"/transfers?betrag=9_000&limit=07") == 200
    assert (one.ran, one.asked["context"]["query"]) == ([9000], {"betrag": ["9000"], "limit": ["7"]})


def test_a_part_of_the_path_that_is_not_in_the_id_is_asked_about_too(
    server: WebServer, serving: Callable[[web.Application], Any]
) -> None:
    template, target = "/tenants/{tenant}/customers/{id}", b"/tenants/07/customers/42"
    one, app, beside = served(), web.Application(), FastAPI()

    @for_aiohttp.guarded(one.pdp, "read", resource=("customer", "{id}"))
    async def read(_: web.Request) -> web.Response:
        return web.Response()

    app.router.add_get(template, read)
    with serving(app) as port:
        assert status_of(port, target) == 200
    assert (one.asked["resource"]["id"], one.asked["context"]["path"]) == ("42", {"tenant": "07"})

    async def run(_: object) -> Response:
        return Response()

    one = served()
    inner = Starlette(routes=[StarletteRoute(template, run)])
    server.current = Guard(inner, one.pdp, Routes([Route("GET", template, "read", ("customer", "{id}"))]))
    assert server.status_of(target) == 200
    assert (one.asked["resource"]["id"], one.asked["context"]["path"]) == ("42", {"tenant": "07"})

    one = served()

    async def taken(tenant: int) -> object:
        return {"loaded": tenant}

    @beside.get(template)
    @for_fastapi.guarded(one.pdp, "read", resource=("customer", "{id}"))
    async def read_too(id: str, tenant: int) -> None: ...  # noqa: A002 - the path's word

    @beside.get("/below" + template)
    @for_fastapi.guarded(one.pdp, "read", resource=("customer", "{id}"))
    async def read_below(id: str, tenant: Annotated[object, Depends(taken)]) -> None: ...  # noqa: A002 - likewise

    server.current = beside
    assert (server.status_of(target), server.status_of(b"/below" + target)) == (200, 200)
    paths = [body["context"]["path"] for body in one.script.bodies]
    # As the operation gets it; as it was sent where the operation does not take it.
    assert paths == [{"tenant": "7"}, {"tenant": "07"}]


def test_below_a_path_of_its_server_an_application_has_the_same_routes() -> None:
    for root, target in (("", b"/customers/all"), ("/v1", b"/customers/all")):
        with by_uvicorn("h11", root) as below:
            one = served()
            assert over_starlette(one, below)(target) == 200
            assert one.asked["resource"]["id"] == "*"


# One text in UTF-8, and three members in UTF-7.
IN_UTF_7: Final = b'{"note": "+ACI-, +ACI-amount+ACI-: 9000, +ACI-x+ACI-: +ACI-"}'
CHARSETS: Final = [
    "application/json; charset=utf-7",
    'application/json; CHARSET="utf-7"',
    "application/json; charset*=us-ascii''utf-7",
    "application/json; charset*0=utf; charset*1=-7",
    "application/json; charset=utf-8; charset=utf-7",
    "application/json; charset=unicode_escape",
    "application/json; charset=utf-16",
    # Encoded words (RFC 2047), which a parser of mail decodes.
    "application/json; =?utf-8?q?=63harset=3Dutf-7?=",
    "=?utf-8?q?application/json=3B=20=63harset=3Dutf-7?=",
    "=?utf-8?b?YXBwbGljYXRpb24vanNvbjsgY2hhcnNldD11dGYtNw==?=",
]


def paying(one: GuardedApplication) -> web.Application:
    app = web.Application()

    @for_aiohttp.guarded(one.pdp, "pay", resource=("account", "7"))
    async def pay(request: web.Request) -> web.Response:
        one.ran.append(await request.json())
        return web.Response()

    app.router.add_post("/pay", pay)
    return app


@pytest.mark.parametrize("kind", CHARSETS)
def test_a_body_that_the_handler_would_read_in_another_charset_is_asked_of_nobody(
    serving: Callable[[web.Application], Any], kind: str
) -> None:
    one = served()
    with serving(paying(one)) as port:
        headers = {"Content-Type": kind, "Content-Length": str(len(IN_UTF_7))}
        assert status_of(port, b"/pay", "POST", headers, sent=IN_UTF_7) == 400
    assert (one.ran, one.script.sent) == ([], [])


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        'application/ld+json; profile="https://example.com/a"',
    ],
)
def test_a_body_in_utf_8_is_asked_about_as_the_handler_reads_it(
    serving: Callable[[web.Application], Any], kind: str
) -> None:
    one = served()
    with serving(paying(one)) as port:
        headers = {"Content-Type": kind, "Content-Length": str(len(IN_UTF_7))}
        assert status_of(port, b"/pay", "POST", headers, sent=IN_UTF_7) == 200
    assert [one.asked["context"]["args"]] == one.ran


# An object in JSON, in which a form has a member of its own.
POLYGLOT: Final = b'{"amount": 5, "note": "&amount=9000&"}'


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; a=b", "multipart/form-data"]
)
def test_a_body_that_the_handler_would_read_as_a_form_is_asked_of_nobody(
    server: WebServer, serving: Callable[[web.Application], Any], kind: str
) -> None:
    one, app, beside = served(), web.Application(), FastAPI()

    @for_aiohttp.guarded(one.pdp, "pay", resource=("account", "7"))
    async def pay(request: web.Request) -> web.Response:
        one.ran.append((await request.post()).get("amount"))
        return web.Response()

    @beside.post("/pay")
    @for_fastapi.guarded(one.pdp, "pay", resource=("account", "7"))
    async def pay_too(request: Request) -> None:
        one.ran.append((await request.body())[:1])

    app.router.add_post("/pay", pay)
    server.current = beside
    headers = {"Content-Type": kind, "Content-Length": str(len(POLYGLOT))}
    with serving(app) as port:
        statuses = [status_of(one, b"/pay", "POST", headers, sent=POLYGLOT) for one in (port, server.port)]
    assert (statuses, one.ran, one.script.sent) == ([415, 415], [], [])


@pytest.mark.parametrize(
    "kind",
    [
        "=?utf-8?q?application/x-www-form=2Durlencoded?=",
        "=?utf-8?b?YXBwbGljYXRpb24veC13d3ctZm9ybS11cmxlbmNvZGVk?=",
        "application/x-www-=?utf-8?q?form=2D?= urlencoded",
        "application/json (a comment)",
        "json",
    ],
)
def test_a_content_type_that_is_no_plain_one_is_asked_of_nobody(
    serving: Callable[[web.Application], Any], kind: str
) -> None:
    one, app = served(), web.Application()

    @for_aiohttp.guarded(one.pdp, "pay", resource=("account", "7"))
    async def pay(request: web.Request) -> web.Response:
        one.ran.append((await request.post()).get("amount"))
        return web.Response()

    app.router.add_post("/pay", pay)
    headers = {"Content-Type": kind, "Content-Length": str(len(POLYGLOT))}
    with serving(app) as port:
        assert status_of(port, b"/pay", "POST", headers, sent=POLYGLOT) == 400
    assert (one.ran, one.script.sent) == ([], [])


async def test_a_websocket_of_aiohttp_is_asked_about_before_it_is_opened() -> None:
    one, app = served(), web.Application()

    @for_aiohttp.guarded(one.pdp, "watch", resource=("customer", "{id}"))
    async def watch(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(request.match_info["id"])
        await socket.close()
        return socket

    app.router.add_get("/ws/{id}", watch)
    for_aiohttp.install(app, AsyncBailiwick("https://pdp.example", token=None, transport=one.script.asynchronous))
    with by_aiohttp() as serve, serve(app) as port:
        assert status_of(port, b"/ws/42", headers=UPGRADE) == 101
    assert one.asked["resource"]["id"] == "42"
