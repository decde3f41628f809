"""A transport that asks nobody: the one stand-in for the connections to the API server.

Holds: for what a real server cannot be made to show, an answer or a crash at one exact request.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from bailiwick_api.serverclock import ServerClock
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, ApiStream


class FakeTransport:
    """Answers by `answer`, which may raise what a transport raises."""

    def __init__(self, answer: Callable[[ApiRequest], ApiResponse]) -> None:
        self.clock = ServerClock()
        self.answer = answer

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        return self.answer(request)

    def stream(self, request: ApiRequest, *, silence: float) -> AbstractAsyncContextManager[ApiStream]:
        raise NotImplementedError

    async def close(self) -> None:
        return
