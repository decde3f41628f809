"""Plain requests are answered by the connection's own protocol, as the application that aiohttp serves would have them.

Holds: each is sent twice on connections that are an enforcer's already, once by a path that only aiohttp reads; the two
answers are the same, and it is known which of them aiohttp had to read. `at_once` has an item for each request that
aiohttp did not read: whether it was answered at once, or something had to be awaited.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any, Final

import pytest

from bailiwick_engine.call import ServiceAccount
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_webhook.http import app
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.shares.bounds import Bounds, Pace
from bailiwick_webhook.http.shares.conntable import TableEntry
from bailiwick_webhook.http.shares.rates import Rates
from bailiwick_webhook.http.transport import decisionprotocol, pace
from bailiwick_webhook.http.transport.answers import WholeAnswer
from bailiwick_webhook.http.transport.connections import BOUNDED, Connection, Connections
from bailiwick_webhook.http.transport.decisionshortcut import ConnectionOrigin, DecisionShortcut
from bailiwick_webhook.http.transport.plainrequest import PlainRequest
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.identity.jwt.issuers import Issuers
from bailiwick_webhook.identity.subject import ByToken
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.metrics.counts import UsageTally
from bailiwick_webhook.steps import Need, Step, resolve
from contract.asking_alone import AGENT, PEP, STRANGER, body, stored
from contract.connections.test_front import BODIES, HEADERS, PLAIN, SPELLED, alike, request, whole
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone, KeptRecords, NamedTokens, NamedWorkloads

HEAD: Final = request().index(b"\r\n\r\n") + 4
OTHER: Final = "system:serviceaccount:crm:other-api"


class LookedUpTokens(NamedTokens):
    """Tokens of which the answer is known once it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.live = True
        self.stale: set[str] = set()
        self._named: dict[str, str] = {}

    def authenticate(self, token: str, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        return self._known(token) or super().authenticate(token, audiences)

    def _known(self, token: str) -> AuthenticatedAccount | None:
        name = token if token.startswith("system:") else self._named.get(token)
        if name is None or name not in self.asked:
            return None
        live = self.live and name not in self.stale
        return AuthenticatedAccount(ServiceAccount(name, f"{name}-uid"), {"sub": name}, live=live)

    def confirm(self, parsed: CompactToken, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        return self._known(parsed.token) or super().confirm(parsed, audiences)

    async def _confirm(self, parsed: CompactToken) -> AuthenticatedAccount | RefusedToken:
        name = str(parsed.claims["sub"])
        self._named[parsed.token] = name
        self.asked.append(name)
        return await super()._confirm(parsed)


class Enforcer:
    """An enforcement point with a connection on which it was proven."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def connect(self) -> None:
        await self.open()
        assert b'"decision":true' in await self.ask(request())

    async def ask(self, *parts: bytes, pause: float = 0.01, answers: int = 1) -> bytes:
        """Send bytes; return what comes, until so many answers are there or the connection ends."""
        out = b""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            await asyncio.sleep(pause if part is not parts[-1] else 0)
        while not (whole(out) and len(re.findall(rb"HTTP/1\.1 (?!100)\d", out)) >= answers):
            chunk = await asyncio.wait_for(self._reader.read(65536), 10)
            if not chunk:
                return out + b"<closed>"
            out += chunk
        return out

    async def closed(self) -> bool:
        return await asyncio.wait_for(self._reader.read(1), 10) == b""

    def close(self) -> None:
        self._writer.close()


class ServedPdp:
    """A decision point, and what it answered at once."""

    def __init__(self, alone: Alone, tokens: LookedUpTokens, port: int, at_once: list[bool]) -> None:
        self.alone, self.tokens, self.port, self.at_once = alone, tokens, port, at_once
        self.draining = False
        self.connections: Connections
        self._open: list[Enforcer] = []

    async def enforcer(self) -> Enforcer:
        made = Enforcer(self.port)
        self._open.append(made)
        await made.connect()
        self.at_once.clear()
        return made

    async def primed(self) -> Enforcer:
        """Return one whose policy need not let it do anything."""
        made = Enforcer(self.port)
        self._open.append(made)
        await made.open()
        for _ in range(2):
            assert b'"decision":false' in await made.ask(request(PLAIN, body(action="customers.nothing")))
        self.at_once.clear()
        return made

    def held_up(self, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
        """Have whatever is asked from now on wait for this event before it is decided."""
        goes_on, evaluate = asyncio.Event(), self.alone.pdp.evaluate

        async def waits(asked: Any) -> Any:  # noqa: ANN401 - as it is called
            await goes_on.wait()
            return await resolve(evaluate(asked))

        monkeypatch.setattr(self.alone.pdp, "evaluate", lambda asked: Need(partial(waits, asked)))
        return goes_on

    @property
    def entries(self) -> list[TableEntry]:
        """The connections that there are, in the table."""
        aiohttps = [one.share.entry for one in self.connections.connections if isinstance(one, Connection)]
        return [*aiohttps, *(one.share.entry for one in self.connections.shared.open)]

    def close(self) -> None:
        for one in self._open:
            one.close()

    async def twice(self, sent: object = None, *headers: str, **more: Any) -> tuple[bytes, bytes, bool]:  # noqa: ANN401 - of `request`
        """Return the answer, what aiohttp alone answers, and whether the first was given at once."""
        first = await self.enforcer()
        plain = await first.ask(request(PLAIN, sent, *headers, **more))
        # Tried, and taken.
        taken = True in self.at_once
        second = await self.enforcer()
        behind = await second.ask(request(SPELLED, sent, *headers, **more))
        assert True not in self.at_once
        return plain, behind, taken


class SeenFront:
    """A front of which is seen what it answered at once, and what it had to await."""

    def __init__(self, front: DecisionShortcut, at_once: list[bool]) -> None:
        self._front, self._at_once = front, at_once

    def begin(self, sent: PlainRequest, origin: ConnectionOrigin) -> WholeAnswer | Need[WholeAnswer] | None:
        step = self._front.begin(sent, origin)
        self._at_once.append(isinstance(step, WholeAnswer))
        return step


@asynccontextmanager
async def served(
    alone: Alone | None = None, bounds: Bounds | None = None, prepare: Callable[[Any], None] = lambda _: None
) -> AsyncIterator[ServedPdp]:
    alone = alone or Alone([stored()])
    tokens, at_once = LookedUpTokens(), list[bool]()
    workloads: Any = NamedWorkloads()
    it = ServedPdp(alone, tokens, 0, at_once)
    application = app.build(
        alone.pdp, ByToken(tokens, Issuers(()), workloads), "https://pdp.example", lambda: it.draining, bounds=bounds
    )
    prepare(application)
    bounded = application[BOUNDED]
    assert bounded.shortcut is not None
    application[BOUNDED] = bounded._replace(shortcut=SeenFront(bounded.shortcut, at_once))
    server = await serve(application, "127.0.0.1", 0)
    it.port, made = server.port, server.connections
    assert isinstance(made, Connections)
    it.connections = made
    try:
        yield it
    finally:
        it.close()
        await server.stop()


AT_ONCE: Final = {"allowed", "denied", "no JSON", "a member twice", "a wrong type"}
KEPT_PLAIN: Final = {"nothing else", "a request id", "a request id of words", "to be kept", "to be closed"}


@pytest.mark.parametrize("sent", BODIES)
@pytest.mark.parametrize("headers", HEADERS)
async def test_a_request_gets_the_answer_that_aiohttp_gives(headers: str, sent: str) -> None:
    async with served() as it:
        # Of the subject whose token is shown, which was proven a moment ago.
        plain, behind, taken = await it.twice(BODIES[sent], *HEADERS[headers])
    assert alike(plain) == alike(behind)
    assert taken is (headers in KEPT_PLAIN and sent in AT_ONCE)


@pytest.mark.parametrize(
    "line",
    [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Content-Length: 5",
        "content-length: 5",
        "Content-Length : 5",
        "Host: twice.example",
        "Authorization: Bearer system:serviceaccount:crm:stranger",
        "Content-Type: text/plain",
        "X-Request-ID: second",
        "Accept: */*\r\n  folded",
        "Accept:\t*/*",
        "Accept: \x01",
        "Accept: \xe9",
        "Accept: a\rb",
        "Accept: a\nX-Request-ID: smuggled",
        "Accept",
        ": nothing",
        "Connection: keep-alive, upgrade",
        "Connection: close, keep-alive",
        "TE: trailers",
        "Trailer: Digest",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "Proxy-Connection: close",
        "Content-Encoding: identity",
        "Sec-WebSocket-Key1: x",
        "X-HTTP-Method-Override: GET",
        "X-Bailiwick-Enforcer: Bearer x",
        "Expect:100-continue",
        "X-Twice: a\r\nx-twice: b",
        "User-Agent: a\r\nUser-Agent: b",
        "X Anything: else",
        "X-\xc4nything: else",
        "X-Anything: a\tb",
        f"X-{'y' * 64}: else",
        "\r\n".join(f"X-{number}: a" for number in range(130)),
        "X-Long: " + "y" * 7000,
        "Host:other.example: x",
        "authorization:x: Bearer y",
    ],
)
async def test_what_is_not_plain_is_left_to_aiohttp(line: str) -> None:
    async with served() as it:
        plain, behind, taken = await it.twice(None, "X-Request-ID: first", line)
    assert taken is False
    assert it.at_once == []
    assert alike(plain) == alike(behind)


@pytest.mark.parametrize(
    "line",
    [
        "X-Anything: else",
        "X-Anything:else",
        "X-Anything:",
        "Cookie: a=b",
        "Accept: */* ",
        "Accept:  */*",
        "X-Forwarded-For: 10.0.0.1, 10.0.0.2",
        "x-envoy-expected-rq-timeout-ms: 500",
        "x-b3-traceid: 463ac35c9f6413ad48485a3953bb6124",
        "Forwarded: for=10.0.0.1",
        "Via: 1.1 proxy",
        "Cache-Control: no-cache",
        "Range: bytes=0-1",
        "If-Match: *",
        "X-!#$%&'*+.^_`|~: token",
        "Keep-Alive: timeout=5",
        "Connection: Keep-Alive",
        "connection: close",
        "\r\n".join(f"X-{number}: a" for number in range(80)),
    ],
)
async def test_a_header_that_is_not_read_makes_no_difference(line: str) -> None:
    async with served() as it:
        plain, behind, taken = await it.twice(None, "X-Request-ID: first", line)
    assert taken is True
    assert alike(plain) == alike(behind)
    assert b"X-Request-ID: first" in plain


@pytest.mark.parametrize("charset", ["; charset=utf-8", ";charset=utf-8", "; charset=UTF-8"])
async def test_a_body_of_json_may_name_the_one_charset_that_it_has(charset: str) -> None:
    async with served() as it:
        one = await it.enforcer()
        raw = request().replace(b"application/json", b"application/json" + charset.encode())
        assert b'"decision":true' in await one.ask(raw)
        assert it.at_once == [True]


@pytest.mark.parametrize(
    "first",
    [
        "POST  /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1",
        "POST /endpoints/crm/crm-api/access/v1/evaluation  HTTP/1.1",
        "POST /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.0",
        "POST /endpoints/crm/crm-api/access/v1/evaluation?v=1 HTTP/1.1",
        "POST /endpoints/crm/crm-api/access/v1/evaluationss HTTP/1.1",
        "POST /endpoints/crm/crm-api/access/v1/search/subject HTTP/1.1",
        "post /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1",
        "GET /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1",
        "\r\nPOST /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1",
    ],
)
async def test_a_first_line_that_is_spelled_otherwise_is_left_to_aiohttp(first: str) -> None:
    raw = request().replace(b"POST /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1", first.encode(), 1)
    async with served() as it:
        one = await it.enforcer()
        assert (await one.ask(raw)).startswith(b"HTTP/1.")
        assert it.at_once == []


async def test_what_is_answered_at_once_is_recorded_and_counted_as_any_other() -> None:
    marks = ("X-Request-ID: one-1", f"traceparent: 00-{'a' * 32}-{'b' * 16}-01")
    lines: list[dict[str, Any]] = []
    counted: list[object] = []
    for path in (PLAIN, SPELLED):
        async with served() as it:
            one = await it.enforcer()
            it.alone.records.lines.clear()
            for sent in ("allowed", "denied"):
                await one.ask(request(path, BODIES[sent], *marks))
            assert it.at_once == ([True, True] if path == PLAIN else [])
            counts = it.alone.pdp.counts
            lines.append({"lines": [_unchanging(json.loads(line)) for line in it.alone.records.lines]})
            counted.append((counts.evaluation.outcomes, sum(counts.evaluation.buckets), counts.under_way))
    assert lines[0] == lines[1]
    assert len(lines[0]["lines"]) == 2
    assert counted[0] == counted[1]


def _unchanging(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in {"time", "evaluation_id", "now"}}


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        (stored(gated_rule()), body(action="customers.export")),
        (stored(), body(explain=True)),
        (stored(), body(resource="x" * 9000)),
        (
            stored(
                subjects=[
                    {
                        "name": "agent",
                        "serviceAccount": {"namespace": "agents", "name": "crm-agent"},
                        "workload": {"podSelector": {"matchLabels": {"a": "b"}}},
                    }
                ]
            ),
            body(),
        ),
    ],
    ids=[
        "a grant may be needed",
        "an explanation is asked for",
        "it is large",
        "workloads count",
    ],
)
async def test_what_something_has_to_be_awaited_for_is_answered_as_aiohttp_would(policy: Object, sent: Object) -> None:
    async with served(Alone([policy])) as it:
        one = await it.primed()
        plain = await one.ask(request(PLAIN, sent))
        assert it.at_once == [False]
        assert alike(plain) == alike(await one.ask(request(SPELLED, sent)))


async def test_a_connection_on_which_nobody_was_proven_yet_is_answered_by_its_own_protocol_too() -> None:
    async with served() as it:
        one = Enforcer(it.port)
        await one.connect()
        assert it.at_once == [False]
        await one.ask(request())
        assert it.at_once == [False, True]
        one.close()


@pytest.mark.parametrize("operation", ["evaluation", "evaluations"])
@pytest.mark.parametrize("sent", BODIES)
async def test_a_batch_is_answered_as_aiohttp_would(sent: str, operation: str) -> None:
    item = BODIES[sent]
    batch = {"evaluations": [item, item]} if isinstance(item, dict) and operation == "evaluations" else item
    async with served() as it:
        one = await it.enforcer()
        plain = await one.ask(request(PLAIN.replace("evaluation", operation), batch))
        taken = list(it.at_once)
        behind = await one.ask(request(SPELLED.replace("evaluation", operation), batch))
    assert len(taken) == (0 if item == b"" else 1)
    assert alike(plain) == alike(behind)


@pytest.mark.parametrize("caller", [STRANGER, "nobody"])
async def test_a_stranger_is_answered_as_aiohttp_would(caller: str) -> None:
    async with served() as it:
        one = await it.enforcer()
        plain = await one.ask(request(PLAIN, None, caller=caller))
        assert it.at_once == [False]
        assert alike(plain) == alike(await one.ask(request(SPELLED, None, caller=caller)))


async def test_without_a_word_about_who_asks_the_answer_is_401_as_aiohttp_gives_it() -> None:
    async with served() as it:
        one = await it.enforcer()
        raw = request().replace(f"Authorization: Bearer {PEP}\r\n".encode(), b"")
        plain = await one.ask(raw)
        assert it.at_once == [False]
        assert b"HTTP/1.1 401 " in plain
        assert alike(plain) == alike(await one.ask(raw.replace(PLAIN.encode(), SPELLED.encode())))


async def test_a_connection_is_held_by_the_enforcer_that_asked_last() -> None:
    settings = {"enforcers": [{"namespace": "crm", "name": "crm-api"}, {"namespace": "crm", "name": "other-api"}]}
    async with served(Alone([stored(endpointSettings=settings)])) as it:
        one = await it.enforcer()
        it.tokens.asked.append(OTHER)
        for number, caller in enumerate((OTHER, OTHER, PEP)):
            assert b'"decision":true' in await one.ask(request(PLAIN, None, caller=caller))
            assert it.at_once == [True] * (number + 1)
            assert [entry.holder for entry in it.entries] == [caller]


async def test_an_account_that_enforces_nothing_there_is_a_stranger() -> None:
    async with served() as it:
        one = await it.enforcer()
        it.tokens.asked.append(OTHER)
        assert b"HTTP/1.1 403 " in await one.ask(request(PLAIN, None, caller=OTHER))
        assert b"HTTP/1.1 403 " in await one.ask(request(PLAIN.replace("crm/", "nowhere/"), None))
        assert it.at_once == [True, True]


async def test_a_token_that_is_known_no_more_is_asked_about() -> None:
    async with served() as it:
        one = await it.enforcer()
        it.tokens.asked.clear()
        assert b'"decision":true' in await one.ask(request())
        assert it.at_once == [False]
        assert PEP in it.tokens.asked


class TestWhatComesInPieces:
    @pytest.fixture(autouse=True)
    def patience(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        # A busy machine takes longer from one piece to the next.
        if "is_left_to_aiohttp" not in request.node.name and "slowly" not in request.node.name:
            monkeypatch.setattr(decisionprotocol, "_PATIENCE", 5.0)

    @pytest.mark.parametrize(
        "cuts", [(1,), (4,), (30,), (HEAD - 2,), (HEAD,), (300,), (-1,), (1, 17, 200), (HEAD, HEAD + 10, -5)]
    )
    async def test_is_answered_when_the_last_one_is_there(self, cuts: tuple[int, ...]) -> None:
        raw = request()
        ends = [len(raw) + cut if cut < 0 else cut for cut in cuts]
        pieces = [raw[begin:end] for begin, end in pairwise([0, *ends, len(raw)])]
        async with served() as it:
            one = await it.enforcer()
            for _ in range(3):
                assert b'"decision":true' in await one.ask(*pieces)
            assert it.at_once == [True] * 3

    async def test_is_left_to_aiohttp_where_the_body_does_not_come(self) -> None:
        raw = request()
        async with served() as it:
            one = await it.enforcer()
            assert b'"decision":true' in await one.ask(raw[:HEAD], raw[HEAD:], pause=0.2)
            assert b'"decision":true' in await one.ask(raw)
            assert it.at_once == []

    async def test_and_too_slowly_is_ended_as_ever(self) -> None:
        async with served(bounds=Bounds(pace=Pace(rate=8 * 1024, grace=0.3, seconds=1.0))) as it:
            one = await it.enforcer()
            assert b"too slowly" in await one.ask(request()[:HEAD])

    async def test_is_left_to_aiohttp_where_the_head_does_not_come(self) -> None:
        raw = request()
        async with served() as it:
            one = await it.enforcer()
            assert b'"decision":true' in await one.ask(raw[:30], raw[30:], pause=0.2)
            assert b'"decision":true' in await one.ask(raw)
            assert it.at_once == []

    async def test_is_left_to_aiohttp_where_most_of_the_body_is_missing(self) -> None:
        raw = request(PLAIN, body(resource="x" * 9000))
        head = raw.index(b"\r\n\r\n") + 4
        async with served() as it:
            one = await it.enforcer()
            assert b"HTTP/1.1 " in await one.ask(raw[:head], raw[head:])
            assert it.at_once == []

    async def test_and_the_next_one_behind_it_is_answered_next(self) -> None:
        raw, next_one = request(), request(PLAIN, None, "X-Request-ID: next")
        async with served() as it:
            one = await it.enforcer()
            answer = await one.ask(raw[:HEAD], raw[HEAD:] + next_one, answers=2)
            assert answer.count(b'"decision":true') == 2
            assert it.at_once == [True, True]

    async def test_and_then_no_more_since_the_client_is_gone(self) -> None:
        async with served() as it:
            one = await it.enforcer()
            one._writer.write(request()[:HEAD])
            await one._writer.drain()
            one.close()
            await asyncio.sleep(0.15)
            other = await it.enforcer()
            assert b'"decision":true' in await other.ask(request())
            assert it.entries == [entry for entry in it.entries if entry.enforcer]
            assert len(it.entries) == 1

    async def test_and_more_than_one_at_once_is_answered_in_order(self) -> None:
        sent = b"".join(request(PLAIN, None, f"X-Request-ID: n{number}") for number in range(5))
        async with served() as it:
            one = await it.enforcer()
            answer = await one.ask(sent, answers=5)
            assert re.findall(rb"X-Request-ID: n(\d+)\r\n", answer) == [b"%d" % number for number in range(5)]
            assert it.at_once == [True] * 5
            assert b'"decision":true' in await one.ask(request())
            assert it.at_once == [True] * 6

    async def test_and_one_that_is_not_plain_behind_others_is_answered_behind_them(self) -> None:
        plain = [request(PLAIN, None, f"X-Request-ID: n{number}") for number in range(3)]
        other = request(SPELLED, None, "X-Request-ID: n3")
        async with served() as it:
            one = await it.enforcer()
            answer = await one.ask(b"".join((*plain, other, plain[0])), answers=5)
            assert re.findall(rb"X-Request-ID: n(\d+)\r\n", answer) == [b"0", b"1", b"2", b"3", b"0"]
            assert it.at_once == [True] * 3

    async def test_and_one_that_comes_while_another_waits_is_answered_after_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with served() as it:
            one = await it.enforcer()
            goes_on = it.held_up(monkeypatch)
            first = request(PLAIN, body(explain=True), "X-Request-ID: first")
            asking = asyncio.create_task(one.ask(first, request(PLAIN, None, "X-Request-ID: second"), answers=2))
            await asyncio.sleep(0.1)
            goes_on.set()
            assert re.findall(rb"X-Request-ID: (\w+)", await asking) == [b"first", b"second"]


async def test_while_we_drain_an_answer_ends_its_connection() -> None:
    async with served() as it:
        one = await it.enforcer()
        it.draining = True
        answer = await one.ask(request())
        assert b"\r\nConnection: close\r\n" in answer
        assert it.at_once == [True]
        assert await one.closed()


async def test_the_last_answer_of_a_connection_says_so() -> None:
    async with served(bounds=Bounds(requests=5)) as it:
        one = await it.enforcer()
        answers: list[bytes] = []
        while not answers or b"Connection: close" not in answers[-1]:
            answers.append(await one.ask(request()))
        assert 3 <= len(answers) <= 4
        assert it.at_once == [True] * len(answers)
        assert await one.closed()


async def test_a_connection_that_rests_is_ended_no_sooner_than_after_its_last_answer() -> None:
    async with served(bounds=Bounds(idle=0.8)) as it:
        one = await it.enforcer()
        for _ in range(4):
            await asyncio.sleep(0.5)
            assert b'"decision":true' in await one.ask(request())
        assert it.at_once == [True] * 4
        assert await one.closed()


async def test_a_record_that_has_no_room_is_waited_for_by_the_usual_way() -> None:
    failing: list[bool] = []
    async with served(Alone([stored()], records=KeptRecords(lambda _: bool(failing)))) as it:
        one = await it.enforcer()
        failing.append(True)
        assert b'"decision":false' in await one.ask(request())
        assert it.at_once == [False]


@pytest.mark.parametrize("what", ["answer", "evaluate", "use"])
async def test_a_defect_is_500_ends_the_connection_and_is_not_tried_again(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served() as it:
        one = await it.enforcer()
        lines = it.alone.records.lines
        lines.clear()

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("secret")

        where = {"answer": messages, "evaluate": it.alone.pdp, "use": UsageTally}[what]
        monkeypatch.setattr(where, what, broken)
        answer = await one.ask(request(PLAIN, None, "X-Request-ID: one-1"))
        assert await one.closed()
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert b"\r\nX-Request-ID: one-1\r\n" in answer
    assert b"secret" not in answer
    assert len(lines) == (0 if what == "evaluate" else 1)


async def test_answers_are_counted_whoever_gives_them() -> None:
    alone = Alone([stored()])
    counts = alone.pdp.counts
    async with served(alone) as it:
        one = await it.enforcer()
        assert counts.responses == [0, 1, 0, 0, 0]
        for number, path in enumerate((PLAIN, SPELLED)):
            await one.ask(request(path))
            await one.ask(request(path, b"{"))
            await one.ask(request("/nothing" if path == SPELLED else path, None, caller="nobody"))
            assert counts.responses == [0, 2 + number, 0, 2 + 2 * number, 0]
        assert it.at_once == [True, True, False]


async def test_where_an_enforcers_places_are_all_taken_it_is_refused_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(bounds=Bounds(requests_at_once=4)) as it:
        one = await it.enforcer()
        others = [await it.enforcer() for _ in range(2)]
        goes_on = it.held_up(monkeypatch)
        waiting = [asyncio.create_task(other.ask(request(PLAIN, body(explain=True)))) for other in others]
        await asyncio.sleep(0.1)
        assert b"HTTP/1.1 429 " in await one.ask(request())
        goes_on.set()
        await asyncio.gather(*waiting)


async def test_with_a_rate_every_request_is_paid_for() -> None:
    async with served(bounds=Bounds(decisions_per_second=3)) as it:
        one = await it.enforcer()
        answers = [await one.ask(request()) for _ in range(20)]
        assert it.at_once == [True] * 20
    decided = [b'"decision":true' in answer for answer in answers]
    # Some of the first are paid for by what was there; of twenty in a row none has time to come in.
    assert decided[0] is True
    assert decided[-1] is False
    assert b"HTTP/1.1 429 " in answers[-1]


async def test_an_approval_that_is_shown_is_looked_at_at_once() -> None:
    async with served() as it:
        plain, behind, taken = await it.twice(body(approval={"id": "agr-1.uid"}))
    assert taken is True
    assert alike(plain) == alike(behind)


async def test_a_candidate_is_decided_beside_it_and_told_nobody() -> None:
    candidate = stored(gated_rule("read", actions=["customers.list"]), name="next", mode="Audit", replaces="crm-agent")
    candidate["spec"].pop("endpointSettings")
    async with served(Alone([stored(), candidate])) as it:
        one = await it.enforcer()
        answer = await one.ask(request())
        assert b"shadow" not in answer
        assert it.at_once == [True]
        made = json.loads(answer.partition(b"\r\n\r\n")[2])["context"]["evaluation_id"]

        def kinds() -> list[str]:
            lines = [json.loads(line) for line in it.alone.records.lines]
            return [line["kind"] for line in lines if line.get("evaluation_id") == made]

        for _ in range(200):
            if kinds() == ["evaluation", "shadow"]:
                break
            await asyncio.sleep(0.01)
        assert kinds() == ["evaluation", "shadow"]


async def test_on_the_enforcers_word_an_actor_is_one() -> None:
    settings = {
        "enforcers": [{"namespace": "crm", "name": "crm-api"}],
        "identity": {"verification": "Asserted"},
    }
    named = {"type": "serviceAccount", "id": "system:serviceaccount:agents:crm-agent"}
    acted = {"subject": {**named, "properties": {"act": {"sub": "system:serviceaccount:agents:other"}}}}
    async with served(Alone([stored(endpointSettings=settings)])) as it:
        plain, behind, taken = await it.twice({**body(), **acted})
        assert taken is True
        assert alike(plain) == alike(behind)
        assert b'"reason":"delegation_invalid"' in plain


async def test_a_connection_is_not_served_for_longer_than_it_may_live() -> None:
    async with served(bounds=Bounds(seconds=0.5)) as it:
        one = await it.enforcer()
        await asyncio.sleep(0.6)
        assert b"\r\nConnection: close\r\n" in await one.ask(request())
        assert it.at_once == [True]


async def test_what_comes_behind_what_is_awaited_is_answered_behind_it() -> None:
    async with served() as it:
        one = await it.enforcer()
        (connection,) = it.connections.shared.open
        connection.data_received(request(PLAIN, body(explain=True), "X-Request-ID: first"))
        connection.data_received(request(PLAIN, None, "X-Request-ID: second"))
        connection.data_received(request(SPELLED, None, "X-Request-ID: third"))
        assert it.at_once == [False]
        answer = await one.ask(answers=3)
        assert re.findall(rb"X-Request-ID: (\w+)", answer) == [b"first", b"second", b"third"]
        assert it.at_once == [False, True]


async def test_what_has_to_wait_for_its_turn_is_answered_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_FEW", 0)
    monkeypatch.setattr(pace, "_FROM_ENFORCERS", 1)
    async with served() as it:
        several = [await it.enforcer() for _ in range(4)]
        for one in several:
            one._writer.write(request())
        answers = await asyncio.gather(*(one.ask() for one in several))
        assert [b'"decision":true' in answer for answer in answers] == [True] * 4
        assert it.at_once == [True] * 4


async def test_of_whoever_does_not_read_its_answers_nothing_is_begun() -> None:
    async with served() as it:
        one = await it.enforcer()
        (connection,) = it.connections.shared.open
        connection.pause_writing()
        asking = asyncio.create_task(one.ask(request()))
        await asyncio.sleep(0.05)
        assert it.at_once == []
        connection.resume_writing()
        assert b'"decision":true' in await asking
        assert it.at_once == [True]


async def test_an_identity_that_is_not_live_is_asked_about_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as it:
        one = await it.enforcer()
        asked: list[bool] = []
        evaluate = it.alone.pdp.evaluate

        def seen(request: Any) -> Any:  # noqa: ANN401 - as it is called
            asked.append(request.live_identity)
            return evaluate(request)

        monkeypatch.setattr(it.alone.pdp, "evaluate", seen)
        await one.ask(request())
        it.tokens.live = False
        await one.ask(request())
        # The subject's own token, of an enforcer that was confirmed just now.
        it.tokens.stale = {AGENT}
        it.tokens.live = True
        await one.ask(request())
        it.tokens.stale = {PEP}
        await one.ask(request())
        assert asked == [True, False, False, False]


async def test_what_gets_no_place_in_one_turn_of_the_loop_is_not_decided_and_not_paid_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone, paid = Alone([stored(rule(), gated_rule())]), list[str]()
    goes_on, take = asyncio.Event(), Rates.take

    async def caught_up(_: Any, verdict: Any, *__: Any) -> Any:  # noqa: ANN401 - as it is called
        await goes_on.wait()
        return verdict

    def paying(rates: Rates, namespace: str, *rest: Any) -> None:  # noqa: ANN401 - likewise
        paid.append(namespace)
        take(rates, namespace, *rest)

    monkeypatch.setattr(alone.pdp._uses._consumer, "caught_up", caught_up)
    async with served(alone, bounds=Bounds(requests_at_once=8, decisions_per_second=1_000)) as it:
        several = [await it.enforcer() for _ in range(12)]
        monkeypatch.setattr(Rates, "take", paying)
        asking = [asyncio.create_task(one.ask(request(PLAIN, body(action="customers.export")))) for one in several]
        await asyncio.sleep(0.2)
        under_way = alone.pdp.counts.under_way[0]
        assert 0 < under_way < len(several)
        assert len(paid) == under_way
        goes_on.set()
        answers = await asyncio.gather(*asking)
        assert sum(b"HTTP/1.1 429 " in answer for answer in answers) == len(several) - under_way
        assert alone.pdp.counts.under_way == [0, 0]
