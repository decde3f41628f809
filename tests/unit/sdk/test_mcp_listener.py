"""The limit on calls of the gateway: a place is free again however a call ended."""

from typing import Any

import pytest

from bailiwick.mcp.gateway.bounds import PATH, CallLimit


async def served(limit: CallLimit, path: str = PATH) -> int:
    """Send one request, and return the status of its answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    async def receive() -> Any:  # noqa: ANN401 - ASGI
        raise AssertionError("nobody reads the body here")

    await limit({"type": "http", "path": path, "method": "POST", "headers": []}, receive, send)
    status: int = sent[0]["status"]
    return status


async def answering(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def failing(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    raise ConnectionResetError


async def test_a_call_that_ended_makes_room() -> None:
    limit = CallLimit(answering, 1)
    assert [await served(limit) for _ in range(3)] == [200] * 3


async def test_a_call_that_failed_makes_room() -> None:
    limit = CallLimit(failing, 1)
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            await served(limit)


@pytest.mark.parametrize(("path", "status"), [(PATH, 503), ("/healthz", 200), ("/readyz", 200)])
async def test_without_room_health_is_answered_all_the_same(path: str, status: int) -> None:
    assert await served(CallLimit(answering, 0), path) == status
