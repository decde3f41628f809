"""What a guard reports is what the caller got, on real servers, however an operation ends.

The oracle is the caller: a client of HTTP says which status it got, and whether the answer was whole.
"""

import http.client
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from aiohttp import web  # noqa: TID251 - the application that is guarded
from fastapi import FastAPI, HTTPException
from hypothesis import given, settings, strategies as st
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as StarletteRoute

from bailiwick import AsyncBailiwick, aiohttp as for_aiohttp, fastapi as for_fastapi
from bailiwick.asgi import Application, Guard, Route, Routes
from support.sdk.outcomes import ReportScript
from support.sdk.webservers import WebServer, by_aiohttp, by_hypercorn, by_uvicorn
from support.waits import until

SERVERS: Final[dict[str, Callable[[], AbstractContextManager[WebServer]]]] = {
    "uvicorn": lambda: by_uvicorn("h11"),
    "uvicorn with httptools": lambda: by_uvicorn("httptools"),
    "Hypercorn": by_hypercorn,
}
LONG: Final = settings(max_examples=400)
SECONDS: Final = 20.0


@dataclass(frozen=True)
class OperationEnd:
    """How an operation ends: a status, by an answer, an exception of the framework, or a stream that may break off.

    `breaks` is None where nothing fails; else after how many pieces of the stream, and 0 before there is an answer.
    """

    status: int
    way: str
    pieces: int = 1
    breaks: int | None = None

    def stream(self) -> Iterator[bytes]:
        for number in range(self.pieces):
            if number == self.breaks:
                raise RuntimeError("broken off")
            yield b"piece"
        if self.breaks is not None:
            raise RuntimeError("broken off")


STATUSES: Final = st.sampled_from([200, 201, 202, 204, 302, 304, 400, 404, 409, 422, 500, 503])
STREAMED: Final = st.sampled_from([200, 206, 404, 500])
ENDINGS: Final = st.one_of(
    st.builds(OperationEnd, STATUSES, st.sampled_from(["answer", "value"])),
    st.builds(OperationEnd, st.sampled_from([400, 404, 409, 500]), st.just("exception")),
    st.builds(OperationEnd, st.just(200), st.just("fault"), st.just(1), st.just(0)),
    st.builds(OperationEnd, STREAMED, st.just("stream"), st.integers(0, 4)),
    st.builds(OperationEnd, STREAMED, st.just("stream"), st.just(3), st.integers(1, 3)),
)


def asynchronous(ending: OperationEnd) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in ending.stream():
            yield piece

    return pieces()


def starlette_answer(ending: OperationEnd, error: type[StarletteException]) -> Response:
    match ending.way:
        case "fault":
            raise RuntimeError("no")
        case "exception":
            raise error(ending.status)
        case "stream":
            return StreamingResponse(asynchronous(ending), ending.status)
        case _:
            return Response(None if ending.status in {204, 304} else b"piece", ending.status)


def pdp_of(script: ReportScript) -> AsyncBailiwick:
    return AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)


def starlette(script: ReportScript, ending: OperationEnd) -> Application:
    async def run(_: Request) -> Response:
        return starlette_answer(ending, StarletteException)

    routes = Routes([Route("GET", "/run", "run", ("t", "*"))])
    return Guard(Starlette(routes=[StarletteRoute("/run", run)]), pdp_of(script), routes)


def fastapi(script: ReportScript, ending: OperationEnd) -> Application:
    app, pdp = FastAPI(), pdp_of(script)

    @app.get("/run", response_model=None)
    @for_fastapi.guarded(pdp, "run", resource=("t", "*"))
    async def run() -> Any:  # noqa: ANN401 - an answer or a value
        return {"piece": 1} if ending.way == "value" else starlette_answer(ending, HTTPException)

    for_fastapi.install(app, pdp)
    return app


def aiohttp(script: ReportScript, ending: OperationEnd) -> web.Application:
    app, pdp = web.Application(), pdp_of(script)

    @for_aiohttp.guarded(pdp, "run", resource=("t", "*"))
    async def run(request: web.Request) -> web.StreamResponse:
        match ending.way:
            case "fault":
                raise RuntimeError("no")
            case "exception":
                raise {400: web.HTTPBadRequest, 404: web.HTTPNotFound, 409: web.HTTPConflict}.get(
                    ending.status, web.HTTPInternalServerError
                )
            case "stream":
                streamed = web.StreamResponse(status=ending.status)
                await streamed.prepare(request)
                for piece in ending.stream():
                    await streamed.write(piece)
                return streamed
            case _:
                return web.Response(body=None if ending.status in {204, 304} else b"piece", status=ending.status)

    app.router.add_get("/run", run)
    for_aiohttp.install(app, pdp)
    return app


def seen_by_caller(port: int) -> tuple[int, bool]:
    """Make the request. Return the status of its answer, and whether it was whole; 0 without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/run", headers={"Authorization": "Bearer t"})
        response = connection.getresponse()
        try:
            response.read()
        except (http.client.HTTPException, ConnectionError):
            return response.status, False
        else:
            return response.status, True
    except (http.client.HTTPException, ConnectionError):
        return 0, False
    finally:
        connection.close()


def agree(script: ReportScript, seen: tuple[int, bool]) -> None:
    """Check that one outcome is reported, and that it is the one that the caller saw."""
    until(lambda: script.reports, "a report", SECONDS)
    status, whole = seen
    assert script.outcomes == ["succeeded" if 0 < status < 400 and whole else "failed"], seen


@pytest.fixture(scope="module", params=SERVERS.values(), ids=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[WebServer]:
    with request.param() as running:
        yield running


@pytest.fixture(scope="module")
def serving() -> Iterator[Callable[[web.Application], Any]]:
    with by_aiohttp() as serve:
        yield serve


APPLICATIONS: Final[dict[str, Callable[[ReportScript, OperationEnd], Application]]] = {
    "Starlette": starlette,
    "FastAPI": fastapi,
}


def held_by_asgi(server: WebServer, kind: str, ending: OperationEnd) -> None:
    script = ReportScript()
    server.current = APPLICATIONS[kind](script, ending)
    agree(script, seen_by_caller(server.port))


@given(kind=st.sampled_from(list(APPLICATIONS)), ending=ENDINGS)
def test_an_application_of_asgi_has_the_outcome_that_its_caller_saw(
    server: WebServer, kind: str, ending: OperationEnd
) -> None:
    held_by_asgi(server, kind, ending)


@pytest.mark.long
@LONG
@given(kind=st.sampled_from(list(APPLICATIONS)), ending=ENDINGS)
def test_an_application_of_asgi_has_the_outcome_that_its_caller_saw_at_length(
    server: WebServer, kind: str, ending: OperationEnd
) -> None:
    held_by_asgi(server, kind, ending)


def held_by_aiohttp(serving: Callable[[web.Application], Any], ending: OperationEnd) -> None:
    script = ReportScript()
    with serving(aiohttp(script, ending)) as port:
        seen = seen_by_caller(port)
    agree(script, seen)


@given(ending=ENDINGS)
def test_a_handler_of_aiohttp_has_the_outcome_that_its_caller_saw(
    serving: Callable[[web.Application], Any], ending: OperationEnd
) -> None:
    held_by_aiohttp(serving, ending)


@pytest.mark.long
@LONG
@given(ending=ENDINGS)
def test_a_handler_of_aiohttp_has_the_outcome_that_its_caller_saw_at_length(
    serving: Callable[[web.Application], Any], ending: OperationEnd
) -> None:
    held_by_aiohttp(serving, ending)
