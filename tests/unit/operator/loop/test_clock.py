"""The operator's clock: when it is trusted, and what is said of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import pytest

from bailiwick_api.serverclock import ServerClock
from bailiwick_operator.loop.clock import Clock, SkewMonitor
from bailiwick_operator.reconcile.transitions import EventDraft

START: Final = 1_900_000_000.0
STEADY: Final = 3.0


@dataclass
class World:
    """An operator that looks at its clock, beside an API server whose clock is right."""

    ours: float = 0.0
    passed: float = 1000.0
    events: list[EventDraft] = field(default_factory=list)
    agreed: int = 0

    def __post_init__(self) -> None:
        self.server = ServerClock(lambda: START + self.passed + self.ours, lambda: self.passed)
        self.clock = Clock(self.server)
        self.skew = SkewMonitor(self.clock, tell=self.events.append, resume=self._again)

    def _again(self) -> None:
        self.agreed += 1

    def answer(self) -> None:
        self.server.record_answer(float(int(START + self.passed)), self.passed)

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.passed += 1
            self.answer()
            self.skew.look()


@pytest.fixture
def world() -> World:
    made = World()
    made.answer()
    return made


def test_before_the_first_answer_it_is_not_trusted_and_nothing_is_told() -> None:
    world = World()
    world.skew.look()
    assert (world.clock.check(), world.events, world.skew.problem is None) == (False, [], False)


def test_a_clock_that_is_right_is_trusted_at_once_and_nothing_is_told(world: World) -> None:
    world.seconds(3)
    assert (world.clock.check(), world.events, world.agreed, world.skew.problem) == (True, [], 0, None)


@pytest.mark.parametrize(("seconds", "way"), [(-600.0, "behind"), (600.0, "ahead of")])
def test_one_that_is_off_is_told_of_once_and_so_is_its_return(world: World, seconds: float, way: str) -> None:
    world.seconds(2)
    world.ours = seconds
    assert not world.clock.check()
    world.seconds(10)
    (off,) = world.events
    assert (off.type, off.reason, way in off.note, "600 s" in off.note) == ("Warning", "ClockSkew", True, True)
    assert off.note == f"{world.skew.problem}. No grant is approved, expired or deleted until the clocks agree"
    world.ours = 0.0
    world.seconds(10)
    assert [event.reason for event in world.events] == ["ClockSkew", "ClocksAgree"]
    assert (world.clock.check(), world.skew.problem, world.agreed) == (True, None, 1)


def test_it_is_trusted_again_only_after_a_while(world: World) -> None:
    world.ours = 600.0
    world.skew.look()
    world.ours = 0.0
    for _ in range(int(STEADY) - 1):
        world.seconds(1)
        assert not world.clock.check()
    world.seconds(2)
    assert world.clock.check()


def test_whoever_was_told_that_it_is_off_between_two_looks_is_called_too(world: World) -> None:
    world.seconds(1)
    world.ours = 600.0
    assert not world.clock.check()
    world.ours = 0.0
    world.seconds(10)
    assert world.agreed == 1


def test_the_time_is_the_later_of_both_while_they_agree_and_else_the_api_servers(world: World) -> None:
    for ours, later_by in ((0.0, 0.0), (20.0, 20.0), (-20.0, 0.0), (600.0, 0.0), (-600.0, 0.0)):
        world.ours = ours
        expected = START + world.passed + later_by
        assert world.clock.now().timestamp() == pytest.approx(expected, abs=1.1)
        assert world.clock.now() >= datetime.fromtimestamp(START + world.passed, UTC)


@pytest.mark.parametrize(("ours", "known"), [(0.0, True), (28.0, True), (-28.0, True), (600.0, False), (-600.0, False)])
def test_the_earliest_time_is_after_neither_clocks_and_unknown_while_they_are_apart(
    world: World, ours: float, known: bool
) -> None:
    world.passed += 0.7
    world.answer()
    world.ours = ours
    earliest = world.clock.trusted_earliest()
    assert (earliest is not None) == known
    if earliest is not None:
        sooner = START + world.passed + min(ours, 0.0)
        assert sooner - 1.1 <= earliest.timestamp() <= sooner


def test_who_gets_no_time_by_a_step_that_is_over_at_once_waits_and_is_called() -> None:
    steps = [600.0]
    passed = 1000.0
    server = ServerClock(lambda: START + passed + (steps.pop() if steps else 0.0), lambda: passed)
    server.record_answer(START + passed, passed)
    clock = Clock(server)
    assert clock.trusted_earliest() is None
    assert not clock.check()
    assert clock.take_failed_check()
    passed += STEADY
    assert clock.trusted_earliest() is not None


def test_keys_and_certificates_go_by_our_own_clock_whatever_the_api_server_says(world: World) -> None:
    for ours in (0.0, 600.0, -600.0):
        world.ours = ours
        assert world.clock.local_now() == datetime.fromtimestamp(START + world.passed + ours, UTC)
