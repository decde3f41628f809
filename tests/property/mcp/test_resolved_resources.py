"""The law of names for resources of MCP: a Deny of what a server resolves lets no read of it through.

The oracle is the server: it reports which resource or template it resolved, and which parameters it extracted. What a
name means is first learned from the unguarded server; then the same server is asked behind a guard that denies the
plain URI and allows every other.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from fastmcp import Client
from hypothesis import HealthCheck, given, settings, strategies as st

from bailiwick import AsyncBailiwick
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.gateway.upstream import Upstream, gateway
from bailiwick.mcp.server import guard
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.mcp.mcpserver import served
from support.mcp.reports import ALL_SERVERS, BY_ID, PROTECTED, SERVERS, Reading, ReportingServer, ResourceShape
from support.mcp.spellings import drawn_spellings, paired_spellings, written_spellings
from support.sdk.script import Script, allow, answer, deny, echoed

GUARDS: Final[dict[str, Callable[[McpGate], Any]]] = {
    "FastMCP": BailiwickMiddleware,
    "official SDK": guard,
    "FastMCP, mounted": BailiwickMiddleware,
}
FAST: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class DenyingScript(Script):
    """Allows every call but of one resource. `asked` are the ids of the resources that it was asked about."""

    def __init__(self, denied: str) -> None:
        super().__init__(allow())
        self._denied = denied
        self.asked: list[str] = []

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        body = json.loads(request.body or b"{}")
        if "evaluations" in body:
            return echoed(request, answer({"evaluations": [{"decision": True} for _ in body["evaluations"]]}))
        self.asked.append(body["resource"]["id"])
        if body["resource"]["id"] == self._denied:
            return echoed(request, deny("policy_denied"))
        return super().send(request, seconds)


def gate_of(script: Script) -> McpGate:
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    return McpGate(pdp, identity=lambda: "own")


async def read(server: Any, uris: Sequence[str]) -> None:  # noqa: ANN401 - a server or a transport
    """Read each URI, as it is spelled; errors are the server's business."""
    async with Client(server) as client:
        for uri in uris:
            try:
                await client.session.read_resource(uri)
            except Exception:  # noqa: BLE001, S112 - of any kind: only what was read counts
                continue


def resolve_all(
    build: Callable[..., ReportingServer], shapes: Sequence[ResourceShape], uris: Sequence[str]
) -> list[Reading]:
    """Return what an unguarded server resolves these URIs to."""
    open_server = build(shapes)
    asyncio.run(read(open_server.server, uris))
    return open_server.reads


def reads_behind_guard(
    kind: str, shapes: Sequence[ResourceShape], uris: Sequence[str]
) -> tuple[list[Reading], list[str]]:
    """Return what a guarded server resolved, and what was asked about."""
    build, _ = ALL_SERVERS[kind]
    script = DenyingScript(PROTECTED)
    guarded = build(shapes, middleware=[GUARDS[kind](gate_of(script))])
    asyncio.run(read(guarded.server, uris))
    return guarded.reads, script.asked


@pytest.mark.parametrize("kind", ALL_SERVERS)
def test_every_known_spelling_of_a_denied_resource_stays_unread(kind: str) -> None:
    build, shapes = ALL_SERVERS[kind]
    spellings = written_spellings(PROTECTED)
    other_names = 0
    for shape in shapes:
        (meant,) = resolve_all(build, [shape], [PROTECTED])
        other_names += resolve_all(build, [shape], spellings).count(meant)
        reads, _ = reads_behind_guard(kind, [shape], [PROTECTED, *spellings])
        assert meant not in reads
    # Else the law would hold of a server that has one name for each thing.
    assert other_names > 10


@pytest.mark.parametrize("kind", ALL_SERVERS)
@FAST
@given(data=st.data())
def test_no_spelling_of_a_denied_resource_reads_it(kind: str, data: st.DataObject) -> None:
    build, shapes = ALL_SERVERS[kind]
    chosen = data.draw(st.lists(st.sampled_from(shapes), min_size=1, max_size=4, unique_by=lambda one: one.uri))
    spellings = data.draw(st.lists(drawn_spellings(PROTECTED), min_size=1, max_size=20, unique=True))
    (meant,) = resolve_all(build, chosen, [PROTECTED])
    reads, _ = reads_behind_guard(kind, chosen, [one for one in spellings if one != PROTECTED])
    assert meant not in reads


@pytest.mark.long
@pytest.mark.parametrize("kind", ALL_SERVERS)
def test_spellings_of_spellings_stay_unread_in_every_pair_of_templates(kind: str) -> None:
    build, shapes = ALL_SERVERS[kind]
    spellings = paired_spellings(PROTECTED)
    for first in shapes:
        for second in shapes:
            pair = [first] if first is second else [first, second]
            (meant,) = resolve_all(build, pair, [PROTECTED])
            reads, _ = reads_behind_guard(kind, pair, spellings)
            assert meant not in reads


@pytest.mark.parametrize("kind", SERVERS)
def test_what_is_asked_about_is_the_uri_that_was_read(kind: str) -> None:
    allowed = ["crm://customers/anna", "crm://customers/a%20b", "crm://customers/caf%C3%A9", "crm://customers/8812"]
    reads, asked = reads_behind_guard(kind, [BY_ID], allowed)
    assert asked == allowed
    assert [dict(params)["id"] for _, params in reads] == ["'anna'", "'a b'", "'café'", "'8812'"]


def reads_behind_gateway(kind: str, shapes: Sequence[ResourceShape], uris: Sequence[str]) -> list[Reading]:
    """Return what a server resolved that stands behind the gateway."""
    build, _ = SERVERS[kind]
    behind = build(shapes)
    app = behind.server.http_app(path="/mcp") if kind == "FastMCP" else behind.server.streamable_http_app()

    async def ask(url: str) -> None:
        await read(gateway(Upstream(f"{url}/mcp"), gate_of(DenyingScript(PROTECTED))), uris)

    with served(app) as url:
        asyncio.run(ask(url))
    return behind.reads


@pytest.mark.parametrize("kind", SERVERS)
def test_no_spelling_goes_around_the_gateway(kind: str) -> None:
    build, _ = SERVERS[kind]
    spellings = [one for one in written_spellings(PROTECTED) if resolve_all(build, [BY_ID], [one])]
    (meant,) = resolve_all(build, [BY_ID], [PROTECTED])
    reads = reads_behind_gateway(kind, [BY_ID], [*spellings, "crm://customers/anna"])
    assert meant not in reads
    assert dict(reads[-1][1])["id"] == "'anna'"


@pytest.mark.long
@pytest.mark.parametrize("kind", SERVERS)
def test_no_spelling_goes_around_the_gateway_whatever_the_templates(kind: str) -> None:
    build, shapes = ALL_SERVERS[kind]
    for shape in shapes:
        (meant,) = resolve_all(build, [shape], [PROTECTED])
        assert meant not in reads_behind_gateway(kind, [shape], written_spellings(PROTECTED))
