"""Evaluation request: a call and what surrounds it, as the request authenticator hands it to the pipeline.

Holds: the caller is authenticated; whether it may ask is for the engine to say.
"""

import msgspec

from bailiwick_engine.call import Call


class ShownToken(msgspec.Struct, frozen=True):
    """An approval token that was shown, as a record may name it. `refused` is why it proves nothing, None: it does.

    `jti` None: nothing of what it says is proven. `sha256` is of the token, in hex.
    """

    jti: str | None
    sha256: str
    refused: str | None = None


class EvaluationRequest(msgspec.Struct, frozen=True, gc=False):
    """A call, the enforcer's own id of it, and whether the API server confirmed its tokens just now.

    `explain`: the caller wants an explanation and may see it. `trace`: W3C `traceparent`, where a valid one was sent.
    `reason`: why an approval is asked for, in the requester's own words. `key`: ARAP's Idempotency-Key.
    `token`: the approval token that was shown. `late`: the denial that a request for approval follows is over, so only
    what was asked for before is answered. `large`: the body was, so that deciding it may take long. `item`: the place
    in a
    batch. Two items of one body are two calls, even of the same digest: each takes a use of its own, and the same one
    when the body is sent again.
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
