"""Data: which objects there are, what each came to, which policies read it, and the status of each.

Standing: under the reconciler, over the summaries of policies, whose ledger counts policies and data alike. Holds: of
an object no more is kept than what it came to; who reads one is looked at again when it comes, changes or goes.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from bailiwick_engine.budget.datasize import ledger_name
from bailiwick_engine.budget.ledger import Excess
from bailiwick_operator.kube import Object
from bailiwick_operator.loop.inventory import Inventory, Key, Ticks, key_of
from bailiwick_operator.loop.status import Writer
from bailiwick_operator.loop.workqueue import WorkItem
from bailiwick_operator.programmed.poller import ProgrammedPoller
from bailiwick_operator.reconcile import endpointdata
from bailiwick_policystore.summaries import PolicySummaries


class DataController:
    """Lives in the main loop. `add` has a worker look; `reader_of` says which look concerns a policy by its key."""

    def __init__(
        self,
        ticks: Ticks,
        writer: Writer,
        poller: ProgrammedPoller[WorkItem],
        add: Callable[[WorkItem], None],
        reader_of: Callable[[Key], WorkItem | None],
    ) -> None:
        self.objects: Final = Inventory(ticks, self._changed, self._summed_up)
        self._writer = writer
        self._poller = poller
        self._add = add
        self._reader_of = reader_of
        self._summaries: PolicySummaries | None = None
        self._readers: dict[Key, set[Key]] = {}
        self._reads: dict[Key, frozenset[Key]] = {}

    def beside(self, summaries: PolicySummaries) -> None:
        """Count what objects take beside policies, from now on."""
        self._summaries = summaries

    def policy_changed(self, key: Key, policy: Object | None) -> None:
        """Say that a policy came, changed or, with None, went."""
        reads = frozenset[Key]()
        if policy is not None:
            reads = frozenset(Key(key.namespace, source) for _, source in endpointdata.names(policy))
        before = self._reads.pop(key, frozenset())
        if reads:
            self._reads[key] = reads
        for gone in before - reads:
            self._readers[gone].discard(key)
            if not self._readers[gone]:
                del self._readers[gone]
        for new in reads - before:
            self._readers.setdefault(new, set()).add(key)
        for changed in before ^ reads:
            self._add(WorkItem("EndpointData", *changed))

    def turned(self, key: Key) -> None:
        """Say that an object is over budget now, or not any more."""
        self._add(WorkItem("EndpointData", *key))
        self._readers_look(key)

    def unknowns(self, namespace: str, policy: Object) -> dict[str, tuple[str, str]]:
        """Return why which of the objects that a policy names is unknown."""
        found = {}
        for _, source in endpointdata.names(policy):
            seen = self.objects.get(Key(namespace, source))
            why = endpointdata.unknown(None if seen is None else seen.body, self._excess(Key(namespace, source)))
            if why is not None:
                found[source] = why
        return found

    async def look(self, work: WorkItem, now: datetime) -> None:
        """Tell an object how it stands. Raises `RetryError` and `UnreachableError`."""
        key = Key(work.namespace, work.name)
        seen = self.objects.get(key)
        if seen is None:
            return
        uid, generation = seen.body["metadata"]["uid"], seen.body["metadata"]["generation"]
        readers = [reader.name for reader in self._readers.get(key, ())]
        serving = self._poller.serving(uid, generation)
        plan = endpointdata.reconcile(seen.body, readers, self._excess(key), serving, now)
        if plan.asks:
            self._poller.want(uid, generation, work)
        else:
            self._poller.forget(uid)
        if plan.status is not None:
            await self._writer.write("EndpointData", self.objects, seen, plan.status)

    def _changed(self, body: Object) -> None:
        key = key_of(body)
        seen = self.objects.get(key)
        if seen is None:
            self._poller.forget(body["metadata"]["uid"])
        if self._summaries is not None:
            self._summaries.data_changed(key, None if seen is None else endpointdata.summary(seen.body).claim)
        self._add(WorkItem("EndpointData", *key))
        self._readers_look(key)

    def _readers_look(self, key: Key) -> None:
        for reader in tuple(self._readers.get(key, ())):
            work = self._reader_of(reader)
            if work is not None:
                self._add(work)

    def _excess(self, key: Key) -> Excess | None:
        return None if self._summaries is None else self._summaries.ledger.excess(key.namespace, ledger_name(key.name))

    def _summed_up(self, body: Object) -> Object:
        """Sum up an object; of the same generation again it is what it was, and only its status is another."""
        seen = self.objects.get(key_of(body))
        if seen is not None and _state(seen.body) == _state(body):
            return body | {"spec": seen.body["spec"]}
        return endpointdata.summed_up(body)


def _state(body: Object) -> tuple[str, int]:
    return body["metadata"]["uid"], body["metadata"]["generation"]
