"""Settings: the effect of a change of an endpoint's settings, by field.

Holds: a change that lets more callers, proofs or chains through is wider; one that cannot be compared may widen.
"""

from collections.abc import Iterable, Iterator, Sequence, Set as AbstractSet
from typing import Final

from bailiwick_engine import keys
from bailiwick_engine.cel.data import Data
from bailiwick_engine.policy.dimensions.condition import ConditionPart
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import (
    CompiledCeiling,
    CompiledDelegation,
    CompiledResource,
    CompiledRule,
    CompiledSettings,
    Effect,
)
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.formulas import Formula, changed_data, data_read, formula_of
from bailiwick_regions.parties import provable

_SHOWN: Final = 3
_WIDER, _NARROWER = ChangeClass.WIDER, ChangeClass.NARROWER
Signed = Iterator[tuple[ChangeClass, str]]


def settings_changes(
    key: EndpointKey,
    base: CompiledSettings,
    head: CompiledSettings,
    data: tuple[Data, Data],
    rules: tuple[Sequence[CompiledRule], Sequence[CompiledRule]],
) -> Iterator[Change]:
    """Yield a change for each setting that differs. `rules` are those of the base and of the head that are enforced."""
    for kind, what in _signed_changes(base, head, data, rules[1]):
        yield Change(kind, key, f"endpointSettings: {what}")
    for kind, what in _history_changes(base, head, rules[0], changed_data(*data)):
        yield Change(kind, key, f"endpointSettings: {what}")


def _signed_changes(
    base: CompiledSettings, head: CompiledSettings, data: tuple[Data, Data], rules: Sequence[CompiledRule]
) -> Signed:
    yield from _list_changes("enforcer", base.enforcers, head.enforcers)
    if head.asserted and not base.asserted:
        yield _WIDER, "verification Token → Asserted"
    elif base.asserted and not head.asserted:
        yield from _token_evidence(base, head, rules)
    yield from _list_changes("issuer", base.issuers, head.issuers)
    yield from _list_changes("audience", base.audiences, head.audiences)
    if base.routes != head.routes:
        yield ChangeClass.MAY_WIDEN, "http changed: which action a path stands for is not compared"
    if base.delegation is None or head.delegation is None:
        if base.delegation is not head.delegation:
            wider = head.delegation is not None
            yield _WIDER if wider else _NARROWER, f"delegation {'added' if wider else 'removed'}"
        return
    yield from _delegation(base.delegation, head.delegation, data)


def _history_changes(
    base: CompiledSettings, head: CompiledSettings, former: Sequence[CompiledRule], other: AbstractSet[str]
) -> Signed:
    """Yield the effect of changes of what is counted. `former`: the rules of the base; `other`: data that changed.

    Which calls two definitions count is not compared, and another one starts at zero. Without a history, no call is
    denied because it cannot be counted; with another one, more are. A definition that stays counts other calls where
    `counts.when` reads other data, and none is denied any more for data that was unknown.
    """
    before, after = ({one.name: one.digest for one in side.histories} for side in (base, head))
    reading = {one.name: sorted(other & data_read(one.when)) for one in head.histories if one.when is not None}
    parts: tuple[ConditionPart, ...] = (*former, *(base.delegation.ceiling if base.delegation else ()))
    read = {name for part in parts for one in part.conditions for name in one.histories}
    after_answers = {one.name for one in head.histories if one.counts_denied}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield ChangeClass.MAY_WIDEN, f"history {name} removed: calls that could not be counted are no longer denied"
        elif name not in before and name in read:
            yield ChangeClass.MAY_WIDEN, f"history {name} added: rules that read it were unknown"
        elif name not in before and name in after_answers:
            yield _NARROWER, f"history {name} added: it counts denied calls"
        elif name not in before:
            yield _NARROWER, f"history {name} added: calls that cannot be counted are denied"
        elif before[name] != after[name]:
            yield ChangeClass.MAY_WIDEN, f"history {name} changed: it starts at zero, and may count fewer calls"
        elif held := reading.get(name):
            yield (
                ChangeClass.MAY_WIDEN,
                f"history {name} counts by {', '.join(held)}, which changed: it may count fewer",
            )


def _token_evidence(base: CompiledSettings, head: CompiledSettings, rules: Sequence[CompiledRule]) -> Signed:
    """Yield the effect of requiring tokens for subjects that the enforcer asserted before.

    A token proves people and groups that an enforcer cannot name. It also has evidence that an assertion lacks: claims,
    the workload, for whom the subject acts. So this is narrower only if no rule of the head reads any of that.
    """
    what = "verification Asserted → Token"
    giving = {key for rule in rules if rule.effect is not Effect.DENY for key in rule.subjects}
    proven = sorted(key for key in giving if provable(head, key) and not provable(base, key))
    if proven:
        yield _WIDER, f"{what}: tokens prove {', '.join(keys.label(key) for key in proven[:_SHOWN])}"
    elif head.delegation is not None or any(_sees_evidence(rule) for rule in rules):
        yield ChangeClass.MAY_WIDEN, f"{what}: rules see more of a subject that a token proves"
    else:
        yield _NARROWER, what


def _sees_evidence(rule: CompiledRule) -> bool:
    """Tell whether a rule may have another outcome for the same subject when a token proves it."""
    # A service account that the enforcer names has a key as an entity, too. With a token it has none.
    as_entity = any(keys.key_parts(key)[:2] == ("entity", keys.SERVICE_ACCOUNT) for key in rule.subjects)
    reads_evidence = any(path[0] in {"subject", "actor"} for path in reads_of(rule))
    return bool(rule.conditions or rule.workloads or reads_evidence) or (as_entity and rule.effect is not Effect.ALLOW)


def _delegation(base: CompiledDelegation, head: CompiledDelegation, data: tuple[Data, Data]) -> Signed:
    if base.max_depth != head.max_depth:
        kind = _WIDER if head.max_depth > base.max_depth else _NARROWER
        yield kind, f"delegation.maxDepth {base.max_depth} → {head.max_depth}"
    named = [frozenset(" ".join(keys.key_parts(key)) for key in one.principals) for one in (base, head)]
    yield from _list_changes("delegation.principal", *named)
    if base.entitled != head.entitled:
        kind = _WIDER if base.entitled else _NARROWER
        yield kind, f"delegation.principalMustBeEntitled {_bool(base.entitled)} → {_bool(head.entitled)}"
    before, after = (
        [(one, frozenset(formula_of(condition, held) for condition in one.conditions)) for one in side.ceiling]
        for side, held in zip((base, head), data, strict=True)
    )
    for entry, asked in after:
        if not any(_is_covered(entry, asked, *other) for other in before):
            near = any(_meet(entry, other) for other, _ in before)
            kind = ChangeClass.MAY_WIDEN if near else _WIDER
            yield kind, f"delegation.ceiling allows {_describe(entry)}"
    for entry, asked in before:
        if not any(_is_covered(entry, asked, *other) for other in after):
            yield _NARROWER, f"delegation.ceiling no longer allows all of {_describe(entry)}"


def _is_covered(
    entry: CompiledCeiling, asked: frozenset[Formula], other: CompiledCeiling, of_other: frozenset[Formula]
) -> bool:
    """Tell whether all that an entry covers falls under another one."""
    return (
        other.actions.covers(entry.actions)
        and of_other <= asked
        and all(any(_holds(wide, one) for wide in other.resources) for one in entry.resources)
    )


def _holds(wide: CompiledResource, one: CompiledResource) -> bool:
    return (
        wide.type == one.type
        and wide.ids.covers(one.ids)
        and all(name in one.properties and one.properties[name] <= values for name, values in wide.properties.items())
    )


def _meet(one: CompiledCeiling, other: CompiledCeiling) -> bool:
    return one.actions.overlaps(other.actions) and any(
        left.type == right.type and left.ids.overlaps(right.ids) for left in one.resources for right in other.resources
    )


def _list_changes(what: str, base: frozenset[str], head: frozenset[str]) -> Signed:
    for name in sorted(head - base):
        yield _WIDER, f"{what} {name} added"
    for name in sorted(base - head):
        yield _NARROWER, f"{what} {name} removed"


def _describe(entry: CompiledCeiling) -> str:
    sets = [entry.actions, *(one.ids for one in entry.resources)]
    texts = [_names(one.exact, one.prefixes, everything=one.everything) for one in sets]
    resources = ", ".join(f"{one.type}/{ids}" for one, ids in zip(entry.resources, texts[1:], strict=True))
    return f"{texts[0]} on {resources}"


def _names(exact: Iterable[str], prefixes: Iterable[str], *, everything: bool) -> str:
    return ",".join([*(("*",) if everything else ()), *(f"{one}*" for one in prefixes), *sorted(exact)])


def _bool(value: bool) -> str:  # noqa: FBT001 - it is the value to format
    return "true" if value else "false"
