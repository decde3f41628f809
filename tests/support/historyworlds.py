"""Endpoints that the laws of histories are shown on, and what must truly hold of each.

Holds: what holds is worked out by brute force, from the true times of what passed, and never from a state.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.needs import HistoryNeeds
from bailiwick_engine.history.state import CALL_DIGITS
from bailiwick_engine.history.windows import period_start
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import Amount, CalendarWindow, CompiledHistory, SlidingWindow
from support.histories import DAY, MINUTE, history
from support.historysimulation import START, CallKind, Faults, PassedCall, Simulation, object_need
from support.historysteps import Numbers

LONG: Final = 31 * DAY
Violations = list[str]
Check = Callable[[Simulation], Violations]


@dataclass(frozen=True)
class World:
    """Kinds of calls, and what must hold of those that passed.

    `places`: of a limit on one key that nothing frees. `ends`: a period of the calendar may end in the run.
    """

    kinds: tuple[CallKind, ...]
    check: Check
    places: int | None = None
    start: int = START
    ends: bool = False


def limited(name: str, limit: int) -> Callable[[Numbers], bool]:
    """Return the rule `history.NAME.count <= LIMIT`."""
    return lambda numbers: name in numbers and numbers[name].count <= limit


def one_key(rng: Random, window: int) -> World:
    """A limit on the calls of one key."""
    limit = rng.randint(1, 4)
    counted = history("a", SlidingWindow(window))
    kind = CallKind("a", HistoryNeeds((object_need(0, (counted,)),)), limited("a", limit))
    return World((kind,), lambda run: over_limit(run, counted, limit), limit if window == LONG else None)


def sums(rng: Random, window: int) -> World:
    """A limit on the sum of the amounts of one key."""
    limit = rng.randint(4, 12)
    summed = history("a", SlidingWindow(window), amount=Amount(("context", "amount"), 0))

    def passes(numbers: Numbers) -> bool:
        return "a" in numbers and (numbers["a"].total or 0) <= limit

    kind = CallKind("a", HistoryNeeds((object_need(0, (summed,)),)), passes)
    return World((kind,), lambda run: over_sum(run, summed, limit))


def two_keys(rng: Random, window: int) -> World:
    """A limit on each of two keys; some calls count in both."""
    most = {"a": rng.randint(1, 4), "b": rng.randint(1, 4)}
    counted = {name: history(name, SlidingWindow(window)) for name in most}
    a, b = (object_need(number, (counted[name],)) for number, name in enumerate("ab"))
    both = CallKind(
        "ab", HistoryNeeds((a, b)), lambda numbers: all(limited(name, most[name])(numbers) for name in most)
    )
    alone = (CallKind(name, HistoryNeeds((need,)), limited(name, most[name])) for name, need in (("a", a), ("b", b)))
    return World(
        (both, both, *alone),
        lambda run: [one for name in most for one in over_limit(run, counted[name], most[name])],
    )


def joint_limit(rng: Random, window: int) -> World:
    """A limit on what two keys have together; a call counts in either or in both, and reads both."""
    limit = rng.randint(1, 4)
    counted = {name: history(name, SlidingWindow(window)) for name in "ab"}

    def passes(numbers: Numbers) -> bool:
        return {"a", "b"} <= numbers.keys() and numbers["a"].count + numbers["b"].count <= limit

    kinds = tuple(
        CallKind(
            adds,
            HistoryNeeds(
                tuple(
                    object_need(
                        number, (counted[name],) if name in adds else (), () if name in adds else (counted[name],)
                    )
                    for number, name in enumerate("ab")
                )
            ),
            passes,
        )
        for adds in ("a", "b", "ab")
    )
    return World(kinds, lambda run: over_joint_limit(run, list(counted.values()), passes))


def calendar(rng: Random, window: int) -> World:
    """A limit on the calls of an hour, around the end of one."""
    limit = rng.randint(1, 3)
    zone = rng.choice(("UTC", "Asia/Kathmandu"))
    hourly = history("a", CalendarWindow("Hour", zone))
    kind = CallKind("a", HistoryNeeds((object_need(0, (hourly,)),)), limited("a", limit))
    edge = START if zone == "UTC" else START + 15 * MINUTE
    return World((kind,), lambda run: over_period(run, hourly, limit), start=edge - rng.randint(0, 20_000), ends=True)


def cool_down(rng: Random, window: int) -> World:
    """So many seconds between two calls of a key."""
    seconds = rng.randint(5, 20)
    counted = history("a", SlidingWindow(window))

    def passes(numbers: Numbers) -> bool:
        return "a" in numbers and (numbers["a"].age is None or numbers["a"].age >= seconds)

    kind = CallKind("a", HistoryNeeds((object_need(0, (counted,)),)), passes)
    return World((kind,), lambda run: too_soon(run, "a", (seconds - 1) * 1_000 - 2 * run.spread))


WORLDS: Final[Mapping[str, Callable[[Random, int], World]]] = {
    "one key": one_key,
    "sums": sums,
    "two keys": two_keys,
    "a joint limit": joint_limit,
    "a calendar": calendar,
    "a cool-down": cool_down,
}


# ---------------------------------------------------------------------- what must truly hold


def over_limit(run: Simulation, counted: CompiledHistory, limit: int) -> Violations:
    """Return each true window with more calls than the limit."""
    times = sorted((one.times[counted.name], one.call.number) for one in run.passed if counted.name in one.times)
    length = _length(counted)
    return [
        f"{counted.name}: {len(held)} calls within {length} ms before {end}, at most {limit}"
        for end, _ in times
        if len(held := {number for time, number in times if end - length < time <= end}) > limit
    ]


def over_sum(run: Simulation, summed: CompiledHistory, limit: int) -> Violations:
    """Return each true window with a larger sum than the limit."""
    amounts = {call.number: call.amount for call in run.calls}
    times = sorted((one.times[summed.name], one.call.number) for one in run.passed)
    length = _length(summed)
    found = []
    for end, _ in times:
        held = {number for time, number in times if end - length < time <= end}
        if (total := sum(amounts[number] for number in held)) > limit:
            found.append(f"{summed.name}: {total} within {length} ms before {end}, at most {limit}")
    return found


def over_joint_limit(
    run: Simulation, counted: Iterable[CompiledHistory], passes: Callable[[Numbers], bool]
) -> Violations:
    """Return each call that passed though its rule did not hold for those that were decided before it."""
    found = []
    histories = list(counted)
    for last in run.passed:
        before = [one for one in run.passed if one.decided <= last.decided]
        numbers = {one.name: HistoryNumbers(len(_counting(before, one, last))) for one in histories}
        if not passes(numbers):
            found.append(f"{numbers} at {last.decided}")
    return found


def _counting(before: Iterable[PassedCall], counted: CompiledHistory, last: PassedCall) -> set[int]:
    over = last.moments[counted.name] - _length(counted)
    return {one.call.number for one in before if one.times.get(counted.name, over) > over}


def over_period(run: Simulation, hourly: CompiledHistory, limit: int) -> Violations:
    """Return each true period with more calls than the limit."""
    assert isinstance(hourly.window, CalendarWindow)
    held: dict[int, set[int]] = {}
    for one in run.passed:
        held.setdefault(period_start(hourly.window, one.times[hourly.name]), set()).add(one.call.number)
    return [f"{len(calls)} calls in {start}, at most {limit}" for start, calls in held.items() if len(calls) > limit]


def too_soon(run: Simulation, name: str, least: int) -> Violations:
    """Return each two calls that passed within so many milliseconds."""
    times = sorted((one.times[name], one.call.number) for one in run.passed)
    return [
        f"{second - first} ms apart, at least {least}"
        for place, (first, number) in enumerate(times)
        for second, other in times[place + 1 :]
        if other != number and second - first < least
    ]


def miscounted(world: World, run: Simulation) -> Violations:
    """Return where the store does not hold each call that passed once, or holds one for no reason.

    Only of runs in which nothing is out of a sliding window, nor dropped from the latest entries. A call that did not
    pass is there for a reason if an answer got lost, a replica died, or its client did not wait.
    """
    found: Violations = []
    passed = {one.call.number for one in run.passed}
    for call in run.calls:
        for need in call.needs.objects:
            state = run.state(need.name)
            entries = (
                [] if state is None else [one for one in state.recent if one.id.startswith(call.entry(0)[:CALL_DIGITS])]
            )
            wanted = bool(need.adds) and call.number in passed
            if wanted and len(entries) != 1:
                found.append(f"call {call.number} passed and stands {len(entries)} times in {need.name}")
            if entries and not wanted and not call.disturbed:
                found.append(f"call {call.number} did not pass and stands in {need.name}")
    for name in () if world.ends else run.objects:
        state = run.state(name)
        assert state is not None
        shares = [share for entry in state.recent for share in entry.shares]
        for digest, line in state.lines.items():
            own = [share for share in shares if share.line == digest]
            held = (sum(slot.count for slot in line.slots), sum(slot.total for slot in line.slots))
            if held != (len(own), sum(share.total for share in own)):
                found.append(f"{name}: the slots hold {held}, the entries {len(own)}")
    return found


def run_world(
    seed: str,
    world: str,
    *,
    window: int,
    calm: bool = False,
    last_look: bool = True,
    unversioned: bool = False,
    own_ends: bool = True,
    bend: Callable[[ClockBounds], ClockBounds] = lambda bounds: bounds,
) -> tuple[World, Simulation]:
    """Run a world that is drawn from a seed. `calm`: nothing goes wrong."""
    rng = Random(seed)  # noqa: S311 - a run that can be repeated
    made = WORLDS[world](rng, window)
    faults = Faults()
    if not calm:
        faults = Faults(
            lost=rng.choice((0, 0.02, 0.1)),
            late=rng.choice((0, 0.05)),
            crash=rng.choice((0, 0.05)),
            again=rng.choice((0, 0.1)),
            # A call that is sent again later is another one, and stands there twice.
            patience=3_000 if window == LONG else 40_000,
        )
    run = Simulation(
        rng,
        made.kinds,
        calls=rng.randint(4, 24 if window == LONG else 40),
        replicas=rng.randint(1, 3),
        spread=rng.choice((0, 300, 5_000)),
        spacing=rng.choice((20, 2_000, 12_000)) if window != LONG else 50,
        faults=faults,
        leap=0 if window == LONG else window,
        last_look=last_look,
        unversioned=unversioned,
        own_ends=own_ends,
        bend=bend,
        start=made.start,
    )
    run.run()
    return made, run


def run_in_turn(seed: str, world: str, *, window: int, replicas: int, resend: bool = False) -> Simulation:
    """Run a world in which each call is answered before the next one comes, and every replica knows the time."""
    rng = Random(seed)  # noqa: S311 - a run that can be repeated
    made = WORLDS[world](rng, window)
    run = Simulation(
        rng,
        made.kinds,
        calls=rng.randint(10, 40),
        replicas=replicas,
        spread=0,
        spacing=0,
        faults=Faults(),
        apart=rng.choice((10, 700, 5_000)) if window != LONG else 100,
        resend=resend,
        start=made.start,
    )
    run.run()
    return run


def _length(counted: CompiledHistory) -> int:
    assert isinstance(counted.window, SlidingWindow)
    return counted.window.milliseconds
