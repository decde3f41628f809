"""Budget log: which namespaces are over their budget or near it, said once each time it comes to be so.

Holds: metrics have no names in them, so these lines are where the names are.
"""

from typing import Final

import structlog

from bailiwick_engine.budget.ledger import Ledger

_NEAR: Final = 0.8
_NEAR_NO_MORE: Final = 0.7

_log = structlog.get_logger()


class BudgetLog:
    """Tells. Lives in one loop."""

    def __init__(self) -> None:
        self._over: set[str] = set()
        self._near: set[str] = set()

    def tell(self, ledger: Ledger, namespace: str) -> None:
        """Say how a namespace stands, if that is news."""
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
