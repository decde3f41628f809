"""Calls that wait for an approval and then run, over three replicas: run at most once a use, whatever is killed."""

import asyncio
import functools
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import httpx2
import pytest
import requests
from fastmcp import Context, FastMCP
from mcp import MCPError
from mcp.client.client import Client
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
)

from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from support.faultkinds import CutError, Exchange
from support.faultproxy import FaultFront
from support.mcp import typescriptclient
from support.mcp.fronts import Front
from support.mcp.gateways import GatewayProcess, running
from support.mcp.mcpserver import served
from support.mcp.modernclients import LinkReader, sdk_client
from support.objects import ENDPOINT, gated_rule, rule, subject
from support.pdp.processes import Bailiwick
from support.pdp.tenant import OWNERS, PLENTY, RULES, STEPS, Tenant, Tenants
from support.waits import until

pytestmark = [pytest.mark.cluster, pytest.mark.invariant(31)]

WHY: Final[Any] = {REASON_META: "INC-4412 the customer paid twice"}
CONSOLE: Final = "https://console.example"
# Of one wait. The decision point is looked at once in it, since it is shorter than what it asks for between two looks.
WAIT: Final = 2.0
NOT_OF_THIS_CALL: Final = "bad_request: requestState belongs to no approval of this call. Repeat the call without it."


@dataclass
class Shop:
    """An MCP server behind gateways, one before each decision point. `held`: its tool waits for that after it began."""

    tenant: Tenant
    url: str
    folder: Path
    closing: ExitStack
    ran: list[Any] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)
    held: threading.Event | None = None
    gateways: list[GatewayProcess] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """Where the gateways speak MCP."""
        return [one.url for one in self.gateways]

    def start(self, point: str, *flags: str) -> GatewayProcess:
        """Start one more gateway, before this decision point."""
        folder = self.folder / f"gateway-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        own = folder / "own"
        own.write_text(self.tenant.pep, encoding="ascii")
        where = ("--upstream", self.url, "--pdp", point, "--token-file", str(own))
        endpoint = ("--endpoint", f"{self.tenant.namespace}/{ENDPOINT}", "--console-url", CONSOLE)
        waits = ("--approval-wait-seconds", str(WAIT), "--waiting-calls", "128")
        return self.closing.enter_context(running(folder, *where, *endpoint, *waits, *flags))

    def agent(self, name: str = "agent") -> str:
        """Return a token of an agent."""
        return self.tenant.token(name, self.tenant.audience)

    def pending(self, order: str) -> str:
        """Return the grant that waits for this order, once it is there."""

        def found() -> str | None:
            for grant in self.tenant.grants():
                shown = json.dumps(grant["spec"]["request"]["display"])
                if f'\\"{order}\\"' in shown or f'"{order}"' in shown:
                    return str(grant["metadata"]["name"])
            return None

        until(found, f"an approval of {order} is asked for")
        name = found()
        assert name is not None
        return name

    def runs(self, order: str) -> int:
        """Return how often the tool ran for an order."""
        return self.ran.count(order)


def upstream(shop: Shop) -> FastMCP[Any]:
    server: FastMCP[Any] = FastMCP("shop")

    @server.tool
    async def refund(order: str, cents: int = 900) -> str:
        shop.ran.append(order)
        shop.began.set()
        if shop.held is not None:
            await asyncio.to_thread(shop.held.wait, 60)
        return f"refunded {order}: {cents}"

    @server.tool
    def ask(order: str, ctx: Context) -> Any:  # noqa: ANN401 - a question first
        if ctx.input_responses is None:
            asked = ElicitRequestFormParams(message="How much?", requested_schema={"type": "object", "properties": {}})
            return InputRequiredResult(input_requests={"a": ElicitRequest(params=asked)}, request_state=f"s-{order}")
        answered: Any = ctx.input_responses["a"]
        shop.ran.append((order, ctx.request_state, answered.content))
        return "done"

    return server


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    """A tenant with two agents, each of which may refund with an approval."""
    tenant = tenants.make("resumed")
    tenants.account(tenant.namespace, "second")
    both = [subject(name, tenant.namespace, name) for name in ("agent", "second")]
    of = {"subjects": ["agent", "second"], "resources": [{"type": "tool", "ids": ["*"]}]}
    approval = {"steps": STEPS, "limits": PLENTY}
    rules = [
        rule("reads", actions=["orders", "get_current_time"], **of),
        gated_rule("gated", actions=["refund", "convert_time"], approval=approval, **of),
        # Its denial asks by itself.
        gated_rule("asks", actions=["ask"], approval={**approval, "open": "OnDeny"}, **of),
        rule("known", actions=["customers.known"]),
        RULES[0],
    ]
    tenant.change_policy({"subjects": both, "rules": rules})
    tenant.await_known(lambda said: said.decision is True, "customers.known")
    return tenant


@pytest.fixture(scope="module")
def shop(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The server, and a gateway before each of three decision points."""
    with ExitStack() as closing:
        shop = Shop(tenant, "", tmp_path_factory.mktemp("shop"), closing)
        shop.url = f"{closing.enter_context(served(upstream(shop).http_app(path='/mcp')))}/mcp"
        shop.gateways = [shop.start(point) for point in tenant.points]
        assert len(shop.gateways) == 3
        yield shop


async def asked(client: Client, order: str, **more: Any) -> InputRequiredResult:  # noqa: ANN401 - of a round
    """Make a call as its client does, once."""
    meta = more.pop("meta", WHY)
    arguments = {"order": order, **more.pop("arguments", {})}
    found = await client.session.call_tool("refund", arguments, meta=meta, allow_input_required=True, **more)
    assert isinstance(found, InputRequiredResult), found
    return found


async def again(client: Client, order: str, state: str | None, **arguments: Any) -> Any:  # noqa: ANN401 - a result
    """Repeat a call as its client does, once."""
    sent = {"order": order, **arguments}
    return await client.session.call_tool("refund", sent, meta=WHY, request_state=state, allow_input_required=True)


@asynccontextmanager
async def mortal_client(url: str, shop: Shop, who: str = "agent") -> AsyncIterator[Client]:
    """Open a client of a server that may be killed, at which it ends with an error of its own."""
    try:
        async with sdk_client(url, token=shop.agent(who)) as client:
            yield client
    except* httpx2.TransportError:
        pass


async def refusal(of: Awaitable[object]) -> MCPError:
    with pytest.raises(MCPError) as caught:
        await of
    return caught.value


def text(result: Any) -> str:  # noqa: ANN401 - of a call
    assert isinstance(result, CallToolResult), result
    assert not result.is_error, result
    return str(result.content[0].text)  # type: ignore[union-attr]  # a text


async def test_a_call_runs_by_itself_once_somebody_has_approved_it(front: Front, tenant: Tenant) -> None:
    arguments = front.arguments(7)
    before = {one["metadata"]["name"] for one in tenant.grants()}
    async with sdk_client(front.url, token=tenant.token("agent", tenant.audience)) as client:
        running_call = asyncio.create_task(client.call_tool(front.gated, arguments, meta=WHY))
        new: set[str] = set()
        while not new:
            await asyncio.sleep(0.1)
            new = {one["metadata"]["name"] for one in tenant.grants()} - before
        (name,) = new
        assert not running_call.done()
        await asyncio.to_thread(tenant.approve, name)
        result = await asyncio.wait_for(running_call, 60)
    assert not result.is_error
    assert tenant.uses(name) == 1
    assert front.runs(7) == (0 if front.ran is None else 1)


async def test_the_rounds_of_a_call_may_reach_different_replicas(shop: Shop) -> None:
    user = LinkReader()
    async with sdk_client(*shop.urls, token=shop.agent(), user=user) as client:
        running_call = asyncio.create_task(client.call_tool("refund", {"order": "replicas"}, meta=WHY))
        name = await asyncio.to_thread(shop.pending, "replicas")
        await asyncio.to_thread(shop.tenant.approve, name)
        assert text(await asyncio.wait_for(running_call, 60)) == "refunded replicas: 900"
    assert (shop.runs("replicas"), shop.tenant.uses(name)) == (1, 1)
    # One link, however many rounds; it names the very grant, and who approves.
    (link,) = user.links
    grant = shop.tenant.grant(name)
    assert link.url == f"{CONSOLE}/grants/{shop.tenant.namespace}/{name}?uid={grant['metadata']['uid']}"
    assert link.message == f"{OWNERS} must approve refund. The page approves nothing by itself."


async def test_what_a_client_gets_names_the_task_and_nothing_secret(shop: Shop) -> None:
    async with sdk_client(shop.urls[0], token=shop.agent()) as client:
        came = await asked(client, "named")
        name = await asyncio.to_thread(shop.pending, "named")
        uid = shop.tenant.grant(name)["metadata"]["uid"]
        # Without links the state alone.
        assert (came.request_state, came.input_requests) == (f"{name}.{uid}", None)
        about = (came.meta or {})[APPROVAL_META]
        assert about["task"] == {"id": f"{name}.{uid}", "status": "pending"}
        assert about["approve_with"] == f"kubectl bailiwick approve {name} -n {shop.tenant.namespace}"
        assert about["approve_at"] == f"{CONSOLE}/grants/{shop.tenant.namespace}/{name}?uid={uid}"
        # While it is pending, a repetition waits, and runs nothing.
        assert (await again(client, "named", came.request_state)).request_state == came.request_state
        await asyncio.to_thread(shop.tenant.approve, name)
        last = await again(client, "named", came.request_state)
        if isinstance(last, InputRequiredResult):
            last = await again(client, "named", came.request_state)
        assert text(last) == "refunded named: 900"
        # An answer that was lost: the approval is spent, and nothing else is asked for.
        error = await refusal(again(client, "named", came.request_state))
    assert (error.code, error.data["reason"]) == (-32001, "approval_consumed")
    assert (shop.runs("named"), shop.tenant.uses(name)) == (1, 1)


async def test_a_client_of_before_gets_an_error(shop: Shop) -> None:
    async with sdk_client(shop.urls[0], token=shop.agent()):
        pass
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    params = {"name": "refund", "arguments": {"order": "older"}, "_meta": WHY}
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {shop.agent()}"}

    def call(**more: Any) -> Any:  # noqa: ANN401 - an answer
        sent = {**body, "params": {**params, **more}}
        answer = requests.post(shop.urls[0], json=sent, headers=headers, timeout=60).text
        return json.loads(answer.partition("data: ")[2] or answer)

    first = await asyncio.to_thread(call)
    assert (first["error"]["code"], first["error"]["data"]["reason"]) == (-32001, "approval_pending")
    # It repeats no calls, so a state is one argument more, which the policy is asked about.
    again_ = await asyncio.to_thread(lambda: call(requestState=first["error"]["data"]["task"]["id"]))
    assert again_["error"]["code"] == -32001
    assert shop.runs("older") == 0


@pytest.mark.parametrize("decision", ["Deny", "revoke"])
async def test_a_call_that_was_denied_or_revoked_ends_with_an_error(shop: Shop, decision: str) -> None:
    order = f"never-{decision.lower()}"
    async with sdk_client(*shop.urls, token=shop.agent()) as client:
        running_call = asyncio.create_task(client.call_tool("refund", {"order": order}, meta=WHY))
        name = await asyncio.to_thread(shop.pending, order)
        await asyncio.sleep(0.5)
        if decision == "Deny":
            await asyncio.to_thread(shop.tenant.review, name, decision="Deny")
        else:
            await asyncio.to_thread(shop.tenant.revoke, name)
        error = await refusal(asyncio.wait_for(running_call, 60))
    assert error.code == -32001
    assert error.data["reason"] in {"approval_denied", "approval_cancelled", "approval_revoked"}, error
    assert shop.runs(order) == 0


@pytest.mark.parametrize(("action", "phase"), [("decline", "Withdrawn"), ("cancel", "Pending")])
async def test_who_declines_withdraws_the_request_and_who_cancels_leaves_it(
    shop: Shop, action: Literal["decline", "cancel"], phase: str
) -> None:
    order = f"user-{action}"
    async with sdk_client(*shop.urls, token=shop.agent(), user=LinkReader(action)) as client:
        error = await refusal(client.call_tool("refund", {"order": order}, meta=WHY))
    reason = {"decline": "approval_cancelled", "cancel": "approval_pending"}[action]
    assert (error.code, error.data["reason"]) == (-32001, reason)
    name = shop.pending(order)
    until(lambda: shop.tenant.phase(name) == phase, f"{name} is {phase}")
    assert shop.runs(order) == 0


async def test_other_arguments_are_another_call(shop: Shop) -> None:
    async with sdk_client(shop.urls[0], token=shop.agent()) as client:
        came = await asked(client, "changed")
        name = await asyncio.to_thread(shop.pending, "changed")
        await asyncio.to_thread(shop.tenant.approve, name)
        for order, cents in (("changed", 901), ("changed-too", 900)):
            error = await refusal(again(client, order, came.request_state, cents=cents))
            assert (error.code, error.message) == (-32602, NOT_OF_THIS_CALL)
        assert (shop.runs("changed"), shop.tenant.uses(name)) == (0, 0)
        # Another tool, too.
        sent = client.session.call_tool(
            "ask", {"order": "changed"}, meta=WHY, request_state=came.request_state, allow_input_required=True
        )
        assert (await refusal(sent)).message == NOT_OF_THIS_CALL
    assert [one for one in shop.ran if "changed" in str(one)] == []
    assert shop.tenant.uses(name) == 0


async def test_the_state_of_another_subject_runs_and_withdraws_nothing(shop: Shop) -> None:
    async with (
        sdk_client(shop.urls[0], token=shop.agent()) as own,
        sdk_client(shop.urls[1], token=shop.agent("second"), user=LinkReader("decline")) as other,
    ):
        came = await asked(own, "theirs")
        name = await asyncio.to_thread(shop.pending, "theirs")
        declined = other.session.call_tool(
            "refund",
            {"order": "theirs"},
            request_state=came.request_state,
            input_responses={"approval": ElicitResult(action="decline")},
            allow_input_required=True,
        )
        assert (await refusal(declined)).code == -32001
        assert shop.tenant.phase(name) == "Pending"
        await asyncio.to_thread(shop.tenant.approve, name)
        error = await refusal(again(other, "theirs", came.request_state))
        assert (error.code, error.message) == (-32602, NOT_OF_THIS_CALL)
        assert (shop.runs("theirs"), shop.tenant.uses(name)) == (0, 0)
        # Nor without a token that counts.
        async with sdk_client(shop.urls[0], token="x.y.z") as stranger:
            error = await refusal(again(stranger, "theirs", came.request_state))
            assert error.code == -32001
        assert text(await again(own, "theirs", came.request_state)) == "refunded theirs: 900"


@pytest.mark.parametrize("theirs", ["another subject", "other arguments"])
async def test_a_state_of_another_call_is_refused_at_once_and_tells_nothing_of_that_call(
    shop: Shop, theirs: str
) -> None:
    """Pending, approved, denied or of no grant at all: the answer is the same."""
    patient = await asyncio.to_thread(shop.start, shop.tenant.points[1], "--approval-wait-seconds", "30")
    order = f"private-{theirs}"
    who, shown = ("second", order) if theirs == "another subject" else ("agent", f"not-{order}")
    async with (
        sdk_client(shop.urls[0], token=shop.agent()) as own,
        sdk_client(patient.url, token=shop.agent(who)) as other,
    ):
        came = await asked(own, order)
        name = await asyncio.to_thread(shop.pending, order)
        errors = []
        async with asyncio.timeout(15):
            errors.append(await refusal(again(other, shown, came.request_state)))
            await asyncio.to_thread(shop.tenant.approve, name)
            errors.append(await refusal(again(other, shown, came.request_state)))
            errors.append(await refusal(again(other, shown, FORGED["of no grant"])))
    assert [(error.code, error.message) for error in errors] == [(-32602, NOT_OF_THIS_CALL)] * 3
    assert not any(OWNERS in str(error.data) or name in str(error.data) for error in errors)
    assert (shop.runs(order), shop.runs(shown), shop.tenant.uses(name)) == (0, 0, 0)


FORGED: Final = {
    "of no grant": "agr-aaaaaaaaaaaaaaaaaaaa.66506a43-0000-0000-0000-000000000000",
    "of no form": "agr-",
    "a path": "agr-a/../../secrets.x",
    "long": "agr-" + "a" * 300_000,
    "with nonsense in it": "agr-a.b~AAAA",
    "with a list in it": "agr-a.b~W10",
    "with another member in it": "agr-a.b~eyJuYW1lIjoiYXNrIn0",
}


@pytest.mark.parametrize("state", FORGED.values(), ids=FORGED)
async def test_a_forged_state_only_makes_the_call_fail(shop: Shop, state: str) -> None:
    async with sdk_client(shop.urls[0], token=shop.agent()) as client:
        error = await refusal(again(client, "forged", state))
    assert error.code in {-32001, -32602}, error
    assert shop.runs("forged") == 0


@pytest.mark.parametrize("count", [8, pytest.param(50, marks=pytest.mark.long)])
async def test_of_many_calls_that_wait_for_one_approval_one_runs(shop: Shop, count: int) -> None:
    ended: list[str] = []
    order = f"many-{count}"
    # Waits of an everyday length: so many short ones would keep the machine busy with repetitions alone.
    patient = [await asyncio.to_thread(shop.start, one, "--approval-wait-seconds", "30") for one in shop.tenant.points]

    user = LinkReader()

    async def call() -> None:
        async with sdk_client(*(one.url for one in patient), token=shop.agent(), user=user, rounds=50) as client:
            try:
                ended.append(text(await client.call_tool("refund", {"order": order}, meta=WHY)))
            except MCPError as error:
                ended.append(error.data["reason"])

    calls = [asyncio.create_task(call()) for _ in range(count)]
    # All of them wait: who asks after the use asks for another approval.
    await asyncio.to_thread(until, lambda: len(user.links) >= count, "every call waits", 60)
    assert len({one.url for one in user.links}) == 1
    name = await asyncio.to_thread(shop.pending, order)
    await asyncio.to_thread(shop.tenant.approve, name)
    await asyncio.gather(*calls)
    assert sorted(ended) == ["approval_consumed"] * (count - 1) + [f"refunded {order}: 900"]
    assert (shop.runs(order), shop.tenant.uses(name)) == (1, 1)


async def test_a_round_of_the_server_goes_on_after_its_approval(shop: Shop) -> None:
    """The server asks its caller, whose answer needs an approval of its own: what the caller sent is kept for it."""

    async def user(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        if isinstance(params, ElicitRequestFormParams):
            return ElicitResult(action="accept", content={"amount": 9000})
        links.append(params.url)
        return ElicitResult(action="accept")

    links: list[str] = []
    async with sdk_client(*shop.urls, token=shop.agent(), user=user, rounds=40) as client:
        running_call = asyncio.create_task(client.call_tool("ask", {"order": "round"}))
        approved: list[str] = []
        while not running_call.done():
            for link in links:
                name = urlsplit(link).path.rpartition("/")[2]
                if name not in approved:
                    await asyncio.to_thread(shop.tenant.approve, name)
                    approved.append(name)
            await asyncio.sleep(0.1)
        assert text(await running_call) == "done"
    # Of the first round and of the second, whose answer the second reviewer read.
    first, second = approved
    assert "inputResponses" not in json.dumps(shop.tenant.grant(first)["spec"]["request"])
    assert "9000" in json.dumps(shop.tenant.grant(second)["spec"]["request"])
    ((order, state, content),) = [one for one in shop.ran if isinstance(one, tuple)]
    assert (order, state, content) == ("round", "s-round", {"amount": 9000})
    assert (shop.tenant.uses(first), shop.tenant.uses(second)) == (1, 1)


@pytest.mark.parametrize(("link", "approved"), [("accept", True), (None, True), ("decline", False)])
async def test_the_typescript_sdk_repeats_a_call_as_the_python_sdk_does(
    shop: Shop, link: str | None, approved: bool
) -> None:
    program = await asyncio.to_thread(typescriptclient.ensure)
    order = f"typescript-{link}"
    made = functools.partial(typescriptclient.call, program, *shop.urls, token=shop.agent(), tool="refund", link=link)
    running_call = asyncio.create_task(asyncio.to_thread(made, args={"order": order}, meta=WHY))
    name = await asyncio.to_thread(shop.pending, order)
    if approved:
        await asyncio.to_thread(shop.tenant.approve, name)
    said = await running_call
    uid = shop.tenant.grant(name)["metadata"]["uid"]
    page = f"{CONSOLE}/grants/{shop.tenant.namespace}/{name}?uid={uid}"
    assert [one["url"] for one in said["links"]] == ([] if link is None else [page])
    if approved:
        assert said["text"] == f"refunded {order}: 900"
    else:
        assert (said["code"], said["data"]["reason"]) == (-32001, "approval_cancelled")
    assert (shop.runs(order), shop.tenant.uses(name)) == (approved, approved)


@pytest.mark.parametrize("what", ["the gateway", "its client"])
async def test_a_call_whose_wait_is_killed_has_used_nothing(shop: Shop, what: str) -> None:
    order = f"killed-{what.rpartition(' ')[2]}"
    mortal = await asyncio.to_thread(shop.start, shop.tenant.points[0], "--approval-wait-seconds", "30")
    async with mortal_client(mortal.url, shop) as client:
        came = await asked(client, order)
        wait = asyncio.create_task(again(client, order, came.request_state))
        await asyncio.sleep(1)
        if what == "the gateway":
            mortal.process.kill()
        else:
            wait.cancel()
        await asyncio.wait([wait])
    name = await asyncio.to_thread(shop.pending, order)
    await asyncio.to_thread(shop.tenant.approve, name)
    # As long as it would have looked again.
    await asyncio.sleep(7)
    assert (shop.runs(order), shop.tenant.uses(name)) == (0, 0)
    async with sdk_client(*shop.urls, token=shop.agent()) as client:
        result = await client.call_tool("refund", {"order": order}, meta=WHY)
    assert text(result) == f"refunded {order}: 900"
    assert (shop.runs(order), shop.tenant.uses(name)) == (1, 1)


async def test_a_call_that_is_killed_after_its_use_does_not_run_again(shop: Shop) -> None:
    mortal = await asyncio.to_thread(shop.start, shop.tenant.points[0])
    shop.held = threading.Event()
    shop.began.clear()
    try:
        async with mortal_client(mortal.url, shop) as client:
            came = await asked(client, "after")
            name = await asyncio.to_thread(shop.pending, "after")
            await asyncio.to_thread(shop.tenant.approve, name)
            call = asyncio.create_task(client.call_tool("refund", {"order": "after"}, meta=WHY))
            assert await asyncio.to_thread(shop.began.wait, 60)
            mortal.process.kill()
            await asyncio.wait([call])
    finally:
        shop.held.set()
        shop.held = None
    async with sdk_client(*shop.urls, token=shop.agent()) as client:
        error = await refusal(again(client, "after", came.request_state))
    assert error.data["reason"] == "approval_consumed"
    assert (shop.runs("after"), shop.tenant.uses(name)) == (1, 1)


async def test_a_decision_whose_answer_is_lost_lets_nothing_run_and_is_not_asked_for_again(shop: Shop) -> None:
    address = urlsplit(shop.tenant.points[0])
    lost: list[str] = []

    async def lose(exchange: Exchange) -> None:
        reply = await exchange.forward()
        if b'"dry_run"' not in exchange.raw and order.encode() in exchange.raw:
            lost.append(exchange.path)
            raise CutError
        await exchange.deliver(reply)

    order = "lost-answer"
    with FaultFront(address.hostname or "", address.port or 0) as front:
        shaky = await asyncio.to_thread(shop.start, f"http://127.0.0.1:{front.port}")
        async with sdk_client(shaky.url, token=shop.agent()) as client:
            came = await asked(client, order)
            name = await asyncio.to_thread(shop.pending, order)
            await asyncio.to_thread(shop.tenant.approve, name)
            front.on("POST", r"/evaluation$", lose, times=None)
            error = await refusal(again(client, order, came.request_state))
            assert (error.code, error.data["reason"]) == (-32603, "pdp_unavailable")
            assert len(lost) == 1
            front.clear()
            error = await refusal(again(client, order, came.request_state))
    assert error.data["reason"] == "approval_consumed"
    assert (shop.runs(order), shop.tenant.uses(name)) == (0, 1)


async def test_a_decision_point_that_is_killed_in_a_wait_costs_a_round(shop: Shop, pdp: Bailiwick) -> None:
    point = await asyncio.to_thread(pdp.start_point)
    mortal = await asyncio.to_thread(shop.start, point.url, "--approval-wait-seconds", "8")
    async with sdk_client(mortal.url, token=shop.agent()) as client:
        came = await asked(client, "point")
        wait = asyncio.create_task(again(client, "point", came.request_state))
        await asyncio.sleep(1)
        point.process.handle.kill()
        # What cannot be looked at is not known to have ended.
        assert (await asyncio.wait_for(wait, 60)).request_state == came.request_state
    name = await asyncio.to_thread(shop.pending, "point")
    await asyncio.to_thread(shop.tenant.approve, name)
    async with sdk_client(*shop.urls, token=shop.agent()) as client:
        assert text(await again(client, "point", came.request_state)) == "refunded point: 900"


async def test_calls_that_wait_leave_their_places_to_others_and_some_of_the_waiting_ones(shop: Shop) -> None:
    bounds = ("--max-calls", "8", "--waiting-calls", "8", "--approval-wait-seconds", "60")
    small = await asyncio.to_thread(shop.start, shop.tenant.points[0], *bounds)
    async with AsyncExitStack() as open_:

        async def client(who: str = "agent") -> Client:
            return await open_.enter_async_context(mortal_client(small.url, shop, who))

        async def waiting(order: str, who: str = "agent") -> asyncio.Task[Any]:
            one = await client(who)
            came = await asked(one, order)
            return asyncio.create_task(again(one, order, came.request_state))

        free = await client()
        # As many as this caller may have of eight, among those that wait as among those that run.
        waits = [await waiting(f"waits-{number}") for number in range(4)]
        for _ in range(10):
            assert {one.name for one in (await free.session.list_tools()).tools} == {"refund", "ask"}
        # One more is told so, and its request stays.
        error = await refusal(await waiting("waits-too-many"))
        assert (error.code, error.data["reason"]) == (-32001, "approval_pending")
        assert "Too many calls wait" in error.message
        assert shop.tenant.phase(await asyncio.to_thread(shop.pending, "waits-too-many")) == "Pending"
        # Another caller has a place.
        waits.append(await waiting("waits-second", "second"))
        done, _ = await asyncio.wait(waits, timeout=2)
        assert done == set()
        # A server that ends lets none wait: each repeats its call elsewhere.
        small.process.terminate()
        for ended in await asyncio.gather(*waits):
            assert isinstance(ended, InputRequiredResult)
            assert ended.request_state
        assert await asyncio.to_thread(small.process.wait, 15) == 0
