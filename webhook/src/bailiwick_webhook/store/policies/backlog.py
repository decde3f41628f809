"""Backlog: changes of policies that were heard of and that nobody works on yet, by namespace, the oldest first.

Holds: of a policy that changes again only the newest state is kept, in the place and with the time of its first change;
an object is kept as text, which takes a fifth of the room.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from bailiwick_engine.budget.ledger import Ledger, policy_claim
from bailiwick_engine.policy.replacements import replaced_by
from bailiwick_engine.steps import Steps
from bailiwick_webhook.store.policies.index import Key, Place, Policy, place_of

# What is looked at of an object, and nothing else: who wrote which field is half of a stored one.
_METADATA = ("namespace", "name", "uid", "generation", "creationTimestamp", "deletionTimestamp")


@dataclass(slots=True)
class PolicyChange:
    """A change of one policy. `since` is when it was heard of, by a monotonic clock; `number` counts them.

    `text` is the object; None where it is gone, where it is `made` already, or where only its budget is another.
    `places` are those that it may concern and where it is not in force. `claimed`: the ledger knows of it. `quiet`: no
    answer hangs on it, since the policy is a candidate and was nothing else, so that nobody is denied while it waits.
    """

    key: Key
    since: float
    uid: object = None
    generation: object = None
    text: bytes | None = None
    made: Policy | None = None
    gone: bool = False
    places: set[Place] = field(default_factory=set)
    claimed: bool = False
    number: int = 0
    quiet: bool = False

    def states(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether this is the state of the object that it has become."""
        if self.gone or not self.uid:
            return False
        return (self.uid, self.generation) == (metadata.get("uid"), metadata.get("generation"))

    def hush(self, was: Policy | None) -> None:
        """Find out whether it is quiet, where `was` is what the policy was compiled to; None: it is not known yet."""
        candidate = self.quiet if self.made is None else self.made.replaces is not None
        self.quiet = (was is None or was.replaces is not None) and (self.gone or candidate)


class Backlog:
    """Changes by namespace and key."""

    def __init__(self) -> None:
        self._changes: dict[str, dict[Key, PolicyChange]] = {}
        self._at: Counter[Place] = Counter()
        self._unclaimed: dict[str, deque[PolicyChange]] = {}

    def get(self, key: Key) -> PolicyChange | None:
        """Return the change of a policy."""
        return self._changes.get(key[0], {}).get(key)

    def unclaimed(self, namespace: str) -> PolicyChange | None:
        """Return the next change of a namespace that the ledger does not know of; it stays in its place."""
        waiting = self._unclaimed.get(namespace)
        while waiting:
            change = waiting[0]
            if self.get(change.key) is change and not change.claimed:
                return change
            waiting.popleft()
        self._unclaimed.pop(namespace, None)
        return None

    def claim(self, namespace: str, ledger: Callable[[], Ledger]) -> Steps[None]:
        """Tell the ledger, whichever it is by then, what the changes of a namespace ask for."""
        while (change := self.unclaimed(namespace)) is not None:
            claim = None
            if change.text is not None:
                obj = orjson.loads(change.text)
                yield
                claim = policy_claim(obj)
            if self.get(change.key) is change:
                ledger().put(*change.key, claim)
                change.claimed = True
            yield

    def first(self, namespace: str) -> PolicyChange | None:
        """Return the change that comes first."""
        changes = self._changes.get(namespace)
        return next(iter(changes.values())) if changes else None

    def add(self, change: PolicyChange) -> PolicyChange | None:
        """Take in a change. Returns the one in whose place it stands."""
        changes = self._changes.setdefault(change.key[0], {})
        older = changes.get(change.key)
        if older is not None:
            self._at.subtract(older.places)
            change.number, change.since = older.number, older.since
            change.places |= older.places
            change.quiet = change.quiet and older.quiet
        changes[change.key] = change
        self._at.update(change.places)
        if not change.claimed:
            self._unclaimed.setdefault(change.key[0], deque()).append(change)
        return older

    def take(self, change: PolicyChange) -> None:
        """Give one out."""
        changes = self._changes[change.key[0]]
        del changes[change.key]
        if not changes:
            del self._changes[change.key[0]]
        self._at.subtract(change.places)
        for place in change.places:
            if not self._at[place]:
                del self._at[place]

    def concern(self, place: Place) -> bool:
        """Tell whether there is one that may concern a place."""
        return self._at[place] > 0

    def all(self) -> Iterator[PolicyChange]:
        """Yield every change, as they are now."""
        for changes in tuple(self._changes.values()):
            yield from tuple(changes.values())

    def clear(self) -> None:
        """Forget all."""
        self._changes.clear()
        self._at.clear()
        self._unclaimed.clear()


def made_change(key: Key, made: Policy, since: float) -> PolicyChange:
    """Return the change to what is compiled, or withheld, already, and known to the ledger."""
    ref = made.ref
    return PolicyChange(key, since, ref.uid, ref.generation, made=made, places={place_of(made)}, claimed=True)


def change_of(key: Key, obj: Mapping[str, Any], text: bytes, since: float, *, claimed: bool = False) -> PolicyChange:
    """Return the change that an object is."""
    metadata, spec = obj["metadata"], obj.get("spec")
    endpoint = spec.get("endpoint") if isinstance(spec, dict) else None
    place = (key[0], endpoint if isinstance(endpoint, str) else None)
    quiet = replaced_by(spec) is not None
    return PolicyChange(
        key, since, metadata.get("uid"), metadata.get("generation"), text, places={place}, claimed=claimed, quiet=quiet
    )


def text_of(obj: Mapping[str, Any]) -> bytes:
    """Return an object as it is kept."""
    metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
    return orjson.dumps({"metadata": metadata, "spec": obj.get("spec")})
