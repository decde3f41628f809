"""What the reviews of a grant amount to."""

from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.approvalgrant import Request, ResolvedNames, Review
from bailiwick_engine.approval.quorum import Quorum, StepProgress, binding_of, request_exclusions, tally
from support.objects import DIGEST, OTHER_DIGEST, Object, opened_grant

RULE: Final = "v1:" + "0" * 64
ROBOT: Final = "system:serviceaccount:ci:robot"
OWNER: Final[Object] = {"name": "owner", "policy": "p", "kind": "Human", "groups": ["owners", "leads"], "count": 1}
ANYBODY: Final[Object] = {"name": "anybody", "policy": "p", "kind": "Human", "count": 2}
MACHINE: Final[Object] = {"name": "machine", "policy": "p", "kind": "System", "count": 1}


def request(*steps: Object, **fields: object) -> Request:
    raw = opened_grant("crm")["spec"]["request"]
    return Request.model_validate({**raw, "steps": list(steps or (OWNER,)), **fields})


def says(reviewer: str, step: str = "anybody", decision: str = "Approve", **fields: object) -> Review:
    raw = {"reviewer": reviewer, "step": step, "decision": decision, "binding": DIGEST, **fields}
    return Review.model_validate(raw)


def amounts(of: Request, *reviews: Review, barred: frozenset[str] = frozenset(), person: str = "") -> Quorum:
    installation = Installation(human_username_prefixes=(person,) if person else ())
    return tally(of, reviews, binding=DIGEST, barred=barred, is_person=installation.is_person)


def counts(of: Request, *reviews: Review, barred: frozenset[str] = frozenset(), person: str = "") -> list[int]:
    return [step.approvals for step in amounts(of, *reviews, barred=barred, person=person).steps]


class TestAReview:
    @pytest.mark.invariant(2, 7)
    @pytest.mark.parametrize(
        ("step", "review", "counted"),
        [
            (OWNER, says("carol", "owner", group="owners"), True),
            (OWNER, says("carol", "owner", group="leads"), True),
            (OWNER, says("carol", "owner", group="others"), False),
            (OWNER, says("carol", "owner"), False),
            (OWNER, says("carol", "anybody", group="owners"), False),
            (OWNER, says("carol", "owner", group="owners", binding=OTHER_DIGEST), False),
            (OWNER, says("carol", "owner", group="owners", binding="grant-uid"), False),
            (OWNER, says(ROBOT, "owner", group="owners"), False),
            (OWNER, says("system:admin", "owner", group="owners"), False),
            (ANYBODY, says("carol"), True),
            (ANYBODY, says("carol", group="whatever"), True),
            (MACHINE, says(ROBOT, "machine"), True),
            (MACHINE, says("carol", "machine"), False),
            (MACHINE, says("system:admin", "machine"), False),
            (MACHINE, says("xsystem:serviceaccount:ci:robot", "machine"), False),
        ],
    )
    def test_counts_for_the_step_that_it_fits(self, step: Object, review: Review, *, counted: bool) -> None:
        assert counts(request(step), review) == [int(counted)]

    @pytest.mark.parametrize(
        ("step", "review"),
        [
            (OWNER, says("carol", "owner", "Deny", group="others")),
            (OWNER, says("carol", "anybody", "Deny", group="owners")),
            (OWNER, says("carol", "owner", "Deny", group="owners", binding=OTHER_DIGEST)),
            (OWNER, says(ROBOT, "owner", "Deny", group="owners")),
            (MACHINE, says("carol", "machine", "Deny")),
        ],
    )
    def test_that_does_not_fit_denies_nothing(self, step: Object, review: Review) -> None:
        assert amounts(request(step), review).denied_by is None

    def test_of_a_person_is_one_by_the_names_of_the_installation(self) -> None:
        assert counts(request(ANYBODY), says("oidc:carol"), says("dave"), person="oidc:") == [1]

    def test_counts_for_nothing_in_a_signed_step_where_no_signature_is_verified(self) -> None:
        assert counts(request({**ANYBODY, "signature": "Key"}, MACHINE), says("carol"), says(ROBOT, "machine")) == [
            0,
            1,
        ]

    @pytest.mark.invariant(1)
    def test_of_somebody_barred_counts_for_nothing(self) -> None:
        barred = frozenset({"carol"})
        assert counts(request(ANYBODY), says("carol"), says("dave"), barred=barred) == [1]
        assert amounts(request(ANYBODY), says("carol", decision="Deny"), barred=barred).denied_by is None


@pytest.mark.invariant(5)
class TestAReviewer:
    def test_counts_once(self) -> None:
        assert counts(request(ANYBODY), says("carol"), says("carol")) == [1]

    @pytest.mark.parametrize("order", [("owner", "anybody"), ("anybody", "owner")])
    def test_fills_the_first_step_that_they_reviewed_and_no_other(self, order: tuple[str, str]) -> None:
        reviews = [says("carol", step, group="owners") for step in order]
        first = counts(request(OWNER, ANYBODY), *reviews)
        assert first == ([1, 0] if order[0] == "owner" else [0, 1])

    def test_fills_the_second_step_where_the_first_review_does_not_fit(self) -> None:
        reviews = [says("carol", "owner", group="others"), says("carol")]
        assert counts(request(OWNER, ANYBODY), *reviews) == [0, 1]

    @pytest.mark.invariant(13)
    def test_who_denies_denies_whatever_else_they_said(self) -> None:
        assert amounts(request(ANYBODY), says("carol"), says("carol", decision="Deny")).denied_by == "carol"


class TestAQuorum:
    def test_is_met_by_every_step(self) -> None:
        of = request(OWNER, ANYBODY, MACHINE)
        reviews = [
            says("carol", "owner", group="leads"),
            says("dave"),
            says("erin"),
            says(ROBOT, "machine"),
        ]
        assert amounts(of, *reviews).met
        assert amounts(of, *reviews, says("frank")).met
        for missing in range(len(reviews)):
            assert not amounts(of, *(reviews[:missing] + reviews[missing + 1 :])).met

    def test_tells_how_far_each_step_is(self) -> None:
        of = request(OWNER, ANYBODY)
        assert amounts(of, says("carol")).steps == (StepProgress("owner", 0, 1), StepProgress("anybody", 1, 2))

    def test_is_met_by_nobodys_denial(self) -> None:
        of = request(ANYBODY)
        assert amounts(of, says("carol"), says("dave")).met
        for place in range(3):
            reviews = [says("carol"), says("dave")]
            reviews.insert(place, says("erin", decision="Deny"))
            found = amounts(of, *reviews)
            assert (found.met, found.denied_by) == (False, "erin")

    def test_names_the_first_who_denied(self) -> None:
        found = amounts(request(ANYBODY), says("dave", decision="Deny"), says("carol", decision="Deny"))
        assert found.denied_by == "dave"

    def test_does_not_count_a_denial_as_an_approval(self) -> None:
        assert counts(request(ANYBODY), says("carol"), says("dave", decision="Deny")) == [1]

    def test_of_no_reviews_is_not_met(self) -> None:
        assert not amounts(request(ANYBODY)).met


@pytest.mark.invariant(1)
class TestTheExcluded:
    def test_are_all_whom_the_request_is_of(self) -> None:
        of = request(
            requester={"username": "requester"},
            subject={"type": "serviceAccount", "id": "subject"},
            actors=[{"id": "actor-1"}, {"id": "actor-2"}],
            excludedReviewers=["excluded"],
        )
        assert request_exclusions(of) == {"requester", "subject", "actor-1", "actor-2", "excluded"}

    def test_are_also_whom_the_operator_found_by_another_name(self) -> None:
        names = {"subjectUID": "corp#heidi", "rules": [{"policy": "p", "rule": "r", "uid": "u", "ruleDigest": RULE}]}
        resolved = ResolvedNames.model_validate({**names, "excludedReviewers": ["oidc:heidi"]})
        of = request(requester={"username": "carol"}, subject={"type": "user", "id": "heidi"})
        assert request_exclusions(of, resolved) == {"carol", "heidi", "oidc:heidi"}
        assert request_exclusions(of, ResolvedNames.model_validate(names)) == {"carol", "heidi"}

    def test_are_at_least_requester_and_subject(self) -> None:
        assert request_exclusions(request(requester={"username": "a"}, subject={"type": "t", "id": "b"})) == {"a", "b"}


@pytest.mark.invariant(7)
def test_a_review_repeats_the_digest_or_where_there_is_none_the_uid() -> None:
    assert binding_of(request(), "grant-uid") == DIGEST
    assert binding_of(request(binding={"mode": "Scope"}), "grant-uid") == "grant-uid"
