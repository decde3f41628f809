"""Bailiwick's images run as they are meant to: as nobody, on a file system that they cannot write, and alone."""

import json
import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_api.accounts import ENFORCER_AUDIENCE, Installation
from localcluster.access import Cluster
from localcluster.node import images
from localcluster.node.cluster import NodeCluster
from localcluster.progress import Silent
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import MANAGER, accepted, apply
from support.node import bailiwick, mcp
from support.node.bailiwick import OPERATOR, WEBHOOK
from support.node.pods import Pods, container, pod_spec, python
from support.waits import until, until_ok

ROOT: Final = Path(__file__).resolve().parents[2]
CRM: Final = ROOT / "examples" / "crm"
# Asks the decision point, as the CRM's API would: with its own token, and its caller's.
ENFORCER: Final = """
import json, ssl, sys, time, urllib.error, urllib.request
url, subject_token = sys.argv[1:]
asking = {
    "subject": {"type": "serviceAccount", "id": "system:serviceaccount:agents:crm-agent"},
    "resource": {"type": "customer", "id": "acme"},
    "context": {"evidence": {"subject_token": subject_token}},
}
context = ssl.create_default_context(cafile="/trusted/ca.crt")
for action in ("customers.list", "customers.export"):
    headers = {"Authorization": "Bearer " + open("/token/token").read(), "Content-Type": "application/json"}
    body = json.dumps({**asking, "action": {"name": action}}).encode()
    for _ in range(100):
        try:
            answer = urllib.request.urlopen(urllib.request.Request(url, body, headers), context=context, timeout=10)
            said = json.load(answer)
            # What the operator has proven reaches the decision point a moment later.
            if said["context"]["reason"] != "approval_unverifiable":
                break
        except urllib.error.HTTPError as error:
            # The policy is not known yet: until then nobody may ask.
            if error.code != 403:
                raise
        time.sleep(0.2)
    print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def trusted(callers: Callers, installed: Installation) -> str:
    """The decision point's authority: both images run when this is there, and approvals count."""
    authority = bailiwick.start(callers.admin, installed)
    bailiwick.await_proven(callers.admin, installed)
    return authority


def apply_example(admin: Rest) -> None:
    apply(admin, yaml.safe_load_all((CRM / "accounts.yaml").read_text(encoding="utf-8")))
    policy = yaml.safe_load((CRM / "policy.yaml").read_text(encoding="utf-8"))
    # The API server has the decision point compile it first, once it knows by whose authority that can be asked.
    until_ok(lambda: admin.apply(policy, MANAGER, force=True), "the policy is admitted", 60)


def test_a_pod_is_answered_by_the_decision_point_through_its_service(
    trusted: str, cluster: Cluster, callers: Callers, installed: Installation
) -> None:
    apply_example(callers.admin)
    metadata = {"namespace": "crm", "name": "trusted"}
    data = {"ca.crt": trusted}
    accepted(
        callers.admin.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, "tests")
    )
    source = {"serviceAccountToken": {"audience": ENFORCER_AUDIENCE, "path": "token", "expirationSeconds": 600}}
    volumes = [
        {"name": "token", "projected": {"sources": [source]}},
        {"name": "trusted", "configMap": {"name": "trusted"}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    url = f"https://{WEBHOOK}.{installed.namespace}.svc/endpoints/crm/crm-api/access/v1/evaluation"
    agent = cluster.service_account_token("agents", "crm-agent", ["crm-api.crm"], 600)
    asking = python(ENFORCER, url, agent, volumeMounts=mounts)
    said = Pods(callers.admin, "crm").run("enforcer", pod_spec(asking, volumes=volumes, serviceAccountName="crm-api"))
    listed, exported = (json.loads(line) for line in said.strip().split("\n"))
    assert listed["decision"] is True
    assert (exported["decision"], exported["context"]["reason"]) == (False, "approval_required")


def test_the_operator_finds_the_pod_of_the_decision_point_and_sees_the_policy_served(
    trusted: str, callers: Callers
) -> None:
    apply_example(callers.admin)
    path = "/apis/bailiwick.dev/v1alpha1/namespaces/crm/endpointpolicies/crm-agent"

    def served() -> str:
        conditions = accepted(callers.admin.get(path)).get("status", {}).get("conditions", ())
        found = [each for each in conditions if each["type"] == "Programmed" and each["status"] == "True"]
        return str(found[0]["message"]) if found else ""

    until(served, "the policy is programmed")
    assert served().startswith("1 of 1 processes")


@pytest.mark.parametrize("name", [WEBHOOK, OPERATOR])
def test_what_runs_is_the_image_of_this_checkout_by_its_digest(
    trusted: str, callers: Callers, installed: Installation, name: str
) -> None:
    short = name.removeprefix("bailiwick-")
    (image,) = images.ensure(Silent(), (short,))
    (pod,) = bailiwick.pods_of(callers.admin, installed.namespace, name)
    assert pod["status"]["containerStatuses"][0]["imageID"] == f"localhost/{name}@{image.digest}"


@pytest.fixture(scope="module")
def gateway_image(node: NodeCluster) -> str:
    """The image of the gateway before MCP servers, which nothing else here needs."""
    (image,) = images.ensure(Silent(), ("mcp-gateway",))
    node.load(image.archive)
    return image.reference


def test_an_agent_calls_a_tool_through_the_gateway_of_the_example(
    trusted: str, gateway_image: str, callers: Callers, tmp_path: Path
) -> None:
    admin = callers.admin
    mcp.start(admin, gateway_image, trusted, tmp_path)
    said = json.loads(mcp.as_the_agent(admin, gateway_image))
    assert said == {
        "tools": ["orders", "refund"],
        "orders": "8812",
        "refund": "approval_required",
        "approve": said["approve"],
        "wipe": "no_rule",
    }
    assert re.fullmatch(r"kubectl bailiwick approve agr-\w+ -n shop", said["approve"])


@pytest.mark.parametrize(
    ("image", "package", "absent"),
    [
        ("webhook", "bailiwick_webhook", ("kopf", "bailiwick_operator", "bailiwick")),
        ("operator", "bailiwick_operator", ("uvloop", "bailiwick_webhook", "bailiwick")),
        ("mcp-gateway", "bailiwick.mcp.gateway", ("kopf", "cel_expr_python", "bailiwick_webhook", "bailiwick_engine")),
    ],
)
def test_an_image_holds_all_that_its_process_imports_compiled_and_nothing_else(
    pods: Pods, gateway_image: str, image: str, package: str, absent: tuple[str, ...]
) -> None:
    code = f"""
import importlib, importlib.util, os, sys
beside = {(*absent, "bailiwick_cli", "bailiwick_console", "bailiwick_governance", "pip_tools")}
found = [name for name in beside if importlib.util.find_spec(name)]
importlib.import_module("{package}.main")
sources = [m.__spec__ for m in list(sys.modules.values()) if getattr(m, "__spec__", None)]
missing = [s.origin for s in sources if (s.origin or "").endswith(".py") and s.cached and not os.path.exists(s.cached)]
print(found, sys.flags.optimize, sys.flags.safe_path, len(sources) > 300, missing)
"""
    printed = pods.run("look", pod_spec(container(images.reference(image), command=["python3", "-c", code])))
    assert printed.strip() == "[] 1 True True []"
