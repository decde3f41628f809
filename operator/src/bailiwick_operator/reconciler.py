"""Puts it together: inventories fill the queue, workers reconcile the freshest bodies, statuses are written.

Holds: a status is written only where it differs, upon the version that was judged; a conflict is dropped, because the
event of whatever was newer brings the key back.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from bailiwick_api.accounts import Installation
from bailiwick_operator.expiry import Expiries
from bailiwick_operator.guard import GuardKeeper
from bailiwick_operator.inventory import Inventory, Key, Object, Seen, Ticks, key_of
from bailiwick_operator.kube import GRANTS_PATH, POLICIES_PATH, Kind, Kube, RefusedError, UnreachableError
from bailiwick_operator.reconcile import approvalgrant, endpointpolicy
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.guard import is_canary
from bailiwick_operator.work import RetryError, WorkQueue

_LOG: Final = structlog.get_logger(__name__)
_WORKERS: Final = 4
_AFTER_LIST_SECONDS: Final = 5.0


class Work(NamedTuple):
    """What a worker looks at: one grant by its name, or all policies of one endpoint, which hang together."""

    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The compilation of one generation of a policy."""

    generation: int
    judged: endpointpolicy.Judged


class Reconciler:
    """Everything that the leader knows and does, but for the proofs. Lives in the main loop."""

    def __init__(self, kube: Kube, installation: Installation, ticks: Ticks) -> None:
        self._kube = kube
        self._installation = installation
        self._queue: WorkQueue[Work] = WorkQueue()
        self._expiries: Expiries[Work] = Expiries(self._queue.add)
        self._guard: GuardKeeper | None = None
        self._await_proof: set[Work] = set()
        self._compiled: dict[str, _Compiled] = {}
        self._endpoints: dict[tuple[str, str], set[Key]] = {}
        self._listed_anew = asyncio.Event()
        self.policies: Final = Inventory(ticks, self._policy_changed)
        self.grants: Final = Inventory(ticks, self._grant_changed)

    def proven_by(self, guard: GuardKeeper) -> None:
        """Say who proves the guard; its `proven` is to be our `proven`."""
        self._guard = guard

    def proven(self) -> None:
        """Look again at what waited for a proof."""
        waiting, self._await_proof = self._await_proof, set()
        for work in waiting:
            self._queue.add(work)

    async def run(self, relist: float) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WORKERS):
                tasks.create_task(self._queue.work(self._look))
            tasks.create_task(self._expiries.run())
            tasks.create_task(self._audit(relist))

    async def audit(self) -> None:
        """Compare with full lists, once: a watch that lists anew says nothing of what was deleted meanwhile."""
        for path, inventory in ((POLICIES_PATH, self.policies), (GRANTS_PATH, self.grants)):
            inventory.before_list()
            listed = await self._kube.list(path)
            ghosts, missing = inventory.audit(listed.items, listed.version)
            if ghosts or missing:
                _LOG.warning("the watch had lost objects", path=path, ghosts=ghosts, missing=missing)

    def listed_anew(self) -> None:
        """Say that the watch listed: what was deleted before that, it will never tell."""
        self._listed_anew.set()

    async def _audit(self, interval: float) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
                    await self._listed_anew.wait()
                await asyncio.sleep(_AFTER_LIST_SECONDS)
            self._listed_anew.clear()
            try:
                await self.audit()
            except (RefusedError, UnreachableError) as error:
                _LOG.warning("no full list", why=str(error))

    def _policy_changed(self, body: Object) -> None:
        endpoint = (body["metadata"]["namespace"], endpointpolicy.endpoint_of(body))
        keys = self._endpoints.setdefault(endpoint, set())
        if self.policies.get(key_of(body)) is None:
            keys.discard(key_of(body))
            self._compiled.pop(body["metadata"]["uid"], None)
        else:
            keys.add(key_of(body))
        if not keys:
            del self._endpoints[endpoint]
            self._expiries.set(Work("EndpointPolicy", *endpoint), None)
        self._queue.add(Work("EndpointPolicy", *endpoint))

    def _grant_changed(self, body: Object) -> None:
        self._queue.add(Work("ApprovalGrant", *key_of(body)))

    async def _look(self, work: Work) -> None:
        try:
            if work.kind == "EndpointPolicy":
                await self._look_at_endpoint(work)
            else:
                await self._look_at_grant(work)
        except UnreachableError as error:
            raise RetryError(str(error)) from error

    async def _look_at_endpoint(self, work: Work) -> None:
        keys = sorted(self._endpoints.get((work.namespace, work.name), ()))
        found = [seen for key in keys if (seen := self.policies.get(key)) is not None]
        policies = [seen for seen in found if endpointpolicy.endpoint_of(seen.body) == work.name]
        carriers = tuple(
            seen.body["metadata"]["name"] for seen in policies if endpointpolicy.carries_settings(seen.body)
        )
        wakes = []
        for seen in policies:
            observed = endpointpolicy.Observed(self._judge(seen), carriers)
            outcome = endpointpolicy.reconcile(seen.body, observed, _now())
            if outcome.wake is not None:
                wakes.append(outcome.wake)
            if outcome.status is not None:
                await self._write("EndpointPolicy", self.policies, seen, outcome.status)
            # Compiling is pure CPU: the lease and the probes must get their turn between two policies.
            await asyncio.sleep(0)
        self._expiries.set(work, min(wakes, default=None))

    def _judge(self, seen: Seen) -> endpointpolicy.Judged:
        metadata = seen.body["metadata"]
        known = self._compiled.get(metadata["uid"])
        if known is None or known.generation != metadata["generation"]:
            known = _Compiled(metadata["generation"], endpointpolicy.judge(seen.body))
            self._compiled[metadata["uid"]] = known
        return known.judged

    async def _look_at_grant(self, work: Work) -> None:
        seen = self.grants.get(Key(work.namespace, work.name))
        if seen is None or is_canary(seen.body, self._installation):
            self._expiries.set(work, None)
            self._await_proof.discard(work)
            return
        proven = self._guard is not None and self._guard.covers(seen.at)
        try:
            observed = approvalgrant.Observed(proven, self._installation.is_person)
            outcome = approvalgrant.reconcile(seen.body, observed, _now())
        except approvalgrant.UnreadableGrantError as error:
            _LOG.error("a grant cannot be read; it is left alone and never counts", grant=work, problem=str(error))
            return
        if outcome.needs_proof:
            # Before the write, so that a proof which ends during the write finds it.
            self._await_proof.add(work)
            if self._guard is not None:
                self._guard.ask()
        if outcome.status is not None:
            await self._write("ApprovalGrant", self.grants, seen, outcome.status)
        self._expiries.set(work, outcome.wake)

    async def _write(self, kind: Kind, inventory: Inventory, seen: Seen, status: Status) -> None:
        name = "/".join(key_of(seen.body))
        answer = await self._kube.apply_status(kind, seen.body, status)
        if answer.ok:
            was = (seen.body.get("status") or {}).get("phase")
            if kind == "ApprovalGrant" and status.get("phase") != was:
                _LOG.info("grant", grant=name, phase=status["phase"], was=was)
            inventory.record(answer.body)
        elif answer.missing:
            inventory.forget(seen.body)
        elif not answer.conflict:
            message = f"the status of {kind} {name} was refused: {answer.message}"
            raise RetryError(message)
        else:
            _LOG.debug("newer than judged", kind=kind, name=name)


def _now() -> datetime:
    return datetime.now(UTC)
