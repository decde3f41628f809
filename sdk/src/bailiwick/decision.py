"""What came back: a decision, an approval, and the errors that `require` raises.

Holds: only `decision: true`, a JSON boolean in a well-formed answer to the very evaluation that was asked, is an allow;
all else is a denial with a reason. A decision is as true as it allows, so that `if decision:` cannot let a denial pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from bailiwick.call import AccessCall, decoded, encoded
from bailiwick.outcomes import OutcomeHandle

# Reasons of denials that no decision point gave; those that it gave stand in docs/reference/reasons.md.
UNAVAILABLE: Final = "pdp_unavailable"
NOT_EVALUATED: Final = "not_evaluated"
UNKNOWN_OBLIGATION: Final = "unknown_obligation"
UNSPECIFIED: Final = "unspecified"
DRY_RUN: Final = "dry_run"
PENDING: Final = "pending"
APPROVED: Final = "approved"
# ARAP 1.0 draft, "Task Status": anything else is not approved, and final as far as anybody here can tell.
ENDED: Final = frozenset({APPROVED, "denied", "expired", "cancelled", "failed", "partial"})
# What the caller of an application may read of a decision's context; the rest is for administrators.
_PUBLIC: Final = (
    *("reason_user", "next_action", "retry_after", "retry_after_seconds", "evaluation_id", "evaluated_at", "hop"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDecision:
    """The answer to one call.

    `reason` is a code. `context` is AuthZEN's, as it came. `available` is False where there is no decision, for want of
    an answer that is one; `detail` says in words what happened then. `attempts` counts the requests that were sent.
    `refused`: the decision point answered that it takes no such question, so that to ask again would not help.

    The answer to a dry run permits nothing: it is never `allowed`. `would_allow` tells whether the call would be.
    """

    allowed: bool
    reason: str
    context: Mapping[str, Any] = field(default_factory=dict)
    available: bool = True
    detail: str = ""
    attempts: int = 0
    would_allow: bool = False
    refused: bool = False

    def __post_init__(self) -> None:
        """Refuse a decision that would permit a call by the answer to a dry run. Raises `ValueError`."""
        if self.allowed and (self.would_allow or self.context.get("dry_run") is True):
            raise ValueError("the answer to a dry run permits nothing")

    def __bool__(self) -> bool:
        return self.allowed

    @classmethod
    def denied(cls, reason: str, detail: str = "", *, available: bool = True, attempts: int = 0) -> "AccessDecision":
        """Return a denial that no decision point gave."""
        return cls(allowed=False, reason=reason, detail=detail, available=available, attempts=attempts)

    @property
    def evaluation_id(self) -> str | None:
        """The id under which the decision point recorded it."""
        return text(self.context, "evaluation_id")

    @property
    def grant(self) -> str | None:
        """The id of the approval that an allow used."""
        return text(members(self.context, "approval"), "id")

    @property
    def approved_until(self) -> str | None:
        """Until when what was allowed by an approval may be done (RFC 3339)."""
        return text(members(self.context, "approval"), "approved_until")

    @property
    def outcome(self) -> OutcomeHandle | None:
        """Where to report what became of the call; None for a denial, and where no history needs it."""
        return OutcomeHandle.of_context(self.context) if self.allowed else None

    @property
    def access_request(self) -> Mapping[str, Any] | None:
        """How to ask for an approval (ARAP). Nothing else says that a denial can be asked about."""
        return None if self.allowed else members(self.context, "access_request") or None

    @property
    def task(self) -> Mapping[str, Any] | None:
        """The request for approval that is open already."""
        return None if self.allowed else members(self.context, "task") or None

    @property
    def sentence(self) -> str:
        """Why, in words for the person who called."""
        said = members(self.context, "reason_user")
        return next((word for word in said.values() if isinstance(word, str)), self.detail or self.reason)

    def public(self) -> dict[str, Any]:
        """Return what the caller of an application may know of a denial: nothing for administrators, no token."""
        shown = {name: self.context[name] for name in _PUBLIC if name in self.context}
        if self.access_request is not None:
            kept = ("endpoint", "template", "expires_at")
            shown["access_request"] = {name: self.access_request[name] for name in kept if name in self.access_request}
        if self.task is not None:
            shown["task"] = {name: self.task[name] for name in ("id", "status") if name in self.task}
        return {**shown, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request for approval and what became of it (an ARAP task).

    `shown` is what the caller shows with the repeated call, unchanged; None until somebody approved. An approval is
    never an allow: the repeated call is what is decided.
    """

    id: str
    status: str = PENDING
    expires_at: str | None = None
    shown: Mapping[str, Any] | None = field(default=None, repr=False)
    retry_after: float | None = None
    task: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "an approval is neither true nor false, for it is no allow: make the call again, with approval="
        )

    @property
    def approved(self) -> bool:
        """Somebody approved. It may be over or used up by now: only the repeated call tells."""
        return self.status == APPROVED and self.shown is not None

    @property
    def pending(self) -> bool:
        """No reviewer has decided yet."""
        return self.status == PENDING

    @property
    def reason(self) -> str:
        """The reason code of a call that waits for it, or that it does not let through."""
        return "approval_pending" if self.pending or self.approved else f"approval_{self.status}"

    @classmethod
    def of_task(cls, body: object, retry_after: float | None = None) -> "Approval":
        """Read a task. Raises `ValueError` where there is none."""
        task = members(body, "task")
        found, status = text(task, "id"), text(task, "status")
        if found is None or status is None:
            raise ValueError("the answer holds no task")
        result = members(task, "result")
        shown = members(result, "approval") or None
        if status != APPROVED or text(result, "mode") != "reevaluate" or text(shown, "id") is None:
            shown = None
        return cls(
            id=found,
            status=status,
            expires_at=text(task, "expires_at"),
            shown=shown,
            retry_after=retry_after,
            task=task,
        )

    @classmethod
    def of_header(cls, value: str) -> "Approval":
        """Read an approval that a caller shows, as JSON. Raises `ValueError`."""
        shown = decoded(value)
        found = text(shown, "id")
        if found is None:
            raise ValueError("an approval is an object with an id")
        return cls(id=found, status=APPROVED, shown=shown)

    @property
    def header(self) -> str:
        """The approval as one line of JSON, for a header. Raises `ValueError` where there is none."""
        if self.shown is None:
            raise ValueError("the request is not approved yet")
        return encoded(self.shown).decode()


class Denied(Exception):  # noqa: N818 - what a caller reads: `except Denied`
    """The call must not be made. `decision` says why."""

    def __init__(self, decision: AccessDecision, call: AccessCall) -> None:
        super().__init__(f"{call!r} is denied: {decision.reason}: {decision.sentence}")
        self.decision = decision
        self.call = call


class ApprovalNeeded(Denied):
    """The call must not be made now; somebody can approve it. `request_approval` takes this error."""


class Unavailable(Denied):
    """There is no decision, so the call must not be made. Try again later."""


def members(of: object, name: str) -> Mapping[str, Any]:
    """Return the object that a member is; empty where it is none."""
    found = of.get(name) if isinstance(of, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def text(of: object, name: str) -> str | None:
    """Return the text that a member is; None where it is none, or empty."""
    found = of.get(name) if isinstance(of, Mapping) else None
    return found if isinstance(found, str) and found else None
