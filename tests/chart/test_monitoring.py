"""Alerts and dashboard: they ask for what there is, and each alert says what to do."""

import json
import re
from typing import Any, Final

import pytest

import generate_metrics
from chartmaker import alerts, dashboard
from chartmaker.alerts import Alert
from chartmaker.panels import PANELS, Panel
from support import charts
from support.charts import Values

ALERTS: Final = alerts.read()
EACH: Final = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
RULES: Final[Values] = {"monitoring": {"prometheusRule": {"enabled": True}}}
DASHBOARD: Final = json.loads((charts.PATH / "files" / "dashboard.json").read_text(encoding="utf-8"))
SELECTOR: Final = re.compile(r"(bailiwick_[a-z_]+)\{([^}]*)\}")


def rules(given: Values) -> dict[str, Any]:
    (rule,) = charts.render(given).of("PrometheusRule")
    (group,) = rule["spec"]["groups"]
    return {one["alert"]: one for one in group["rules"]}


@EACH
def test_an_alert_asks_for_what_there_is(alert: Alert) -> None:
    assert alerts.metrics(alert.expression)
    assert alerts.unknown(alert.expression) == set()


@pytest.mark.parametrize(
    "expression",
    # An alert and a panel may ask for the same.
    sorted({*(alert.expression for alert in ALERTS), *(query for panel in PANELS for query, _ in panel.queries)}),
)
def test_what_is_selected_and_summed_by_is_a_label_of_the_series(expression: str) -> None:
    for name, selected in SELECTOR.findall(expression):
        labels = set(re.findall(r"(\w+)\s*=~?", selected))
        assert labels <= alerts.series()[name] | {"namespace"}
    for by in re.findall(r"by \(([^)]*)\)", expression):
        for name in alerts.metrics(expression):
            # What Prometheus adds itself, and what we count by.
            assert {word.strip() for word in by.split(",")} <= alerts.series()[name] | {"namespace", "pod"}


@EACH
def test_an_alert_is_complete(alert: Alert) -> None:
    assert re.fullmatch(r"Bailiwick[A-Za-z]+", alert.name)
    assert alert.severity in {"critical", "warning"}
    assert re.fullmatch(r"[0-9]+m", alert.lasting)
    assert alert.summary.endswith(".")
    assert alert.means.endswith(".")


def test_a_name_that_is_no_metric_is_found() -> None:
    assert alerts.unknown("sum(bailiwick_decisions_total) + bailiwick_nothing_total + kube_x") == {
        "bailiwick_nothing_total"
    }
    assert alerts.unknown("bailiwick_decision_duration_seconds") == {"bailiwick_decision_duration_seconds"}


def test_every_alert_is_rendered_with_the_installations_own_figures() -> None:
    given: Values = {**RULES, "webhook": {"maxStalenessSeconds": 300}, "fullnameOverride": "boundary"}
    found = rules(given)
    assert list(found) == [alert.name for alert in ALERTS]
    assert "$" not in "".join(one["expr"] for one in found.values())
    assert found["BailiwickStoreTooOld"]["expr"].endswith("> 300")
    assert 'deployment="boundary-webhook"' in found["BailiwickTooFewReplicas"]["expr"]
    for alert in ALERTS:
        one = found[alert.name]
        assert (one["for"], one["labels"]) == (alert.lasting, {"severity": alert.severity})
        assert (one["annotations"]["summary"], one["annotations"]["description"]) == (alert.summary, alert.means)


@EACH
def test_an_alert_leads_to_its_heading_in_the_runbook(alert: Alert) -> None:
    anchor = alert.name.lower()
    assert rules(RULES)[alert.name]["annotations"]["runbook"] == f"docs/operations/runbook.md#{anchor}"
    published: Values = {"monitoring": {"prometheusRule": {"enabled": True, "runbookURL": "https://docs.example/r"}}}
    annotations = rules(published)[alert.name]["annotations"]
    assert annotations["runbook_url"] == f"https://docs.example/r#{anchor}"
    assert "runbook" not in annotations


def test_an_alert_may_be_left_out() -> None:
    given: Values = {"monitoring": {"prometheusRule": {"enabled": True, "without": ["BailiwickStrangersAsk"]}}}
    assert rules(RULES).keys() - rules(given).keys() == {"BailiwickStrangersAsk"}


def test_the_page_of_metrics_has_every_alert() -> None:
    page = generate_metrics.rendered()
    assert all(f"| {alert.name} | `{alert.expression}` |" in page for alert in ALERTS)


@pytest.mark.parametrize("kind", ["serviceMonitor", "podMonitor"])
def test_each_pod_is_asked_for_its_own_metrics(kind: str) -> None:
    rendering = charts.render({"monitoring": {kind: {"enabled": True}}})
    found = {one["metadata"]["name"]: one["spec"] for one in rendering.of("ServiceMonitor", "PodMonitor")}
    wanted = {"bailiwick-webhook": ["status"], "bailiwick-operator": ["health"]}
    assert found.keys() == wanted.keys()
    for name, spec in found.items():
        asked = spec["endpoints" if kind == "serviceMonitor" else "podMetricsEndpoints"]
        assert [one["port"] for one in asked] == wanted[name]
        assert {one["path"] for one in asked} == {"/metrics"}
        chosen = spec["selector"]["matchLabels"].items()
        if kind == "serviceMonitor":
            service = rendering.one("Service", name)
            assert chosen <= service["metadata"]["labels"].items()
            assert {port["name"] for port in service["spec"]["ports"]} >= set(wanted[name])
        pod = rendering.one("Deployment", name)["spec"]["template"]
        assert chosen <= pod["metadata"]["labels"].items()
        assert {port["name"] for port in pod["spec"]["containers"][0]["ports"]} >= set(wanted[name])


def test_the_operator_has_a_service_only_where_one_is_monitored() -> None:
    assert [one["metadata"]["name"] for one in charts.render().of("Service")] == ["bailiwick-webhook"]


def test_a_panel_that_asks_for_what_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Panel("Wrong", "none", (("sum(bailiwick_nothing{%})", ""),))
    monkeypatch.setattr(dashboard, "PANELS", (wrong,))
    with pytest.raises(ValueError, match="'Wrong' asks for bailiwick_nothing"):
        dashboard.rendered()


def test_the_dashboard_shows_every_metric() -> None:
    asked = {name for panel in DASHBOARD["panels"] for one in panel["targets"] for name in alerts.metrics(one["expr"])}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in alerts.series()}
    assert known - families - {"bailiwick_records_waiting_bytes"} == set()


def test_the_dashboard_stands_in_the_config_map_as_it_is() -> None:
    rendering = charts.render({"monitoring": {"dashboard": {"enabled": True}}})
    found = rendering.one("ConfigMap", "bailiwick-dashboard")
    assert json.loads(found["data"]["bailiwick.json"]) == DASHBOARD
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_places_in_the_dashboard_do_not_overlap() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert all(x + width <= 24 for x, _, width, _ in places)
