"""Stored objects: the state of one key at the API server, as it is read and written.

Standing: under `commits`. Holds: a write is one request at the resourceVersion that was read; what did not come back as
it was written is not trusted; an object that is behind what was seen of it before is no state.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from msgspec.structs import replace

from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.retention import keep_until
from bailiwick_engine.history.state import KeyState
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.history.heldstates import (
    HeldState,
    HeldStates,
    hour_of,
    keep_until_label,
    manifest,
    parse_held,
)
from bailiwick_webhook.history.ports import HistoryKey
from bailiwick_webhook.history.rations import HistoryRations
from bailiwick_webhook.keyedturns import KeyedTurns
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import HistoryTally
from bailiwick_webhook.metrics.table import HistoryCause, HistoryCommit

_RESTS: Final = (1.0, 3.0)
"""For how many times as long as a write took the next one is put off, so that another replica has its turn."""
_MOST_REST: Final = 0.05

AT_ONCE: Final = 4
"""Requests about one namespace's histories that are at the API server at a time. So one that is slow is sent less, and
the requests of others, such as those of the operator, do not queue behind a crowd of one namespace. An API server that
answers within 13 ms serves a namespace's rations of reads and writes by so many."""
PATIENCE: Final = 2.0
"""Seconds that such a request waits for its place."""

_log: Final = LogLimit()


def namespace_places() -> KeyedTurns[str]:
    """Return the places of all namespaces."""
    return KeyedTurns(AT_ONCE, PATIENCE)


class HistoryClient(Protocol):
    """The calls of the API server. Each raises `ClusterUnavailableError`."""

    async def read_history(self, namespace: str, name: str) -> ApiResponse:
        """Read an object as it is now; 404 is an answer."""

    async def create_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Create an object; 409 is an answer."""

    async def replace_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Replace an object at its resourceVersion; 404 and 409 are answers."""


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Reads and writes objects. `clock` is monotonic, in seconds.

    `bounds` returns between which times the API server's clock is, None where that is not known; `proven` tells whether
    the guards over histories are proven.
    """

    client: HistoryClient
    bounds: Callable[[], ClockBounds | None]
    proven: Callable[[], bool]
    rations: HistoryRations
    tally: HistoryTally
    clock: Callable[[], float]
    held: HeldStates
    places: KeyedTurns[str] = field(default_factory=namespace_places)

    def moment(self) -> ClockBounds | HistoryCause:
        """Return what time it is, or why nothing can be read or counted now."""
        if not self.proven():
            return HistoryCause.GUARD
        return self.bounds() or HistoryCause.CLOCK

    async def read(self, key: HistoryKey, empty: KeyState) -> HeldState | HistoryCause:
        """Read an object, and hold its state. `empty`: its state if there is none."""
        async with self.places.hold(key[0]) as taken:
            return await self._read(key, empty) if taken else HistoryCause.RATION

    async def _read(self, key: HistoryKey, empty: KeyState) -> HeldState | HistoryCause:
        before = self.moment()
        if isinstance(before, HistoryCause):
            return before
        if not self.rations.take_read(key[0]):
            return HistoryCause.RATION
        began = self.clock()
        try:
            answer = await self.client.read_history(*key)
        except ClusterUnavailableError as error:
            _log.warning("history not read: API server did not respond", name=key[1], error=str(error))
            return HistoryCause.API_SERVER
        if answer.missing:
            held: HeldState | None = HeldState(empty, None, None, 0, began, began)
        elif answer.ok:
            held = parse_held(answer.body, empty, began)
        else:
            _log.error("history cannot be read", name=key[1], status=answer.status, why=answer.message)
            return HistoryCause.REFUSED
        moment = self.moment()
        if isinstance(moment, HistoryCause):
            return moment
        if held is None or self.held.is_behind(key, held, moment.earliest):
            self.held.drop(key)
            _log.error("history is unreadable, or behind what was seen of it before", name=key[1], namespace=key[0])
            return HistoryCause.STATE
        self.held.put(key, held)
        return held

    async def write(
        self,
        key: HistoryKey,
        held: HeldState,
        state: KeyState,
        definitions: Iterable[CompiledHistory],
        *,
        crowded: bool = False,
        waits: bool = True,
    ) -> HeldState | HistoryCause | None:
        """Write a state in place of the one that is held, and hold it; None: it is not the present one any more.

        `crowded`: several calls waited for it, so that more are to be expected. Not `waits`: none did.

        `definitions`: of all lines whose windows are known. The others are kept for as long as any window can be.

        It takes the turn of a write that its caller has. After any other cause than RATION the write may have happened.
        """
        async with self.places.hold(key[0]) as taken:
            if not taken:
                return HistoryCause.RATION
            return await self._write(key, held, state, definitions, crowded=crowded, waits=waits)

    async def _write(
        self,
        key: HistoryKey,
        held: HeldState,
        state: KeyState,
        definitions: Iterable[CompiledHistory],
        *,
        crowded: bool,
        waits: bool,
    ) -> HeldState | HistoryCause | None:
        if held.version is None and not self.rations.take_new_key(key[0], waits=waits):
            return HistoryCause.RATION
        label = keep_until(state, definitions, held.keep_until)
        wanted = manifest(key, state, held, label)
        put = self.client.create_history if held.version is None else self.client.replace_history
        # Until it is known what became of it, there is no state.
        self.held.drop(key)
        began = self.clock()
        try:
            answer = await put(wanted)
        except ClusterUnavailableError as error:
            self.tally.commits[HistoryCommit.LOST] += 1
            _log.warning("history not written: API server did not respond", name=key[1], error=str(error))
            return HistoryCause.API_SERVER
        took = self.clock() - began
        self.tally.took(took)
        # Where nothing was to be replaced, it is the namespace that is gone, or the kind.
        if answer.conflict or (answer.missing and held.version is not None):
            self.tally.commits[HistoryCommit.CONFLICT] += 1
            return None
        metadata = answer.body.get("metadata") or {}
        # By its label the operator deletes it: one that was changed on admission would have it do so before its time.
        as_written = answer.body.get("spec") == wanted["spec"] and keep_until_label(answer.body) == label
        if not answer.ok or not as_written:
            self.tally.commits[HistoryCommit.REFUSED] += 1
            _log.error("history not written", name=key[1], status=answer.status, why=answer.message)
            return HistoryCause.REFUSED
        self.tally.commits[HistoryCommit.WRITTEN] += 1
        written = HeldState(state, metadata["resourceVersion"], metadata["uid"], hour_of(label) or 0, began, held.read)
        if crowded:
            # A replica that loses the race has to read before it writes, and would lose again.
            rest = min(_MOST_REST, took * random.uniform(*_RESTS))  # noqa: S311 - it hides nothing
            written = replace(written, rests_until=self.clock() + rest)
        self.held.put(key, written)
        # It may have been lifted while this was written.
        return written if self.proven() else HistoryCause.GUARD
