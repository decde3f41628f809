"""The SDK against other AuthZEN decision points: Cerbos from its npm package, and decern-serve where it is built."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from bailiwick import AsyncBailiwick, Bailiwick, Call, Denied, Principal, Resource
from localcluster.ports import free_ports
from localcluster.process import spawn, stop
from localcluster.progress import Silent
from support.pages import DOCS
from support.waits import until

ROOT: Final = DOCS.parent
# Cerbos 0.51 refuses a batch in which a call has no context at all, and takes calls on one resource id for one call.
WITH_CONTEXT: Final = "review"
# It does not send X-Request-ID back either, so its clients say echo=False.
ALICE: Final = Principal("user", "alice")
CERBOS: Final = {
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
DECERN: Final = {
    "entities.json": "[]",
    "authority.cedarschema": """
entity user;
entity customer;
action "list" appliesTo { principal: [user], resource: [customer], context: { now: Long } };
action "export" appliesTo {
  principal: [user], resource: [customer], context: { now: Long, resource: { rows: Long } }
};
""",
    "authority.cedar": """
permit (principal is user, action == Action::"list", resource);
permit (principal is user, action == Action::"export", resource) when { context.resource.rows <= 10 };
""",
}
LIST: Final = Call(subject=ALICE, action="list", resource=Resource("customer", "42"), intent=WITH_CONTEXT)
FEW: Final = Call(subject=ALICE, action="export", resource=Resource("customer", "43", rows=1), intent=WITH_CONTEXT)
MANY: Final = Call(subject=ALICE, action="export", resource=Resource("customer", "44", rows=11), intent=WITH_CONTEXT)
EXPECTED: Final = [(LIST, True), (FEW, True), (MANY, False)]
# How it is started, and where it says that it is ready.
Started = tuple[list[str | Path], str]


def peer(name: str) -> Any:  # noqa: ANN401 - a module that is not installed
    """Return the module of the benchmarks that has a peer's program."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return importlib.import_module(f"benchmarks.targets.{name}")


def cerbos(folder: Path, port: int) -> Started:
    module = peer("cerbos")
    try:
        binary = module.Cerbos.ensure(Silent()).binary
    except module.MissingError as error:
        pytest.skip(str(error))
    policies = folder / "policies"
    policies.mkdir()
    (policies / "customer.json").write_text(json.dumps(CERBOS))
    (grpc_port,) = free_ports(1)
    config = {
        "server": {"httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{grpc_port}"},
        "storage": {"driver": "disk", "disk": {"directory": str(policies)}},
        "telemetry": {"disabled": True},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    return [binary, "server", f"--config={folder / 'config.yaml'}", "--log-level=error"], "/_cerbos/health"


def decern(folder: Path, port: int) -> Started:
    binary: Path = peer("decern").program()
    if not binary.exists():
        pytest.skip("decern-serve takes ten minutes to build, so tests do not: `make bench ARGS='--only serve'` does")
    for name, text in DECERN.items():
        (folder / name).write_text(text)
    flags: list[str | Path] = [f"--addr=127.0.0.1:{port}", "--trust-proxy", "--model", folder]
    return [binary, *flags, "--ledger", folder / "ledger", "--key", folder / "key"], "/healthz"


@pytest.fixture(scope="module", params=[cerbos, decern], ids=lambda point: str(point.__name__))
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    point: Callable[[Path, int], Started] = request.param
    folder = tmp_path_factory.mktemp("point")
    (port,) = free_ports(1)
    command, health = point(folder, port)
    running = spawn("point", command, folder / "log")
    try:
        until(lambda: ready(f"http://127.0.0.1:{port}{health}"), "it is ready", 60.0)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop([running.id])
        running.handle.wait()


def ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_its_decisions_are_understood(url: str) -> None:
    with Bailiwick(url, token=None, echo=False) as pdp:
        assert [pdp.evaluate(call).allowed for call, _ in EXPECTED] == [allowed for _, allowed in EXPECTED]
        with pytest.raises(Denied):
            pdp.require(MANY)


def test_its_batches_are_understood(url: str) -> None:
    with Bailiwick(url, token=None, echo=False) as pdp:
        decisions = pdp.evaluate_many([call for call, _ in EXPECTED])
    assert [one.allowed for one in decisions] == [allowed for _, allowed in EXPECTED]


async def test_it_is_the_same_under_asyncio(url: str) -> None:
    async with AsyncBailiwick(url, token=None, echo=False) as pdp:
        assert [(await pdp.evaluate(call)).allowed for call, _ in EXPECTED] == [allowed for _, allowed in EXPECTED]
