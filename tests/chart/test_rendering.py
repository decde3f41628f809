"""The chart as a whole: the same twice, fit for GitOps, complete in its labels, without a hook that matters."""

import re
from pathlib import Path
from typing import Any, Final

import helm_python
import pytest
import yaml

from support import charts
from support.charts import Values
from support.objects import Object

EVERY: Final = pytest.mark.parametrize("path", charts.CI, ids=lambda path: path.stem)
OF_THE_MOMENT: Final = r"\b(?:lookup|rand[A-Z]\w+|gen[A-Z]\w+|now|uuidv4|Capabilities|IsInstall|IsUpgrade|Revision)\b"
TEMPLATES: Final = sorted((charts.PATH / "templates").rglob("*.*"))


@EVERY
def test_ga_01_the_same_values_give_the_same_bytes(path: Path) -> None:
    given = charts.ci(path)
    first = charts.texts(given)
    assert charts.texts(given) == first
    # And another loading of it, in case the first one was kept.
    with helm_python.Chart.load(charts.PATH) as again:
        found = again.render(given, name=charts.RELEASE, namespace=charts.NAMESPACE, is_upgrade=True, revision=7)
    assert {f"bailiwick/templates/{name}": text for name, text in first.items()}.items() <= found.items()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(charts.PATH)))
def test_ga_02_nothing_depends_on_a_cluster_on_chance_or_on_the_moment(path: Path) -> None:
    actions = " ".join(re.findall(r"\{\{.*?\}\}", path.read_text(encoding="utf-8"), re.DOTALL))
    assert re.findall(OF_THE_MOMENT, actions) == []


@EVERY
def test_ga_03_no_hook_carries_anything_but_the_test(path: Path) -> None:
    for one in charts.render(charts.ci(path)).documents:
        hook = (one["metadata"].get("annotations") or {}).get("helm.sh/hook")
        assert (hook == "test") == (one["kind"] == "Pod"), one["metadata"]["name"]


@EVERY
def test_ga_04_no_ca_bundle_and_no_data_of_a_secret_is_rendered(path: Path) -> None:
    rendering = charts.render(charts.ci(path))
    assert "caBundle" not in "".join(charts.texts(charts.ci(path)).values())
    for secret in rendering.of("Secret"):
        assert secret.keys() == {"apiVersion", "kind", "metadata", "type"}


def test_ga_06_argo_cd_is_told_of_the_order_and_asked_to_confirm() -> None:
    rendering = charts.render()
    waves: dict[str, set[str]] = {}
    for one in rendering.documents:
        wave = (one["metadata"].get("annotations") or {}).get("argocd.argoproj.io/sync-wave", "0")
        waves.setdefault(wave, set()).add(one["kind"])
    assert waves["-5"] == {"CustomResourceDefinition"}
    assert waves["-4"] == {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert waves.get("5", {"ValidatingWebhookConfiguration"}) == {"ValidatingWebhookConfiguration"}
    for one in rendering.of("CustomResourceDefinition"):
        options = one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
        assert options == "ServerSideApply=true,Prune=confirm"
    assert "argocd" not in "".join(charts.texts({"argocd": {"annotations": False}}).values())


def test_definitions_stay_unless_somebody_says_otherwise() -> None:
    def kept(given: Values) -> list[Any]:
        found = charts.render(given).of("CustomResourceDefinition")
        return [(one["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") for one in found]

    assert kept({}) == ["keep"] * 5
    assert kept({"crds": {"keep": False}}) == [None] * 5
    assert kept({"crds": {"install": False}}) == []


@EVERY
def test_every_object_says_what_it_is_part_of(path: Path) -> None:
    given = charts.ci(path)
    for one in charts.render(given).documents:
        if one["metadata"]["name"] in {"another", "bailiwick-extra"}:
            continue
        labels = one["metadata"]["labels"]
        known = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component", "part-of", "version")}
        assert {*known, "app.kubernetes.io/managed-by", "helm.sh/chart"} <= labels.keys()
        assert labels["app.kubernetes.io/part-of"] == "bailiwick"
        assert given.get("commonLabels", {}).items() <= labels.items()
        assert given.get("commonAnnotations", {}).items() <= (one["metadata"].get("annotations") or {}).items()


def test_labels_of_others_never_take_the_place_of_ours() -> None:
    selecting = {"app.kubernetes.io/component": "none", "app.kubernetes.io/part-of": "none"}
    for given in ({"commonLabels": selecting}, {"webhook": {"podLabels": selecting}}):
        for one in charts.render(given).documents:
            for metadata in (one["metadata"], one.get("spec", {}).get("template", {}).get("metadata", {"labels": {}})):
                assert "none" not in metadata["labels"].values()


@EVERY
def test_everything_that_is_in_a_namespace_is_in_ours(path: Path) -> None:
    given = charts.ci(path)
    cluster = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy"}
    cluster |= {"ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"}
    for one in charts.render(given).documents:
        wanted = None if one["kind"] in cluster else given.get("namespaceOverride", charts.NAMESPACE)
        assert one["metadata"].get("namespace") == wanted
    # Helm makes it, or its user; and a chart that did would delete it on removal.
    assert charts.render(given).of("Namespace") == []


@EVERY
def test_nothing_is_rendered_twice(path: Path) -> None:
    documents = charts.render(charts.ci(path)).documents
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(set(names)) == len(names)


@EVERY
def test_helm_finds_nothing_to_complain_of(path: Path) -> None:
    report = helm_python.lint(charts.PATH, charts.ci(path), strict=True, namespace=charts.NAMESPACE)
    complaints = [one for one in report["messages"] if one["severity"] > 1]
    assert (complaints, report["errors"]) == ([], [])


def test_the_package_holds_what_is_needed_and_no_more(tmp_path: Path) -> None:
    archive = helm_python.package(charts.PATH, destination=tmp_path)
    helm_python.expand(tmp_path, archive)
    packed = {str(path.relative_to(tmp_path / "bailiwick")) for path in (tmp_path / "bailiwick").rglob("*.*")}
    assert {"README.md", "values.schema.json", "files/alerts.yaml", "files/dashboard.json"} <= packed
    assert not any(name.startswith("ci/") for name in packed)
    with helm_python.Chart.load(archive) as chart:
        assert chart.render({}, name="bailiwick", namespace="bailiwick-system")


def roles(kind: str) -> list[Object]:
    return charts.render().of(kind)


def test_no_role_for_people_flows_into_edit_or_admin() -> None:
    for one in roles("ClusterRole"):
        marks = [name for name in one["metadata"]["labels"] if name.startswith("rbac.authorization.k8s.io/")]
        assert marks == []
        assert "aggregationRule" not in one
        assert not any("*" in rule.get("verbs", ()) for rule in one["rules"])


@pytest.mark.parametrize(
    ("mode", "secrets"), [("selfManaged", True), ("certManager", False), ("existingSecret", False)]
)
def test_secrets_of_certificates_come_from_whoever_makes_the_certificates(mode: str, *, secrets: bool) -> None:
    rendering = charts.render({"tls": {"mode": mode}})
    shipped = {one["metadata"]["name"] for one in rendering.of("Secret")} - {"bailiwick-keys", "bailiwick-witness"}
    assert not shipped or secrets
    assert bool(rendering.of("Certificate")) == (mode == "certManager")
    flag = "self-managed" if mode == "selfManaged" else "external"
    assert f"--tls-mode={flag}" in rendering.args("operator")


@pytest.mark.parametrize(
    ("given", "registration", "certificates"),
    [
        ({}, "get patch", {"bailiwick-ca": "get update", "bailiwick-serving": "get update"}),
        ({"admission": {"enabled": False}}, "get", {"bailiwick-ca": "get update", "bailiwick-serving": "get update"}),
        ({"tls": {"mode": "certManager"}}, "get", {"bailiwick-serving": "get"}),
        ({"tls": {"mode": "existingSecret"}}, "get patch", {"bailiwick-serving": "get"}),
    ],
    ids=["as shipped", "no admission", "certManager", "existingSecret"],
)
def test_the_operator_may_write_only_what_it_writes_in_this_mode(
    given: Values, registration: str, certificates: dict[str, str]
) -> None:
    found: dict[str, str] = {}
    for one in (*charts.render(given).of("ClusterRole"), *charts.render(given).of("Role")):
        for rule in one["rules"] if one["metadata"]["name"] == "bailiwick-operator" else ():
            for name in rule.get("resourceNames", ()):
                found[f"{rule['resources'][0]}/{name}"] = " ".join(rule["verbs"])
    assert found["validatingwebhookconfigurations/bailiwick-endpointpolicies"] == registration
    assert found["secrets/bailiwick-keys"] == "get update"
    secrets = {key.partition("/")[2]: verbs for key, verbs in found.items() if key.startswith("secrets/")}
    assert secrets == {"bailiwick-keys": "get update", "bailiwick-witness": "get update", **certificates}


def test_cert_manager_makes_a_certificate_for_every_name_that_is_called() -> None:
    given: Values = {"tls": {"mode": "certManager", "extraNames": ["pdp.example.com", "10.0.0.1"]}}
    rendering = charts.render(given)
    certificate = rendering.one("Certificate", "bailiwick-serving")["spec"]
    assert certificate["secretName"] == "bailiwick-serving"
    assert {"bailiwick-webhook.bailiwick-system.svc", "pdp.example.com"} <= set(certificate["dnsNames"])
    assert certificate["ipAddresses"] == ["10.0.0.1"]
    assert certificate["privateKey"]["rotationPolicy"] == "Always"
    assert certificate["issuerRef"] == {"name": "bailiwick-ca", "kind": "Issuer", "group": "cert-manager.io"}
    corp = {"tls": {"mode": "certManager", "certManager": {"issuerRef": {"name": "corp", "kind": "ClusterIssuer"}}}}
    theirs = charts.render(corp)
    assert theirs.one("Certificate", "bailiwick-serving")["spec"]["issuerRef"] == {
        "name": "corp",
        "kind": "ClusterIssuer",
    }
    assert theirs.of("Issuer") == []


def test_chart_and_project_have_one_version() -> None:
    metadata = yaml.safe_load((charts.PATH / "Chart.yaml").read_text(encoding="utf-8"))
    project = (charts.PATH.parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{metadata["appVersion"]}"\n' in project
    examples = yaml.safe_load(metadata["annotations"]["artifacthub.io/crdsExamples"])
    assert [one["kind"] for one in examples] == ["EndpointPolicy"]
    told = yaml.safe_load(metadata["annotations"]["artifacthub.io/crds"])
    defined = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in charts.PATH.parent.parent.glob("crds/*.yaml")
    ]
    assert {(one["kind"], one["name"]) for one in told} == {
        (one["spec"]["names"]["kind"], one["metadata"]["name"]) for one in defined
    }


def test_the_network_lets_in_who_asks_and_out_to_whom_is_asked() -> None:
    rendering = charts.render()
    policies = {one["metadata"]["name"]: one["spec"] for one in rendering.of("NetworkPolicy")}
    assert policies.keys() == {"bailiwick-webhook", "bailiwick-operator"}
    for spec in policies.values():
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        ports = {port["port"] for rule in spec["egress"] for port in rule["ports"]}
        assert ports <= {53, 443, 6443, 8081}
    asked, judged, status = policies["bailiwick-webhook"]["ingress"]
    # From anywhere: who asks must prove who they are, and the API server's address is in no selector.
    assert asked == {"ports": [{"port": "https", "protocol": "TCP"}]}
    assert judged == {"ports": [{"port": "admission", "protocol": "TCP"}]}
    assert [sorted(peer) for peer in status["from"]] == [["podSelector"], ["namespaceSelector"]]
    (read,) = policies["bailiwick-operator"]["ingress"]
    assert (read["ports"], read["from"]) == ([{"port": "health", "protocol": "TCP"}], status["from"][1:])
    closed = charts.render({"networkPolicy": {"metricsFrom": []}})
    assert "ingress" not in closed.one("NetworkPolicy", "bailiwick-operator")["spec"]
    assert charts.render({"networkPolicy": {"enabled": False}}).of("NetworkPolicy") == []


def test_the_pod_of_helm_test_is_let_in_where_others_are_not() -> None:
    narrow: Values = {"networkPolicy": {"decisionFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}}
    rendering = charts.render(narrow)
    labels = rendering.one("Pod", "bailiwick-test")["metadata"]["labels"]
    asked = rendering.one("NetworkPolicy", "bailiwick-webhook")["spec"]["ingress"][0]
    assert any(
        peer["podSelector"]["matchLabels"].items() <= labels.items() for peer in asked["from"] if "podSelector" in peer
    )


def test_whole_objects_of_the_user_become_part_of_the_release() -> None:
    (path,) = (path for path in charts.CI if path.stem == "extras-values")
    rendering = charts.render(charts.ci(path))
    assert rendering.one("ConfigMap", "bailiwick-extra")["metadata"]["namespace"] == charts.NAMESPACE
    rendering.one("ConfigMap", "another")
