"""Refetch: policies that were over budget and are not any more. Of those nothing was kept, so they are read again.

Holds: until it was read, a policy goes on to deny. Nothing that the API server answers ends this.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from bailiwick_webhook.store.policies.index import Key

_AGAIN_SECONDS: Final = 1.0

Object = dict[str, Any]
Read = Callable[[Key], Awaitable[Object | None]]

_log = structlog.get_logger()


async def nothing(_: Key) -> Object | None:
    """Read nothing: there is nowhere to read it from."""
    return None


class PolicyRefetch:
    """What is to be read. `read` returns an object as it is now, None where it is not there. Lives in one loop."""

    def __init__(self, read: Read, take: Callable[[Key, Object], None]) -> None:
        self._read = read
        self._take = take
        self._keys: dict[Key, None] = {}
        self._woken = asyncio.Event()

    def want(self, key: Key) -> None:
        """Have a policy read."""
        self._keys[key] = None
        self._woken.set()

    def drop(self, key: Key) -> None:
        """Have it read no longer: we were told of it."""
        self._keys.pop(key, None)

    def clear(self) -> None:
        """Have nothing read."""
        self._keys.clear()

    async def run(self) -> None:
        """Read one after the other, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            for key in tuple(self._keys):
                try:
                    obj = await self._read(key)
                except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
                    _log.warning("policy cannot be read, it continues to deny", key=key, error=str(error))
                    asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._woken.set)
                    break
                # Meanwhile we may have been told of it.
                if key in self._keys:
                    del self._keys[key]
                    if obj is not None:
                        self._take(key, obj)
