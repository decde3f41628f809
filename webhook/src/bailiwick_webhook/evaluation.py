"""Evaluation request: a call and its context, as the request authenticator hands it to the pipeline.

Holds: the caller is authenticated; the engine decides whether it may ask.
"""

import msgspec

from bailiwick_engine.call import Call


class ShownToken(msgspec.Struct, frozen=True):
    """An approval token that was shown, as a record may name it. `refused`: why it proves nothing; None: it is valid.

    `jti` None: none of its claims is verified. `sha256` is of the token, in hex.
    """

    jti: str | None
    sha256: str
    refused: str | None = None


class EvaluationRequest(msgspec.Struct, frozen=True, gc=False):
    """A call, the enforcer's own id of it, and whether the API server confirmed its tokens just now.

    `explain`: the caller wants an explanation and may see it. `trace`: W3C `traceparent`, where a valid one was sent.
    `reason`: why an approval is requested, in the requester's own words. `key`: ARAP's Idempotency-Key. `token`: the
    approval token that was shown. `late`: the denial on which a request for approval is based has expired, so only
    earlier requests are answered. `large`: the body is large, so the decision may take long. `item`: the index in a
    batch. Two items of one body are two calls, even with the same digest: each takes a use of its own, and takes the
    same one when the body is sent again.
    """

    call: Call
    request_id: str | None
    live_identity: bool
    explain: bool = False
    trace: str | None = None
    reason: str | None = None
    key: str | None = None
    token: ShownToken | None = None
    late: bool = False
    large: bool = False
    item: int | None = None
