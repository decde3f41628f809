"""An MCP server over HTTP on loopback, in a thread, and the policies of the tests' decision point."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn

from bailiwick.mcp.gate import McpGate

ENDPOINT: Final = "mcp/tools"
AGENT: Final = "system:serviceaccount:agents:agent"
STRANGER: Final = "system:serviceaccount:agents:stranger"
POLICY: Final = """
apiVersion: bailiwick.dev/v1alpha1
kind: EndpointPolicy
metadata: {namespace: mcp, name: agent}
spec:
  endpoint: tools
  endpointSettings:
    enforcers: [{namespace: mcp, name: server}]
  subjects:
  - {name: agent, serviceAccount: {namespace: agents, name: agent}}
  rules:
  - name: tools
    effect: Allow
    subjects: [agent]
    actions: [add, outer, convert_time]
    resources: [{type: tool, ids: ["*"]}]
  - name: bounded
    effect: Allow
    subjects: [agent]
    actions: [transfer]
    resources: [{type: tool, ids: ["*"]}]
    conditions: [{name: amount, expression: "context.args.amount <= 500"}]
  - name: orders
    effect: Allow
    subjects: [agent]
    actions: [orders.read]
    resources: [{type: Order, ids: ["7", "*"]}]
  - name: never
    effect: Deny
    subjects: [agent]
    actions: [orders.read]
    resources: [{type: Order, ids: ["13"]}]
  - name: reads
    effect: Allow
    subjects: [agent]
    actions: [resources/read]
    resources: [{type: resource, ids: ["data://open"]}]
  - name: prompts
    effect: Allow
    subjects: [agent]
    actions: [prompts/get]
    resources: [{type: prompt, ids: [greet]}]
  - name: refunds
    effect: RequireApproval
    subjects: [agent]
    actions: [refund]
    resources: [{type: tool, ids: ["*"]}]
    approval: {steps: [{name: owner, kind: Human, groups: [owners]}]}
"""


class CountedApp:
    """An ASGI application, and the paths that were asked for."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 - an ASGI application
        self._app = app
        self.came: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - of ASGI
        if scope["type"] == "http":
            self.came.append(scope["path"])
        await self._app(scope, receive, send)


@contextmanager
def served(app: Any) -> Iterator[str]:  # noqa: ANN401 - an ASGI application
    """Serve an application; yield the base URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        ends = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < ends:
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def closing_of(gate: McpGate) -> Any:  # noqa: ANN401 - each SDK has a type of its own
    """Return a lifespan that closes a gate in the event loop that used it."""

    @asynccontextmanager
    async def lifespan(_: object) -> Any:  # noqa: ANN401 - likewise
        yield {}
        await gate.close()

    return lifespan
