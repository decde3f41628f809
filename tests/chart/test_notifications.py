"""Notifications in the chart: off by default, and no right and no way out that they do not need."""

from typing import Final

import pytest

from support import charts
from support.charts import Values
from support.objects import Object
from support.pages import objects

pytestmark = pytest.mark.long

REVIEWERS: Final = charts.ci(next(one for one in charts.CI if one.stem == "reviewers-values"))["reviewers"]
SECRET: Values = {"notifications": {"secretName": "targets"}}


def arguments(values: Values) -> list[str]:
    found = charts.render(values).args("operator")
    return [one for one in found if "notif" in one or "console" in one]


def named(values: Values, kind: str) -> list[Object]:
    return [one for one in charts.render(values).of(kind) if "notifications" in one["metadata"]["name"]]


def test_by_default_nobody_is_told_and_nothing_may_be_read() -> None:
    assert arguments({}) == []
    assert named({}, "ClusterRole") == []
    assert "notifications" not in str(charts.render().pods())


def test_the_installations_secret_is_mounted_and_read_by_no_right() -> None:
    assert arguments(SECRET)[0] == "--notifications-dir=/etc/bailiwick/notifications"
    volumes = charts.render(SECRET).pods()["Deployment/bailiwick-operator"]["volumes"]
    (volume,) = [one for one in volumes if one["name"] == "notifications"]
    assert volume["secret"] == {"secretName": "targets", "defaultMode": 0o440, "optional": True}
    assert named(SECRET, "ClusterRole") == []


@pytest.mark.parametrize(("mode", "bindings"), [("bound", 0), ("all", 1)])
def test_the_right_to_secrets_of_namespaces_is_one_name_and_is_bound_only_where_it_is_wanted(
    mode: str, bindings: int
) -> None:
    values: Values = {"notifications": {"namespaceTargets": mode}}
    (role,) = named(values, "ClusterRole")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["bailiwick-notifications"]}
    ]
    found = named(values, "ClusterRoleBinding")
    assert len(found) == bindings
    for binding in found:
        assert binding["roleRef"]["name"] == "bailiwick-notifications"
    assert "--notify-namespaces=true" in arguments(values)


def test_the_way_out_is_to_these_ports_and_addresses_and_only_for_the_operator() -> None:
    values: Values = {"notifications": {"secretName": "x", "egressPorts": [587], "egressCIDRs": ["203.0.113.0/24"]}}
    rule = {
        "ports": [{"port": 587, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}],
    }
    found = charts.render(values)
    assert rule in found.one("NetworkPolicy", "bailiwick-operator")["spec"]["egress"]
    assert rule not in found.one("NetworkPolicy", "bailiwick-webhook")["spec"]["egress"]


def test_the_values_of_the_page_are_values_of_the_chart() -> None:
    (values,) = objects("how-to/notifications.md")
    assert "--console-url=https://approvals.example.com" in arguments(values)
    ports = charts.render(values).one("NetworkPolicy", "bailiwick-operator")["spec"]["egress"][1]["ports"]
    assert [one["port"] for one in ports] == [443, 587]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, []),
        ({"clusterName": "east"}, ["--cluster-name=east"]),
        ({"reviewers": REVIEWERS}, ["--cluster-name=production"]),
        ({"reviewers": REVIEWERS, "clusterName": "east"}, ["--cluster-name=east"]),
    ],
)
def test_the_cluster_is_called_as_said_or_as_the_registrars_call_the_installation(
    values: Values, wanted: list[str]
) -> None:
    found = charts.render({"notifications": {"secretName": "x"}, **values}).args("operator")
    assert [one for one in found if one.startswith("--cluster-name")] == wanted
