"""Runs of the worlds of `historyworlds` in which the decision point's own code counts, under a virtual time.

Holds: everything is drawn from one seed, and the book of what passed is kept as in `historysimulation`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.state import KeyState, parse_state
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.history.ports import CountingRequest
from support.historysimulation import Faults, PassedCall, SimulatedCall
from support.historyworlds import LONG, WORLDS, World
from support.keptobjects import KeptObjects
from support.virtualtime import VirtualTime
from unit.webhook.history.world import CountingReplica

_Answer = TypeVar("_Answer")
_NAMESPACE: Final = "crm"
_TIMEOUT: Final = 2.0


@dataclass
class FaultyApi:
    """What one replica reaches the API server by. `dead`: the replica died, so that it reaches nothing any more."""

    api: KeptObjects
    rng: Random
    faults: Faults
    dead: bool = False

    async def read_history(self, namespace: str, name: str) -> ApiResponse:
        return await self._ask(lambda: self.api.read_history(namespace, name))

    async def create_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        return await self._ask(lambda: self.api.create_history(manifest))

    async def replace_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        return await self._ask(lambda: self.api.replace_history(manifest))

    async def _ask(self, request: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Send a request, which goes on when its sender is gone. It may get lost, and so may its answer."""
        await asyncio.sleep(self._delay())
        if self._is_lost():
            await asyncio.sleep(_TIMEOUT)
            raise ClusterUnavailableError("the request got lost")
        sent = asyncio.ensure_future(request())
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await asyncio.shield(sent)
                await asyncio.sleep(self._delay())
        except TimeoutError as error:
            raise ClusterUnavailableError("the answer came too late") from error
        if self._is_lost():
            await asyncio.sleep(_TIMEOUT)
            raise ClusterUnavailableError("the answer got lost")
        return answer

    def _is_lost(self) -> bool:
        return self.dead or self.rng.random() < self.faults.lost

    def _delay(self) -> float:
        if self.rng.random() < self.faults.late:
            return self.rng.uniform(0, 2 * _TIMEOUT)
        return self.rng.uniform(0, 0.01)


@dataclass
class ServedReplica(CountingReplica):
    """A decision point that knows the time within bounds. `began`: the moment at which the run began, by the loop."""

    rng: Random = field(default_factory=Random)
    spread: int = 0
    start: int = 0
    began: float = 0.0

    @property
    def true_time(self) -> int:
        """The time of the API server, in milliseconds."""
        return self.start + round((self.time.now - self.began) * 1_000)

    def bounds(self) -> ClockBounds | None:
        now = self.true_time
        return ClockBounds(now - self.rng.randint(0, self.spread), now + self.rng.randint(0, self.spread))


class ServedRun:
    """One run, as far as the checks of `historyworlds` look at one."""

    def __init__(self, seed: str, world: str, time: VirtualTime, *, window: int, calm: bool) -> None:
        self.rng = Random(seed)  # noqa: S311 - a run that can be repeated
        self.world: World = WORLDS[world](self.rng, window)
        rng = self.rng
        self.faults = Faults()
        if not calm:
            self.faults = Faults(
                lost=rng.choice((0, 0.02, 0.1)),
                late=rng.choice((0, 0.02)),
                crash=rng.choice((0, 0.05)),
                again=rng.choice((0, 0.1)),
                patience=3_000 if window == LONG else 40_000,
            )
        self.spread = rng.choice((0, 300, 5_000))
        self.leap = 0 if window == LONG else window
        self.passed: list[PassedCall] = []
        self.calls = [
            SimulatedCall(number, rng.choice(self.world.kinds), rng.randint(0, 5))
            for number in range(rng.randint(4, 24))
        ]
        self._time, self._began = time, time.now
        self._api = KeptObjects(seconds=0.002)
        self._replicas = [self._replica() for _ in range(rng.randint(1, 3))]
        self.denials: list[str] = []
        self.records: list[dict[str, Any]] = []
        """What the record of each call has that was answered, in the order of the answers."""

    @property
    def definitions(self) -> dict[str, CompiledHistory]:
        """The histories of the endpoint, by name."""
        needs = [need for kind in self.world.kinds for need in kind.needs.objects]
        return {one.name: one for need in needs for one in need.reads}

    @property
    def objects(self) -> list[str]:
        """The names of the objects in the store."""
        return [name for _, name in self._api.objects]

    def state(self, name: str) -> KeyState | None:
        """Return what an object holds."""
        stored = self._api.objects.get((_NAMESPACE, name))
        return None if stored is None else parse_state(stored["spec"])

    async def run(self) -> None:
        """Send all calls, and wait until nothing goes on any more."""
        rng, moment, clients = self.rng, 0.0, []
        for call in self.calls:
            gap = rng.choice((0, 0, 0, rng.uniform(0, 0.05), rng.uniform(0, 12 if self.leap else 0.05)))
            if self.leap and rng.random() < 0.15:
                gap = (self.leap + rng.randint(-8_000, 4_000)) / 1_000
            moment += gap
            clients.append(asyncio.ensure_future(self._client(call, moment)))
        crashes = [
            asyncio.ensure_future(self._crash(rng.uniform(0, moment + 2)))
            for _ in self.calls
            if rng.random() < self.faults.crash
        ]
        await asyncio.gather(*clients, *crashes)
        await asyncio.sleep(20)
        for replica in self._replicas:
            await replica.keeper.close()

    def _replica(self) -> ServedReplica:
        api: Any = FaultyApi(self._api, self.rng, self.faults)
        return ServedReplica(
            api, self._time, rng=self.rng, spread=self.spread, start=self.world.start, began=self._began
        )

    async def _crash(self, after: float) -> None:
        await asyncio.sleep(after)
        place = self.rng.randrange(len(self._replicas))
        reached: Any = self._replicas[place].api
        reached.dead = True
        self._replicas[place] = self._replica()

    async def _client(self, call: SimulatedCall, moment: float) -> None:
        await asyncio.sleep(moment)
        for attempt in range(4):
            verdict = await self._attempt(call, call.entry(attempt))
            call.verdicts.append(verdict)
            answered = verdict is not None and self.rng.random() >= self.faults.lost
            if answered and self.rng.random() >= self.faults.again:
                return
            call.disturbed = True
            if attempt and self.rng.random() < 0.2:
                return
            await asyncio.sleep(
                self.rng.choice((0, self.rng.uniform(0, 0.5), self.rng.uniform(0, self.faults.patience / 1_000)))
            )

    async def _attempt(self, call: SimulatedCall, entry: str) -> bool | None:
        replica = self.rng.choice(self._replicas)
        judged = 0

        def passes(readings: HistoryReadings) -> bool:
            nonlocal judged
            judged = replica.true_time
            return call.kind.passes(readings.numbers)

        needs = call.needs
        definitions = [one for need in needs.objects for one in need.reads]
        made = await replica.keeper.reserve(CountingRequest(_NAMESPACE, "crm-api", needs, entry, passes, definitions))
        reached: Any = replica.api
        if made.cause is not None or reached.dead:
            call.disturbed = True
            return None
        if made.counts:
            self.records.append(
                {
                    "kind": "evaluation",
                    "endpoint": f"{_NAMESPACE}/crm-api",
                    "decision": made.stands,
                    "now": (replica.true_time + self.rng.randint(-self.spread, self.spread)) / 1_000,
                    "history": [count.member for count in made.counts],
                }
            )
        if made.stands:
            names = [add.history.name for need in needs.objects for add in need.adds]
            read = [one.name for one in definitions]
            self.passed.append(
                PassedCall(
                    call,
                    dict.fromkeys(names, judged),
                    0 if len(needs.objects) > 1 else None,
                    dict.fromkeys(read, judged),
                )
            )
        return made.stands
