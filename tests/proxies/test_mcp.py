"""An MCP server that knows nothing of Bailiwick, behind a real Envoy, called by a real client of MCP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.transports import StreamableHttpTransport
from mcp import MCPError

from proxies.configurations import EXAMPLES
from support.mcp.mcpserver import served
from support.pdp.standalone import Process
from support.proxies.kinds import PROXIES
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import request, send
from support.proxies.scene import Scene

AGENT: Final = "system:serviceaccount:agents:shop-agent"
AUDIENCE: Final = "tools-behind-envoy.shop"
JSON: Final = (("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"))
Ran = list[str]


@pytest.fixture(scope="module")
def ran() -> Ran:
    return []


@pytest.fixture(scope="module")
def tools(ran: Ran) -> Iterator[str]:
    server: FastMCP[Any] = FastMCP("tools")

    @server.tool
    def orders() -> str:
        ran.append("orders")
        return "8812"

    @server.tool
    def refund(order: str) -> str:
        ran.append(f"refund {order}")
        return "refunded"

    @server.tool
    def wipe() -> str:
        ran.append("wipe")
        return "wiped"

    with served(server.http_app(path="/mcp", stateless_http=True)) as url:
        yield url


@pytest.fixture(scope="module", params=["envoy", "envoy-grpc"])
def proxy(
    request: pytest.FixtureRequest, tools: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Scene, RunningProxy]]:
    """Envoy by the file that ships, before the tools, with the policy that ships for them."""
    scene = Scene(tmp_path_factory.mktemp("mcp"))
    policy = (EXAMPLES / "mcp" / "behind-envoy.yaml").read_text(encoding="utf-8")
    (scene.policies / "tools.yaml").write_text(policy.replace("[tools.shop.svc]", "[127.0.0.1]"), encoding="utf-8")
    changes = {"crm/crm-api": "shop/tools-behind-envoy"}
    with (scene.folder / "point.log").open("wb") as log:
        point: Process = scene.point(log, grpc=True)
        port = point.grpc_port if request.param == "envoy-grpc" else point.port
        folder: Path = tmp_path_factory.mktemp("proxy")
        try:
            with PROXIES[request.param](scene, folder, int(tools.rsplit(":", 1)[1]), port, changes) as running:
                yield scene, running
        finally:
            point.stop()


@pytest.fixture(autouse=True)
def nothing_ran(ran: Ran) -> None:
    ran.clear()


def client(proxy: tuple[Scene, RunningProxy], who: str = AGENT) -> Client[Any]:
    scene, running = proxy
    headers = {"Authorization": f"Bearer {scene.token(who, AUDIENCE)}"}
    return Client(StreamableHttpTransport(f"http://127.0.0.1:{running.port}/mcp", headers=headers))


async def test_a_client_connects_lists_and_calls_what_it_may(proxy: tuple[Scene, RunningProxy], ran: Ran) -> None:
    async with client(proxy) as agent:
        # A proxy cannot take anything out of a list.
        assert {tool.name for tool in await agent.list_tools()} == {"orders", "refund", "wipe"}
        assert (await agent.call_tool("orders", {})).data == "8812"
    assert ran == ["orders"]


@pytest.mark.parametrize(("tool", "reason"), [("wipe", "no_rule"), ("refund", "approval_required")])
async def test_a_client_is_told_why_before_the_server_hears_of_it(
    proxy: tuple[Scene, RunningProxy], ran: Ran, tool: str, reason: str
) -> None:
    async with client(proxy) as agent:
        with pytest.raises(MCPError, match=f"^{reason}: ") as caught:
            await agent.call_tool(tool, {"order": "8812"} if tool == "refund" else {})
    assert (caught.value.code, caught.value.data["reason"], ran) == (-32001, reason, [])


async def test_a_stranger_does_not_even_connect(proxy: tuple[Scene, RunningProxy], ran: Ran) -> None:
    with pytest.raises(Exception, match="no_rule: "):
        async with client(proxy, "system:serviceaccount:agents:other") as agent:
            await agent.call_tool("orders", {})
    assert ran == []


def message(method: str, params: object = None, **more: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, **({} if params is None else {"params": params}), **more}


CALL: Final = message("tools/call", {"name": "orders", "arguments": {}})
WIPE: Final = message("tools/call", {"name": "wipe", "arguments": {}})


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        pytest.param(json.dumps(WIPE), (), "no_rule", id="another tool"),
        pytest.param(json.dumps([CALL]), (), "uninspectable", id="a batch"),
        pytest.param(json.dumps([CALL, WIPE]), (), "uninspectable", id="a batch of two"),
        pytest.param(json.dumps({**CALL, "id": None}), (), "unmapped", id="a notification"),
        pytest.param(json.dumps(message("tools/destroy")), (), "unmapped", id="an unknown method"),
        pytest.param(json.dumps(CALL)[:-1], (), "uninspectable", id="cut short"),
        pytest.param("", (), "context_insufficient", id="nothing"),
        pytest.param(
            json.dumps(CALL).replace('"orders"', '"orders", "name": "wipe"'), (), "uninspectable", id="a member twice"
        ),
        pytest.param(json.dumps({**CALL, "result": {}}), (), "ambiguous_request", id="a request that is an answer"),
        pytest.param(json.dumps(CALL), (("Mcp-Name", "wipe"),), "ambiguous_request", id="another name in a header"),
        pytest.param(
            json.dumps(CALL), (("Mcp-Method", "tools/list"),), "ambiguous_request", id="another method in a header"
        ),
    ],
)
def test_what_is_no_plain_message_reaches_no_server(
    proxy: tuple[Scene, RunningProxy], ran: Ran, body: str, headers: tuple[tuple[str, str], ...], reason: str
) -> None:
    scene, running = proxy
    bearer = ("Authorization", f"Bearer {scene.token(AGENT, AUDIENCE)}")
    asked = request("POST", "/mcp", bearer, *JSON, *headers, body=body.encode(), host="127.0.0.1")
    answer = send(running.port, asked)
    assert (answer.status, answer.header("x-bailiwick-reason"), ran) == (403, reason, [])
    said = json.loads(answer.body)
    assert (said["jsonrpc"], said["error"]["code"], said["error"]["data"]["reason"]) == ("2.0", -32001, reason)
    assert answer.header("content-type") == "application/json"


def test_a_message_that_is_larger_than_the_proxy_sends_reaches_no_server(
    proxy: tuple[Scene, RunningProxy], ran: Ran
) -> None:
    scene, running = proxy
    bearer = ("Authorization", f"Bearer {scene.token(AGENT, AUDIENCE)}")
    padded = json.dumps(message("tools/call", {"name": "orders", "arguments": {"x": "y" * 70_000}}))
    answer = send(running.port, request("POST", "/mcp", bearer, *JSON, body=padded.encode(), host="127.0.0.1"))
    assert (answer.status, ran) == (413, [])
