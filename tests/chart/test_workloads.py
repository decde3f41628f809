"""The pods: how they are secured, started, probed, drained and spread, and that their flags are flags."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import generate_openapi
from bailiwick_engine.budget.ledger import MIB, Budget
from bailiwick_operator import settings as operator_settings
from bailiwick_webhook.process import flags as webhook_flags, settings as webhook_settings
from support import charts
from support.charts import Rendering, Values
from support.objects import Object

EVERY: Final = pytest.mark.parametrize("path", charts.CI, ids=lambda path: path.stem)


def container(rendering: Rendering, component: str) -> Any:  # noqa: ANN401 - any JSON value
    (found,) = rendering.pods()[f"Deployment/bailiwick-{component}"]["containers"]
    return found


@EVERY
def test_every_pod_is_as_the_restricted_profile_asks(path: Path) -> None:
    # That the API server's own plugin takes them, tests/cluster/chart shows.
    for pod in charts.render(charts.ci(path)).pods().values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for one in (*pod["containers"], *pod.get("initContainers", ())):
            security = one["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert not any("hostPort" in port for port in one.get("ports", ()))
        allowed = {"name", "configMap", "emptyDir", "projected", "secret", "ephemeral", "persistentVolumeClaim"}
        assert all(volume.keys() <= allowed for volume in pod["volumes"])


@EVERY
def test_no_pod_is_handed_a_token_but_through_a_volume_of_its_own(path: Path) -> None:
    rendering = charts.render(charts.ci(path))
    for pod in rendering.pods().values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
    assert all(one["automountServiceAccountToken"] is False for one in rendering.of("ServiceAccount"))
    for name, pod in rendering.pods().items():
        tokens = [
            source["serviceAccountToken"]
            for volume in pod["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
            if "serviceAccountToken" in source
        ]
        wanted = (
            []
            if name.startswith("Pod/") or name.endswith("-console")
            else [{"path": "token", "expirationSeconds": 3600}]
        )
        assert tokens == wanted


@EVERY
def test_the_flags_are_taken_by_the_processes_themselves(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering = charts.render(charts.ci(path))
    # The files that are mounted in the pod lie elsewhere here.
    places = dict.fromkeys((f"/etc/bailiwick/{name}" for name in ("issuers", "record", "registrars")), tmp_path)
    for one in rendering.of("ConfigMap"):
        if one["metadata"]["name"].endswith(("-issuers", "-registrars")):
            for name, content in one["data"].items():
                (tmp_path / name).write_text(content)
    (tmp_path / "hmac.key").write_bytes(b"k" * 32)

    def here(flag: str) -> str:
        for mounted, place in places.items():
            flag = flag.replace(mounted, str(place))
        return flag

    operator = operator_settings.parse([here(flag) for flag in rendering.args("operator")], {})
    webhook = webhook_settings.parse([here(flag) for flag in rendering.args("webhook")])
    assert operator.installation == webhook.installation == charts.installation(rendering)
    assert operator.health_port == 8080
    assert webhook.tls
    assert webhook.external_url.startswith("https://")


def test_what_the_values_say_by_default_is_what_the_processes_do_by_default() -> None:
    # Where nobody decided otherwise, a pod is no other than a process that was started by hand.
    rendering = charts.render()
    given, usual = webhook_settings.parse(rendering.args("webhook")), webhook_settings.parse([])
    same = (
        "max_staleness",
        "hard_staleness",
        "relist_interval",
        "api_timeout",
        "drain_seconds",
        "bounds",
        "witness_wait",
    )
    for name in same:
        assert getattr(given, name) == getattr(usual, name)
    assert (given.budget, given.pending_grants) == (usual.budget, usual.pending_grants)
    assert given.record_limits == usual.record_limits
    told, alone = operator_settings.parse(rendering.args("operator"), {}), operator_settings.parse([], {})
    for name in (
        "certificates",
        "certificate_interval",
        "tls_mode",
        "lease",
        "proof_interval",
        "guard_settle",
        "require_keep",
        "key_rotation",
        "key_interval",
        "relist_interval",
        "keeping",
        "budget",
    ):
        assert getattr(told, name) == getattr(alone, name)
    assert (told.request_timeout, told.webhook_service) == (alone.request_timeout, alone.webhook_service)


@pytest.mark.parametrize("more", [[], [{"name": "X", "value": "y"}]], ids=["alone", "beside others"])
def test_a_decision_point_is_told_which_pod_it_is_and_chains_its_records(more: list[Object]) -> None:
    rendering = charts.render({"webhook": {"extraEnv": more}, "operator": {"extraEnv": more}})
    environment = container(rendering, "webhook")["env"]
    assert {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in environment[:2]} == {
        "BAILIWICK_POD_NAME": "metadata.name",
        "BAILIWICK_POD_UID": "metadata.uid",
    }
    assert environment[2:] == more
    assert container(rendering, "operator").get("env", []) == more
    for chain in (True, False):
        args = charts.render({"webhook": {"record": {"chain": chain}}}).args("webhook")
        assert webhook_settings.parse(args).record_chain is chain


@pytest.mark.parametrize("required", [True, False])
def test_the_operator_requires_keep_where_the_values_say_so(required: bool) -> None:
    args = charts.render({"guards": {"requireKeep": required}}).args("operator")
    assert operator_settings.parse(args, {}).require_keep is required


def test_one_set_of_budgets_is_that_of_both_processes() -> None:
    budgets = {
        "totalBytes": 50_000_000,
        "namespaceBytes": 20_000_000,
        "policyBytes": 3_000_000,
        "namespacePolicies": 7,
        "namespaceSpecBytes": 1_000_000_000_000,
        "namespacePendingGrants": 9,
    }
    rendering = charts.render({"budgets": budgets})
    webhook = webhook_settings.parse(rendering.args("webhook"))
    operator = operator_settings.parse(rendering.args("operator"), {})
    assert webhook.budget == operator.budget == Budget(50_000_000, 20_000_000, 3_000_000, 7, 1_000_000_000_000)
    assert webhook.pending_grants == 9


def test_a_full_budget_fits_into_the_memory_of_a_process() -> None:
    # What a decision point needs besides is in docs/reference/budgets.md; the benchmarks start one with it full.
    limit = container(charts.render(), "webhook")["resources"]["limits"]["memory"]
    assert Budget().total <= int(limit.removesuffix("Mi")) * MIB - 560_000_000


# What a pod has no use for: it is for a process outside of a cluster, or would give two pods one name.
NOT_FOR_PODS: Final = {
    "webhook": {"--help", "--policies", "--development", "--kubeconfig", *webhook_flags.REMOVED},
    "operator": {"--help", "--kubeconfig", "--ledger-file", "--replica", "--identity"},
}


@pytest.mark.parametrize("component", NOT_FOR_PODS)
def test_every_flag_of_a_process_can_be_set_by_a_value(component: str) -> None:
    parser = webhook_flags.parser() if component == "webhook" else operator_settings.flag_parser({})
    known = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}
    ways: list[Values] = [charts.ci(path) for path in charts.CI] + [
        {"tls": {"extraNames": ["pdp.example.com"]}},
        {"clusterName": "eu-1", "notifications": {"namespaceTargets": "bound"}},
    ]
    given = {flag.partition("=")[0] for values in ways for flag in charts.render(values).args(component)}
    assert known - given == NOT_FOR_PODS[component]


def test_only_the_decision_point_mounts_what_its_records_are_written_to() -> None:
    rendering = charts.render(charts.ci(charts.PATH / "ci" / "records-values.yaml"))
    mounted = {
        part: {one["name"] for one in container(rendering, part)["volumeMounts"]} for part in ("webhook", "operator")
    }
    assert mounted["operator"] == {"token", "tmp"}
    assert "records" in mounted["webhook"]


@pytest.mark.parametrize(("chain", "interval"), [(True, 10), (False, 0)])
def test_logs_without_a_chain_are_not_witnessed(chain: bool, interval: int) -> None:
    rendering = charts.render({"webhook": {"record": {"chain": chain}}})
    assert f"--witness-interval={interval}" in rendering.args("operator")


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({}, 13),
        ({"operator": {"witnessIntervalSeconds": 5}}, 8),
        ({"operator": {"witnessIntervalSeconds": 60}}, 45 - 10 - 5 - 10),
        ({"webhook": {"terminationGracePeriodSeconds": 25}}, 0),
        ({"operator": {"witnessIntervalSeconds": 0}}, 0),
        ({"webhook": {"record": {"chain": False}}}, 0),
    ],
)
def test_a_pod_that_stops_waits_for_one_poll_of_the_witness_within_its_grace_period(
    values: Values, seconds: int
) -> None:
    assert f"--witness-wait-seconds={seconds}" in charts.render(values).args("webhook")


def test_the_decision_point_calls_itself_as_its_service_is_called() -> None:
    rendering = charts.render({"fullnameOverride": "boundary"}, namespace="security")
    assert "--external-url=https://boundary-webhook.security.svc" in rendering.args("webhook")
    assert "--webhook-service=boundary-webhook" in rendering.args("operator")
    rendering.one("Service", "boundary-webhook")


def test_each_pod_has_a_status_port_by_which_the_operator_finds_it() -> None:
    rendering = charts.render()
    ports = container(rendering, "webhook")["ports"]
    assert {port["name"]: port["containerPort"] for port in ports} == {"https": 8443, "admission": 9443, "status": 8081}
    service = rendering.one("Service", "bailiwick-webhook")["spec"]["ports"]
    assert {port["name"]: (port["port"], port["targetPort"]) for port in service} == {
        "https": (443, "https"),
        "admission": (9443, "admission"),
        "status": (8081, "status"),
    }
    (policy,) = [one for one in rendering.of("NetworkPolicy") if one["metadata"]["name"] == "bailiwick-webhook"]
    let_in = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert let_in == ["https", "admission", 8081]


def test_the_openapi_document_of_the_status_port_is_of_that_port() -> None:
    rendering = charts.render()
    port = next(
        one for one in rendering.one("Service", "bailiwick-webhook")["spec"]["ports"] if one["name"] == "status"
    )
    (server,) = generate_openapi.status_document()["servers"]
    url = server["url"].format(process=server["variables"]["process"]["default"])
    assert url == f"{port['appProtocol']}://bailiwick-webhook.{charts.NAMESPACE}.svc:{port['port']}"


def ingress(given: Values, port: str) -> list[Object]:
    rendering = charts.render(given)
    rules = rendering.one("NetworkPolicy", "bailiwick-webhook")["spec"]["ingress"]
    return [rule for rule in rules if rule["ports"][0]["port"] == port]


def test_the_grpc_port_is_served_and_let_in_where_it_is_enabled_and_else_nowhere() -> None:
    rendering = charts.render({"webhook": {"grpc": {"enabled": True}}})
    assert webhook_settings.parse(rendering.args("webhook")).grpc_port == 8444
    ports = {port["name"]: port["containerPort"] for port in container(rendering, "webhook")["ports"]}
    service = {port["name"]: port for port in rendering.one("Service", "bailiwick-webhook")["spec"]["ports"]}
    assert (ports["grpc"], service["grpc"]["port"], service["grpc"]["targetPort"]) == (8444, 8444, "grpc")
    (rule,) = ingress({"webhook": {"grpc": {"enabled": True}}}, "https")
    assert [port["port"] for port in rule["ports"]] == ["https", "grpc"]
    usual = charts.render()
    assert webhook_settings.parse(usual.args("webhook")).grpc_port == 0
    assert "grpc" not in str(rendered_ports(usual))


def rendered_ports(rendering: Rendering) -> list[Any]:
    """Return the ports of container, Service and network policy."""
    service = rendering.one("Service", "bailiwick-webhook")["spec"]["ports"]
    policy = rendering.one("NetworkPolicy", "bailiwick-webhook")["spec"]["ingress"]
    return [container(rendering, "webhook")["ports"], service, policy]


EXAMPLES: Final = charts.PATH.parent.parent / "examples" / "enforcement"
# Where each file names a port of the Service.
NAMED: Final = {
    "envoy/envoy.yaml": (r"address: bailiwick-webhook\.bailiwick-system\.svc, port_value: (\d+)", "https"),
    "envoy/envoy-grpc.yaml": (r"address: bailiwick-webhook\.bailiwick-system\.svc, port_value: (\d+)", "grpc"),
    "nginx/nginx.conf": (r"server bailiwick-webhook\.bailiwick-system\.svc:(\d+)", "https"),
    "haproxy/bailiwick.lua": (r"https://bailiwick-webhook\.bailiwick-system\.svc:(\d+)/", "https"),
    "caddy/Caddyfile": (r"https://bailiwick-webhook\.bailiwick-system\.svc:(\d+) ", "https"),
    "kubernetes/authorization.kubeconfig": (r"server: https://192\.0\.2\.10:(\d+)/authorize", "https"),
    "kubernetes/webhook.yaml": (r"name: bailiwick-webhook, path: /admission/enforce, port: (\d+)", "admission"),
}


@pytest.mark.parametrize("path", NAMED)
def test_the_examples_of_enforcement_ask_at_ports_that_the_service_has(path: str) -> None:
    pattern, name = NAMED[path]
    (found,) = re.findall(pattern, (EXAMPLES / path).read_text(encoding="utf-8"))
    service = charts.render({"webhook": {"grpc": {"enabled": True}}}).one("Service", "bailiwick-webhook")["spec"]
    assert {port["name"]: port["port"] for port in service["ports"]}[name] == int(found)


def test_the_api_server_reaches_authorize_unless_the_sources_are_narrow_and_do_not_name_it() -> None:
    assert "from" not in ingress({}, "https")[0]
    own = {"ipBlock": {"cidr": "10.0.0.2/32"}}
    (rule,) = ingress({"networkPolicy": {"decisionFrom": [{"namespaceSelector": {}}, own]}}, "https")
    assert own in rule["from"]


def test_the_api_server_asks_on_a_port_of_its_own_that_the_registration_names() -> None:
    rendering = charts.render()
    (entry,) = rendering.one("ValidatingWebhookConfiguration", "bailiwick-endpointpolicies")["webhooks"]
    called = entry["clientConfig"]["service"]
    service = rendering.one("Service", called["name"])["spec"]["ports"]
    (port,) = [one for one in service if one["port"] == called["port"]]
    assert (port["name"], port["targetPort"]) == ("admission", "admission")
    (container_port,) = [one for one in container(rendering, "webhook")["ports"] if one["name"] == "admission"]
    assert f"--admission-port={container_port['containerPort']}" in rendering.args("webhook")
    # Not the one that everybody may reach.
    assert f"--port={container_port['containerPort']}" not in rendering.args("webhook")


def test_only_the_api_server_is_let_in_there_as_far_as_the_chart_is_told_where_it_is() -> None:
    assert ingress({}, "admission") == [{"ports": [{"port": "admission", "protocol": "TCP"}]}]
    agents = {"podSelector": {"matchLabels": {"k8s-app": "konnectivity-agent"}}}
    told: Values = {"networkPolicy": {"admissionCIDRs": ["10.0.0.2/32", "fd00::2/128"], "admissionFrom": [agents]}}
    (rule,) = ingress(told, "admission")
    assert rule["from"] == [{"ipBlock": {"cidr": "10.0.0.2/32"}}, {"ipBlock": {"cidr": "fd00::2/128"}}, agents]
    # Decisions are another matter.
    assert ingress(told, "https") == [{"ports": [{"port": "https", "protocol": "TCP"}]}]
    assert "admissionCIDRs is empty" in charts.notes()
    assert "admissionCIDRs is empty" not in charts.notes(told)


def test_where_the_api_server_does_not_ask_nobody_is_let_in_and_no_service_leads_there() -> None:
    off: Values = {"admission": {"enabled": False}}
    assert ingress(off, "admission") == []
    service = charts.render(off).one("Service", "bailiwick-webhook")["spec"]["ports"]
    assert "admission" not in {one["name"] for one in service}


def test_a_pod_that_is_to_go_answers_until_nobody_asks_it() -> None:
    rendering = charts.render({"webhook": {"preStopSeconds": 20, "drainSeconds": 15}})
    pod = rendering.pods()["Deployment/bailiwick-webhook"]
    (one,) = pod["containers"]
    assert one["lifecycle"] == {"preStop": {"sleep": {"seconds": 20}}}
    assert "--drain-seconds=15" in one["args"]
    assert pod["terminationGracePeriodSeconds"] >= 20 + 15 + 10
    assert "lifecycle" not in container(charts.render({"webhook": {"preStopSeconds": 0}}), "webhook")


def test_a_rollout_of_the_decision_point_never_takes_one_away_first() -> None:
    strategy = charts.render().one("Deployment", "bailiwick-webhook")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


@pytest.mark.parametrize(("replicas", "strategy"), [(0, "Recreate"), (1, "Recreate"), (2, "RollingUpdate")])
def test_a_single_operator_is_recreated_and_not_doubled(replicas: int, strategy: str) -> None:
    rendering = charts.render({"operator": {"replicas": replicas}})
    assert rendering.one("Deployment", "bailiwick-operator")["spec"]["strategy"]["type"] == strategy


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"bailiwick-webhook"}),
        ({"webhook": {"replicas": 1}}, set()),
        ({"operator": {"replicas": 2}}, {"bailiwick-webhook", "bailiwick-operator"}),
        ({"webhook": {"podDisruptionBudget": {"enabled": False}}}, set()),
        ({"webhook": {"replicas": 1, "autoscaling": {"enabled": True}}}, {"bailiwick-webhook"}),
        ({"webhook": {"autoscaling": {"enabled": True, "minReplicas": 1}}}, set()),
    ],
    ids=["usual", "one", "two operators", "off", "scaled", "scaled from one"],
)
def test_a_budget_is_there_where_more_than_one_pod_is(given: Values, wanted: set[str]) -> None:
    budgets = charts.render(given).of("PodDisruptionBudget")
    assert {one["metadata"]["name"] for one in budgets} == wanted
    assert all(one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" for one in budgets)


def test_whoever_scales_by_load_counts_the_pods_alone() -> None:
    assert charts.render().one("Deployment", "bailiwick-webhook")["spec"]["replicas"] == 3
    scaled = charts.render({"webhook": {"autoscaling": {"enabled": True}}})
    assert "replicas" not in scaled.one("Deployment", "bailiwick-webhook")["spec"]
    target = scaled.one("HorizontalPodAutoscaler", "bailiwick-webhook")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "bailiwick-webhook"}


def probe(rendering: Rendering, component: str, name: str) -> Object:
    found: Object = container(rendering, component)[name]
    return found


def test_ready_and_alive_are_two_questions() -> None:
    rendering = charts.render()
    assert probe(rendering, "webhook", "readinessProbe")["httpGet"]["path"] == "/readyz"
    assert probe(rendering, "webhook", "livenessProbe")["httpGet"]["path"] == "/healthz"
    start = probe(rendering, "webhook", "startupProbe")
    assert start["periodSeconds"] * start["failureThreshold"] >= 300
    alive = probe(rendering, "webhook", "livenessProbe")
    assert alive["periodSeconds"] * alive["failureThreshold"] >= 60
    assert {port["name"] for port in container(rendering, "operator")["ports"]} == {"health"}


def test_a_digest_beats_the_tag_and_the_chart_knows_its_images() -> None:
    digest = f"sha256:{'a' * 64}"
    image = {"repository": "x/webhook", "tag": "1", "digest": digest}
    given: Values = {"image": {"registry": "r.example"}, "webhook": {"image": image}}
    assert container(charts.render(given), "webhook")["image"] == f"r.example/x/webhook@{digest}"
    own = yaml.safe_load((charts.PATH / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    assert container(charts.render(given), "operator")["image"] == f"r.example/bailiwick-operator:{own}"
    assert container(charts.render(), "webhook")["image"] == f"bailiwick-webhook:{own}"
    shared: Values = {"global": {"imageRegistry": "all.example"}}
    assert container(charts.render(shared), "webhook")["image"] == f"all.example/bailiwick-webhook:{own}"


def test_a_limit_of_memory_is_set_and_none_of_cpu() -> None:
    for component in ("webhook", "operator"):
        resources = container(charts.render(), component)["resources"]
        assert resources["limits"].keys() == {"memory"}
        assert resources["requests"].keys() == {"cpu", "memory"}


def test_ids_may_be_the_platforms() -> None:
    (path,) = (path for path in charts.CI if path.stem == "openshift-values")
    for name, pod in charts.render(charts.ci(path)).pods().items():
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & pod["securityContext"].keys(), name
        assert pod["securityContext"]["runAsNonRoot"] is True


@EVERY
def test_selectors_find_the_pods_of_their_component_and_no_others(path: Path) -> None:
    rendering = charts.render(charts.ci(path))
    for one in rendering.of("Deployment"):
        chosen = one["spec"]["selector"]["matchLabels"]
        assert chosen.keys() == {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}
        assert chosen.items() <= one["spec"]["template"]["metadata"]["labels"].items()
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in rendering.of("Deployment")]
    for selector in (
        *(one["spec"]["selector"] for one in rendering.of("Service")),
        *(one["spec"]["selector"]["matchLabels"] for one in rendering.of("PodDisruptionBudget")),
        *(one["spec"]["podSelector"]["matchLabels"] for one in rendering.of("NetworkPolicy")),
    ):
        assert len([one for one in labels if selector.items() <= one.items()]) == 1


def test_other_issuers_take_other_pods() -> None:
    def annotations(name: str) -> Object:
        given = {"issuers": [{"name": name, "issuer": "https://login.corp.example"}]}
        found: Object = charts.render(given).one("Deployment", "bailiwick-webhook")["spec"]["template"]["metadata"]
        return found

    assert annotations("corp") == annotations("corp")
    assert annotations("corp") != annotations("other")
