"""Listing: a list of policies on its way, object by object, so that no more is held than what is to be compiled.

Holds: who is over budget is found out on the way, and of those nothing but what denies is kept; so a list of ten times
as much as there is room for takes no more room than one that is just full. Before anybody is answered, policies are
compiled on the way too, but none of a namespace that asks for more than it may have: others may come that are older.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from bailiwick_engine.budget.ledger import Budget, Claim, Ledger, policy_claim
from bailiwick_engine.compile.withheld import withheld, withheld_of
from bailiwick_engine.steps import Steps
from bailiwick_webhook.store.policies.backlog import text_of
from bailiwick_webhook.store.policies.compiler import compiled, ref_of
from bailiwick_webhook.store.policies.index import Key, Policy

# Policies between two looks at who is over: all of a namespace are looked at for that.
_OFTEN: Final = 128

Known = Callable[[Key, Mapping[str, Any]], Claim | None]


class PolicyListing:
    """A list on its way. `known` returns what a policy asks for that we have as it is; `take_up` takes the whole.

    `found`: of each policy its text, what it was compiled to or what is kept of it where it is over, or None where we
    have it. `first`: nobody is answered before this list.
    """

    def __init__(
        self, budget: Budget, known: Known, take_up: Callable[["PolicyListing"], Steps[None]], *, first: bool
    ) -> None:
        self.ledger: Final = Ledger(budget)
        self.found: Final[dict[Key, bytes | Policy | None]] = {}
        self._known = known
        self._take_up = take_up
        self._first = first
        self._taken = 0

    def take(self, key: Key, obj: dict[str, Any]) -> Steps[None]:
        """Take in one object, in steps."""
        claim = self._known(key, obj["metadata"])
        new = claim is None
        if claim is None:
            claim = policy_claim(obj)
        self.ledger.put(*key, claim)
        if new and self._first and self.ledger.fits(key[0]):
            self.found[key] = yield from compiled(key, obj)
        else:
            self.found[key] = text_of(obj) if new else None
        self._taken += 1
        if self._taken % _OFTEN == 0:
            yield from self._settle()
        yield

    def done(self) -> Steps[None]:
        """Take what was taken in for everything that exists."""
        yield from self._settle()
        yield from self._take_up(self)

    def _settle(self) -> Steps[None]:
        while self.ledger.restless:
            namespace = next(iter(self.ledger.restless))
            for name in (yield from self.ledger.settle_one(namespace)):
                key = (namespace, name)
                found = self.found.get(key)
                if found is None or self.ledger.excess(*key) is None:
                    continue
                if isinstance(found, bytes):
                    obj = orjson.loads(found)
                    self.found[key] = withheld(ref_of(key, obj), obj["spec"])
                else:
                    self.found[key] = withheld_of(found)
                yield
            # A namespace of few policies is settled without a step, and there may be thousands of them.
            yield
