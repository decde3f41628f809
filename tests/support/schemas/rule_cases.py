"""One case or more for every validation rule of policies and grants; `transitions` says what a case is."""

from collections.abc import Callable
from typing import Final

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from support.objects import (
    DIGEST,
    OTHER_DIGEST,
    POLICY,
    Object,
    active_status,
    changed,
    grant,
    later,
    opened_grant,
    rule_reference,
    step,
    use_record,
)
from support.schemas.policy_cases import NOWHERE, POLICY_CASES
from support.schemas.revocation_cases import REVOCATION_CASES
from support.schemas.transitions import Case

G: Final = grant(NOWHERE)
TIMES: Final = {"approvedTime": later(), "notAfterTime": later(minutes=10)}
ANOTHER_TIME: Final = later(minutes=99)


def with_request(of: Object = G, **fields: object) -> Object:
    request = {**of["spec"]["request"], **fields}
    return changed(of, "spec.request", {key: value for key, value in request.items() if value is not ...})


def with_status(**status: object) -> Object:
    return {**with_request(maxUses=2), "status": status}


def with_spec(**spec: object) -> Object:
    return changed(G, "spec", {**G["spec"], **spec})


def reviewed(*reviewers: str, **fields: str) -> Object:
    entry = {"step": f"{POLICY}.export.owner", "decision": "Approve", "binding": "none"}
    return with_spec(reviews=[{"reviewer": name, **entry, **fields} for name in reviewers])


def without(name: str) -> Object:
    """Return a second rule of a grant that lacks this."""
    return {key: value for key, value in rule_reference("hr-agent").items() if key != name}


RULE: Final = rule_reference()
OPENED: Final = opened_grant(NOWHERE)
FULL_REQUEST: Final = with_request(reason="INC-4412", intent="support")
GROUPED: Final = with_request(steps=[step(groups=["crm-owners"])])
CONSUMED: Final = with_status(phase="Consumed", **TIMES)
REVOKED: Final = with_spec(revocation={"by": "carol"})
USED: Final = with_status(uses=1, useRecords=[use_record("first")])
USED_TWICE: Final = with_status(uses=2, useRecords=[use_record("first"), use_record("second")])
JUDGED: Final = with_status(
    counted=[{"reviewer": "carol"}, {"reviewer": "dave"}], voided=[{"reviewer": "erin"}, {"reviewer": "eve"}]
)

RESOLVED: Final[Object] = {"subjectUID": "agent-uid", "rules": [RULE]}

JUDGEMENTS_CHANGED: Final[tuple[tuple[str, Callable[[list[Object]], object]], ...]] = (
    ("left out", lambda kept: kept[1:]),
    ("put in the place of another", lambda kept: [kept[0], {"reviewer": "grace"}]),
    ("left out with all others", lambda _: []),
    ("left out with the whole list", lambda _: ...),
)

CASES: Final = (
    *POLICY_CASES,
    *REVOCATION_CASES,
    # ApprovalGrant, its request
    *(
        Case(
            f"a grant of the decision point without {what}",
            cel.OPENED_NAMES_UIDS,
            "spec.request",
            refused=with_request(OPENED, **fields),
            accepted=with_request(**fields),
        )
        for what, fields in (
            ("the uid of its subject", {"subject": {"type": "serviceAccount", "id": "a"}}),
            ("the uid of a policy", {"rules": [RULE, without("uid")]}),
            ("the digest of a rule", {"rules": [RULE, without("ruleDigest")]}),
        )
    ),
    Case(
        "properties beside a digest",
        cel.PROPERTIES_OF_SCOPE,
        "spec.request",
        refused=with_request(OPENED, resource={"type": "customer", "id": "42", "properties": {"env": "prod"}}),
        accepted=with_request(resource={"type": "customer", "id": "42", "properties": {"env": "prod"}}),
    ),
    *(
        Case(
            f"a request {what}",
            cel.REQUEST_IMMUTABLE,
            "spec.request",
            stored=stored,
            refused=with_request(stored, **fields),
            accepted=changed(stored, "spec.revocation", {"by": "carol"}),
        )
        for what, stored, fields in (
            ("with another field changed", G, {"maxUses": 50}),
            ("with a reason that it did not have", G, {"reason": "INC-4412"}),
            ("with its intent taken away", FULL_REQUEST, {"intent": ...}),
            ("with another subject", G, {"subject": {"type": "serviceAccount", "id": "other"}}),
            ("with one group more", GROUPED, {"steps": [step(groups=["crm-owners", "support"])]}),
            ("with a step more", G, {"steps": [step(), step(name="export.second")]}),
            ("with its groups taken away", GROUPED, {"steps": [step()]}),
            ("of another digest", OPENED, {"binding": {"mode": "Exact", "digest": OTHER_DIGEST}}),
            ("that waits longer", G, {"pendingUntilTime": ANOTHER_TIME}),
        )
    ),
    *(
        Case(
            f"{origin} without display",
            cel.DISPLAY_NEEDED,
            "spec.request",
            refused=with_request(OPENED, origin=origin, display=...),
            accepted=with_request(OPENED, origin=origin),
        )
        for origin in ("Requested", "OnDeny")
    ),
    Case(
        "Exact without a digest",
        cel.EXACT_NEEDS_DIGEST,
        "spec.request",
        refused=with_request(binding={"mode": "Exact"}),
        accepted=with_request(binding={"mode": "Exact", "digest": DIGEST}),
    ),
    Case(
        "a step of a policy that no rule names",
        cel.STEP_POLICY_KNOWN,
        "spec.request",
        refused=with_request(steps=[step(), step("other-policy")]),
        accepted=with_request(steps=[step(), step(name="export.second")]),
    ),
    # ApprovalGrant, reviews and revocation
    *(
        Case(
            f"a review {what}",
            cel.REVIEWS_APPEND_ONLY,
            "spec",
            stored=stored,
            refused=wanted,
            accepted=reviewed("carol", "dave"),
        )
        for what, stored, wanted in (
            ("withdrawn", reviewed("carol"), with_spec(reviews=[])),
            ("withdrawn with the whole list", reviewed("carol"), changed(reviewed("carol"), "spec.reviews", ...)),
            ("turned to Deny", reviewed("carol"), reviewed("carol", decision="Deny")),
            ("with a reason that it did not have", reviewed("carol"), reviewed("carol", reason="now I know")),
            ("put in the place of another", reviewed("carol"), reviewed("dave")),
        )
    ),
    *(
        Case(
            f"a revocation {what}",
            cel.REVOCATION_FINAL,
            "spec",
            stored=stored,
            refused=wanted,
            accepted=changed(stored, "spec.reviews", reviewed("dave")["spec"]["reviews"]),
        )
        for what, stored, wanted in (
            ("taken back", REVOKED, G),
            ("by somebody else", REVOKED, with_spec(revocation={"by": "dave"})),
            ("with a reason that it did not have", REVOKED, with_spec(revocation={"by": "carol", "reason": "late"})),
            ("without the reason that it had", with_spec(revocation={"by": "carol", "reason": "leak"}), REVOKED),
        )
    ),
    # ApprovalGrant, status
    Case(
        "one use more than allowed",
        cel.USES_WITHIN_APPROVAL,
        "<nil>",
        part="status",
        stored=with_status(uses=2, useRecords=[use_record(key) for key in ("first", "second")]),
        refused=with_status(uses=3, useRecords=[use_record(key) for key in ("first", "second", "third")]),
        accepted=with_status(uses=2, useRecords=[use_record(key) for key in ("first", "second")], observedGeneration=1),
    ),
    Case(
        "a status taken away",
        cel.STATUS_STAYS,
        "<nil>",
        part="status",
        stored=with_status(phase="Pending"),
        refused=changed(with_status(phase="Pending"), "status", ...),
        accepted=with_status(phase="Denied"),
    ),
    *(
        Case(
            f"{phase} turned to {other or 'nothing'}",
            cel.PHASE_FINAL,
            "status",
            part="status",
            stored=with_status(phase=phase, **TIMES),
            refused=with_status(phase=other, **TIMES) if other else with_status(**TIMES),
            accepted=with_status(phase=phase, **TIMES, observedGeneration=2),
        )
        for phase, other in (
            *((phase, other) for phase in sorted(TERMINAL_PHASES) for other in ("Active", None)),
            ("Expired", "Pending"),
            ("Consumed", "Revoked"),
        )
    ),
    *(
        Case(
            f"Active without {missing}",
            cel.ACTIVE_HAS_TIMES,
            "status",
            part="status",
            stored=with_status(phase="Pending"),
            refused=changed(with_status(**active_status()), f"status.{missing}", ...),
            accepted=with_status(**active_status()),
        )
        for missing in ("approvedTime", "notAfterTime")
    ),
    *(
        Case(
            f"{name} {what}",
            rule_of_time,
            "status",
            part="status",
            stored=CONSUMED,
            refused=changed(CONSUMED, f"status.{name}", value),
            accepted=with_status(phase="Consumed", **TIMES, observedGeneration=2),
        )
        for name, rule_of_time in (
            ("approvedTime", cel.APPROVED_TIME_ONCE),
            ("notAfterTime", cel.NOT_AFTER_TIME_ONCE),
        )
        for what, value in (("moved", ANOTHER_TIME), ("taken away", ...))
    ),
    *(
        Case(
            f"a use record {what}",
            cel.USE_RECORDS_APPEND_ONLY,
            "status",
            part="status",
            stored=stored,
            refused=wanted,
            accepted=changed(stored, "status.observedGeneration", 2),
        )
        for what, stored, wanted in (
            ("put in the place of another", USED, with_status(uses=1, useRecords=[use_record("second")])),
            ("put in the place of the first", USED_TWICE, changed(USED_TWICE, "status.useRecords.0", use_record("x"))),
            ("with another evaluation", USED, changed(USED, "status.useRecords.0.evaluationID", "x")),
            ("taken back with its use", USED, with_status(uses=0, useRecords=[])),
            ("taken back with the whole list", USED, with_status(phase="Pending")),
        )
    ),
    *(
        Case(
            title,
            cel.USE_RECORD_PER_USE,
            "status",
            part="status",
            stored=with_status(phase="Pending"),
            refused=with_status(**wanted),
            accepted=with_status(uses=1, useRecords=[use_record()]),
        )
        for title, wanted in (
            ("a use without a record", {"uses": 1}),
            ("a record without a use", {"useRecords": [use_record()]}),
            ("two uses with one record", {"uses": 2, "useRecords": [use_record()]}),
        )
    ),
    *(
        Case(
            f"a {name} review {what}",
            rule_of_judgement,
            "status",
            part="status",
            stored=JUDGED,
            refused=changed(JUDGED, f"status.{name}", change(JUDGED["status"][name])),
            accepted=changed(JUDGED, f"status.{name}", [*JUDGED["status"][name], {"reviewer": "grace"}]),
        )
        for name, rule_of_judgement in (("counted", cel.COUNTED_FOR_GOOD), ("voided", cel.VOIDED_FOR_GOOD))
        for what, change in JUDGEMENTS_CHANGED

    ),
    *(
        Case(
            f"what was resolved {what}",
            cel.RESOLVED_ONCE,
            "status",
            part="status",
            stored=with_status(resolved=RESOLVED),
            refused=with_status(observedGeneration=2, **({} if resolved is None else {"resolved": resolved})),
            accepted=with_status(resolved=RESOLVED, observedGeneration=2),
        )
        for what, resolved in (("otherwise", {**RESOLVED, "subjectUID": "another"}), ("and left out", None))
    ),
    Case(
        "a review both counted and void",
        cel.COUNTED_OR_VOIDED,
        "status",
        part="status",
        stored=with_status(counted=[{"reviewer": "dave"}]),
        refused=with_status(counted=[{"reviewer": "dave"}], voided=[{"reviewer": "dave"}]),
        accepted=with_status(counted=[{"reviewer": "dave"}], voided=[{"reviewer": "erin"}]),
    ),
)  # fmt: skip
