"""The gate of examples/gates before a sync: what Argo CD does with it, and what happens if it says no.

There is no kubelet here: the test says how the gate's pod ended, and tests/cluster/cli/test_presync_gate.py types its
command. The repository holds what Kustomize builds, since the program that Argo CD would call is not here.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from argocd.team import Team, from_example
from demo.ground import KUBECTL
from support.gitops import Applications
from support.installation import MANAGER, accepted
from support.objects import POLICY, Object, rule
from support.pages import DOCS
from support.waits import until

GATES: Final = DOCS.parent / "examples" / "gates"
SERVER: Final = "https://kubernetes.default.svc"
WIDER: Final = [rule("read", actions=["customers.list", "customers.get"])]


class GatedTeam:
    """A team whose repository has the gate beside its policy."""

    def __init__(self, team: Team, applications: Applications, folder: Path) -> None:
        self.team = team
        self.admin = team.admin
        self.folder = folder
        self.namespace = f"{team.tenant.namespace}-gate"
        for name, copied in (("presync", "argocd-presync.yaml"), ("presync-kustomization", "kustomization.yaml")):
            (folder / copied).write_text(self._example(name), encoding="utf-8")
        (folder / "accepted").write_text("# none\n", encoding="utf-8")
        for document in yaml.safe_load_all(self._example("presync-setup")):
            accepted(self.admin.apply(document, MANAGER, force=True))
        documents = from_example(team.tenant.namespace, team.repository, server_side=False)
        project, app = (next(one for one in documents if one["kind"] == kind) for kind in ("AppProject", "Application"))
        project["spec"]["destinations"].append({"server": SERVER, "namespace": self.namespace})
        project["spec"]["namespaceResourceWhitelist"] += [
            {"group": "", "kind": "ConfigMap"},
            {"group": "batch", "kind": "Job"},
        ]
        # So that a sync ends once the gate has said no: otherwise it is asked again, five times if nothing is said.
        app["spec"]["syncPolicy"]["retry"] = {"limit": 0}
        for document in (project, app):
            accepted(self.admin.apply(document, MANAGER, force=True))

    def commit(self, **spec: Any) -> None:  # noqa: ANN401 - of a policy
        """Commit a policy, and what Kustomize makes of it and the gate."""
        (self.folder / "policies.yaml").write_text(yaml.safe_dump(self.team.policy(**spec)), encoding="utf-8")
        built = subprocess.run([KUBECTL, "kustomize", str(self.folder)], capture_output=True, text=True, check=True)
        documents = list(yaml.safe_load_all(built.stdout))
        assert sorted(one["kind"] for one in documents) == ["ConfigMap", "EndpointPolicy", "Job"]
        self.team.repository.write(f"{self.team.tenant.namespace}/{POLICY}.yaml", *documents)

    def pod(self) -> Object:
        """Wait for the pod of the gate that has the newest commit's files, and return it."""
        found: list[Object] = []

        def there() -> bool:
            self.team.app.refresh()
            files = self.admin.get(f"/api/v1/namespaces/{self.namespace}/configmaps/policy-gate").body.get("data", {})
            pods = accepted(self.admin.get(f"/api/v1/namespaces/{self.namespace}/pods"))["items"]
            found[:] = [pod for pod in pods if pod["status"]["phase"] == "Pending"]
            return bool(found) and files.get("policies.yaml") == (self.folder / "policies.yaml").read_text("utf-8")

        until(there, "the gate has begun", 60)
        return found[0]

    def end(self, pod: Object, code: int) -> None:
        """Say of the pod what a kubelet would: that its container ended with this code."""
        ended = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
        container = {"name": "diff", "state": ended, "image": "", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}
        where = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
        accepted(self.admin.patch(where, {"status": status}, "merge", "status"))

    def await_(self, holds: Callable[[Object], object], what: str) -> None:
        """Wait until the newest sync is as wanted."""
        try:
            until(lambda: holds(self.operation()), what, 20)
        except TimeoutError as error:
            job = self.admin.get(f"/apis/batch/v1/namespaces/{self.namespace}/jobs/policy-gate").body.get("status")
            error.add_note(yaml.safe_dump({"job": job, "operation": self.operation()}, sort_keys=False))
            raise

    def operation(self) -> Object:
        """Return what Argo CD says of the newest sync."""
        found: Object = self.team.app.status().get("operationState") or {}
        return found

    def _example(self, name: str) -> str:
        text = (GATES / (name if "." in name else f"argocd-{name}.yaml")).read_text(encoding="utf-8")
        for written in ("namespace: crm\n", "-n crm\n"):
            text = text.replace(written, written.replace("crm", self.team.tenant.namespace))
        return text.replace("crm-policy-gate", self.namespace)


@pytest.fixture
def gated(new_team: Callable[[bool], Team], applications: Applications, tmp_path: Path) -> GatedTeam:
    return GatedTeam(new_team(False), applications, tmp_path)


def test_nothing_is_applied_until_the_gate_has_passed_and_nothing_if_it_says_no(gated: GatedTeam) -> None:
    before = gated.team.live()["spec"]
    gated.commit(rules=WIDER)
    pod = gated.pod()
    gated.await_(lambda operation: "policy-gate" in operation.get("message", ""), "the sync waits for the gate")
    assert gated.operation()["phase"] == "Running"
    assert gated.team.live()["spec"] == before
    gated.end(pod, 1)
    # The verdict is final: the Job has no second pod.
    gated.await_(lambda operation: operation["phase"] == "Failed", "the sync has failed")
    results = gated.operation()["syncResult"]["resources"]
    assert [one["hookPhase"] for one in results if one["kind"] == "Job"] == ["Failed"], json.dumps(results)
    assert gated.team.live()["spec"] == before
    # A commit that is narrower begins anew, and is applied once its gate has passed.
    narrower = [rule("read", actions=["customers.get"])]
    gated.commit(rules=narrower)
    gated.end(gated.pod(), 0)
    until(lambda: gated.team.live()["spec"]["rules"] != before["rules"], "it is applied", 60)
    gated.team.app.await_settled()
    assert gated.team.live()["spec"]["rules"][0]["actions"] == ["customers.get"]
