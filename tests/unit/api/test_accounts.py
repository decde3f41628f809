"""Who the two accounts are, and whom an installation takes for a person: in Python as in the guard."""

from typing import Any, Final

import pytest
from cel_expr_python import cel

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import guards

PREFIXES: Final = ((), ("oidc:",), ("oidc:", "corp/"), ("it's:",), ('say "hi":',), ("back\\slash:",), ("né:",))
NAMES: Final = (
    "carol",
    "oidc:carol",
    "corp/carol",
    "it's:carol",
    'say "hi":carol',
    "back\\slash:carol",
    "né:carol",
    "OIDC:carol",
    " oidc:carol",
    "oidc",
    "oidc:",
    "systems-carol",
    "system",
    "system:",
    "system:admin",
    "system:oidc:carol",
    "system:serviceaccount:crm:crm-api",
    "oidc:system:carol",
    "",
)


def by_the_guard(installation: Installation, username: str) -> bool:
    """Evaluate the review guard's own expression for who is a person."""
    documents = guards.guards(installation)
    review = next(one for one in documents if one["metadata"]["name"] == guards.REVIEW)
    (person,) = [entry["expression"] for entry in review["spec"]["variables"] if entry["name"] == "person"]
    environment = cel.NewEnv(variables={"variables": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})
    found: Any = environment.compile(person).eval(data={"variables": {"me": username}}).value()
    assert isinstance(found, bool)
    return found


@pytest.mark.parametrize("prefixes", PREFIXES, ids=repr)
def test_the_guard_and_the_installation_agree_on_who_is_a_person(prefixes: tuple[str, ...]) -> None:
    installation = Installation(human_username_prefixes=prefixes)
    by_python = {name: installation.is_person(name) for name in NAMES}
    assert by_python == {name: by_the_guard(installation, name) for name in NAMES}


def test_by_default_whoever_is_not_of_the_system_is_a_person() -> None:
    people = [name for name in NAMES if Installation().is_person(name)]
    assert people == [name for name in NAMES if not name.startswith("system:")]


@pytest.mark.parametrize("prefixes", [prefixes for prefixes in PREFIXES if prefixes], ids=repr)
def test_with_prefixes_only_they_are_people(prefixes: tuple[str, ...]) -> None:
    people = [name for name in NAMES if Installation(human_username_prefixes=prefixes).is_person(name)]
    assert people
    assert all(any(name.startswith(prefix) for prefix in prefixes) for name in people)


def test_no_prefix_makes_a_person_of_a_service_account() -> None:
    installation = Installation(human_username_prefixes=("system:", "system:serviceaccount:"))
    assert not installation.is_person("system:serviceaccount:crm:crm-api")
    assert not by_the_guard(installation, "system:serviceaccount:crm:crm-api")


def test_an_installation_names_its_accounts_as_the_api_server_does() -> None:
    installation = Installation(namespace="authz", webhook_name="pdp", operator_name="op")
    assert installation.webhook == "system:serviceaccount:authz:pdp"
    assert installation.operator == "system:serviceaccount:authz:op"
