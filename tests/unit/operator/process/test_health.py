"""What a probe is told: whether the loop still comes round, not whether all is well in the cluster."""

import asyncio
import json
from types import SimpleNamespace
from typing import cast

import pytest

from bailiwick_operator.process.health import Health, HealthPortError, Progress
from bailiwick_operator.process.metrics import Leader
from bailiwick_operator.reconcile.guard import KeepState


def following() -> Health:
    return Health(Progress(lambda: 0, limit=60, clock=lambda: 0.0))


def leader(problem: str | None = None) -> Leader:
    """Return a leader of whose parts the health asks no more than this."""
    well = SimpleNamespace(problem=None, not_after=None)
    guard = SimpleNamespace(problem=problem)
    others = {"keys": well, "certificates": well, "skew": well, "witness": well, "sweeper": well}
    signals = SimpleNamespace(problem=None, counts=())
    notifier = SimpleNamespace(problem=None, on=False)
    keep = SimpleNamespace(state=KeepState(2, 1, 0, "one has none"))
    coverage = SimpleNamespace(problem=None, settings=None)
    parts = {"guard": guard, "notifier": notifier, "keep": keep, "signals": signals, "coverage": coverage}
    leading = SimpleNamespace(**parts, **others)
    return cast("Leader", leading)


@pytest.mark.parametrize("name", ["lease", "guard"])
def test_what_moves_is_well_and_what_stands_still_too_long_is_not(name: str) -> None:
    count, now = 0, 0.0
    moving = Progress(lambda: count, limit=60, clock=lambda: now)
    quiet = Progress(lambda: 0, limit=60, clock=lambda: 0.0)
    health = Health(moving if name == "lease" else quiet)
    health.lead(leader(), {"guard": moving if name == "guard" else quiet})
    now = 50
    assert health.report()[0] == 200
    count = 1
    assert health.report()[1]["lastProgressSeconds"] == {"lease": 0.0, "guard": 0.0}
    now = 111
    assert health.report()[0] == 503


def test_a_broken_guard_is_told_and_is_no_reason_to_restart() -> None:
    health = following()
    health.lead(leader("a guard is missing"), {})
    assert health.report() == (
        200,
        {
            "leading": True,
            "guard": "a guard is missing",
            "keep": "2/3: one has none",
            "clock": "ok",
            "keys": "ok",
            "certificates": "ok",
            "witness": "ok",
            "histories": "ok",
            "signals": "off",
            "notifications": "off",
            "coverage": "off",
            "certificateNotAfter": None,
            "lastProgressSeconds": {"lease": 0.0},
        },
    )


def test_who_does_not_lead_says_so() -> None:
    _, said = following().report()
    assert (said["leading"], said["guard"]) == (False, "not leading")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /healthz HTTP/1.1", 200), ("GET / HTTP/1.1", 404), ("POST /healthz HTTP/1.1", 404), ("", 404)],
)
async def test_is_asked_over_http(request_line: str, status: int) -> None:
    async with following().listen(0, "127.0.0.1") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request_line}\r\nHost: me\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.0 {status} ")
    assert f"Content-Length: {len(body)}" in head
    json.loads(body)


async def test_port_nought_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Health, "listen", None)
    async with following().serve(0):
        pass


async def test_a_port_that_is_taken_is_named() -> None:
    async with following().listen(0, "127.0.0.1") as port:
        with pytest.raises(HealthPortError, match=f"cannot listen on --health-port {port}"):
            async with following().serve(port):
                pass


async def test_whoever_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bailiwick_operator.process.health._REQUEST_SECONDS", 0.05)
    async with following().listen(0, "127.0.0.1") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
