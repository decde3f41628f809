"""What of an object a decision is about."""

from typing import Any

import pytest

from bailiwick_webhook.http.adapters.k8sobject import replaced, written

Object = dict[str, Any]
WRITTEN: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "r/web:1", "ports": [{"containerPort": 80}]}]},
        },
    },
}
# As the API server shows it to a webhook.
SHOWN: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "labels": {"app": "web"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "uid": "5f1c",
        "generation": 1,
        "creationTimestamp": "2026-11-27T00:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"creationTimestamp": None, "labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "r/web:1",
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "imagePullPolicy": "IfNotPresent",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                    }
                ],
                "dnsPolicy": "ClusterFirst",
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "terminationGracePeriodSeconds": 30,
            },
        },
    },
    "status": {},
}


def test_what_the_api_server_adds_makes_no_difference() -> None:
    assert written("apps/deployments", SHOWN) == written("apps/deployments", WRITTEN)
    assert written("apps/deployments", WRITTEN) == {
        "apiVersion": "apps/v1",
        "metadata": {"labels": {"app": "web"}},
        "spec": WRITTEN["spec"],
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicas"), 2),
        (("spec", "replicas"), True),
        (("spec", "strategy"), {"type": "Recreate"}),
        (("spec", "template", "spec", "hostNetwork"), True),
        (("spec", "template", "spec", "serviceAccount"), "other"),
        (("spec", "template", "spec", "dnsPolicy"), "Default"),
        (("spec", "template", "spec", "securityContext"), {"runAsUser": 0}),
        (("spec", "template", "spec", "containers", 0, "image"), "r/other:1"),
        (("spec", "template", "spec", "containers", 0, "imagePullPolicy"), "Always"),
        (("spec", "template", "spec", "containers", 0, "ports", 0, "protocol"), "UDP"),
        (("spec", "template", "metadata", "labels", "app"), "other"),
        (("metadata", "annotations"), {"note": "x"}),
        (("metadata", "ownerReferences"), [{"uid": "u"}]),
        (("apiVersion",), "apps/v2"),
    ],
    ids=str,
)
def test_whatever_else_somebody_writes_does(path: tuple[Any, ...], value: object) -> None:
    def changed(found: Any, steps: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any JSON value
        if not steps:
            return value
        step, *rest = steps
        copied = found.copy()
        copied[step] = changed(found[step] if isinstance(found, list) or step in found else {}, tuple(rest))
        return copied

    assert written("apps/deployments", changed(SHOWN, path)) != written("apps/deployments", WRITTEN)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("r:5000/web", "Always"),
        ("r:5000/web:1", "IfNotPresent"),
        ("web@sha256:00", "IfNotPresent"),
    ],
)
def test_how_an_image_is_pulled_by_default_hangs_on_its_tag(image: str, policy: str) -> None:
    def one(**more: str) -> Object:
        container = {"name": "web", "image": image, **more}
        return {"apiVersion": "apps/v1", "spec": {"template": {"spec": {"containers": [container]}}}}

    assert written("apps/deployments", one(imagePullPolicy=policy)) == written("apps/deployments", one())
    assert written("apps/deployments", one(imagePullPolicy="Never")) != written("apps/deployments", one())


def test_other_kinds_keep_every_member_and_only_their_own_status_goes() -> None:
    found = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"replicas": 1}, "status": {"a": 1}}
    kept = {"apiVersion": "v1", "spec": {"replicas": 1}}
    assert written("example.com/xs", found) == {**kept, "status": {"a": 1}}
    assert written("batch/jobs", found) == kept
    assert written("batch/jobs/status", found) == {**kept, "status": {"a": 1}}


@pytest.mark.parametrize("kind", ["services", "apps/deployments", "example.com/backups"])
def test_what_an_update_replaces_is_the_same_whatever_its_status_is(kind: str) -> None:
    old = {"metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"x": 1}}
    assert replaced(kind, old | {"status": {"ready": 1}}) == replaced(kind, old | {"status": {"ready": 2}})
    assert replaced(kind, old) != replaced(kind, old | {"spec": {"x": 2}})
    assert replaced(kind, old) != replaced(kind, old | {"metadata": {"name": "a", "labels": {"b": "d"}}})


def test_an_update_of_the_status_replaces_that() -> None:
    assert replaced("services/status", {"status": {"ready": 1}}) != replaced(
        "services/status", {"status": {"ready": 2}}
    )
