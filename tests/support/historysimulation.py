"""A simulation of replicas that count calls at one API server, and a book of what truly happened.

Holds: everything is drawn from one seed. The API server stores texts at versions; requests and answers get lost, come
late, and replicas die at any moment; each replica knows the API server's clock within bounds only. What is counted is
counted by the engine's own functions. `Replica` and `reserve` do what the decision point does.
"""

import heapq
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final

from bailiwick_engine.history import commit as commits
from bailiwick_engine.history.commit import ClockBounds, CommittedCall, WaitingCall
from bailiwick_engine.history.needs import Addition, HistoryNeeds, ObjectNeed
from bailiwick_engine.history.state import KeyState, parse_state, state_spec
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import CompiledHistory
from support.histories import entry_id
from support.historysteps import Count, Look, Passes, Step, TakeOut, reserve

START: Final = 1_764_439_200_000
TIMEOUT: Final = 2_000


@dataclass(frozen=True)
class CallKind:
    """Calls that need the same. `adds` and `reads` by object; `passes` is the rule that they are judged by."""

    name: str
    needs: HistoryNeeds
    passes: Passes


@dataclass(frozen=True)
class Faults:
    """How often something goes wrong. `patience`: after how many milliseconds a client tries again at the latest."""

    lost: float = 0.0
    late: float = 0.0
    crash: float = 0.0
    again: float = 0.0
    patience: int = 40_000

    @property
    def any(self) -> bool:
        """Whether anything goes wrong at all."""
        return bool(self.lost or self.late or self.crash or self.again)


@dataclass
class SimulatedCall:
    """One call. `disturbed`: an answer on its way was lost, a replica died, or it was sent twice."""

    number: int
    kind: CallKind
    amount: int
    attempts: int = 0
    verdicts: list[bool | None] = field(default_factory=list)
    disturbed: bool = False

    def entry(self, attempt: int) -> str:
        """Return the id of an attempt's entry."""
        return entry_id(self.number, attempt)

    @property
    def needs(self) -> HistoryNeeds:
        """What the call needs, with its own amount."""
        return HistoryNeeds(
            tuple(
                ObjectNeed(
                    one.name,
                    one.key,
                    one.reads,
                    tuple(Addition(add.history, 0 if add.history.amount is None else self.amount) for add in one.adds),
                )
                for one in self.kind.needs.objects
            )
        )


@dataclass(frozen=True)
class PassedCall:
    """An attempt that passed. `times`: the true time at which it was counted, by the name of each history.

    `asked`: when it began to look a last time; None: it did not. `moments`: the true time of its numbers, by history.
    """

    call: SimulatedCall
    times: Mapping[str, int]
    asked: int | None
    moments: Mapping[str, int]

    @property
    def decided(self) -> int:
        """The time after which no write of this call counts for it any more."""
        return max(self.times.values()) if self.asked is None else self.asked


class Simulation:
    """One run.

    `spread`: by how much a replica may err about the time. `spacing`: how far apart calls come at most, but for some
    that come about `leap` after the one before. With `apart`, each comes so long after the one before, when that has
    been answered, and no message takes any time. `resend`: each call that passes is sent again at once. `last_look`,
    `unversioned`, `own_ends` and `bend` take away what the laws rest on.
    """

    def __init__(
        self,
        rng: Random,
        kinds: Iterable[CallKind],
        *,
        calls: int,
        replicas: int,
        spread: int,
        spacing: int,
        faults: Faults,
        leap: int = 0,
        apart: int | None = None,
        resend: bool = False,
        last_look: bool = True,
        unversioned: bool = False,
        own_ends: bool = True,
        bend: Callable[[ClockBounds], ClockBounds] = lambda bounds: bounds,
        start: int = START,
    ) -> None:
        self.rng, self.faults, self.spread = rng, faults, spread
        self.last_look, self.unversioned, self.own_ends, self.bend = last_look, unversioned, own_ends, bend
        self.pace, self.resend = (15 if apart is None else 0), resend
        self.now = start
        self.objects: dict[str, tuple[int, dict[str, Any]]] = {}
        self.passed: list[PassedCall] = []
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._ties = 0
        self.replicas = [Replica(self) for _ in range(replicas)]
        listed = list(kinds)
        self.calls = [SimulatedCall(number, rng.choice(listed), rng.randint(0, 5)) for number in range(calls)]
        moment = 0
        for call in self.calls:
            gap = rng.choice((0, 0, 0, rng.randint(0, 50), rng.randint(0, spacing)))
            if leap and rng.random() < 0.15:
                gap = max(leap + rng.randint(-8_000, 4_000), 0)
            moment += gap if apart is None else apart
            self.later(moment, partial(self.send, call))
        for _ in range(calls):
            if rng.random() < faults.crash:
                self.later(rng.randint(0, moment + 2_000), lambda: rng.choice(self.replicas).crash())

    def run(self) -> None:
        """Run until nothing is left to do."""
        while self._events:
            time, _, work = heapq.heappop(self._events)
            self.now = max(self.now, time)
            work()

    def later(self, delay: int, work: Callable[[], None]) -> None:
        """Do something after so many milliseconds."""
        self._ties += 1
        heapq.heappush(self._events, (self.now + delay, self._ties, work))

    def moment(self) -> ClockBounds:
        """Return what a replica knows of the time."""
        return self.bend(
            ClockBounds(self.now - self.rng.randint(0, self.spread), self.now + self.rng.randint(0, self.spread))
        )

    def delay(self) -> int:
        """Return how long a message takes."""
        if self.rng.random() < self.faults.late:
            return self.rng.randint(0, 2 * TIMEOUT)
        return self.rng.randint(0, self.pace)

    # ------------------------------------------------------------------ the clients

    def send(self, call: SimulatedCall) -> None:
        """Send a call, or send it again."""
        call.attempts += 1
        self.rng.choice(self.replicas).start(call)
        if self.rng.random() < self.faults.again:
            self.send_again(call)

    def finish(self, attempt: "_Attempt", *, verdict: bool | None) -> None:
        """Take a verdict; the answer may get lost on its way."""
        call = attempt.call
        call.verdicts.append(verdict)
        if verdict:
            self.passed.append(PassedCall(call, attempt.times, attempt.asked, attempt.moments))
        if self.resend and verdict and call.attempts == 1:
            self.later(0, lambda: self.send(call))
        if verdict is None or self.rng.random() < self.faults.lost:
            self.send_again(call)

    def send_again(self, call: SimulatedCall) -> None:
        """Let the client give up, or try again after a while."""
        call.disturbed = True
        if call.attempts < 4 and self.rng.random() < 0.8:
            self.later(
                self.rng.choice((0, self.rng.randint(0, 500), self.rng.randint(0, self.faults.patience))),
                lambda: self.send(call),
            )

    # ------------------------------------------------------------------ the API server

    def read(self, name: str, then: Callable[[tuple[int, KeyState] | None], None], empty: KeyState) -> None:
        """Read an object; None: the answer got lost."""
        if self.rng.random() < self.faults.lost:
            self.later(TIMEOUT, lambda: then(None))
            return

        def answer() -> None:
            version, spec = self.objects.get(name, (0, None))
            state = empty if spec is None else parse_state(spec)
            assert state is not None, spec
            self.later(self.delay(), lambda: then((version, state)))

        self.later(self.delay(), answer)

    def write(self, name: str, version: int, state: KeyState, then: Callable[[int | None], None]) -> None:
        """Write an object at a version. The answer is the new version, 0 after a conflict, None where it got lost."""
        spec = state_spec(state)
        delay = self.delay()
        answered = False

        def answer(result: int | None) -> None:
            nonlocal answered
            if not answered:
                answered = True
                then(result)

        def apply() -> None:
            held = self.objects.get(name, (0, None))[0]
            if held != version and not self.unversioned:
                result = 0
            else:
                result = held + 1
                self.objects[name] = (result, spec)
            if self.rng.random() >= self.faults.lost:
                self.later(self.delay(), lambda: answer(result))

        if self.rng.random() >= self.faults.lost:
            self.later(delay, apply)
        if self.faults.any:
            self.later(TIMEOUT, lambda: answer(None))

    def state(self, name: str) -> KeyState | None:
        """Return what an object holds."""
        held = self.objects.get(name)
        return None if held is None else parse_state(held[1])


@dataclass
class _Attempt:
    """A call that a replica works on; see `PassedCall`."""

    call: SimulatedCall
    steps: Generator[Step, Any, bool | None]
    life: int
    entry: str
    times: dict[str, int] = field(default_factory=dict)
    asked: int | None = None
    moments: dict[str, int] = field(default_factory=dict)


@dataclass
class _WaitingAnswer:
    attempt: _Attempt
    waiting: WaitingCall
    came: int


class Replica:
    """A decision point. `life` counts how often it died."""

    def __init__(self, world: Simulation) -> None:
        self.world = world
        self.life = 0
        self.workers: dict[str, _Worker] = {}
        self.attempts: list[_Attempt] = []

    def crash(self) -> None:
        """Die, and start anew with nothing."""
        self.life += 1
        self.workers = {}
        lost, self.attempts = self.attempts, []
        for attempt in lost:
            attempt.call.verdicts.append(None)
            self.world.send_again(attempt.call)

    def start(self, call: SimulatedCall) -> None:
        """Begin to count a call."""
        steps = reserve(call.needs, call.kind.passes, last_look=self.world.last_look)
        entry = call.entry(call.attempts if self.world.own_ends else 0)
        attempt = _Attempt(call, steps, self.life, entry)
        self.attempts.append(attempt)
        self._go_on(attempt, None)

    def _go_on(self, attempt: _Attempt, answer: object) -> None:
        if attempt.life != self.life:
            return
        try:
            step = attempt.steps.send(answer)
        except StopIteration as end:
            self.attempts.remove(attempt)
            self.world.finish(attempt, verdict=end.value)
            return
        match step:
            case Look(needs, last):
                self._look(attempt, needs, last=last)
            case Count(need, passes):
                self._worker(need).add(
                    _WaitingAnswer(attempt, WaitingCall(need, attempt.entry, passes), self.world.now)
                )
            case TakeOut(need):
                self._take_out(attempt, need, 0)

    def counted(self, waiting: _WaitingAnswer, result: CommittedCall | None, judged: int) -> None:
        """Take what became of a call in one object."""
        if result is None:
            waiting.attempt.call.disturbed = True
        elif result.passed:
            for addition in waiting.waiting.need.adds:
                waiting.attempt.times[addition.history.name] = judged
        self._go_on(waiting.attempt, result)

    def _worker(self, need: ObjectNeed) -> "_Worker":
        return self.workers.setdefault(need.name, _Worker(self, need))

    def _look(self, attempt: _Attempt, needs: tuple[ObjectNeed, ...], *, last: bool) -> None:
        numbers: dict[str, HistoryNumbers] = {}
        left = len(needs)
        is_lost = False

        def take(need: ObjectNeed, held: tuple[int, KeyState] | None) -> None:
            nonlocal left, is_lost
            left -= 1
            if held is None:
                is_lost = attempt.call.disturbed = True
            else:
                moment = self.world.moment()
                attempt.moments.update({one.name: self.world.now for one in need.reads})
                numbers.update(commits.numbers_at(held[1], need, moment, with_this=not last, entry=attempt.entry))
            if not left:
                self._go_on(attempt, None if is_lost else numbers)

        if last:
            attempt.asked = self.world.now
        for need in needs:
            self.world.read(need.name, partial(take, need), _empty(need))

    def _take_out(self, attempt: _Attempt, need: ObjectNeed, tries: int) -> None:
        def take(held: tuple[int, KeyState] | None) -> None:
            if held is None or tries > 50:
                attempt.call.disturbed = True
                self._go_on(attempt, None)
                return
            version, state = held
            after = commits.release(state, [attempt.entry])
            if after is state:
                self._go_on(attempt, None)
                return
            self.world.write(need.name, version, after, written)

        def written(result: int | None) -> None:
            if attempt.life != self.life:
                return
            if result == 0:
                self._take_out(attempt, need, tries + 1)
                return
            if result is None:
                attempt.call.disturbed = True
            self._go_on(attempt, None)

        self.world.read(need.name, take, _empty(need))


class _Worker:
    """The work of a replica on one object: what waits is a batch, and one write."""

    def __init__(self, replica: Replica, need: ObjectNeed) -> None:
        self.replica, self.need, self.life = replica, need, replica.life
        self.queue: list[_WaitingAnswer] = []
        self.held: tuple[int, KeyState] | None = None
        self.proven = 0
        self.busy = False

    def add(self, waiting: _WaitingAnswer) -> None:
        self.queue.append(waiting)
        if not self.busy:
            self.busy = True
            self.replica.world.later(self.replica.world.rng.randint(0, self.replica.world.pace // 3), self._work)

    def _work(self) -> None:
        if self.life != self.replica.life or not self.queue:
            self.busy = False
            return
        if self.held is None:
            began = self.replica.world.now
            self.replica.world.read(self.need.name, lambda held: self._read(held, began), _empty(self.need))
        else:
            self._judge()

    def _read(self, held: tuple[int, KeyState] | None, began: int) -> None:
        if held is None:
            self._answer(self.queue, None, 0)
            return
        self.held, self.proven = held, began
        self._judge()

    def _judge(self) -> None:
        if self.life != self.replica.life or self.held is None:
            return
        batch, self.queue = self.queue, []
        version, state = self.held
        judged = self.replica.world.now
        after, results = commits.commit(state, [one.waiting for one in batch], self.replica.world.moment())
        if after is state:
            late = [one for one in batch if one.came > self.proven]
            if late:
                # What adds nothing needs a state that stood after it came.
                self.held = None
            self.queue = [*late, *self.queue]
            pairs = [(one, result) for one, result in zip(batch, results, strict=True) if one.came <= self.proven]
            for one, result in pairs:
                self.replica.counted(one, result, judged)
            self._work()
            return

        def written(result: int | None) -> None:
            if self.life != self.replica.life:
                return
            if result is None:
                self.held = None
                self._answer(batch, None, 0)
            elif result == 0:
                self.held = None
                self.queue = [*batch, *self.queue]
                self._work()
            else:
                self.held, self.proven = (result, after), judged
                self._answer(batch, results, judged)

        self.replica.world.write(self.need.name, version, after, written)

    def _answer(self, batch: list[_WaitingAnswer], results: tuple[CommittedCall, ...] | None, judged: int) -> None:
        if batch is self.queue:
            self.queue = []
        for place, one in enumerate(batch):
            self.replica.counted(one, None if results is None else results[place], judged)
        self._work()


def _empty(need: ObjectNeed) -> KeyState:
    return KeyState("crm-api", need.key)


def object_need(number: int, adds: Iterable[CompiledHistory] = (), reads: Iterable[CompiledHistory] = ()) -> ObjectNeed:
    """Return the need of an object by its number."""
    counting = tuple(adds)
    return ObjectNeed(
        f"h-{number:040x}",
        f"sha256:{number:064x}",
        (*counting, *reads),
        tuple(Addition(one, 0) for one in counting),
    )
