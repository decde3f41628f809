"""A policy that nobody could be trusted to approve is not accepted: where people are not known to the API server.

Holds: the operator is told of issuers by the same file as the decision point.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, gated_rule, policy, settings
from unit.operator.cases import condition

pytestmark = pytest.mark.long

ISSUERS: Final = """\
issuers:
- {name: corp, issuer: "https://corp.example", claims: {kubernetesUsername: "oidc:{sub}"}}
- {name: partners, issuer: "https://partners.example", claims: {groups: groups}}
"""
STEPS: Final = {"human": {"name": "owner", "kind": "Human"}, "system": {"name": "incident", "kind": "System"}}


@pytest.fixture(scope="module")
def operator(new_operator: NewOperator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One that knows two issuers, of which one tells the API server's names of its people."""
    file: Path = tmp_path_factory.mktemp("issuers") / "issuers.yaml"
    file.write_text(ISSUERS)
    with new_operator("--issuers", str(file)) as operator:
        yield operator


def told(admin: Rest, namespace: str, issuer: str, step: str) -> Object:
    """Write a policy whose people of this issuer need an approval, and return what it is told."""
    people = [{"name": "agent", "group": {"issuer": issuer, "name": "support"}}]
    identity = {"issuers": [issuer]}
    gate = gated_rule("export", approval={"steps": [STEPS[step]]})
    body = policy(
        namespace, subjects=people, rules=[gate], endpointSettings={**settings(namespace), "identity": identity}
    )
    accepted(admin.create(body))
    found = admin.wait(body, lambda answer: "conditions" in answer.body.get("status", {}), 15).body
    return condition(found["status"], "Accepted")


@pytest.mark.invariant(1, 23)
@pytest.mark.parametrize(
    ("issuer", "why"), [("partners", "has no claims.kubernetesUsername"), ("unheard", "is not configured")]
)
def test_people_of_whom_nobody_could_tell_that_they_approve_themselves_are_not_accepted(
    operator: Operator, callers: Callers, namespace: str, issuer: str, why: str
) -> None:
    accepted_ = told(callers.admin, namespace, issuer, "human")
    assert (accepted_["status"], accepted_["reason"]) == ("False", "UnmappedIssuer")
    assert f"issuer {issuer}, which {why}" in accepted_["message"]


@pytest.mark.parametrize(("issuer", "step"), [("corp", "human"), ("partners", "system")])
def test_people_who_are_known_and_steps_of_no_people_are_accepted(
    operator: Operator, callers: Callers, namespace: str, issuer: str, step: str
) -> None:
    assert told(callers.admin, namespace, issuer, step)["status"] == "True"
