"""Policies: the sink that compiles them and swaps the snapshot.

Holds: a snapshot is immutable and swapped whole; compiling yields to the loop every few milliseconds; an event that
leaves a policy's generation unchanged is not news; one policy never keeps another from being compiled. Of an object
nothing is kept but what it was compiled to.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog

from bailiwick_engine.compile import compile_steps, salvaged
from bailiwick_engine.compiled import BrokenPolicy, PolicyRef
from bailiwick_engine.snapshot import Snapshot
from bailiwick_engine.steps import Steps, whole
from bailiwick_webhook.store.index import Index, Key, Policy
from bailiwick_webhook.store.slices import Slices

_log = structlog.get_logger()


class Policies:
    """Every `EndpointPolicy`, compiled. `snapshot` is None until the first list was taken up.

    `settled` is False while something that was heard is not part of the snapshot yet.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.settled = True
        self._index = Index()
        self._listed: dict[Key, Policy] | None = None
        self._changed: dict[Key, dict[str, Any] | None] = {}
        self._woken = asyncio.Event()
        self._version = 0

    def listing(self) -> "_Listing":
        """Begin a list."""
        return _Listing(self)

    def read(self, key: Key, obj: dict[str, Any]) -> Steps[Policy]:
        """Compile an object in steps, unless it is the one that we have."""
        known = self._index.get(key)
        return known if known is not None and _is(known.ref, obj) else (yield from _compiled(key, obj))

    def replace(self, listed: dict[Key, Policy]) -> None:
        """Take this as every policy that exists."""
        self._listed = listed
        # Older than the list.
        self._changed.clear()
        self._wake()

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        if kind == "DELETED":
            self._changed[key] = None
        elif key in self._changed or self._listed is not None or not self._has(key, obj):
            self._changed[key] = obj
        else:
            return
        self._wake()

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether the snapshot holds this generation of a policy, sound or broken."""
        return self._index.serves(uid, generation)

    async def run(self) -> None:
        """Compile what changed and swap the snapshot, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            # Whatever comes meanwhile is taken up by the next round, whole.
            listed, self._listed = self._listed, None
            changed, self._changed = self._changed, {}
            slices = Slices()
            if listed is not None:
                await self._index.replace(listed, slices)
            for key, obj in changed.items():
                self._index.put(key, None if obj is None else await slices.through(self.read(key, obj)))
                await slices.turn()
            if listed is not None or changed:
                self._version += 1
                self.snapshot = await self._index.snapshot(str(self._version), slices)
            self.settled = not self._woken.is_set()

    def _has(self, key: Key, obj: dict[str, Any]) -> bool:
        known = self._index.get(key)
        return known is not None and _is(known.ref, obj)

    def _wake(self) -> None:
        self.settled = False
        self._woken.set()


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list on its way: compiled object by object, so that no more than a page of them is ever held."""

    policies: Policies
    compiled: dict[Key, Policy] = field(default_factory=dict)

    def take(self, key: Key, obj: dict[str, Any]) -> None:
        self.compiled[key] = whole(self.policies.read(key, obj))

    def done(self) -> None:
        self.policies.replace(self.compiled)


def _is(ref: PolicyRef, obj: dict[str, Any]) -> bool:
    """Tell whether an object is the one that was compiled; what cannot be told apart is compiled again."""
    metadata = obj["metadata"]
    return bool(ref.uid) and ref.uid == metadata.get("uid") and ref.generation == metadata.get("generation")


def _compiled(key: Key, obj: dict[str, Any]) -> Steps[Policy]:
    try:
        return (yield from compile_steps(obj))
    except Exception:  # noqa: BLE001 - a defect of the compiler must not take the other policies along
        _log.exception("policy cannot be compiled, what it speaks of is denied", namespace=key[0], name=key[1])
    return _denying(key, obj)


def _denying(key: Key, obj: dict[str, Any]) -> BrokenPolicy:
    """Return what is denied where compiling raised: its subjects, its endpoint, or else the namespace."""
    uid, generation = obj["metadata"].get("uid"), obj["metadata"].get("generation")
    ref = PolicyRef(*key, uid if isinstance(uid, str) else "", generation if isinstance(generation, int) else 0)
    spec = obj.get("spec")
    try:
        return salvaged(ref, spec)
    except Exception:  # noqa: BLE001 - as above; it is logged already
        endpoint = spec.get("endpoint") if isinstance(spec, dict) else None
        return BrokenPolicy(
            ref,
            endpoint=endpoint if isinstance(endpoint, str) else None,
            subjects=None,
            audit=False,
            carries_settings=True,
        )
