"""The strip of one visit: read as the person, now and then, beside the pages.

Holds: no page waits for it longer than a moment, and none fails of it; what cannot be read is said in the strip alone.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from bailiwick_api.accounts import GUARD_CONFIG_MAP, WITNESS_CONFIG_MAP, WITNESS_MONTHS
from bailiwick_console.strip.facts import StripFacts, StripItem, guard_fact, items, unknown_facts, witness_fact
from bailiwick_console.strip.losses import ended_losses
from bailiwick_console.threads.calls import ClusterThreads
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_kube.paths import CORE, object_path

EVERY_SECONDS: Final = 30.0
_PATIENCE: Final = 0.3


class StripKeeper:
    """Reads at most every so many seconds, of the namespace in which Bailiwick is installed."""

    def __init__(self, cluster: ClusterClient, installation: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._installation = installation
        self._clock = clock
        # Its own: an API server that is slow to tell of this costs no page its turn.
        self._threads = ClusterThreads()
        self._facts: StripFacts | None = None
        self._read: float | None = None
        self._reading: asyncio.Task[None] | None = None

    def items(self) -> tuple[StripItem, ...]:
        """Return what is known, as it stands now."""
        return items(self._facts, time.time())

    async def refresh(self) -> None:
        """See to it that it is read now and then.

        A page waits for that only for a moment, and only where it begins the reading, or nothing was read before.
        """
        # What was read before a pause would be shown as it was then, or as no longer known.
        waits = self._facts is None
        if self._reading is None and (self._read is None or self._clock() - self._read >= EVERY_SECONDS):
            waits = True
            self._read = self._clock()
            self._reading = asyncio.create_task(self._look())
        if waits and self._reading is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await asyncio.shield(self._reading)

    async def _look(self) -> None:
        try:
            self._facts = await self._threads.run(self._facts_now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a matter of the strip alone
            why = f"reading it failed ({type(error).__name__})"
            self._facts = unknown_facts(why, time.time())
        finally:
            self._reading = None

    def _facts_now(self) -> StripFacts:
        now = time.time()
        guard, witness = self._config_map(GUARD_CONFIG_MAP), self._config_map(WITNESS_CONFIG_MAP)
        guarded = guard if isinstance(guard, str) else guard_fact(guard)
        if isinstance(witness, str):
            return StripFacts(guarded, witness, now, witness)
        # Behind those that live: one that ends in between is in both, and in none the other way round.
        name = WITNESS_MONTHS[datetime.fromtimestamp(now, UTC).month - 1]
        # The operator makes it once a log of that month has ended.
        month = self._config_map(name, missing={})
        ended = month if isinstance(month, str) else ended_losses(month, now, live=witness.get("data") or {})
        return StripFacts(guarded, witness_fact(witness), now, ended)

    def _config_map(self, name: str, missing: Mapping[str, Any] | None = None) -> Mapping[str, Any] | str:
        """Return a ConfigMap, `missing` where there is none, or why it cannot be read."""
        where = f"ConfigMap {name} in {visible(self._installation)}"
        try:
            return self._cluster.get(object_path(CORE, "configmaps", self._installation, name))
        except ApiError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                # The same of each: a person has the right to all of them, or the strip says it once.
                return f"you may not read the ConfigMaps of the operator in {visible(self._installation)}"
            if error.status != HTTPStatus.NOT_FOUND:
                return f"{where}: {error}"
            return f"there is no {where}" if missing is None else missing
        except UserError:
            return "the API server does not answer"
