"""The values: each changes something, each is bounded, and what does not go together is refused with a reason."""

import json
from typing import Any, Final

import pytest
from helm_python import HelmError, HelmValuesError

from bailiwick_api.accounts import CA_SECRET, SERVING_SECRET, SIGNING_KEYS_SECRET, WITNESS_SECRET
from chartmaker import schema, values
from chartmaker.values import Value
from support import charts
from support.charts import Values

pytestmark = pytest.mark.long

LEAVES: Final = {
    ".".join(leaf.path): leaf
    for value in values.read((charts.PATH / "values.yaml").read_text(encoding="utf-8"))
    for leaf in value.leaves()
}
ALERT: Final = "BailiwickAbsent"
PROMETHEUS: Final[Values] = {"monitoring": {"prometheusRule": {"enabled": True}}}
RECORDED: Final[Values] = {
    "webhook": {"record": {"file": "/var/lib/bailiwick/x", "volume": {"emptyDir": {}}, "hmacKey": {"secretName": "x"}}}
}
SHIPPED: Final[Values] = {
    "clusterName": "prod",
    "webhook": {"record": {**RECORDED["webhook"]["record"], "shipper": {"url": "s3://records"}}},
}
SCALED: Final[Values] = {"webhook": {"autoscaling": {"enabled": True}}}
CERT_MANAGER: Final[Values] = {"tls": {"mode": "certManager"}}
COUNTING: Final[Values] = {"coverage": {"enabled": True}}
NOTIFYING: Final[Values] = {"notifications": {"namespaceTargets": "all", "consoleURL": "https://a.example"}}
TWO_OPERATORS: Final[Values] = {"operator": {"replicas": 2}}
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIHQznlUg1RO4ZEzPEk2Hn7zqZ7t7mYc2n2u4cZ8V9lD"
REGISTRARS: Final[Values] = {
    "reviewers": {"registrars": [f"{KEY} first", f"{KEY} second"], "installation": "production"}
}
ISSUERS: Final[Values] = {"issuers": [{"name": "corp", "issuer": "https://login.corp.example"}]}
SIGNALS: Final[Values] = {
    "issuers": [
        {
            **ISSUERS["issuers"][0],
            "signals": {
                "pollURL": "https://login.corp.example/poll",
                "tokenFile": "ssf.token",
                "audience": "https://bailiwick.example.com",
                "maxTokenSeconds": 3600,
            },
        }
    ]
}
CONSOLE: Final[Values] = {
    "console": {
        "publicURL": "https://bailiwick.example.com",
        "issuer": "https://login.example.com",
        "clientID": "bailiwick",
        "clientSecret": {"secretName": "x"},
        "issuerCA": {"configMapName": "x"},
        "tls": {"secretName": "x"},
    }
}
WITH_CONSOLE: Final[Values] = charts.merged(CONSOLE, {"console": {"enabled": True}})
CONFIG_MAP: Final = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}

# What a value becomes, where flipping, counting up or the next choice would not do.
CHANGED: Final[dict[str, Any]] = {
    "nameOverride": "pdp",
    "fullnameOverride": "boundary",
    "namespaceOverride": "security",
    "clusterName": "production-east",
    "commonLabels": {"a": "b"},
    "commonAnnotations": {"a": "b"},
    "global.imageRegistry": "registry.corp.example",
    "webhook.kubernetesEndpoint": "other",
    "global.imagePullSecrets": [{"name": "x"}],
    "image.registry": "registry.corp.example",
    "imagePullSecrets": [{"name": "x"}],
    "humanUsernamePrefixes": ["oidc:"],
    "issuers": ISSUERS["issuers"],
    "issuerFiles": {"x.crt": "x"},
    "issuerSecretName": "x",
    "reviewers.registrars": REGISTRARS["reviewers"]["registrars"],
    "reviewers.rpID": "approvals.example.com",
    "reviewers.origins": ["https://approvals.example.com"],
    "reviewers.installation": "staging",
    "tls.extraNames": ["pdp.example.com"],
    "tls.certManager.issuerRef": {"name": "x"},
    "console.tls.issuerRef": {"name": "x"},
    "tls.certManager.duration": "24h",
    "tls.certManager.renewBefore": "8h",
    "webhook.externalURL": "https://pdp.example.com",
    "webhook.otlpEndpoint": "http://otel-collector.monitoring:4318",
    "webhook.shadowShare": 0.5,
    "webhook.record.file": "/var/lib/bailiwick/y",
    "webhook.record.volume": {"hostPath": {"path": "/x"}},
    "webhook.clientCA.configMapName": "y",
    "webhook.clientCA.entry": "y",
    "webhook.record.hmacKey.secretName": "y",
    "webhook.record.hmacKey.entry": "y",
    "webhook.record.shipper.url": "gs://records/decisions",
    "webhook.record.shipper.secretName": "y",
    "webhook.record.shipper.extraEnv": [{"name": "X", "value": "y"}],
    "webhook.record.shipper.resources": {"requests": {"cpu": "2"}},
    "webhook.service.ipFamilies": ["IPv6"],
    "webhook.autoscaling.metrics": [{"type": "Pods"}],
    "webhook.autoscaling.behavior": {"scaleUp": {}},
    "notifications.secretName": "x",
    "notifications.consoleURL": "https://console.example.com",
    "notifications.namespaceAllowedCIDRs": ["10.0.0.0/8"],
    "notifications.namespaceRefusedCIDRs": ["192.0.2.0/24"],
    "notifications.egressPorts": [443, 587],
    "notifications.egressCIDRs": ["203.0.113.0/24"],
    "networkPolicy.decisionFrom": [{"podSelector": {}}],
    "networkPolicy.admissionCIDRs": ["10.0.0.2/32"],
    "networkPolicy.admissionFrom": [{"podSelector": {}}],
    "networkPolicy.metricsFrom": [],
    "networkPolicy.egressCIDRs": ["10.0.0.0/8"],
    "networkPolicy.egressPorts": [6443],
    "networkPolicy.extraEgress": [{"to": [{"podSelector": {}}]}],
    "monitoring.serviceMonitor.interval": "10s",
    "monitoring.podMonitor.interval": "10s",
    "monitoring.prometheusRule.runbookURL": "https://docs.corp.example",
    "monitoring.prometheusRule.without": [ALERT],
    "extraObjects": [CONFIG_MAP],
    **{
        f"{component}.{name}": changed
        for component in ("webhook", "operator", "console")
        for name, changed in {
            "image.repository": "other",
            "image.tag": "1.2.3",
            "image.digest": f"sha256:{'0' * 64}",
            "serviceAccount.name": "other",
            "serviceAccount.annotations": {"a": "b"},
            "resources": {"requests": {"cpu": "2"}},
            "topologySpreadConstraints": [{"maxSkew": 2}],
            "affinity": {"nodeAffinity": {}},
            "nodeSelector": {"a": "b"},
            "tolerations": [{"operator": "Exists"}],
            "priorityClassName": "high",
            "podLabels": {"a": "b"},
            "podAnnotations": {"a": "b"},
            "podSecurityContext": {"runAsUser": 1},
            "securityContext": {"privileged": False},
            "extraArgs": ["--x"],
            "extraEnv": [{"name": "X", "value": "y"}],
            "extraVolumes": [{"name": "x", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "x", "mountPath": "/x"}],
        }.items()
        if f"{component}.{name}" in LEAVES
    },
    "console.publicURL": "https://console.example.com",
    "console.issuer": "https://other.example.com",
    "console.clientID": "other",
    "console.clientSecret.secretName": "other",
    "console.clientSecret.entry": "other",
    "console.scopes": ["openid", "groups"],
    "console.issuerCA.configMapName": "other",
    "console.issuerCA.entry": "other",
    "console.namespace": "other",
    "console.tls.secretName": "other",
    "console.service.annotations": {"a": "b"},
    "console.from": [{"podSelector": {}}],
    **{
        f"monitoring.{name}.labels": {"a": "b"}
        for name in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard")
    },
    "webhook.service.annotations": {"a": "b"},
    "monitoring.dashboard.annotations": {"a": "b"},
}
# Beside which others a value can be seen at all.
BESIDE: Final[dict[str, Values]] = {
    **{name: RECORDED for name in LEAVES if name.startswith("webhook.record.")},
    **{name: SHIPPED for name in LEAVES if name.startswith("webhook.record.shipper.")},
    **{name: SCALED for name in LEAVES if name.startswith("webhook.autoscaling.") and not name.endswith("enabled")},
    **{name: CERT_MANAGER for name in LEAVES if name.startswith("tls.certManager.")},
    **{
        name: NOTIFYING
        for name in LEAVES
        if name.startswith("notifications.") and not name.endswith((".secretName", ".namespaceTargets"))
    },
    **{name: TWO_OPERATORS for name in LEAVES if name.startswith("operator.podDisruptionBudget.")},
    **{
        name: charts.nested((*leaf.path[:-1], "enabled"), value=True)
        for name, leaf in LEAVES.items()
        if leaf.path[0] == "monitoring" and leaf.path[-1] != "enabled"
    },
    "issuerFiles": ISSUERS,
    "issuerSecretName": ISSUERS,
    "reviewers.quorum": REGISTRARS,
    "reviewers.rpID": WITH_CONSOLE,
    "reviewers.origins": REGISTRARS,
    "reviewers.installation": REGISTRARS,
    "reviewers.registrars": {"reviewers": {"installation": "production"}},
    **{name: COUNTING for name in LEAVES if name.startswith("coverage.") and name != "coverage.enabled"},
    **{name: WITH_CONSOLE for name in LEAVES if name.startswith("console.")},
    "console.enabled": CONSOLE,
    "clusterName": WITH_CONSOLE,
    "console.tls.issuerRef": charts.merged(
        WITH_CONSOLE, {"console": {"tls": {"secretName": "", "issuerRef": {"name": "y"}}}}
    ),
    "webhook.clientCA.entry": {"webhook": {"clientCA": {"configMapName": "x"}}},
    **{
        f"{component}.serviceAccount.create": charts.nested((component, "serviceAccount", "name"), "other")
        for component in ("webhook", "operator")
    },
}


def another(leaf: Value) -> Any:  # noqa: ANN401 - any JSON value
    """Return another value that the schema allows."""
    if (name := ".".join(leaf.path)) in CHANGED:
        return CHANGED[name]
    if choices := (leaf.narrowed or {}).get("enum"):
        return next(choice for choice in choices if choice != leaf.default)
    if isinstance(leaf.default, bool):
        return not leaf.default
    assert isinstance(leaf.default, int), f"{name}: say in CHANGED what it could be"
    return leaf.default + 1


@pytest.mark.parametrize("name", LEAVES)
def test_each_value_changes_what_is_rendered(name: str) -> None:
    beside = BESIDE.get(name, {})
    changed = charts.merged(beside, charts.nested(LEAVES[name].path, another(LEAVES[name])))
    assert charts.texts(changed) != charts.texts(beside)


@pytest.mark.parametrize("name", sorted({*CHANGED, *BESIDE}))
def test_nothing_is_said_here_of_a_value_that_there_is_not(name: str) -> None:
    assert name in LEAVES


def objects(schema: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:  # noqa: ANN401 - any JSON value
    """Return the paths of the objects that hold values of ours."""
    found = [path]
    for name, below in schema.get("properties", {}).items():
        if "properties" in below and (*path, name) not in {leaf.path for leaf in LEAVES.values()}:
            found += objects(below, (*path, name))
    return found


SCHEMA: Final = json.loads((charts.PATH / "values.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", objects(SCHEMA), ids=".".join)
def test_no_object_takes_a_key_that_nobody_knows(path: tuple[str, ...]) -> None:
    with pytest.raises(HelmValuesError, match=r"additional properties 'nobodyKnows' not allowed"):
        charts.render(charts.nested((*path, "nobodyKnows"), 1))


@pytest.mark.parametrize("name", LEAVES)
def test_no_value_takes_another_type(name: str) -> None:
    wrong: Any = {"x": 1} if isinstance(LEAVES[name].default, str | int | list) else "x"
    with pytest.raises(HelmValuesError):
        charts.render(charts.nested(LEAVES[name].path, wrong))


BEYOND_THE_SCHEMA: Final[dict[str, Values]] = {
    "a registry with a scheme": {"image": {"registry": "https://registry.example"}},
    "a registry of a parent chart with a scheme": {"global": {"imageRegistry": "oci://registry.example"}},
    "a registry with a tag": {"image": {"registry": "registry.example/a:latest"}},
    "a registry that ends in a slash": {"image": {"registry": "registry.example/"}},
    "no decision point": {"webhook": {"replicas": 0}},
}


@pytest.mark.parametrize("given", BEYOND_THE_SCHEMA.values(), ids=BEYOND_THE_SCHEMA)
def test_a_value_that_would_never_work_is_refused(given: Values) -> None:
    with pytest.raises(HelmValuesError):
        charts.render(given)


@pytest.mark.parametrize(
    "registry", ["registry.example", "localhost:5000", "127.0.0.1:5000/team", "registry.example:443/a/b_c.d"]
)
def test_a_registry_is_a_host_with_a_port_and_a_path(registry: str) -> None:
    rendered = "".join(charts.texts({"image": {"registry": registry}}).values())
    assert f"{registry}/bailiwick-webhook" in rendered


REFUSED: Final[dict[str, tuple[Values, str]]] = {
    "kube-system": ({"namespaceOverride": "kube-system"}, "install Bailiwick in a separate namespace"),
    "staleness": ({"webhook": {"maxStalenessSeconds": 901}}, "must not exceed webhook.hardStalenessSeconds"),
    "a policy's budget": ({"budgets": {"policyBytes": 100663297}}, "must not exceed budgets.namespaceBytes"),
    "no limit within a limit": ({"budgets": {"policyBytes": 0}}, "must not exceed budgets.namespaceBytes"),
    "a namespace's budget": ({"budgets": {"namespaceBytes": 201326593}}, "must not exceed budgets.totalBytes"),
    "grace": ({"webhook": {"drainSeconds": 26}}, r"at least preStopSeconds \+ drainSeconds \+ 10"),
    "scaling": ({"webhook": {"autoscaling": {"enabled": True, "minReplicas": 11}}}, "minReplicas must not exceed"),
    "record without volume": ({"webhook": {"record": {"file": "/var/lib/bailiwick/x"}}}, "needs webhook.record.volume"),
    "volume without record": ({"webhook": {"record": {"volume": {"emptyDir": {}}}}}, "needs webhook.record.file"),
    "shipping from stdout": (
        {"clusterName": "prod", "webhook": {"record": {"shipper": {"url": "s3://records"}}}},
        "needs a file in webhook.record.file",
    ),
    "shipping without a cluster": ({"webhook": SHIPPED["webhook"]}, "needs clusterName"),
    "fsync of stdout": ({"webhook": {"record": {"fsync": True}}}, "fsync needs a file"),
    "one account": (
        {"webhook": {"serviceAccount": {"name": "x"}}, "operator": {"serviceAccount": {"name": "x"}}},
        "need different service accounts",
    ),
    "no account of the webhook": ({"webhook": {"serviceAccount": {"create": False}}}, "needs webhook.serviceAccount"),
    "no account of the operator": (
        {"operator": {"serviceAccount": {"create": False}}},
        "needs operator.serviceAccount.name",
    ),
    "lease": ({"operator": {"lease": {"renewSeconds": 15}}}, "durationSeconds > renewSeconds"),
    "retries": ({"operator": {"lease": {"retrySeconds": 9}}}, "1.2 times retrySeconds"),
    "keys": ({"operator": {"keyRotationSeconds": 600}}, "must exceed keyPublishSeconds"),
    "registrars of no installation": (
        charts.merged(REGISTRARS, {"reviewers": {"installation": ""}}),
        "reviewers.registrars needs reviewers.installation",
    ),
    "a quorum of nobody": (
        charts.merged(REGISTRARS, {"reviewers": {"quorum": 3}}),
        "quorum must not exceed the number of reviewers.registrars",
    ),
    "files of no issuer": ({"issuerFiles": {"x": "y"}}, "issuerFiles needs issuers"),
    "secret files of no issuer": ({"issuerSecretName": "x"}, "issuerSecretName needs issuers"),
    "signals without a token": (SIGNALS, "signals.tokenFile=ssf.token needs issuerSecretName"),
    "a token that everybody reads": (
        {**SIGNALS, "issuerSecretName": "x", "issuerFiles": {"ssf.token": "s3cret"}},
        "issuerFiles must not have ssf.token",
    ),
    "issuer of another mode": ({"tls": {"certManager": {"issuerRef": {"name": "x"}}}}, "needs tls.mode=certManager"),
    "names of a given certificate": (
        {"tls": {"mode": "existingSecret", "extraNames": ["x"]}},
        "not allowed with tls.mode=existingSecret",
    ),
    "authority": ({"tls": {"selfManaged": {"authoritySeconds": 86400}}}, "at least three times certificateSeconds"),
    "two monitors": (
        {"monitoring": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}},
        "counted twice",
    ),
    "processes in a pod": (
        {"webhook": {"processes": 2}},
        r"webhook\.processes was removed.*set webhook\.replicas or webhook\.autoscaling",
    ),
    **{
        f"a console without {name}": (
            charts.merged(WITH_CONSOLE, {"console": {name: ""}}),
            f"console.enabled needs console.{name}",
        )
        for name in ("publicURL", "issuer", "clientID")
    },
    "a console without openid": (charts.merged(WITH_CONSOLE, {"console": {"scopes": ["x"]}}), "must contain openid"),
    "a console without a certificate": (
        charts.merged(WITH_CONSOLE, {"console": {"tls": {"secretName": ""}}}),
        "needs console.tls.secretName",
    ),
    "a console that would take the decision point's authority": (
        charts.merged({**WITH_CONSOLE, **CERT_MANAGER}, {"console": {"tls": {"secretName": ""}}}),
        "needs console.tls.secretName.*or console.tls.issuerRef",
    ),
    **{
        f"a console whose issuer is {name}": (
            charts.merged(WITH_CONSOLE, {"console": {"tls": {"secretName": "", "issuerRef": {"name": name}}}}),
            "it signs for the decision point alone",
        )
        for name in ("bailiwick-ca", "bailiwick-selfsigned")
    },
    "a console with a certificate and an issuer": (
        charts.merged(WITH_CONSOLE, {"console": {"tls": {"issuerRef": {"name": "x"}}}}),
        "set either console.tls.secretName or",
    ),
    **{
        f"a console under the name {name}": (
            charts.merged(
                WITH_CONSOLE,
                {
                    "namespaceOverride": "bw",
                    "tls": {"extraNames": ["pdp.example.com"]},
                    "webhook": {"externalURL": "https://decide.example.com:8443"},
                    "console": {"publicURL": f"https://{name}"},
                },
            ),
            "console.publicURL must not be",
        )
        for name in (
            "bailiwick-webhook",
            "bailiwick-webhook.bw",
            "bailiwick-webhook.bw.svc",
            "Bailiwick-Webhook.BW.svc:8443",
            "bailiwick-webhook.bw.svc.cluster.local",
            "bailiwick-webhook.bw.svc.corp.example",
            "bailiwick-operator.bw.svc",
            "pdp.example.com",
            "decide.example.com",
        )
    },
    **{
        f"a console with {secret} as {name}": (
            charts.merged(
                {**WITH_CONSOLE, "webhook": {"record": {"hmacKey": {"secretName": "hmac"}}}},
                {"console": {name: {"secretName": secret}}},
            ),
            rf"console\.{name}\.secretName must not be {secret}",
        )
        for secret in (SIGNING_KEYS_SECRET, CA_SECRET, SERVING_SECRET, WITNESS_SECRET, "hmac")
        for name in ("tls", "clientSecret")
    },
    **{
        f"a console with the account of the {component}": (
            charts.merged(WITH_CONSOLE, {"console": {"serviceAccount": {"name": f"bailiwick-{component}"}}}),
            "must be an account of its own",
        )
        for component in ("webhook", "operator")
    },
    "one process in a pod": ({"webhook": {"processes": 1}}, r"webhook\.processes was removed"),
    "a silence of processes": (
        {"webhook": {"processSilenceSeconds": 30}},
        r"webhook\.processSilenceSeconds was removed.*the liveness probe",
    ),
    "networks for targets of nobody": (
        {"notifications": {"namespaceAllowedCIDRs": ["10.0.0.0/8"]}},
        "need notifications.namespaceTargets",
    ),
    "rules left out of none": ({"monitoring": {"prometheusRule": {"without": [ALERT]}}}, "needs monitoring.prom"),
}


@pytest.mark.parametrize(("given", "why"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_together_is_refused_with_a_reason(given: Values, why: str) -> None:
    with pytest.raises(HelmError, match=why):
        charts.render(given)


@pytest.mark.parametrize("path", schema.REMOVED, ids=".".join)
def test_a_value_that_was_removed_is_refused_by_its_name_until_it_is_null(path: tuple[str, ...]) -> None:
    # The schema is no help there: Helm would say that it does not know the value, and nothing of what to do.
    with pytest.raises(HelmError, match=f"{'.'.join(path)} was removed"):
        charts.render(charts.nested(path, "x"))
    assert charts.texts(charts.nested(path, None)) == charts.texts({})


WARNED: Final[dict[str, tuple[Values, str]]] = {
    "one replica": ({"webhook": {"replicas": 1}}, "WARNING: with 1 replica"),
    "no guards": ({"guards": {"install": False}}, "WARNING: guards.install=false"),
    "no admission": ({"admission": {"enabled": False}}, "WARNING: admission.enabled=false"),
    "definitions go": ({"crds": {"keep": False}}, "WARNING: crds.keep=false"),
    "open network": ({"networkPolicy": {"enabled": False}}, "WARNING: networkPolicy.enabled=false"),
}


@pytest.mark.parametrize(("given", "warning"), WARNED.values(), ids=WARNED)
def test_what_is_dangerous_is_allowed_and_told(given: Values, warning: str) -> None:
    assert warning in charts.notes(given)
    assert "WARNING" not in charts.notes()


def test_images_from_nowhere_are_told() -> None:
    assert "image.registry is empty" in charts.notes()
    for given in ({"image": {"registry": "registry.example"}}, {"global": {"imageRegistry": "registry.example"}}):
        assert "image.registry" not in charts.notes(given)
