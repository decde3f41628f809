"""Index: every compiled policy by its endpoint, so that a change of one is a change of its endpoint alone.

Holds: a snapshot that was handed out never changes: the next one shares every endpoint that was not touched. What it
says is what `Snapshot.of` says of the same policies, whatever came in which order.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from bailiwick_engine.compiled import BrokenPolicy, CompiledPolicy, PolicyRef
from bailiwick_engine.snapshot import CompiledEndpoint, EndpointKey, Snapshot, denies_namespace, endpoint_of
from bailiwick_webhook.store.slices import Slices

Key = tuple[str, str]
Policy = CompiledPolicy | BrokenPolicy

# Where a policy speaks: namespace and endpoint; None where the endpoint cannot be read, which concerns the namespace.
_Place = tuple[str, str | None]
# An endpoint of more policies than this is built beside the loop, which then waits for the interpreter lock only.
_MANY: Final = 100

_log = structlog.get_logger()


class Index:
    """The policies that the next snapshot is made of. Lives in one loop and has one user at a time."""

    def __init__(self) -> None:
        self._policies: dict[Key, Policy] = {}
        self._places: dict[_Place, dict[Key, Policy]] = {}
        self._touched: set[_Place] = set()
        self._served: dict[str, int] = {}
        self._moves: list[tuple[PolicyRef, bool]] = []
        self._snapshot = Snapshot({})

    def get(self, key: Key) -> Policy | None:
        """Return a policy as it was compiled last."""
        return self._policies.get(key)

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether the last snapshot holds this generation of a policy."""
        return self._served.get(uid) == generation

    def put(self, key: Key, policy: Policy | None) -> None:
        """Take in a policy; None takes it out."""
        was = self._policies.get(key)
        if was is policy:
            return
        if was is not None:
            del self._policies[key]
            self._leave(key, was)
        if policy is not None:
            self._policies[key] = policy
            self._places.setdefault(_place(policy), {})[key] = policy
            self._touched.add(_place(policy))
            self._moves.append((policy.ref, True))

    async def replace(self, policies: Mapping[Key, Policy], slices: Slices) -> None:
        """Take this as every policy that exists."""
        for key in [key for key in self._policies if key not in policies]:
            self.put(key, None)
            await slices.turn()
        for key, policy in policies.items():
            self.put(key, policy)
            await slices.turn()

    async def snapshot(self, revision: str, slices: Slices) -> Snapshot:
        """Return the snapshot of what was put; only endpoints that were touched are built anew."""
        built: dict[EndpointKey, CompiledEndpoint | None] = {}
        touched, self._touched = self._touched, set()
        for place in touched:
            namespace, endpoint = place
            if endpoint is not None:
                members = self._places.get(place)
                built[namespace, endpoint] = await _endpoint(endpoint, members) if members else None
                await slices.turn()
        endpoints = dict(self._snapshot.endpoints)
        for key, found in built.items():
            if found is None:
                endpoints.pop(key, None)
            else:
                endpoints[key] = found
        unreadable = self._snapshot.unreadable
        if any(endpoint is None for _, endpoint in touched):
            unreadable = self._unreadable()
        await slices.turn()
        served = dict(self._served)
        moves, self._moves = self._moves, []
        for ref, came in moves:
            if came:
                served[ref.uid] = ref.generation
            elif served.get(ref.uid) == ref.generation:
                del served[ref.uid]
            await slices.turn()
        # Nothing waits between these, so that `serves` and the snapshot always speak of the same.
        self._served = served
        self._snapshot = Snapshot(endpoints, revision, unreadable)
        return self._snapshot

    def _leave(self, key: Key, was: Policy) -> None:
        place = _place(was)
        members = self._places[place]
        del members[key]
        if not members:
            del self._places[place]
        self._touched.add(place)
        self._moves.append((was.ref, False))

    def _unreadable(self) -> Mapping[str, PolicyRef]:
        """Return the namespaces that are denied since an endpoint there cannot be read, each with the first policy."""
        found: dict[str, PolicyRef] = {}
        for (namespace, endpoint), members in self._places.items():
            if endpoint is None:
                denying = [policy.ref for policy in members.values() if denies_namespace(policy)]
                if denying:
                    found[namespace] = min(denying, key=lambda ref: ref.name)
        return found


def _place(policy: Policy) -> _Place:
    return (policy.ref.namespace, policy.endpoint)


async def _endpoint(name: str, members: Mapping[Key, Policy]) -> CompiledEndpoint:
    # In order of name, so that which of two broken policies is told of hangs on nothing else.
    policies = [members[key] for key in sorted(members)]
    try:
        return endpoint_of(policies) if len(policies) <= _MANY else await asyncio.to_thread(endpoint_of, policies)
    except Exception:  # noqa: BLE001 - a defect of ours must not take the other endpoints along
        ref = policies[0].ref
        _log.exception("endpoint cannot be built, it is denied", namespace=ref.namespace, endpoint=name)
        return endpoint_of([BrokenPolicy(ref, name, subjects=None, audit=False, carries_settings=True)])
