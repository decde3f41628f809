"""Who asks on the status port: the operator, which proves itself by the signing keys, or a stranger.

Standing: under `health`, beside `ration`. Holds: a body is read before any place is taken, so that who sends slowly
holds nothing but a connection; bodies of strangers have a bound that they share, and the operator's are not counted
with them. A proof that is wrong makes a stranger, whose request is answered as any other's.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from bailiwick_api.signingkeys import SigningKey
from bailiwick_api.statusproof import HEADER, StatusProof, body_digest
from bailiwick_webhook.http.problems import overloaded
from bailiwick_webhook.http.shares.bounds import PACE
from bailiwick_webhook.http.transport.bodies import TORN, paced, torn
from bailiwick_webhook.http.transport.statusserver import keep as keep_open
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload

STRANGERS_BYTES: Final = 2 * 2**20
"""Bytes of bodies of strangers that may be on their way at a time; the rations bound how many wait that have come."""


@dataclass(frozen=True, slots=True)
class StatusBody:
    """A body that has come. `operator`: the operator proved that it sent it."""

    raw: bytes
    operator: bool


class StatusSenders:
    """Reads bodies. `keys` are the signing keys, none where there is no cluster. Lives in one loop."""

    def __init__(
        self,
        counts: Counts,
        keys: Callable[[], Iterable[SigningKey]] = tuple,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._counts = counts
        self._keys = keys
        self._now = now
        self._kept = 0

    async def body(self, request: web.Request, most: int) -> StatusBody | None:
        """Return the body; None: it has more bytes than `most`. Raises `ProblemError` (400, 429)."""
        claimed = self._claimed(request)
        if claimed is not None:
            keep_open(request)
        kept = 0

        def keep(size: int) -> None:
            nonlocal kept
            if claimed is None:
                if self._kept + size > STRANGERS_BYTES:
                    self._counts.overloads[Overload.BYTES, CallerClass.OTHERS] += 1
                    raise overloaded(Overload.BYTES)
                self._kept += size
                kept += size

        try:
            raw = await paced(request, most, PACE, keep)
        except TORN:
            # One that comes too slowly is one of them.
            raise torn() from None
        finally:
            self._kept -= kept
        if raw is None:
            return None
        return StatusBody(raw, operator=claimed is not None and claimed == body_digest(raw))

    def _claimed(self, request: web.Request) -> str | None:
        """Return the digest of the body that the operator says it sends; None where a stranger asks."""
        proof = StatusProof.parse(request.headers.get(HEADER))
        if proof is None:
            return None
        key = next((key for key in self._keys() if key.kid == proof.kid), None)
        return proof.body if key is not None and proof.proves(key, request.path, self._now()) else None
