"""Messages of MCP that a proxy sends: what is decided about, what it is answered, and what stands in the record."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from contract.adapters.test_adapters import HOST, WITH_BODY, bearer, enforcer, sent, served
from contract.asking_alone import stored
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone
from support.proxies.raw import Answer

JSON: Final = ("Content-Type", "application/json")
TOOL: Final = [{"type": "tool", "ids": ["*"]}]
SERVER: Final = [{"type": "mcp_server", "ids": ["crm/crm-api"]}]
RULES: Final = [
    rule("connect", actions=["tools/list"], resources=SERVER),
    rule("read", actions=["orders", "tools/list"], resources=TOOL),
    rule(
        "small",
        actions=["transfer"],
        resources=TOOL,
        conditions=[{"name": "c", "expression": "context.args.amount <= 500"}],
    ),
    rule(
        "rounds",
        actions=["pay"],
        resources=TOOL,
        conditions=[
            {
                "name": "answered",
                "expression": '!("dev.bailiwick/inputResponses" in context.args) ||'
                ' context.args["dev.bailiwick/inputResponses"].amount.content.amount <= 500',
            }
        ],
    ),
    gated_rule("refund", actions=["refund"], resources=TOOL),
]


def governed(**http: object) -> list[Object]:
    own = {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "http": {"hosts": [HOST], "mcp": True, **http}}
    return [stored(*RULES, endpointSettings=own)]


def message(method: str, params: Any = None, **more: Any) -> bytes:  # noqa: ANN401 - any JSON value
    said = {"jsonrpc": "2.0", "id": 7, "method": method, **({} if params is None else {"params": params}), **more}
    return json.dumps(said).encode()


def tool(name: str, **arguments: object) -> bytes:
    return message("tools/call", {"name": name, "arguments": arguments})


@pytest.fixture(params=WITH_BODY)
def proxied(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return WITH_BODY[request.param]


async def asked(
    proxied: Callable[..., Any], body: bytes, *headers: tuple[str, str], alone: Alone | None = None
) -> Answer:
    async with served(alone or Alone(governed())) as ports:
        return await sent(ports, proxied("POST", "/mcp", enforcer(), bearer(), JSON, *headers, body=body))


@pytest.mark.parametrize(
    "body",
    [message("tools/list"), tool("orders"), tool("transfer", amount=500), message("tools/call", {"name": "orders"})],
)
async def test_what_a_rule_allows_is_let_through(proxied: Callable[..., Any], body: bytes) -> None:
    assert (await asked(proxied, body)).status == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message("prompts/list"), "no_rule"),
        # A tool is not the method of its name, nor the other way round.
        (tool("initialize"), "no_rule"),
        (message("initialize"), "no_rule"),
        (tool("wipe"), "no_rule"),
        (tool("transfer", amount=501), "condition_false"),
        (tool("transfer"), "condition_error"),
        (tool("refund"), "approval_required"),
        (message("tools/destroy"), "unmapped"),
        (message("notifications/initialized", id=None), "unmapped"),
        (b"[" + tool("orders") + b"]", "uninspectable"),
        (b"", "context_insufficient"),
        (message("tools/call", {"name": ["orders"]}), "ambiguous_request"),
    ],
)
async def test_a_denial_is_an_error_of_json_rpc(proxied: Callable[..., Any], body: bytes, reason: str) -> None:
    answer = await asked(proxied, body)
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, reason)
    assert answer.header("content-type") == "application/json"
    said = json.loads(answer.body)
    known = body[:1] == b"{" and json.loads(body)["id"] is not None
    assert (said["jsonrpc"], said["id"]) == ("2.0", 7 if known else None)
    assert (said["error"]["code"], said["error"]["data"]["reason"]) == (-32001, reason)
    assert said["error"]["message"].startswith(f"{reason}: ")
    assert said["error"]["data"]["evaluation_id"] == answer.header("x-bailiwick-evaluation")


@pytest.mark.parametrize(("amount", "status"), [(None, 200), (500, 200), (501, 403)])
async def test_a_rule_reads_what_the_caller_answered(
    proxied: Callable[..., Any], amount: int | None, status: int
) -> None:
    answers = {"inputResponses": {"amount": {"action": "accept", "content": {"amount": amount}}}}
    body = message("tools/call", {"name": "pay", "arguments": {"to": "bob"}, **({} if amount is None else answers)})
    answer = await asked(proxied, body)
    assert answer.status == status
    assert status == 200 or answer.header("x-bailiwick-reason") == "condition_false"


async def test_who_has_no_credential_is_told_so_likewise(proxied: Callable[..., Any]) -> None:
    async with served(Alone(governed())) as ports:
        answer = await sent(ports, proxied("POST", "/mcp", enforcer(), JSON, body=tool("orders")))
    assert (answer.status, json.loads(answer.body)["error"]["data"]["reason"]) == (401, "identity_invalid")
    assert (answer.header("www-authenticate") or "").startswith("Bearer")


@pytest.mark.parametrize(
    ("meta", "header", "status"),
    [
        (None, None, 200),
        ("agr.uid", None, 200),
        ({"id": "agr.uid", "state": "a.b.c"}, None, 200),
        (None, "agr.uid", 200),
        ("agr.uid", "agr.uid", 403),
        (3, None, 403),
    ],
)
async def test_an_approval_is_shown_in_one_place(
    proxied: Callable[..., Any], meta: object, header: str | None, status: int
) -> None:
    params = {"name": "orders", **({} if meta is None else {"_meta": {"dev.bailiwick/approval": meta}})}
    headers = [] if header is None else [("X-Bailiwick-Approval", header)]
    answer = await asked(proxied, message("tools/call", params), *headers)
    assert answer.status == status
    assert status == 200 or answer.header("x-bailiwick-reason") == "ambiguous_request"


async def test_the_record_has_the_tool_and_not_its_arguments(proxied: Callable[..., Any]) -> None:
    alone = Alone(governed())
    await asked(proxied, tool("transfer", amount=20, to="a secret account"), alone=alone)
    (line,) = alone.records.lines
    assert b'"transfer"' in line
    assert b"a secret account" not in line


async def test_another_path_is_no_message(proxied: Callable[..., Any]) -> None:
    async with served(Alone(governed())) as ports:
        for method, path in (("POST", "/other"), ("GET", "/mcp"), ("DELETE", "/mcp")):
            answer = await sent(ports, proxied(method, path, enforcer(), bearer(), JSON, body=tool("orders")))
            assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "unmapped")
            assert answer.header("content-type") == "application/problem+json"


async def test_the_path_can_be_another_one(proxied: Callable[..., Any]) -> None:
    async with served(Alone(governed(mcpPath="/tools/v1"))) as ports:
        there = await sent(ports, proxied("POST", "/tools/v1", enforcer(), bearer(), JSON, body=tool("orders")))
        elsewhere = await sent(ports, proxied("POST", "/mcp", enforcer(), bearer(), JSON, body=tool("orders")))
    assert (there.status, elsewhere.status) == (200, 403)


async def test_no_client_of_a_proxy_makes_its_call_a_dry_run(proxied: Callable[..., Any]) -> None:
    alone = Alone(governed())
    params = {
        "name": "transfer",
        "arguments": {"amount": 1, "dry_run": True, "context": {"dry_run": True}},
        "_meta": {"dry_run": True},
        "dry_run": True,
        "context": {"dry_run": True},
    }
    sneaking = message("tools/call", params, dry_run=True, context={"dry_run": True})
    headers = [(name, "true") for name in ("X-Dry-Run", "X-Bailiwick-Dry-Run", "Dry-Run")]
    await asked(proxied, sneaking, *headers, alone=alone)
    lines = [line for line in map(json.loads, alone.records.lines) if "evaluation_id" in line]
    assert [line["dry_run"] for line in lines] == [False]
