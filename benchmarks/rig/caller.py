"""A client that asks again and again, one call after the other: `python -m benchmarks.rig.caller KIND --port=N`.

Standing: a process of its own, so that its processor time is what one call costs the application. Prints one line of
JSON, the members of `load.Round`. An answer that does not allow ends it with an error.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import quantiles
from typing import Any, Final

import httpcore2
import orjson

from bailiwick import AsyncBailiwick, Bailiwick, Call, Principal, Resource
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.testing import token_for

KINDS: Final = ("bare", "sdk", "mcp", "mcp-guarded")
_ENDPOINT: Final = "mcp/tools"
_AGENT: Final = "system:serviceaccount:agents:agent"
_ARGS: Final = {"amount": 120, "currency": "EUR"}
_CONDITION: Final = "context.args.amount <= 500 && context.args.currency == 'EUR' && resource.id != '0'"


def policy() -> dict[str, Any]:
    """Return the policy that every kind is decided by."""
    namespace, endpoint = _ENDPOINT.split("/")
    agent_namespace, agent = _AGENT.split(":")[2:]
    rule = {
        "name": "refund",
        "effect": "Allow",
        "subjects": ["agent"],
        "actions": ["refund"],
        "resources": [{"type": "tool", "ids": ["*"]}],
        "conditions": [{"name": "bounds", "expression": _CONDITION}],
    }
    return {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "EndpointPolicy",
        "metadata": {"namespace": namespace, "name": "agent"},
        "spec": {
            "endpoint": endpoint,
            "endpointSettings": {"enforcers": [{"namespace": namespace, "name": "server"}]},
            "subjects": [{"name": "agent", "serviceAccount": {"namespace": agent_namespace, "name": agent}}],
            "rules": [rule],
        },
    }


def main() -> None:
    """Call until the time is over, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    url = f"http://127.0.0.1:{options.port}"
    if options.kind in {"bare", "sdk"}:
        call = _bare(url) if options.kind == "bare" else _sdk(url)
        latencies, taken, cpu = _timed(call, options.seconds)
    else:
        latencies, taken, cpu = asyncio.run(_tools(url, options.seconds, guarded=options.kind == "mcp-guarded"))
    cut = quantiles(latencies, n=100)
    measured = {
        "requests": len(latencies),
        "per_second": len(latencies) / taken,
        "p50": cut[49] * 1e3,
        "p99": cut[98] * 1e3,
        "cpu": cpu / len(latencies) * 1e6,
    }
    sys.stdout.write(json.dumps(measured) + "\n")


def _bare(url: str) -> Callable[[], bool]:
    """Return a call that sends the same body, and only parses the answer."""
    pool = httpcore2.ConnectionPool()
    body = {
        "subject": {"type": "serviceAccount", "id": _AGENT},
        "action": {"name": "refund"},
        "resource": {"type": "tool", "id": "refund"},
        "context": {"args": _ARGS, "evidence": {"subject_token": token_for(_AGENT)}},
    }
    headers = [("Content-Type", "application/json"), ("Authorization", "Bearer test")]
    target = f"{url}/endpoints/{_ENDPOINT}/access/v1/evaluation"

    def call() -> bool:
        answer = pool.request("POST", target, headers=headers, content=orjson.dumps(body))
        return orjson.loads(answer.content)["decision"] is True

    return call


def _sdk(url: str) -> Callable[[], bool]:
    pdp = Bailiwick(url, endpoint=_ENDPOINT, token=lambda: "test")
    token = token_for(_AGENT)

    def call() -> bool:
        asked = Call(token=token, action="refund", resource=Resource("tool", "refund"), args=_ARGS)
        return bool(pdp.evaluate(asked))

    return call


def _timed(call: Callable[[], bool], seconds: float) -> tuple[list[float], float, float]:
    latencies: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    while (at := time.perf_counter()) - began < seconds:
        if not call():
            sys.exit("the decision point did not allow the call")
        latencies.append(time.perf_counter() - at)
    return latencies, time.perf_counter() - began, time.process_time() - cpu


async def _tools(url: str, seconds: float, *, guarded: bool) -> tuple[list[float], float, float]:
    from fastmcp import Client, FastMCP  # noqa: PLC0415 - takes a second to import, and the other kinds do not want it

    middleware: list[Any] = []
    gate: McpGate | None = None
    if guarded:
        pdp = AsyncBailiwick(url, endpoint=_ENDPOINT, token=lambda: "test")
        gate = McpGate(pdp, identity=Principal("serviceAccount", _AGENT))
        middleware.append(BailiwickMiddleware(gate))
    server: FastMCP[Any] = FastMCP("tools", middleware=middleware)

    @server.tool
    def refund(amount: int, currency: str) -> str:
        return f"{amount} {currency}"

    try:
        async with Client(server) as client:
            return await _timed_tools(lambda: client.call_tool("refund", dict(_ARGS)), seconds)
    finally:
        if gate is not None:
            await gate.close()


async def _timed_tools(call: Callable[[], Awaitable[Any]], seconds: float) -> tuple[list[float], float, float]:
    latencies: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    while (at := time.perf_counter()) - began < seconds:
        # Raises where the call is denied.
        await call()
        latencies.append(time.perf_counter() - at)
    return latencies, time.perf_counter() - began, time.process_time() - cpu


if __name__ == "__main__":
    main()
