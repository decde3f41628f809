"""Policy summaries: what each policy comes to, compiled once for each generation, by namespace in turn.

Standing: for a process that tells of policies and decides by none, which holds every object: the operator. Holds:
level, not edge: what is to be compiled follows from the objects, from what is known of them, and from who is over
budget. No step holds the loop for longer than an expression takes; no policy waits for all that another namespace has;
what is over budget is not compiled, and is over here where it is over in every process of the decision point.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from bailiwick_engine.budget.datasize import data_name, ledger_name
from bailiwick_engine.budget.ledger import Budget, BudgetLedger, Claim, Excess, policy_claim
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.acceptance import CompilationSummary
from bailiwick_engine.compile.policies import policy_ref
from bailiwick_engine.steps import Steps
from bailiwick_policystore.budget import BudgetQueue
from bailiwick_policystore.endpoints import Key
from bailiwick_policystore.objects import Object
from bailiwick_policystore.queue import NamespaceQueue

_log = structlog.get_logger()
_NOT_COMPILED: Final = CompilationSummary(())


@dataclass(frozen=True, slots=True)
class _Known:
    """What one generation of a policy came to. `summary` None: it was over budget, and was not compiled."""

    generation: int
    summary: CompilationSummary | None


class PolicySummaries:
    """Lives in one loop. `lookup` returns a policy as it is now; `judged` hears of each of which all is known.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        budget: Budget,
        lookup: Callable[[Key], Object | None],
        judged: Callable[[Object], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger: Final = BudgetLedger(budget)
        self._lookup = lookup
        self._judged = judged
        self._data_turned: Callable[[Key], None] = lambda _: None
        self._budget = BudgetQueue(self.ledger)
        # A review of a grant must not wait because a tenant edits large policies: its way leads through this process,
        # the API server and back several times.
        self._queue = NamespaceQueue(self._work, self._rouse_all, clock, resting=True)
        self._known: dict[str, _Known] = {}
        self._counted: dict[Key, tuple[str, int]] = {}
        # By namespace, the policies to be looked at, those first that have waited longest.
        self._waiting: dict[str, dict[Key, None]] = {}
        # By namespace, what was over budget when that was compared last, by the name in the budget ledger.
        self._over: dict[str, frozenset[str]] = {}

    def changed(self, key: Key) -> None:
        """Say that a policy came, changed or went. Of one that went, `gone` is to be called too."""
        body = self._lookup(key)
        if body is None:
            self._counted.pop(key, None)
            self._budget.put(*key, None)
        else:
            state = _state(body)
            if self._counted.get(key) == state and self._is_known(body):
                # Its status is another, by which nothing is judged.
                return
            if self._counted.get(key) != state:
                self._counted[key] = state
                self._budget.put(*key, policy_claim(body))
            self._waiting.setdefault(key[0], {})[key] = None
        self._queue.rouse(key[0])

    def gone(self, body: Mapping[str, Any]) -> None:
        """Forget what a policy came to that went: `changed` only counts it no more, and does not know its uid."""
        self._known.pop(body["metadata"]["uid"], None)

    def on_data_turned(self, turned: Callable[[Key], None]) -> None:
        """Have `turned` hear of each object of data that is over budget now, or not any more."""
        self._data_turned = turned

    def data_changed(self, key: Key, claim: Claim | None) -> None:
        """Say what an object of data asks for; None: it is gone."""
        self._budget.put(key[0], ledger_name(key[1]), claim)
        self._queue.rouse(key[0])

    def summary_of(self, body: Mapping[str, Any]) -> tuple[CompilationSummary, Excess | None] | None:
        """Return what a policy came to, and of what it is over budget; None where that is not known yet."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if key in self._waiting.get(key[0], ()) or metadata["uid"] != self._counted.get(key, ("", 0))[0]:
            return None
        excess = self.ledger.excess(*key)
        if excess is not None:
            return _NOT_COMPILED, excess
        known = self._known.get(metadata["uid"])
        if known is None or known.generation != metadata["generation"] or known.summary is None:
            return None
        return known.summary, None

    async def run(self) -> None:
        """Compile until cancelled."""
        for namespace in self._budget.namespaces:
            # Of all before any is compiled: what one may have depends on what the others ask for.
            for _ in self._budget.settle(namespace):
                await asyncio.sleep(0)
            self._compare(namespace)
        self._rouse_all()
        await self._queue.run(lambda _: None)

    def _rouse_all(self) -> None:
        for namespace in {*self._waiting, *self._budget.namespaces}:
            self._queue.rouse(namespace)

    def _work(self, namespace: str) -> Steps[None]:
        """Compile what changed in a namespace, until nothing did."""
        while True:
            # Only then: to compare looks at everything that is over budget.
            if (yield from self._budget.settle(namespace)):
                self._compare(namespace)
            waiting = self._waiting.get(namespace)
            if waiting:
                key = next(iter(waiting))
                del waiting[key]
                try:
                    yield from self._compile(key)
                except Exception:  # noqa: BLE001 - a defect must not stop the other policies of the namespace
                    # It comes again when it changes.
                    _log.exception("internal error while compiling a policy", namespace=namespace, name=key[1])
                # To look at one that is over budget takes no step of its own.
                yield
            else:
                self._waiting.pop(namespace, None)
                if not self._budget.waits(namespace):
                    break

    def _compare(self, namespace: str) -> None:
        """Have a look at everything that is over budget and was not, or the other way round."""
        over = self.ledger.names_over(namespace)
        for name in over ^ self._over.get(namespace, frozenset()):
            data = data_name(name)
            if data is not None:
                self._data_turned((namespace, data))
            elif self._lookup((namespace, name)) is not None:
                self._waiting.setdefault(namespace, {})[namespace, name] = None
        if over:
            self._over[namespace] = frozenset(over)
        else:
            self._over.pop(namespace, None)
        for other in tuple(self.ledger.restless):
            self._queue.rouse(other)

    def _compile(self, key: Key) -> Steps[None]:
        """Compile a policy as it is now, unless it is over budget or known already."""
        body = self._lookup(key)
        if body is None:
            return
        uid, generation = _state(body)
        known, over = self._known.get(uid), self.ledger.excess(*key) is not None
        if known is None or known.generation != generation or (known.summary is None and not over):
            summary = None if over else (yield from acceptance.judge_steps(policy_ref(body), body.get("spec")))
            known = _Known(generation, summary)
        # Race: it may have gone meanwhile, and nothing would forget it again.
        newest = self._lookup(key)
        if newest is None or _state(newest)[0] != uid:
            return
        self._known[uid] = known
        if _state(newest) == (uid, generation):
            self._judged(newest)

    def _is_known(self, body: Mapping[str, Any]) -> bool:
        known = self._known.get(body["metadata"]["uid"])
        return known is not None and known.generation == body["metadata"]["generation"]


def _state(body: Mapping[str, Any]) -> tuple[str, int]:
    return body["metadata"]["uid"], body["metadata"]["generation"]
