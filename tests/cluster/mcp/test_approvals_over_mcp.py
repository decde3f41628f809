"""An approval over MCP on a real cluster, as an agent and a person meet it: asked for, given, used once."""

import asyncio
import http.client
import json
import shlex
import threading
from contextlib import ExitStack
from typing import Any, Final

import pytest
from fastmcp import Client, Context, FastMCP
from mcp import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from support import commandline
from support.mcp.fronts import Front, gate_of
from support.mcp.gateways import client_of
from support.mcp.mcpserver import closing_of, served
from support.pdp.tenant import OWNERS, Tenant
from support.waits import until

pytestmark = pytest.mark.cluster

WHY: Final = {REASON_META: "INC-4412 the customer paid twice"}
HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def agent(tenant: Tenant) -> str:
    return tenant.token("agent", tenant.audience)


async def refusal(
    client: Client[Any], name: str, arguments: dict[str, Any], meta: dict[str, Any] | None = None
) -> MCPError:
    with pytest.raises(MCPError) as caught:
        await client.call_tool(name, arguments, meta=meta)
    return caught.value


def approve(tenant: Tenant, error: MCPError) -> str:
    """Type what the answer says, as carol, and return the grant."""
    words = shlex.split(error.data["approve_with"])
    assert words[:3] == ["kubectl", "bailiwick", "approve"]
    name = words[3]
    until(lambda: "status" in tenant.grant(name), f"{name} was seen")
    digits = tenant.grant(name)["spec"]["request"]["binding"]["digest"].removeprefix("sha256:")[:8]
    carol = tenant.cluster.kubeconfig("carol")
    ran = commandline.run(*words[2:], "--reason", "paid twice indeed", "--yes", "--binding", digits, kubeconfig=carol)
    assert (ran.code, ran.out) == (0, f"approvalgrant.bailiwick.dev/{name} approved\n"), ran
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
    return name


async def test_an_approval_from_the_refusal_to_the_one_call(front: Front, tenant: Tenant) -> None:
    (read, read_arguments), gated = front.read, front.gated
    arguments, others = front.arguments(1), front.arguments(2)
    async with client_of(front.url, token=agent(tenant)) as client:
        assert {one.name for one in await client.list_tools()} == {read, gated}
        assert not (await client.call_tool(read, read_arguments)).is_error

        needed = await refusal(client, gated, arguments)
        assert (needed.code, needed.data["reason"]) == (-32001, "approval_required")
        assert f'"{REASON_META}": "<ticket and reason>"' in needed.message

        asked = await refusal(client, gated, arguments, WHY)
        assert asked.data["reason"] == "approval_pending"
        assert asked.message.startswith(f"approval_pending: Nothing was done. It waits for {OWNERS}. To approve, run:")
        again = await refusal(client, gated, arguments, WHY)
        assert again.data["task"]["id"] == asked.data["task"]["id"]
        shown = {APPROVAL_META: asked.data["task"]["id"]}
        assert (await refusal(client, gated, arguments, shown)).data["reason"] == "approval_pending"

        name = await asyncio.to_thread(approve, tenant, asked)
        assert tenant.grant(name)["spec"]["request"]["reason"] == WHY[REASON_META]

        assert (await refusal(client, gated, others, shown)).code == -32001
        assert (front.runs(1), front.runs(2), tenant.uses(name)) == (0, 0, 0)
        assert not (await client.call_tool(gated, arguments, meta=shown)).is_error
        assert (await refusal(client, gated, arguments, shown)).code == -32001
        assert (await refusal(client, gated, others, shown)).code == -32001
    assert (front.runs(2), tenant.uses(name)) == (0, 1)
    assert front.runs(1) == (0 if front.ran is None else 1)


async def test_a_forbidden_tool_is_neither_listed_nor_run(front: Front, tenant: Tenant) -> None:
    token = tenant.token("stranger", tenant.audience)
    gated, arguments = front.gated, front.arguments(3)
    async with client_of(front.url, token=token) as client:
        assert [one.name for one in await client.list_tools()] == [front.read[0]]
        assert (await refusal(client, gated, arguments)).data["reason"] == "no_rule"
        assert (await refusal(client, gated, arguments, WHY)).data["reason"] == "no_rule"
        if front.forbidden is not None:
            assert (await refusal(client, front.forbidden, {})).data["reason"] == "no_rule"
    assert front.runs(3) == 0
    assert front.forbidden is None or front.forbidden not in (front.ran or ())


async def test_an_approval_of_one_round_is_none_of_the_next(tenant: Tenant) -> None:
    ran: list[Any] = []
    gate = gate_of(tenant)
    server: FastMCP[Any] = FastMCP("rounds", middleware=[BailiwickMiddleware(gate)], lifespan=closing_of(gate))

    @server.tool
    def refund(order: str, ctx: Context) -> Any:  # noqa: ANN401 - a question first
        if ctx.input_responses is None:
            asked = ElicitRequestFormParams(message="How much?", requested_schema={"type": "object", "properties": {}})
            return InputRequiredResult(input_requests={"a": ElicitRequest(params=asked)}, request_state="s")
        answered: Any = ctx.input_responses["a"]
        ran.append((order, answered.content))
        return "done"

    with ExitStack() as closing:
        base = await asyncio.to_thread(closing.enter_context, served(server.http_app(path="/mcp", stateless_http=True)))
        async with client_of(f"{base}/mcp", token=agent(tenant)) as client:

            async def call(meta: Any, **more: Any) -> Any:  # noqa: ANN401 - of a round
                arguments = {"order": "round"}
                return await client.session.call_tool("refund", arguments, meta=meta, allow_input_required=True, **more)

            first = await refusal(client, "refund", {"order": "round"}, WHY)
            await asyncio.to_thread(approve, tenant, first)
            shown = {APPROVAL_META: first.data["task"]["id"]}
            came = await call(shown)
            answers = {"a": ElicitResult(action="accept", content={"amount": 9000})}
            more = {"input_responses": answers, "request_state": came.request_state}
            with pytest.raises(MCPError) as denied:
                await call(shown, **more)
            assert (denied.value.code, ran) == (-32001, [])

            with pytest.raises(MCPError) as second:
                await call(WHY, **more)
            name = await asyncio.to_thread(approve, tenant, second.value)
            assert name != first.data["task"]["id"].partition(".")[0]
            # What the reviewer reads.
            read = json.dumps(tenant.grant(name)["spec"]["request"])
            assert "dev.bailiwick/inputResponses" in read
            assert "9000" in read
            await call({APPROVAL_META: second.value.data["task"]["id"]}, **more)
    assert ran == [("round", {"amount": 9000})]


@pytest.mark.long
async def test_of_two_calls_at_once_with_one_approval_one_passes(front: Front, tenant: Tenant) -> None:
    gated, arguments = front.gated, front.arguments(4)
    async with (
        client_of(front.url, token=agent(tenant)) as one,
        client_of(front.url, token=agent(tenant)) as other,
    ):
        asked = await refusal(one, gated, arguments, WHY)
        name = await asyncio.to_thread(approve, tenant, asked)
        meta = {APPROVAL_META: asked.data["task"]["id"]}
        calls = [client.call_tool(gated, arguments, meta=meta) for client in (one, other)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, MCPError) for one in ended) == 1
    assert tenant.uses(name) == 1
    assert front.runs(4) == (0 if front.ran is None else 1)


async def test_a_client_that_lost_the_answer_uses_the_approval_once(tenant: Tenant) -> None:
    ran: list[str] = []
    began, may_end = threading.Event(), threading.Event()
    gate = gate_of(tenant)
    server: FastMCP[Any] = FastMCP("slow", middleware=[BailiwickMiddleware(gate)], lifespan=closing_of(gate))

    @server.tool
    async def refund(order: str) -> str:
        ran.append(order)
        began.set()
        await asyncio.to_thread(may_end.wait, 60)
        return "done"

    with ExitStack() as closing:
        closing.callback(may_end.set)
        base = await asyncio.to_thread(closing.enter_context, served(server.http_app(path="/mcp", stateless_http=True)))
        async with client_of(f"{base}/mcp", token=agent(tenant)) as client:
            asked = await refusal(client, "refund", {"order": "lost"}, WHY)
            name = await asyncio.to_thread(approve, tenant, asked)
        meta = {APPROVAL_META: asked.data["task"]["id"]}
        params = {"name": "refund", "arguments": {"order": "lost"}, "_meta": meta}
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
        headers = {**HEADERS, "Authorization": f"Bearer {agent(tenant)}"}
        first = http.client.HTTPConnection(base.removeprefix("http://"), timeout=60)
        first.request("POST", "/mcp", body, headers)
        assert await asyncio.to_thread(began.wait, 60)
        first.close()

        def again() -> str:
            second = http.client.HTTPConnection(base.removeprefix("http://"), timeout=60)
            second.request("POST", "/mcp", body, headers)
            answer = second.getresponse().read().decode()
            second.close()
            return answer

        # The very same bytes, while the first call runs, and after it.
        assert '"code":-32001' in await asyncio.to_thread(again)
        may_end.set()
        assert '"code":-32001' in await asyncio.to_thread(again)
    assert ran == ["lost"]
    assert tenant.uses(name) == 1
