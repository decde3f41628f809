"""Compare: all endpoints of two snapshots, and the regions that differ, merged into few.

Standing: above all other modules here; commands call it. Holds: the worst change comes first; an endpoint that denies
every call on one side is reported as one change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bailiwick_engine.policy.snapshot import EndpointKey, Snapshot
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.settings import settings_changes
from bailiwick_regions.sides import WalkSide
from bailiwick_regions.walk import BEHALF, MOST_REGIONS, Walk

_ORDER = {kind: rank for rank, kind in enumerate(ChangeClass)}


def compare(
    base: Snapshot, head: Snapshot, now: float, limit: int = MOST_REGIONS, *, ceiling: bool = False
) -> tuple[Change, ...]:
    """Return the changes of the head. `now`: from when on, in seconds since the epoch.

    `ceiling`: the base serves no calls; if it has no settings of an endpoint, they are not compared.
    """
    found: list[Change] = []
    for key in sorted(base.endpoints.keys() | head.endpoints.keys()):
        before, after = WalkSide(base.endpoints.get(key)), WalkSide(head.endpoints.get(key))
        found += _endpoint(key, before, after, now, limit, silent=ceiling and before.settings is None)
    return tuple(sorted(found, key=lambda one: (_ORDER[one.kind], one.endpoint)))


def worst(changes: Iterable[Change]) -> ChangeClass:
    """Return the worst class of the changes."""
    return min((one.kind for one in changes), key=_ORDER.__getitem__, default=ChangeClass.SAME)


def _endpoint(
    key: EndpointKey, base: WalkSide, head: WalkSide, now: float, limit: int, *, silent: bool
) -> list[Change]:
    found: list[Change] = []
    if not silent and base.endpoint is not None and head.endpoint is not None:
        if base.settings is not None and head.settings is None:
            return [Change(ChangeClass.NARROWER, key, "endpointSettings removed: the endpoint denies every call")]
        if base.settings is None and head.settings is not None:
            found.append(Change(ChangeClass.WIDER, key, "endpointSettings added: the endpoint denied every call"))
            base = WalkSide(None)
        elif base.settings is not None and head.settings is not None:
            found += settings_changes(
                key, base.settings, head.settings, (base.data, head.data), (base.rules, head.rules)
            )
    return found + merge_changes(list(Walk(key, base, head, now, limit).changes()))


def merge_changes(changes: list[Change]) -> list[Change]:
    """Return the changes, with regions joined that differ in only one dimension."""
    own = {_merge_key(one, ()) for one in changes if not _subject(one).startswith(BEHALF)}
    kept = [
        one
        for one in changes
        if not (subject := _subject(one)).startswith(BEHALF)
        or _merge_key(_with_subject(one, subject.removeprefix(BEHALF)), ()) not in own
    ]
    for name in dict.fromkeys(name for one in kept for name in one.where):
        groups: dict[object, list[Change]] = {}
        for one in kept:
            groups.setdefault(_merge_key(one, (name,)), []).append(one)
        kept = [_join_changes(some, name) for some in groups.values()]
    return kept


def _with_subject(change: Change, subject: str) -> Change:
    return replace(change, where={**change.where, "subject": (subject,)})


def _merge_key(change: Change, without: Sequence[str]) -> object:
    region = tuple((name, label) for name, label in change.where.items() if name not in without)
    return (change.kind, change.what, id(change.rule), change.why, change.when, region, tuple(change.where))


def _join_changes(changes: Sequence[Change], name: str) -> Change:
    first = changes[0]
    if name not in first.where:
        return first
    labels = dict.fromkeys(label for one in changes for label in one.where[name])
    return replace(first, where={**first.where, name: tuple(labels)})


def _subject(change: Change) -> str:
    return change.where.get("subject", ("",))[0]
