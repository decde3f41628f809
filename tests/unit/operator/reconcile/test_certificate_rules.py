"""Which authorities and which certificate there should be: the rule, over any course of time and of mishaps.

Standing: nothing here knows what a certificate is; a maker of plain facts stands in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_operator.reconcile.certificates import (
    BACKDATE,
    SKEW,
    Authority,
    CertificatePlan,
    Leaf,
    ObservedCertificates,
    RotationRequest,
    Terms,
    reconcile,
)

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
TERMS: Final = Terms(frozenset({"pdp"}), authority_life=400 * DAY, leaf_life=90 * DAY, settle=DAY)


class Maker:
    """Makes facts, with a number for a key."""

    def __init__(self, terms: Terms = TERMS) -> None:
        self.terms = terms
        self.numbers = count(1)

    def authority(self, now: datetime) -> Authority:
        name = f"ca{next(self.numbers):03}"
        return Authority(name, f"<{name}>", f"key of {name}", now - BACKDATE, now + self.terms.authority_life)

    def leaf(self, issuer: Authority, now: datetime) -> Leaf:
        assert issuer.key is not None
        name = f"leaf{next(self.numbers):03}"
        ends = min(now + self.terms.leaf_life, issuer.not_after)
        return Leaf(f"<{name}>", f"key of {name}", issuer.id, self.terms.names, now - BACKDATE, ends)


@dataclass
class World:
    """An installation, and everything that was served and published, with the time since when."""

    now: datetime = START
    make: Maker = field(default_factory=Maker)
    authorities: tuple[Authority, ...] = ()
    leaf: Leaf | None = None
    bundle: frozenset[str] = frozenset()
    asked: RotationRequest = field(default_factory=RotationRequest)
    served: list[tuple[datetime, Leaf]] = field(default_factory=list)
    published: list[tuple[datetime, frozenset[str]]] = field(default_factory=list)

    def found(self) -> ObservedCertificates:
        known = {authority.id for authority in self.authorities}
        leaf = self.leaf if self.leaf is not None and self.leaf.issuer in known else None
        return ObservedCertificates(self.authorities, leaf, self.bundle, self.asked)

    def look(self, *, publishes: bool = True) -> CertificatePlan:
        outcome = reconcile(self.found(), self.now, self.make.terms, self.make)
        self.authorities = outcome.authorities
        if publishes and (bundle := frozenset(each.id for each in outcome.authorities)) != self.bundle:
            self.bundle = bundle
            self.published.append((self.now, bundle))
        if outcome.leaf != self.leaf:
            self.leaf = outcome.leaf
            self.served.append((self.now, outcome.leaf))
        return outcome

    def settled(self) -> CertificatePlan:
        """Look until nothing changes."""
        for _ in range(5):
            before = (self.authorities, self.leaf, self.bundle)
            outcome = self.look()
            if (self.authorities, self.leaf, self.bundle) == before:
                return outcome
        raise AssertionError("it never comes to rest")

    def wait(self, time: timedelta) -> CertificatePlan:
        self.now += time
        return self.settled()

    def ids(self) -> list[str]:
        return [each.id for each in self.authorities]


def within(history: Iterable[tuple[datetime, object]], now: datetime, lag: timedelta) -> list[object]:
    """Return what was in force at some time within `lag`."""
    entries = list(history)
    ends = [*(since for since, _ in entries[1:]), now + SKEW]
    return [what for (_, what), end in zip(entries, ends, strict=True) if end > now - lag]


@pytest.fixture
def world() -> World:
    world = World()
    world.settled()
    return world


def test_at_the_start_there_is_a_certificate_at_once() -> None:
    world = World()
    outcome = world.look()
    assert [each.id for each in outcome.authorities] == ["ca001"]
    assert outcome.leaf.issuer == "ca001"
    assert outcome.bundle == "<ca001>"


def test_what_is_as_it_should_be_stays(world: World) -> None:
    before = (world.authorities, world.leaf)
    for _ in range(50):
        world.wait(DAY)
    assert (world.authorities, world.leaf) == before


def test_a_certificate_is_replaced_after_two_thirds_of_its_life(world: World) -> None:
    before = world.leaf
    world.wait(60 * DAY - timedelta(seconds=1))
    assert world.leaf == before
    world.wait(timedelta(seconds=1))
    assert world.leaf is not None
    assert world.leaf != before
    assert (world.leaf.issuer, world.ids()) == ("ca001", ["ca001"])


def test_an_authority_is_published_before_it_issues_and_stays_after(world: World) -> None:
    while world.ids() == ["ca001"]:
        world.wait(DAY)
    new = world.ids()[1]
    assert world.now - START >= timedelta(days=266)
    assert world.leaf is not None
    assert (world.leaf.issuer, world.bundle) == ("ca001", frozenset({"ca001", new}))
    world.wait(DAY - timedelta(seconds=1))
    assert world.leaf.issuer == "ca001"
    world.wait(timedelta(seconds=1))
    assert world.leaf.issuer == new
    old, young = world.authorities
    assert (old.key, young.key) == (None, f"key of {new}")
    world.wait(DAY - timedelta(seconds=1))
    assert world.ids() == ["ca001", new]
    world.wait(timedelta(seconds=1))
    assert (world.ids(), world.bundle) == ([new], frozenset({new}))


def test_what_cannot_be_published_does_not_begin_to_settle(world: World) -> None:
    world.now += 300 * DAY
    for _ in range(20):
        world.now += DAY
        world.look(publishes=False)
    assert world.leaf is not None
    assert (world.leaf.issuer, len(world.ids())) == ("ca001", 2)
    world.settled()
    assert world.leaf.issuer == "ca001"
    world.wait(DAY)
    assert world.leaf.issuer != "ca001"


def test_what_was_taken_out_of_what_is_published_settles_anew(world: World) -> None:
    world.asked = RotationRequest(authority=world.now + timedelta(seconds=1))
    world.wait(HOUR)
    new = world.ids()[1]
    world.wait(20 * HOUR)
    world.bundle = frozenset({"ca001"})
    world.wait(HOUR)
    world.wait(23 * HOUR)
    assert world.leaf is not None
    assert world.leaf.issuer == "ca001"
    world.wait(HOUR)
    assert world.leaf.issuer == new


def test_a_certificate_for_other_names_is_replaced_at_once(world: World) -> None:
    world.make.terms = replace(TERMS, names=frozenset({"pdp", "pdp.example"}))
    world.look()
    assert world.leaf is not None
    assert (world.leaf.names, world.leaf.issuer) == (frozenset({"pdp", "pdp.example"}), "ca001")


def test_what_somebody_asks_for_comes_when_its_time_has_come_and_once(world: World) -> None:
    before = world.leaf
    world.asked = RotationRequest(leaf=world.now + HOUR)
    world.wait(HOUR - timedelta(seconds=1))
    assert world.leaf == before
    after = world.wait(timedelta(seconds=1)).leaf
    assert after != before
    assert world.wait(HOUR).leaf == after


def test_an_authority_that_is_asked_for_does_not_come_twice_at_once(world: World) -> None:
    world.asked = RotationRequest(authority=world.now + HOUR)
    world.wait(HOUR)
    assert len(world.ids()) == 2
    world.asked = RotationRequest(authority=world.now + HOUR)
    world.wait(2 * HOUR)
    assert len(world.ids()) == 2


def test_a_certificate_without_a_key_of_its_authority_is_served_until_another_has_settled(world: World) -> None:
    before = world.leaf
    world.authorities = tuple(replace(each, key=None, published=None) for each in world.authorities)
    world.settled()
    assert world.leaf == before
    assert len(world.bundle) == 2
    world.wait(DAY)
    assert world.leaf is not None
    assert world.leaf.issuer == world.ids()[1]
    world.wait(DAY)
    assert world.ids() == [world.leaf.issuer]


def test_in_the_last_tenth_of_its_life_a_certificate_is_replaced_whoever_can_issue(world: World) -> None:
    world.authorities = tuple(replace(each, key=None) for each in world.authorities)
    world.now += 81 * DAY - timedelta(seconds=1)
    assert world.look().leaf.issuer == "ca001"
    world.now += timedelta(seconds=1)
    assert world.look().leaf.issuer != "ca001"


def test_after_a_loss_of_all_everything_begins_anew(world: World) -> None:
    world.authorities, world.leaf = (), None
    world.settled()
    assert world.leaf is not None
    assert (world.ids(), world.bundle) == ([world.leaf.issuer], frozenset({world.leaf.issuer}))


def test_operating_again_after_all_has_ended_begins_anew(world: World) -> None:
    world.wait(1000 * DAY)
    assert world.leaf is not None
    assert world.leaf.not_after > world.now
    assert world.ids() == [world.leaf.issuer]
    assert "ca001" not in world.bundle


@pytest.mark.parametrize("jump", [timedelta(minutes=10), DAY, 70 * DAY, 300 * DAY, 4000 * DAY])
def test_a_clock_that_ran_ahead_and_comes_back_leaves_a_certificate_that_is_valid(
    jump: timedelta, world: World
) -> None:
    world.wait(jump)
    world.now -= jump
    world.settled()
    assert world.leaf is not None
    assert world.leaf.not_before <= world.now < world.leaf.not_after
    assert world.leaf.issuer in world.bundle
    for each in world.authorities:
        assert each.not_before <= world.now + SKEW
        assert each.published is None or each.published <= world.now + SKEW
        assert each.until is None or each.until <= world.now + DAY + SKEW


def test_one_without_a_key_goes_although_it_looks_younger_than_the_one_that_issues(world: World) -> None:
    (authority,) = world.authorities
    world.authorities = (replace(authority, key=None, not_before=world.now),)
    world.settled()
    world.wait(DAY)
    world.wait(DAY)
    assert world.leaf is not None
    assert world.ids() == [world.leaf.issuer] != ["ca001"]


def test_what_was_stamped_by_a_clock_that_ran_ahead_settles_from_now_on(world: World) -> None:
    world.asked = RotationRequest(authority=world.now + timedelta(seconds=1))
    world.wait(HOUR)
    old, new = world.authorities
    world.authorities = (old, replace(new, published=world.now + 30 * DAY))
    world.settled()
    world.wait(DAY)
    assert world.leaf is not None
    assert world.leaf.issuer == new.id


STEPS: Final = st.lists(
    st.tuples(
        st.timedeltas(timedelta(0), 20 * DAY),
        st.sampled_from(["look", "look", "look", "unpublished", "ask for a leaf", "ask for an authority", "down"]),
    ),
    min_size=5,
    max_size=60,
)


@given(STEPS)
def test_whoever_is_behind_by_less_than_the_settling_time_meets_nothing_that_they_do_not_trust(
    steps: list[tuple[timedelta, str]],
) -> None:
    world = World()
    world.settled()
    for time, what in steps:
        world.now += time
        if what == "ask for a leaf":
            world.asked = replace(world.asked, leaf=world.now)
        if what == "ask for an authority":
            world.asked = replace(world.asked, authority=world.now)
        if what == "unpublished":
            world.look(publishes=False)
        elif what != "down":
            world.settled()
        leaf = world.leaf
        assert leaf is not None
        assert len(world.authorities) <= 4
        if leaf.not_after - leaf.created < DAY or world.now >= leaf.not_after - 9 * DAY:
            # The operator was down for so long that there is an emergency.
            return
        # A process that is behind still serves an older one, a client that is behind still trusts older ones.
        lag = DAY - timedelta(seconds=1)
        for served in within(world.served, world.now, lag):
            for trusted in within(world.published, world.now, lag):
                assert isinstance(served, Leaf)
                if world.published[0][0] <= world.now - lag:
                    assert served.issuer in trusted  # type: ignore[operator]  # a set of names


@given(STEPS, st.integers(0, 4))
def test_whatever_is_lost_or_edited_there_is_a_valid_certificate_after_the_next_look(
    steps: list[tuple[timedelta, str]], kind: int
) -> None:
    world = World()
    for time, what in steps:
        world.now += time
        if what in {"down", "unpublished"}:
            match kind:
                case 0:
                    world.authorities = ()
                case 1:
                    world.leaf = None
                case 2:
                    world.bundle = frozenset({"somebody's"})
                case 3:
                    world.authorities = tuple(replace(each, key=None) for each in world.authorities)
                case _:
                    world.authorities = tuple(
                        replace(each, published=world.now + 9 * DAY, until=world.now + 99 * DAY)
                        for each in world.authorities
                    )
        world.settled()
        assert world.leaf is not None
        assert world.leaf.not_before <= world.now < world.leaf.not_after
        assert world.leaf.issuer in world.bundle
        assert world.bundle == set(world.ids())
    for _ in range(3):
        world.wait(DAY)
    assert len(world.ids()) <= 2
