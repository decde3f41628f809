"""The status of an EndpointData: whether it can be read, which policies read it, and if every process has it. Pure.

Also the condition DataReady of a policy that names data. Holds: the data itself is not kept, only a summary of it; the
same function reads it here, in admission and in the decision point, so that all report the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailiwick_api.kinds.endpointdata import MOST_READERS
from bailiwick_engine.budget.datasize import data_claim
from bailiwick_engine.budget.ledger import Claim, Excess
from bailiwick_engine.cel.data import UnknownReason, read_data
from bailiwick_engine.compile.acceptance import over_budget, shorten
from bailiwick_operator.reconcile import programmed as programming
from bailiwick_operator.reconcile.conditions import DesiredCondition, Object, Status, differs, entries
from bailiwick_operator.reconcile.programmed import ServedGeneration

OWNED: Final = ("observedGeneration", "digest", "readers", "conditions")
TYPES: Final = frozenset({"Programmed", "Ready"})
_SUMMARY: Final = "summary"
_MESSAGE: Final = 500


@dataclass(frozen=True, slots=True)
class DataSummary:
    """The summary of an object: its digest, or why it is unknown, and its claim on the budget."""

    digest: str | None
    why: UnknownReason | None
    message: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class DataPlan:
    """`status` is None where nothing is to be written. `asks`: the stored status does not say that it is programmed."""

    status: Status | None
    asks: bool


def summed_up(body: Object) -> Object:
    """Return an object with a summary in place of its data, which is large."""
    spec, metadata = body.get("spec"), body["metadata"]
    if isinstance(spec, dict) and isinstance(spec.get(_SUMMARY), DataSummary):
        return body
    data = read_data(metadata["name"], metadata["uid"], metadata["generation"], spec)
    unknown = data.unknown
    summarized = DataSummary(
        data.digest,
        None if unknown is None else unknown.why,
        "" if unknown is None else shorten(str(unknown.problem), _MESSAGE),
        data_claim(body),
    )
    return body | {"spec": {_SUMMARY: summarized}}


def summary(body: Object) -> DataSummary:
    """Return the summary of an object that `summed_up` returned."""
    stored: DataSummary = body["spec"][_SUMMARY]
    return stored


def names(policy: Object) -> tuple[tuple[str, str], ...]:
    """Return the data that a policy names, each with its object; entries that cannot be read are left out."""
    spec = policy.get("spec")
    listed = spec.get("data") if isinstance(spec, dict) else None
    named = []
    for entry in listed if isinstance(listed, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else None
        source = entry.get("from") or name if isinstance(entry, dict) else None
        if isinstance(name, str) and isinstance(source, str):
            named.append((name, source))
    return tuple(named)


def reconcile(
    body: Object, readers: Sequence[str], excess: Excess | None, serving: ServedGeneration | None, now: datetime
) -> DataPlan:
    """Return what the status should be. `excess`: the budget that it exceeds."""
    present: Status = body.get("status") or {}
    generation: int = body["metadata"]["generation"]
    why = unknown(body, excess)
    programmed = programming.condition(body, serving)
    if why is not None:
        ready = DesiredCondition("Ready", "False", *why)
    elif programmed.status != "True":
        ready = DesiredCondition("Ready", programmed.status, programmed.reason, programmed.message)
    else:
        ready = DesiredCondition("Ready", "True", "Served", "every process of the decision point reads this data")
    wanted: Status = {
        "observedGeneration": generation,
        "readers": sorted(readers)[:MOST_READERS],
        "conditions": entries([programmed, ready], present, generation, now),
    }
    digest = summary(body).digest
    if digest is not None and excess is None:
        wanted["digest"] = digest
    differing = differs(wanted, {"readers": [], **present}, OWNED, TYPES)
    return DataPlan(wanted if differing else None, programming.programmed_condition(body) is None)


def unknown(body: Object | None, excess: Excess | None) -> tuple[str, str] | None:
    """Return reason and message where data is unknown; None where it can be read."""
    if body is None:
        return UnknownReason.NOT_FOUND.value, "there is no such EndpointData in the namespace: create it"
    if excess is not None:
        return UnknownReason.OVER_BUDGET.value, over_budget(excess).message
    known = summary(body)
    return None if known.why is None else (known.why.value, known.message)


def data_ready(named: Iterable[tuple[str, str]], unknowns: Mapping[str, tuple[str, str]]) -> DesiredCondition | None:
    """Return the condition DataReady of a policy, by the objects that it names; None where it names none."""
    listed = tuple(named)
    if not listed:
        return None
    wrong = [(source, *unknowns[source]) for source in dict(listed).values() if source in unknowns]
    if not wrong:
        objects = ", ".join(sorted({source for _, source in listed}))
        return DesiredCondition("DataReady", "True", "Ready", f"conditions can read {objects}")
    problems = "; ".join(f"EndpointData {source}: {message}" for source, _, message in wrong)
    message = f"{problems}. Until then, conditions that read it are unknown: Allow rules do not match, Deny rules apply"
    return DesiredCondition("DataReady", "False", wrong[0][1], message)
