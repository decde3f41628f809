"""What a guard asks about is what the framework resolved and the operation got, on real servers, whatever is sent.

The oracle is the framework: an operation reports the route that it was run for and the values that it was given.
"""

import math
import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Final

import pytest
from aiohttp import web  # noqa: TID251 - the application that is guarded
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from hypothesis import given, settings, strategies as st
from pydantic import TypeAdapter, create_model
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route as StarletteRoute, WebSocketRoute
from starlette.websockets import WebSocket

from bailiwick import AsyncBailiwick, aiohttp as for_aiohttp, fastapi as for_fastapi
from bailiwick.asgi import WEBSOCKET, Guard, Route, Routes
from support.sdk.oddtargets import targets_of
from support.sdk.script import Script, allow
from support.sdk.webservers import UPGRADE, WebServer, by_aiohttp, by_hypercorn, by_uvicorn, status_of

SERVERS: Final[dict[str, Callable[[], AbstractContextManager[WebServer]]]] = {
    "uvicorn": lambda: by_uvicorn("h11"),
    "uvicorn below a path": lambda: by_uvicorn("h11", "/v1"),
    "uvicorn with httptools": lambda: by_uvicorn("httptools"),
    "Hypercorn": by_hypercorn,
    "Hypercorn below a path": lambda: by_hypercorn("/v1"),
}
LONG: Final = settings(max_examples=600)


@dataclass
class Report:
    """What ran, and what was asked: `ran` holds the action of the operation, its id and its query, as it got them."""

    script: Script = field(default_factory=lambda: Script(allow()))
    ran: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    @property
    def pdp(self) -> AsyncBailiwick:
        return AsyncBailiwick("https://pdp.example", token=None, transport=self.script.asynchronous)

    @property
    def asked(self) -> tuple[str, str, dict[str, list[str]]]:
        (body,) = self.script.bodies
        return body["action"]["name"], body["resource"]["id"], body.get("context", {}).get("query", {})


@pytest.fixture(scope="module", params=SERVERS.values(), ids=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[WebServer]:
    with request.param() as running:
        yield running


def agree(report: Report) -> None:
    """Check that nothing ran, or that what ran is the very thing that was asked about."""
    if not report.ran:
        return
    ((action, identifier, query),) = report.ran
    assert report.asked[:2] == (action, identifier)
    assert report.asked[2].keys() == query.keys()
    for name, texts in report.asked[2].items():
        assert texts == query[name], name
    # What lies below a folder by its name lies there.
    assert identifier == "*" or posixpath.normpath(identifier) == identifier
    assert not re.search(r"[\x00-\x1f\x7f\\]", identifier)


# --- Starlette, behind `Guard` ------------------------------------------------------------------------------------

# A template without converters, as `Routes` has them, and the id of what it acts on.
TEMPLATES: Final = {
    "/customers/all": "*",
    "/customers/{id}": "{id}",
    "/customers/{id}/export": "{id}",
    "/orgs/{org}/files/{id}": "{org}/{id}",
    "/{tenant}/customers": "{tenant}",
    "/v1/customers": "*",
    "/": "*",
}


def resource_of(template: str, parts: dict[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda hole: str(parts[hole[1]]), template)


def starlette(report: Report, templates: list[str]) -> Guard:
    """Return an application whose routes report what they got, and the guard in front of it."""

    def endpoint(template: str) -> Callable[[Request], Any]:
        async def run(request: Request) -> Response:
            query = {name: request.query_params.getlist(name) for name in request.query_params}
            report.ran.append((template, resource_of(TEMPLATES[template], request.path_params), query))
            return JSONResponse({})

        return run

    def watch(template: str) -> Callable[[WebSocket], Any]:
        async def run(socket: WebSocket) -> None:
            query = {name: socket.query_params.getlist(name) for name in socket.query_params}
            report.ran.append((f"watch {template}", resource_of(TEMPLATES[template], socket.path_params), query))
            await socket.accept()
            await socket.close()

        return run

    routes: list[BaseRoute] = [StarletteRoute(template, endpoint(template)) for template in templates]
    routes += [WebSocketRoute(template, watch(template)) for template in templates]
    # What lies in a mounted application is a route of the same path.
    mounted = [one for one in templates if one.startswith("/orgs/")]
    routes.insert(0, Mount("/orgs", routes=[StarletteRoute(one[5:], endpoint(one)) for one in mounted]))
    ordered = [*mounted, *(one for one in templates if one not in mounted)]
    rules = [Route("GET", one, one, ("t", TEMPLATES[one]), repeated=("tags",)) for one in ordered]
    rules += [Route(WEBSOCKET, one, f"watch {one}", ("t", TEMPLATES[one]), repeated=("tags",)) for one in templates]
    return Guard(Starlette(routes=routes), report.pdp, Routes(rules))


def held_by_starlette(server: WebServer, templates: list[str], target: bytes, websocket: bool) -> None:
    report = Report()
    server.current = starlette(report, templates)
    server.status_of(target, headers=UPGRADE if websocket else None)
    agree(report)


ORDERS: Final = st.lists(st.sampled_from(list(TEMPLATES)), min_size=1, max_size=5, unique=True)


@given(templates=ORDERS, target=targets_of(list(TEMPLATES)), websocket=st.booleans())
def test_starlette_resolves_what_its_guard_asked_about(
    server: WebServer, templates: list[str], target: bytes, websocket: bool
) -> None:
    held_by_starlette(server, templates, target, websocket)


@pytest.mark.long
@LONG
@given(templates=ORDERS, target=targets_of(list(TEMPLATES)), websocket=st.booleans())
def test_starlette_resolves_what_its_guard_asked_about_at_length(
    server: WebServer, templates: list[str], target: bytes, websocket: bool
) -> None:
    held_by_starlette(server, templates, target, websocket)


@pytest.mark.parametrize("websocket", [False, True])
@pytest.mark.parametrize("target", ["/customers/42?amount=5&tags=a&tags=b", "/acme/customers", "/customers/all"])
def test_a_plain_request_to_starlette_runs(server: WebServer, target: str, websocket: bool) -> None:
    report = Report()
    server.current = starlette(report, [*TEMPLATES])
    server.status_of(target.encode(), headers=UPGRADE if websocket else None)
    assert len(report.ran) == 1
    agree(report)


# --- FastAPI, behind `guarded` ------------------------------------------------------------------------------------


# A type, of a parameter.
Kind = Any
KINDS: Final[list[Kind]] = [int, float, Decimal, bool, str, list[int], list[str], set[str], int | None]


def fastapi(report: Report, kind: Kind, path_kind: Kind, by: str) -> FastAPI:
    """Return an application whose operations take `amount` as this kind: themselves, by a dependency, or by a model."""
    app, router = FastAPI(), APIRouter()
    own: Any = Annotated[kind, Query(default_factory=lambda: None)]
    model: Any = create_model("Amounts", amount=(kind, None))

    def got(request: Request, action: str, identifier: str, amount: Any) -> None:  # noqa: ANN401 - of any kind
        query: dict[str, Any] = {name: request.query_params.getlist(name) for name in request.query_params}
        if "amount" in query:
            query["amount"] = ("value", kind, amount)
        report.ran.append((action, identifier, query))

    def take(amount: own) -> Any:  # noqa: ANN401 - of any kind
        return amount

    def take_model(amounts: Annotated[model, Query()]) -> Any:  # noqa: ANN401 - of any kind
        return vars(amounts)["amount"]

    ways: dict[str, Any] = {
        "itself": own,
        "a dependency": Annotated[Any, Depends(take)],
        "a model": Annotated[Any, Depends(take_model)],
    }
    taken: Any = ways[by]

    def guarded(action: str, identifier: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return for_fastapi.guarded(report.pdp, action, resource=("t", identifier), repeated={"tags"})

    async def everything(request: Request, amount: taken) -> None:
        got(request, "all", "*", amount)

    async def one(request: Request, id: path_kind, amount: taken) -> None:  # noqa: A002 - the path's word
        got(request, "one", str(id), amount)

    def file(request: Request, org: str, path: Annotated[str, Path()], amount: taken) -> None:
        got(request, "file", f"{org}/{path}", amount)

    app.get("/customers/all")(guarded("all", "*")(everything))
    router.get("/customers/{id}")(guarded("one", "{id}")(one))
    router.get("/orgs/{org}/files/{path:path}")(guarded("file", "{org}/{path}")(file))
    app.include_router(router)
    for_fastapi.install(app, report.pdp)
    return app


FASTAPI: Final = ["/customers/all", "/customers/{id}", "/orgs/{org}/files/{path}"]


def held_by_fastapi(server: WebServer, kind: Kind, path_kind: Kind, by: str, target: bytes) -> None:
    report = Report()
    server.current = fastapi(report, kind, path_kind, by)
    server.status_of(target)
    if report.ran:
        ((action, identifier, query),) = report.ran
        report.ran = [(action, identifier, {name: texts_of(value) for name, value in query.items()})]
        if "amount" in query:
            as_read(kind, query["amount"][2], report.asked[2]["amount"])
    agree(report)


def texts_of(sent: Any) -> list[str]:  # noqa: ANN401 - texts, or the value that an operation got
    if not isinstance(sent, tuple):
        return list(sent)
    _, _, value = sent
    many = sorted(value) if isinstance(value, set) else value if isinstance(value, list) else [value]
    return [written(one) for one in many]


def written(value: object) -> str:
    """Return the one text of a value, by another way than the guard's."""
    if (
        isinstance(value, float | Decimal)
        and math.isfinite(value)
        and abs(float(value)) < 2**53
        and value == int(value)
    ):
        return str(int(value))
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def as_read(kind: Kind, value: object, texts: list[str]) -> None:
    """Check that the texts are read as the very value, by the library that FastAPI reads with."""
    many = isinstance(value, list | set)
    again = TypeAdapter(kind).validate_python(texts if many else texts[0])
    assert repr(again) == repr(value) or again == value


KIND: Final = st.sampled_from(KINDS)
PATH_KIND: Final = st.sampled_from([str, int])
WAYS: Final = ["itself", "a dependency", "a model"]
BY: Final = st.sampled_from(WAYS)


@given(kind=KIND, path_kind=PATH_KIND, by=BY, target=targets_of(FASTAPI))
def test_an_operation_of_fastapi_gets_what_was_asked_about(
    server: WebServer, kind: Kind, path_kind: Kind, by: str, target: bytes
) -> None:
    held_by_fastapi(server, kind, path_kind, by, target)


@pytest.mark.long
@LONG
@given(kind=KIND, path_kind=PATH_KIND, by=BY, target=targets_of(FASTAPI))
def test_an_operation_of_fastapi_gets_what_was_asked_about_at_length(
    server: WebServer, kind: Kind, path_kind: Kind, by: str, target: bytes
) -> None:
    held_by_fastapi(server, kind, path_kind, by, target)


READ: Final = [
    (int, "9_000", "9000"),
    (int, "%2B9000", "9000"),
    (int, "+9000", "9000"),
    (float, "9e3", "9000"),
    (Decimal, "9000.00", "9000"),
    (bool, "yes", "true"),
    (list[int], "07", "7"),
]


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize(("kind", "sent", "asked"), READ)
def test_a_value_of_the_query_is_asked_about_as_fastapi_reads_it(
    server: WebServer, kind: Kind, sent: str, asked: str, by: str
) -> None:
    report = Report()
    server.current = fastapi(report, kind, str, by)
    assert server.status_of(f"/customers/42?amount={sent}&other=0_0".encode()) == 200
    assert report.asked == ("one", "42", {"amount": [asked], "other": ["0_0"]})


# --- aiohttp, behind `guarded` ------------------------------------------------------------------------------------

AIOHTTP: Final = {
    "/customers/all": "*",
    "/customers/{id}": "{id}",
    "/customers/{id}/export": "{id}",
    "/orgs/{org}/files/{path:.*}": "{org}/{path}",
    "/numbers/{n:[0-9]+}": "{n}",
}


def aiohttp(report: Report, templates: list[str]) -> web.Application:
    app, inner = web.Application(), web.Application()

    def handler(template: str) -> Any:  # noqa: ANN401 - a handler
        @for_aiohttp.guarded(report.pdp, template, resource=("t", AIOHTTP[template]), repeated={"tags"})
        async def handle(request: web.Request) -> web.Response:
            query = {name: request.query.getall(name) for name in request.query}
            report.ran.append((template, resource_of(AIOHTTP[template], dict(request.match_info)), query))
            return web.Response()

        return handle

    for template in templates:
        app.router.add_get(template, handler(template))
        inner.router.add_get(template, handler(template))
    for_aiohttp.install(app, report.pdp)
    app.add_subapp("/v1", inner)
    return app


@pytest.fixture(scope="module")
def serving() -> Iterator[Callable[[web.Application], Any]]:
    with by_aiohttp() as serve:
        yield serve


def held_by_aiohttp(serving: Callable[[web.Application], Any], templates: list[str], target: bytes) -> None:
    report = Report()
    with serving(aiohttp(report, templates)) as port:
        status_of(port, target)
    agree(report)


AIOHTTP_ORDERS: Final = st.lists(st.sampled_from(list(AIOHTTP)), min_size=1, max_size=5, unique=True)
AIOHTTP_TARGETS: Final = targets_of(["/customers/all", "/customers/{id}", "/orgs/{org}/files/{path}", "/numbers/{n}"])


@given(templates=AIOHTTP_ORDERS, target=AIOHTTP_TARGETS)
def test_a_handler_of_aiohttp_gets_what_was_asked_about(
    serving: Callable[[web.Application], Any], templates: list[str], target: bytes
) -> None:
    held_by_aiohttp(serving, templates, target)


@pytest.mark.long
@LONG
@given(templates=AIOHTTP_ORDERS, target=AIOHTTP_TARGETS)
def test_a_handler_of_aiohttp_gets_what_was_asked_about_at_length(
    serving: Callable[[web.Application], Any], templates: list[str], target: bytes
) -> None:
    held_by_aiohttp(serving, templates, target)


def test_a_plain_request_to_aiohttp_runs(serving: Callable[[web.Application], Any]) -> None:
    for target in ("/customers/42?amount=5&tags=a&tags=b", "/v1/orgs/a/files/b/c", "/numbers/7", "/customers/%C3%A9"):
        report = Report()
        with serving(aiohttp(report, [*AIOHTTP])) as port:
            assert status_of(port, target.encode()) == 200
        assert len(report.ran) == 1
        agree(report)
