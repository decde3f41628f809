"""What a probe is told: whether the loop still comes round, not whether all is well in the cluster."""

import asyncio
import json

import pytest

from bailiwick_operator.process.health import Health, Progress


def test_what_moves_is_well_and_what_stands_still_too_long_is_not() -> None:
    count, now = 0, 0.0
    health = Health()
    health.watched["guard"] = Progress(lambda: count, limit=60, clock=lambda: now)
    now = 50
    assert health.report()[0] == 200
    count = 1
    assert health.report()[1]["lastProgressSeconds"] == {"guard": 0.0}
    now = 111
    assert health.report()[0] == 503


def test_a_broken_guard_is_told_and_is_no_reason_to_restart() -> None:
    health = Health()
    health.leading = True
    health.problem = lambda: "a guard is missing"
    assert health.report() == (
        200,
        {
            "leading": True,
            "guard": "a guard is missing",
            "clock": "as it should be",
            "keys": "as they should be",
            "certificates": "as they should be",
            "certificateNotAfter": None,
            "lastProgressSeconds": {},
        },
    )


def test_who_does_not_lead_says_so() -> None:
    assert Health().report()[1]["guard"] == "not ours to prove"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /healthz HTTP/1.1", 200), ("GET / HTTP/1.1", 404), ("POST /healthz HTTP/1.1", 404), ("", 404)],
)
async def test_is_asked_over_http(request_line: str, status: int, unused_tcp_port: int) -> None:
    async with Health().served(unused_tcp_port):
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        writer.write(f"{request_line}\r\nHost: me\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.0 {status} ")
    assert f"Content-Length: {len(body)}" in head
    json.loads(body)


async def test_whoever_says_nothing_is_let_go(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bailiwick_operator.process.health._REQUEST_SECONDS", 0.05)
    async with Health().served(unused_tcp_port):
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
