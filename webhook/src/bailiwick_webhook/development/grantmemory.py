"""Grants in memory: what the decision point asks of the API server about grants, answered by this process.

Standing: `approvals.grantsapi.GrantsApi` for a decision point in development. Holds: a write at another resourceVersion
is a conflict, and a write of the status changes nothing else; the phase follows from the engine's `lifecycle`, as in
the operator; a review is added only if the engine counts it. Each method runs without interruption, so that no two
writes meet. The number of grants is bounded, and a grant that ended is removed after a day.
"""

import copy
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError

from bailiwick_api.kinds.approvalgrant import (
    TERMINAL_PHASES,
    ApprovalGrant,
    ApprovalGrantStatus,
    GrantStep,
    Phase,
    Request,
    Review,
)
from bailiwick_api.times import stamp
from bailiwick_api.usernames import is_among
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.approval.lifecycle import PhaseInputs, condition_of, next_phase, phase_members
from bailiwick_engine.approval.quorum import Quorum, binding_of, request_exclusions, tally
from bailiwick_engine.compile import schemaerrors
from bailiwick_engine.compile.acceptance import list_problems
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.store.grants import Grants
from bailiwick_webhook.store.listwatch import Key

MOST: Final = 1_000
KEPT_SECONDS: Final = 86_400.0
"""How long a grant is kept after it ended: no cool-down is longer."""
_SWEEP_SECONDS: Final = 60.0
_MOST_REASON: Final = 1_024

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProposedReview:
    """A review as somebody proposes it. `groups`: the groups that the reviewer claims to be in."""

    reviewer: str
    groups: frozenset[str]
    approves: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedReview:
    """Why a review was not added, in a sentence."""

    detail: str


class GrantMemory:
    """Keeps grants, and puts each into `known`, where a view finds them. `now`: seconds since the epoch."""

    def __init__(
        self,
        known: Grants,
        is_person: Callable[[str], bool],
        now: Callable[[], float] = time.time,
        most: int = MOST,
    ) -> None:
        self.known = known
        self._is_person = is_person
        self._now = now
        self._most = most
        self._stored: dict[Key, Object] = {}
        self._ended: dict[Key, float] = {}
        self._version = 0
        self._swept = float("-inf")

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        """Read one grant as it is now; 404 is an answer."""
        key = (namespace, name)
        if key not in self._stored:
            return self._refusal(HTTPStatus.NOT_FOUND, f"approvalgrant {name} not found")
        self._advance(key)
        return self._answer(HTTPStatus.OK, self._stored[key])

    async def list_grants(self, namespace: str, selector: str) -> list[Object]:
        """Return the grants of a namespace that have this label, `name=value`."""
        name, _, value = selector.partition("=")
        found = []
        for key in [key for key in self._stored if key[0] == namespace]:
            if self._stored[key]["metadata"]["labels"].get(name) == value:
                self._advance(key)
                found.append(copy.deepcopy(self._stored[key]))
        return found

    async def create_grant(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Create a grant; 409 (exists) and refusals are answers."""
        metadata = manifest["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if key in self._stored:
            return self._refusal(HTTPStatus.CONFLICT, f"approvalgrant {key[1]} already exists")
        try:
            ApprovalGrant.model_validate({"spec": manifest["spec"]})
        except ValidationError as error:
            problems = list_problems(schemaerrors.problems(error, ApprovalGrant))
            return self._refusal(HTTPStatus.UNPROCESSABLE_ENTITY, problems)
        if not self._has_room():
            message = (
                f"this decision point is in development and keeps at most {self._most} requests:"
                " review some, or restart it"
            )
            return self._refusal(HTTPStatus.FORBIDDEN, message)
        born = {"uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": stamp(self._moment())}
        self._put(key, {**copy.deepcopy(dict(manifest)), "metadata": {**metadata, **born}})
        created = self._answer(HTTPStatus.CREATED, self._stored[key])
        self._advance(key)
        return created

    async def revoke_grant(self, namespace: str, name: str, version: str, revocation: Mapping[str, str]) -> ApiResponse:
        """Set a grant's revocation at a resourceVersion; 404 and 409 are answers."""
        key = (namespace, name)
        refused = self._stale(key, version)
        if refused is not None:
            return refused
        self._put_spec(key, {"revocation": dict(revocation)})
        return self._answer(HTTPStatus.OK, self._stored[key])

    async def write_grant_status(self, grant: Mapping[str, Any]) -> ApiResponse:
        """Replace a grant's status at its resourceVersion; 404, 409 and refusals are answers."""
        metadata = grant["metadata"]
        key = (metadata["namespace"], metadata["name"])
        refused = self._stale(key, metadata["resourceVersion"])
        if refused is not None:
            return refused
        try:
            ApprovalGrantStatus.model_validate(grant["status"])
        except ValidationError as error:
            problems = list_problems(schemaerrors.problems(error, ApprovalGrantStatus))
            return self._refusal(HTTPStatus.UNPROCESSABLE_ENTITY, problems)
        self._put(key, {**self._stored[key], "status": copy.deepcopy(dict(grant["status"]))})
        written = self._answer(HTTPStatus.OK, self._stored[key])
        self._advance(key)
        return written

    def pending(self, namespace: str, endpoint: str) -> tuple[Grant, ...]:
        """Return the grants of an endpoint that wait for reviews, the oldest first."""
        found = (self._grant(key) for key in list(self._stored) if key[0] == namespace)
        return tuple(one for one in found if one.request.endpoint == endpoint and one.phase == "Pending")

    def review(self, grant: Grant, proposed: ProposedReview) -> Grant | RefusedReview:
        """Add a review to a pending grant; return the grant as it is then."""
        key = (grant.namespace, grant.name)
        if key not in self._stored or (live := self._grant(key)).uid != grant.uid:
            return RefusedReview("this request no longer exists")
        if live.phase != "Pending":
            return RefusedReview(f"this request is no longer pending: its phase is {live.phase}")
        if is_among(proposed.reviewer, (review.reviewer for review in live.reviews)):
            return RefusedReview(f"{proposed.reviewer} has already reviewed this request")
        entry = self._fitting(live, proposed)
        if isinstance(entry, RefusedReview):
            return entry
        reviews = self._stored[key]["spec"].get("reviews") or []
        self._put_spec(key, {"reviews": [*reviews, entry]})
        self._advance(key)
        return self._grant(key)

    def _fitting(self, grant: Grant, proposed: ProposedReview) -> Object | RefusedReview:
        """Return the review as it is stored, for the first step that it counts for and that lacks one."""
        request, who = grant.request, proposed.reviewer
        if is_among(who, request_exclusions(request)):
            return RefusedReview(f"{who} is a party of this call, so someone else must review it")
        before = {step.name: step for step in self._tally(request, grant.uid, grant.reviews).steps}
        complete = False
        for step in request.steps:
            for entry in _entries(step, proposed, binding_of(request, grant.uid)):
                try:
                    review = Review.model_validate(entry)
                except ValidationError as error:
                    return RefusedReview(list_problems(schemaerrors.problems(error, Review)))
                counted = self._tally(request, grant.uid, (review,))
                if counted.denied_by is None and not any(one.approvals for one in counted.steps):
                    continue
                if proposed.approves and before[step.name].approvals >= before[step.name].needed:
                    complete = True
                    continue
                return entry
        if complete:
            return RefusedReview(f"the steps that {who} can review already have their approvals")
        steps = "; ".join(map(_step_needs, request.steps))
        return RefusedReview(f"{who} cannot review any step of this request: {steps}")

    def _tally(self, request: Request, uid: str, reviews: Iterable[Review]) -> Quorum:
        return tally(
            request,
            tuple(reviews),
            binding=binding_of(request, uid),
            barred=request_exclusions(request),
            is_person=self._is_person,
        )

    def _advance(self, key: Key) -> None:
        """Bring a grant's phase up to date with its reviews, its uses and the time."""
        stored = self._stored[key]
        model = ApprovalGrant.model_validate({name: stored[name] for name in ("spec", "status") if name in stored})
        status = model.status or ApprovalGrantStatus()
        if status.phase in TERMINAL_PHASES:
            return
        metadata, reviews, request = stored["metadata"], model.spec.reviews or [], model.spec.request
        created = datetime.fromisoformat(metadata["creationTimestamp"])
        inputs = PhaseInputs(self._tally(request, metadata["uid"], reviews), created)
        phase, now = next_phase(model.spec, status, inputs, self._moment()), self._moment()
        if phase is None:
            return
        present: Object = stored.get("status") or {}
        reviewers = [review.reviewer for review in reviews]
        wanted = {**present, **phase_members(present, phase, reviewers, request.window_seconds, now)}
        if (ended := condition_of(phase)) is not None:
            wanted["conditions"] = [_condition(ended, phase, metadata["generation"], now)]
        if wanted == present:
            return
        self._put(key, {**stored, "status": wanted})
        if phase in TERMINAL_PHASES:
            self._ended[key] = self._now()

    def _has_room(self) -> bool:
        """Remove what ended long ago; return whether there is room for one more."""
        now = self._now()
        full = len(self._stored) >= self._most
        if full or now >= self._swept + _SWEEP_SECONDS:
            self._swept = now
            for key in list(self._stored):
                self._advance(key)
            for key in [key for key, since in self._ended.items() if now >= since + KEPT_SECONDS]:
                self._remove(key)
        if len(self._stored) >= self._most:
            # A denial stays, because its call cannot be requested again for up to a day.
            ended = (key for key in self._ended if self._stored[key]["status"]["phase"] != "Denied")
            oldest = min(ended, key=lambda key: self._ended[key], default=None)
            if oldest is not None:
                self._remove(oldest)
        return len(self._stored) < self._most

    def _remove(self, key: Key) -> None:
        self.known.apply("DELETED", key, self._stored.pop(key))
        self._ended.pop(key, None)

    def _put_spec(self, key: Key, changed: Mapping[str, Any]) -> None:
        stored = self._stored[key]
        generation = stored["metadata"]["generation"] + 1
        spec = {**stored["spec"], **changed}
        self._put(key, {**stored, "spec": spec, "metadata": {**stored["metadata"], "generation": generation}})
        self._advance(key)

    def _put(self, key: Key, obj: Object) -> None:
        self._version += 1
        kind = "MODIFIED" if key in self._stored else "ADDED"
        self._stored[key] = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        self.known.apply(kind, key, self._stored[key])

    def _stale(self, key: Key, version: str) -> ApiResponse | None:
        if key not in self._stored:
            return self._refusal(HTTPStatus.NOT_FOUND, f"approvalgrant {key[1]} not found")
        if self._stored[key]["metadata"]["resourceVersion"] != version:
            return self._refusal(HTTPStatus.CONFLICT, f"approvalgrant {key[1]} has changed")
        return None

    def _grant(self, key: Key) -> Grant:
        self._advance(key)
        grant = parse(self._stored[key])
        if grant is None:
            message = f"approvalgrant {key[1]} was validated and cannot be parsed"
            raise RuntimeError(message)
        return grant

    def _answer(self, status: HTTPStatus, obj: Object) -> ApiResponse:
        return ApiResponse(status, copy.deepcopy(obj), self._now())

    def _refusal(self, status: HTTPStatus, message: str) -> ApiResponse:
        return ApiResponse(status, {"kind": "Status", "message": message}, self._now())

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _entries(step: GrantStep, proposed: ProposedReview, binding: str) -> list[Object]:
    """Return the reviews of one step that a reviewer could write, one for each group of the step that they are in."""
    entry: Object = {
        "reviewer": proposed.reviewer,
        "step": step.name,
        "decision": "Approve" if proposed.approves else "Deny",
        "binding": binding,
        **({} if proposed.reason is None else {"reason": proposed.reason}),
    }
    if step.groups is None:
        return [entry]
    return [{**entry, "group": group} for group in step.groups if group in proposed.groups]


def _step_needs(step: GrantStep) -> str:
    who = "a person" if step.kind == "Human" else "a service account"
    groups = "" if step.groups is None else f" in the group {' or '.join(step.groups)}"
    return f"step {step.name} needs {who}{groups}"


def _condition(kind: str, phase: Phase, generation: int, now: datetime) -> Object:
    return {
        "type": kind,
        "status": "True",
        "observedGeneration": generation,
        "lastTransitionTime": stamp(now),
        "reason": phase,
        "message": f"the request is {phase.lower()}",
    }
