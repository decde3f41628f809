"""What a person is told of how a grant stands: by its status, and by what time has made of it since."""

import pytest

from bailiwick_governance.grants.grantview import span
from unit.governance.cases import NOW, OWNERS, SECURITY, at, review, step, view

ACTIVE = {"phase": "Active", "approvedTime": at(-60), "notAfterTime": at(540)}
REVOKED = {"by": "carol"}


@pytest.mark.parametrize(
    ("status", "revocation", "later", "phase"),
    [
        (None, None, 0, "Pending"),
        ({"phase": "Pending"}, None, 3539, "Pending"),
        ({"phase": "Pending"}, None, 3540, "Expired"),
        (None, REVOKED, 0, "Withdrawn"),
        (ACTIVE, None, 0, "Active"),
        (ACTIVE, None, 539, "Active"),
        (ACTIVE, None, 540, "Lapsed"),
        (ACTIVE, REVOKED, 0, "Revoked"),
        ({**ACTIVE, "uses": 1}, None, 0, "Consumed"),
        ({"phase": "Denied"}, None, 9999, "Denied"),
        ({**ACTIVE, "phase": "Consumed"}, REVOKED, 9999, "Consumed"),
        ({"phase": "Unheard"}, None, 0, "Unheard"),
    ],
)
def test_a_phase_that_time_has_overtaken_reads_as_what_it_comes_to(
    status: dict[str, object] | None, revocation: dict[str, object] | None, later: float, phase: str
) -> None:
    assert view(status=status, revocation=revocation, now=NOW + later).phase == phase


def test_until_is_the_deadline_that_comes_next() -> None:
    assert view().until == at(3540)
    assert view(status=ACTIVE).until == at(540)
    assert view(status=ACTIVE, now=NOW + 540).until is None


def test_steps_count_approvals_that_are_not_void() -> None:
    grant = view(
        review("carol"),
        review("dave"),
        review("grace", SECURITY, "Deny"),
        steps=[step(count=2), step(SECURITY)],
        status={"phase": "Pending", "voided": [{"reviewer": "dave"}]},
    )
    assert [(one.name, one.approvals, one.met) for one in grant.steps] == [
        (OWNERS["name"], 1, False),
        (SECURITY["name"], 0, False),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (570, "9m30s"),
        (600, "10m"),
        (10_799, "179m"),
        (3 * 3600 + 300, "3h5m"),
        (7 * 3600, "7h"),
        (47 * 3600, "47h"),
        (2 * 86400, "2d"),
    ],
)
def test_a_span_is_written_as_kubectl_writes_ages(seconds: float, text: str) -> None:
    assert span(seconds) == text
