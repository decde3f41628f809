"""That the node of the test cluster is one: pods run as they do elsewhere, and reach each other as they do elsewhere.

Everything else in this folder stands on it.
"""

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from bailiwick_api.accounts import TRUST_BUNDLE, TRUST_SIGNER
from cluster.operator.certificates.certificates import FOREIGN, now
from localcluster.node.cluster import NodeCluster
from support.callers import Callers
from support.certificates import self_signed
from support.installation import accepted
from support.node.pods import Pods, container, pod_spec, python
from support.waits import until

WEB = {"app": "web"}
# Answers each GET with the name of the pod.
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["HOSTNAME"].encode())
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
# Refuses every object that is called `forbidden`, as an admission webhook.
WEBHOOK = """
import http.server, json, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        allowed = request["name"] != "forbidden"
        review["response"] = {"uid": request["uid"], "allowed": allowed, "status": {"message": "said the pod"}}
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps(review).encode())
server = http.server.ThreadingHTTPServer(("", 8443), Handler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def ready_on(port: int) -> dict[str, Any]:
    return {"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1}}


def test_a_pod_that_asks_for_more_than_the_restricted_profile_is_refused(pods: Pods, callers: Callers) -> None:
    loose = container(securityContext={})
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": pods.namespace, "name": "loose"},
        "spec": pod_spec(loose),
    }
    assert "violates PodSecurity" in callers.admin.create(body).message


def test_a_pod_runs_as_nobody_on_a_file_system_that_it_cannot_write(pods: Pods) -> None:
    code = """
import os, pathlib
print(os.getuid(), pathlib.Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0])
try:
    pathlib.Path("/written").touch()
except OSError as error:
    print(error.strerror)
"""
    assert pods.run("who", pod_spec(python(code))).split("\n")[:2] == ["65532 " + "0" * 16, "Read-only file system"]


def test_a_service_answers_this_machine_and_other_pods_by_address_and_by_name(pods: Pods) -> None:
    pods.start("web-0", pod_spec(python(SERVER, **ready_on(8080))), WEB)
    pods.start("web-1", pod_spec(python(SERVER, **ready_on(8080))), WEB)
    address = pods.service("web", WEB, 80, 8080)

    def answers() -> set[str]:
        # Until the node has taken the Service up, nobody is at that address.
        with contextlib.suppress(requests.ConnectionError):
            return {requests.get(f"http://{address}", timeout=1).text for _ in range(8)}
        return set()

    until(lambda: answers() == {"web-0", "web-1"}, "both pods answer this machine through the Service")
    by_address = pods.run("by-address", pod_spec(python(FETCH, f"http://{address}")))
    by_name = pods.run("by-name", pod_spec(python(FETCH, f"http://web.{pods.namespace}.svc.cluster.local")))
    by_short_name = pods.run("by-short-name", pod_spec(python(FETCH, "http://web")))
    assert {by_address.strip(), by_name.strip(), by_short_name.strip()} <= {"web-0", "web-1"}


def test_a_pod_reaches_itself_through_its_service(pods: Pods) -> None:
    pods.service("own", {"app": "own"}, 80, 8080)
    code = f"""
import threading, time, urllib.request
threading.Thread(target=exec, args=({SERVER!r}, {{}}), daemon=True).start()
for _ in range(100):
    try:
        print(urllib.request.urlopen("http://own", timeout=2).read().decode())
        break
    except OSError:
        time.sleep(0.2)
"""
    assert pods.run("own-0", pod_spec(python(code, **ready_on(8080))), {"app": "own"}).strip() == "own-0"


def test_a_projected_token_names_its_pod_and_its_node_and_the_server_believes_it(pods: Pods, callers: Callers) -> None:
    code = "print(open('/token/token').read())"
    source = {"serviceAccountToken": {"audience": "crm-api.crm", "path": "token", "expirationSeconds": 600}}
    volume = {"name": "token", "projected": {"sources": [source]}}
    mount = {"volumeMounts": [{"name": "token", "mountPath": "/token"}]}
    token = pods.run("holder", pod_spec(python(code, **mount), volumes=[volume])).strip()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    bound = claims["kubernetes.io"]
    assert claims["aud"] == ["crm-api.crm"]
    assert bound["pod"] == {"name": "holder", "uid": pods.get("holder")["metadata"]["uid"]}
    assert bound["node"]["name"] == "node"


@pytest.mark.timeout(700)
def test_a_pod_of_any_namespace_mounts_the_authority_and_sees_the_next_one(pods: Pods, callers: Callers) -> None:
    first, second = (FOREIGN.authority(now()).certificate for _ in range(2))

    def publish(text: str) -> None:
        """Write the bundle as the operator does."""
        spec = {"signerName": TRUST_SIGNER, "trustBundle": text}
        metadata = {"name": TRUST_BUNDLE}
        body = {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle", "metadata": metadata}
        accepted(callers.admin.apply({**body, "spec": spec}, "operator", force=True))

    publish(first)
    code = """
import time
def count(): return open("/bailiwick/ca.crt").read().count("BEGIN CERTIFICATE")
print("mounted", count(), flush=True)
while count() < 2: time.sleep(1)
print("both", flush=True)
time.sleep(600)
"""
    # As docs/operations/install.md has it.
    source = {"clusterTrustBundle": {"name": TRUST_BUNDLE, "path": "ca.crt"}}
    volume = {"name": "bailiwick", "projected": {"sources": [source]}}
    mount = {"volumeMounts": [{"name": "bailiwick", "mountPath": "/bailiwick", "readOnly": True}]}
    pods.start("trusting", pod_spec(python(code, **mount), volumes=[volume]))
    until(lambda: pods.log("trusting") == "mounted 1\n", "the pod has the authority")
    publish(first + second)
    # The kubelet looks at a pod every 60 to 90 seconds, and keeps what it read of a bundle for 300.
    until(lambda: pods.log("trusting").endswith("both\n"), "the pod sees both authorities", 450)


def test_the_api_server_asks_a_webhook_that_is_a_pod_by_its_service(
    pods: Pods, callers: Callers, tmp_path: Path
) -> None:
    name = f"hook.{pods.namespace}.svc"
    certificate, key = self_signed(tmp_path, name)
    tls = {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}
    metadata = {"namespace": pods.namespace, "name": "tls"}
    accepted(callers.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": tls}))
    mount = {"volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}
    serving = pod_spec(
        python(WEBHOOK, **mount, **ready_on(8443)), volumes=[{"name": "tls", "secret": {"secretName": "tls"}}]
    )
    pods.start("hook", serving, {"app": "hook"})
    pods.service("hook", {"app": "hook"}, 443, 8443)
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": pods.namespace},
        "webhooks": [
            {
                "name": "pod.tests.bailiwick.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 5,
                "clientConfig": {
                    "service": {"namespace": pods.namespace, "name": "hook", "path": "/"},
                    "caBundle": base64.b64encode(certificate.read_bytes()).decode(),
                },
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}},
                "rules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
                ],
            }
        ],
    }
    accepted(callers.admin.create(configuration))
    try:

        def create(name: str) -> tuple[int, str]:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"namespace": pods.namespace, "name": name},
            }
            answer = callers.admin.create(body, dry_run=True)
            return answer.status, answer.message

        until(lambda: "said the pod" in create("forbidden")[1], "the pod is asked, and refuses")
        assert create("other")[0] == requests.codes.created
    finally:
        callers.admin.delete(configuration)


def test_nothing_of_the_node_is_seen_on_this_machine_but_its_link(node: NodeCluster) -> None:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert str(node.folder) not in mounts
    assert node.node.name in {path.name for path in Path("/sys/class/net").iterdir()}
