"""What clients do wrong below HTTP: requests that cannot be parsed, and connections that break off.

Standing: between aiohttp's protocol and `connections` and `statusserver`. aiohttp logs each of these as an error, and
anybody can cause any number of them. Holds: they are logged at level debug and seldom, without a byte of what was
sent, and answered in the way of every other problem.
"""

from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bailiwick_webhook.http.problems import bad_request
from bailiwick_webhook.loglimit import LogLimit

_log: Final = LogLimit()


class ClientErrorHandler(web.RequestHandler):
    """A connection on which client errors are no errors of ours."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what is no request, or to a defect of ours."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self.malformed(exc)
        # Not what the parser says: it quotes what it could not read.
        response = bad_request(
            "This is not a valid HTTP/1.1 request, or it can be read in more than one way."
        ).response()
        response.force_close()
        return response

    def log_exception(self, *_: Any, **told: Any) -> None:  # noqa: ANN401 - as a logger has it
        """Take note of what went wrong with a connection: that a client breaks it off is no news."""
        error = told.get("exc_info")
        if self.transport is None or isinstance(error, OSError | HttpProcessingError | web.RequestPayloadError):
            self.malformed(error)
        else:
            _log.error("connection failed", exc_info=error)

    def malformed(self, error: object) -> None:
        """Take note of client error."""
        # Only what kind it is: of what a client sent, its token may be a part.
        peer = self.peername
        _log.debug("client error", error=type(error).__name__, address=peer[0] if peer else "")
