"""Asks the decision point's processes which policies were used, and has those looked at whose status is to change.

Holds: one request for each process and ten thousand policies in a round; rounds come the later the more policies there
are. No more looks are asked for in a round than `_MOST_LOOKS`, of each namespace in turn; what is to be written is
asked for once, so that a write that changes nothing is not repeated.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from itertools import chain, islice, zip_longest
from typing import Any, Final

import structlog

from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import RefusedError
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.inventory import Object, ObservedObject
from bailiwick_operator.programmed.replicas import (
    AbsentReplicaError,
    Replica,
    ReplicaClient,
    Replicas,
    SilentReplicaError,
)
from bailiwick_operator.reconcile.usage import PolicyUse, last_day
from bailiwick_operator.usage.memory import ReplicaUsage, UsageMemory
from bailiwick_operator.usage.observation import UsageObservation

_LOG: Final = structlog.get_logger(__name__)
# A round comes so many seconds after another: one for each hundred policies, within these.
_LEAST, _MOST, _A_SECOND = 10.0, 300.0, 100
# A process takes no more in one request.
_MOST_ASKED: Final = 10_000
_ANSWER_BYTES: Final = 2 * 2**20
_MOST_LOOKS: Final = 200
_AT_ONCE: Final = 16
_SLICE: Final = 50
_LONGEST_NAME: Final = 64


class UsagePoller:
    """What is known of uses. Lives in the main loop.

    `due` returns what a policy's status should say of its use where it says something else, and `look` asks for it.
    """

    def __init__(self, replicas: Replicas, asker: ReplicaClient, clock: Clock, observation: UsageObservation) -> None:
        self._replicas = replicas
        self._asker = asker
        self._clock = clock
        self._observation = observation
        self._memory = UsageMemory()
        self._asked_for: dict[str, object] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._told: str | None = None

    def of(self, policy: Object) -> PolicyUse:
        """Return what is known of a policy."""
        known = self._memory.of(policy["metadata"]["uid"], policy["metadata"]["generation"])
        return replace(known, since=self._observation.since(self._clock.monotonic()))

    def forget(self, uid: str) -> None:
        """Forget a policy that is gone."""
        self._memory.forget(uid)
        self._asked_for.pop(uid, None)

    async def run(
        self,
        policies: Callable[[], Collection[ObservedObject]],
        due: Callable[[Object], Mapping[str, Any] | None],
        look: Callable[[Object], None],
    ) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(min(_MOST, max(_LEAST, len(policies()) / _A_SECOND)))
            try:
                await self.ask(policies())
                for body in await self._changed(policies(), due):
                    look(body)
            except Exception:  # noqa: BLE001 - a defect here must not end the leader, nor what it knows
                _LOG.exception("internal error while asking for uses")
            self._forget_all_but(policies())

    def _forget_all_but(self, policies: Iterable[ObservedObject]) -> None:
        """Forget those that went while somebody was asked about them, and came back with the answer."""
        there = {seen.body["metadata"]["uid"] for seen in policies}
        for uid in (self._memory.known() | self._asked_for.keys()) - there:
            self.forget(uid)

    async def ask(self, policies: Iterable[ObservedObject]) -> None:
        """Ask every process once about these."""
        days = {}
        for seen in policies:
            uid = seen.body["metadata"]["uid"]
            days[uid] = max(self._memory.day(uid), last_day(seen.body))
        asked = [*days.items()]
        bodies = [_body(asked[begin : begin + _MOST_ASKED]) for begin in range(0, max(1, len(asked)), _MOST_ASKED)]
        try:
            replicas = await self._replicas.everyone()
        except (UnreachableError, RefusedError) as error:
            self._tell(str(error))
            return
        answered: dict[str, str] = {}
        silent: dict[str, str] = {}
        for replica, said in zip(
            replicas, await asyncio.gather(*(self._ask(replica, bodies) for replica in replicas)), strict=True
        ):
            if isinstance(said, str):
                silent[replica.uid] = f"{replica.name}: {said}"
                continue
            for report in said:
                self._memory.take(report, days.keys())
                # Each is there, so that it is known of even where it has nothing to tell.
                answered[replica.uid] = report.memory
        self._tell(next(iter(silent.values()), None))
        self._observation.take(self._clock.now(), self._clock.monotonic(), answered, silent)

    async def _ask(self, replica: Replica, bodies: list[bytes]) -> list[ReplicaUsage] | str:
        """Return what a process says; nothing, where there is none; a text: why it says nothing."""
        found = []
        async with self._places:
            for body in bodies:
                try:
                    status, text = await self._asker.post(replica, "/usage", body, _ANSWER_BYTES)
                    if status != HTTPStatus.OK:
                        return f"status {status}"
                    found.append(_report(json.loads(text)))
                except AbsentReplicaError as error:
                    return str(error) if replica.vouched else []
                except SilentReplicaError as error:
                    return str(error)
                except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
                    return "unexpected answer"
        return found

    async def _changed(
        self, policies: Iterable[ObservedObject], due: Callable[[Object], Mapping[str, Any] | None]
    ) -> list[Object]:
        """Return the policies to look at now, of each namespace in turn."""
        found: dict[str, list[tuple[Object, object]]] = {}
        for count, seen in enumerate(policies):
            metadata = seen.body["metadata"]
            wanted = due(seen.body)
            if wanted is not None and self._asked_for.get(metadata["uid"]) != (what := _what(wanted)):
                found.setdefault(metadata["namespace"], []).append((seen.body, what))
            if count % _SLICE == 0:
                # The lease and the probes must get their turn.
                await asyncio.sleep(0)
        in_turn = (one for one in chain.from_iterable(zip_longest(*found.values())) if one is not None)
        looks = []
        for body, what in islice(in_turn, _MOST_LOOKS):
            self._asked_for[body["metadata"]["uid"]] = what
            looks.append(body)
        return looks

    def _tell(self, why: str | None) -> None:
        if why is not None and why != self._told:
            _LOG.warning("not every process of the decision point can be asked for uses", why=why)
        self._told = why


def _body(asked: list[tuple[str, int]]) -> bytes:
    return json.dumps(asked, separators=(",", ":")).encode()


def _report(said: Any) -> ReplicaUsage:  # noqa: ANN401 - any JSON
    """Return what was said. Raises whatever, where it is not of the form."""
    memory = said["memory"]
    if not isinstance(memory, str) or not 0 < len(memory) <= _LONGEST_NAME:
        message = "memory must be a short text"
        raise ValueError(message)
    used = {str(uid): int(day) for uid, day in said["used"]}
    shadows = {
        str(uid): (int(generation), int(compared), int(different))
        for uid, generation, compared, different in said["shadows"]
    }
    return ReplicaUsage(memory, used, shadows)


def _what(wanted: Mapping[str, Any]) -> object:
    """Return what is to be written, but for moments that are those of the writing."""
    usage, shadow = wanted.get("usage") or {}, wanted.get("shadow") or {}
    counts = [shadow.get(name) for name in ("observedGeneration", "compared", "different")]
    return usage.get("lastUsedTime"), sorted(usage), counts
