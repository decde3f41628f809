"""Connects the parts: inventories fill the queue, workers reconcile the freshest bodies, statuses are written.

Holds: everything is listed before anything is reconciled; a status is written only where it differs; one object that
fails never delays the others.
"""

import asyncio
import random
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from bailiwick_api.issuers import mapped_issuers
from bailiwick_engine.budget.ledger import Excess
from bailiwick_engine.compile.acceptance import CompilationSummary
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.evidence.chronicle import Chronicle
from bailiwick_operator.grants.askedgrants import AskedGrants
from bailiwick_operator.grants.backlog import PendingGrants
from bailiwick_operator.grants.controller import GrantBarriers, GrantController
from bailiwick_operator.grants.lookup import Resolver
from bailiwick_operator.kube import (
    DATA_PATH,
    GRANTS_PATH,
    POLICIES_PATH,
    REVOCATIONS_PATH,
    Object,
    OperatorClient,
    RefusedError,
)
from bailiwick_operator.loop.expiry import Expiries
from bailiwick_operator.loop.inventory import Inventory, Key, ObservedObject, Ticks, key_of
from bailiwick_operator.loop.status import Writer
from bailiwick_operator.loop.workqueue import RetryError, WorkItem, WorkQueue
from bailiwick_operator.notify.notifier import Notifier
from bailiwick_operator.policies.data import DataController
from bailiwick_operator.programmed.poller import ProgrammedPoller
from bailiwick_operator.reconcile import endpointpolicy, programmed
from bailiwick_operator.reconcile.conditions import DesiredCondition, Status
from bailiwick_operator.reconcile.endpointdata import summed_up
from bailiwick_operator.reconcile.endpointpolicy import shadowing_conditions
from bailiwick_operator.revocations.controller import RevocationController
from bailiwick_operator.settings import OperatorSettings
from bailiwick_operator.usage.poller import UsagePoller
from bailiwick_policystore.summaries import PolicySummaries

_LOG: Final = structlog.get_logger(__name__)
_WORKERS: Final = 4
_FIRST_LIST_SECONDS: Final = 2.0
_AFTER_LIST_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.25
_FROM_THE_FIRST: Final[tuple[Key | None, datetime | None]] = (None, None)


class Reconciler:
    """Everything that the leader knows and does, except the proofs. Lives in the main loop."""

    def __init__(  # noqa: PLR0913 - the parts of what a leader does
        self,
        kube: OperatorClient,
        settings: OperatorSettings,
        ticks: Ticks,
        *,
        queue: WorkQueue[WorkItem],
        writer: Writer,
        poller: ProgrammedPoller[WorkItem],
        usage: UsagePoller,
        barriers: GrantBarriers,
        chronicle: Chronicle,
        notifier: Notifier,
    ) -> None:
        clock = barriers.clock
        self._kube = kube
        self._notifier = notifier
        self._chronicle = chronicle
        self._clock = clock
        self._issuers = mapped_issuers(settings.issuers)
        self._queue = queue
        self._expiries: Expiries[WorkItem] = Expiries(self._queue.add, clock.now)
        self._programming = poller
        self._usage = usage
        self._writer = writer
        self.pending: Final = PendingGrants(clock.now)
        self._asked_grants = AskedGrants()
        self.data: Final = DataController(ticks, writer, poller, queue.add, self._endpoint_of)
        self.policies: Final = Inventory(ticks, self._policy_changed)
        self._judging: Final = PolicySummaries(
            settings.budget, lambda key: self._policy_body(Key(*key)), self._policy_judged, clock.monotonic
        )
        self._judging.on_data_turned(lambda key: self.data.turned(Key(*key)))
        self.data.beside(self._judging)
        self._data_warned = False
        # Looks that were interrupted to give others their turn: the last policy, and when time changes something.
        self._looked: dict[WorkItem, tuple[Key, datetime | None]] = {}
        self._endpoints: dict[tuple[str, str], set[Key]] = {}
        self._relisted = asyncio.Event()
        self.ghosts = 0
        """How many deletions a full list showed that no watch had reported."""
        self.heard: float | None = None
        """When a watch last reported an event, by the monotonic clock."""
        self.listed: Final = asyncio.Event()
        """Set when everything is known; the watches start then."""
        self.grants: Final = Inventory(ticks, self._grant_changed)
        self.revocations: Final = RevocationController(
            kube, ticks, self.grants, clock, queue.add, settings.issuers, chronicle.revocation_changed
        )
        self.granting: Final = GrantController(
            settings.installation,
            self.grants,
            Resolver(kube, self.policies, self._judging.summary_of, self._asked_grants, settings.issuers),
            self._writer,
            self._expiries,
            settings.keeping,
            self._queue.add,
            barriers=barriers,
            revocations=self.revocations.index,
        )

    async def run(self, relist: float) -> None:
        """Work until cancelled."""
        await self._first_list()
        # Before any status is written, so that policies that are served everywhere are reported so at once.
        for seen in self.policies.all():
            if programmed.programmed_condition(seen.body) is None:
                metadata, endpoint = seen.body["metadata"], endpointpolicy.endpoint_of(seen.body)
                work = WorkItem("EndpointPolicy", metadata["namespace"], endpoint)
                self._programming.want(metadata["uid"], metadata["generation"], work)
        await asyncio.gather(self._programming.look(), self._usage.ask(self.policies.all()))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WORKERS):
                tasks.create_task(self._queue.work(self._look))
            tasks.create_task(self._judging.run())
            tasks.create_task(self._expiries.run())
            tasks.create_task(self._chronicle.run())
            tasks.create_task(self._programming.run())
            tasks.create_task(self._usage.run(self.policies.all, self._changed_use, self._policy_due))
            tasks.create_task(self.revocations.run())
            tasks.create_task(self._audit(relist))

    async def _first_list(self) -> None:
        """List everything before anything is reconciled: a partly listed endpoint would seem to have no settings."""
        warned = False
        while True:
            try:
                await self._list()
            except (RefusedError, UnreachableError) as error:
                if not warned:
                    _LOG.warning(
                        "waiting for the custom resources: apply crds/ and the roles of Bailiwick", why=str(error)
                    )
                warned = True
                await asyncio.sleep(_FIRST_LIST_SECONDS)
            else:
                self._notifier.listed()
                self.listed.set()
                return

    async def _list(self) -> tuple[int, int]:
        """Take in full lists of all kinds. Returns how many objects were gone without notice, and how many missing."""
        ghosts = missing = 0
        # Before grants are judged, it is known who is taken back.
        needed = (
            (REVOCATIONS_PATH, self.revocations.objects),
            (POLICIES_PATH, self.policies),
            (GRANTS_PATH, self.grants),
        )
        for path, inventory in needed:
            inventory.begin_audit()
            listed = await self._kube.list(path)
            gone, came = inventory.audit(listed.items, listed.version)
            ghosts, missing = ghosts + gone, missing + came
        gone, came = await self._list_data()
        return ghosts + gone, missing + came

    async def _list_data(self) -> tuple[int, int]:
        """Take in a full list of data. Without permission, or without its CRD, policies continue without data."""
        self.data.objects.begin_audit()
        try:
            listed = await self._kube.list(DATA_PATH, reduce=summed_up)
        except RefusedError as error:
            if not self._data_warned:
                _LOG.warning("data cannot be listed: apply crds/ and the roles of Bailiwick", why=str(error))
            self._data_warned = True
            return 0, 0
        self._data_warned = False
        return self.data.objects.audit(listed.items, listed.version)

    def note_event(self) -> None:
        """Note that a watch reported an event."""
        self.heard = self._clock.monotonic()

    def note_relist(self) -> None:
        """Note that the watch listed: it will never report what was deleted before that."""
        self._relisted.set()

    async def _audit(self, interval: float) -> None:
        while True:
            if await self._relists_within(interval * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
                # Not while it still lists: objects that it has yet to report are not lost.
                lists = True
                while lists:
                    lists = await self._relists_within(_AFTER_LIST_SECONDS)
            # A watch that lists again does not report what was deleted in the meantime.
            try:
                ghosts, missing = await self._list()
                self.ghosts += ghosts
                if ghosts or missing:
                    # Events of missing objects may be on their way; ghosts were deleted while no watch was running.
                    _LOG.info("the full list differed from the watched state", ghosts=ghosts, missing=missing)
            except (RefusedError, UnreachableError) as error:
                _LOG.warning("the full list failed", why=str(error))

    async def _relists_within(self, seconds: float) -> bool:
        """Wait for the watch to list; returns whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self._relisted.wait()
        except TimeoutError:
            return False
        self._relisted.clear()
        return True

    def _policy_changed(self, body: Object) -> None:
        endpoint = (body["metadata"]["namespace"], endpointpolicy.endpoint_of(body))
        keys = self._endpoints.setdefault(endpoint, set())
        present = self.policies.get(key_of(body))
        self.data.policy_changed(key_of(body), None if present is None else present.body)
        self._chronicle.policy_changed(body, gone=present is None)
        if present is None:
            keys.discard(key_of(body))
            self._judging.gone(body)
            self._programming.forget(body["metadata"]["uid"])
            self._usage.forget(body["metadata"]["uid"])
        else:
            keys.add(key_of(body))
        if not keys:
            del self._endpoints[endpoint]
            self._expiries.set(WorkItem("EndpointPolicy", *endpoint), None)
        # This looks at the other policies: nothing is known of this one before it is judged.
        self._queue.add(WorkItem("EndpointPolicy", *endpoint))
        self._judging.changed(key_of(body))
        self.granting.endpoint_changed(*endpoint)

    def _policy_body(self, key: Key) -> Object | None:
        seen = self.policies.get(key)
        return None if seen is None else seen.body

    def _elsewhere(self, namespace: str, name: str) -> str | None:
        """Return the endpoint of a policy; None where there is none."""
        seen = self.policies.get(Key(namespace, name))
        return None if seen is None else endpointpolicy.endpoint_of(seen.body)

    def _endpoint_of(self, key: Key) -> WorkItem | None:
        """Return the work item of a policy's endpoint."""
        seen = self.policies.get(key)
        return (
            None if seen is None else WorkItem("EndpointPolicy", key.namespace, endpointpolicy.endpoint_of(seen.body))
        )

    def _policy_judged(self, body: Object) -> None:
        self._policy_due(body)
        # Grants written by hand wait for the outcome.
        self.granting.endpoint_changed(body["metadata"]["namespace"], endpointpolicy.endpoint_of(body))

    def _policy_due(self, body: Object) -> None:
        self._queue.add(WorkItem("EndpointPolicy", body["metadata"]["namespace"], endpointpolicy.endpoint_of(body)))

    def _grant_changed(self, body: Object) -> None:
        key = key_of(body)
        gone = self.grants.get(key) is None
        self.pending.changed(body, gone=gone)
        self._asked_grants.changed(body, gone=gone)
        self._chronicle.grant_changed(body, gone=gone)
        self._notifier.grant_changed(body, gone=gone)
        self._queue.add(WorkItem("ApprovalGrant", *key))

    async def _look(self, work: WorkItem) -> None:
        try:
            if work.kind == "EndpointPolicy":
                await self._look_at_endpoint(work)
            elif work.kind == "EndpointData":
                await self.data.look(work, self._clock.now())
            else:
                await self.granting.look(work, self._carriers_of)
        except UnreachableError as error:
            raise RetryError(str(error)) from error

    async def _look_at_endpoint(self, work: WorkItem) -> None:
        keys = sorted(self._endpoints.get((work.namespace, work.name), ()))
        found = [seen for key in keys if (seen := self.policies.get(key)) is not None]
        policies = [seen for seen in found if endpointpolicy.endpoint_of(seen.body) == work.name]
        judged = [self._judging.summary_of(seen.body) for seen in policies]
        carrier_names = tuple(
            seen.body["metadata"]["name"] for seen in policies if endpointpolicy.carries_settings(seen.body)
        )
        principals: set[str] = set()
        for seen, one in zip(policies, judged, strict=True):
            if endpointpolicy.carries_settings(seen.body):
                if one is None:
                    # The principals of the endpoint affect all its policies, so look again once this one is judged.
                    return
                principals |= one[0].people.principals
        candidates = shadowing_conditions(
            work.name, [seen.body for seen in policies], partial(self._elsewhere, work.namespace)
        )
        last, wake = self._looked.pop(work, _FROM_THE_FIRST)
        refused, until = [], self._clock.monotonic() + _LOOK_SECONDS
        for seen, one in zip(policies, judged, strict=True):
            key = key_of(seen.body)
            if one is None or (last is not None and key <= last):
                continue
            outcome, why = await self._look_at_policy(work, seen, one, carrier_names, principals, candidates)
            if outcome.wake is not None:
                wake = outcome.wake if wake is None else min(wake, outcome.wake)
            if why is not None:
                # A refused write must not keep the status of its siblings from being written.
                refused.append(why)
            if self._clock.monotonic() >= until and not refused and seen is not policies[-1]:
                # Others wait: continue from here at the next turn.
                self._looked[work] = (key, wake)
                self._queue.add(work)
                return
            # The lease and the probes must get their turn between two policies.
            await asyncio.sleep(0)
        self._expiries.set(work, wake)
        if refused:
            raise RetryError("; ".join(refused))

    async def _look_at_policy(
        self,
        work: WorkItem,
        seen: ObservedObject,
        judged: tuple[CompilationSummary, Excess | None],
        carrier_names: tuple[str, ...],
        principals: set[str],
        candidates: dict[str, DesiredCondition],
    ) -> tuple[endpointpolicy.PolicyPlan, str | None]:
        """Write the status of a policy. Returns the outcome, and why the status could not be written, if so."""
        uid, generation = seen.body["metadata"]["uid"], seen.body["metadata"]["generation"]
        serving = self._programming.serving(uid, generation)
        unknowns = self.data.unknowns(seen.body["metadata"]["namespace"], seen.body)
        replacing = candidates.get(seen.body["metadata"]["name"])
        observed = endpointpolicy.PolicyObservation(
            *(judged[0], carrier_names, serving, principals, self._issuers, judged[1], unknowns, replacing),
            self._usage.policy_use(seen.body),
        )
        outcome = endpointpolicy.reconcile(seen.body, observed, self._clock.now())
        if outcome.asks:
            self._programming.want(uid, generation, work)
        else:
            self._programming.forget(uid)
        if outcome.status is None:
            return outcome, None
        try:
            await self._writer.write("EndpointPolicy", self.policies, seen, outcome.status)
        except RetryError as error:
            return outcome, str(error)
        return outcome, None

    def _changed_use(self, body: Object) -> Status | None:
        """Return the status fields of a policy's use where the stored status differs; None where it does not."""
        judged = self._judging.summary_of(body)
        return (
            None
            if judged is None
            else endpointpolicy.changed_use_status(body, judged[0], self._usage.policy_use(body), self._clock.now())
        )

    def _carriers_of(self, namespace: str, endpoint: str) -> tuple[Key, ...]:
        found = (self.policies.get(key) for key in sorted(self._endpoints.get((namespace, endpoint), ())))
        return tuple(
            key_of(seen.body) for seen in found if seen is not None and endpointpolicy.carries_settings(seen.body)
        )
