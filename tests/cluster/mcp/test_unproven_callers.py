"""Callers whose token proves no one: an MCP server looks nothing up for them, and asks no server behind it."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import pytest
import requests
from fastmcp import Client
from mcp import MCPError

from support.mcp.fronts import Front
from support.mcp.gateways import client_of
from support.pdp.tenant import Tenant

pytestmark = pytest.mark.cluster

STOLEN: Final = ("words", "another audience", "another signature")
UNPROVEN: Final = frozenset({"identity_invalid", "audience_mismatch"})
BARE: Final[Mapping[str, Mapping[str, Any]]] = {
    "tools/list": {},
    "tools/call": {"name": "get_current_time", "arguments": {"timezone": "UTC"}},
    "resources/list": {},
    "resources/templates/list": {},
    "resources/read": {"uri": "data://x"},
    "prompts/list": {},
    "prompts/get": {"name": "x"},
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "stranger", "version": "1"},
    },
}


@pytest.fixture(params=STOLEN)
def stolen(tenant: Tenant, request: pytest.FixtureRequest) -> str:
    """A token that the decision point does not accept."""
    match request.param:
        case "words":
            return "stolen"
        case "another audience":
            return tenant.token("agent", "https://elsewhere.example")
        case _:
            signed, _, signature = tenant.token("agent", tenant.audience).rpartition(".")
            return f"{signed}.{signature[::-1]}"


async def reasons(client: Client[Any], front: Front) -> list[str]:
    """Return why each kind of message is refused."""
    found = []
    for send in (
        client.list_tools,
        client.list_resources,
        client.list_resource_templates,
        client.list_prompts,
        partial(client.call_tool, *front.read),
        partial(client.call_tool, front.gated, front.arguments(1)),
        partial(client.call_tool, front.gated, {"order": [], "time": []}),
        partial(client.call_tool, "not-there"),
        partial(client.read_resource, "data://x"),
        partial(client.get_prompt, "x"),
    ):
        with pytest.raises(MCPError) as caught:
            await send()
        found.append(caught.value.data["reason"])
    return found


async def test_nothing_is_looked_up_for_a_caller_who_is_not_proven(front: Front, tenant: Tenant, stolen: str) -> None:
    async with client_of(front.url, token=tenant.token("agent", tenant.audience), mode="legacy") as client:
        assert front.read[0] in {one.name for one in await client.list_tools()}
    if front.upstream is None:
        async with client_of(front.url, token=stolen, mode="legacy") as client:
            assert {*await reasons(client, front)} <= UNPROVEN
        return
    assert front.upstream
    front.upstream.clear()
    for mode in ("legacy", "auto"):
        with pytest.raises(MCPError) as caught:
            async with client_of(front.url, token=stolen, mode=mode) as client:
                await client.list_tools()
        assert caught.value.data["reason"] in UNPROVEN
    # Without the handshake, too.
    sent = [sent_bare(front.url, stolen, method, params) for method, params in BARE.items()]
    assert [reason in UNPROVEN for reason in sent] == [True] * len(BARE)
    assert front.upstream == []


def sent_bare(url: str, token: str, method: str, params: Mapping[str, Any]) -> str:
    """Send one message of MCP; return the reason of its refusal."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = requests.post(url, json=message, headers=headers, timeout=30)
    (data,) = [line.partition("data:")[2] for line in answer.text.splitlines() if line.startswith("data: {")] or [
        answer.text
    ]
    return str(json.loads(data)["error"]["data"]["reason"])
