"""Limits give the verdicts of another language for rules over what was done before: Dogwood, by its own interpreter.

The languages overlap in limits of `count` and `sum` over a bounded window, by principal. Both count the call itself.
They differ in two ways, which the runs take care of:

- A `request` event of Dogwood counts whether it was let through or not, and a history counts what was let through. So
  Dogwood is given the calls that were let through, and one that is denied stands in no later trace.
- A window of Dogwood ends to the second (what is exactly as old as the window is in), and that of a history up to a
  64th later. So a call that is older than the window, in a slot that is not over, may deny here what Dogwood lets
  through. Nothing is left out for that: Dogwood is asked a second time with each such call as old as the window, no
  older, and that must be the verdict here. Where there is no such call, the first answer must be.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import msgspec
import pytest
from dogwood import native
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.history import commit as commits, needs
from bailiwick_engine.history.commit import ClockBounds, WaitingCall, commit
from bailiwick_engine.history.state import KeyState, Slot
from bailiwick_engine.history.windows import SLOTS, live_slots, slot_length
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.histories import SlidingWindow
from bailiwick_engine.policy.snapshot import Snapshot
from support.histories import entry_id
from support.objects import ENDPOINT, rule, settings
from unit.engine.cases import CALL, governed

FEW: Final = range(100)
MANY: Final = range(1_000)
SECOND: Final = 1_000
EXPORT: Final = "customers.export"
START: Final = 1_764_439_200
AGENTS: Final = ("ada", "bob", "cem")
WINDOWS: Final = {"1m": 60, "7m": 420, "1h": 3_600, "24h": 86_400}
SCHEMA: Final = f"""
entity Agent;
entity Customer;
action "{EXPORT}" appliesTo {{
  principal: [Agent], resource: [Customer], context: {{ input: {{ amount: Long }} }}
}};
"""
EVENT: Final = f'Action::"{EXPORT}"::request'


@dataclass(frozen=True)
class BothLimits:
    """A limit in both languages. `most`: of calls, and of the sum of their amounts; None: no such limit."""

    window: str
    count: int | None
    total: int | None

    @property
    def seconds(self) -> int:
        """The length of the window."""
        return WINDOWS[self.window]

    @property
    def dogwood(self) -> str:
        """The policy of Dogwood. Its events are those of the same principal, as its default schema has it."""
        limits = []
        if self.count is not None:
            limits.append(f"count_within({self.window}, {EVENT}{{}}) <= {self.count}")
        if self.total is not None:
            limits.append(f"sum_within(a, {self.window}, {EVENT}{{input.amount: a}}) <= {self.total}")
        return f'permit(principal, action == Action::"{EXPORT}", resource) when temporal {{ {" && ".join(limits)} }};'

    @property
    def snapshot(self) -> Snapshot:
        """The endpoint with the history, and the rule that reads it."""
        history: dict[str, Any] = {
            "name": "exports",
            "key": ["subject"],
            "window": self.window,
            "counts": {"actions": [EXPORT]},
            "amount": {"of": "context.args.amount", "digits": 0},
        }
        limits = [] if self.count is None else [f"history.exports.count <= {self.count}"]
        limits += [] if self.total is None else [f"history.exports.sum <= {self.total}"]
        conditions = [{"name": "limit", "expression": " && ".join(limits)}]
        export = rule("export", actions=[EXPORT], subjects=list(AGENTS), conditions=conditions)
        subjects = [{"name": name, "serviceAccount": {"namespace": "agents", "name": name}} for name in AGENTS]
        return governed(export, subjects=subjects, endpointSettings={**settings(), "history": [history]})


class TraceCall(msgspec.Struct, frozen=True):
    """A call. `time` is in seconds."""

    time: int
    agent: str
    amount: int

    @property
    def event(self) -> str:
        """The call as a line of a trace."""
        scope = f'principal: Agent::"{self.agent}", resource: Customer::"42"'
        fields = (
            f'callerPrincipal: Agent::"{self.agent}", callerResource: Customer::"42", requestId: "r", sessionId: "s", '
            f"input: {{amount: {self.amount}}}"
        )
        return f"@{self.time} scope({scope}) {EVENT}({fields})"

    @property
    def call(self) -> Call:
        """The call as the engine has it."""
        username = f"system:serviceaccount:agents:{self.agent}"
        subject = Party("serviceAccount", username, f"{self.agent}-uid")
        return replace(
            CALL, subject=subject, context={"args": {"amount": self.amount}}, action=replace(CALL.action, name=EXPORT)
        )


@dataclass
class CountingEngine:
    """The engine, over states in memory."""

    snapshot: Snapshot
    states: dict[str, KeyState] = field(default_factory=dict)
    asked: int = 0

    def lets_through(self, asked: TraceCall) -> bool:
        """Judge a call by the state of its key, and count it if it is let through."""
        call, now = asked.call, asked.time * SECOND
        needed = decide(self.snapshot, call, (), Circumstances(asked.time)).needs
        assert needed is not None
        (need,) = needed.objects

        def passes(numbers: Mapping[str, HistoryNumbers]) -> bool:
            readings = HistoryReadings(numbers, counted=True)
            verdict = decide(self.snapshot, call, (), Circumstances(asked.time, history=readings))
            return verdict.outcome is Outcome.ALLOW

        state = self.states.get(need.name) or KeyState(ENDPOINT, need.key)
        self.asked += 1
        state, (done,) = commit(state, [WaitingCall(need, entry_id(self.asked), passes)], ClockBounds(now, now))
        self.states[need.name] = state
        return done.passed


def dogwood_verdict(limit: BothLimits, before: Sequence[TraceCall], asked: TraceCall) -> bool:
    """Return what Dogwood says of a call after these."""
    trace = "\n".join(one.event for one in (*before, asked))
    last = native.replay(limit.dogwood, SCHEMA, trace).splitlines()[-1]
    assert last.startswith(f"@{asked.time} (time point {len(before)}): "), last
    return {"true": True, "false": False}[last.rsplit(" ", 1)[1]]


def is_left_over(limit: BothLimits, one: TraceCall, asked: TraceCall) -> bool:
    """Tell whether a call is older than the window, and may still be in a slot that is not over. In milliseconds."""
    slot = -(-limit.seconds * SECOND // SLOTS)
    end = asked.time * SECOND - limit.seconds * SECOND
    return one.time * SECOND < end < (one.time * SECOND // slot + 1) * slot


def drawn_limit(rng: Random) -> BothLimits:
    count, total = rng.randint(1, 5), rng.randint(1, 60)
    kind = rng.choice(("count", "sum", "both"))
    return BothLimits(rng.choice(tuple(WINDOWS)), None if kind == "sum" else count, None if kind == "count" else total)


def drawn_calls(rng: Random, limit: BothLimits) -> Iterator[TraceCall]:
    """Draw calls, many of them about when an earlier one leaves the window."""
    time, times = START + rng.randrange(limit.seconds), [START]
    for _ in range(rng.randint(5, 30)):
        edge = rng.choice(times) + limit.seconds + rng.choice((-1, 0, 1, rng.randint(0, limit.seconds // SLOTS + 1)))
        step = time + rng.choice((0, 1, rng.randint(0, limit.seconds // 3)))
        time = edge if edge >= time and rng.random() < 0.4 else step
        times.append(time)
        yield TraceCall(time, rng.choice(AGENTS), rng.choice((0, 1, rng.randint(0, 30))))


@dataclass
class VerdictComparison:
    """What was seen: verdicts here, by what they were, and where the other one differs from what is expected."""

    seen: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[int, TraceCall]] = field(default_factory=list)


def compare(seeds: Sequence[int]) -> VerdictComparison:
    """Compare the verdicts of a trace for each seed. A trace ends at its first difference."""
    comparison = VerdictComparison()
    for seed in seeds:
        rng = Random(seed)  # noqa: S311 - a run that can be repeated
        limit = drawn_limit(rng)
        ours, passed = CountingEngine(limit.snapshot), list[TraceCall]()
        for asked in drawn_calls(rng, limit):
            verdict, theirs = ours.lets_through(asked), dogwood_verdict(limit, passed, asked)
            left = [one for one in passed if one.agent == asked.agent and is_left_over(limit, one, asked)]
            expected = theirs
            if left:
                comparison.seen["later"] += theirs and not verdict
                moved = [replace(one, time=asked.time - limit.seconds) if one in left else one for one in passed]
                expected = dogwood_verdict(limit, sorted(moved, key=lambda one: one.time), asked)
            if verdict is not expected or verdict > theirs:
                comparison.differences.append((seed, asked))
                break
            comparison.seen["allowed" if verdict else "denied"] += 1
            if verdict:
                passed.append(asked)
    return comparison


@pytest.mark.parametrize(("count", "total"), [(1, 10), (1, None), (None, 10)])
def test_dogwood_accepts_the_policy(count: int | None, total: int | None) -> None:
    found = native.validate_policy(BothLimits("1h", count, total).dogwood, SCHEMA)
    assert (found["passed"], found["errors"], found["warnings"]) == (True, [], [])


def test_limits_have_the_verdicts_of_dogwood() -> None:
    comparison = compare(FEW)
    assert comparison.differences == []
    # Nothing is shown by runs in which a limit is never full, never has room, or never ends later.
    assert min(comparison.seen["allowed"], comparison.seen["denied"]) > 200
    assert comparison.seen["later"] > 5


@pytest.mark.long
def test_limits_have_the_verdicts_of_dogwood_in_many_traces() -> None:
    comparison = compare(MANY)
    assert comparison.differences == []
    assert comparison.seen["later"] > 50


def shifted(parts: int) -> Callable[[SlidingWindow, Sequence[Slot], int], tuple[Slot, ...]]:
    """Return how slots are dropped so many slots too early; negative: too late."""
    return lambda window, slots, earliest: live_slots(window, slots, earliest + parts * slot_length(window))


WITHOUT: Final[dict[str, tuple[object, str, object]]] = {
    "a count": (CountingEngine, "lets_through", lambda *_: True),
    "the whole window": (commits, "live_slots", shifted(1)),
    "its end": (commits, "live_slots", shifted(-1)),
    "the amount of this call": (needs, "_total", lambda *_: 0),
}


@pytest.mark.parametrize("missing", WITHOUT)
def test_a_difference_is_seen_without(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*WITHOUT[missing])
    assert any(compare([seed]).differences for seed in FEW)
