"""A grant as it stands at a moment, for a person to look at. From the object as it is, without the models.

Without them, because a list must not fail on one grant of a newer version, and must not wait for their import.

Holds: pure; a phase that time has overtaken reads as what it comes to (invariant 12 of hack/invariants.py). What
counts is decided elsewhere: this only shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bailiwick_api.usernames import is_among
from bailiwick_engine.approval.display import visible
from bailiwick_engine.approval.gates import Gate

ENDED: Final = frozenset({"Denied", "Expired", "Withdrawn", "Consumed", "Lapsed", "Revoked"})


@dataclass(frozen=True, slots=True)
class GrantStepView:
    """One step, and how many reviewers approved it. `signature`: which key an approval needs; None: no signature."""

    name: str
    policy: str
    kind: str
    groups: tuple[str, ...]
    count: int
    approvals: int
    signature: str | None = None

    @property
    def met(self) -> bool:
        """No further review is needed."""
        return self.approvals >= self.count


@dataclass(frozen=True, slots=True)
class GrantView:
    """A stored grant and a moment, in seconds since the epoch."""

    raw: Mapping[str, Any]
    now: float

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.raw["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.raw["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.raw["metadata"]["uid"])

    @property
    def request(self) -> Mapping[str, Any]:
        """What is asked for."""
        found: Mapping[str, Any] = self.raw["spec"]["request"]
        return found

    @property
    def reviews(self) -> list[Mapping[str, Any]]:
        """The reviews so far."""
        return list(self.raw["spec"].get("reviews") or ())

    @property
    def status(self) -> Mapping[str, Any]:
        """What Bailiwick says of it; empty where it has not been seen yet."""
        return self.raw.get("status") or {}

    @property
    def binding(self) -> str:
        """What a review repeats: the digest, or without one the uid."""
        return str(self.request["binding"].get("digest") or self.uid)

    @property
    def binding_hex(self) -> str:
        """The hex digits of the binding."""
        return self.binding.removeprefix("sha256:").replace("-", "")

    @property
    def phase(self) -> str:
        """The phase, and what time, uses or a revocation have made of it since it was written."""
        phase = str(self.status.get("phase") or "Pending")
        revoked = self.raw["spec"].get("revocation") is not None
        if phase == "Pending":
            if revoked:
                return "Withdrawn"
            return "Expired" if self._past(self.request.get("pendingUntilTime")) else phase
        if phase == "Active":
            if revoked:
                return "Revoked"
            if self.uses >= self.max_uses:
                return "Consumed"
            return "Lapsed" if self._past(self.status.get("notAfterTime")) else phase
        return phase

    @property
    def ended(self) -> bool:
        """Nothing more comes of it."""
        return self.phase in ENDED

    @property
    def until(self) -> str | None:
        """Until when it waits for reviews or can be used, as Kubernetes writes it; None once it has ended."""
        phase = self.phase
        if phase == "Pending":
            return self.request.get("pendingUntilTime")
        return self.status.get("notAfterTime") if phase == "Active" else None

    @property
    def uses(self) -> int:
        """How often it was used."""
        return int(self.status.get("uses") or 0)

    @property
    def max_uses(self) -> int:
        """How often it can be."""
        return int(self.request["maxUses"])

    @property
    def steps(self) -> list[GrantStepView]:
        """The steps, with the reviews that may count: those that are void do not."""
        void = {entry["reviewer"] for entry in self.status.get("voided") or ()}
        approving = [
            review for review in self.reviews if review["decision"] == "Approve" and review["reviewer"] not in void
        ]
        return [
            GrantStepView(
                name=step["name"],
                policy=step["policy"],
                kind=step["kind"],
                groups=tuple(step.get("groups") or ()),
                count=step["count"],
                approvals=sum(review["step"] == step["name"] for review in approving),
                signature=step.get("signature"),
            )
            for step in self.request["steps"]
        ]

    @property
    def excluded(self) -> list[str]:
        """Who may not review it besides the parties that it names, as the request and the operator say."""
        resolved = self.status.get("resolved") or {}
        return sorted({*(self.request.get("excludedReviewers") or ()), *(resolved.get("excludedReviewers") or ())})

    @property
    def parties(self) -> frozenset[str]:
        """Who has a part in the call, and so reviews nothing of it."""
        request = self.request
        return frozenset(
            (
                request["requester"]["username"],
                request["subject"]["id"],
                *(actor["id"] for actor in request.get("actors") or ()),
                *self.excluded,
            )
        )

    def is_party(self, username: str) -> bool:
        """Tell whether somebody has a part in the call."""
        return is_among(username, self.parties)

    def has_review_by(self, username: str) -> bool:
        """Tell whether somebody has reviewed it: each reviewer does once."""
        return is_among(username, (review["reviewer"] for review in self.reviews))

    @property
    def resource(self) -> str:
        """The resource in short."""
        return f"{self.request['resource']['type']}/{self.request['resource']['id']}"

    def _past(self, time: str | None) -> bool:
        return time is not None and self.now >= moment(time)


def moment(time: str) -> float:
    """Read a time as Kubernetes writes it; seconds since the epoch."""
    return datetime.fromisoformat(time).timestamp()


def exact_span(seconds: int) -> str:
    """Write a duration to the second: 10m, 23h59m59s. For what is agreed to; `span` is for ages."""
    parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def span(seconds: float) -> str:
    """Write a duration short, as kubectl writes ages: 45s, 9m30s, 3h5m, 2d."""
    whole = max(0, int(seconds))
    if whole < 120:  # noqa: PLR2004 - two minutes, as kubectl has it
        return f"{whole}s"
    if whole < 600:  # noqa: PLR2004 - ten minutes
        return f"{whole // 60}m{whole % 60}s" if whole % 60 else f"{whole // 60}m"
    if whole < 3 * 3600:
        return f"{whole // 60}m"
    if whole < 8 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60}m" if whole % 3600 // 60 else f"{whole // 3600}h"
    if whole < 48 * 3600:
        return f"{whole // 3600}h"
    return f"{whole // 86400}d"


def gate_terms(gate: Gate) -> str:
    """Return what a gate asks for: whose reviews, how many uses, within which time."""
    steps = " and ".join(
        f"{step.count} {step.kind} review{'s' if step.count > 1 else ''}"
        + (f" from {' or '.join(visible(group) for group in step.groups)}" if step.groups else "")
        + f" ({visible(step.name)})"
        for step in gate.steps
    )
    times = "once" if gate.max_uses == 1 else f"{gate.max_uses} times"
    return f"an approval with {steps}; it can be used {times} within {span(gate.window_seconds)}"
