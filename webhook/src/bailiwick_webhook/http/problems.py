"""Problems: what a request gets that is not answered with a decision (RFC 9457).

Holds: a problem names the field that is wrong and what to do; it never repeats a value of the request.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_webhook.metrics.table import Overload

CONTENT_TYPE: Final = "application/problem+json"
_TYPE: Final = "https://bailiwick.dev/problems/"
ARAP_ERROR: Final = "urn:openid:authzen:access-request:error:"
# Beside the reasons of verdicts, and as stable as they are: there is no verdict here.
OVERLOADED: Final = "overloaded"

_UNDER_WAY: Final = {
    Overload.SHARE: "Too many concurrent requests from this client, or for its namespace. Send fewer at a time.",
    Overload.FULL: "Too many concurrent requests.",
    Overload.BYTES: "Too many bytes of request bodies are being read. Send smaller bodies, or fewer at a time.",
    Overload.RATE: "Too many decisions per second for the endpoints of this namespace.",
    Overload.LOOKS: "Too many looks per second at requests for approval that this decision point does not know.",
    Overload.STATUS: "Too many concurrent requests of this kind.",
}


class ProblemError(Exception):
    """Raised at the edge, answered by the middleware. `kind` ends the type URI, or is one; `where` names the field."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        where: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.where = where
        self.headers = headers or {}
        self.more = more or {}

    def body(self) -> bytes:
        """Return the answer's body."""
        said = {
            "type": self.kind if ":" in self.kind else _TYPE + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.where is not None:
            said["field"] = self.where
        return orjson.dumps({**said, **self.more})

    def response(self) -> web.Response:
        """Return the answer."""
        return web.Response(
            body=self.body(),
            status=self.status,
            content_type=CONTENT_TYPE,
            headers=dict(self.headers),
        )


def bad_request(detail: str, where: str | None = None) -> ProblemError:
    """400: the body is not what the contract asks for; `where` is the path of the field."""
    return ProblemError(400, "bad-request", "Bad request", detail, where=where)


def refused_token(reason: Reason) -> ProblemError:
    """503 or 401: the token of the caller proves nothing, for this reason."""
    if reason is Reason.IDENTITY_UNVERIFIABLE:
        return unavailable("The caller's token cannot be verified at the moment. Try again.")
    if reason is Reason.POSSESSION_UNPROVEN:
        return unauthenticated(EXPLAINED[reason].sentence)
    return unauthenticated(
        "The token is not a valid service-account token for the audience bailiwick, or it has expired."
    )


def unauthenticated(detail: str) -> ProblemError:
    """401: who asks is not authenticated (RFC 6750, 3)."""
    challenge = 'Bearer realm="bailiwick", error="invalid_token"'
    return ProblemError(401, "unauthenticated", "Unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def forbidden(detail: str) -> ProblemError:
    """403: the same words for a stranger and for an endpoint that does not exist."""
    return ProblemError(403, "forbidden", "Forbidden", detail)


def taken_back() -> ProblemError:
    """403: who asks is taken back."""
    reason = Reason.IDENTITY_REVOKED
    return ProblemError(403, "identity-revoked", "Forbidden", EXPLAINED[reason].sentence, more={"reason": reason.value})


def unavailable(detail: str) -> ProblemError:
    """503: the API server does not answer; the caller must treat it as a denial."""
    return ProblemError(503, "unavailable", "Unavailable", detail, headers={"Retry-After": "5"})


def overloaded(why: Overload) -> ProblemError:
    """429: as much is under way as may be; the caller must treat it as a denial."""
    detail = f"{_UNDER_WAY[why]} Nothing was decided or used. Treat this as a denial and retry in a moment."
    headers = {"Retry-After": "1"}
    return ProblemError(429, OVERLOADED, "Overloaded", detail, headers=headers, more={"reason": OVERLOADED})


def throttled(detail: str, reason: str) -> ProblemError:
    """429: too much was asked for."""
    headers = {"Retry-After": "60"}
    return ProblemError(429, "too-many-requests", "Too many requests", detail, headers=headers, more={"reason": reason})
