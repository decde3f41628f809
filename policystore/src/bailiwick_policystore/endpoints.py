"""Endpoints: every compiled policy by its endpoint, so that a change of one is a change of its endpoint alone.

Standing: under the policy controller and `data`, which put in what they compile and read. Holds: a snapshot that was
handed out never changes: the next one shares every endpoint that was not built again. What it says is what
`Snapshot.of` says of the same policies, whatever came in which order. Neither to build nor to free anything takes
longer than a step.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set as AbstractSet
from typing import Final

import structlog

from bailiwick_engine.budget.datasize import ledger_name
from bailiwick_engine.cel.data import DataObject, UnknownReason
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, PolicyRef
from bailiwick_engine.policy.snapshot import (
    CompiledEndpoint,
    EndpointKey,
    Snapshot,
    denies_namespace,
    endpoint_of,
    endpoint_steps,
)
from bailiwick_engine.steps import Steps

Key = tuple[str, str]
Policy = CompiledPolicy | BrokenPolicy

Place = tuple[str, str | None]
"""Where a policy speaks: namespace and endpoint; None where that cannot be read, which concerns the whole namespace."""
_TABLES: Final = 256

_log = structlog.get_logger()


class PolicyIndex:
    """The policies that the next snapshot is made of. Lives in one loop; each namespace has one user at a time."""

    def __init__(self) -> None:
        self._policies: dict[Key, Policy] = {}
        self._places: dict[Place, dict[Key, Policy]] = {}
        self._moves: dict[Place, list[tuple[Policy, bool]]] = {}
        # By place, the number of the last of all moves that was one there.
        self._moved: dict[Place, int] = {}
        self._puts = 0
        # Two generations of a policy where it moved to another place, and its old one is still to be built.
        self._served: dict[tuple[str, int], None] = {}
        self._staged: dict[EndpointKey, CompiledEndpoint | None] = {}
        self._unreadable: dict[str, PolicyRef | None] = {}
        self._ready: list[tuple[Policy, bool]] = []
        self._old: deque[tuple[int, list[object]]] = deque()
        self._snapshot = Snapshot({})
        self._data: dict[str, dict[str, DataObject]] = {}
        # By object of data, the endpoints that name it; whether one does that answers, or only a candidate.
        self._readers: dict[Key, dict[EndpointKey, bool]] = {}
        self._data_moves: list[tuple[DataObject, bool]] = []
        # By namespace, what is over budget, by its name in the budget ledger: of it nothing is kept but what denies.
        self._withheld: dict[str, set[str]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._policies

    def get(self, key: Key) -> Policy | None:
        """Return a policy as it was compiled last."""
        return self._policies.get(key)

    def keys(self) -> tuple[Key, ...]:
        """Return the policies that there are."""
        return tuple(self._policies)

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether the last snapshot holds this generation of a policy, or of an object of data."""
        return (uid, generation) in self._served

    def withheld(self, namespace: str) -> AbstractSet[str]:
        """Return what is over budget in a namespace as the index has it, by its name in the budget ledger."""
        return self._withheld.get(namespace, frozenset())

    def all_withheld(self) -> Iterator[tuple[str, AbstractSet[str]]]:
        """Yield the namespaces with something over budget, and what that is."""
        yield from tuple(self._withheld.items())

    def put(self, key: Key, policy: Policy | None) -> tuple[Place, ...]:
        """Take in a policy; None takes it out. Returns the places that have to be built for that."""
        was = self._policies.get(key)
        if was is policy:
            return ()
        self._withhold(*key, withheld=isinstance(policy, BrokenPolicy) and policy.withheld)
        touched: dict[Place, None] = {}
        if was is not None:
            del self._policies[key]
            touched[self._leave(key, was)] = None
        if policy is not None:
            self._policies[key] = policy
            place = place_of(policy)
            self._places.setdefault(place, {})[key] = policy
            self._move(place, policy, came=True)
            touched[place] = None
        return tuple(touched)

    def data_of(self, key: Key) -> DataObject | None:
        """Return an object of data as it was read last."""
        return self._data.get(key[0], {}).get(key[1])

    def data_keys(self) -> tuple[Key, ...]:
        """Return the objects of data that there are."""
        return tuple((namespace, name) for namespace, held in self._data.items() for name in held)

    def readers(self, key: Key) -> tuple[EndpointKey, ...]:
        """Return the endpoints whose answers depend on an object of data."""
        return tuple(endpoint for endpoint, answers in self._readers.get(key, {}).items() if answers)

    def reads(self, place: Place, key: Key) -> bool:
        """Tell whether the answers of an endpoint depend on an object of data."""
        namespace, endpoint = place
        return endpoint is not None and self._readers.get(key, {}).get((namespace, endpoint), False)

    def put_data(self, key: Key, made: DataObject | None) -> None:
        """Take in an object of data; None takes it out. The next snapshot has it in every endpoint that reads it."""
        namespace, name = key
        over = made is not None and made.unknown is not None and made.unknown.why is UnknownReason.OVER_BUDGET
        self._withhold(namespace, ledger_name(name), withheld=over)
        was = self._data.get(namespace, {}).pop(name, None)
        if was is not None:
            self._data_moves.append((was, False))
        if made is not None:
            self._data.setdefault(namespace, {})[name] = made
            self._data_moves.append((made, True))
        elif not self._data.get(namespace):
            self._data.pop(namespace, None)
        for endpoint in self._readers.get(key, ()):
            found = self._current(endpoint)
            if found is not None:
                self._staged[endpoint] = found.with_data(self._data.get(namespace, {}))

    def build(self, place: Place) -> Steps[None]:
        """Build a place for the next snapshot, as it is in the end."""
        namespace, endpoint = place
        if endpoint is None:
            self._unreadable[namespace] = _denying(self._places.get(place, {}))
        else:
            # A namespace has one user at a time, so that nothing is put while this builds. If a second one ever did,
            # what was made of older policies would stand for good, and allow what a newer one took away.
            while True:
                moved, members = self._moved.get(place), self._places.get(place)
                made = (yield from _endpoint(endpoint, members)) if members else None
                if self._moved.get(place) == moved:
                    break
            self._stage((namespace, endpoint), made)
        self._ready += self._moves.pop(place, [])
        if place not in self._places:
            self._moved.pop(place, None)

    def _current(self, key: EndpointKey) -> CompiledEndpoint | None:
        """Return an endpoint as the next snapshot will have it, as far as is known."""
        return self._staged[key] if key in self._staged else self._snapshot.endpoints.get(key)

    def _stage(self, key: EndpointKey, made: CompiledEndpoint | None) -> None:
        was = self._current(key)
        for name in was.data_names if was is not None else ():
            readers = self._readers.get((key[0], name), {})
            readers.pop(key, None)
            if not readers:
                self._readers.pop((key[0], name), None)
        for name in made.data_names if made is not None else ():
            self._readers.setdefault((key[0], name), {})[key] = made is not None and name in made.reads
        if made is not None and made.data_names:
            made = made.with_data(self._data.get(key[0], {}))
        self._staged[key] = made

    def publish(self, revision: str) -> Snapshot:
        """Return the snapshot of what was built."""
        endpoints = dict(self._snapshot.endpoints)
        for key, found in self._staged.items():
            was = endpoints.pop(key, None)
            if was is not None and (found is None or found.index is not was.index):
                self._discard(was)
            if found is not None:
                endpoints[key] = found
        unreadable = dict(self._snapshot.unreadable)
        for namespace, ref in self._unreadable.items():
            unreadable.pop(namespace, None)
            if ref is not None:
                unreadable[namespace] = ref
        # Nothing waits between these, so that `serves` and the snapshot always speak of the same.
        self._serve()
        self._staged, self._unreadable = {}, {}
        self._snapshot = Snapshot(endpoints, revision, unreadable)
        return self._snapshot

    def _serve(self) -> None:
        for policy, came in self._ready:
            ref = policy.ref
            if came:
                self._served[ref.uid, ref.generation] = None
                continue
            self._served.pop((ref.uid, ref.generation), None)
            if isinstance(policy, CompiledPolicy):
                # A rule a step: with it go its expressions, which are most of a policy.
                self._old.append((1, [*policy.rules, policy.settings]))
        gone: list[object] = []
        for held, came in self._data_moves:
            if came:
                self._served[held.uid, held.generation] = None
                continue
            self._served.pop((held.uid, held.generation), None)
            # An object a step: a large one holds some ten thousand values.
            gone.append(held)
        if gone:
            self._old.append((1, gone))
        self._ready, self._data_moves = [], []

    def let_go(self, freed: Callable[[], None] = lambda: None) -> Steps[None]:
        """Free what is no longer part of a snapshot, and say so. At once a large policy would take ten milliseconds."""
        while self._old:
            count, pieces = self._old[0]
            del pieces[-count:]
            if not pieces:
                self._old.popleft()
            yield
        freed()

    @property
    def lets_go(self) -> bool:
        """There is something to be freed."""
        return bool(self._old)

    def _withhold(self, namespace: str, name: str, *, withheld: bool) -> None:
        if withheld:
            self._withheld.setdefault(namespace, set()).add(name)
        elif (names := self._withheld.get(namespace)) is not None:
            names.discard(name)
            if not names:
                del self._withheld[namespace]

    def _leave(self, key: Key, was: Policy) -> Place:
        place = place_of(was)
        members = self._places[place]
        del members[key]
        if not members:
            del self._places[place]
        self._move(place, was, came=False)
        return place

    def _move(self, place: Place, policy: Policy, *, came: bool) -> None:
        self._moves.setdefault(place, []).append((policy, came))
        self._puts += 1
        self._moved[place] = self._puts

    def _discard(self, endpoint: CompiledEndpoint) -> None:
        if len(endpoint.index.exact) > _TABLES:
            # Held, not emptied: a search that pauses may still go through it.
            self._old.append((_TABLES, [*endpoint.index.exact.values()]))


def place_of(policy: Policy) -> Place:
    """Return where a policy speaks."""
    return (policy.ref.namespace, policy.endpoint)


def _denying(members: Mapping[Key, Policy]) -> PolicyRef | None:
    """Return the first policy that denies the namespace since its endpoint cannot be read."""
    denying = [policy.ref for policy in members.values() if denies_namespace(policy)]
    return min(denying, key=lambda ref: ref.name) if denying else None


def _endpoint(name: str, members: Mapping[Key, Policy]) -> Steps[CompiledEndpoint]:
    policies = tuple(members.values())
    if any(policy.replaces is not None for policy in policies):
        try:
            return (yield from endpoint_steps(policies))
        except Exception:  # noqa: BLE001 - a defect of ours: no answer depends on candidates
            _log.exception("endpoint cannot be built with its candidates, it is built without", endpoint=name)
            policies = tuple(policy for policy in policies if policy.replaces is None)
    try:
        return (yield from endpoint_steps(policies))
    except Exception:  # noqa: BLE001 - a defect of ours must not take the other endpoints along
        ref = min((policy.ref for policy in policies), key=lambda ref: ref.name)
        _log.exception("endpoint cannot be built, its calls are denied", namespace=ref.namespace, endpoint=name)
        return endpoint_of([BrokenPolicy(ref, name, subjects=None, audit=False, carries_settings=True)])
