"""Who takes of which part: an enforcer of the endpoint that it asks about, and all others, whoever they are."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from bailiwick_engine.reasons import Reason
from bailiwick_webhook.http.shares.bounds import Bounds, Pace
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.metrics.table import CallerClass, Overload, Port
from contract.asking_alone import PEP, STRANGER, TENANT, LoneClient, asking, body, stored
from support.objects import gated_rule, rule
from support.pdp.alone import Alone, NamedTokens
from support.pdp.questions import Said

ANOTHER: Final = "system:serviceaccount:crm:another"
ELSEWHERE: Final = "/endpoints/elsewhere/api"
# Twelve places of enforcers, four of all others.
BOUNDS: Final = Bounds(requests_at_once=16)
OTHERS: Final = 4


class Held(NamedTokens):
    """Tells what is signed at once, and proves once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    def signed(self, token: str, audiences: frozenset[str]) -> Any:  # noqa: ANN401 - as the superclass has None
        return token if token.startswith("system:") else RefusedToken(Reason.IDENTITY_INVALID)

    async def _prove(self, token: str) -> AuthenticatedAccount | RefusedToken:
        await self.let.wait()
        return await super()._prove(token)


def policies() -> list[Any]:
    mine = stored(rule(), gated_rule())
    elsewhere = stored(rule(), name="elsewhere", endpointSettings={"enforcers": [{"namespace": "x", "name": "y"}]})
    elsewhere["metadata"]["namespace"] = "elsewhere"
    elsewhere["spec"]["endpoint"] = "api"
    return [mine, elsewhere]


@asynccontextmanager
async def world(bounds: Bounds, tokens: NamedTokens | None = None) -> AsyncIterator[LoneClient]:
    async with asking(Alone(policies(), bounds=bounds, tokens=tokens)) as ask:
        yield ask


async def await_equal(look: Callable[[], object], expected: object) -> None:
    """Wait until something is as expected: sockets and the loop take their time on a machine with other work."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while look() != expected and loop.time() < deadline:  # noqa: ASYNC110 - of sockets
        await asyncio.sleep(0.01)
    assert look() == expected


async def held(ask: LoneClient, tokens: Held, *senders: tuple[str, str]) -> list[asyncio.Task[Said]]:
    """Have these senders ask about these endpoints, and wait until they hold what they get."""
    counts = ask.alone.pdp.counts
    before, refused = sum(counts.under_way), sum(counts.overloads.values())
    tasks = [asyncio.create_task(ask.post("evaluation", body(), who, where)) for who, where in senders]
    async with asyncio.timeout(10):
        while sum(counts.under_way) - before + sum(counts.overloads.values()) - refused < len(tasks):  # noqa: ASYNC110 - of sockets
            await asyncio.sleep(0.01)
    return tasks


async def test_all_others_together_hold_no_more_than_their_part() -> None:
    tokens = Held()
    async with world(BOUNDS, tokens) as ask:
        crowd = [(f"system:serviceaccount:crowd:{number}", TENANT) for number in range(3 * OTHERS)]
        waiting = await held(ask, tokens, *crowd)
        counts = ask.alone.pdp.counts
        assert counts.under_way == [0, OTHERS]
        assert counts.overloads[Overload.FULL, CallerClass.OTHERS] == 2 * OTHERS
        # An enforcer that nobody has proven yet waits beside other enforcers: by what its token is signed for.
        waiting += await held(ask, tokens, (PEP, TENANT))
        assert counts.under_way == [1, OTHERS]
        tokens.let.set()
        *strangers, enforcer = [(await one).status for one in waiting]
        assert sorted(strangers) == [403] * OTHERS + [429] * 2 * OTHERS
        assert enforcer == 200
        assert counts.under_way == [0, 0]


@pytest.mark.parametrize(
    ("who", "where", "part"),
    [
        (PEP, TENANT, CallerClass.ENFORCERS),
        (PEP, "/endpoints/crm/%63rm-api", CallerClass.ENFORCERS),
        # One that enforces something, about something else: or a tenant could make enforcers without end.
        (PEP, ELSEWHERE, CallerClass.OTHERS),
        (PEP, "/endpoints/crm/nothing", CallerClass.OTHERS),
        (STRANGER, TENANT, CallerClass.OTHERS),
        ("nobody", TENANT, None),
    ],
)
async def test_a_request_counts_as_an_enforcers_where_its_sender_enforces_what_it_asks_about(
    who: str, where: str, part: CallerClass | None
) -> None:
    tokens = Held()
    async with world(BOUNDS, tokens) as ask:
        task = asyncio.create_task(ask.post("evaluation", body(), who, where))
        if part is None:
            # It is refused before it has a place.
            await asyncio.wait([task], timeout=20)
        expected = {CallerClass.ENFORCERS: [1, 0], CallerClass.OTHERS: [0, 1], None: [0, 0]}[part]
        await await_equal(lambda: ask.alone.pdp.counts.under_way, expected)
        tokens.let.set()
        assert (await task).status in {200, 401, 403}
        assert ask.alone.pdp.counts.under_way == [0, 0]


async def test_a_token_that_nobody_signed_is_refused_and_asks_the_api_server_nothing() -> None:
    tokens = Held()
    async with world(BOUNDS, tokens) as ask:
        assert (await ask.post("evaluation", body(), "nobody")).status == 401
        assert tokens.asked == []


class DrippingBody:
    """A body that comes a piece at a time, over a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, ask: LoneClient, who: str, length: int, sent: int) -> "DrippingBody":
        """Begin a body of a length, and send so much of it."""
        port = ask._client._build_url("/").port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [
            f"POST {TENANT}/access/v1/evaluation HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {who}",
            "Content-Type: application/json",
            f"Content-Length: {length}",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        # Apart from the head, so that it comes in pieces.
        await asyncio.sleep(0.05)
        writer.write(b" " * sent)
        await writer.drain()
        await asyncio.sleep(0.05)
        return cls(reader, writer)

    async def answer(self) -> tuple[int, bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        rest = await self.reader.readexactly(int(length.split(b":")[1]))
        self.writer.close()
        return int(head.split(b" ")[1]), rest

    async def going_on(self) -> bool:
        """Tell whether there is no answer yet."""
        await asyncio.sleep(0.05)
        return not self.reader._buffer  # type: ignore[attr-defined]  # to look without waiting


SIZES: Final = Bounds(body_bytes=40_000)


async def test_bytes_of_bodies_are_divided_as_places_are() -> None:
    async with world(SIZES) as ask:
        counts = ask.alone.pdp.counts
        # Of 10,000 that are the others', one alone has half.
        first = await DrippingBody.of(ask, STRANGER, 100_000, 5_000)
        await await_equal(lambda: counts.body_bytes, {CallerClass.ENFORCERS: 0, CallerClass.OTHERS: 5_000})
        assert await first.going_on()
        second = await DrippingBody.of(ask, STRANGER, 100_000, 1)
        status, said = await second.answer()
        assert (status, b'"reason":"overloaded"' in said) == (429, True)
        assert b"Too many bytes of request bodies" in said
        assert counts.overloads[Overload.BYTES, CallerClass.OTHERS] == 1
        # An enforcer has 30,000, and is not asked about theirs.
        mine = await DrippingBody.of(ask, PEP, 100_000, 12_000)
        await await_equal(lambda: counts.body_bytes, {CallerClass.ENFORCERS: 12_000, CallerClass.OTHERS: 5_000})
        assert await mine.going_on()
        for one in (first, mine):
            one.writer.close()
        await await_equal(lambda: counts.body_bytes, {CallerClass.ENFORCERS: 0, CallerClass.OTHERS: 0})
        await await_equal(lambda: counts.under_way, [0, 0])


async def test_a_body_that_comes_with_its_head_is_never_too_much() -> None:
    async with world(Bounds(body_bytes=2)) as ask:
        assert (await ask.post("evaluation", body())).status == 200


QUICK: Final = Pace(rate=10_000, grace=0.3, seconds=1.5)


async def test_a_body_that_falls_behind_its_rate_is_given_up_and_counted() -> None:
    # Of the time that a whole body has, so much that it is the rate which gives it up.
    async with world(Bounds(pace=QUICK._replace(seconds=60.0))) as ask:
        loop = asyncio.get_running_loop()
        counts = ask.alone.pdp.counts
        for who, part in ((PEP, CallerClass.ENFORCERS), (STRANGER, CallerClass.OTHERS)):
            began = loop.time()
            slow = await DrippingBody.of(ask, who, 100_000, 1_000)
            status, said = await slow.answer()
            assert (status, b"the body arrived too slowly" in said) == (400, True)
            # A thousand bytes are a tenth of a second more than the grace.
            assert 0.35 < loop.time() - began < 60
            assert counts.bodies_slow[Port.DECISIONS, part] == 1


@pytest.mark.long
async def test_a_body_that_keeps_up_is_still_to_be_whole_in_time() -> None:
    async with world(Bounds(pace=QUICK)) as ask:
        loop = asyncio.get_running_loop()
        began = loop.time()
        steady = await DrippingBody.of(ask, PEP, 900_000, 1_000)
        while await steady.going_on():
            steady.writer.write(b" " * 2_000)
        assert (await steady.answer())[0] == 400
        assert loop.time() - began > 1.2


async def test_what_is_there_is_read_however_late_we_are_to_look() -> None:
    async with world(Bounds(pace=QUICK)) as ask:
        steady = await DrippingBody.of(ask, PEP, 3_000, 1_000)
        steady.writer.write(b" " * 2_000)
        # The loop stands still for longer than the body may take: that is not its sender's fault.
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(time.sleep, 0.8)
        status, said = await steady.answer()
        assert (status, b"slowly" in said) == (400, False)
