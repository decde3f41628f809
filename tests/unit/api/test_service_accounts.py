"""A service account's name is put together as the API server does it, and taken apart only where it is one."""

import pytest

from bailiwick_api.serviceaccounts import ServiceAccountName

CRM = ServiceAccountName("crm", "crm-api.v2")


def test_it_is_spelled_for_the_api_server_for_people_and_for_paths() -> None:
    assert CRM.username == "system:serviceaccount:crm:crm-api.v2"
    assert CRM.short == "sa:crm/crm-api.v2"
    assert CRM.path == "/api/v1/namespaces/crm/serviceaccounts/crm-api.v2"


def test_it_is_parsed_as_it_is_spelled() -> None:
    assert ServiceAccountName.parse(CRM.username) == CRM


@pytest.mark.parametrize(
    "username",
    [
        "",
        "carol",
        "oidc:system:serviceaccount:crm:crm-api",
        "system:serviceaccount:",
        "system:serviceaccount:crm",
        "system:serviceaccount:crm:",
        "system:serviceaccount::crm-api",
        "system:serviceaccount:crm:crm-api:more",
        "system:serviceaccount:crm:crm-api\n",
        "system:serviceaccount:crm:Crm-Api",
        "system:serviceaccount:crm:..",
        "system:serviceaccount:crm:a/../b",
        "system:serviceaccount:crm:a?b",
        "system:serviceaccount:..:a",
        "system:serviceaccount:a.b:c",
        "system:serviceaccounts:crm",
    ],
)
def test_nobody_else_is_taken_for_one(username: str) -> None:
    assert ServiceAccountName.parse(username) is None
