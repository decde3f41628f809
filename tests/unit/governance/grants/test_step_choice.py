"""Which step a review is of: chosen where it is plain, asked for where it is not, refused by the guards alone."""

from typing import Any

import pytest

from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.errors import UserError
from bailiwick_governance.grants.steps import choose, reviewable
from unit.governance.cases import OWNERS, ROBOT, SECURITY, review, step, view

CAROL = CurrentUser("carol", ("crm-owners",))
ERIN = CurrentUser("erin", ("crm-owners", "sec"))
EVE = CurrentUser("eve", ("support",))
ANN = CurrentUser("oidc:ann@corp.example", ("crm-owners",))
ANN_AGAIN = "oidc:Ann@corp.example"
ROBOT_ITSELF = CurrentUser("system:serviceaccount:crm:robot", ("system:serviceaccounts",))
ALL = [step(), step(SECURITY), step(ROBOT)]


@pytest.mark.parametrize(
    ("me", "flags", "wanted"),
    [
        (CAROL, (None, None), (OWNERS["name"], "crm-owners")),
        (ERIN, ("owner", None), (OWNERS["name"], "crm-owners")),
        (ERIN, (SECURITY["name"], None), (SECURITY["name"], "sec")),
        (ERIN, (None, "sec"), (SECURITY["name"], "sec")),
        (ROBOT_ITSELF, (None, None), (ROBOT["name"], None)),
        # The guard says why not.
        (EVE, ("owner", "crm-owners"), (OWNERS["name"], "crm-owners")),
    ],
)
def test_the_step_is_the_one_that_this_person_can_fill(
    me: CurrentUser, flags: tuple[str | None, str | None], wanted: tuple[str, str | None]
) -> None:
    choice = choose(view(steps=ALL), me, *flags)
    assert (choice.step.name, choice.group) == wanted


@pytest.mark.parametrize(
    ("me", "flags", "said"),
    [
        (ERIN, (None, None), "choose one with --step: crm-agent.export.owner, crm-agent.export.security"),
        (EVE, (None, None), "eve cannot review any of the steps"),
        (CAROL, ("nobody", None), "matches none of the steps"),
        (CAROL, ("owner", "sec"), "accepts crm-owners, not sec"),
        (CAROL, ("robot", "sec"), "accepts no group, not sec"),
    ],
)
def test_what_is_not_plain_is_asked_for(me: CurrentUser, flags: tuple[str | None, str | None], said: str) -> None:
    with pytest.raises(UserError, match=said):
        choose(view(steps=ALL), me, *flags)


def test_a_step_that_is_met_gives_way_to_one_that_is_not() -> None:
    assert choose(view(review("carol"), steps=ALL), ERIN, None, None).step.name == SECURITY["name"]
    # And is reviewed all the same where there is no other: a denial counts still.
    assert choose(view(review("dave")), CAROL, None, None).step.name == OWNERS["name"]


def test_nobody_reviews_twice() -> None:
    with pytest.raises(UserError, match="carol has already reviewed"):
        choose(view(review("carol"), steps=ALL), CAROL, "security", None)
    with pytest.raises(UserError, match=f"{ANN.username} has already reviewed"):
        choose(view(review(ANN_AGAIN), steps=ALL), ANN, "security", None)


def test_the_only_step_is_sent_to_the_guard_whoever_asks() -> None:
    choice = choose(view(), EVE, None, None)
    assert (choice.step.name, choice.group) == (OWNERS["name"], "crm-owners")


@pytest.mark.parametrize(
    ("fields", "me", "count"),
    [
        ({}, CAROL, 1),
        ({}, EVE, 0),
        ({}, ROBOT_ITSELF, 0),
        ({"steps": ALL}, ERIN, 2),
        ({"status": {"phase": "Denied"}}, CAROL, 0),
        ({"excludedReviewers": ["carol"]}, CAROL, 0),
        ({"requester": "carol"}, CAROL, 0),
        ({"subject": {"type": "user", "id": "carol"}}, CAROL, 0),
        ({"actors": [{"id": "carol"}]}, CAROL, 0),
        ({"actors": [{"id": "Carol"}]}, CAROL, 1),
        ({"excludedReviewers": [ANN_AGAIN]}, ANN, 0),
        ({"requester": ANN_AGAIN}, ANN, 0),
    ],
)
def test_what_can_be_reviewed_is_pending_and_of_somebody_else(
    fields: dict[str, Any], me: CurrentUser, count: int
) -> None:
    assert len(reviewable(view(**fields), me)) == count


def test_what_one_has_reviewed_or_is_met_is_not_to_review() -> None:
    assert reviewable(view(review("carol"), steps=ALL), CAROL) == []
    assert reviewable(view(review("dave")), CAROL) == []
