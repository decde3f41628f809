"""The answer to a review: from the findings about the policy by itself, and from the other policies in the store.

Holds: pure. The messages are those of the operator's condition Accepted. Another policy causes a refusal only if the
stored spec did not have the same problem already, and a budget only if the policy asks for more than before. So no edit
is blocked by another policy. The store may be behind: a problem that it does not know yet is not refused here, and the
policy that comes into force denies.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_api.kinds import endpointdata
from bailiwick_api.kinds.meta import GROUP, VERSION
from bailiwick_api.manifests.admission import REVIEW_VERSION
from bailiwick_engine.approval.display import visible
from bailiwick_engine.budget.datasize import ledger_name
from bailiwick_engine.budget.ledger import BudgetLedger
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
    ledger: BudgetLedger,
    issuers: Mapping[str, bool] | None,
    now: float,
    unsigned: str = "",
) -> ReviewResponse:
    """Return the answer. `issuers` as in `PolicyContext`; `now` in seconds since the epoch.

    `unsigned`: why no signed review counts at present; "" where they do.
    """
    match finding:
        case NothingToReview():
            return _allow(finding.uid, Admission.UNCHANGED)
        case UnknownVersion():
            known = f"this decision point supports {GROUP}/{VERSION}, not {visible(finding.version)}"
            return _refuse(finding.uid, Admission.FOREIGN, f"UnknownVersion: {known}: upgrade the decision point first")
        case PolicyFinding():
            return _answer_policy(finding, snapshot, ledger, issuers, now, unsigned)
        case DataFinding():
            return _answer_data(finding, ledger)


def _answer_data(found: DataFinding, ledger: BudgetLedger) -> ReviewResponse:
    if found.cause is not None:
        causes, outcome = [found.cause], Admission.INVALID
        message = f"{found.why}: {found.cause[0]}: {found.cause[1]}"
    else:
        excess = ledger.refused(found.namespace, ledger_name(found.name), found.print, found.before)
        if excess is None:
            return _allow(found.uid, Admission.ALLOWED)
        problem = over_budget(excess)
        message, outcome = f"{problem.why}: {visible(problem.message)}", Admission.OVER_BUDGET
        causes = [("spec.data", message)]
    return _refuse(found.uid, outcome, visible(message), _details(found.name, endpointdata.KIND, causes))


def _answer_policy(
    found: PolicyFinding,
    snapshot: Snapshot,
    ledger: BudgetLedger,
    issuers: Mapping[str, bool] | None,
    now: float,
    unsigned: str,
) -> ReviewResponse:
    problem, warnings = found.refusal, found.warnings
    if problem is None:
        problem, warnings = _check_budget(found, ledger)
    if problem is None:
        warnings += (*_settings_warning(found, snapshot), *(warning for end, warning in found.expiries if end <= now))
        if found.people.sign and unsigned:
            warnings += (f"a step asks for a signature, but no signed review counts at present: {visible(unsigned)}",)
        problem = _context_refusal(found, snapshot, issuers, found.people, carries=found.carries)
        before = found.before
        if problem is not None and before is not None:
            previous = _context_refusal(found, snapshot, issuers, before.people, carries=before.carries)
            if problem == previous:
                warnings = (f"{problem.why}, as it was before: {visible(problem.message)}", *warnings)
                problem = None
    if problem is None:
        # Widening first: of many warnings the API server shows only the first ones.
        return _allow(found.uid, Admission.ALLOWED, (*found.widening, *warnings))
    # kubectl shows the causes and not the message; without causes, it shows only that the object is invalid.
    causes = found.causes or ((_FIELDS[problem.why], f"{problem.why}: {visible(problem.message)}"),)
    details = _details(found.name, KIND, causes)
    return _refuse(found.uid, _OUTCOMES[problem.why], f"{problem.why}: {visible(problem.message)}", details)


def _details(name: str, kind: str, causes: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {
        "name": name,
        "group": GROUP,
        "kind": kind,
        "causes": [
            {"reason": "FieldValueInvalid", "field": visible(field), "message": message} for field, message in causes
        ],
    }


def _settings_warning(found: PolicyFinding, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the warning that no policy carries the endpoint's settings. One may follow, so this is no refusal."""
    endpoint = snapshot.endpoints.get((found.namespace, found.endpoint))
    carriers = () if endpoint is None else endpoint.carriers
    carried = found.carries or any(carrier.name != found.name for carrier in carriers)
    return () if carried else (unconfigured_message(found.endpoint),)


def _check_budget(found: PolicyFinding, ledger: BudgetLedger) -> tuple[Refusal | None, tuple[str, ...]]:
    """Return whether a policy is refused as over budget, and the warnings.

    A policy that is over budget but asks for no more than before may be stored.
    """
    old = None if found.before is None else found.before.print
    excess = ledger.refused(found.namespace, found.name, found.print, old)
    if excess is not None:
        return over_budget(excess), found.warnings
    previous = ledger.excess(found.namespace, found.name)
    if previous is None or ledger.refused(found.namespace, found.name, found.print) is None:
        return None, found.warnings
    problem = over_budget(previous)
    return None, (f"{problem.why}, as it was before: {visible(problem.message)}", *found.warnings)


def _context_refusal(
    found: PolicyFinding, snapshot: Snapshot, issuers: Mapping[str, bool] | None, people: People, *, carries: bool
) -> Refusal | None:
    """Return the problem of a policy with its context: the endpoint's other policies, its people, the issuers.

    `carries`: the policy has its endpoint's settings.
    """
    endpoint = snapshot.endpoints.get((found.namespace, found.endpoint))
    others: set[str] = set()
    principals = set(people.principals)
    if endpoint is not None:
        others = {carrier.name for carrier in endpoint.carriers if carrier.name != found.name}
        settings = endpoint.settings
        # The store has the version of this policy that is about to be replaced, so leave that out.
        if settings is not None and settings.delegation is not None and settings.carrier.name in others:
            principals |= issuers_of(settings.delegation.principals)
    context = PolicyContext(others, principals, issuers)
    return refusal(CompilationSummary((), people=people), found.endpoint, context, carries=carries)


def _allow(uid: str, outcome: Admission, warnings: tuple[str, ...] = ()) -> ReviewResponse:
    shown = {"warnings": list(warnings)} if warnings else {}
    return ReviewResponse(_review({"uid": uid, "allowed": True, **shown}), outcome)


def _refuse(uid: str, outcome: Admission, message: str, details: Mapping[str, Any] | None = None) -> ReviewResponse:
    status: dict[str, Any] = {"status": "Failure", "code": _UNPROCESSABLE, "reason": "Invalid", "message": message}
    if details is not None:
        status["details"] = details
    return ReviewResponse(_review({"uid": uid, "allowed": False, "status": status}), outcome)


def _review(response: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": f"admission.k8s.io/{REVIEW_VERSION}", "kind": "AdmissionReview", "response": response}
