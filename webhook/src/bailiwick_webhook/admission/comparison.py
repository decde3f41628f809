"""Comparison: which calls a change of one policy lets further, as warnings for whoever applies it.

Standing: run by `worker` once the finding is told, so that no verdict hangs on it. Holds: it looks at what was posted
and at nothing else, so that nobody learns by it what other policies say. So calls are compared twice: as if there were
no other policy, and as if another one allowed them all. It never raises.
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
"""What the API server leaves of a warning, once there are more than 4,096 characters of them."""
UNCOMPARED: Final = "may let calls further: there are too many to compare in time; see bailiwick diff"
DENIED: Final = "may let calls further: what is stored does not compile, and denies its subjects every call"
# An approval that is another asks for less in one place; beside one that asks for the rest, it asks for less.
_WIDE: Final = (ChangeClass.WIDER, ChangeClass.MAY_WIDEN, ChangeClass.CHANGED)
_EVERY: Final = NameSet.of(("*",))
# No object is called that.
_NOBODY: Final = "~"

Late = Callable[[], bool]


class PolicyEdit(NamedTuple):
    """A policy of this name as it is stored and as it is to be; None: there is none."""

    namespace: str
    name: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


class _Told(NamedTuple):
    """A change. `elsewhere`: it is one only for calls that another policy allows."""

    change: Change
    elsewhere: bool


class _LateError(Exception):
    """There is no more time."""


def widening(edit: PolicyEdit, now: float, late: Late) -> tuple[str, ...]:
    """Return the warnings, the worst first. `now`: seconds since the epoch; `late` says when to give up."""
    try:
        return _warnings(edit, now, late)
    except Exception:  # noqa: BLE001 - whatever it was: nobody has shown that no call gets further
        return (UNCOMPARED,)


def _warnings(edit: PolicyEdit, now: float, late: Late) -> tuple[str, ...]:
    base, head = (_compiled(edit, stored, late) for stored in (edit.old, edit.new))
    notes: list[str] = []
    if isinstance(base, BrokenPolicy) and not base.audit and base.replaces is None:
        notes.append(DENIED)
    sides = [one if isinstance(one, CompiledPolicy) and one.replaces is None else None for one in (base, head)]
    found: list[_Told] = []
    for endpoint in dict.fromkeys(one.endpoint for one in sides if one is not None):
        there = [one if one is not None and one.endpoint == endpoint else None for one in sides]
        found += _of_endpoint((edit.namespace, endpoint), there, now, late)
    known = sorted((one for one in found if one.change.what != NOT_COMPARED), key=_rank)
    if len(known) < len(found):
        notes.append(UNCOMPARED)
    lines = [*notes, *(_line(one) for one in known)]
    if len(lines) <= MOST:
        return tuple(lines)
    return (*lines[:MOST], f"and {len(lines) - MOST} more like these; see bailiwick diff")


def _compiled(edit: PolicyEdit, stored: Mapping[str, Any] | None, late: Late) -> CompiledPolicy | BrokenPolicy | None:
    if stored is None:
        return None
    metadata = {"namespace": edit.namespace, "name": edit.name, "uid": "", "generation": 0}
    held = stored.get("metadata")
    if isinstance(held, Mapping) and "deletionTimestamp" in held:
        metadata["deletionTimestamp"] = held["deletionTimestamp"]
    return _through(compile_steps({"metadata": metadata, "spec": stored.get("spec")}), late)


def _through(steps: Steps[CompiledPolicy | BrokenPolicy], late: Late) -> CompiledPolicy | BrokenPolicy:
    while not late():
        try:
            next(steps)
        except StopIteration as end:
            made: CompiledPolicy | BrokenPolicy = end.value
            return made
    raise _LateError


def _of_endpoint(key: EndpointKey, sides: Sequence[CompiledPolicy | None], now: float, late: Late) -> Iterator[_Told]:
    """Yield what gets further at one endpoint, of which nothing is known but this policy."""
    base, head = (None if one is None else one.settings for one in sides)
    if head is not None:
        added = Change(ChangeClass.WIDER, key, "endpointSettings added, without which an endpoint denies every call")
        own = [rule for rule in (() if sides[1] is None else sides[1].rules) if not rule.audit]
        for change in (added,) if base is None else settings_changes(key, base, head, ({}, {}), own):
            if change.kind in _WIDE:
                yield _Told(change, elsewhere=False)
    rules = [rule for one in sides if one is not None for rule in one.rules]
    subjects = frozenset(subject for rule in rules for subject in rule.subjects)
    for around in _surroundings(key, subjects, known=base is not None or head is not None):
        alone = _walked(key, sides, around, now, late)
        yield from (_Told(change, elsewhere=False) for change in merge_changes(alone))
        if sides[0] is not None and any(rule.effect is not Effect.ALLOW for rule in sides[0].rules):
            every = tuple(
                CompiledResource(kind, _EVERY, {})
                for kind in sorted({entry.type for rule in rules for entry in rule.resources})
            )
            ref = PolicyRef(key[0], _NOBODY, "", 0)
            allowing = unconditional(ref, Effect.ALLOW, subjects, _EVERY, every)
            beside = CompiledPolicy(ref, key[1], "", None, (allowing,))
            told = {_place(change) for change in alone}
            further = [
                change for change in _walked(key, sides, [*around, beside], now, late) if _place(change) not in told
            ]
            yield from (_Told(change, elsewhere=True) for change in merge_changes(further))


def _surroundings(key: EndpointKey, subjects: frozenset[keys.Key], *, known: bool) -> list[list[CompiledPolicy]]:
    """Return what else stands at the endpoint, for each way in which its subjects may be proven.

    Whoever carries the settings may take tokens or the enforcer's word. `known`: this policy carries them itself.
    """
    if known:
        return [[]]
    kinds = {keys.key_parts(subject)[0] for subject in subjects}
    asserted = "entity" in kinds
    proofs = [True] if asserted else []
    if not asserted or kinds & {keys.USER, "group"}:
        proofs.append(False)
    return [[_carrier(key, asserted=one)] for one in proofs]


def _carrier(key: EndpointKey, *, asserted: bool) -> CompiledPolicy:
    ref = PolicyRef(key[0], _NOBODY, "", 0)
    settings = CompiledSettings(ref, frozenset(), frozenset(), asserted=asserted, issuers=frozenset(), delegation=None)
    return CompiledPolicy(ref, key[1], "", settings, ())


def _walked(
    key: EndpointKey, sides: Sequence[CompiledPolicy | None], around: Sequence[CompiledPolicy], now: float, late: Late
) -> list[Change]:
    base, head = (WalkSide(CompiledEndpoint.of([*around, *(() if one is None else (one,))], ())) for one in sides)
    return [change for change in Walk(key, base, head, now, REGIONS, late=late).changes() if change.kind in _WIDE]


def _place(change: Change) -> object:
    return tuple(change.where.items())


def _rank(one: _Told) -> tuple[bool, int]:
    return one.elsewhere, _WIDE.index(one.change.kind)


def _line(one: _Told) -> str:
    """Return a warning: `lets calls further (rule any, new): Deny to Allow: sa:agents/bot | refund | order/*`.

    What is long comes last, so that it is what is cut.
    """
    change, rule = one.change, one.change.rule
    certain = change.kind is ChangeClass.WIDER and not one.elsewhere
    lead = "lets calls further" if certain else "may let calls further"
    if one.elsewhere:
        lead += ", where another policy allows them"
    if rule is not None and rule.policy.name != _NOBODY:
        lead += f" (rule {rule.name}, {change.why})"
    parts = (lead, change.what.replace(" → ", " to "), " | ".join(region(change)))
    return shorten(visible(": ".join(part for part in parts if part)), LENGTH)
