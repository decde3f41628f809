"""ApprovalGrants as kopf sees them come and go. Thin: it hands the event over.

Holds: returns None, since kopf writes whatever a handler returns into the object's status.
"""

import kopf

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, GROUP, VERSION
from bailiwick_operator.handlers.sink import Sink


def register(registry: kopf.OperatorRegistry, sink: Sink) -> None:
    """Hand every event of the kind to the sink."""

    @kopf.on.event(GROUP, VERSION, APPROVAL_GRANTS, id="approvalgrant", registry=registry)
    async def seen(event: kopf.RawEvent, **_: object) -> None:
        sink(event["type"], dict(event["object"]))
