"""Policies: the sink that compiles them and swaps the snapshot.

Holds: a snapshot is immutable and swapped whole; compiling yields to the loop every few milliseconds; an event that
leaves a policy's generation unchanged is not news; one policy never keeps another from being compiled.
"""

import asyncio
import time
from typing import Any

import structlog

from bailiwick_engine.compile import compile_object
from bailiwick_engine.compiled import BrokenPolicy, CompiledPolicy, PolicyRef
from bailiwick_engine.snapshot import Snapshot
from bailiwick_webhook.store.listwatch import Objects

_SLICE = 0.005

_log = structlog.get_logger()

Key = tuple[str, str]


class Policies:
    """Every `EndpointPolicy`, compiled. `snapshot` is None until the first list was compiled."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._wanted: Objects = {}
        self._compiled: dict[Key, CompiledPolicy | BrokenPolicy] = {}
        self._dirty: set[Key] = set()
        self._woken = asyncio.Event()
        self._version = 0

    def replace(self, objects: Objects) -> None:
        """Take this as every policy that exists."""
        self._dirty |= {key for key in self._wanted.keys() | objects.keys() if self._news(key, objects.get(key))}
        self._wanted = objects
        self._woken.set()

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        found = None if kind == "DELETED" else obj
        if self._news(key, found):
            self._dirty.add(key)
            self._woken.set()
        if found is None:
            self._wanted.pop(key, None)
        else:
            self._wanted[key] = found

    async def run(self) -> None:
        """Compile what changed and swap the snapshot, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            dirty, self._dirty = self._dirty, set()
            until = time.monotonic() + _SLICE
            for key in dirty:
                obj = self._wanted.get(key)
                if obj is None:
                    self._compiled.pop(key, None)
                else:
                    self._compiled[key] = _compiled(key, obj)
                if time.monotonic() >= until:
                    await asyncio.sleep(0)
                    until = time.monotonic() + _SLICE
            self._version += 1
            self.snapshot = Snapshot.of(self._compiled.values(), revision=str(self._version))

    def _news(self, key: Key, obj: dict[str, Any] | None) -> bool:
        was = self._wanted.get(key)
        if was is None or obj is None:
            return was is not obj
        return _version(was) != _version(obj)


def _version(obj: dict[str, Any]) -> tuple[Any, Any]:
    return (obj["metadata"].get("uid"), obj["metadata"].get("generation"))


def _compiled(key: Key, obj: dict[str, Any]) -> CompiledPolicy | BrokenPolicy:
    try:
        return compile_object(obj)
    except Exception:  # noqa: BLE001 - a defect of the compiler must not take the other policies along
        _log.exception("policy cannot be compiled, its namespace is denied", namespace=key[0], name=key[1])
        ref = PolicyRef(*key, uid="", generation=0)
        return BrokenPolicy(ref, endpoint=None, subjects=None, audit=False, carries_settings=True)
