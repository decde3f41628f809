"""Cases of revocation (the guard `review` again), of status and of deletion."""

from collections.abc import Callable
from typing import Any, Final

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.manifests.guards import (
    DELETE,
    JUDGED_FOR_GOOD,
    NO_SCALE,
    ONLY_ENDED_DELETED,
    REVIEW,
    SET_ONCE,
    STATUS,
    USES_ARE_THE_PDPS,
    USES_RECORDED,
)
from support.guards.case import INVALID, Case
from support.guards.ground import (
    BOTH_POLICIES,
    OPERATOR,
    OTHER_POLICY,
    PDP,
    ROBOT,
    Ask,
    Ground,
    one_use,
    resolution,
    two_uses,
)
from support.guards.open_cases import undivided
from support.objects import AGENT, ENDPOINT, POLICY, Object, active_status, later, rule_reference

_AUTHOR = "revocation.by must be you"
_MAY = "you must be the requester, or need the verb revoke or approve on an endpointpolicy of the grant"
_FOR = "the decision point, and no one else, sets revocation.for: it names the account for which it withdraws"
_WITHDRAW = "the decision point can withdraw only a pending grant that it opened, for the grant's requester or subject"
_BAILIWICK = "only Bailiwick can write the status"
_ONE_USE = "the decision point can only add exactly one use"
_ACTIVE = "only an active grant can be used"
_EVIDENCE = "a grant is evidence: revoke it instead"

_ENFORCER: Final = f"system:serviceaccount:crm:{ENDPOINT}"
_APPROVED: Final = active_status()
_USED: Final = one_use()


def revoking(who: str, stored: dict[str, Any] | None = None, *, for_: str = "") -> Callable[[Ground], Ask]:
    """Return the revocation of a grant that eve wrote by hand."""
    return lambda ground: ground.revoke(ground.stored(**(stored or {})), who, for_=for_)


def withdrawing(for_: str, phase: str = "Pending") -> Callable[[Ground], Ask]:
    """Return the withdrawal by the decision point of a grant that it opened."""
    return lambda ground: ground.revoke(ground.in_phase(phase, ground.opened()), PDP, for_=for_)


def four_rules(place: int | None = None) -> dict[str, Any]:
    """Return four rules of which one, at this place, is of the policy that grace may revoke on."""
    return {"rules": [rule_reference(OTHER_POLICY if n == place else POLICY, f"rule-{n}") for n in range(4)]}


def writing(who: str, stands: str | None = None, **status: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401
    """Return a write of the status of a grant with two uses to give, that stands in a phase (None: not yet judged)."""

    def ask(ground: Ground) -> Ask:
        stored = ground.opened(maxUses=2)
        return Ask(who, "status", stored if stands is None else ground.in_phase(stands, stored), status)

    return ask


def using(**more: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401 - any field
    """Return a use of an active grant with something more in the same write; `...` takes a field out."""

    def ask(ground: Ground) -> Ask:
        counted = [{"reviewer": "dave"}]
        stored = ground.in_phase("Active", ground.opened(maxUses=2), observedGeneration=1, counted=counted)
        status = {**stored["status"], **_USED, **more}
        return Ask(PDP, "put-status", stored, {key: value for key, value in status.items() if value is not ...})

    return ask


def after_one_use(who: str, **status: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401 - any field
    """Return a write of the status of a grant of which one use is made."""

    def ask(ground: Ground) -> Ask:
        stored = ground.done(Ask(PDP, "status", ground.active(), _USED))
        return Ask(who, "put-status", stored, {**stored["status"], **status})

    return ask


def _replaced() -> Object:
    """Return a status fragment with a second use that took the place of the first, twice."""
    record = two_uses()["useRecords"][1]
    return two_uses(useRecords=[record, {**record, "key": "third"}])


def overusing(uses: int) -> Callable[[Ground], Ask]:
    """Return the second use of a grant for so many."""

    def ask(ground: Ground) -> Ask:
        stored = ground.done(Ask(PDP, "status", ground.active(maxUses=uses), _USED))
        records = [*stored["status"]["useRecords"], two_uses()["useRecords"][1]]
        return Ask(PDP, "put-status", stored, {**stored["status"], "uses": 2, "useRecords": records})

    return ask


def rewriting(change: Object, stands: str, **status: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401 - any field
    """Return a change by the operator of the status of a grant in a phase; None takes a field out."""
    return lambda ground: Ask(OPERATOR, "status", ground.in_phase(stands, ground.opened(), **status), change)


def resolving(ground: Ground, change: Object) -> Ask:
    """Return another resolution of a grant by hand that the operator has resolved."""
    stored = ground.stored()
    return Ask(OPERATOR, "status", stored, {"resolved": {**resolution(stored), **change}})


def using_revoked(ground: Ground) -> Ask:
    stored = ground.revoked(ground.active(), "dave")
    return Ask(PDP, "status", stored, one_use())


def deleting(who: str, phase: str | None = None) -> Callable[[Ground], Ask]:
    """Return the deletion of a grant in a phase (None: not yet judged)."""

    def ask(ground: Ground) -> Ask:
        stored = ground.opened()
        return Ask(who, "delete", stored if phase is None else ground.in_phase(phase, stored))

    return ask


REVOCATIONS: Final = (
    Case(
        REVIEW,
        _AUTHOR,
        "revoked in another's name",
        lambda g: g.revoke(g.stored(), "carol", writer="dave"),
        revoking("dave"),
        says=f"{_AUTHOR}: dave",
    ),
    Case(
        REVIEW,
        _AUTHOR,
        "withdrawn by the decision point in a person's name",
        lambda g: g.revoke(g.opened(), "carol", writer=PDP, for_=AGENT),
        withdrawing(AGENT),
        says=f"{_AUTHOR}: system:serviceaccount:bailiwick-system:bailiwick-webhook",
    ),
    Case(REVIEW, _MAY, "revoked without any verb", revoking("mallory"), revoking("carol")),
    Case(REVIEW, _MAY, "revoked by the operator", revoking(OPERATOR), revoking("eve")),
    Case(
        REVIEW,
        _MAY,
        "revoked with the verb revoke on another policy",
        revoking("grace"),
        revoking("grace", BOTH_POLICIES),
    ),
    Case(
        REVIEW,
        _MAY,
        "revoked with the verb request alone, by another than the requester",
        lambda g: g.revoke(g.opened(), "eve"),
        lambda g: g.revoke(g.opened(requester="eve"), "eve"),
    ),
    *(
        Case(
            REVIEW,
            _MAY,
            f"revoked with the verb on none of four policies, where number {place + 1} would do",
            revoking("grace", four_rules()),
            revoking("grace", four_rules(place)),
        )
        for place in range(4)
    ),
    Case(REVIEW, _FOR, "revoked by a person at another's word", revoking("carol", for_="eve"), revoking("carol")),
    Case(
        REVIEW,
        _FOR,
        "withdrawn by the decision point at nobody's word",
        withdrawing(""),
        withdrawing(AGENT),
        then=_WITHDRAW,
    ),
    Case(REVIEW, _WITHDRAW, "withdrawn at a stranger's word", withdrawing("mallory"), withdrawing(_ENFORCER)),
    *(
        Case(REVIEW, _WITHDRAW, f"withdrawn in phase {phase}", withdrawing(AGENT, phase), withdrawing(AGENT))
        for phase in ("Active", *sorted(TERMINAL_PHASES))
    ),
    Case(
        REVIEW,
        _WITHDRAW,
        "withdrawn by the decision point, though written by hand",
        lambda g: g.revoke(g.stored(), PDP, for_="eve"),
        lambda g: g.revoke(g.opened(requester="eve"), PDP, for_="eve"),
    ),
)

STATUSES: Final = (
    *(
        Case(STATUS, _BAILIWICK, f"written by {who}", writing(who, **_APPROVED), writing(OPERATOR, **_APPROVED))
        for who in ("carol", "admin", ROBOT)
    ),
    Case(STATUS, _BAILIWICK, "a use by a person", writing("carol", "Active", **_USED), writing(PDP, "Active", **_USED)),
    Case(
        STATUS,
        USES_ARE_THE_PDPS,
        "a use by the operator",
        writing(OPERATOR, "Active", **_USED),
        writing(OPERATOR, "Active", counted=[{"reviewer": "dave"}]),
    ),
    Case(
        STATUS,
        USES_ARE_THE_PDPS,
        "a use by the operator without the record that the schema asks for",
        writing(OPERATOR, "Active", uses=1),
        writing(OPERATOR, "Active", uses=0),
        unruled=True,
        then=USES_RECORDED,
    ),
    Case(
        STATUS,
        USES_ARE_THE_PDPS,
        "a use taken back by the operator",
        after_one_use(OPERATOR, uses=0, useRecords=[]),
        after_one_use(OPERATOR, phase="Revoked"),
        unruled=True,
        then=USES_RECORDED,
    ),
    Case(
        STATUS,
        USES_ARE_THE_PDPS,
        "a use record changed by the operator",
        after_one_use(OPERATOR, useRecords=[{**_USED["useRecords"][0], "evaluationID": "another"}]),
        after_one_use(OPERATOR, uses=1),
        unruled=True,
        then=USES_RECORDED,
    ),
    *(
        Case(STATUS, _ONE_USE, title, ask, using())
        for title, ask in (
            ("two uses in one write", using(**two_uses())),
            ("no use", using(uses=..., useRecords=..., observedGeneration=2)),
            ("a use and another phase", using(phase="Revoked")),
            ("a use and a counted review", using(counted=[{"reviewer": "dave"}, {"reviewer": "erin"}])),
            ("a use and a void review", using(voided=[{"reviewer": "erin"}])),
            ("a use and a condition", using(conditions=[])),
            ("a use and a later generation", using(observedGeneration=2)),
            ("a use and a generation gone", using(observedGeneration=...)),
        )
    ),
    *(
        Case(STATUS, _ONE_USE, title, ask, using(), unruled=True, then=then)
        for title, ask, then in (
            ("a use and a longer window", using(notAfterTime="2999-01-01T00:00:00Z"), SET_ONCE),
            ("a use and a counted review gone", using(counted=...), JUDGED_FOR_GOOD),
            ("a use taken back", after_one_use(PDP, uses=0, useRecords=[]), USES_RECORDED),
        )
    ),
    Case(STATUS, _ACTIVE, "used before it is judged", writing(PDP, None, **_USED), writing(PDP, "Active", **_USED)),
    *(
        Case(STATUS, _ACTIVE, f"used in phase {phase}", writing(PDP, phase, **_USED), writing(PDP, "Active", **_USED))
        for phase in ("Pending", *sorted(TERMINAL_PHASES))
    ),
    Case(STATUS, _ACTIVE, "used though revoked", using_revoked, writing(PDP, "Active", **_USED)),
    Case(
        STATUS,
        NO_SCALE,
        "given more uses by its scale by the operator",
        lambda g: undivided(Ask(OPERATOR, "scale", g.active(), {"spec": {"replicas": 9}})),
        writing(OPERATOR, **_APPROVED),
        unruled=True,
    ),
    *(
        Case(
            STATUS,
            cel.PHASE_FINAL.message,
            f"from {ended} to {phase or 'no phase'}",
            rewriting({"phase": phase}, ended),
            rewriting({"observedGeneration": 7}, ended),
            status=INVALID,
            unruled=True,
        )
        for ended in sorted(TERMINAL_PHASES)
        for phase in ("Active", "Pending", None)
    ),
    *(
        Case(
            STATUS,
            SET_ONCE,
            title,
            rewriting(status, "Active"),
            rewriting({"phase": "Revoked"}, "Active"),
            status=INVALID,
            unruled=True,
        )
        for title, status in (
            ("approved at another time", {"approvedTime": later(seconds=-9)}),
            ("approved for longer", {"notAfterTime": later(hours=9)}),
            ("approved for ever", {"notAfterTime": None}),
            ("approved at no time", {"approvedTime": None}),
        )
    ),
    Case(
        STATUS,
        SET_ONCE,
        "resolved to another subject",
        lambda g: resolving(g, {"subjectUID": "another-uid"}),
        lambda g: resolving(g, {}),
        status=INVALID,
        unruled=True,
    ),
    *(
        Case(
            STATUS,
            JUDGED_FOR_GOOD,
            title,
            rewriting(status, "Pending", counted=[{"reviewer": "dave"}], voided=[{"reviewer": "erin"}]),
            rewriting(
                {"counted": [{"reviewer": "dave"}, {"reviewer": "carol"}]},
                "Pending",
                counted=[{"reviewer": "dave"}],
                voided=[{"reviewer": "erin"}],
            ),
            status=INVALID,
            unruled=True,
        )
        for title, status in (
            ("a counted review gone", {"counted": None}),
            ("a void review gone", {"voided": []}),
            ("a void review counted", {"counted": [{"reviewer": "dave"}, {"reviewer": "erin"}]}),
            ("a counted review void", {"voided": [{"reviewer": "erin"}, {"reviewer": "dave"}]}),
            (
                "a void review counted instead",
                {"voided": None, "counted": [{"reviewer": "dave"}, {"reviewer": "erin"}]},
            ),
        )
    ),
    *(
        Case(STATUS, USES_RECORDED, title, ask, accepted, status=INVALID, unruled=True)
        for title, ask, accepted in (
            ("a use without a record", using(useRecords=[]), using()),
            ("a use with two records", using(useRecords=two_uses()["useRecords"]), using()),
            (
                "a use in place of the record of another",
                after_one_use(PDP, **_replaced()),
                after_one_use(PDP, **two_uses()),
            ),
            ("one use more than was asked for", overusing(1), overusing(2)),
        )
    ),
)

DELETIONS: Final = (
    *(
        Case(DELETE, _EVIDENCE, f"deleted by {who}", deleting(who, "Expired"), deleting(OPERATOR, "Expired"))
        for who in ("eve", "admin", ROBOT, PDP)
    ),
    Case(DELETE, ONLY_ENDED_DELETED, "deleted before it is judged", deleting(OPERATOR), deleting(OPERATOR, "Denied")),
    *(
        Case(
            DELETE,
            ONLY_ENDED_DELETED,
            f"deleted in phase {live} instead of {ended}",
            deleting(OPERATOR, live),
            deleting(OPERATOR, ended),
        )
        for live, ended in zip(("Pending", "Active") * 3, sorted(TERMINAL_PHASES), strict=True)
    ),
)
