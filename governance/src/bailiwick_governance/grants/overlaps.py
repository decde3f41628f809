"""Overlapping approvals: which other grants still let a call through that one grant is about.

Holds: pure, and by what requests say: what is said here is for a person who revokes. Whether a call is let through, the
decision point says.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bailiwick_engine.names import NameSet
from bailiwick_governance.grants.grantview import GrantView


def find_overlaps(grant: GrantView, others: Iterable[GrantView]) -> list[GrantView]:
    """Return the others that can be used now and let at least one call through that this grant is about."""
    return [other for other in others if other.uid != grant.uid and _overlap(grant, other)]


def _overlap(grant: GrantView, other: GrantView) -> bool:
    try:
        if other.phase != "Active":
            return False
        mine, its = grant.request, other.request
        return _same_parties(mine, its) and _same_call(mine, its)
    except (KeyError, TypeError, ValueError, AttributeError):
        # Of a newer version, or none at all: it says nothing here.
        return False


def _same_parties(mine: Mapping[str, Any], its: Mapping[str, Any]) -> bool:
    if (mine["endpoint"], mine["action"]["name"]) != (its["endpoint"], its["action"]["name"]):
        return False
    parties = [(request["subject"], *(request.get("actors") or ())) for request in (mine, its)]
    return len(parties[0]) == len(parties[1]) and all(map(_same_party, *parties))


def _same_party(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    # A grant written by hand has no uid; the operator resolves it.
    uids = {one.get("uid"), other.get("uid")} - {None, ""}
    return bool(one["id"] == other["id"]) and len(uids) <= 1


def _same_call(mine: Mapping[str, Any], its: Mapping[str, Any]) -> bool:
    if "Scope" not in {mine["binding"]["mode"], its["binding"]["mode"]}:
        return bool(mine["binding"]["digest"] == its["binding"]["digest"])
    ids = [NameSet.of((request["resource"]["id"],)) for request in (mine, its)]
    if mine["resource"]["type"] != its["resource"]["type"] or not ids[0].overlaps(ids[1]):
        return False
    bound = [request["resource"].get("properties") or {} for request in (mine, its)]
    return all(bound[0][name] == bound[1][name] for name in bound[0].keys() & bound[1].keys())
