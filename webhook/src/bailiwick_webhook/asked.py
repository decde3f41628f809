"""What is asked: a call and what surrounds it, as the edge hands it to the pipeline.

Holds: the caller is authenticated; whether it may ask is for the engine to say.
"""

from dataclasses import dataclass

from bailiwick_engine.call import Call


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, the enforcer's own id of it, and whether the API server confirmed its tokens just now.

    `explain`: the caller wants an explanation and may see it. `trace`: W3C `traceparent`, where a valid one was sent.
    """

    call: Call
    request_id: str | None
    live_identity: bool
    explain: bool = False
    trace: str | None = None
