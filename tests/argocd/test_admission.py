"""Policies by Argo CD where the decision point reviews them first: what it refuses, and what shows when it is down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from argocd.team import Team
from demo.stack import DecisionPoint
from localcluster import process
from support.admission.registration import registered, registration
from support.certificates import self_signed
from support.installation import accepted
from support.objects import POLICY, rule
from support.pdp.processes import Bailiwick
from support.waits import until

BROKEN: Final = [rule("read", conditions=[{"name": "office", "expression": "resource.type = 'customer'"}])]
AT: Final = "spec.rules[0].conditions[0].expression:1:15"
DOWN: Final = 'failed calling webhook "endpointpolicies.bailiwick.dev"'


@pytest.fixture
def reviewer(bailiwick: Bailiwick, team: Team, tmp_path: Path) -> Iterator[DecisionPoint]:
    """The decision point that reviews the policies of this team, and of nobody else."""
    certificate, key = self_signed(tmp_path)
    point = bailiwick.start_point(f"--tls-cert-file={certificate}", f"--tls-key-file={key}")
    raw = registration(point.admission_port, certificate, team.tenant.namespace)
    with registered(bailiwick.callers.admin, raw, team.tenant.namespace):
        yield point
    process.stop([point.process.id])


def test_what_does_not_compile_is_refused_in_the_words_of_the_compiler(team: Team, reviewer: DecisionPoint) -> None:
    before = team.live()["spec"]
    team.write(team.policy(rules=BROKEN))
    team.app.await_refused(f"{AT}: syntax error: '=' has no meaning here")
    assert team.live()["spec"] == before
    assert team.tenant.ask("customers.list").decision is True
    team.write(team.policy(rules=[rule("read", actions=["customers.get"])]))
    team.app.await_settled()


def test_its_outage_shows_holds_up_policies_and_nothing_else(team: Team, reviewer: DecisionPoint) -> None:
    name = team.tenant.approved("customers.notify", "9")
    process.stop([reviewer.process.id])
    team.write(team.policy(rules=[rule("read", actions=["customers.get"])]))
    team.app.await_refused(DOWN)
    # A revocation is no policy, and goes through.
    team.tenant.revoke(name)
    until(lambda: team.tenant.ask("customers.notify", "9").decision is not True, "the revocation is felt")
    assert team.tenant.ask("customers.list").decision is True
    assert accepted(team.admin.get(team.path(POLICY)))["spec"]["rules"] != [rule("read", actions=["customers.get"])]
