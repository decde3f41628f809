"""The 202 of a guard: where its caller looks next is where the same application tells of the request, and when."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import web  # noqa: TID251 - the application that is guarded
from aiohttp.test_utils import TestClient, TestServer
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from bailiwick import aiohttp as for_aiohttp, fastapi as for_fastapi
from bailiwick.asgi import Guard, Route, Routes
from support.sdk.guardedapps import TOKEN, GuardedApplication, Said, over_asgi
from support.sdk.script import Script, answer

ID: Final = "agr-k3v9.66506a43-0000"
PENDING: Final = {"task": {"id": ID, "status": "pending"}}
APPROVED: Final = {"task": {"id": ID, "status": "approved"}}
REASON: Final = {**TOKEN, "X-Approval-Reason": "INC-1"}
Asking = Callable[..., Awaitable[Said]]
Front = Callable[[GuardedApplication, str | None], AbstractAsyncContextManager[Asking]]


async def never(*_: object) -> None:
    raise AssertionError("it is not admitted")


def of_asgi(app: Any) -> Asking:  # noqa: ANN401 - an ASGI application
    async def ask(method: str, path: str, headers: Mapping[str, str]) -> Said:
        return await over_asgi(app, method, path, b"{}" if method == "POST" else b"", headers)

    return ask


def guarded_asgi(served: GuardedApplication, approvals: str | None) -> Guard:
    return Guard(
        never, served.pdp, Routes([Route("POST", "/export", "export", ("customer", "*"))]), approvals=approvals
    )


def guarded_fastapi(served: GuardedApplication, approvals: str | None) -> FastAPI:
    app = FastAPI()
    app.post("/export")(for_fastapi.guarded(served.pdp, "export", resource=("customer", "*"))(never_of_fastapi))
    for_fastapi.install(app, served.pdp, approvals=approvals)
    return app


async def never_of_fastapi() -> None:
    raise AssertionError("it is not admitted")


async def never_of_aiohttp(_: web.Request) -> web.Response:
    raise AssertionError("it is not admitted")


@asynccontextmanager
async def asgi(served: GuardedApplication, approvals: str | None) -> AsyncIterator[Asking]:
    yield of_asgi(guarded_asgi(served, approvals))


@asynccontextmanager
async def asgi_below_a_path(served: GuardedApplication, approvals: str | None) -> AsyncIterator[Asking]:
    yield of_asgi(Starlette(routes=[Mount("/v1", guarded_asgi(served, approvals))]))


@asynccontextmanager
async def fastapi(served: GuardedApplication, approvals: str | None) -> AsyncIterator[Asking]:
    yield of_asgi(guarded_fastapi(served, approvals))


@asynccontextmanager
async def fastapi_below_a_path(served: GuardedApplication, approvals: str | None) -> AsyncIterator[Asking]:
    yield of_asgi(Starlette(routes=[Mount("/v1", guarded_fastapi(served, approvals))]))


@asynccontextmanager
async def aiohttp(served: GuardedApplication, approvals: str | None, below: str = "") -> AsyncIterator[Asking]:
    app = outer = web.Application()
    app.router.add_post(
        "/export", for_aiohttp.guarded(served.pdp, "export", resource=("customer", "*"))(never_of_aiohttp)
    )
    for_aiohttp.install(app, served.pdp, approvals=approvals)
    if below:
        outer = web.Application()
        outer.add_subapp(below, app)
    async with TestClient(TestServer(outer)) as client:

        async def ask(method: str, path: str, headers: Mapping[str, str]) -> Said:
            came = await client.request(method, path, json={} if method == "POST" else None, headers=headers)
            named = {name.lower(): value for name, value in came.headers.items()}
            return Said(came.status, await came.json(content_type=None), came.content_type, named)

        yield ask


def aiohttp_below_a_path(served: GuardedApplication, approvals: str | None) -> AbstractAsyncContextManager[Asking]:
    return aiohttp(served, approvals, "/v1")


FRONTS: Final[dict[str, tuple[Front, str]]] = {
    "asgi": (asgi, ""),
    "asgi below a path": (asgi_below_a_path, "/v1"),
    "fastapi": (fastapi, ""),
    "fastapi below a path": (fastapi_below_a_path, "/v1"),
    "aiohttp": (aiohttp, ""),
    "aiohttp below a path": (aiohttp_below_a_path, "/v1"),
}


@pytest.mark.parametrize("approvals", ["/approvals", "/approvals/", "/a/b"])
@pytest.mark.parametrize(("front", "below"), FRONTS.values(), ids=FRONTS)
async def test_where_a_202_leads_is_the_request_of_its_caller(front: Front, below: str, approvals: str) -> None:
    served = GuardedApplication(Script(answer(PENDING, 202, retry_after="7"), answer(APPROVED)))
    async with front(served, approvals) as ask:
        first = await ask("POST", f"{below}/export", REASON)
        assert (first.status, first.headers["retry-after"]) == (202, "7")
        then = await ask("GET", first.headers["location"], {})
    assert (then.status, then.body) == (200, APPROVED)
    assert served.script.sent[1].url.endswith(f"/access/v1/requests/{ID}")


@pytest.mark.parametrize(("front", "below"), FRONTS.values(), ids=FRONTS)
async def test_without_a_path_of_requests_it_leads_nowhere(front: Front, below: str) -> None:
    async with front(GuardedApplication(Script(answer(PENDING, 202))), None) as ask:
        came = await ask("POST", f"{below}/export", REASON)
    assert (came.status, came.headers.get("location"), came.headers["retry-after"]) == (202, None, "5")


@pytest.mark.parametrize(("task", "wait"), [(PENDING, "30"), (APPROVED, None)])
@pytest.mark.parametrize(("front", "below"), FRONTS.values(), ids=FRONTS)
async def test_who_looks_is_told_when_to_look_again(front: Front, below: str, task: object, wait: str | None) -> None:
    async with front(GuardedApplication(Script(answer(task, 200, retry_after="30"))), "/approvals") as ask:
        came = await ask("GET", f"{below}/approvals/{ID}", {})
    assert (came.status, came.headers.get("retry-after")) == (200, wait)
