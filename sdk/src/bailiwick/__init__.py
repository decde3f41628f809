"""Bailiwick's client: asks the decision point, at the moment of action, whether this may be done.

Standing: knows AuthZEN 1.0 and its draft for approvals (ARAP), and nothing of the engine: any AuthZEN decision point
will do. Nothing outside the standard library is imported before a transport or a framework is asked for.
Holds: no answer, or none that is one, means no. A call, a resource and a decision have their short names here, where an
application meets them; in the repository a class has its name alone, and the engine has these.
"""

from bailiwick.aio import AsyncBailiwick
from bailiwick.answers import BatchSemantic
from bailiwick.breaker import Breaker
from bailiwick.call import AccessCall as Call, AccessResource as Resource, Principal
from bailiwick.client import Bailiwick
from bailiwick.credentials import ServiceAccountFile
from bailiwick.decision import AccessDecision as Decision, Approval, ApprovalNeeded, Denied, Unavailable
from bailiwick.outcomes import CallOutcome, OutcomeHandle, OutcomeReport, ReportState
from bailiwick.questions import Hits
from bailiwick.transports.base import (
    AsyncTransport,
    HttpRequest,
    HttpResponse,
    NotSentError,
    SyncTransport,
    TransportError,
)

__all__ = [
    "Approval",
    "ApprovalNeeded",
    "AsyncBailiwick",
    "AsyncTransport",
    "Bailiwick",
    "BatchSemantic",
    "Breaker",
    "Call",
    "CallOutcome",
    "Decision",
    "Denied",
    "Hits",
    "HttpRequest",
    "HttpResponse",
    "NotSentError",
    "OutcomeHandle",
    "OutcomeReport",
    "Principal",
    "ReportState",
    "Resource",
    "ServiceAccountFile",
    "SyncTransport",
    "TransportError",
    "Unavailable",
]
