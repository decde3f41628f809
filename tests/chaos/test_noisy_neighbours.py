"""Nobody delays anybody: an innocent tenant beside everything at once that other tenants, agents and strangers can do.

A few seconds of the soak, which `make soak` plays for ten minutes.
"""

from typing import Final

import pytest

from localcluster.machineload import stretch
from support.soak.run import Soak
from support.soak.stage import Stage

SECONDS: Final = 20.0


@pytest.mark.timeout(600)
def test_an_innocent_tenant_is_answered_and_never_wrongly_whatever_all_others_do() -> None:
    told: list[str] = []
    # The end of the stage judges the records and logs of all processes.
    with Stage.open() as stage:
        soak = Soak(stage, told.append)
        report = soak.play(SECONDS)
    print("\n".join(["", *told, *report.lines()]))  # noqa: T201 - figures for who asks for them
    # On a quiet machine it meets those of time as well; this one does all of that itself, and other things too.
    assert [goal for goal in report.goals if not goal.met and not goal.timely] == []
    assert soak.innocent.calls.quantile(0.9) < 2.0 * stretch()
    assert len(told) == 1
