"""Subjects that are taken back, as tests of decisions have them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_api.kinds.subjectrevocation import KIND, MEMBERS, RevokedIdentity
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.revocations import PartyRevocation, Revocations, revocation_name
from support.objects import Object, stamp

FAR: Final = 4_000_000_000.0
"""Later than every token of the tests was issued, in seconds since the epoch."""


def revocation(
    name: str = "r-one",
    issuer: str = CLUSTER,
    *,
    before: float = FAR,
    hold: bool = False,
    **match: Any,  # noqa: ANN401 - members and their values
) -> PartyRevocation:
    """Return a revocation of whom `match` names."""
    pairs = tuple((member, match[member]) for member in MEMBERS if member in match)
    return PartyRevocation(name, issuer, pairs, before, hold, before, before + 3600)


def in_force(*held: PartyRevocation, templates: Mapping[str, UsernameTemplate] | None = None) -> Revocations:
    """Return the index of these revocations."""
    found = Revocations(templates)
    for one in held:
        found.put(one)
    return found


def manifest(
    issuer: str = CLUSTER,
    *,
    before: datetime | None = None,
    until: datetime | None = None,
    hold: bool = False,
    making: str = "",
    by: str = "oidc:olivia",
    **match: Any,  # noqa: ANN401 - members and their values
) -> Object:
    """Return an object that a person wrote, for a month. `making`: what tells two of one subject apart.

    `by`: who wrote it. The API server takes no other name than that of its caller.
    """
    moment = before or datetime.now(UTC)
    name = revocation_name(issuer, RevokedIdentity(**match), "Person", making)
    spec = {
        "issuer": issuer,
        "match": match,
        "issuedBefore": stamp(moment),
        "hold": hold,
        "asOf": stamp(moment),
        "until": stamp(until or moment + timedelta(days=30)),
        "cause": {"kind": "Person", "by": by, "reason": "its token leaked"},
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
