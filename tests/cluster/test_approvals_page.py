"""What `docs/how-to/approvals.md` shows works: its commands are run, its objects are applied, on an API server.

Holds: the commands are run as they stand, but for the namespace, with GRANT and BINDING set as the page says.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from demo.ground import KUBECTL
from localcluster.access import Cluster
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles
from support.objects import DIGEST, Object, opened_grant, step
from support.pages import blocks, objects
from support.waits import until

pytestmark = pytest.mark.long

PAGE: Final = "how-to/approvals.md"
LOOKING, REVIEWING, REVOKING, ASKING, WRITING = range(5)


@pytest.fixture
def grant(callers: Callers, installed: Installation, namespace: str, roles: Roles) -> Object:
    """A grant that carol, of crm-owners, may review and revoke."""
    roles.bind("bailiwick-approve", "group:crm-owners")
    agent = {"type": "serviceAccount", "id": "system:serviceaccount:agents:crm-agent", "uid": "agent-uid"}
    body = opened_grant(namespace, subject=agent, steps=[step(groups=["crm-owners"])])
    stored = accepted(callers(installed.webhook).create(body))
    pending = {"status": {"phase": "Pending"}}
    return accepted(callers(installed.operator).patch(stored, pending, "merge", "status"))


def run(number: int, cluster: Cluster, stored: Object, **replaced: str) -> subprocess.CompletedProcess[str]:
    """Run a block of the page as carol; keywords are further words to replace."""
    script = blocks(PAGE, "sh")[number].replace("-n crm", f"-n {stored['metadata']['namespace']}")
    for old, new in replaced.items():
        assert old in script
        script = script.replace(old, new)
    environment = {
        "PATH": f"{Path(KUBECTL).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(cluster.kubeconfig("carol")),
        "GRANT": stored["metadata"]["name"],
        "BINDING": stored["spec"]["request"]["binding"]["digest"],
        "HOME": os.environ.get("HOME", "/"),
    }
    return subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_every_command_of_the_page_is_run_here() -> None:
    # The last two need the operator, and are run in front of it: `tests/e2e/test_pages.py`.
    assert len(blocks(PAGE, "sh")) == len({LOOKING, REVIEWING, REVOKING, ASKING, WRITING})


def test_looking_shows_the_grant_and_what_to_copy(cluster: Cluster, grant: Object) -> None:
    done = run(LOOKING, cluster, grant)
    assert done.returncode == 0, done.stderr
    assert f"digest: {DIGEST}" in done.stdout
    assert done.stdout.splitlines()[1].startswith(grant["metadata"]["name"])


@pytest.mark.parametrize("decision", ["Approve", "Deny"])
def test_the_patch_reviews(cluster: Cluster, callers: Callers, grant: Object, decision: str) -> None:
    done = run(REVIEWING, cluster, grant, Approve=decision)
    assert done.returncode == 0, done.stderr
    (review,) = accepted(callers.admin.get(grant))["spec"]["reviews"]
    assert (review["reviewer"], review["decision"], review["binding"]) == ("carol", decision, DIGEST)
    again = run(REVIEWING, cluster, grant)
    assert "Duplicate value" in again.stderr


def test_the_patch_of_somebody_else_is_refused_in_the_words_of_the_page(cluster: Cluster, grant: Object) -> None:
    done = run(REVIEWING, cluster, grant, carol="dave")
    assert "reviewer must be you: carol" in done.stderr


def test_the_patch_revokes(cluster: Cluster, callers: Callers, grant: Object) -> None:
    done = run(REVOKING, cluster, grant)
    assert done.returncode == 0, done.stderr
    assert accepted(callers.admin.get(grant))["spec"]["revocation"] == {"by": "carol", "reason": "incident closed"}


@pytest.mark.parametrize("number", range(len(objects(PAGE))))
def test_an_object_of_the_page_is_accepted(
    number: int, callers: Callers, installed: Installation, namespace: str
) -> None:
    body = objects(PAGE)[number]
    body["metadata"]["namespace"] = namespace
    path = f"{callers.admin.path(body).rpartition('/')[0]}?fieldValidation=Strict"
    assert callers.admin.create(body, path).message == ""


def test_a_full_quota_refuses_new_requests_and_no_review(
    cluster: Cluster, callers: Callers, installed: Installation, grant: Object
) -> None:
    (quota,) = (one for one in objects(PAGE) if one["kind"] == "ResourceQuota")
    namespace = grant["metadata"]["namespace"]
    quota["metadata"]["namespace"] = namespace
    quota["spec"]["hard"] = dict.fromkeys(quota["spec"]["hard"], "1")

    def counted() -> bool:
        """Make the quota anew, for the controller counts a kind that it has not heard of at its next round only."""
        callers.admin.delete(quota)
        accepted(callers.admin.create(quota))
        time.sleep(1)
        return "used" in callers.admin.get(quota).body["status"]

    until(counted, "grants are counted", 90)
    refused = callers(installed.webhook).create({**opened_grant(namespace, "second"), "spec": grant["spec"]})
    assert "exceeded quota" in refused.message
    assert run(REVIEWING, cluster, grant).returncode == 0
