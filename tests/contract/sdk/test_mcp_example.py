"""The example of the gateway: its policy decides, its flags are the gateway's, and its files agree with each other."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from fastmcp import FastMCP
from mcp import MCPError

from bailiwick import testing
from bailiwick.mcp.gateway.flags import parse
from bailiwick.testing import FakePDP
from support.mcp.gateways import client_of, running
from support.mcp.mcpserver import served

EXAMPLE: Final = Path(__file__).resolve().parents[3] / "examples" / "enforcement" / "mcp"
AGENT: Final = "system:serviceaccount:agents:shop-agent"


def documents(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLE / file).read_text(encoding="utf-8")))


def pod() -> dict[str, Any]:
    (deployment,) = [one for one in documents("gateway.yaml") if one["kind"] == "Deployment"]
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server: FastMCP[Any] = FastMCP("tools")
    for name in ("orders", "refund", "wipe"):
        server.tool(lambda: "done", name=name)
    policies = tmp_path_factory.mktemp("policies")
    shutil.copy(EXAMPLE / "policy.yaml", policies)
    with pytest.MonkeyPatch.context() as patch, served(server.http_app(path="/mcp")) as base:
        patch.setattr(testing, "_START_SECONDS", 150.0)
        with FakePDP(policies) as pdp:
            flags = ("--upstream", f"{base}/mcp", "--pdp", pdp.url, "--endpoint", "shop/tools")
            with running(tmp_path_factory.mktemp("gateway"), *flags) as gateway:
                yield gateway.url


async def test_its_policy_lets_the_agent_see_two_tools_and_call_one(url: str) -> None:
    async with client_of(url, AGENT) as client:
        assert sorted(one.name for one in await client.list_tools()) == ["orders", "refund"]
        assert not (await client.call_tool("orders", {})).is_error
        refused = {}
        for name in ("refund", "wipe"):
            with pytest.raises(MCPError) as caught:
                await client.call_tool(name, {})
            refused[name] = caught.value.data["reason"]
    assert refused == {"refund": "approval_required", "wipe": "no_rule"}


def test_its_flags_are_the_gateways_and_name_what_its_files_make() -> None:
    (main,) = pod()["containers"]
    flags = parse(main["args"])
    (policy,) = documents("policy.yaml")
    assert flags.endpoint == f"{policy['metadata']['namespace']}/{policy['spec']['endpoint']}"
    account = {"namespace": "shop", "name": pod()["serviceAccountName"]}
    assert policy["spec"]["endpointSettings"]["enforcers"] == [account]
    mounts = {Path(mount["mountPath"]) for mount in main["volumeMounts"]}
    assert {flags.token_file.parent, flags.ca.parent, flags.tls_cert_file.parent, flags.tls_key_file.parent} == mounts
    assert main["ports"] == [{"name": "https", "containerPort": flags.port}]
    (service,) = [one for one in documents("gateway.yaml") if one["kind"] == "Service"]
    assert flags.allowed_host == [f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"]


def test_its_pods_end_no_sooner_than_their_calls() -> None:
    (main,) = pod()["containers"]
    pause = main["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod()["terminationGracePeriodSeconds"] > pause + parse(main["args"]).drain_seconds
