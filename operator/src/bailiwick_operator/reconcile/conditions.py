"""Conditions and the comparison of statuses, for all kinds. Pure.

Holds: lastTransitionTime changes only with a condition's status; a status that differs in nothing else is not written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from bailiwick_api.times import stamp
from bailiwick_engine.compile.acceptance import shorten

# `kube` has the same: neither of the two rooms imports the other.
Object = dict[str, Any]
Status = dict[str, Any]
_MESSAGE_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True)
class DesiredCondition:
    """A condition as it should be; `reason` is CamelCase, `message` is for people."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def truth(value: bool) -> Literal["True", "False"]:  # noqa: FBT001 - it is the whole question
    """Spell a truth value as conditions do."""
    return "True" if value else "False"


def entries(
    wanted: Iterable[DesiredCondition], present: Status, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Return the list for `status.conditions`. A condition whose status does not change keeps its transition time."""
    since = {entry["type"]: entry for entry in present.get("conditions") or ()}
    out = []
    for condition in wanted:
        before = since.get(condition.type)
        stays = before is not None and before.get("status") == condition.status and before.get("lastTransitionTime")
        out.append(
            {
                "type": condition.type,
                "status": condition.status,
                "observedGeneration": generation,
                "lastTransitionTime": before["lastTransitionTime"] if before is not None and stays else stamp(now),
                "reason": condition.reason,
                "message": shorten(condition.message, _MESSAGE_LENGTH),
            }
        )
    return out


def differs(wanted: Status, present: Status, owned: Sequence[str], types: frozenset[str]) -> bool:
    """Tell whether a write would change anything: in the fields that we own, in conditions of the types that we own."""
    return any(
        (_comparable(wanted.get(name), types) != _comparable(present.get(name), types))
        if name == "conditions"
        else (wanted.get(name) != present.get(name))
        for name in owned
    )


def parse_time(text: str) -> datetime:
    """Return a time as Kubernetes writes it."""
    return datetime.fromisoformat(text)


def _comparable(conditions: Sequence[Mapping[str, Any]] | None, types: frozenset[str]) -> dict[str, Any]:
    return {
        entry["type"]: {key: value for key, value in entry.items() if key != "lastTransitionTime"}
        for entry in conditions or ()
        if entry["type"] in types
    }
