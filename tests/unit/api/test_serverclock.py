"""Two clocks, and what the answers of the API server tell of them."""

from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_api.serverclock import MAX_SKEW, ServerClock, read_date

START: Final = 1_900_000_000.0


@dataclass
class World:
    """The time that passes, and by how much our clock, and the API server's, are ahead of it."""

    ours: float = 0.0
    theirs: float = 0.0
    passed: float = 5000.0
    clock: ServerClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = ServerClock(lambda: START + self.passed + self.ours, lambda: self.passed)

    def answer(self, *, before: float = 0.002, after: float = 0.003) -> None:
        """Let the API server answer: it writes the header so long after the request, and that arrives so long after."""
        began = self.passed
        self.passed += before
        date = float(int(START + self.passed + self.theirs))
        self.passed += after
        self.clock.record_answer(date, began)

    def answers(self, count: int) -> None:
        for _ in range(count):
            self.passed += 0.37
            self.answer()


def test_before_the_first_answer_nobody_knows_whether_they_agree() -> None:
    world = World()
    assert (world.clock.agree, world.clock.ahead) == (False, None)
    assert "not yet returned its time" in (world.clock.problem or "")
    assert world.clock.latest() == START + world.passed


@pytest.mark.parametrize(
    ("apart", "agree"),
    [(0, True), (28, True), (-28, True), (29.8, True), (-29.8, True), (30.2, False), (-30.2, False), (600, False)],
)
def test_thirty_seconds_are_borne_in_either_direction(apart: float, agree: bool) -> None:
    world = World(ours=apart)
    world.answers(20)
    assert world.clock.agree is agree
    assert world.clock.ahead == pytest.approx(apart, abs=0.1)
    assert (world.clock.problem is None) is agree


@pytest.mark.parametrize("apart", [-600.0, 600.0])
def test_it_says_in_which_direction_and_by_how_much(apart: float) -> None:
    world = World(ours=apart)
    world.answers(3)
    way = "ahead of" if apart > 0 else "behind"
    assert world.clock.problem == f"this clock is 600 s {way} the API server's clock; the limit is 30 s"


@pytest.mark.parametrize("step", [-600.0, 31.5, 172_800.0])
def test_a_step_of_our_clock_shows_before_anything_is_answered(step: float) -> None:
    world = World()
    world.answers(10)
    assert world.clock.agree
    world.ours += step
    assert not world.clock.agree
    world.ours -= step
    assert world.clock.agree


def test_a_step_of_the_api_servers_clock_shows_with_its_next_answer_and_so_does_its_return() -> None:
    world = World()
    world.answers(10)
    for theirs, agree in ((-600.0, False), (0.0, True), (40.0, False), (0.0, True)):
        world.theirs = theirs
        world.answer()
        assert world.clock.agree is agree


def test_an_answer_that_took_long_says_less_and_takes_nothing_back() -> None:
    world = World(ours=25)
    world.answers(20)
    world.answer(before=0.1, after=9.0)
    assert world.clock.agree
    assert world.clock.ahead == pytest.approx(25, abs=0.2)


def test_an_answer_without_a_date_says_nothing() -> None:
    world = World()
    world.clock.record_answer(None, world.passed)
    assert world.clock.ahead is None


@pytest.mark.parametrize("ours", [-25.0, 0.0, 25.0, -600.0, 600.0])
def test_the_latest_time_is_never_before_what_the_api_server_stamps(ours: float) -> None:
    world = World(ours=ours)
    for _ in range(30):
        world.passed += 0.13
        world.answer()
        theirs = START + world.passed + world.theirs
        assert world.clock.latest() >= theirs
        assert world.clock.latest() <= theirs + (max(ours, 0.0) if abs(ours) <= MAX_SKEW else 0.0) + 1.1


@given(
    ours=st.floats(-100, 100),
    steps=st.lists(st.tuples(st.floats(0, 30), st.floats(0.0001, 3), st.floats(0.0001, 3)), min_size=1, max_size=20),
)
def test_clocks_that_agree_are_at_most_so_far_apart(ours: float, steps: list[tuple[float, float, float]]) -> None:
    world = World(ours=ours)
    for pause, before, after in steps:
        world.passed += pause
        world.answer(before=before, after=after)
        assert not world.clock.agree or abs(ours) <= MAX_SKEW + 1e-6
        # And where an answer is quick, they agree as soon as they are a little nearer.
        assert world.clock.agree or abs(ours) > MAX_SKEW - 1.0 - max(before + after for _, before, after in steps)


def after_answers(ours: float, steps: list[tuple[float, float, float]], since: float) -> World:
    """Return a world whose API server, 1.7 s ahead, has answered so, and was silent from then on."""
    world = World(ours=ours, theirs=1.7)
    for pause, before, after in steps:
        world.passed += pause
        world.answer(before=before, after=after)
    world.passed += since
    return world


STEPS: Final = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=20)


@given(st.builds(after_answers, st.floats(-25, 25), STEPS, st.floats(0, 600)))
def test_the_api_servers_clock_is_within_its_bounds(world: World) -> None:
    bounds = world.clock.bounds()
    if bounds is not None:
        assert bounds[0] <= START + world.passed + 1.7 <= bounds[1]


# Not for long without an answer: as of `latest`, drift is no part of `later`.
@given(st.builds(after_answers, st.floats(-100, 100), STEPS, st.floats(0, 60)))
def test_no_clock_alone_prolongs_what_ends_by_the_later_or_ends_what_ends_by_the_earliest(world: World) -> None:
    theirs = START + world.passed + 1.7
    earliest, later = world.clock.span()
    assert later == world.clock.later() >= max(theirs - 1e-6, world.clock.wall())
    assert earliest == world.clock.earliest() <= min(theirs, world.clock.wall())
    assert (earliest == float("-inf")) is not world.clock.agree


@pytest.mark.parametrize("ahead", [-28.0, 28.0])
def test_one_answer_of_an_api_server_whose_clock_is_off_moves_neither_end_beyond_ours(ahead: float) -> None:
    world = World()
    world.answers(10)
    world.theirs = ahead
    world.answer()
    earliest, later = world.clock.span()
    assert world.clock.agree
    assert earliest <= START + world.passed <= later


def test_before_the_first_answer_ours_is_the_later_and_nothing_is_surely_past() -> None:
    world = World()
    assert world.clock.span() == (float("-inf"), START + world.passed)


def test_there_are_no_bounds_where_clocks_do_not_agree() -> None:
    world = World()
    assert world.clock.bounds() is None
    world.answers(3)
    assert world.clock.bounds() is not None
    world.ours = 600
    assert world.clock.bounds() is None


@pytest.mark.parametrize("header", [None, "yesterday", f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", ""])
def test_what_is_no_date_is_none(header: str | None) -> None:
    assert read_date(header) is None


def test_a_date_is_seconds_since_the_epoch() -> None:
    assert read_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777
