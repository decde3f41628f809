"""A call: everything that one decision is made about, after the edge has parsed and verified it.

Holds: `subject` and `caller` are verified values; what could not be verified is an `Unproven`, never a guess.
"""

from collections.abc import Mapping
from typing import Any, NewType

import msgspec

from bailiwick_engine.reasons import Reason

Json = Any
EvaluationId = NewType("EvaluationId", str)

SERVICE_ACCOUNT_TYPE = "serviceAccount"


class ServiceAccount(msgspec.Struct, frozen=True, gc=False):
    """A service account whose token the API server confirmed: username `system:serviceaccount:<ns>:<name>`, and uid."""

    username: str
    uid: str


class Subject(msgspec.Struct, frozen=True):
    """Who the call is for (AuthZEN `subject`). `claims` are verified, `properties` are the enforcer's word."""

    type: str
    id: str
    uid: str
    claims: Mapping[str, Json] = {}
    properties: Mapping[str, Json] | None = None


class Unproven(msgspec.Struct, frozen=True):
    """A subject that the evidence does not prove."""

    reason: Reason


class Action(msgspec.Struct, frozen=True):
    """What is to be done (AuthZEN `action`)."""

    name: str
    properties: Mapping[str, Json] | None = None


class Resource(msgspec.Struct, frozen=True):
    """What it is to be done to (AuthZEN `resource`)."""

    type: str
    id: str
    properties: Mapping[str, Json] | None = None


class Call(msgspec.Struct, frozen=True):
    """One request for a decision.

    `context` is AuthZEN's, without the members that only carry evidence or steer the answer (`RESERVED_CONTEXT`);
    it may hold `args`, the call's arguments as the enforcer sent them.
    """

    namespace: str
    endpoint: str
    caller: ServiceAccount
    subject: Subject | Unproven
    action: Action
    resource: Resource
    context: Mapping[str, Json] = {}

    @property
    def intent(self) -> str | None:
        """The declared purpose; an empty one is none, as in a rule and in a grant."""
        intent = self.context.get("intent")
        return intent if isinstance(intent, str) and intent else None


RESERVED_CONTEXT = frozenset({"evidence", "approval", "explain", "business_justification"})
