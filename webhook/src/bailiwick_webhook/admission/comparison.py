"""Comparison: which calls a change of one policy lets further, as warnings for the person who applies it.

Standing: run by `worker` after the finding is sent, so that no verdict depends on it. Holds: it reads only what was
posted, so that it reveals nothing about other policies. So calls are compared twice: as if there were no other policy,
and as if another policy allowed them all. It never raises.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bailiwick_engine import keys
from bailiwick_engine.approval.display import visible
from bailiwick_engine.compile.acceptance import shorten
from bailiwick_engine.compile.policies import compile_steps
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import (
    BrokenPolicy,
    CompiledPolicy,
    CompiledResource,
    CompiledSettings,
    Effect,
    PolicyRef,
)
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_engine.steps import Steps
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import merge_changes
from bailiwick_regions.settings import settings_changes
from bailiwick_regions.sides import WalkSide
from bailiwick_regions.stage import unconditional
from bailiwick_regions.walk import NOT_COMPARED, Walk
from bailiwick_regions.words import region

REGIONS: Final = 10_000
MOST: Final = 3
LENGTH: Final = 256
"""The length to which the API server cuts a warning, once all have more than 4,096 characters together."""
UNCOMPARED: Final = "may permit more calls: there are too many to compare in time; see bailiwick diff"
DENIED: Final = "may permit more calls: what is stored does not compile, and denies its subjects every call"
# A different approval may require less in one place, and beside an approval that requires the rest, it does.
_WIDE: Final = (ChangeClass.WIDER, ChangeClass.MAY_WIDEN, ChangeClass.CHANGED)
_EVERY: Final = NameSet.of(("*",))
# No object can have this name.
_NOBODY: Final = "~"

Late = Callable[[], bool]


class PolicyEdit(NamedTuple):
    """A policy as it is stored and as it is to be; None: there is none."""

    namespace: str
    name: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


class _FurtherChange(NamedTuple):
    """A change that permits more calls. `elsewhere`: only calls that another policy allows."""

    change: Change
    elsewhere: bool


class _LateError(Exception):
    """There is no more time."""


def widening(edit: PolicyEdit, now: float, late: Late) -> tuple[str, ...]:
    """Return the warnings, the worst first. `now`: seconds since the epoch; `late` says when to give up."""
    try:
        return _warnings(edit, now, late)
    except Exception:  # noqa: BLE001 - after any error it is not shown that no call gets further
        return (UNCOMPARED,)


def _warnings(edit: PolicyEdit, now: float, late: Late) -> tuple[str, ...]:
    base, head = (_compile(edit, stored, late) for stored in (edit.old, edit.new))
    notes: list[str] = []
    if isinstance(base, BrokenPolicy) and not base.audit and base.replaces is None:
        notes.append(DENIED)
    sides = [
        policy if isinstance(policy, CompiledPolicy) and policy.replaces is None else None for policy in (base, head)
    ]
    changes: list[_FurtherChange] = []
    for endpoint in dict.fromkeys(side.endpoint for side in sides if side is not None):
        there = [side if side is not None and side.endpoint == endpoint else None for side in sides]
        changes += _endpoint_changes((edit.namespace, endpoint), there, now, late)
    known = sorted((change for change in changes if change.change.what != NOT_COMPARED), key=_rank)
    if len(known) < len(changes):
        notes.append(UNCOMPARED)
    lines = [*notes, *(_line(change) for change in known)]
    if len(lines) <= MOST:
        return tuple(lines)
    return (*lines[:MOST], f"and {len(lines) - MOST} more like these; see bailiwick diff")


def _compile(edit: PolicyEdit, stored: Mapping[str, Any] | None, late: Late) -> CompiledPolicy | BrokenPolicy | None:
    if stored is None:
        return None
    metadata = {"namespace": edit.namespace, "name": edit.name, "uid": "", "generation": 0}
    held = stored.get("metadata")
    if isinstance(held, Mapping) and "deletionTimestamp" in held:
        metadata["deletionTimestamp"] = held["deletionTimestamp"]
    return _run(compile_steps({"metadata": metadata, "spec": stored.get("spec")}), late)


def _run(steps: Steps[CompiledPolicy | BrokenPolicy], late: Late) -> CompiledPolicy | BrokenPolicy:
    while not late():
        try:
            next(steps)
        except StopIteration as end:
            policy: CompiledPolicy | BrokenPolicy = end.value
            return policy
    raise _LateError


def _endpoint_changes(
    key: EndpointKey, sides: Sequence[CompiledPolicy | None], now: float, late: Late
) -> Iterator[_FurtherChange]:
    """Yield the changes at one endpoint, where only this policy is known."""
    base, head = (None if side is None else side.settings for side in sides)
    if head is not None:
        added = Change(ChangeClass.WIDER, key, "endpointSettings added, without which an endpoint denies every call")
        former, own = ([rule for rule in (() if side is None else side.rules) if not rule.audit] for side in sides)
        for change in (added,) if base is None else settings_changes(key, base, head, ({}, {}), (former, own)):
            if change.kind in _WIDE:
                yield _FurtherChange(change, elsewhere=False)
    rules = [rule for side in sides if side is not None for rule in side.rules]
    subjects = frozenset(subject for rule in rules for subject in rule.subjects)
    for others in _other_policies(key, subjects, known=base is not None or head is not None):
        alone = _walk(key, sides, others, now, late)
        yield from (_FurtherChange(change, elsewhere=False) for change in merge_changes(alone))
        if sides[0] is not None and any(rule.effect is not Effect.ALLOW for rule in sides[0].rules):
            every = tuple(
                CompiledResource(kind, _EVERY, {})
                for kind in sorted({entry.type for rule in rules for entry in rule.resources})
            )
            ref = PolicyRef(key[0], _NOBODY, "", 0)
            allowing = unconditional(ref, Effect.ALLOW, subjects, _EVERY, every)
            beside = CompiledPolicy(ref, key[1], "", None, (allowing,))
            reported = {_place(change) for change in alone}
            further = [
                change for change in _walk(key, sides, [*others, beside], now, late) if _place(change) not in reported
            ]
            yield from (_FurtherChange(change, elsewhere=True) for change in merge_changes(further))


def _other_policies(key: EndpointKey, subjects: frozenset[keys.Key], *, known: bool) -> list[list[CompiledPolicy]]:
    """Return the assumed other policies of the endpoint, for each way in which its subjects may be authenticated.

    The policy with the settings may accept tokens or the enforcer's assertion. `known`: this policy has the settings
    itself.
    """
    if known:
        return [[]]
    kinds = {keys.key_parts(subject)[0] for subject in subjects}
    asserted = "entity" in kinds
    proofs = [True] if asserted else []
    if not asserted or kinds & {keys.USER, "group"}:
        proofs.append(False)
    return [[_carrier(key, asserted=proof)] for proof in proofs]


def _carrier(key: EndpointKey, *, asserted: bool) -> CompiledPolicy:
    ref = PolicyRef(key[0], _NOBODY, "", 0)
    settings = CompiledSettings(ref, frozenset(), frozenset(), asserted=asserted, issuers=frozenset(), delegation=None)
    return CompiledPolicy(ref, key[1], "", settings, ())


def _walk(
    key: EndpointKey, sides: Sequence[CompiledPolicy | None], others: Sequence[CompiledPolicy], now: float, late: Late
) -> list[Change]:
    base, head = (
        WalkSide(CompiledEndpoint.of([*others, *(() if side is None else (side,))], ()), partial=True) for side in sides
    )
    return [change for change in Walk(key, base, head, now, REGIONS, late=late).changes() if change.kind in _WIDE]


def _place(change: Change) -> object:
    return tuple(change.where.items())


def _rank(further: _FurtherChange) -> tuple[bool, int]:
    return further.elsewhere, _WIDE.index(further.change.kind)


def _line(further: _FurtherChange) -> str:
    """Return a warning: `permits more calls (rule any, new): Deny to Allow: sa:agents/bot | refund | order/*`.

    The longest part comes last, so that only it is cut.
    """
    change, rule = further.change, further.change.rule
    certain = change.kind is ChangeClass.WIDER and not further.elsewhere
    lead = "permits more calls" if certain else "may permit more calls"
    if further.elsewhere:
        lead += ", where another policy allows them"
    if rule is not None and rule.policy.name != _NOBODY:
        lead += f" (rule {rule.name}, {change.why})"
    parts = (lead, change.what.replace(" → ", " to "), " | ".join(region(change)))
    return shorten(visible(": ".join(part for part in parts if part)), LENGTH)
