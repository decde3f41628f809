"""What is asked: a call and what surrounds it, as the edge hands it to the pipeline.

Holds: the caller is authenticated; whether it may ask is for the engine to say.
"""

import msgspec

from bailiwick_engine.call import Call


class Asked(msgspec.Struct, frozen=True):
    """A call, the enforcer's own id of it, and whether the API server confirmed its tokens just now.

    `explain`: the caller wants an explanation and may see it. `trace`: W3C `traceparent`, where a valid one was sent.
    `reason`: why an approval is asked for, in the requester's own words. `key`: ARAP's Idempotency-Key.
    """

    call: Call
    request_id: str | None
    live_identity: bool
    explain: bool = False
    trace: str | None = None
    reason: str | None = None
    key: str | None = None
