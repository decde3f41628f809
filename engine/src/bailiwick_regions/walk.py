"""The walk: every region of an endpoint in which changed rules apply, and the engine's decisions there on both sides.

Standing: above all other modules here but `compare`. Holds: `decide` decides each region on the engine's own rules, for
a call that stands for all calls of the region, in each world of its conditions. Regions beyond the limit "may widen".
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

from bailiwick_engine import keys
from bailiwick_engine.approval.strength import compare_gates, difference_words
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.atom import FRESH, TooManyError
from bailiwick_engine.policy.dimensions.resource import properties
from bailiwick_engine.policy.index import MOST_WORK
from bailiwick_engine.policy.model import CompiledResource, CompiledRule, Effect
from bailiwick_engine.policy.snapshot import EndpointKey, Snapshot
from bailiwick_regions import atoms
from bailiwick_regions.chaingates import ChainGates
from bailiwick_regions.change import Change, ChangeClass, approval_change
from bailiwick_regions.parties import NamedParty, parties
from bailiwick_regions.sides import WalkSide, differing, issuer_of, overlap
from bailiwick_regions.stage import ACTOR, CALLER, calling_from, everything, snapshot_of
from bailiwick_regions.worlds import Worlds

BEHALF: Final = "on behalf of "
MOST_REGIONS: Final = 1_000_000
DIGEST: Final = "sha256:" + "0" * 64
NOT_COMPARED: Final = "not compared"
LEVELS: Final = ("Deny", "Approval", "Allow")
_ORDER: Final = list(ChangeClass)
_WIDE: Final = frozenset({ChangeClass.WIDER, ChangeClass.MAY_WIDEN})


@dataclass(frozen=True, slots=True)
class WalkLeaf:
    """The result for one region."""

    kind: ChangeClass
    what: str
    rule: CompiledRule | None = None
    of_head: bool = True
    when: tuple[str, ...] = ()


class Walk:
    """Walks one endpoint. `about`: the rules in whose regions to look, of a side or none; by default those that differ.

    `late` is called for every region: once it returns true, the remaining regions count as beyond the limit.
    """

    def __init__(
        self,
        key: EndpointKey,
        base: WalkSide,
        head: WalkSide,
        now: float,
        limit: int = MOST_REGIONS,
        *,
        about: frozenset[CompiledRule] | None = None,
        late: Callable[[], bool] = lambda: False,
    ) -> None:
        self._late = late
        self._key, self._base, self._head, self._now = key, base, head, now
        self._left = limit
        self._seen: dict[Hashable, list[frozenset[Key]]] = {}
        self.removed, self.added = differing(base, head)
        self._chain = ChainGates(base, head, self.added)
        self._changed = frozenset((*self.removed, *self.added)) if about is None else about
        self._names = (
            {(rule.policy.name, rule.name) for rule in self.added},
            {(rule.policy.name, rule.name) for rule in self.removed},
        )

    def changes(self) -> Iterator[Change]:
        """Yield every region that differs, for a party's own calls and, if others can act for it, for theirs."""
        if not self._changed:
            return
        yield from self._freed_issuers()
        settings = [side.settings for side in (self._base, self._head) if side.settings is not None]
        asserted = any(one.asserted for one in settings)
        verified = not settings or any(not one.asserted for one in settings)
        principals = frozenset[Key]().union(*(one.delegation.principals for one in settings if one.delegation))
        beside = partial(self._overlapping_keys, principals)
        for named in parties(self._changed, beside, verified=verified, asserted=asserted):
            if self._late():
                yield self._unknown(named)
                return
            try:
                yield from self._new(named, self._party(named, principal=False))
                if not named.party.keys.isdisjoint(principals):
                    yield from self._new(named, self._party(named, principal=True))
            except TooManyError:
                yield self._unknown(named)
                continue
            if named.capped:
                yield self._unknown(named)

    def _freed_issuers(self) -> Iterator[Change]:
        """Yield the issuers with people who may have been denied for the cost of their rules, and no longer are.

        All of their groups count, not only those in the changed rules: the cost of a decision includes each of them.
        """
        if self._base.endpoint is None:
            return
        before = self._base.endpoint.index.laden
        after = self._head.endpoint.index.laden if self._head.endpoint is not None else {}
        for issuer in sorted({found for key in before if (found := issuer_of(key)) is not None}):
            of_issuer = [key for key in before if issuer_of(key) == issuer]
            groups = sum(before[key] for key in of_issuer if keys.key_parts(key)[0] != keys.USER)
            users = max((before[key] for key in of_issuer if keys.key_parts(key)[0] == keys.USER), default=0)
            if groups + users > MOST_WORK and any(after.get(key, 0) < before[key] for key in of_issuer):
                region = {"subject": (f"members of several groups of {issuer}",)}
                why = "their rules cost less, and calls were denied because rules cost too much"
                yield Change(ChangeClass.MAY_WIDEN, self._key, NOT_COMPARED, region, why=why)

    @cached_property
    def _giving(self) -> tuple[CompiledRule, ...]:
        """The rules of both sides that can let calls through where a changed rule applies."""
        found = (rule for side in (self._base, self._head) for rule in side.rules if rule.effect is not Effect.DENY)
        return tuple(dict.fromkeys(rule for rule in found if any(overlap(rule, one) for one in self._changed)))

    def _new(self, named: NamedParty, found: Iterable[Change]) -> Iterator[Change]:
        """Yield the changes that were not found for a party with fewer keys: a group comes before its members."""
        own = named.party.keys - {keys.user(named.party.issuer or "", FRESH)}
        for change in found:
            region = tuple((name, labels) for name, labels in change.where.items() if name != "subject")
            behalf = change.where["subject"][0].startswith(BEHALF)
            seen = self._seen.setdefault((change.kind, change.what, id(change.rule), region, behalf), [])
            if not any(fewer <= own for fewer in seen):
                seen.append(own)
                yield change

    def _unknown(self, named: NamedParty) -> Change:
        rule = next((rule for rule in self.added if not named.party.keys.isdisjoint(rule.subjects)), None)
        why = "there are too many regions to compare"
        return Change(ChangeClass.MAY_WIDEN, self._key, NOT_COMPARED, {"subject": (named.label,)}, rule, why=why)

    def _overlapping_keys(self, principals: frozenset[Key], issuer: str) -> Iterator[tuple[Key, frozenset[int]]]:
        """Yield the keys of an issuer that rules name which overlap a changed one, with the rules, and the principals.

        One group of a person may be a principal, and rules may name another.
        """
        found: dict[Key, set[int]] = {key: {0} for key in principals if issuer_of(key) == issuer}
        for rule in dict.fromkeys((*self._base.rules, *self._head.rules, *self._changed)):
            of_issuer = [key for key in rule.subjects if issuer_of(key) == issuer]
            if of_issuer and (rule in self._changed or any(overlap(rule, one) for one in self._changed)):
                for key in of_issuer:
                    found.setdefault(key, set()).add(id(rule))
        for key, rules in found.items():
            yield key, frozenset(rules)

    def _party(self, named: NamedParty, *, principal: bool) -> Iterator[Change]:
        party = named.party
        changed = [rule for rule in self._changed if not party.keys.isdisjoint(rule.subjects)]
        base, head = (
            [rule for rule in side.naming(party.keys) if any(rule is one or overlap(rule, one) for one in changed)]
            for side in (self._base, self._head)
        )
        before, after = (self._too_much(side, party) for side in (self._base, self._head))
        if after:
            yield from self._denied_whole(named)
            return
        if before:
            yield self._unknown(named)
            return
        worlds = Worlds(base, head, (self._base.data, self._head.data))
        both = list(dict.fromkeys((*base, *head, *changed)))
        # If others can act for the party, the rules that let them through also distinguish regions.
        apart = list(dict.fromkeys((*both, *self._giving))) if principal else both
        every = everything(both) if principal else None
        snapshots = tuple(
            snapshot_of(self._key, list(side.values()), party, every) for side in (worlds.base, worlds.head)
        )
        for (call, time), where in self._regions(party, apart, changed, principal=principal):
            leaf = self._leaf(call, time, snapshots, worlds)
            if principal:
                leaf = self._by_others(leaf, call)
            if leaf.kind is not ChangeClass.SAME:
                on = {"subject": f"{BEHALF}{named.label}" if principal else named.label, **where}
                why = self._reason(leaf)
                region = {name: (label,) for name, label in on.items()}
                yield Change(leaf.kind, self._key, leaf.what, region, leaf.rule, leaf.of_head, why, leaf.when)

    def _denied_whole(self, named: NamedParty) -> Iterator[Change]:  # noqa: ARG002 - for who looks for denials
        """Yield the changes for a party that the head denies every call: none of them lets a call get further."""
        yield from ()

    def _too_much(self, side: WalkSide, party: Party) -> bool:
        return side.endpoint is not None and side.endpoint.index.too_much(party.keys)

    def _regions(
        self, party: Party, rules: Sequence[CompiledRule], changed: Sequence[CompiledRule], *, principal: bool
    ) -> Iterator[tuple[tuple[Call, float], dict[str, str]]]:
        touched = frozenset(changed)
        for action, told in atoms.names(rule.actions for rule in rules).items():
            of_action = [rule for rule in rules if action in rule.actions]
            kinds = sorted({entry.type for rule in of_action if rule in touched for entry in rule.resources})
            for kind in kinds:
                entries = [(rule, entry) for rule in of_action for entry in rule.resources if entry.type == kind]
                for name, label in atoms.names((entry.ids for _, entry in entries), f"{kind}/").items():
                    at = [(rule, entry) for rule, entry in entries if name in entry.ids]
                    if not any(rule in touched for rule, _ in at):
                        continue
                    where = {"action": told, "resource": label}
                    place = (action, kind, name)
                    yield from self._regions_within(party, at, touched, place, where, principal=principal)

    def _regions_within(
        self,
        party: Party,
        at: Sequence[tuple[CompiledRule, CompiledResource]],
        touched: frozenset[CompiledRule],
        place: tuple[str, str, str],
        where: dict[str, str],
        *,
        principal: bool,
    ) -> Iterator[tuple[tuple[Call, float], dict[str, str]]]:
        """Yield the regions of one action and resource, by properties, purpose, workload and time."""
        action, kind, name = place
        listed = dict.fromkeys(rule for rule, _ in at)
        for chosen in atoms.products(properties(entry for _, entry in at)):
            held = {key: value for key, (value, _) in chosen.items() if value is not None}
            resource = Resource(kind, name, held or None)
            rules = [rule for rule in listed if rule.covers(resource)]
            if not any(rule in touched for rule in rules):
                # With many properties, there are more of them than could ever be evaluated.
                self._count()
                continue
            told = where | {f"resource.properties.{key}": label for key, (_, label) in chosen.items()}
            for draft, labels in atoms.drafts(rules, party.keys, self._now):
                self._count()
                call = Call(
                    namespace=self._key[0],
                    endpoint=self._key[1],
                    caller=CALLER,
                    subject=calling_from(party, draft.workload),
                    action=Action(action),
                    resource=resource,
                    context=draft.context,
                    actors=(ACTOR,) if principal else (),
                )
                yield (call, draft.now), told | labels

    def _by_others(self, leaf: WalkLeaf, call: Call) -> WalkLeaf:
        """Return the effect of a person's own rules on calls by a party that acts for them.

        Without a rule that lets calls through they change nothing. With one, it is not proven that one is let through.
        """
        wider = leaf.kind in {ChangeClass.WIDER, ChangeClass.MAY_WIDEN}
        side = self._head if wider else self._base
        speaking = side.endpoint.speaking_of(call.action.name) if side.endpoint is not None else ()
        if not any(
            rule.effect is not Effect.DENY and not rule.audit and rule.covers(call.resource) for rule in speaking
        ):
            return replace(leaf, kind=ChangeClass.SAME)
        return replace(leaf, kind=ChangeClass.MAY_WIDEN) if wider else leaf

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0 or self._late():
            raise TooManyError

    def _leaf(self, call: Call, time: float, snapshots: Sequence[Snapshot], worlds: Worlds) -> WalkLeaf:
        """Decide a region in every world, and return the worst of it."""
        around = Circumstances(now=time)
        worst = WalkLeaf(ChangeClass.SAME, "")
        worlds.begin()
        while True:
            base, head = (decide(one, call, (), around, DIGEST) for one in snapshots)
            kind, what = _compare_verdicts(base, head)
            if kind not in _WIDE and (why := self._chain.weaker(call, base.gate, head.gate)):
                kind, what = ChangeClass.MAY_WIDEN, f"Approval → Approval ({why})"
            if kind is ChangeClass.WIDER and worlds.differ:
                kind = ChangeClass.MAY_WIDEN
            if _ORDER.index(kind) < _ORDER.index(worst.kind):
                rule, of_head = self._cause(base, head)
                worst = WalkLeaf(kind, what, rule, of_head, worlds.descriptions)
            if worst.kind is ChangeClass.WIDER or not worlds.more():
                return worst
            self._count()

    def _cause(self, base: Verdict, head: Verdict) -> tuple[CompiledRule | None, bool]:
        """Return the changed rule that decides it, of the head where there is one."""
        for verdict, of_head, changed in ((head, True, self.added), (base, False, self.removed)):
            rule = verdict.rule
            if rule is not None:
                for one in changed:
                    if one.place == rule.place:
                        return one, of_head
        return (head.rule, True) if head.rule is not None else (base.rule, False)

    def _reason(self, leaf: WalkLeaf) -> str:
        if leaf.rule is None:
            return ""
        place = leaf.rule.place
        if leaf.of_head:
            if place not in self._names[0]:
                return "unchanged"
            return "changed" if place in self._names[1] else "new"
        return "changed" if place in self._names[0] else "removed"


def _compare_verdicts(base: Verdict, head: Verdict) -> tuple[ChangeClass, str]:
    before, after = level(base), level(head)
    if before != after:
        kind = ChangeClass.WIDER if after > before else ChangeClass.NARROWER
        return kind, f"{LEVELS[before]} → {LEVELS[after]}"
    if base.gate is None or head.gate is None:
        return ChangeClass.SAME, ""
    found = compare_gates(base.gate, head.gate)
    if not found:
        return ChangeClass.SAME, ""
    return approval_change(found), f"Approval → Approval ({', '.join(difference_words(found))})"


def level(verdict: Verdict) -> int:
    """Return how far a verdict lets a call, as an index of `LEVELS`."""
    if verdict.outcome is Outcome.ALLOW:
        return 2
    return 0 if verdict.gate is None else 1
