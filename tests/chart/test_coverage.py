"""Coverage in the chart: off by default, and then no right and no flag of it; with it, rights to list and no more."""

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import generate
from support import charts
from support.charts import Values
from support.objects import Object

pytestmark = pytest.mark.long

ON: Values = {"coverage": {"enabled": True}}


def rbac(values: Values) -> dict[tuple[str, str], Object]:
    found = charts.render(values)
    kinds = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    return {(kind, one["metadata"]["name"]): one for kind in kinds for one in found.of(kind)}


def test_by_default_there_is_neither_a_right_nor_a_flag() -> None:
    assert not [name for name in rbac({}) if "coverage" in str(name)]
    assert not [one for one in charts.render().args("operator") if "coverage" in one]


def test_the_rights_are_one_role_beside_the_others_which_do_not_change() -> None:
    plain, counting = rbac({}), rbac(ON)
    added = {name: one for name, one in counting.items() if name not in plain}
    assert {name: one for name, one in counting.items() if name in plain} == plain
    (documents,) = generate.optional(Installation()).values()
    assert {(one["kind"], one["metadata"]["name"]) for one in documents} == set(added)
    role = added["ClusterRole", "bailiwick-operator-coverage"]
    assert role["rules"] == documents[0]["rules"]
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list"}
    assert not {"secrets", "configmaps", "*"} & {name for rule in role["rules"] for name in rule["resources"]}
    binding = added["ClusterRoleBinding", "bailiwick-operator-coverage"]
    assert [one["name"] for one in binding["subjects"]] == ["bailiwick-operator"]


def test_the_operator_is_told_how_often_and_within_what() -> None:
    values: Values = {"coverage": {"enabled": True, "intervalSeconds": 300, "timeoutSeconds": 60}}
    assert [one for one in charts.render(values).args("operator") if "coverage" in one] == [
        "--coverage=true",
        "--coverage-interval=300",
        "--coverage-timeout=60",
        "--coverage-memory-bytes=134217728",
    ]


def test_whoever_makes_the_roles_themselves_gets_none() -> None:
    assert not [name for name in rbac({**ON, "rbac": {"create": False}}) if "coverage" in str(name)]
