"""One case or more for every validation rule of subject revocations; `transitions` says what a case is."""

from typing import Any, Final

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_api.kinds.subjectrevocation import KIND
from support.objects import Object, changed
from support.schemas.transitions import Case

EARLY, MOMENT, LATER = "2026-11-30T15:59:59Z", "2026-11-30T16:00:00Z", "2026-11-30T16:00:01Z"
SIGNAL: Final = {"kind": "Signal", "event": "session-revoked", "jti": "24c63f", "set": f"sha256:{64 * 'a'}"}
PERSON: Final = {"kind": "Person", "by": "olivia", "reason": "laptop stolen"}
STORED: Final[Object] = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"name": "r-fits"},
    "spec": {
        "issuer": "corp",
        "match": {"sub": "99beb27c", "sid": "dMTlD"},
        "issuedBefore": MOMENT,
        "hold": False,
        "asOf": MOMENT,
        "until": MOMENT,
        "cause": SIGNAL,
    },
}


def with_spec(**spec: Any) -> Object:  # noqa: ANN401 - fields of a spec
    return {**STORED, "spec": {**STORED["spec"], **spec}}


ON_HOLD: Final = with_spec(hold=True)
BY_PERSON: Final = with_spec(cause=PERSON)
REVOCATION_CASES: Final = (
    Case("a name of another shape", cel.REVOCATION_NAME, "<nil>", changed(STORED, "metadata.name", "mine"), STORED),
    Case(
        "a person without a reason",
        cel.CAUSE_IS_COMPLETE,
        "spec.cause",
        with_spec(cause={"kind": "Person", "by": "olivia"}),
        BY_PERSON,
    ),
    Case(
        "a person who is not named",
        cel.CAUSE_IS_COMPLETE,
        "spec.cause",
        with_spec(cause={"kind": "Person", "reason": "laptop stolen"}),
        BY_PERSON,
    ),
    *(
        Case(
            f"a person's that lasts {what}",
            cel.PERSON_WITHIN_A_YEAR,
            "spec",
            with_spec(cause=PERSON, until=until),
            with_spec(cause=PERSON, until="2027-12-01T16:00:00Z"),
        )
        for what, until in (
            ("a second more than 366 days", "2027-12-01T16:00:01Z"),
            ("for good", "2999-01-01T00:00:00Z"),
        )
    ),
    Case("a signal of no event", cel.CAUSE_IS_COMPLETE, "spec.cause", with_spec(cause={"kind": "Signal"}), STORED),
    *(
        Case(
            f"{field} that becomes {value}",
            cel.REVOKED_SUBJECT_IMMUTABLE,
            "spec",
            with_spec(**{field: value}),
            with_spec(until=LATER),
            stored=STORED,
        )
        for field, value in (
            ("issuer", "partner"),
            ("match", {"sub": "99beb27c"}),
            ("match", {**STORED["spec"]["match"], "email": "c@example.com"}),
        )
    ),
    *(
        Case(
            f"{field} that goes back",
            cel.REVOKED_TIMES_NEVER_BACK,
            "spec",
            with_spec(**{field: EARLY}),
            with_spec(**{field: LATER}),
            stored=STORED,
        )
        for field in ("issuedBefore", "asOf", "until")
    ),
    Case(
        "a hold that is lifted by the same event",
        cel.HOLD_CHANGES_LATER,
        "spec",
        with_spec(hold=False),
        with_spec(hold=False, asOf=LATER),
        stored=ON_HOLD,
    ),
    Case(
        "a hold that begins by the same event",
        cel.HOLD_CHANGES_LATER,
        "spec",
        with_spec(hold=True),
        with_spec(hold=True, asOf=LATER),
        stored=STORED,
    ),
    Case(
        "the cause of a signal that changes by the same event",
        cel.CAUSE_CHANGES_LATER,
        "spec",
        with_spec(cause={**SIGNAL, "jti": "other"}),
        with_spec(cause={**SIGNAL, "jti": "other"}, asOf=LATER),
        stored=STORED,
    ),
    Case(
        "the cause of a person that changes",
        cel.CAUSE_CHANGES_LATER,
        "spec",
        with_spec(cause={**PERSON, "by": "other"}, asOf=LATER),
        with_spec(cause=PERSON, asOf=LATER),
        stored=BY_PERSON,
    ),
    Case(
        "a signal that takes the place of a person's",
        cel.CAUSE_CHANGES_LATER,
        "spec",
        with_spec(cause=SIGNAL, asOf=LATER),
        with_spec(cause=PERSON, asOf=LATER),
        stored=BY_PERSON,
    ),
)
