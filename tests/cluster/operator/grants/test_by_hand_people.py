"""Grants that are written by hand for people, whom the API server knows by another name than their issuer does.

Holds: nobody approves for themselves by their other name, and where nobody can tell that name the grant says so.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, adding_review, gated_rule, grant, policy, review, settings
from unit.operator.cases import condition

pytestmark = pytest.mark.long

ISSUERS: Final = """\
issuers:
- {name: corp, issuer: "https://corp.example", claims: {kubernetesUsername: "oidc:{sub}"}}
- {name: partners, issuer: "https://partners.example", claims: {name: sub, kubernetesUsername: "partner:{email}"}}
- {name: strangers, issuer: "https://strangers.example"}
"""
APPROVAL: Final = {"binding": "Scope", "steps": [{"name": "owner", "kind": "Human"}], "maxUses": 3}
HEIDI: Final = "oidc:heidi"


@pytest.fixture(scope="module")
def operator(new_operator: NewOperator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    file: Path = tmp_path_factory.mktemp("issuers") / "issuers.yaml"
    file.write_text(ISSUERS)
    with new_operator("--issuers", str(file), "--proof-interval", "3") as operator:
        yield operator


@pytest.fixture
def heidi(callers: Callers, roles: Roles) -> Iterator[Rest]:
    """Heidi as the API server knows her, who may approve."""
    roles.bind("bailiwick-approve", HEIDI)
    client = Rest(replace(callers.admin.login, acting_as={"Impersonate-User": (HEIDI,)}))
    yield client
    client.close()


@pytest.fixture
def write(operator: Operator, callers: Callers, roles: Roles) -> Callable[..., Object]:
    """Let Carol write a grant for Heidi of an issuer."""
    roles.bind("bailiwick-request", "carol")
    namespace = roles.namespace
    rule = gated_rule(approval=APPROVAL)

    def write(issuer: str, **request: Any) -> Object:  # noqa: ANN401 - any field
        people = [{"name": "agent", "user": {"issuer": issuer, "name": "heidi"}}]
        identity = {"issuers": [issuer]}
        made = policy(
            namespace, subjects=people, rules=[rule], endpointSettings={**settings(namespace), "identity": identity}
        )
        accepted(callers.admin.create(made))
        named: dict[str, Any] = {
            "rules": [{"policy": "crm-agent", "rule": "export"}],
            "subject": {"type": "user", "id": "heidi", "uid": f"{issuer}#heidi"},
            **request,
        }
        return accepted(callers("carol").create(grant(namespace, "wanted", requester="carol", **named)))

    return write


def reviewed(client: Rest, body: Object, name: str) -> Answer:
    return client.patch(body, adding_review(review(body, name)), "json")


def resolved(grants: Grants, body: Object) -> Object:
    found = grants.admin.wait(body, lambda answer: "resolved" in answer.body.get("status", {}), 15).body["status"]
    return dict(found["resolved"])


def told(grants: Grants, body: Object, words: str) -> str:
    """Wait until the grant says this, and return all that it says."""

    def message(answer: Answer) -> str:
        status = answer.body.get("status") or {}
        return str(condition(status, "Ready").get("message", "")) if "conditions" in status else ""

    return message(grants.admin.wait(body, lambda answer: words in message(answer), 15))


@pytest.mark.invariant(1)
def test_their_name_at_the_api_server_is_resolved_and_barred(
    grants: Grants, write: Callable[..., Object], heidi: Rest
) -> None:
    body = write("corp")
    assert resolved(grants, body)["excludedReviewers"] == [HEIDI]
    answer = reviewed(heidi, body, HEIDI)
    assert (answer.status, "you cannot review your own request" in answer.message) == (403, True)
    accepted(grants.review(body, "dave"))
    assert grants.await_phase(body, "Active")["status"]["counted"][0]["reviewer"] == "dave"


@pytest.mark.invariant(1)
def test_actors_are_barred_by_theirs_too(grants: Grants, write: Callable[..., Object], heidi: Rest) -> None:
    body = write("corp", actors=[{"issuer": "corp", "id": "ivan", "uid": "corp#ivan"}])
    assert resolved(grants, body)["excludedReviewers"] == [HEIDI, "oidc:ivan"]


@pytest.mark.invariant(1)
def test_where_nobody_can_tell_their_name_the_grant_says_what_that_means(
    grants: Grants, write: Callable[..., Object], heidi: Rest
) -> None:
    body = write("partners")
    assert "excludedReviewers" not in resolved(grants, body)
    words = "a review by heidi does not count when the grant is used"
    assert "reviews: crm-agent.export.owner 0 of 1" in told(grants, body, words)
    accepted(reviewed(heidi, body, HEIDI))
    grants.await_phase(body, "Active")
    assert "can be used once" in told(grants, body, words)


@pytest.mark.invariant(1, 23)
def test_of_an_issuer_without_such_names_no_approval_by_people_could_serve(
    grants: Grants, write: Callable[..., Object]
) -> None:
    body = write("strangers")
    told(grants, body, "heidi comes from issuer strangers, which has no claims.kubernetesUsername")
    assert "resolved" not in grants.read(body)["status"]
