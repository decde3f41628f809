"""Bailiwick as pods: the operator and a decision point, by plain manifests, under the restricted profile.

Holds: what returns from here has rolled out: every pod is ready. How a user installs it is the chart's matter; here the
images are what is looked at, so these manifests have no more than a pod needs.
"""

from functools import partial
from http import HTTPStatus
from typing import Any, Final

from bailiwick_api.accounts import CA_CONFIG_MAP, GUARD_CONFIG_MAP, SERVING_SECRET, Installation
from bailiwick_api.manifests import generate
from localcluster.node import images
from localcluster.rest import Rest
from support.installation import MANAGER, accepted
from support.node.pods import RESTRICTED, container, pod_spec
from support.waits import until, until_ok

WEBHOOK: Final = "bailiwick-webhook"
OPERATOR: Final = "bailiwick-operator"
_ROLLOUT_SECONDS: Final = 90.0


def start(admin: Rest, installation: Installation) -> str:
    """Start both, and return the authority that clients of the decision point have to trust, as PEM."""
    namespace = installation.namespace
    labelled = {"metadata": {"name": namespace, "labels": RESTRICTED}}
    for body in ({"apiVersion": "v1", "kind": "Namespace", **labelled}, _service(namespace)):
        accepted(admin.apply(body, MANAGER, force=True))
    _roll_out(admin, _deployment(namespace, OPERATOR, _operator()))
    # What the operator issues after a pod has started reaches the pod only when its kubelet looks again.
    serving = f"/api/v1/namespaces/{namespace}/secrets/{SERVING_SECRET}"
    until(lambda: accepted(admin.get(serving)).get("data", {}).get("tls.crt"), "a certificate is issued")
    _roll_out(admin, _deployment(namespace, WEBHOOK, _webhook(namespace)))
    published = accepted(admin.get(f"/api/v1/namespaces/{namespace}/configmaps/{CA_CONFIG_MAP}"))
    return str(published["data"]["ca.crt"])


def remove(admin: Rest, installation: Installation) -> None:
    """Take away everything of an installation, however it came to be, and wait until it is gone.

    The tests of a node share one cluster: who installs by Helm finds objects of ours in the way, and we those of Helm.
    """
    documents = [document for file in generate.manifests(installation).values() for document in file]
    for document in documents:
        gone = admin.delete(document)
        assert gone.ok or gone.status == HTTPStatus.NOT_FOUND, gone.message
    kept = [document for document in documents if document["kind"] in {"Namespace", "CustomResourceDefinition"}]
    for document in kept:
        until(partial(_is_gone, admin, document), f"{document['metadata']['name']} is gone", _ROLLOUT_SECONDS)


def await_proven(admin: Rest, installation: Installation) -> None:
    """Wait until the operator has proven the guards once; before that no approval counts."""
    path = f"/api/v1/namespaces/{installation.namespace}/configmaps/{GUARD_CONFIG_MAP}"
    until_ok(lambda: admin.get(path), "the guards are proven", _ROLLOUT_SECONDS)


def pods_of(admin: Rest, namespace: str, name: str) -> list[dict[str, Any]]:
    """Return the pods of a Deployment."""
    listed = accepted(admin.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"app={name}"))
    return list(listed["items"])


def _operator() -> dict[str, Any]:
    main = container(
        images.reference("operator"),
        args=["--health-port=8080"],
        ports=[{"name": "health", "containerPort": 8080}],
        readinessProbe=_probe("/healthz", "health"),
    )
    return pod_spec(main, serviceAccountName=OPERATOR, automountServiceAccountToken=True)


def _webhook(namespace: str) -> dict[str, Any]:
    main = container(
        images.reference("webhook"),
        args=[
            *("--host=0.0.0.0", "--status-host=0.0.0.0"),
            *("--tls-cert-file=/etc/bailiwick/tls/tls.crt", "--tls-key-file=/etc/bailiwick/tls/tls.key"),
            f"--external-url=https://{WEBHOOK}.{namespace}.svc",
        ],
        ports=[
            {"name": "https", "containerPort": 8443},
            {"name": "admission", "containerPort": 9443},
            {"name": "status", "containerPort": 8081},
        ],
        readinessProbe=_probe("/readyz", "status"),
        volumeMounts=[{"name": "tls", "mountPath": "/etc/bailiwick/tls", "readOnly": True}],
    )
    volumes = [{"name": "tls", "secret": {"secretName": SERVING_SECRET}}]
    return pod_spec(main, serviceAccountName=WEBHOOK, automountServiceAccountToken=True, volumes=volumes)


def _service(namespace: str) -> dict[str, Any]:
    ports = [{"name": "https", "port": 443, "targetPort": "https"}]
    ports += [{"name": "admission", "port": 9443, "targetPort": "admission"}]
    ports += [{"name": "status", "port": 8081, "targetPort": "status"}]
    metadata = {"namespace": namespace, "name": WEBHOOK}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": WEBHOOK}, "ports": ports},
    }


def _deployment(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _probe(path: str, port: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1, "failureThreshold": 60}


def _roll_out(admin: Rest, deployment: dict[str, Any]) -> None:
    accepted(admin.apply(deployment, MANAGER, force=True))
    metadata = deployment["metadata"]
    ready = partial(_rolled_out, admin, metadata["namespace"], metadata["name"])
    until(ready, f"{metadata['name']} has rolled out", _ROLLOUT_SECONDS)


def _rolled_out(admin: Rest, namespace: str, name: str) -> bool:
    deployment = accepted(admin.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"))
    return bool(deployment["status"].get("readyReplicas") == deployment["spec"]["replicas"])


def _is_gone(admin: Rest, document: dict[str, Any]) -> bool:
    return admin.get(document).status == HTTPStatus.NOT_FOUND
