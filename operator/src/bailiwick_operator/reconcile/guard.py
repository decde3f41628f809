"""What a proof of the guard means for the record and for the grants. Pure; `bailiwick_operator.guard.keeper` does it.

Holds: while the recorded fingerprint is that of the guard now, everything newer than the record was written under it.
Where it is not, nothing newer than the record can be shown to have passed a guard, so all of it is void for good. What
is stored is believed in nothing, not even in its shape: no object makes anything here raise.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bailiwick_api.accounts import CANARY_GRANT, Installation
from bailiwick_api.kinds.approvalgrant import GUARD_UNPROVEN, TERMINAL_PHASES
from bailiwick_api.times import parse_time as read_time, stamp
from bailiwick_api.voidgrants import NONE, VOID_ENTRY, VoidGrants
from bailiwick_operator.reconcile.approvalgrant import OWNED
from bailiwick_operator.reconcile.conditions import DesiredCondition, Status, entries

Object = dict[str, Any]
# The decision point lets a call that took a use through again for 30 s; the rest is room for clocks.
_REPEATABLE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Record:
    """The last proof, as the ConfigMap holds it.

    `version` is a resourceVersion of the collection of grants at which this guard was in force; `store` is the uid of
    the CRD of grants: another CRD is another collection, whose versions say nothing about this one's.
    `void`: grants that fell, and whose status cannot say so.
    """

    fingerprint: str
    proven_time: str
    version: int
    store: str
    void: VoidGrants = NONE

    def data(self) -> dict[str, str]:
        """Return the ConfigMap's `data`."""
        return {
            "fingerprint": self.fingerprint,
            "provenTime": self.proven_time,
            "resourceVersion": str(self.version),
            "storeUID": self.store,
            VOID_ENTRY: self.void.text(),
        }


def read_record(config_map: Object | None) -> Record | None:
    """Return the record of a ConfigMap; None where there is none, or none that can be read."""
    data = (config_map or {}).get("data") or {}
    try:
        void = VoidGrants.parse(data.get(VOID_ENTRY, ""))
        told = data["fingerprint"], data["provenTime"], int(data["resourceVersion"]), data["storeUID"]
        return None if void is None else Record(*told, void)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that succeeded. `floor`: resourceVersion of the grants, taken before the guards were read."""

    fingerprint: str
    store: str
    floor: int


def untouched_since(record: Record | None, proof: Proof) -> bool:
    """Tell whether the guard is the one that the record speaks of, so that what came in since then counts."""
    trusted = _trusted(record, proof)
    return trusted is not None and trusted.fingerprint == proof.fingerprint


def void_after(record: Record | None, proof: Proof) -> int:
    """Return the resourceVersion after which everything is void, under a guard that is not the recorded one."""
    trusted = _trusted(record, proof)
    return trusted.version if trusted else 0


def _trusted(record: Record | None, proof: Proof) -> Record | None:
    """Return the record if it speaks of this collection: one that was restored from elsewhere has other versions."""
    if record is None or record.store != proof.store or record.version > proof.floor:
        return None
    return record


def is_canary(grant: Object, installation: Installation) -> bool:
    """Tell whether this is the grant that the dry runs aim at."""
    metadata = grant["metadata"]
    return bool(metadata["namespace"] == installation.namespace and metadata["name"] == CANARY_GRANT)


def pristine(found: Object, made: Object) -> bool:
    """Tell whether a stored canary is as it is made, but for its time, and nobody wrote to it."""

    def timeless(grant: Object) -> Object:
        return {key: value for key, value in grant["spec"]["request"].items() if key != "pendingUntilTime"}

    spec = _mapping(found.get("spec"))
    return set(spec) == {"request"} and timeless(found) == timeless(made) and "status" not in found


def must_void(grant: Object, after: int, installation: Installation, now: datetime) -> bool:
    """Tell whether a grant falls: not over yet, not the canary, and written after the last proof of the old guard."""
    if is_canary(grant, installation) or is_over(grant, now):
        return False
    version = grant["metadata"]["resourceVersion"]
    return not version.isdecimal() or int(version) > after


def is_over(grant: Object, now: datetime) -> bool:
    """Tell whether a grant lets nobody through any more, whatever wrote it.

    One that is used up is not over while the call that used it may come again.
    """
    status = _mapping(grant.get("status"))
    phase = status.get("phase")
    if phase != "Consumed":
        return isinstance(phase, str) and phase in TERMINAL_PHASES
    records = status.get("useRecords")
    return not any(_repeatable(record, now) for record in (records if isinstance(records, list) else ()))


def _repeatable(record: object, now: datetime) -> bool:
    used = read_time(_mapping(record).get("time"))
    # What is no time was written by nobody of ours, and falls too.
    return used is None or used > now - _REPEATABLE


def voided(grant: Object, now: datetime) -> Status:
    """Return the status of a grant that falls: it is over, and no review that was not counted will ever count.

    Reads the stored JSON alone: what was written while the guard was loose need not be anything that the models know.
    Should the API server refuse what comes out, the grant is void by name.
    """
    present = _mapping(grant.get("status"))
    judged = {*_reviewers(present.get("counted")), *_reviewers(present.get("voided"))}
    unjudged = [who for who in _reviewers(_mapping(grant.get("spec")).get("reviews")) if who not in judged]
    phase = {"Active": "Lapsed", "Consumed": "Consumed"}.get(str(present.get("phase")), "Expired")
    generation = grant["metadata"]["generation"]
    message = (
        "written while the guards over grants were not proven to be in force, so it never counts: request a new grant"
    )
    conditions = [DesiredCondition("Ready", "False", GUARD_UNPROVEN, message)]
    if phase != "Expired":
        conditions.insert(0, DesiredCondition(phase, "True", GUARD_UNPROVEN, message))
    status = {name: present[name] for name in OWNED if name in present} | {
        "observedGeneration": generation,
        "phase": phase,
        "conditions": entries(conditions, {}, generation, now),
    }
    if unjudged:
        status["voided"] = [{"reviewer": who} for who in (*_reviewers(present.get("voided")), *unjudged)]
    return status


def _mapping(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _reviewers(value: object) -> list[str]:
    entries_ = value if isinstance(value, list) else []
    return [str(entry["reviewer"]) for entry in entries_ if isinstance(entry, dict) and "reviewer" in entry]


def new_record(proof: Proof, version: int, now: datetime, void: VoidGrants) -> Record:
    """Return the record of a proof."""
    return Record(proof.fingerprint, stamp(now), version, proof.store, void)
