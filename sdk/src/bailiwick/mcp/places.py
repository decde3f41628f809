"""Places that callers share: calls under way, and calls that wait for an approval.

Standing: below `gate` and the gateway. Holds: no caller has more places than are free, so that none can take all; a
call that waits gives back its place among those that run, and ends after a bounded time or when its server ends.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

from bailiwick.decision import Approval


class GatewayQuota:
    """An amount that is shared by name. No holder gets more than what is free."""

    def __init__(self, most: int) -> None:
        """Share this amount."""
        self._free = most
        self._held: Counter[str] = Counter()

    def take(self, name: str, amount: int = 1) -> bool:
        """Hold so much more in this name; False: there is not enough, or the name has too much."""
        if amount > self._free or self._held[name] + amount > max(self._free, amount):
            return False
        self._free -= amount
        self._held[name] += amount
        return True

    def give_back(self, name: str, amount: int = 1) -> None:
        """Hold so much less."""
        self._free += amount
        self._held[name] -= amount
        if not self._held[name]:
            del self._held[name]

    @property
    def free(self) -> int:
        """How much is free."""
        return self._free


class RunningPlace:
    """The place of one call among those that run. It is given back once."""

    def __init__(self, quota: GatewayQuota, name: str) -> None:
        """Remember whose it is; it is taken already."""
        self._quota: GatewayQuota | None = quota
        self._name = name

    def give_back(self) -> None:
        """Let another call run."""
        quota, self._quota = self._quota, None
        if quota is not None:
            quota.give_back(self._name)


# Of the call that is served. What bounds calls sets it.
RUNNING_PLACE: Final[ContextVar[RunningPlace | None]] = ContextVar("bailiwick_running_place", default=None)


class WaitingCalls:
    """The calls that wait for an approval. Of one event loop."""

    def __init__(self, most: int, seconds: float) -> None:
        """Let so many wait at a time, each for so long."""
        self._places = GatewayQuota(most)
        self._seconds = seconds
        self._limits: set[asyncio.Timeout] = set()
        self._ended = False

    async def wait(
        self, caller: str, approval: Approval, look: Callable[[Approval, float], Awaitable[Approval]]
    ) -> Approval | None:
        """Wait for an approval; None where there is no place. It may still be pending then.

        `look` waits until it has ended, or until this time (seconds since the epoch).
        """
        if not self._places.take(caller):
            return None
        running = RUNNING_PLACE.get()
        limit = asyncio.timeout(0.0 if self._ended else None)
        self._limits.add(limit)
        try:
            if running is not None:
                running.give_back()
            async with limit:
                return await look(approval, time.time() + self._seconds)
        except TimeoutError:
            return approval
        finally:
            self._limits.discard(limit)
            self._places.give_back(caller)

    def end(self) -> None:
        """Let none wait any longer: their callers repeat their calls elsewhere."""
        self._ended = True
        for limit in self._limits:
            limit.reschedule(0.0)


def caller_of(token: str) -> str:
    """Return what stands for the caller of a token: its issuer and subject where it says so, else the token itself.

    Nothing is verified here: it only tells who shares places with whom.
    """
    said = token
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if isinstance(claims, dict) and isinstance(claims.get("sub"), str):
            said = json.dumps([claims.get("iss"), claims["sub"]])
    except (IndexError, binascii.Error, ValueError, RecursionError):
        pass
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
