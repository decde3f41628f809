"""Guards of web applications: a handler runs only after an allow of the very values that it sees."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import pytest
from aiohttp import web  # noqa: TID251 - the application that is guarded
from aiohttp.test_utils import TestClient, TestServer
from fastapi import APIRouter, Depends, FastAPI, Path, Request, WebSocket
from pydantic import SecretStr

from bailiwick import Approval, Principal, aiohttp as for_aiohttp, fastapi as for_fastapi, sentences
from bailiwick.asgi import Application, Deliver, Guard, Message, Receive, Route, Routes, Scope
from support.sdk.guardedapps import TOKEN, GuardedApplication, Headers, Said, over_asgi
from support.sdk.script import Script, Scripted, allow, answer, deny

ASKS: Final = {"endpoint": "e", "template": "t", "expires_at": "x", "binding_token": "b"}
SHOWN: Final = {"id": "g.u", "state": "jws"}
TASK: Final = {"task": {"id": "g.u", "status": "approved", "result": {"mode": "reevaluate", "approval": SHOWN}}}
LARGE: Final = json.dumps({"x": "y" * 70_000}).encode()


Asking = Callable[..., Awaitable[Said]]


def asgi(served: GuardedApplication, subject: bool = False) -> Asking:
    async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
        message = await receive()
        served.ran.append(scope["path"].split("/")[2] if scope["path"].count("/") > 1 else "*")
        text = message.get("body", b"") or b"{}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text})

    routes = Routes(
        [
            Route("POST", "/customers/{id}/export", "customers.export", ("customer", "{id}"), repeated=("all",)),
            Route("GET", "/customers", "customers.list", ("customer", "*"), args=None),
        ],
        (lambda _: Principal("user", "alice")) if subject else None,
    )
    guard = Guard(app, served.pdp, routes, public={"/healthz"}, approvals="/approvals")

    async def ask(method: str, path: str, body: bytes = b"", headers: Headers = TOKEN) -> Said:
        return await over_asgi(guard, method, path, body, headers)

    return ask


def fastapi(served: GuardedApplication, subject: bool = False) -> Asking:
    app = FastAPI()
    who = (lambda _: Principal("user", "alice")) if subject else None

    @app.post("/customers/{id}/export")
    @for_fastapi.guarded(served.pdp, "customers.export", resource=("customer", "{id}"), subject=who, repeated={"all"})
    async def export(id: str, body: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the path's word
        served.ran.append(id)
        return body

    @app.get("/customers")
    @for_fastapi.guarded(served.pdp, "customers.list", resource=("customer", "*"), args=None, subject=who)
    def customers() -> dict[str, Any]:
        served.ran.append("*")
        return {}

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        served.ran.append("*")
        return {}

    @app.get("/forgotten")
    async def forgotten() -> None:
        served.ran.append("forgotten")

    for_fastapi.install(app, served.pdp, approvals="/approvals", public={"/healthz"})

    async def ask(method: str, path: str, body: bytes = b"", headers: Headers = TOKEN) -> Said:
        return await over_asgi(app, method, path, body, headers)

    return ask


def aiohttp(served: GuardedApplication, subject: bool = False) -> Asking:
    who = (lambda _: Principal("user", "alice")) if subject else None

    class Handlers:
        @for_aiohttp.guarded(
            served.pdp, "customers.export", resource=("customer", "{id}"), subject=who, repeated={"all"}
        )
        async def export(self, request: web.Request) -> web.Response:
            served.ran.append(request.match_info["id"])
            return web.json_response(await request.json())

        @for_aiohttp.guarded(served.pdp, "customers.list", resource=("customer", "*"), args=None, subject=who)
        async def customers(self, request: web.Request) -> web.Response:
            served.ran.append("*")
            return web.json_response({})

        async def other(self, request: web.Request) -> web.Response:
            served.ran.append("*")
            return web.json_response({})

    handlers, app = Handlers(), web.Application()
    app.router.add_post("/customers/{id}/export", handlers.export)
    app.router.add_get("/customers", handlers.customers)
    app.router.add_get("/healthz", handlers.other)
    app.router.add_get("/forgotten", handlers.other)
    for_aiohttp.install(app, served.pdp, approvals="/approvals", public={"/healthz"})

    async def ask(method: str, path: str, body: bytes = b"", headers: Headers = TOKEN) -> Said:
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
        async with TestClient(TestServer(app)) as client:
            came = await client.request(method, path, data=body or None, headers=pairs)
            text = await came.text()
            try:
                said = json.loads(text)
            except ValueError:
                said = text
            return Said(came.status, said, came.content_type, {name.lower(): v for name, v in came.headers.items()})

    return ask


KINDS: Final[dict[str, Callable[..., Asking]]] = {"asgi": asgi, "fastapi": fastapi, "aiohttp": aiohttp}


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Callable[..., Asking]:
    found: Callable[..., Asking] = request.param
    return found


EXPORT: Final = ("POST", "/customers/42/export", b'{"fields": ["name"]}')


def served(*answers: Scripted) -> GuardedApplication:
    return GuardedApplication(Script(*(answers or (allow(),))))


async def test_a_handler_runs_after_an_allow_and_sees_what_was_asked_about(kind: Callable[..., Asking]) -> None:
    one = served(allow())
    said = await kind(one)(*EXPORT)
    assert (said.status, said.body, one.ran) == (200, {"fields": ["name"]}, ["42"])
    assert one.asked["action"] == {"name": "customers.export"}
    assert one.asked["resource"] == {"type": "customer", "id": "42"}
    assert one.asked["context"] == {"args": {"fields": ["name"]}, "evidence": {"subject_token": "t"}}


async def test_a_denial_is_a_problem_that_says_how_to_ask(kind: Callable[..., Asking]) -> None:
    one = served(
        deny("approval_required", reason_user={"403": "Ask."}, reason_admin={"403": "no"}, access_request=ASKS)
    )
    said = await kind(one)(*EXPORT)
    assert (said.status, said.media_type, one.ran) == (403, "application/problem+json", [])
    assert (said.body["reason"], said.body["detail"]) == ("approval_required", "Ask.")
    assert "X-Approval-Reason" in said.body["how"]
    assert "binding_token" not in said.body["access_request"]
    assert "reason_admin" not in said.body


@pytest.mark.parametrize("came", [answer({}, 500), answer({}), answer({}, 403)], ids=["failure", "nothing", "stranger"])
async def test_no_decision_runs_nothing(kind: Callable[..., Asking], came: Scripted) -> None:
    one = served(came)
    said = await kind(one)(*EXPORT)
    assert (said.status, said.body["reason"], one.ran) == (503, "pdp_unavailable", [])


async def test_an_approval_that_is_shown_goes_along(kind: Callable[..., Asking]) -> None:
    one = served(allow())
    said = await kind(one)(*EXPORT, headers={**TOKEN, "X-Approval": json.dumps(SHOWN)})
    assert (said.status, one.asked["context"]["approval"]) == (200, SHOWN)


async def test_a_request_that_gives_a_reason_asks_for_an_approval_and_never_runs(kind: Callable[..., Asking]) -> None:
    one = served(answer(TASK, 202))
    said = await kind(one)(*EXPORT, headers={**TOKEN, "X-Approval-Reason": "INC-1"})
    assert (said.status, said.body, one.ran) == (202, TASK, [])
    assert one.script.sent[0].url == "https://pdp.example/access/v1/requests"
    assert one.asked["context"]["business_justification"] == "INC-1"
    assert one.asked["context"]["args"] == {"fields": ["name"]}


async def test_one_that_cannot_be_asked_for_is_a_problem(kind: Callable[..., Asking]) -> None:
    one = served(answer({"reason": "no_rule", "detail": "No rule."}, 400))
    said = await kind(one)(*EXPORT, headers={**TOKEN, "X-Approval-Reason": "INC-1"})
    assert (said.status, said.body["reason"], one.ran) == (403, "no_rule", [])


async def test_a_caller_reads_its_request(kind: Callable[..., Asking]) -> None:
    one = served(answer(TASK))
    said = await kind(one)("GET", "/approvals/g.u", headers={})
    assert (said.status, said.body, one.script.sent[0].url.rpartition("/")[2]) == (200, TASK, "g.u")


async def test_a_request_that_there_is_not_is_404(kind: Callable[..., Asking]) -> None:
    assert (await kind(served(answer({}, 404)))("GET", "/approvals/g.u")).status == 404


BAD: Final[dict[str, tuple[bytes, list[tuple[str, str]], int]]] = {
    "no token": (EXPORT[2], [], 401),
    "another scheme": (EXPORT[2], [("Authorization", "Basic t")], 401),
    "an empty token": (EXPORT[2], [("Authorization", "Bearer ")], 401),
    "two tokens": (EXPORT[2], [("Authorization", "Bearer t"), ("Authorization", "Bearer u")], 400),
    "two approvals": (EXPORT[2], [*TOKEN.items(), ("X-Approval", '{"id": "a"}'), ("X-Approval", '{"id": "b"}')], 400),
    "an approval that is none": (EXPORT[2], [*TOKEN.items(), ("X-Approval", "{")], 400),
    "an empty reason": (EXPORT[2], [*TOKEN.items(), ("X-Approval-Reason", "")], 400),
    "a long reason": (EXPORT[2], [*TOKEN.items(), ("X-Approval-Reason", "x" * 1025)], 400),
    "a member twice": (b'{"a": 1, "a": 2}', [*TOKEN.items()], 400),
    "a large number": (b'{"a": 9007199254740992}', [*TOKEN.items()], 400),
    "a large body": (LARGE, [*TOKEN.items()], 413),
}


@pytest.mark.parametrize(("body", "headers", "status"), BAD.values(), ids=BAD)
async def test_what_cannot_be_read_is_asked_of_nobody(
    kind: Callable[..., Asking], body: bytes, headers: list[tuple[str, str]], status: int
) -> None:
    one = served(allow())
    said = await kind(one)("POST", "/customers/42/export", body, headers=headers)
    assert (said.status, one.ran, one.script.sent) == (status, [], [])


async def test_what_is_no_object_runs_nothing(kind: Callable[..., Asking]) -> None:
    for body in (b"[1]", b"{", b"1"):
        one = served(allow())
        said = await kind(one)("POST", "/customers/42/export", body)
        assert said.status in {400, 422}
        assert (one.ran, one.script.sent) == ([], [])


async def test_the_query_is_bound_too(kind: Callable[..., Asking]) -> None:
    one = served(allow())
    await kind(one)("POST", "/customers/42/export?all=1&all=2&x=", b"{}")
    assert one.asked["context"]["query"] == {"all": ["1", "2"], "x": [""]}


async def test_a_name_that_stands_twice_in_the_query_is_asked_of_nobody(kind: Callable[..., Asking]) -> None:
    one = served(allow())
    said = await kind(one)("POST", "/customers/42/export?x=1&x=2", b"{}")
    assert (said.status, said.body["reason"], one.ran, one.script.sent) == (400, "ambiguous_request", [], [])
    assert said.body["detail"] == sentences.ambiguous("x occurs twice in its query")


async def test_a_trace_is_passed_on(kind: Callable[..., Asking]) -> None:
    one = served(allow())
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    await kind(one)(*EXPORT, headers={**TOKEN, "traceparent": parent})
    passed = one.script.sent[0].headers["traceparent"].split("-")
    assert passed[1] == "a" * 32


async def test_a_route_that_nobody_guards_is_denied(kind: Callable[..., Asking]) -> None:
    one = served(allow())
    said = await kind(one)("GET", "/forgotten")
    assert (said.status, said.body["reason"], one.ran, one.script.sent) == (403, "unmapped", [], [])


async def test_a_public_route_asks_nobody(kind: Callable[..., Asking]) -> None:
    one = served(deny())
    assert (await kind(one)("GET", "/healthz", headers={})).status == 200
    assert one.script.sent == []


async def test_an_application_can_say_itself_whom_a_request_is_for(kind: Callable[..., Asking]) -> None:
    one = served(allow())
    assert (await kind(one, subject=True)("GET", "/customers", headers={})).status == 200
    assert one.asked["subject"] == {"type": "user", "id": "alice"}


def _found(id: int) -> int:  # noqa: A002 - the path's word
    return id


async def _by_dependency(customer: Annotated[int, Depends(_found)]) -> int:
    return customer


async def _by_default(id: int = Depends(_found)) -> int:  # noqa: A002 - as FastAPI has it
    return id


async def _by_alias(number: Annotated[int, Path(alias="id")]) -> int:
    return number


async def _nothing() -> None: ...


class TestFastApi:
    async def test_the_validated_value_is_asked_about(self) -> None:
        one, app = served(allow()), FastAPI()

        @app.get("/customers/{id}")
        @for_fastapi.guarded(one.pdp, "customers.get", resource=("customer", "{id}"))
        async def get(id: int) -> None:  # noqa: A002 - the path's word
            one.ran.append(id)

        await over_asgi(app, "GET", "/customers/0042")
        assert (one.asked["resource"]["id"], one.ran) == ("42", [42])

    @pytest.mark.parametrize(
        "operation",
        [_by_dependency, _by_alias, _by_default, _nothing],
        ids=["by a dependency", "by another name", "by a dependency of its name", "not at all"],
    )
    def test_a_part_of_the_path_that_is_not_asked_about_as_the_operation_sees_it_is_refused_at_once(
        self, operation: Callable[..., Any]
    ) -> None:
        with pytest.raises(ValueError, match=r"resource names \{id\}, which \w+ does not take: give it a parameter id"):
            for_fastapi.guarded(served(allow()).pdp, "customers.get", resource=("customer", "{id}"))(operation)

    async def test_a_part_of_the_path_that_is_written_out_as_stars_is_never_asked_about(self) -> None:
        one, app = served(allow()), FastAPI()

        @app.get("/customers/{id}")
        @for_fastapi.guarded(one.pdp, "customers.get", resource=("customer", "{id}"))
        async def get(id: SecretStr) -> None:  # noqa: A002 - the path's word
            one.ran.append(id)

        with pytest.raises(TypeError, match="take it as a str"):
            await over_asgi(app, "GET", "/customers/42")
        assert (one.script.sent, one.ran) == ([], [])

    async def test_a_part_of_the_path_can_be_declared_with_its_bounds(self) -> None:
        one, app = served(allow()), FastAPI()

        @app.get("/customers/{id}")
        @for_fastapi.guarded(one.pdp, "customers.get", resource=("customer", "{id}"))
        async def get(id: Annotated[int, Path(ge=1)]) -> None:  # noqa: A002 - the path's word
            one.ran.append(id)

        await over_asgi(app, "GET", "/customers/007")
        assert (one.asked["resource"]["id"], one.ran) == ("7", [7])

    async def test_a_decorator_above_the_route_lets_nothing_through(self) -> None:
        one, app = served(allow()), FastAPI()

        @for_fastapi.guarded(one.pdp, "customers.get", resource=("customer", "*"))
        @app.get("/customers")
        async def get() -> None:
            one.ran.append("*")

        for_fastapi.install(app, one.pdp)
        assert (await over_asgi(app, "GET", "/customers")).status == 403
        assert one.ran == []

    async def test_routers_and_mounted_applications_are_looked_through(self) -> None:
        one, app, router, inner = served(allow()), FastAPI(), APIRouter(), FastAPI()

        @router.get("/forgotten")
        async def forgotten() -> None:
            one.ran.append("forgotten")

        @router.get("/guarded")
        @for_fastapi.guarded(one.pdp, "a", resource=("t", "i"))
        async def guarded(request: Request, note: Annotated[str, "as FastAPI has it"] = "") -> str:
            one.ran.append(request.state.bailiwick.reason)
            return note

        inner.get("/inside")(forgotten)
        app.include_router(router, prefix="/r")
        app.mount("/m", inner)
        for_fastapi.install(app, one.pdp)
        paths = ["/r/forgotten", "/m/inside", "/openapi.json", "/docs", "/r/guarded", "/nowhere"]
        assert [(await over_asgi(app, "GET", path)).status for path in paths] == [403, 403, 403, 403, 200, 404]
        assert one.ran == ["allowed"]

    async def test_routers_that_cannot_be_looked_through_are_denied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one, app, router = served(allow()), FastAPI(), APIRouter()

        @router.get("/guarded")
        @for_fastapi.guarded(one.pdp, "a", resource=("t", "i"))
        async def guarded() -> None:
            one.ran.append("guarded")

        app.include_router(router)
        for_fastapi.install(app, one.pdp)
        (included,) = [route for route in app.router.routes if hasattr(route, "effective_route_contexts")]
        monkeypatch.setattr(type(included), "effective_route_contexts", None)
        assert (await over_asgi(app, "GET", "/guarded")).status == 403
        assert one.ran == []

    async def test_a_websocket_is_closed_before_it_is_accepted(self) -> None:
        one, app = served(allow()), FastAPI()

        @app.websocket("/ws")
        async def ws(socket: WebSocket) -> None:
            one.ran.append("ws")

        for_fastapi.install(app, one.pdp)
        assert await connected(app, "/ws") == [{"type": "websocket.close", "code": 4403, "reason": "unmapped"}]
        assert one.ran == []

    async def test_the_client_is_closed_with_the_application(self) -> None:
        one, app = served(allow()), FastAPI()
        for_fastapi.install(app, one.pdp)
        await lived(app)
        assert one.script.closed == 1


async def connected(app: Application, path: str, **headers: str) -> list[Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    pairs.append((b"authorization", b"Bearer t"))
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": pairs}
    scope |= {"root_path": "", "scheme": "ws", "server": ("test", 80), "client": ("test", 1), "subprotocols": []}
    sent: list[Any] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def lived(app: Application) -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(_: Message) -> None:
        pass

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)


async def never() -> Message:
    pytest.fail("received")


async def nothing(_: Message) -> None:
    pytest.fail("sent")


NOWHERE: Final = (never, nothing)


class TestAsgi:
    @pytest.mark.parametrize(("came", "sent"), [(allow(), "accept"), (deny(), "close")])
    async def test_a_websocket_is_asked_about_before_it_is_accepted(self, came: Scripted, sent: str) -> None:
        async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
            await send({"type": "websocket.accept"})

        one = served(came)
        guard = Guard(app, one.pdp, Routes([Route("WEBSOCKET", "/ws/{id}", "watch", ("customer", "{id}"))]))
        (message,) = await connected(guard, "/ws/42")
        assert message["type"] == f"websocket.{sent}"
        assert message.get("code") == (4403 if sent == "close" else None)
        assert one.asked["resource"]["id"] == "42"

    async def test_a_websocket_that_an_approval_was_asked_for_is_closed_with_its_task(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
            raise AssertionError("it is not admitted")

        one = served(answer(TASK, 202))
        guard = Guard(app, one.pdp, Routes([Route("WEBSOCKET", "/ws", "ws.open", ("ws", "one"))]))
        (message,) = await connected(guard, "/ws", x_approval_reason="INC-1")
        assert message == {"type": "websocket.close", "code": 4403, "reason": "approval_pending g.u"}

    async def test_what_is_neither_http_nor_a_websocket_is_refused(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
            pytest.fail("ran")

        one = served(allow())
        guard = Guard(app, one.pdp, lambda *_: None)
        with pytest.raises(RuntimeError):
            await guard({"type": "mqtt"}, *NOWHERE)

    async def test_a_client_that_goes_away_runs_nothing(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
            pytest.fail("ran")

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(_: Message) -> None:
            pytest.fail("answered")

        one = served(allow())
        guard = Guard(app, one.pdp, lambda *_: pytest.fail("asked"))
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        await guard(scope, receive, send)

    async def test_the_rest_of_the_stream_is_the_applications(self) -> None:
        seen: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
            seen.extend([await receive(), await receive()])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        routes = Routes([Route("POST", "/x", "a", ("t", "i"))])
        await over_asgi(Guard(app, served(allow()).pdp, routes), "POST", "/x", b'{"a": 1}')
        assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]
        assert seen[0]["body"] == b'{"a": 1}'

    async def test_the_client_is_closed_with_the_application(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})

        one = served(allow())
        await lived(Guard(app, one.pdp, Routes([])))
        assert one.script.closed == 1

    @pytest.mark.parametrize(
        "path", ["/customers/42/export/", "/customers//export", "/customers/4/2/export", "/CUSTOMERS/42/export"]
    )
    async def test_a_path_that_only_looks_like_a_route_is_none(self, path: str) -> None:
        one = served(allow())
        assert (await asgi(one)("POST", path, b"{}")).status == 403
        assert one.script.sent == []


def test_an_approval_in_a_header_is_what_was_approved() -> None:
    assert Approval.of_header(json.dumps(SHOWN)).shown == SHOWN
