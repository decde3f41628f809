"""Refetch: objects that were over budget and are not any more. Of those nothing was kept, so they are read again.

Standing: under the policy controller and `data`, which each have one. Holds: until it was read, such an object goes on
to deny, or to be unknown. Nothing that the API server answers ends this. What was read is taken only if nothing was
heard of the object meanwhile: a late answer is an older state.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from bailiwick_policystore.endpoints import Key
from bailiwick_policystore.objects import Object

_AGAIN_SECONDS: Final = 1.0

Read = Callable[[Key], Awaitable[Object | None]]

_log = structlog.get_logger()


async def nothing(_: Key) -> Object | None:
    """Read nothing: there is nowhere to read it from."""
    return None


class ObjectRefetch:
    """Reads what is missing. `missing` returns the objects that are, at any moment. Lives in one loop.

    `read` returns an object as it is now, None where it is not there. `held` returns what is in the index in its place,
    which is another object after each change.
    """

    def __init__(
        self,
        read: Read,
        missing: Callable[[], Iterable[Key]],
        held: Callable[[Key], object],
        take: Callable[[Key, Object], None],
    ) -> None:
        self._read = read
        self._missing = missing
        self._held = held
        self._take = take
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at what is missing."""
        self._woken.set()

    async def run(self) -> None:
        """Read one after the other, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            for key in tuple(self._missing()):
                held = self._held(key)
                try:
                    obj = await self._read(key)
                except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
                    self._try_later(key, str(error))
                    break
                # Race: meanwhile it may have been heard of, or be over again, or both, and be missing once more.
                if key not in self._missing():
                    continue
                if self._held(key) is not held:
                    self._woken.set()
                elif obj is not None:
                    try:
                        self._take(key, obj)
                    except Exception as error:  # noqa: BLE001 - what was answered need be no object
                        # The API server answers, so that those behind it need not wait.
                        self._try_later(key, repr(error))

    def _try_later(self, key: Key, why: str) -> None:
        _log.warning("object cannot be read, calls that depend on it are denied", key=key, error=why)
        asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._woken.set)
