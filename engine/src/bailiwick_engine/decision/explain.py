"""Explain: each near rule clause by clause, and the nearest miss.

Holds: the rules that apply are those that `decide` found to apply. No token, claim, argument or property of the call is
shown, only the contents of policies and whether they held. With every change of the nearest miss, the call is allowed,
or needs an approval if `approval` says so; what histories cannot count is denied all the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.cost.estimate import LIMIT
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision import clauses
from bailiwick_engine.decision.clauses import unmet
from bailiwick_engine.decision.decide import admit, may_ask
from bailiwick_engine.decision.hops import Hop, applies, hops, numbers_of, seen
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.dimensions.clause import Clause
from bailiwick_engine.policy.model import CompiledRule, CompiledSettings, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason

NEAR: Final = 8
"""Rules that are shown of each hop."""
MAX_RULES: Final = 1_000
"""Rules that are looked at for each hop: those of the action first. Looking takes some microseconds for each."""
MAX_EVALUATED: Final = 100
"""Rules of each hop whose conditions are evaluated, besides those that decide: the likeliest first."""

_SPENT: Final = 10
"""How much longer than a decision the conditions of each hop may take. What is beyond that is shown as unknown."""

_EFFECTS: Final = (Effect.DENY, Effect.ALLOW, Effect.REQUIRE_APPROVAL)


@dataclass(frozen=True, slots=True)
class WeighedRule:
    """A rule held against a call. `standing` is what `decide` made of it."""

    rule: CompiledRule
    party: Party
    clauses: tuple[Clause, ...]
    standing: Standing

    @property
    def unmet(self) -> tuple[Clause, ...]:
        """What the rule lacks to apply."""
        return unmet(self.clauses)


@dataclass(frozen=True, slots=True)
class RequiredChange:
    """One thing that would have to be otherwise: these clauses met, or else the rule out of the way (`lift`).

    `rule` None: the ceiling of delegation, by the entry with this index.
    """

    party: Party
    rule: CompiledRule | None
    clauses: tuple[Clause, ...] = ()
    lift: bool = False
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`near`: nearest first. `changes`: the nearest miss; empty if the call is allowed, or if no rule could allow it.

    `approval`: the gates of the call once the changes are made. `refused`: denied before any rule. `incomplete`: the
    endpoint has more rules than are evaluated. `histories`: the numbers that the conditions of `near` read, by name in
    order; None of one that is not known.
    """

    near: tuple[WeighedRule, ...] = ()
    changes: tuple[RequiredChange, ...] = ()
    approval: tuple[CompiledRule, ...] = ()
    refused: Reason | None = None
    incomplete: bool = False
    histories: tuple[tuple[str, HistoryNumbers | None], ...] = ()


def explain(snapshot: Snapshot, call: Call, around: Circumstances) -> Explanation | None:
    """Explain the decision on a call; None for a caller who may not ask. A Deny that does not apply is not shown."""
    endpoint = snapshot.endpoints.get((call.namespace, call.endpoint))
    if endpoint is None or not may_ask(endpoint, call):
        return None
    subject = admit(snapshot, endpoint, call, around)
    if isinstance(subject, Reason) or endpoint.settings is None:
        return Explanation(refused=subject if isinstance(subject, Reason) else Reason.ENDPOINT_UNCONFIGURED)
    near: list[WeighedRule] = []
    needed: list[tuple[list[RequiredChange], list[CompiledRule]] | None] = []
    rules, incomplete = _looked_at(endpoint, call)
    numbers = numbers_of(endpoint, around.history)
    for hop in hops(endpoint, call, subject, around.now, numbers):
        values = hop.seen or seen(endpoint, call, subject, around.now, hop.actor, numbers)
        values.left = _SPENT * LIMIT
        weighed = _weighed(rules, call, hop, values, around.now)
        near += weighed
        needed.append(_missing(endpoint.settings, call, hop, around.now, values, weighed))
    read = _histories(near, numbers) if numbers is not None else ()
    mended = [both for both in needed if both is not None]
    if len(mended) < len(needed):
        return Explanation(tuple(near), incomplete=incomplete, histories=read)
    changes: list[RequiredChange] = []
    for change in (change for changes_of, _ in mended for change in changes_of):
        # What stands in the way of two hops need be lifted only once.
        if not change.lift or all(change.rule is not other.rule for other in changes):
            changes.append(change)
    gates = tuple(dict.fromkeys(rule for _, gates_of in mended for rule in gates_of))
    return Explanation(tuple(near), tuple(changes), gates, incomplete=incomplete, histories=read)


def _histories(
    near: Iterable[WeighedRule], numbers: Mapping[str, HistoryNumbers]
) -> tuple[tuple[str, HistoryNumbers | None], ...]:
    """Return the numbers of every history that these rules read."""
    names = {name for one in near for condition in one.rule.conditions for name in condition.histories}
    return tuple((name, numbers.get(name)) for name in sorted(names))


def _looked_at(endpoint: CompiledEndpoint, call: Call) -> tuple[list[CompiledRule], bool]:
    first = (rule for rule in endpoint.speaking_of(call.action.name) if not rule.audit)
    # Taken one by one, so that what is beyond the limit costs nothing.
    rules = dict.fromkeys(islice(first, MAX_RULES))
    for rule in endpoint.enforced:
        if len(rules) >= MAX_RULES:
            break
        rules[rule] = None
    return list(rules), len(endpoint.enforced) > MAX_RULES


def _weighed(rules: Iterable[CompiledRule], call: Call, hop: Hop, values: Inputs, now: float) -> list[WeighedRule]:
    """Return the rules that apply or shut, then those that come nearest to letting the call through."""
    standings = {found.rule: found.standing for found in hop.findings}
    deciding: list[WeighedRule] = []
    silent: list[WeighedRule] = []
    cheap: list[tuple[tuple[Clause, ...], CompiledRule]] = []
    for rule in rules:
        standing = standings.get(rule, Standing.SILENT)
        if standing is not Standing.SILENT:
            cheap_ones = clauses.fixed_clauses(rule, call, hop.party, now)
            every = clauses.of_rule(rule, cheap_ones, call, hop.party, now, values)
            deciding.append(WeighedRule(rule, hop.party, every, standing))
        elif rule.effect is not Effect.DENY:
            cheap.append((tuple(clauses.fixed_clauses(rule, call, hop.party, now)), rule))
    for fixed, rule in sorted(cheap, key=lambda entry: _likelihood(*entry))[:MAX_EVALUATED]:
        # Conditions can only add to what a rule lacks, so no later rule comes nearer than these.
        if len(silent) >= NEAR and len(unmet(fixed)) >= len(silent[-1].unmet):
            break
        every = clauses.of_rule(rule, fixed, call, hop.party, now, values)
        silent.append(WeighedRule(rule, hop.party, every, Standing.SILENT))
        silent = sorted(silent, key=_nearness)[:NEAR]
    return sorted(deciding, key=_nearness) + silent


def _likelihood(fixed: tuple[Clause, ...], rule: CompiledRule) -> tuple[int, int, tuple[str, str]]:
    """In the order of `_nearness`, as far as is known without conditions."""
    return (len(unmet(fixed)), _EFFECTS.index(rule.effect), rule.place)


def _nearness(one: WeighedRule) -> tuple[int, int, tuple[str, str]]:
    """Fewest clauses first; of equals a Deny, then an Allow, then a gate, then by name."""
    return (len(one.unmet), _EFFECTS.index(one.rule.effect), one.rule.place)


def _missing(
    settings: CompiledSettings, call: Call, hop: Hop, now: float, values: Inputs, weighed: list[WeighedRule]
) -> tuple[list[RequiredChange], list[CompiledRule]] | None:
    """Return what must change for a hop to pass, and the gates that are before it then; None where nothing would do."""
    changes: list[RequiredChange] = []
    gates: list[CompiledRule] = []
    for one in weighed:
        if one.standing is Standing.SILENT:
            continue
        if one.rule.effect is Effect.DENY:
            changes.append(RequiredChange(hop.party, one.rule, lift=True))
        elif one.rule.effect is Effect.REQUIRE_APPROVAL:
            gates.append(one.rule)
            if one.standing is Standing.DENIES:
                changes.append(RequiredChange(hop.party, one.rule, one.unmet))
    if hop.refused is not None:
        changes += _under_ceiling(settings, call, hop, now, values)
    if hop.must_allow and not applies(hop) and not gates:
        silent = next((one for one in weighed if one.standing is Standing.SILENT), None)
        if silent is None:
            return None
        changes.append(RequiredChange(hop.party, silent.rule, silent.unmet))
        if silent.rule.effect is Effect.REQUIRE_APPROVAL:
            gates.append(silent.rule)
    return changes, gates


def _under_ceiling(
    settings: CompiledSettings, call: Call, hop: Hop, now: float, values: Inputs
) -> list[RequiredChange]:
    """Return what brings a hop under the ceiling's nearest entry; a ceiling has at least one."""
    delegation = settings.delegation
    entries = delegation.ceiling if delegation else ()
    lacks = [unmet(clauses.of_ceiling(entry, call, hop.party, now, values)) for entry in entries if delegation]
    nearest = sorted(enumerate(lacks), key=lambda numbered: len(numbered[1]))[:1]
    return [RequiredChange(hop.party, None, lacking, entry=index) for index, lacking in nearest]
