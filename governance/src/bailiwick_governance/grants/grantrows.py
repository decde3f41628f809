"""A grant in one row: the cells that `list` prints and that the console's inbox shows.

Holds: every text of others is escaped; a grant that cannot be read is named, and fails no list.
"""

from collections.abc import Mapping
from typing import Any, Final

from bailiwick_api.manifests.canary import is_canary
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_governance.display import Line, legible, phase_piece, talk
from bailiwick_governance.grants.grantview import GrantView, moment, span

COLUMNS: Final = ("NAME", "SUBJECT", "ACTION", "RESOURCE", "STEPS", "PHASE", "USES", "UNTIL", "AGE")
WIDE: Final = ("ENDPOINT", "RULES", "REQUESTER", "BINDING", "REASON")


def listable(raw: Mapping[str, Any], now: float) -> bool:
    """Tell whether a grant belongs into a list; says so where it cannot be read."""
    if is_canary(raw):
        # The operator's own, on which it tries the guards: it is no request, and it approves nothing.
        return False
    try:
        row(GrantView(raw, now), wide=True)
    except (KeyError, TypeError, ValueError, AttributeError):
        talk(f"warning: {legible(str((raw.get('metadata') or {}).get('name')))} cannot be read and is left out")
        return False
    return True


def row(grant: GrantView, *, wide: bool) -> Line:
    """Return the cells of one grant."""
    request = grant.request
    done = sum(min(step.approvals, step.count) for step in grant.steps)
    until = grant.until
    cells: list[tuple[str, str]] = [
        (legible(grant.name), ""),
        (_short(request["subject"]["id"]), ""),
        (legible(request["action"]["name"]), ""),
        (legible(grant.resource), ""),
        (f"{done}/{sum(step.count for step in grant.steps)}", ""),
        phase_piece(grant.phase),
        (f"{grant.uses}/{grant.max_uses}", ""),
        (span(moment(until) - grant.now) if until else "-", ""),
        (span(grant.now - moment(grant.raw["metadata"]["creationTimestamp"])), ""),
    ]
    if wide:
        cells += [
            (legible(request["endpoint"]), ""),
            (",".join(f"{legible(rule['policy'])}/{legible(rule['rule'])}" for rule in request["rules"]), ""),
            (_short(request["requester"]["username"]), ""),
            (legible(grant.binding_hex[:8]), ""),
            (legible(request.get("reason") or "-"), "italic"),
        ]
    return cells


def _short(username: str) -> str:
    """Write a service account as it is typed here, `sa:namespace/name`."""
    account = ServiceAccountName.parse(username)
    return legible(username if account is None else account.short)
