"""The law of names for resources of MCP behind a real Envoy: a Deny of what the server resolves lets no read through.

The oracle is the server behind, which reports what it resolved; it knows nothing of Bailiwick.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest
from mcp.server.transport_security import TransportSecuritySettings

from proxies.configurations import EXAMPLES
from support.mcp.mcpserver import served
from support.mcp.reports import BY_ID, BY_KIND, BY_VIEW, PROTECTED, SERVERS, Reads, ResourceShape
from support.mcp.spellings import paired_spellings, written_spellings
from support.pdp.standalone import Process
from support.proxies.kinds import PROXIES
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import Answer, request, send
from support.proxies.scene import Scene

AGENT: Final = "system:serviceaccount:agents:shop-agent"
AUDIENCE: Final = "tools-behind-envoy.shop"
JSON: Final = (("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"))
RULES: Final = f"""
  - name: customers
    effect: Allow
    subjects: [agent]
    actions: [resources/read]
    resources: [{{type: resource, ids: ["*"]}}]
  - name: vip
    effect: Deny
    subjects: [agent]
    actions: [resources/read]
    resources: [{{type: resource, ids: ["{PROTECTED}"]}}]
"""
ANY_HOST: Final = TransportSecuritySettings(enable_dns_rebinding_protection=False)
SHAPES: Final[Sequence[ResourceShape]] = (BY_ID, BY_KIND, BY_VIEW)
Reading = Callable[[str], Answer]
Scenery = tuple[Reading, Reads]


def param_name(param: tuple[str, ResourceShape]) -> str:
    return f"{param[0]} {param[1].uri}"


@pytest.fixture(scope="module", params=[(kind, shape) for kind in SERVERS for shape in SHAPES], ids=param_name)
def behind_envoy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenery]:
    """Envoy by the file that ships, before a server that reports what it read."""
    kind, shape = request.param
    built = SERVERS[kind][0]([shape])
    app: Any = (
        built.server.http_app(path="/mcp", stateless_http=True)
        if kind == "FastMCP"
        else built.server.streamable_http_app(stateless_http=True, transport_security=ANY_HOST)
    )
    scene = Scene(tmp_path_factory.mktemp("mcp"))
    policy = (EXAMPLES / "mcp" / "behind-envoy.yaml").read_text(encoding="utf-8").rstrip()
    text = policy.replace("[tools.shop.svc]", "[127.0.0.1]") + RULES
    (scene.policies / "tools.yaml").write_text(text, encoding="utf-8")
    changes = {"crm/crm-api": "shop/tools-behind-envoy"}
    with served(app) as url, (scene.folder / "point.log").open("wb") as log:
        point: Process = scene.point(log)
        upstream = int(url.rsplit(":", 1)[1])
        try:
            with PROXIES["envoy"](scene, tmp_path_factory.mktemp("proxy"), upstream, point.port, changes) as running:
                yield reader_of(scene, running), built.reads
        finally:
            point.stop()


def reader_of(scene: Scene, running: RunningProxy) -> Reading:
    bearer = ("Authorization", f"Bearer {scene.token(AGENT, AUDIENCE)}")

    def read(uri: str) -> Answer:
        message = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
        asked = request("POST", "/mcp", bearer, *JSON, body=json.dumps(message).encode(), host="127.0.0.1")
        return send(running.port, asked)

    return read


def reads_behind_envoy(behind: Scenery, uris: Sequence[str]) -> tuple[list[int], Reads]:
    read, reads = behind
    reads.clear()
    return [read(uri).status for uri in uris], list(reads)


def test_no_spelling_of_a_denied_resource_reaches_it(behind_envoy: Scenery) -> None:
    statuses, reads = reads_behind_envoy(
        behind_envoy, ["crm://customers/anna", PROTECTED, *written_spellings(PROTECTED)]
    )
    assert statuses[:2] == [200, 403]
    # What it resolved for another customer, with that customer's name put for this one.
    meant = json.loads(json.dumps(reads[0]).replace("anna", "vip"))
    assert meant not in json.loads(json.dumps(reads))


@pytest.mark.long
def test_no_spelling_of_a_spelling_reaches_it(behind_envoy: Scenery) -> None:
    _, reads = reads_behind_envoy(behind_envoy, ["crm://customers/anna", *paired_spellings(PROTECTED)])
    meant = json.loads(json.dumps(reads[0]).replace("anna", "vip"))
    assert meant not in json.loads(json.dumps(reads))
