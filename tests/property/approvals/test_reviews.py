"""Nobody who is barred ever counts, nobody counts twice, and a denial is a denial."""

from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.approvalgrant import Request, Review
from bailiwick_engine.approval.quorum import Quorum, request_exclusions, tally
from support.objects import DIGEST, OTHER_DIGEST, opened_grant

# Names, and whose they are: an email address is one person's in any case, another name is not.
OWNERS: Final = {
    "carol": "carol",
    "Carol": "another carol",
    "erin": "erin",
    "oidc:ann@corp.example": "ann",
    "oidc:Ann@corp.example": "ann",
    "oidc:ANN@CORP.EXAMPLE": "ann",
    "oidc:ann@other.example": "another ann",
    "system:admin": "admin",
    "system:serviceaccount:ci:r1": "r1",
    "system:serviceaccount:ci:r2": "r2",
}
NAMES: Final = tuple(OWNERS)
ANN: Final = tuple(name for name, owner in OWNERS.items() if owner == "ann")
names: Final = st.sampled_from(NAMES) | st.sampled_from(ANN)
STEPS: Final = ("one", "two", "elsewhere")

steps: Final = st.fixed_dictionaries(
    {"policy": st.just("crm-agent"), "kind": st.sampled_from(["Human", "System"]), "count": st.integers(1, 2)},
    optional={"groups": st.sampled_from([["a"], ["a", "b"]])},
)
reviews: Final = st.builds(
    Review,
    reviewer=names,
    step=st.sampled_from(["one", *STEPS]),
    group=st.sampled_from(["a", "a", "b", "c", None]),
    decision=st.sampled_from(["Approve", "Approve", "Approve", "Deny"]),
    binding=st.sampled_from([DIGEST, DIGEST, DIGEST, OTHER_DIGEST]),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    raw = opened_grant("crm")["spec"]["request"]
    made = [{**draw(steps), "name": name} for name in STEPS[: draw(st.integers(1, 2))]]
    return Request.model_validate({**raw, "steps": made})


def amounts(request: Request, given_reviews: list[Review], barred: Any = ()) -> Quorum:  # noqa: ANN401 - any collection
    return tally(request, given_reviews, binding=DIGEST, barred=frozenset(barred), is_person=Installation().is_person)


def reviews_of_others(given_reviews: list[Review], names: set[str]) -> list[Review]:
    """Return the reviews of everybody else."""
    owners = {OWNERS[name] for name in names}
    return [review for review in given_reviews if OWNERS[review.reviewer] not in owners]


some_reviews: Final = st.lists(reviews, max_size=8)
some_names: Final = st.sets(names)


@pytest.mark.invariant(1)
@given(requests(), some_reviews, some_names)
def test_nobody_barred_ever_counts(request: Request, given_reviews: list[Review], barred: set[str]) -> None:
    others = reviews_of_others(given_reviews, barred)
    assert amounts(request, given_reviews, barred) == amounts(request, others)


@given(requests(), some_reviews, some_names)
def test_barring_somebody_never_adds_an_approval(
    request: Request, given_reviews: list[Review], barred: set[str]
) -> None:
    with_all, without = amounts(request, given_reviews), amounts(request, given_reviews, barred)
    assert sum(step.approvals for step in without.steps) <= sum(step.approvals for step in with_all.steps)


@pytest.mark.invariant(5)
@given(requests(), some_reviews)
def test_nobody_counts_twice(request: Request, given_reviews: list[Review]) -> None:
    found = amounts(request, given_reviews)
    approving = {OWNERS[review.reviewer] for review in given_reviews if review.decision == "Approve"}
    assert sum(step.approvals for step in found.steps) <= len(approving)


@pytest.mark.invariant(13)
@given(requests(), some_reviews, st.integers(0, 8))
def test_a_denial_that_counts_is_final_wherever_it_stands(
    request: Request, given_reviews: list[Review], place: int
) -> None:
    step = request.steps[0]
    denial = Review(
        reviewer="frank" if step.kind == "Human" else "system:serviceaccount:ci:r9",
        step=step.name,
        group="a",
        decision="Deny",
        binding=DIGEST,
    )
    found = amounts(request, [*given_reviews[:place], denial, *given_reviews[place:]])
    assert found.denied_by is not None
    assert not found.met


@given(requests(), some_reviews)
def test_what_is_met_is_met_by_reviews_that_each_fit_their_step(request: Request, given_reviews: list[Review]) -> None:
    fitting = [review for review in given_reviews if _fits(request, review)]
    assert amounts(request, fitting) == amounts(request, given_reviews)
    if amounts(request, given_reviews).met:
        for step in request.steps:
            assert len({OWNERS[review.reviewer] for review in fitting if review.step == step.name}) >= step.count


def _fits(request: Request, review: Review) -> bool:
    for step in request.steps:
        if step.name == review.step:
            human = not review.reviewer.startswith("system:")
            account = review.reviewer.startswith("system:serviceaccount:")
            right_kind = human if step.kind == "Human" else account
            return right_kind and (not step.groups or review.group in step.groups) and review.binding == DIGEST
    return False


@pytest.mark.invariant(1)
@given(requests(), some_reviews, names)
def test_requester_and_subject_never_count(request: Request, given_reviews: list[Review], name: str) -> None:
    for field in ("requester", "subject"):
        people: Any = {"requester": {"username": name}, "subject": {"type": "serviceAccount", "id": name}}
        raw = request.model_dump(mode="json", exclude_none=True)
        own = Request.model_validate({**raw, field: people[field]})
        others = reviews_of_others(given_reviews, {name})
        assert amounts(own, given_reviews, request_exclusions(own)) == amounts(own, others, request_exclusions(own))
