"""Budget: what is to be counted in the budget ledger, namespace by namespace, and the log of who is over or near it.

Standing: over the engine's budget ledger, which is pure and settles in steps. Holds: nothing is put into a namespace of
it while that is being settled; of an object that changes again only the newest claim is counted. Metrics have no
names in them, so the log is where the names are.
"""

from typing import Final

import structlog

from bailiwick_engine.budget.ledger import BudgetLedger, Claim, Excess
from bailiwick_engine.steps import Steps

_NEAR: Final = 0.8
_NEAR_NO_MORE: Final = 0.7
# Claims that are put in one step.
_PUT: Final = 128

_log = structlog.get_logger()


class BudgetQueue:
    """Claims that were heard of and are not counted. Lives in one loop; each namespace is settled by one at a time."""

    def __init__(self, ledger: BudgetLedger) -> None:
        self.ledger: Final = ledger
        self._uncounted: dict[str, dict[str, Claim | None]] = {}

    def put(self, namespace: str, name: str, claim: Claim | None) -> None:
        """Have a claim counted, in place of any before it; None: the object is gone."""
        self._uncounted.setdefault(namespace, {})[name] = claim

    def waits(self, namespace: str) -> bool:
        """Tell whether a namespace has something to be counted or settled."""
        return namespace in self._uncounted or namespace in self.ledger.restless

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that have something to be counted or settled."""
        return (*self._uncounted, *self.ledger.restless)

    def settle(self, namespace: str) -> Steps[bool]:
        """Count what a namespace asks for by now, and find out who is over. Returns whether there was anything to do.

        What is heard of meanwhile is counted the next time: so this ends, however often objects change.
        """
        if not self.waits(namespace):
            return False
        for number, (name, claim) in enumerate(self._uncounted.pop(namespace, {}).items()):
            self.ledger.put(namespace, name, claim)
            if number % _PUT == _PUT - 1:
                yield
        yield from self.ledger.settle_one(namespace)
        return True

    def excess(self, namespace: str, name: str, claim: Claim | None) -> Excess | None:
        """Return of what an object that asks for this is over, counted or not; None where it is not."""
        if name in self._uncounted.get(namespace, ()):
            # Heard of since it was counted last. To count it first might never end, if it changes again and again.
            return None if claim is None else self.ledger.refused(namespace, name, claim.footprint)
        return self.ledger.excess(namespace, name)


class BudgetLog:
    """Logs once each time that a namespace comes to be over its budget, or near it. Lives in one loop."""

    def __init__(self) -> None:
        self._over: set[str] = set()
        self._near: set[str] = set()

    def write(self, ledger: BudgetLedger, namespace: str) -> None:
        """Log how a namespace stands, if that is news."""
        used, most = ledger.usage_of(namespace)
        over = ledger.over_in(namespace)
        if over and namespace not in self._over:
            self._over.add(namespace)
            _log.warning(
                "policies over budget, calls that they cover are denied",
                namespace=namespace,
                policies=over,
                used=used,
                limit=most,
            )
        elif not over and namespace in self._over:
            self._over.discard(namespace)
            _log.info("no more policies over budget", namespace=namespace, used=used, limit=most)
        if most and used > _NEAR * most and namespace not in self._near:
            self._near.add(namespace)
            _log.warning("namespace near its budget", namespace=namespace, used=used, limit=most)
        elif not most or used < _NEAR_NO_MORE * most:
            self._near.discard(namespace)
