"""The front of the decision port: evaluations and batches of them, as plain requests ask for them.

Standing: under `app`, over `authzen`. Holds: what has to be waited for is awaited by the very handlers that the
application's router has, so that a question has one answer however it is spelled.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from aiohttp import web

from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.transport import answers
from bailiwick_webhook.http.transport.answers import JSON, WholeAnswer
from bailiwick_webhook.http.transport.decisionfront import ConnectionOrigin
from bailiwick_webhook.http.transport.plainrequest import PlainRequest

Decide = Callable[[web.BaseRequest, Tenant], Awaitable[bytes]]
AtOnce = Callable[[PlainRequest, ConnectionOrigin], bytes | None]

_EVALUATION: Final = "evaluation"


class EvaluationFront:
    """Answers plain requests.

    `decide` has the handler of each operation; `at_once` answers an evaluation of which nothing has to be awaited.
    """

    def __init__(self, decide: Mapping[str, Decide], at_once: AtOnce | None) -> None:
        self._decide = decide
        self._at_once = at_once

    def begin(self, sent: PlainRequest, origin: ConnectionOrigin) -> "WholeAnswer | HandledRequest":
        """Return the answer, or what has to be awaited for it."""
        if self._at_once is not None and sent.operation == _EVALUATION:
            body = self._at_once(sent, origin)
            if body is not None:
                return answers.whole(body, sent.marked.request_id)
        return HandledRequest(self._decide[sent.operation], sent, origin)


class HandledRequest:
    """A plain request that a handler answers."""

    def __init__(self, decide: Decide, sent: PlainRequest, origin: ConnectionOrigin) -> None:
        self._decide = decide
        self._sent = sent
        self._origin = origin

    async def answer(self) -> WholeAnswer:
        """Have it answered."""
        sent = self._sent
        echoed = sent.marked.request_id
        try:
            body = await self._decide(cast("web.BaseRequest", _ReadRequest(sent, self._origin)), sent.of)
        except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
            return answers.unanswered(sent.path, error, echoed)
        return answers.whole(body, echoed)


class _ReadRequest:
    """What a handler of evaluations asks of a request, of one that has been read."""

    def __init__(self, sent: PlainRequest, origin: ConnectionOrigin) -> None:
        self.remote = origin.remote
        self.protocol = origin.protocol
        self.transport = origin.transport
        self.content = _ReadBody(sent.body)
        said = {
            "Authorization": sent.authorization,
            "X-Request-ID": sent.marked.request_id,
            "traceparent": sent.marked.trace,
        }
        self.headers = {"Content-Type": JSON, **{name: value for name, value in said.items() if value is not None}}


class _ReadBody:
    """A body, of which all is there."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def is_eof(self) -> bool:
        """Tell whether all of the body is there."""
        return True

    def read_nowait(self) -> bytes:
        """Return the body."""
        return self._body
