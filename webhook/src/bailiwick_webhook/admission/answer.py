"""What a review is answered: what was found of the policy by itself, and what stands around it in the store.

Holds: pure. The words are those of the operator's condition Accepted. What stands around a policy refuses it only if
its stored spec had not the same wrong already, and a budget only if it asks for more than before, so that nobody's edit
is held up by another policy. The store may be behind: what it does not know yet is not refused here, and denied by what
comes into force.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_api.kinds import endpointdata
from bailiwick_api.kinds.meta import GROUP, VERSION
from bailiwick_api.manifests.admission import REVIEW_VERSION
from bailiwick_engine.approval.display import visible
from bailiwick_engine.budget.datasize import ledger_name
from bailiwick_engine.budget.ledger import Ledger
from bailiwick_engine.compile.acceptance import (
    CompilationSummary,
    NotAcceptedReason,
    PolicyContext,
    Refusal,
    over_budget,
    refusal,
    unconfigured_message,
)
from bailiwick_engine.compile.reviewers import People, issuers_of
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.admission.review import KIND, DataFinding, NothingToReview, PolicyFinding, UnknownVersion
from bailiwick_webhook.metrics.table import Admission

_UNPROCESSABLE: Final = 422
_OUTCOMES: Final = {
    NotAcceptedReason.INVALID: Admission.INVALID,
    NotAcceptedReason.TOO_COSTLY: Admission.INVALID,
    NotAcceptedReason.CONFLICTED: Admission.CONFLICTED,
    NotAcceptedReason.UNMAPPED: Admission.UNMAPPED,
    NotAcceptedReason.OVER_BUDGET: Admission.OVER_BUDGET,
}
_FIELDS: Final = {
    NotAcceptedReason.INVALID: "spec",
    NotAcceptedReason.TOO_COSTLY: "spec",
    NotAcceptedReason.CONFLICTED: "spec.endpointSettings",
    NotAcceptedReason.UNMAPPED: "spec.subjects",
    NotAcceptedReason.OVER_BUDGET: "spec",
}


class ReviewResponse(NamedTuple):
    """The body of a 200, and what it is counted as."""

    body: dict[str, Any]
    outcome: Admission


def answer(
    finding: NothingToReview | UnknownVersion | PolicyFinding | DataFinding,
    snapshot: Snapshot,
    ledger: Ledger,
    issuers: Mapping[str, bool] | None,
    now: float,
) -> ReviewResponse:
    """Return the answer. `issuers` as in `PolicyContext`; `now` in seconds since the epoch."""
    match finding:
        case NothingToReview():
            return _allowed(finding.uid, Admission.UNCHANGED)
        case UnknownVersion():
            known = f"this decision point supports {GROUP}/{VERSION}, not {visible(finding.version)}"
            return _refused(
                finding.uid, Admission.FOREIGN, f"UnknownVersion: {known}: upgrade the decision point first"
            )
        case PolicyFinding():
            return _judged(finding, snapshot, ledger, issuers, now)
        case DataFinding():
            return _judged_data(finding, ledger)


def _judged_data(found: DataFinding, ledger: Ledger) -> ReviewResponse:
    if found.cause is not None:
        causes, outcome, said = [found.cause], Admission.INVALID, f"{found.why}: {found.cause[0]}: {found.cause[1]}"
    else:
        excess = ledger.refused(found.namespace, ledger_name(found.name), found.print, found.before)
        if excess is None:
            return _allowed(found.uid, Admission.ALLOWED)
        wrong = over_budget(excess)
        said, outcome = f"{wrong.why}: {visible(wrong.message)}", Admission.OVER_BUDGET
        causes = [("spec.data", said)]
    return _refused(found.uid, outcome, visible(said), _details(found.name, endpointdata.KIND, causes))


def _judged(
    found: PolicyFinding, snapshot: Snapshot, ledger: Ledger, issuers: Mapping[str, bool] | None, now: float
) -> ReviewResponse:
    wrong, warnings = found.refusal, found.warnings
    if wrong is None:
        wrong, warnings = _budgeted(found, ledger)
    if wrong is None:
        warnings += (*_unsettled(found, snapshot), *(warning for end, warning in found.expiries if end <= now))
        wrong = _around(found, snapshot, issuers, found.people, carries=found.carries)
        before = found.before
        if wrong is not None and before is not None:
            had = _around(found, snapshot, issuers, before.people, carries=before.carries)
            if wrong == had:
                warnings = (f"{wrong.why}, as it was before: {visible(wrong.message)}", *warnings)
                wrong = None
    if wrong is None:
        # First, since of many warnings the API server tells the first ones.
        return _allowed(found.uid, Admission.ALLOWED, (*found.widening, *warnings))
    # kubectl shows the causes and not the message, and of what has none only that it is invalid.
    causes = found.causes or ((_FIELDS[wrong.why], f"{wrong.why}: {visible(wrong.message)}"),)
    details = _details(found.name, KIND, causes)
    return _refused(found.uid, _OUTCOMES[wrong.why], f"{wrong.why}: {visible(wrong.message)}", details)


def _details(name: str, kind: str, causes: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {
        "name": name,
        "group": GROUP,
        "kind": kind,
        "causes": [
            {"reason": "FieldValueInvalid", "field": visible(field), "message": message} for field, message in causes
        ],
    }


def _unsettled(found: PolicyFinding, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the warning that nobody carries the endpoint's settings. Their policy may come next: no refusal."""
    endpoint = snapshot.endpoints.get((found.namespace, found.endpoint))
    carriers = () if endpoint is None else endpoint.carriers
    carried = found.carries or any(carrier.name != found.name for carrier in carriers)
    return () if carried else (unconfigured_message(found.endpoint),)


def _budgeted(found: PolicyFinding, ledger: Ledger) -> tuple[Refusal | None, tuple[str, ...]]:
    """Return whether a policy is over budget, and the warnings: one that is, and asks for no more, may be stored."""
    old = None if found.before is None else found.before.print
    excess = ledger.refused(found.namespace, found.name, found.print, old)
    if excess is not None:
        return over_budget(excess), found.warnings
    had = ledger.excess(found.namespace, found.name)
    if had is None or ledger.refused(found.namespace, found.name, found.print) is None:
        return None, found.warnings
    wrong = over_budget(had)
    return None, (f"{wrong.why}, as it was before: {visible(wrong.message)}", *found.warnings)


def _around(
    found: PolicyFinding, snapshot: Snapshot, issuers: Mapping[str, bool] | None, people: People, *, carries: bool
) -> Refusal | None:
    """Return what is wrong around a policy of these people, which carries its endpoint's settings or not."""
    endpoint = snapshot.endpoints.get((found.namespace, found.endpoint))
    others: set[str] = set()
    principals = set(people.principals)
    if endpoint is not None:
        others = {carrier.name for carrier in endpoint.carriers if carrier.name != found.name}
        settings = endpoint.settings
        # Of the policy itself the store has what is about to be replaced.
        if settings is not None and settings.delegation is not None and settings.carrier.name in others:
            principals |= issuers_of(settings.delegation.principals)
    around = PolicyContext(others, principals, issuers)
    return refusal(CompilationSummary((), people=people), found.endpoint, around, carries=carries)


def _allowed(uid: str, outcome: Admission, warnings: tuple[str, ...] = ()) -> ReviewResponse:
    told = {"warnings": list(warnings)} if warnings else {}
    return ReviewResponse(_review({"uid": uid, "allowed": True, **told}), outcome)


def _refused(uid: str, outcome: Admission, message: str, details: Mapping[str, Any] | None = None) -> ReviewResponse:
    status: dict[str, Any] = {"status": "Failure", "code": _UNPROCESSABLE, "reason": "Invalid", "message": message}
    if details is not None:
        status["details"] = details
    return ReviewResponse(_review({"uid": uid, "allowed": False, "status": status}), outcome)


def _review(response: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": f"admission.k8s.io/{REVIEW_VERSION}", "kind": "AdmissionReview", "response": response}
