"""Quorum: the result of a grant's reviews. The operator checks it before activation, the PDP before every use.

Holds: one person counts once and completes one step; an eligible Deny is final, also where the status does not count
it; excluded reviewers never count. Names of one email address in two cases are one person's.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime

from bailiwick_api.kinds.approvalgrant import ApprovalGrantStatus, GrantStep, Request, ResolvedNames, Review
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import fold_case


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How many distinct reviewers a step has, and how many it needs."""

    name: str
    approvals: int
    needed: int


@dataclass(frozen=True, slots=True)
class Quorum:
    """`denied_by` is the reviewer of the first eligible Deny that counts; with one, nothing else matters.

    `uncounted_denial` is the reviewer of the first one that does not count.
    """

    steps: tuple[StepProgress, ...]
    denied_by: str | None
    uncounted_denial: str | None = None

    @property
    def met(self) -> bool:
        """Every step has its approvals, and no reviewer denied, counted or not."""
        denied = self.denied_by is not None or self.uncounted_denial is not None
        return not denied and all(step.approvals >= step.needed for step in self.steps)


def counted_reviewers(status: ApprovalGrantStatus) -> dict[str, datetime | None]:
    """Return who wrote a review that the operator counted, and when it did that; None where it did not say when."""
    void = {judged.reviewer for judged in status.voided or ()}
    return {one.reviewer: one.time for one in status.counted or () if one.reviewer not in void}


def request_exclusions(request: Request, resolved: ResolvedNames | None = None) -> frozenset[str]:
    """Return the usernames that may not review this request: requester, subject, actors and whom the request names.

    `resolved`: what the operator found of a grant written by hand, the API server's names of its people too.
    """
    return frozenset(
        (
            request.requester.username,
            request.subject.id,
            *(actor.id for actor in request.actors or ()),
            *(request.excluded_reviewers or ()),
            *((resolved.excluded_reviewers or ()) if resolved is not None else ()),
        )
    )


def binding_of(request: Request, grant_uid: str) -> str:
    """Return what a review must repeat: the digest, or for a grant without one its uid."""
    return request.binding.digest or grant_uid


def _unverified(_review: Review, _step: GrantStep) -> bool:
    return False


def tally(
    request: Request,
    reviews: Sequence[Review],
    *,
    binding: str,
    barred: frozenset[str],
    is_person: Callable[[str], bool],
    is_signed: Callable[[Review, GrantStep], bool] = _unverified,
    counted: Container[str] | None = None,
) -> Quorum:
    """Return what these reviews amount to. `barred` are usernames that count for nothing, see `request_exclusions`.

    `counted`: whose reviews count; None: all do. What does not count approves nothing, but a Deny stays in the way:
    the status says what counts, and a mutating admission policy can change what the operator writes there.
    `is_signed` tells whether the signature of an approval counts, where its step asks for one: by default none does.

    The rule is the review guard's, judged again: the guard keeps a wrong review out, this keeps one that got in from
    counting (invariants 1, 2, 5, 7, 13 and 27 of hack/invariants.py).
    """
    steps = {step.name: step for step in request.steps}
    # One address has one owner, so two spellings of it are one reviewer, and one party.
    barred_people = frozenset(map(fold_case, barred))
    voices: dict[str, Review] = {}
    denials: list[str] = []
    uncounted: list[str] = []
    for review in reviews:
        step = steps.get(review.step)
        if step is None or review.binding != binding or fold_case(review.reviewer) in barred_people:
            continue
        if not _fits(review, step, is_person):
            continue
        counts = counted is None or review.reviewer in counted
        if review.decision == "Deny":
            (denials if counts else uncounted).append(review.reviewer)
        elif counts and (step.signature is None or is_signed(review, step)):
            voices.setdefault(fold_case(review.reviewer), review)
    return Quorum(
        steps=tuple(
            StepProgress(step.name, sum(voice.step == step.name for voice in voices.values()), step.count)
            for step in request.steps
        ),
        denied_by=next(iter(denials), None),
        uncounted_denial=next(iter(uncounted), None),
    )


def _fits(review: Review, step: GrantStep, is_person: Callable[[str], bool]) -> bool:
    if step.groups is not None and review.group not in step.groups:
        return False
    if step.kind == "Human":
        return is_person(review.reviewer)
    return review.reviewer.startswith(SERVICE_ACCOUNT_PREFIX)
