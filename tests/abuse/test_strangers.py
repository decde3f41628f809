"""Who may not ask learns nothing: neither which endpoints there are nor what any policy says."""

from typing import Any, Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from support.pdp import questions
from support.pdp.questions import Said
from support.pdp.tenant import Tenant

POSTED: Final = (
    "evaluation",
    "evaluations",
    "requests",
    "search/subject",
    "search/resource",
    "search/action",
)
TASK: Final = "requests/agr-x.y"
ENDPOINTS: Final = ("crm-api", "no-such")


def _body(tenant: Tenant, path: str) -> dict[str, Any]:
    whole = tenant.body("customers.list")
    if path == "evaluations":
        return {**whole, "evaluations": [{}, {"action": {"name": "customers.export"}}]}
    return whole


def _ask(tenant: Tenant, path: str, endpoint: str, token: str | None) -> Said:
    url = tenant.url(path, endpoint=endpoint)
    if path == TASK:
        return questions.get(url, token)
    return questions.post(url, _body(tenant, path), token)


@pytest.mark.parametrize("path", [*POSTED, TASK])
@pytest.mark.parametrize("token", [None, "", "garbage", "e30.e30.e30"])
def test_ab_36_without_a_token_every_path_of_every_endpoint_says_the_same(
    tenant: Tenant, path: str, token: str | None
) -> None:
    answers = [_ask(tenant, path, endpoint, token) for endpoint in ENDPOINTS]
    assert [answer.status for answer in answers] == [401, 401]
    assert answers[0].raw == answers[1].raw
    assert b"crm" not in answers[0].raw


@pytest.mark.parametrize("path", [*POSTED, TASK])
def test_ab_36_a_stranger_is_told_the_same_of_every_endpoint(tenant: Tenant, path: str) -> None:
    stranger = tenant.token("stranger", ENFORCER_AUDIENCE)
    answers = [_ask(tenant, path, endpoint, stranger) for endpoint in ENDPOINTS]
    assert {answer.status for answer in answers} == ({404} if path == TASK else {403})
    assert answers[0].raw == answers[1].raw
    assert b"crm-agent" not in answers[0].raw


def test_ab_36_the_metadata_of_an_endpoint_do_not_tell_whether_there_is_one(tenant: Tenant) -> None:
    def found(endpoint: str) -> bytes:
        url = f"{tenant.points[0]}/.well-known/authzen-configuration/endpoints/{tenant.namespace}/{endpoint}"
        return questions.get(url, None).raw.replace(endpoint.encode(), b"")

    assert len({found(endpoint) for endpoint in ENDPOINTS}) == 1
