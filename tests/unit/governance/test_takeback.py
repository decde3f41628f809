"""Whom a person takes back, as they type it, and the times of the object."""

from datetime import datetime
from typing import Any

import pytest

from bailiwick_api.kinds.subjectrevocation import SubjectRevocation
from bailiwick_api.serverclock import ServerClock
from bailiwick_governance.errors import UserError
from bailiwick_governance.takeback import parse_subject, revocation_object

AGENT = "system:serviceaccount:agents:crm-agent"


def clock(*, ours: float = 1_000.0, theirs: float | None = 1_000.0) -> ServerClock:
    """Return a clock of ours beside the API server's, both as of now."""
    found = ServerClock(lambda: ours, lambda: 50.0)
    found.record_answer(theirs, 50.0)
    return found


def written(subject: str = "sa:agents/crm-agent", by: ServerClock | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    given = {"hold": False, "seconds": 60.0, **more}
    return revocation_object(parse_subject(subject), by="olivia", reason="leaked", clock=by or clock(), **given)


def seconds(made: dict[str, Any], name: str) -> float:
    return datetime.fromisoformat(made["spec"][name]).timestamp()


@pytest.mark.parametrize(
    ("typed", "issuer", "match"),
    [
        ("sa:agents/crm-agent", "cluster", {"sub": AGENT}),
        (AGENT, "cluster", {"sub": AGENT}),
        ("corp:99beb27c", "corp", {"sub": "99beb27c"}),
        ("corp:a:b/c@d", "corp", {"sub": "a:b/c@d"}),
        ("user:oidc:carol", "cluster", {"username": "oidc:carol"}),
    ],
)
def test_a_subject_is_one_of_three_forms(typed: str, issuer: str, match: dict[str, str]) -> None:
    spec = written(typed)["spec"]
    assert (spec["issuer"], spec["match"]) == (issuer, match)


@pytest.mark.parametrize(
    "typed",
    ["", "carol", "sa:crm-agent", "sa:", "corp:", ":carol", "Corp:x", "user:", "cluster:x", f"corp:{'x' * 600}"],
)
def test_what_is_none_of_them_is_refused(typed: str) -> None:
    with pytest.raises(UserError):
        parse_subject(typed)


def test_the_object_is_one_that_the_schema_takes() -> None:
    made = written(hold=True)
    SubjectRevocation.model_validate({"spec": made["spec"]})
    assert made["spec"]["cause"] == {"kind": "Person", "by": "olivia", "reason": "leaked"}
    assert made["spec"]["hold"] is True


@pytest.mark.parametrize("ours", [1_000.0, 400.0, 2_000.0], ids=["agree", "ours behind", "ours ahead"])
def test_a_token_of_this_very_moment_is_from_before_by_the_api_servers_clock(ours: float) -> None:
    made = written(by=clock(ours=ours))
    # Its Date is rounded down, as iat is.
    assert 1_001.0 <= seconds(made, "issuedBefore") <= 1_003.0
    assert seconds(made, "until") == seconds(made, "asOf") + 60


def test_another_issuers_clock_may_be_ahead() -> None:
    assert seconds(written("corp:x"), "issuedBefore") - seconds(written("corp:x"), "asOf") == 31
    assert seconds(written("user:x"), "issuedBefore") - seconds(written("user:x"), "asOf") == 31


def test_each_making_is_an_object_of_its_own() -> None:
    first, second = written(), written(by=clock(theirs=1_010.0))
    assert first["metadata"]["name"] != second["metadata"]["name"]
