"""Which list a grant stands in, and in which order."""

from typing import Any, Final

import pytest

from bailiwick_console.grants.inbox import PAGE, GrantVersion, InboxList, page, sort
from bailiwick_governance.apiserver.people import CurrentUser
from support.objects import AGENT, Object
from unit.governance.cases import NOW, OWNERS, at, review, stored

CAROL: Final = CurrentUser("carol", ("crm-owners",))
ACTIVE: Final = {"phase": "Active", "notAfterTime": at(600), "uses": 0}


def lists(*items: Object, me: CurrentUser = CAROL, approves: bool = True) -> dict[InboxList, list[str]]:
    found = sort(items, me, lambda *_: approves, NOW)
    return {one: [grant.name for grant in grants] for one, grants in found.items() if grants}


def named(name: str, raw: Object, created: float = -60) -> Object:
    raw["metadata"] |= {"name": name, "uid": name, "creationTimestamp": at(created)}
    return raw


@pytest.mark.parametrize(
    ("raw", "me", "approves", "wanted"),
    [
        (stored(), CAROL, True, [InboxList.REVIEW]),
        (stored(), CAROL, False, [InboxList.OTHERS]),
        (stored(), CurrentUser("eve", ("support",)), True, [InboxList.OTHERS]),
        (stored(review("carol")), CAROL, True, [InboxList.OTHERS]),
        (stored(requester="carol"), CAROL, True, [InboxList.ASKED]),
        (stored(), CurrentUser(AGENT, ()), True, [InboxList.ASKED]),
        (stored(status=ACTIVE), CAROL, True, [InboxList.ACTIVE]),
        (stored(requester="carol", status=ACTIVE), CAROL, True, [InboxList.ASKED, InboxList.ACTIVE]),
        (stored(status={"phase": "Denied"}), CAROL, True, [InboxList.ENDED]),
        (stored(status={**ACTIVE, "uses": 1}), CAROL, True, [InboxList.ENDED]),
        (stored(pendingUntilTime=at(-1)), CAROL, True, [InboxList.ENDED]),
        (stored(revocation={"by": "dave"}), CAROL, True, [InboxList.ENDED]),
    ],
)
def test_a_grant_stands_where_something_can_be_done_about_it(
    raw: Object, me: CurrentUser, approves: bool, wanted: list[InboxList]
) -> None:
    assert list(lists(raw, me=me, approves=approves)) == wanted


def test_what_ends_first_stands_first_and_of_what_has_ended_the_newest() -> None:
    waiting = [named(f"w{seconds}", stored(pendingUntilTime=at(seconds))) for seconds in (900, 60, 300)]
    ended = [named(f"e{age}", stored(status={"phase": "Denied"}), -age) for age in (300, 10, 60)]
    found = lists(*waiting, *ended)
    assert found[InboxList.REVIEW] == ["w60", "w300", "w900"]
    assert found[InboxList.ENDED] == ["e10", "e60", "e300"]


def test_one_that_cannot_be_read_fails_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    broken: dict[str, Any] = {"metadata": {"name": "newer"}, "spec": {}}
    assert lists(broken, stored()) == {InboxList.REVIEW: ["agr-wanted"]}
    assert "newer cannot be read and is left out" in capsys.readouterr().err


def test_a_right_is_asked_for_only_where_it_matters() -> None:
    asked: list[tuple[str, str]] = []

    def approves(namespace: str, policy: str) -> bool:
        asked.append((namespace, policy))
        return True

    sort([stored(), stored(requester="carol"), stored(status={"phase": "Denied"})], CAROL, approves, NOW)
    assert asked == [("crm", OWNERS["policy"])]


@pytest.mark.parametrize(
    ("count", "number", "shown", "pages"), [(0, 1, 0, 1), (51, 2, 1, 2), (51, 9, 1, 2), (50, 1, PAGE, 1)]
)
def test_a_list_has_pages(count: int, number: int, shown: int, pages: int) -> None:
    found = sort([named(f"g{index}", stored()) for index in range(count)], CAROL, lambda *_: True, NOW)
    made = page(found, InboxList.REVIEW, number)
    assert (len(made.rows), made.pages, made.counts[InboxList.REVIEW]) == (shown, pages, count)


def test_repeats_of_one_call_stand_together_and_each_is_there() -> None:
    other = "sha256:" + "2" * 64
    grants = [named(f"same{index}", stored(pendingUntilTime=at(100 + index))) for index in range(3)]
    apart = named("apart", stored(pendingUntilTime=at(101)))
    apart["spec"]["request"]["binding"]["digest"] = other
    elsewhere = named("elsewhere", stored(pendingUntilTime=at(150)))
    elsewhere["metadata"]["namespace"] = "hr"
    made = page(sort([*grants, apart, elsewhere], CAROL, lambda *_: True, NOW), InboxList.REVIEW, 1)
    assert [(fold.first.name, [one.name for one in fold.more], fold.total) for fold in made.folds] == [
        ("same0", ["same1", "same2"], 3),
        ("apart", [], 1),
        ("elsewhere", [], 1),
    ]


def test_grants_of_a_class_of_calls_are_not_taken_for_one() -> None:
    grants = [named(f"g{index}", stored(binding={"mode": "Scope"})) for index in range(2)]
    made = page(sort(grants, CAROL, lambda *_: True, NOW), InboxList.REVIEW, 1)
    assert [fold.total for fold in made.folds] == [1, 1]


def test_repeats_that_fill_more_than_a_page_go_on_on_the_next() -> None:
    found = sort([named(f"g{index:02}", stored()) for index in range(PAGE + 2)], CAROL, lambda *_: True, NOW)
    pages = [page(found, InboxList.REVIEW, number) for number in (1, 2)]
    assert [[(len(fold.more), fold.total) for fold in made.folds] for made in pages] == [
        [(PAGE - 1, PAGE + 2)],
        [(1, PAGE + 2)],
    ]
    assert len({row.name for made in pages for row in made.rows}) == PAGE + 2


def test_a_row_names_the_grant_exactly_as_it_stands() -> None:
    made = page(sort([stored()], CAROL, lambda *_: True, NOW), InboxList.REVIEW, 1)
    uid = stored()["metadata"]["uid"]
    assert GrantVersion.parse(made.rows[0].mark) == GrantVersion("crm", "agr-wanted", uid, "7")
