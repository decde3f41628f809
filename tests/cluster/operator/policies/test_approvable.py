"""Policies whose approvals nobody could give, or give soundly, say so under a real operator."""

from collections.abc import Sequence
from typing import Final

import pytest

from cluster.operator.operatorprocess import Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, gated_rule, policy, settings, subject
from unit.operator.cases import condition

pytestmark = pytest.mark.long

CAROL: Final = {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}
ERIN: Final = {"name": "erin", "user": {"issuer": "helpdesk", "name": "erin"}}
EVERYBODY: Final = [subject(), CAROL, ERIN]
CEILING: Final = [{"actions": ["customers.export"], "resources": [{"type": "customer", "ids": ["*"]}]}]
ISSUERS: Final = """
issuers:
- {name: corp, issuer: https://corp.example, claims: {kubernetesUsername: "oidc:{sub}"}}
- {name: helpdesk, issuer: https://helpdesk.example}
"""


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    path = tmp_path_factory.mktemp("issuers") / "issuers.yaml"
    path.write_text(ISSUERS)
    return ("--proof-interval", "3", "--issuers", str(path))


def accepted_by_us(admin: Rest, body: Object, reason: str) -> Object:
    """Wait until the policy's condition Accepted has this reason; return that condition."""

    def found(status: Object) -> Object:
        return condition(status or {"conditions": []}, "Accepted")

    answer = admin.wait(body, lambda answer: found(answer.body.get("status") or {}).get("reason") == reason, 10)
    return found(answer.body["status"])


@pytest.mark.invariant(1)
def test_people_whom_nobody_knows_as_reviewers_are_not_gated_by_people(
    operator: Operator, callers: Callers, namespace: str
) -> None:
    admin = callers.admin
    known = policy(
        namespace, "known", endpointSettings=settings(), subjects=EVERYBODY, rules=[gated_rule(subjects=["carol"])]
    )
    unknown = policy(namespace, "unknown", subjects=EVERYBODY, rules=[gated_rule(subjects=["carol", "erin"])])
    for body in (known, unknown):
        accepted(admin.create(body))
    assert accepted_by_us(admin, known, "Compiled")["status"] == "True"
    assert "issuer helpdesk" in accepted_by_us(admin, unknown, "UnmappedIssuer")["message"]
    mended = {"spec": {"rules": [gated_rule(subjects=["carol"])]}}
    accepted(admin.patch(unknown, mended))
    accepted_by_us(admin, unknown, "Compiled")
    # Who may be acted for is said by the settings of the endpoint, and concerns its other policies too.
    acted_for = {**settings(), "delegation": {"maxDepth": 1, "principals": ["erin"], "ceiling": CEILING}}
    accepted(admin.patch(known, {"spec": {"endpointSettings": acted_for}}))
    for body in (known, unknown):
        assert "a principal of its endpoint" in accepted_by_us(admin, body, "UnmappedIssuer")["message"]


@pytest.mark.invariant(23)
def test_a_step_that_nobody_can_fill_is_not_accepted(operator: Operator, callers: Callers, namespace: str) -> None:
    steps = [{"name": "robot", "kind": "System", "groups": ["crm-owners"]}]
    body = policy(namespace, endpointSettings=settings(), rules=[gated_rule(approval={"steps": steps})])
    accepted(callers.admin.create(body))
    found = accepted_by_us(callers.admin, body, "InvalidPolicy")
    assert found["message"].startswith("spec.rules[0].approval.steps[0].groups: no service account is in crm-owners")
