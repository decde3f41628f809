"""Budget ledger: how many bytes policies may take once they are compiled, by namespace and in all, and who is over.

Standing: decision point, operator and admission keep a `BudgetLedger` each. Holds: pure; who is over follows from the
policies that there are and from nothing else, so that all who know the same say the same. In a namespace older policies
come first: none falls because a new one came. What is over is not counted. In all, room is shared out evenly: a
namespace that keeps within its fair share never loses to one that does not.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, NamedTuple

from bailiwick_engine.budget.footprint import Footprint, FootprintSum, footprint
from bailiwick_engine.steps import Steps, whole

MIB: Final = 1024 * 1024
_STEP: Final = 256
# More than there will ever be: no limit, or no share, as long as all fit.
_NO_LIMIT: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be at most; 0: no limit.

    `total`, `namespace`, `policy`: bytes of compiled policies, in all, of a namespace and of one policy. `policies` and
    `text`: of a namespace the number of policies, and the bytes of their specs as JSON.
    """

    total: int = 192 * MIB
    namespace: int = 96 * MIB
    policy: int = 16 * MIB
    policies: int = 10_000
    text: int = 0


class Limit(Enum):
    """Which limit a policy does not keep."""

    POLICY = "policy"
    POLICIES = "policies"
    TEXT = "text"
    NAMESPACE = "namespace"
    SHARE = "share"


class Claim(NamedTuple):
    """What a policy asks for. `created`: its creationTimestamp; it sorts as it is written. Older ones come first."""

    created: str
    name: str
    footprint: Footprint


def policy_claim(obj: Mapping[str, Any], text: bytes | None = None) -> Claim:
    """Return what a stored policy asks for. `text`: its spec as JSON, where it is known."""
    metadata = obj["metadata"]
    created = metadata.get("creationTimestamp")
    return Claim(created if isinstance(created, str) else "", metadata["name"], footprint(obj.get("spec"), text))


class Excess(NamedTuple):
    """A limit that a policy is over: `needs` bytes that it would take; those before it took `used` of `most`."""

    limit: Limit
    needs: int
    used: int
    most: int


class Usage(NamedTuple):
    """Bytes that are taken, and that there are; in all or of a namespace."""

    used: int
    most: int


@dataclass(slots=True)
class _Account:
    """One namespace. `every` is all its policies, `within` those that are not over: the same where none is.

    `counted`: what `within` was made of, as it was settled; None: of every policy, as they are now. `large`: how many
    are over by themselves. `demand`: what it would take if it were alone. Any share from `least` to
    below `beyond` lets the same policies in; so most changes of the share concern only a few namespaces.
    """

    claims: dict[str, Claim] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)
    every: FootprintSum = field(default_factory=FootprintSum)
    within: FootprintSum = field(default_factory=FootprintSum)
    counted: dict[str, Footprint] | None = None
    over: dict[str, Excess] = field(default_factory=dict)
    large: int = 0
    demand: int = 0
    least: int = 0
    beyond: int = _NO_LIMIT + 1

    def footprint_within(self, name: str) -> Footprint | None:
        """Return what `within` counts a policy as; None where it does not."""
        if self.counted is not None:
            return self.counted.get(name)
        known = self.claims.get(name)
        return None if known is None else known.footprint


class BudgetLedger:
    """What the policies that there are come to. Not for two threads.

    A namespace whose policies changed (`put`) is `restless` until it is settled; so are others, where shares changed.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget: Final = budget
        self.restless: Final[set[str]] = set()
        self._accounts: dict[str, _Account] = {}
        self._demand = 0
        self._level: int | None = None

    def put(self, namespace: str, name: str, claim: Claim | None) -> None:
        """Take in what a policy asks for; None: it is gone."""
        account = self._accounts.get(namespace)
        if account is None:
            if claim is None:
                return
            account = self._accounts[namespace] = _Account()
            account.within = account.every
        was = account.claims.get(name)
        if was == claim:
            return
        self.restless.add(namespace)
        if was is not None:
            del account.order[bisect_left(account.order, (was.created, name))]
            del account.claims[name]
            account.every.remove(was.footprint)
            account.large -= self._is_large(was)
        if claim is not None:
            insort(account.order, (claim.created, name))
            account.claims[name] = claim
            account.every.add(claim.footprint)
            account.large += self._is_large(claim)

    def settle(self) -> set[tuple[str, str]]:
        """Settle all that is restless. Returns the policies that came to be over, or to be no longer."""
        turned: set[tuple[str, str]] = set()
        while self.restless:
            namespace = self.restless.pop()
            turned ^= {(namespace, name) for name in whole(self.settle_one(namespace))}
        return turned

    def settle_one(self, namespace: str) -> Steps[set[str]]:
        """Settle one namespace in steps, between which nothing may be put there. Returns its policies that turned."""
        self.restless.discard(namespace)
        account = self._accounts.get(namespace)
        if account is None:
            return set()
        before = set(account.over)
        within, over = yield from self._filled(account, self._namespace_most)
        # While this is on its way, no share concerns it: that is looked at in the end.
        account.least, account.beyond = 0, _NO_LIMIT + 1
        if within.bytes != account.demand:
            self._demand += within.bytes - account.demand
            account.demand = within.bytes
            self._share_out()
        least, beyond = account.demand, _NO_LIMIT + 1
        if self._level is not None and account.demand > self._level:
            within, over = yield from self._filled(account, self._level)
            least, beyond = within.bytes, _least_beyond(over)
        account.within, account.over = within, over
        account.counted = (
            None
            if within is account.every
            else {name: claim.footprint for name, claim in account.claims.items() if name not in over}
        )
        account.least, account.beyond = least, beyond
        # Other namespaces may have been settled between two steps, and the share be another.
        if not least <= self._share < beyond:
            self.restless.add(namespace)
        if not account.claims:
            del self._accounts[namespace]
        return before.symmetric_difference(over)

    def claim(self, namespace: str, name: str) -> Claim | None:
        """Return what a policy asks for; None where it is not known."""
        account = self._accounts.get(namespace)
        return None if account is None else account.claims.get(name)

    def fits(self, namespace: str) -> bool:
        """Tell whether all policies of a namespace fit beside each other, whatever others have."""
        account = self._accounts.get(namespace)
        return account is None or self._fit(account, self._namespace_most)

    def excess(self, namespace: str, name: str) -> Excess | None:
        """Return of what a policy is over, as it was settled; None where it is not."""
        account = self._accounts.get(namespace)
        found = None if account is None else account.over.get(name)
        # The share may have become another since, without letting others in.
        return found._replace(most=self.most) if found is not None and found.limit is Limit.SHARE else found

    def refused(self, namespace: str, name: str, new: Footprint, old: Footprint | None = None) -> Excess | None:
        """Return of what a policy would be over if it were stored in place of the old one; None where it may be.

        What takes no more than before may always be stored, so that a suspension or a Deny is never held up.
        """
        if old is not None and new.bytes <= old.bytes and new.text <= old.text:
            return None
        budget = self.budget
        if _exceeds(new.bytes, budget.policy):
            return Excess(Limit.POLICY, new.bytes, 0, budget.policy)
        account = self._accounts.get(namespace) or _Account()
        there = replace(account.within)
        if (counted := account.footprint_within(name)) is not None:
            there.remove(counted)
        if (found := self._excess(Claim("", name, new), there, self._namespace_most)) is not None:
            return found
        wanted = there.bytes + new.bytes
        level = self._level_with(account.demand, wanted)
        if level is not None and wanted > level:
            return Excess(Limit.SHARE, new.bytes, there.bytes, level)
        return None

    @property
    def usage(self) -> Usage:
        """What all policies take that are not over, and what there is."""
        return Usage(sum(account.within.bytes for account in tuple(self._accounts.values())), self.budget.total)

    @property
    def over(self) -> int:
        """How many policies are over."""
        return sum(len(account.over) for account in tuple(self._accounts.values()))

    @property
    def most(self) -> int:
        """What a namespace may take at the moment."""
        return self.budget.namespace if self._level is None else self._level

    def usage_of(self, namespace: str) -> Usage:
        """Return what the policies of a namespace take that are not over, and what they may take."""
        account = self._accounts.get(namespace)
        return Usage(0 if account is None else account.within.bytes, self.most)

    def names_over(self, namespace: str) -> AbstractSet[str]:
        """Return the policies of a namespace that are over."""
        account = self._accounts.get(namespace)
        return frozenset() if account is None else account.over.keys()

    def over_in(self, namespace: str) -> int:
        """Return how many policies of a namespace are over."""
        account = self._accounts.get(namespace)
        return 0 if account is None else len(account.over)

    def highest(self, count: int) -> list[tuple[str, Usage]]:
        """Return the namespaces that take most, and what each may take."""
        most = self.most
        taken = ((account.within.bytes, namespace) for namespace, account in tuple(self._accounts.items()))
        return [(namespace, Usage(used, most)) for used, namespace in sorted(taken, reverse=True)[:count]]

    def _filled(self, account: _Account, most: int) -> Steps[tuple[FootprintSum, dict[str, Excess]]]:
        """Let policies in, the oldest first, for as long as they fit; one that does not makes room for the next."""
        if self._fit(account, most):
            return account.every, {}
        within, over = FootprintSum(), dict[str, Excess]()
        for number, (_, name) in enumerate(tuple(account.order)):
            claim = account.claims[name]
            excess = self._excess(claim, within, most)
            if excess is None:
                within.add(claim.footprint)
            else:
                over[name] = excess
            if number % _STEP == _STEP - 1:
                yield
        return within, over

    def _fit(self, account: _Account, most: int) -> bool:
        every, budget = account.every, self.budget
        if account.large or every.bytes > most or _exceeds(every.text, budget.text):
            return False
        return not _exceeds(every.count, budget.policies)

    def _excess(self, claim: Claim, within: FootprintSum, most: int) -> Excess | None:
        """Return of what a policy is over beside these."""
        budget, made = self.budget, claim.footprint
        if _exceeds(made.bytes, budget.policy):
            return Excess(Limit.POLICY, made.bytes, 0, budget.policy)
        if _exceeds(within.count + 1, budget.policies):
            return Excess(Limit.POLICIES, 1, within.count, budget.policies)
        if _exceeds(within.text + made.text, budget.text):
            return Excess(Limit.TEXT, made.text, within.text, budget.text)
        # Not `_exceeds`: a share may be 0, and then nothing fits.
        if within.bytes + made.bytes > most:
            limit = Limit.NAMESPACE if most == self._namespace_most else Limit.SHARE
            return Excess(limit, made.bytes, within.bytes, most)
        return None

    def _is_large(self, claim: Claim) -> bool:
        return _exceeds(claim.footprint.bytes, self.budget.policy)

    def _share_out(self) -> None:
        """Find the fair share again. Where it changed, all namespaces that it concerns are restless."""
        level = self._level_with(0, 0)
        if level == self._level:
            return
        self._level = level
        share = self._share
        self.restless.update(
            name for name, account in self._accounts.items() if not account.least <= share < account.beyond
        )

    @property
    def _namespace_most(self) -> int:
        return self.budget.namespace or _NO_LIMIT

    @property
    def _share(self) -> int:
        return _NO_LIMIT if self._level is None else self._level

    def _level_with(self, less: int, more: int) -> int | None:
        """Return the fair share if one namespace asked for `more` in place of `less`; None where all fit.

        It is the most that each may have so that all together fit: one that asks for less leaves the rest.
        """
        total = self.budget.total
        if not _exceeds(self._demand - less + more, total):
            return None
        demands = [account.demand for account in self._accounts.values()]
        if less in demands:
            demands.remove(less)
        demands.append(more)
        left = total
        for waiting, demand in zip(range(len(demands), 0, -1), sorted(demands), strict=True):
            if demand * waiting > left:
                return left // waiting
            left -= demand
        return None


def _least_beyond(over: Mapping[str, Excess]) -> int:
    """Return the least share that would let in one of the policies that are over their share."""
    wanted = (excess.used + excess.needs for excess in over.values() if excess.limit is Limit.SHARE)
    return min(wanted, default=_NO_LIMIT + 1)


def _exceeds(count: int, most: int) -> bool:
    """Tell whether so many are more than there may be; 0: any number may be."""
    return 0 < most < count
