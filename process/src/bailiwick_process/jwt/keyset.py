"""The keys of one issuer as they are now: fetched, kept, and fetched again where a token names one that is not known.

Holds: keys are read from where the installation says, never from where a token says; an unknown key costs at most one
fetch in `UNKNOWN_SECONDS`, however often it is sent; keys that could not be read again for `MAX_AGE` are none.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from bailiwick_process.jwt.jwks import PublishedKey

REFRESH: Final = 300.0
MAX_AGE: Final = 3600.0
UNKNOWN_SECONDS: Final = 30.0
# While no keys are known at all, every token waits for them.
RETRY_SECONDS: Final = 5.0

_log = structlog.get_logger()


class KeysUnavailableError(Exception):
    """The keys cannot be read at the moment."""


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """What an issuer publishes: its name as its tokens carry it in `iss`, and its keys."""

    issuer: str
    keys: tuple[PublishedKey, ...]


Fetch = Callable[[], Awaitable[IssuerKeys]]


class KeySet:
    """Keeps the issuer keys. `fetch` raises `KeysUnavailableError`; `clock` is monotonic, in seconds."""

    def __init__(
        self, name: str, fetch: Fetch, *, refresh: float = REFRESH, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._refresh = refresh
        self._clock = clock
        self._held: IssuerKeys | None = None
        self._read = float("-inf")
        self._tried = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Read the keys again and again, for ever, so that a withdrawn key is forgotten without being asked for."""
        while True:
            await self._read_again(0.0)
            # Not all replicas at once.
            await asyncio.sleep(self._refresh * random.uniform(0.9, 1.1))  # noqa: S311 - no secret, only spread

    async def published(self) -> IssuerKeys | None:
        """Return what is published; None where that is not known."""
        if self.current is None:
            await self._read_again(RETRY_SECONDS)
        return self.current

    async def after_unknown(self) -> IssuerKeys | None:
        """Return what is published, read once more if that was not done just now."""
        await self._read_again(UNKNOWN_SECONDS)
        return self.current

    async def read_since(self, moment: float) -> bool:
        """Return whether the keys were read since a moment of the monotonic clock. Reads them, if not tried since."""
        if max(self._read, self._tried) < moment:
            await self._read_again(0.0)
        return self._read >= moment

    @property
    def current(self) -> IssuerKeys | None:
        """What is published as far as is known; nothing is fetched."""
        return self._held if self._clock() - self._read <= MAX_AGE else None

    async def _read_again(self, gap: float) -> None:
        if self._reading is None:
            if self._clock() - self._tried < gap:
                return
            self._reading = asyncio.create_task(self._read_once())
        # Shielded and shared: many tokens with an unknown key fetch once, and one that goes away fails no other.
        await asyncio.shield(self._reading)

    async def _read_once(self) -> None:
        began = self._clock()
        try:
            found = await self._fetch()
        except KeysUnavailableError as error:
            _log.warning("issuer keys not read", issuer=self._name, error=str(error))
        except Exception:  # noqa: BLE001 - what one issuer publishes must not end the process for all
            _log.exception("issuer keys not read", issuer=self._name)
        else:
            # What is published may have changed since the question, and not only since the answer.
            self._read = began
            if _key_identity(found) != _key_identity(self._held):
                _log.info("issuer keys", issuer=self._name, kids=sorted(key.kid or "" for key in found.keys))
                self._held = found
        finally:
            self._tried = self._clock()
            self._reading = None


def _key_identity(published: IssuerKeys | None) -> object:
    """What tells one set of keys from another: `IssuerKeys` itself is the same object as long as this is the same."""
    if published is None:
        return None
    return published.issuer, {(key.kid, key.algorithms, key.key.thumbprint()) for key in published.keys}
