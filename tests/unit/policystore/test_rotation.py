"""The rotation: work of many shares in turn, by a clock that the test moves."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.steps import Steps
from bailiwick_policystore.rotation import TURN_SECONDS, FairRotation


class World:
    """A clock, and what was done by it: which share worked when, a step after the other."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.ended: dict[str, float] = {}
        self.rotation: FairRotation[str] = FairRotation(lambda: self.now)

    def job(self, share: str, steps: int, seconds: float) -> Steps[None]:
        for _ in range(steps):
            self.now += seconds
            self.done.append(share)
            yield
        self.ended.setdefault(share, self.now)

    def add(self, share: str, steps: int, seconds: float = TURN_SECONDS / 4) -> None:
        self.rotation.add(share, self.job(share, steps, seconds))

    def play(self) -> None:
        while self.rotation.turn():
            pass


def test_a_share_with_one_small_job_waits_for_one_turn_of_each_other_and_not_for_their_work() -> None:
    world = World()
    for share in "abc":
        world.add(share, 10_000)
    world.add("small", 3)
    while "small" not in world.ended:
        assert world.rotation.turn()
    assert world.ended["small"] <= 4 * TURN_SECONDS + TURN_SECONDS / 4
    assert len(world.rotation) == 3


def test_a_share_that_overruns_its_turn_makes_it_up_by_turns_that_it_misses() -> None:
    world = World()
    world.add("long", 100, 10 * TURN_SECONDS)
    world.add("short", 1000)
    while "short" not in world.ended:
        world.rotation.turn()
    worked = {share: world.done.count(share) for share in ("long", "short")}
    # Half of the time each.
    assert worked["short"] == 1000
    assert worked["long"] == pytest.approx(1000 / 40, abs=2)


def test_whoever_comes_again_and_again_with_one_long_step_gets_no_more_than_a_share() -> None:
    world = World()
    world.add("steady", 4000)
    while "steady" not in world.ended:
        line = world.rotation._lines.get("comes")
        if line is None or not line.jobs:
            world.add("comes", 1, 10 * TURN_SECONDS)
        world.rotation.turn()
    assert world.done.count("comes") * 40 == pytest.approx(4000, rel=0.1)


def test_what_was_overrun_is_forgotten_in_as_much_time_and_when_nobody_else_has_work() -> None:
    world = World()
    world.add("other", 100_000)
    world.add("once", 1, 50 * TURN_SECONDS)
    while "once" not in world.ended:
        world.rotation.turn()
    world.now += 60 * TURN_SECONDS
    world.add("once", 1)
    world.ended.clear()
    world.rotation.turn()
    world.rotation.turn()
    assert "once" in world.ended
    world = World()
    world.add("once", 1, 50 * TURN_SECONDS)
    world.play()
    world.add("other", 10)
    world.add("once", 1)
    world.play()
    assert world.done.index("once", 1) < 7


def test_jobs_of_one_share_go_one_after_the_other() -> None:
    world, order = World(), []

    def job(name: str) -> Iterator[None]:
        for _ in range(5):
            world.now += TURN_SECONDS
            order.append(name)
            yield

    made: Any = job
    world.rotation.add("a", made("first"))
    world.rotation.add("a", made("second"))
    world.rotation.add("b", made("other"))
    world.play()
    assert [name for name in order if name != "other"] == ["first"] * 5 + ["second"] * 5


def test_a_job_that_raises_is_over_and_the_others_go_on() -> None:
    world = World()

    def failing() -> Steps[None]:
        yield
        raise RuntimeError

    world.rotation.add("a", failing())
    world.add("a", 2)
    world.add("b", 2)
    with pytest.raises(RuntimeError):
        world.play()
    world.play()
    assert sorted(world.done) == ["a", "a", "b", "b"]
    assert not world.rotation.turn()


def test_a_job_may_add_another_of_its_own_share_and_of_a_new_one() -> None:
    world = World()

    def adding() -> Steps[None]:
        yield
        world.add("a", 1)
        world.add("b", 1)

    world.rotation.add("a", adding())
    world.play()
    assert sorted(world.done) == ["a", "b"]


shares = st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0.1, 0.5, 1, 7])), min_size=1, max_size=4)


@given(st.lists(shares, min_size=1, max_size=6))
def test_among_those_who_have_work_none_gets_more_than_another_by_more_than_a_step_and_two_turns(
    given_: list[list[tuple[int, float]]],
) -> None:
    world = World()
    for number, jobs in enumerate(given_):
        for steps, turns in jobs:
            world.rotation.add(f"{number}", world.job(f"{number}", steps, turns * TURN_SECONDS))
    longest = max(turns for jobs in given_ for _, turns in jobs) * TURN_SECONDS
    worked = {f"{number}": 0.0 for number in range(len(given_))}
    going = True
    while going:
        before, now = len(world.done), world.now
        going = world.rotation.turn()
        if len(world.done) > before:
            worked[world.done[-1]] += world.now - now
        if len(world.rotation) == len(given_):
            # All of them had work from the beginning.
            assert max(worked.values()) - min(worked.values()) <= longest + 2 * TURN_SECONDS + 1e-9
    assert len(world.done) == sum(steps for jobs in given_ for steps, _ in jobs)
