"""What a proof of the guard means for the record and for the grants. Pure; `guard.keeper` carries it out.

Holds: while the recorded fingerprint is that of the present guard, everything newer than the record was written under
that guard. Where it is not, nothing newer than the record can be shown to have passed a guard, so all of it is void for
good. Nothing about a stored object is usable, not even its shape: no object makes anything here raise.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bailiwick_api.accounts import CANARY_GRANT, KEEP_ENTRY, REVIEWERS_SERIAL_ENTRY, Installation
from bailiwick_api.kinds.approvalgrant import GUARD_UNPROVEN, TERMINAL_PHASES
from bailiwick_api.times import parse_time as read_time, stamp
from bailiwick_api.voidgrants import NONE, VOID_ENTRY, VoidGrants
from bailiwick_engine.signatures.registrars import NO_FLOOR, SerialFloor
from bailiwick_operator.reconcile.approvalgrant import OWNED
from bailiwick_operator.reconcile.conditions import DesiredCondition, Object, Status, entries

# For 30 s the decision point allows the same call again that took a use; the rest is tolerance for clocks.
_REPEATABLE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Record:
    """The last proof, as the ConfigMap holds it.

    `version` is a resourceVersion of the collection of grants at which this guard was in force; `store` is the uid of
    the CRD of grants: another CRD is another collection, whose versions cannot be compared with this one's.
    `void`: grants that are void, but whose status cannot say so. `keep`: how many API servers keep the guards from
    their own disk, of how many (`2/3`); empty where it is not known. `reviewers`: the newest file of reviewers' keys;
    None: the record says nothing of it, and what is written always does.
    """

    fingerprint: str
    proven_time: str
    version: int
    store: str
    void: VoidGrants = NONE
    keep: str = ""
    reviewers: SerialFloor | None = NO_FLOOR

    def data(self) -> dict[str, str]:
        """Return the ConfigMap's `data`."""
        return {
            "fingerprint": self.fingerprint,
            "provenTime": self.proven_time,
            "resourceVersion": str(self.version),
            "storeUID": self.store,
            VOID_ENTRY: self.void.text(),
            KEEP_ENTRY: self.keep,
            **({} if self.reviewers is None else {REVIEWERS_SERIAL_ENTRY: str(self.reviewers)}),
        }


def read_record(config_map: Object | None) -> Record | None:
    """Return the record in a ConfigMap; None where there is none, or none that can be read."""
    data = (config_map or {}).get("data") or {}
    try:
        void = VoidGrants.parse(data.get(VOID_ENTRY, ""))
        entries_ = data["fingerprint"], data["provenTime"], int(data["resourceVersion"]), data["storeUID"]
        serial = data.get(REVIEWERS_SERIAL_ENTRY)
        reviewers = SerialFloor.parse(serial)
        if void is None or (serial is not None and reviewers is None):
            return None
        return Record(*entries_, void, data.get(KEEP_ENTRY, ""), reviewers)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that succeeded. `floor`: resourceVersion of the grants, taken before the guards were read."""

    fingerprint: str
    store: str
    floor: int


def is_recorded_guard(record: Record | None, proof: Proof) -> bool:
    """Tell whether the guard is the recorded one, so that grants and reviews written since then count."""
    usable = _usable_record(record, proof)
    return usable is not None and usable.fingerprint == proof.fingerprint


def void_after(record: Record | None, proof: Proof) -> int:
    """Return the resourceVersion after which everything is void, where the guard is not the recorded one."""
    usable = _usable_record(record, proof)
    return usable.version if usable else 0


def _usable_record(record: Record | None, proof: Proof) -> Record | None:
    """Return the record if it is about this collection: one that was restored from elsewhere has other versions."""
    if record is None or record.store != proof.store or record.version > proof.floor:
        return None
    return record


def is_own_canary(grant: Object, installation: Installation) -> bool:
    """Tell whether this is the grant that the dry runs of this installation use, by its name alone.

    `bailiwick_api.manifests.canary.is_canary` tells of the canary of any installation, by its request.
    """
    metadata = grant["metadata"]
    return bool(metadata["namespace"] == installation.namespace and metadata["name"] == CANARY_GRANT)


def is_pristine(found: Object, made: Object) -> bool:
    """Tell whether a stored canary is as it was created, except for its time, so that no client wrote to it."""

    def timeless(grant: Object) -> Object:
        return {key: value for key, value in grant["spec"]["request"].items() if key != "pendingUntilTime"}

    spec = _mapping(found.get("spec"))
    return set(spec) == {"request"} and timeless(found) == timeless(made) and "status" not in found


def must_void(grant: Object, after: int, installation: Installation, now: datetime) -> bool:
    """Tell whether to make a grant void: not over, not the canary, written after the last proof of the old guard."""
    if is_own_canary(grant, installation) or is_over(grant, now):
        return False
    version = grant["metadata"]["resourceVersion"]
    return not version.isdecimal() or int(version) > after


def is_over(grant: Object, now: datetime) -> bool:
    """Tell whether a grant allows no call any more, regardless of what wrote it.

    A grant that is used up is not over while the call that used it may be repeated.
    """
    status = _mapping(grant.get("status"))
    phase = status.get("phase")
    if phase != "Consumed":
        return isinstance(phase, str) and phase in TERMINAL_PHASES
    records = status.get("useRecords")
    return not any(_repeatable(record, now) for record in (records if isinstance(records, list) else ()))


def _repeatable(record: object, now: datetime) -> bool:
    used = read_time(_mapping(record).get("time"))
    # A value that is not a time was not written by Bailiwick, so this grant is made void too.
    return used is None or used > now - _REPEATABLE


def void_status(grant: Object, now: datetime) -> Status:
    """Return the status that makes a grant void: it is over, and no review that was not counted will ever count.

    Reads the stored JSON alone: what was written while the guard was off may not fit the models.
    If the API server refuses the status, or stores another one, the grant is void by name.
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


def is_stored_void(stored: Object, status: Status) -> bool:
    """Tell whether a grant was stored as void as it was written. Admission can change what the API server stores."""
    present = _mapping(stored.get("status"))
    conditions = present.get("conditions")
    unproven = any(
        (entry.get("type"), entry.get("reason")) == ("Ready", GUARD_UNPROVEN)
        for entry in map(_mapping, conditions if isinstance(conditions, list) else ())
    )
    voided = set(_reviewers(present.get("voided")))
    return unproven and present.get("phase") == status["phase"] and voided.issuperset(_reviewers(status.get("voided")))


def _mapping(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _reviewers(value: object) -> list[str]:
    entries_ = value if isinstance(value, list) else []
    return [str(entry["reviewer"]) for entry in entries_ if isinstance(entry, dict) and "reviewer" in entry]


def new_record(
    proof: Proof, version: int, now: datetime, void: VoidGrants, keep: str = "", reviewers: SerialFloor = NO_FLOOR
) -> Record:
    """Return the record of a proof."""
    return Record(proof.fingerprint, stamp(now), version, proof.store, void, keep, reviewers)


@dataclass(frozen=True, slots=True)
class KeepState:
    """How many API servers keep the guards from their own disk, how many do not, and how many did not answer.

    `problem`: what is wrong, for a person; None where all of them keep the guards.
    """

    kept: int
    without: int
    silent: int
    problem: str | None

    @property
    def text(self) -> str:
        """How many keep them, of how many: `2/3`."""
        return f"{self.kept}/{self.kept + self.without + self.silent}"


def misses_keep(before: str, now: KeepState, *, required: bool) -> bool:
    """Tell whether to report that keep is missing: where it is required, at some API servers, or was there before.

    `before`: the text of the last state; empty where there was none. Where keep was never installed, there is nothing
    to report.
    """
    was_kept = before != "" and not before.startswith("0/")
    return now.problem is not None and (required or now.kept > 0 or was_kept)
