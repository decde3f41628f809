"""The example of the gateway before an MCP server, as pods: its manifests, a server behind it, an agent before it.

Holds: the manifests are those of `examples/enforcement/mcp`; put in are the image of this checkout, a certificate, and
the authority of the decision point.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from localcluster.rest import Rest
from support.certificates import self_signed
from support.installation import MANAGER, accepted, apply
from support.node.pods import Pods, container, pod_spec
from support.waits import until, until_ok

EXAMPLE: Final = Path(__file__).resolve().parents[3] / "examples" / "enforcement" / "mcp"
NAME: Final = "mcp-gateway.shop.svc"
_ROLLOUT_SECONDS: Final = 120.0
# Knows nothing of us.
_TOOLS: Final = """
from fastmcp import FastMCP
server = FastMCP("tools")
@server.tool
def orders() -> str:
    return "8812"
@server.tool
def refund(order: str) -> str:
    return "refunded " + order
@server.tool
def wipe() -> str:
    return "gone"
server.run(transport="http", host="0.0.0.0", port=8000, path="/mcp", show_banner=False)
"""
_AGENT: Final = """
import asyncio, json, sys
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp import MCPError
headers = {"Authorization": "Bearer " + open("/token/token").read()}
async def refused(client, name, arguments, meta=None):
    try:
        await client.call_tool(name, arguments, meta=meta)
    except MCPError as error:
        return error.data
    return {"reason": "it ran"}
async def main():
    transport = StreamableHttpTransport(sys.argv[1], headers=headers, verify="/trusted/tls.crt")
    # Of before MCP 2026-07-28, so that a pending approval is an error, and not a wait.
    async with Client(transport, mode="legacy") as client:
        for _ in range(100):
            tools = sorted(one.name for one in await client.list_tools())
            # The policy is not known yet: until then nobody may do anything.
            if tools:
                break
            await asyncio.sleep(0.2)
        orders = (await client.call_tool("orders", {})).content[0].text
        refund = await refused(client, "refund", {"order": "8812"})
        why = {"dev.bailiwick/approval-reason": "INC-1"}
        asked = await refused(client, "refund", {"order": "8812"}, why)
        wipe = await refused(client, "wipe", {})
    print(json.dumps({"tools": tools, "orders": orders, "refund": refund["reason"],
                      "approve": asked.get("approve_with"), "wipe": wipe["reason"]}))
asyncio.run(main())
"""


def start(admin: Rest, image: str, authority: str, folder: Path) -> None:
    """Start the server and the gateway, and wait until the gateway has rolled out."""
    apply(admin, _documents("accounts.yaml"))
    (policy,) = _documents("policy.yaml")
    # The API server has the decision point compile it first, once it knows by whose authority that can be asked.
    until_ok(lambda: admin.apply(policy, MANAGER, force=True), "the policy is admitted", 60)
    certificate, key = self_signed(folder, NAME)
    tls = {"tls.crt": certificate.read_text("ascii"), "tls.key": key.read_text("ascii")}
    accepted(admin.apply(_held("Secret", "shop", "mcp-gateway-tls", "stringData", tls), MANAGER, force=True))
    ca = {"ca.crt": authority}
    accepted(admin.apply(_held("ConfigMap", "shop", "bailiwick-ca", "data", ca), MANAGER, force=True))
    trusted = {"tls.crt": tls["tls.crt"]}
    accepted(admin.apply(_held("ConfigMap", "agents", "gateway", "data", trusted), MANAGER, force=True))
    behind = Pods(admin, "shop")
    probe = {"readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1}}
    serving = container(image, command=["python3", "-c", _TOOLS], **probe)
    behind.start("tools", pod_spec(serving), {"app": "tools"})
    behind.service("tools", {"app": "tools"}, 8000, 8000)
    for document in _documents("gateway.yaml"):
        if document["kind"] == "Deployment":
            (main,) = document["spec"]["template"]["spec"]["containers"]
            main |= {"image": image, "imagePullPolicy": "Never"}
        accepted(admin.apply(document, MANAGER, force=True))
    path = "/apis/apps/v1/namespaces/shop/deployments/mcp-gateway"
    until(lambda: accepted(admin.get(path))["status"].get("readyReplicas") == 2, "it has rolled out", _ROLLOUT_SECONDS)


def as_the_agent(admin: Rest, image: str) -> str:
    """Run the agent, and return what it saw, as JSON."""
    source = {"serviceAccountToken": {"audience": "tools.shop", "path": "token", "expirationSeconds": 600}}
    volumes = [
        {"name": "token", "projected": {"sources": [source]}},
        {"name": "trusted", "configMap": {"name": "gateway"}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    asking = container(image, command=["python3", "-c", _AGENT, f"https://{NAME}/mcp"], volumeMounts=mounts)
    return Pods(admin, "agents").run("agent", pod_spec(asking, volumes=volumes, serviceAccountName="shop-agent"))


def _documents(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLE / file).read_text(encoding="utf-8")))


def _held(kind: str, namespace: str, name: str, member: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}, member: data}
