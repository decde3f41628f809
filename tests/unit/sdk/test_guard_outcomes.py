"""What guards report where an answer does not come to its end, and that no answer waits for a report."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web  # noqa: TID251 - the application that is guarded
from aiohttp.test_utils import TestClient, TestServer
from fastapi import FastAPI, Response
from starlette.responses import RedirectResponse, StreamingResponse

from bailiwick import AsyncBailiwick, aiohttp as for_aiohttp, fastapi as for_fastapi
from bailiwick.asgi import WEBSOCKET, Deliver, Guard, Message, Receive, Route, Routes, Scope
from support.sdk.guardedapps import TOKEN, over_asgi
from support.sdk.outcomes import ReportScript, SlowReports
from support.sdk.script import allow, answer
from support.waits import until

SECONDS: Final = 10.0
START: Final = {"type": "http.response.start", "status": 200, "headers": []}
PIECE: Final = {"type": "http.response.body", "body": b"x", "more_body": True}
END: Final = {"type": "http.response.body", "body": b"x"}
Run = Callable[[Receive, Deliver], Awaitable[None]]


def pdp_of(script: ReportScript, transport: SlowReports | None = None) -> AsyncBailiwick:
    return AsyncBailiwick("https://pdp.example", token=None, transport=transport or script.asynchronous)


def sending(*messages: Message, then: BaseException | None = None) -> Run:
    """Return an application that sends these messages, and then raises this."""

    async def run(_: Receive, send: Deliver) -> None:
        for message in messages:
            await send(dict(message))
        if then is not None:
            raise then

    return run


def listening(*messages: Message, then: BaseException | None = None) -> Run:
    """The same, after it learns that its caller is gone."""

    async def run(receive: Receive, send: Deliver) -> None:
        while not (await receive())["type"].endswith(".disconnect"):
            pass
        await sending(*messages, then=then)(receive, send)

    return run


async def outcomes_of(run: Run, *, websocket: bool = False, broken_after: int | None = None) -> list[str]:
    """Run one request through `Guard`. `broken_after`: how many messages the caller takes before it is gone."""
    script = ReportScript()
    pdp = pdp_of(script)

    async def app(_: Scope, receive: Receive, send: Deliver) -> None:
        await run(receive, send)

    route = Route(WEBSOCKET if websocket else "GET", "/run", "run", ("t", "*"))
    scope: MutableMapping[str, Any] = {
        "type": "websocket" if websocket else "http",
        "path": "/run",
        "method": "GET",
        "headers": [(b"authorization", b"Bearer t")],
    }
    came: list[Message] = [{"type": "websocket.connect"} if websocket else {"type": "http.request", "body": b""}]
    sent: list[Message] = []

    async def receive() -> Message:
        return came.pop(0) if came else {"type": "websocket.disconnect" if websocket else "http.disconnect"}

    async def send(message: Message) -> None:
        if broken_after is not None and len(sent) >= broken_after:
            raise OSError("gone")
        sent.append(message)

    with suppress(RuntimeError, OSError, asyncio.CancelledError):
        await Guard(app, pdp, Routes([route]))(scope, receive, send)
    await pdp.close()
    return script.outcomes


FAULT: Final = RuntimeError("no")
CANCEL: Final = asyncio.CancelledError()
ENDS: Final[dict[str, tuple[Run, list[str]]]] = {
    "an answer": (sending(START, END), ["succeeded"]),
    "an answer of an error": (sending({**START, "status": 400}, END), ["failed"]),
    "a file that the server sends": (sending(START, {"type": "http.response.pathsend", "path": "/f"}), ["succeeded"]),
    "no answer": (sending(), ["cancelled"]),
    "a cancelled task": (sending(then=CANCEL), ["cancelled"]),
    "a fault": (sending(then=FAULT), ["failed"]),
    "a fault in the middle": (sending(START, PIECE, then=FAULT), ["failed"]),
    "a fault after the answer": (sending(START, PIECE, END, then=FAULT), ["succeeded"]),
    "a task that is cancelled after the answer": (sending(START, END, then=CANCEL), ["succeeded"]),
    "an error that breaks off": (sending({**START, "status": 500}, PIECE, then=CANCEL), ["failed"]),
    # What its caller got is unknown, so the call stays counted, and is no success.
    "a task that is cancelled in the middle": (sending(START, PIECE, then=CANCEL), []),
    "an answer without an end": (sending(START, PIECE), []),
    "a fault after the caller left in the middle": (listening(START, PIECE, then=FAULT), []),
    # It was done, whoever waits for it.
    "an answer after the caller left": (listening(START, END), ["succeeded"]),
    "no answer after the caller left": (listening(), ["cancelled"]),
}


@pytest.mark.parametrize(("run", "outcomes"), ENDS.values(), ids=ENDS)
async def test_an_application_of_asgi_is_reported_by_its_answer(run: Run, outcomes: list[str]) -> None:
    assert await outcomes_of(run) == outcomes


@pytest.mark.parametrize("taken", [1, 2])
async def test_a_caller_that_is_gone_in_the_middle_of_an_answer_takes_nothing_back(taken: int) -> None:
    assert await outcomes_of(sending(START, PIECE, PIECE, END), broken_after=taken) == []


ACCEPT: Final = {"type": "websocket.accept"}
CLOSE: Final = {"type": "websocket.close", "code": 1000}
DENIAL: Final = {"type": "websocket.http.response.start", "status": 404, "headers": []}
SOCKETS: Final[dict[str, tuple[Run, list[str]]]] = {
    "accepted": (sending(ACCEPT, CLOSE), ["succeeded"]),
    "accepted, and lost": (listening(ACCEPT, then=FAULT), ["succeeded"]),
    "accepted, and cancelled": (sending(ACCEPT, then=CANCEL), ["succeeded"]),
    "closed": (sending(CLOSE), ["failed"]),
    "refused": (sending(DENIAL, {"type": "websocket.http.response.body", "body": b""}), ["failed"]),
    "a fault": (sending(then=FAULT), ["failed"]),
    "cancelled": (sending(then=CANCEL), ["cancelled"]),
    "nothing": (sending(), ["cancelled"]),
}


@pytest.mark.parametrize(("run", "outcomes"), SOCKETS.values(), ids=SOCKETS)
async def test_a_websocket_is_reported_by_its_handshake(run: Run, outcomes: list[str]) -> None:
    assert await outcomes_of(run, websocket=True) == outcomes


async def test_an_answer_whose_outcome_matters_to_no_history_is_not_followed() -> None:
    script = ReportScript(allow(evaluation_id="e-1"))
    got: list[Any] = []

    async def app(_: Scope, receive: Receive, send: Deliver) -> None:
        got.extend((receive, send))
        await send({**START})
        await send({**END, "body": b"{}"})

    guard = Guard(app, pdp_of(script), Routes([Route("GET", "/run", "run", ("t", "*"), args=None)]))
    said = await over_asgi(lambda scope, receive, send: guard(scope, receive, _kept(got, send)), "GET", "/run")
    assert (said.status, script.reports) == (200, [])
    assert got[0] is got[2]


def _kept(got: list[Any], send: Deliver) -> Deliver:
    got.append(send)
    return send


# --- FastAPI ------------------------------------------------------------------------------------------------------


def fastapi(script: ReportScript, operation: Callable[[], Any], *, install: bool) -> tuple[FastAPI, AsyncBailiwick]:
    app, pdp = FastAPI(), pdp_of(script)
    app.get("/run", response_model=None)(for_fastapi.guarded(pdp, "run", resource=("t", "*"))(operation))
    if install:
        for_fastapi.install(app, pdp)
    return app, pdp


async def raising() -> None:
    raise RuntimeError("no")


async def cancelled() -> None:
    raise asyncio.CancelledError


OPERATIONS: Final[dict[str, tuple[Callable[[], Any], str]]] = {
    "a value": (dict, "succeeded"),
    "a redirect": (lambda: RedirectResponse("/other"), "succeeded"),
    "an error": (lambda: Response(status_code=409), "failed"),
    "a fault": (raising, "failed"),
    "a cancelled task": (cancelled, "cancelled"),
}


@pytest.mark.parametrize("install", [True, False])
@pytest.mark.parametrize(("operation", "outcome"), OPERATIONS.values(), ids=OPERATIONS)
async def test_an_operation_is_reported_with_and_without_install(
    operation: Callable[[], Any], outcome: str, install: bool
) -> None:
    def plain() -> Any:  # noqa: ANN401 - what it returns
        return operation()

    script = ReportScript()
    app, pdp = fastapi(script, operation if operation in (raising, cancelled) else plain, install=install)
    with suppress(RuntimeError, asyncio.CancelledError):
        await over_asgi(app, "GET", "/run")
    await pdp.close()
    assert script.outcomes == [outcome]


async def test_a_value_that_cannot_be_answered_has_failed() -> None:
    script = ReportScript()
    app, pdp = FastAPI(), pdp_of(script)

    @app.get("/run")
    @for_fastapi.guarded(pdp, "run", resource=("t", "*"))
    async def run() -> int:
        return "no number"  # type: ignore[return-value]  # what is tested

    for_fastapi.install(app, pdp)
    with pytest.raises(Exception, match="int_parsing"):
        await over_asgi(app, "GET", "/run")
    await pdp.close()
    assert script.outcomes == ["failed"]


async def test_a_denied_operation_has_no_outcome() -> None:
    script = ReportScript(answer({"decision": False, "context": {"evaluation_id": "e", "outcome": {}}}))
    app, pdp = fastapi(script, raising, install=True)
    assert (await over_asgi(app, "GET", "/run")).status == 403
    await pdp.close()
    assert script.reports == []


async def test_a_stream_is_reported_at_its_end() -> None:
    script, go = ReportScript(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{"
        await go.wait()
        yield b"}"

    async def run() -> StreamingResponse:
        return StreamingResponse(pieces())

    app, pdp = fastapi(script, run, install=True)
    task = asyncio.create_task(_answered(app))
    await asyncio.sleep(0.2)
    assert script.reports == []
    go.set()
    assert await task == 200
    await pdp.close()
    assert script.outcomes == ["succeeded"]


async def _answered(app: FastAPI) -> int:
    """Ask as a caller that stays: it never leaves."""

    async def staying(scope: Scope, receive: Receive, send: Deliver) -> None:
        async def wait() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        await app(scope, wait, send)

    return (await over_asgi(staying, "GET", "/run")).status


# --- no answer waits for a report, and the end of an application does ---------------------------------------------


async def test_no_answer_waits_for_its_report_and_the_end_of_the_application_does() -> None:
    script = ReportScript()
    slow = SlowReports(script)
    pdp = pdp_of(script, slow)
    app = FastAPI()

    @app.get("/run")
    @for_fastapi.guarded(pdp, "run", resource=("t", "*"))
    async def run() -> dict[str, Any]:
        return {}

    for_fastapi.install(app, pdp)
    async with app.router.lifespan_context(app):
        assert (await over_asgi(app, "GET", "/run")).status == 200
        assert script.reports == []
        asyncio.get_running_loop().call_later(0.2, slow.go.set)
    assert (script.outcomes, slow.closed) == (["succeeded"], True)


async def test_no_answer_of_aiohttp_waits_for_its_report_and_the_end_of_the_application_does() -> None:
    script = ReportScript()
    slow = SlowReports(script)
    app = aiohttp(pdp_of(script, slow), plain)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/run", headers=TOKEN)).status == 200
        assert script.reports == []
        asyncio.get_running_loop().call_later(0.2, slow.go.set)
    assert (script.outcomes, slow.closed) == (["succeeded"], True)


# --- aiohttp ------------------------------------------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def aiohttp(pdp: AsyncBailiwick, handler: Handler, *, install: bool = True) -> web.Application:
    app = web.Application()
    app.router.add_get("/run", for_aiohttp.guarded(pdp, "run", resource=("t", "*"))(handler))
    if install:
        for_aiohttp.install(app, pdp)
    else:

        async def close(_: web.Application) -> None:
            await pdp.close()

        app.on_cleanup.append(close)
    return app


async def plain(_: web.Request) -> web.Response:
    return web.Response(text="done")


async def refused(_: web.Request) -> web.Response:
    return web.Response(status=409)


async def redirected(_: web.Request) -> web.Response:
    raise web.HTTPFound("/other")


async def missing(_: web.Request) -> web.Response:
    raise web.HTTPNotFound


async def faulty(_: web.Request) -> web.Response:
    raise RuntimeError("no")


async def disconnected(_: web.Request) -> web.Response:
    # From its database.
    raise ConnectionResetError("no")


async def file(_: web.Request) -> web.FileResponse:
    return web.FileResponse(Path(__file__))


async def socket(request: web.Request) -> web.WebSocketResponse:
    opened = web.WebSocketResponse()
    await opened.prepare(request)
    await opened.close()
    return opened


HANDLERS: Final[dict[str, tuple[Handler, str]]] = {
    "an answer": (plain, "succeeded"),
    "a file": (file, "succeeded"),
    "an error": (refused, "failed"),
    "a redirect": (redirected, "succeeded"),
    "an exception of aiohttp": (missing, "failed"),
    "a fault": (faulty, "failed"),
    "a lost connection of its own": (disconnected, "failed"),
}


@pytest.mark.parametrize("install", [True, False])
@pytest.mark.parametrize(("handler", "outcome"), HANDLERS.values(), ids=HANDLERS)
async def test_a_handler_is_reported_with_and_without_install(handler: Handler, outcome: str, install: bool) -> None:
    script = ReportScript()
    async with TestClient(TestServer(aiohttp(pdp_of(script), handler, install=install))) as client:
        await client.get("/run", headers=TOKEN, allow_redirects=False)
    assert script.outcomes == [outcome]


async def test_a_websocket_of_aiohttp_is_reported_when_it_is_open() -> None:
    script = ReportScript()
    client = TestClient[Any, Any](TestServer(aiohttp(pdp_of(script), socket)))
    async with client, client.ws_connect("/run", headers=TOKEN) as opened:
        await opened.receive()
    assert script.outcomes == ["succeeded"]


@pytest.mark.parametrize("below", [False, True])
async def test_the_answer_that_a_middleware_makes_is_the_one_that_counts(below: bool) -> None:
    script = ReportScript()

    @web.middleware
    async def replace(request: web.Request, handler: Handler) -> web.StreamResponse:
        await handler(request)
        return web.Response(status=409)

    pdp = pdp_of(script)
    app = inner = aiohttp(pdp, plain)
    app.middlewares.insert(0, replace)
    if below:
        app = web.Application(middlewares=[replace])
        inner.middlewares.remove(replace)
        app.add_subapp("/below", inner)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/below/run" if below else "/run", headers=TOKEN)).status == 409
    assert script.outcomes == ["failed"]


async def leave_early(handler: Handler, began: asyncio.Event, *, cancels: bool = False) -> list[str]:
    """Ask, and leave when the handler has begun. Return what is reported. `cancels`: the server cancels handlers."""
    script = ReportScript()
    runner = web.AppRunner(aiohttp(pdp_of(script), handler), handler_cancellation=cancels, shutdown_timeout=SECONDS)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    writer.write(b"GET /run HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer t\r\n\r\n")
    await asyncio.wait_for(began.wait(), SECONDS)
    writer.transport.abort()
    await asyncio.sleep(0.3)
    await runner.cleanup()
    return script.outcomes


async def test_a_handler_that_is_cancelled_before_its_answer_is_reported_as_cancelled() -> None:
    began = asyncio.Event()

    async def endless(_: web.Request) -> web.Response:
        began.set()
        await asyncio.Event().wait()
        return web.Response()

    assert await leave_early(endless, began, cancels=True) == ["cancelled"]


async def test_a_caller_of_aiohttp_that_leaves_a_stream_takes_nothing_back() -> None:
    began = asyncio.Event()

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        began.set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            await response.write(b"x" * 65536)
        return response

    assert await leave_early(streamed, began) == []


async def test_a_caller_of_aiohttp_that_leaves_does_not_cancel_what_was_done() -> None:
    began, did = asyncio.Event(), list[str]()

    async def acts(_: web.Request) -> web.Response:
        began.set()
        await asyncio.sleep(0.1)
        did.append("acted")
        return web.Response()

    # Without a report it stays counted, too.
    assert await leave_early(acts, began) in ([], ["succeeded"])
    assert did == ["acted"]


def test_each_request_has_a_handle_of_its_own() -> None:
    script = ReportScript()
    app, _ = fastapi(script, plain_value, install=True)

    async def ask() -> None:
        for _ in range(3):
            await over_asgi(app, "GET", "/run")

    asyncio.run(ask())
    until(lambda: len(script.reports) == 3, "the reports", SECONDS)
    assert [report["handle"] for report in script.reports] == ["h-1", "h-2", "h-3"]


async def plain_value() -> dict[str, Any]:
    return {}
