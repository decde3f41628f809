"""Nothing is done before it is known who asks but what the page says: of each path of each port, over its real router.

The page's table is held against the routers, and to each path a stranger sends bodies that are large, deep or slow.
How many objects a body was made into is told by the collector of Python, which counts them whoever makes them.
"""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, Self, cast

import pytest
from aiohttp import web  # noqa: TID251 - the applications whose routes are read

from bailiwick_webhook.admission.bench import PolicyExaminer
from bailiwick_webhook.http.status import health
from bailiwick_webhook.http.status.checkpoint import CheckpointHandler
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.record.ledgernotes import LedgerNotes
from contract.asking_alone import asking, body, stored
from support.pdp.alone import Alone

PAGE: Final = Path(__file__).parents[3] / "docs/reference/availability.md"
ROW: Final = re.compile(r"\| (decisions|admission|status) \| `(\S+) (\S+)` \| (.*) \|")
SECONDS: Final = 10.0
# A collection of the youngest is begun with every few hundred lists that are made: of a body that is parsed there are
# thousands.
FEW_COLLECTIONS: Final = 60
PARAMETERS: Final = {"namespace": "crm", "endpoint": "crm-api", "task": "agr-x.y", "rest": "crm/crm-api/customers"}
UNPROVEN: Final = ("", "Bearer garbage")


class Route(NamedTuple):
    port: str
    method: str
    path: str

    @property
    def sent_path(self) -> str:
        return self.path.format(**PARAMETERS)

    @property
    def sent_method(self) -> str:
        return "POST" if self.method == "*" else self.method


def table() -> dict[Route, str]:
    """Return what the page says of each path."""
    return {Route(*row[:3]): row[3] for row in ROW.findall(PAGE.read_text())}


def routes(port: str, application: web.Application) -> set[Route]:
    return {
        Route(port, route.method, str(route.resource.canonical))
        for route in application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


class Ports(NamedTuple):
    """The applications, and what they count by."""

    alone: Alone
    status: Counts
    applications: dict[str, web.Application]


@asynccontextmanager
async def ports() -> AsyncIterator[Ports]:
    bench = PolicyExaminer()
    alone = Alone([stored()], bench=bench)
    counts, store = Counts(), cast("Any", alone.store)
    records = cast("Any", SimpleNamespace(chain=None, lost=0))
    exposition = cast("Any", SimpleNamespace(text=lambda: b""))
    notes = LedgerNotes(lambda: "", "system")
    status = health.build(store, lambda: True, {}, exposition, counts, None, CheckpointHandler(records, counts, notes))
    try:
        yield Ports(alone, counts, {"decisions": alone.application, "admission": alone.admission, "status": status})
    finally:
        await bench.close()


async def test_the_page_has_each_path_of_each_port() -> None:
    async with ports() as all_of_them:
        served = {one for port, application in all_of_them.applications.items() for one in routes(port, application)}
    assert served == table().keys()


class Collections:
    """Counts what the collector begins while the block runs."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._saw)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._saw)

    def _saw(self, phase: str, _: dict[str, int]) -> None:
        self.count += phase == "start"


REVIEW: Final = b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","object":'
NESTED: Final = b"[" + b"[[[[]]]]," * 300_000 + b"0]"
BODIES: Final[dict[str, bytes]] = {
    "many lists": NESTED,
    "many lists in a review": REVIEW + NESTED + b"}}",
    "many objects": b'{"from":[' + b"{}," * 900_000 + b"{}]}",
    "many pairs": b"[" + b'["",0],' * 90_000 + b'["",0]]',
    "deep": b"[" * 2_500_000,
    "deep in a review": REVIEW + b"[" * 2_500_000,
}


async def sent(port: int, route: Route, authorization: str, raw: bytes, length: int | None = None) -> bytes:
    """Send a request, and return the head of what is answered; empty where the connection ends instead."""
    head = [
        f"{route.sent_method} {route.sent_path} HTTP/1.1",
        "Host: pdp.example",
        "Content-Type: application/json",
        f"Content-Length: {len(raw) if length is None else length}",
        *([f"Authorization: {authorization}"] if authorization else []),
        "Connection: close",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(SECONDS):
            writer.write("\r\n".join([*head, "", ""]).encode() + raw)
            answered = await reader.readuntil(b"\r\n\r\n")
            # What is on its way has to come, or the server waits for it.
            await writer.drain()
            await reader.read()
            return answered
    except (OSError, EOFError):
        return b""
    finally:
        writer.transport.abort()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Ports, Callable[[Route], int]]]:
    async with ports() as those:
        servers = {port: await serve(application, "127.0.0.1", 0) for port, application in those.applications.items()}
        try:
            yield those, lambda route: servers[route.port].port
        finally:
            for server in servers.values():
                await server.stop()


def of_enforcers(those: Ports) -> tuple[int, int]:
    """Return the places of enforcers that are taken, and the records that were written."""
    return those.alone.pdp.counts.under_way[0], len(those.alone.records.lines)


@pytest.mark.parametrize("route", table(), ids=" ".join)
async def test_a_body_of_a_stranger_is_made_into_no_objects(route: Route) -> None:
    made: dict[str, int] = {}
    async with listening() as (those, port_of):
        # What is loaded with the first request is no object of the body's.
        await sent(port_of(route), route, "", b"{}")
        for authorization in UNPROVEN:
            for what, raw in BODIES.items():
                with Collections() as collections:
                    await sent(port_of(route), route, authorization, raw)
                made[f"{what} {authorization}"] = collections.count
        assert {what: count for what, count in made.items() if count >= FEW_COLLECTIONS} == {}
        assert of_enforcers(those) == (0, 0)
        assert those.alone.pdp.counts.under_way == [0, 0]


@pytest.mark.parametrize("route", table(), ids=" ".join)
async def test_a_slow_body_of_a_stranger_takes_nothing_from_an_enforcer(route: Route) -> None:
    async with listening() as (those, port_of), asking(those.alone) as ask:
        slow = [
            asyncio.create_task(sent(port_of(route), route, authorization, b"{", 100_000))
            for authorization in UNPROVEN
            for _ in range(40)
        ]
        await asyncio.sleep(0.2)
        assert of_enforcers(those) == (0, 0)
        assert (await ask.post("evaluation", body())).status == 200
        assert of_enforcers(those) == (0, 1)
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
