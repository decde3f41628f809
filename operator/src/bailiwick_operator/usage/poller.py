"""Asks the decision point's processes which policies were used, and queues those whose status is to change.

Holds: one request for each process and ten thousand policies in a round; the more policies there are, the longer the
pause between rounds. A round queues at most `_MOST_LOOKS` policies, of each namespace in turn; the same content is
queued once, so that a write that changes nothing is not repeated.
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
from bailiwick_operator.kube import Object, RefusedError
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.inventory import ObservedObject
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
        self._reported: str | None = None

    def policy_use(self, policy: Object) -> PolicyUse:
        """Return what is known of a policy."""
        use = self._memory.policy_use(policy["metadata"]["uid"], policy["metadata"]["generation"])
        return replace(use, since=self._observation.since(self._clock.monotonic()))

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
                for body in await self._next_looks(policies(), due):
                    look(body)
            except Exception:  # noqa: BLE001 - a defect here must not end the leader, nor what it knows
                _LOG.exception("internal error while asking for uses")
            self._forget_all_but(policies())

    def _forget_all_but(self, policies: Iterable[ObservedObject]) -> None:
        """Forget policies that were deleted while a process was asked about them, and came back with its answer."""
        there = {seen.body["metadata"]["uid"] for seen in policies}
        for uid in (self._memory.uids() | self._asked_for.keys()) - there:
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
        for replica, answer in zip(
            replicas, await asyncio.gather(*(self._ask(replica, bodies) for replica in replicas)), strict=True
        ):
            if isinstance(answer, str):
                silent[replica.uid] = f"{replica.name}: {answer}"
                continue
            for report in answer:
                self._memory.take(report, days.keys())
                # A process without uses is listed too, so that it is known to have answered.
                answered[replica.uid] = report.memory
        self._tell(next(iter(silent.values()), None))
        self._observation.take(self._clock.now(), self._clock.monotonic(), answered, silent)

    async def _ask(self, replica: Replica, bodies: list[bytes]) -> list[ReplicaUsage] | str:
        """Return the reports of a process; an empty list where there is none; a text says why it did not answer."""
        reports = []
        async with self._places:
            for body in bodies:
                try:
                    status, text = await self._asker.post(replica, "/usage", body, _ANSWER_BYTES)
                    if status != HTTPStatus.OK:
                        return f"status {status}"
                    reports.append(_report(json.loads(text)))
                except AbsentReplicaError as error:
                    return str(error) if replica.vouched else []
                except SilentReplicaError as error:
                    return str(error)
                except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
                    return "unexpected answer"
        return reports

    async def _next_looks(
        self, policies: Iterable[ObservedObject], due: Callable[[Object], Mapping[str, Any] | None]
    ) -> list[Object]:
        """Return the policies to look at now, of each namespace in turn."""
        by_namespace: dict[str, list[tuple[Object, object]]] = {}
        for count, seen in enumerate(policies):
            metadata = seen.body["metadata"]
            wanted = due(seen.body)
            if wanted is not None and self._asked_for.get(metadata["uid"]) != (content := _content(wanted)):
                by_namespace.setdefault(metadata["namespace"], []).append((seen.body, content))
            if count % _SLICE == 0:
                # The lease and the probes must get their turn.
                await asyncio.sleep(0)
        in_turn = (look for look in chain.from_iterable(zip_longest(*by_namespace.values())) if look is not None)
        looks = []
        for body, content in islice(in_turn, _MOST_LOOKS):
            self._asked_for[body["metadata"]["uid"]] = content
            looks.append(body)
        return looks

    def _tell(self, why: str | None) -> None:
        if why is not None and why != self._reported:
            _LOG.warning("not every process of the decision point can be asked for uses", why=why)
        self._reported = why


def _body(days: list[tuple[str, int]]) -> bytes:
    return json.dumps(days, separators=(",", ":")).encode()


def _report(answer: Any) -> ReplicaUsage:  # noqa: ANN401 - any JSON
    """Return the report in an answer. Raises any error where it does not have the form."""
    memory = answer["memory"]
    if not isinstance(memory, str) or not 0 < len(memory) <= _LONGEST_NAME:
        message = "memory must be a short text"
        raise ValueError(message)
    used = {str(uid): int(day) for uid, day in answer["used"]}
    shadows = {
        str(uid): (int(generation), int(compared), int(different))
        for uid, generation, compared, different in answer["shadows"]
    }
    return ReplicaUsage(memory, used, shadows)


def _content(wanted: Mapping[str, Any]) -> object:
    """Return what is to be written, without the times of the writing itself."""
    usage, shadow = wanted.get("usage") or {}, wanted.get("shadow") or {}
    counts = [shadow.get(name) for name in ("observedGeneration", "compared", "different")]
    return usage.get("lastUsedTime"), sorted(usage), counts
