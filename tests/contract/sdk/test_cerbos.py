"""The SDK against another AuthZEN decision point: Cerbos, from its npm package."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from bailiwick import AsyncBailiwick, Bailiwick, Call, Denied, Principal, Resource
from localcluster.ports import free_ports
from localcluster.process import spawn, stop
from localcluster.progress import Silent
from support.pages import DOCS
from support.waiting import until

ROOT: Final = DOCS.parent
# Cerbos 0.51 refuses a batch in which a call has no context at all, and takes calls on one resource id for one call.
WITH_CONTEXT: Final = "review"
ALICE: Final = Principal("user", "alice")
POLICY: Final = {
    "apiVersion": "api.cerbos.dev/v1",
    "resourcePolicy": {
        "resource": "customer",
        "version": "default",
        "rules": [
            {"actions": ["list"], "effect": "EFFECT_ALLOW", "roles": ["user"]},
            {
                "actions": ["export"],
                "effect": "EFFECT_ALLOW",
                "roles": ["user"],
                "condition": {"match": {"expr": "R.attr.rows <= 10"}},
            },
        ],
    },
}
LIST: Final = Call(subject=ALICE, action="list", resource=Resource("customer", "42"), intent=WITH_CONTEXT)
FEW: Final = Call(subject=ALICE, action="export", resource=Resource("customer", "43", rows=1), intent=WITH_CONTEXT)
MANY: Final = Call(subject=ALICE, action="export", resource=Resource("customer", "44", rows=11), intent=WITH_CONTEXT)
EXPECTED: Final = [(LIST, True), (FEW, True), (MANY, False)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("cerbos")
    policies = folder / "policies"
    policies.mkdir()
    (policies / "customer.json").write_text(json.dumps(POLICY))
    port, grpc_port = free_ports(2)
    config = {
        "server": {"httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{grpc_port}"},
        "storage": {"driver": "disk", "disk": {"directory": str(policies)}},
        "telemetry": {"disabled": True},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    command: list[str | Path] = [binary(), "server", f"--config={folder / 'config.yaml'}", "--log-level=error"]
    running = spawn("cerbos", command, folder / "log")
    try:
        until(lambda: ready(f"http://127.0.0.1:{port}/_cerbos/health"), "Cerbos is ready", 60.0)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop([running.id])
        running.handle.wait()


def binary() -> Path:
    """Return the program that the benchmarks install; skip where it cannot be had."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    cerbos: Any = importlib.import_module("benchmarks.cerbos")
    try:
        found: Path = cerbos.Cerbos.ensure(Silent()).binary
    except cerbos.MissingError as error:
        pytest.skip(str(error))
    return found


def ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_its_decisions_are_understood(url: str) -> None:
    with Bailiwick(url, token=None) as pdp:
        assert [pdp.evaluate(call).allowed for call, _ in EXPECTED] == [allowed for _, allowed in EXPECTED]
        with pytest.raises(Denied):
            pdp.require(MANY)


def test_its_batches_are_understood(url: str) -> None:
    with Bailiwick(url, token=None) as pdp:
        decisions = pdp.evaluate_many([call for call, _ in EXPECTED])
    assert [one.allowed for one in decisions] == [allowed for _, allowed in EXPECTED]


async def test_it_is_the_same_under_asyncio(url: str) -> None:
    async with AsyncBailiwick(url, token=None) as pdp:
        assert [(await pdp.evaluate(call)).allowed for call, _ in EXPECTED] == [allowed for _, allowed in EXPECTED]
