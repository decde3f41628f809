"""AB-11: the operator's clock steps by ten minutes; nothing that is over comes back, and no window grows."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from support.objects import Object
from unit.operator.cases import NOW, PENDING_UNTIL, active, applied, grant, reconciled

STEPS = (timedelta(minutes=-10), timedelta(0), timedelta(minutes=10))


def status_of(body: Object) -> Object:
    found: Object = body.get("status") or {}
    return found


@pytest.mark.invariant(12)
@pytest.mark.parametrize("step", STEPS, ids=["behind", "right", "ahead"])
def test_a_window_that_is_stamped_by_a_clock_that_is_off_is_as_long_as_was_approved(step: timedelta) -> None:
    body = applied(grant("dave"), reconciled(grant("dave"), now=NOW + step))
    status = status_of(body)
    approved, until = (datetime.fromisoformat(status[name]) for name in ("approvedTime", "notAfterTime"))
    assert (status["phase"], approved, until - approved) == ("Active", NOW + step, timedelta(minutes=10))
    # Ahead by more than is borne: a decision point refuses it by the stamp (see test_consumer).
    assert approved < PENDING_UNTIL


@pytest.mark.invariant(12)
@pytest.mark.invariant(13)
@pytest.mark.parametrize(
    "steps", [*permutations(STEPS)], ids=lambda steps: "-".join(f"{s // timedelta(minutes=1)}" for s in steps)
)
@pytest.mark.parametrize(
    "body",
    [
        grant(),
        grant("dave"),
        grant("dave", decision="Deny"),
        grant("dave", status=active(counted=[{"reviewer": "dave"}])),
        grant("dave", status=active(counted=[{"reviewer": "dave"}]), revoked=True),
    ],
    ids=["pending", "approved", "denied", "active", "revoked"],
)
@pytest.mark.parametrize("when", [NOW, NOW + timedelta(minutes=9, seconds=1), PENDING_UNTIL + timedelta(seconds=1)])
def test_a_clock_that_steps_back_and_forth_ends_grants_and_revives_none(
    body: Object, when: datetime, steps: tuple[timedelta, ...]
) -> None:
    for step in steps:
        before = status_of(body)
        body = applied(body, reconciled(body, now=when + step))
        after = status_of(body)
        assert before.get("phase") not in TERMINAL_PHASES or after["phase"] == before["phase"]
        for stamped in ("approvedTime", "notAfterTime"):
            assert stamped not in before or after[stamped] == before[stamped]
        if after["phase"] == "Active":
            assert when + step < datetime.fromisoformat(after["notAfterTime"])
