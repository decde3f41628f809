"""The SDK against another AuthZEN decision point: decern-serve, where `make bench` has built it."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from bailiwick import AsyncBailiwick, Bailiwick, Call, Denied, Principal, Resource
from localcluster.ports import free_ports
from localcluster.process import spawn, stop
from support.pages import DOCS
from support.waiting import until

ROOT: Final = DOCS.parent
ALICE: Final = Principal("user", "alice")
MODEL: Final = {
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
LIST: Final = Call(subject=ALICE, action="list", resource=Resource("customer", "42"))
FEW: Final = Call(subject=ALICE, action="export", resource=Resource("customer", "42", rows=1))
MANY: Final = Call(subject=ALICE, action="export", resource=Resource("customer", "42", rows=11))
EXPECTED: Final = [(LIST, True), (FEW, True), (MANY, False)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("decern")
    for name, text in MODEL.items():
        (folder / name).write_text(text)
    (port,) = free_ports(1)
    command: list[str | Path] = [binary(), f"--addr=127.0.0.1:{port}", "--trust-proxy", "--model", folder]
    running = spawn("decern", [*command, "--ledger", folder / "ledger", "--key", folder / "key"], folder / "log")
    try:
        until(lambda: ready(f"http://127.0.0.1:{port}/healthz"), "decern-serve is ready", 60.0)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop([running.id])
        running.handle.wait()


def binary() -> Path:
    """Return the program that the benchmarks build; skip where they have not, since that takes minutes."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    decern: Any = importlib.import_module("benchmarks.decern")
    found: Path = decern.program()
    if not found.exists():
        pytest.skip("decern-serve is not built; `make bench` builds it with cargo")
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
