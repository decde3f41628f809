"""A control plane with Bailiwick on it, for `cluster`: brought up as the demo does it, and gone afterwards.

Standing: uses `localcluster` and `demo`; knows nothing of what is measured but the policy that is changed and used.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import requests

from bailiwick_api.kinds.meta import API_VERSION
from benchmarks.rig.servers import MissingError
from demo import install
from demo.narrator import Silent
from demo.stack import Stack
from localcluster import build
from localcluster.controlplane import ControlPlane
from localcluster.progress import Progress
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile

REPLICAS: Final = 3
NAMESPACE: Final = "crm"
ENDPOINT: Final = "crm-api"
POLICY: Final = "bench"
_READY_SECONDS: Final = 60.0


def bring_up(closing: ExitStack, folder: Path, progress: Progress) -> Stack:
    """Start everything; `closing` ends it. Raises `LocalClusterError` and `MissingError`."""
    binaries = build.ensure(progress=progress)
    progress.say("Starting a control plane, the operator and three decision points ...")
    plane = closing.enter_context(ControlPlane(binaries))

    def keep(account: Account, file: Path) -> Path:
        return closing.enter_context(TokenFile(plane.cluster, account, file)).write_kubeconfig()

    stack = Stack(plane.cluster, folder, keep)
    closing.callback(stack.stop)
    try:
        install.bailiwick(stack, Silent())
        stack.start_operator()
        stack.await_guard()
        install.crm(stack, Silent())
    except install.InstallError as error:
        raise MissingError(str(error)) from error
    body = {"apiVersion": API_VERSION, "kind": "EndpointPolicy", **policy("bench.read")}
    applied = plane.cluster.rest().apply(body, "bench")
    if not applied.ok:
        raise MissingError(f"the policy was refused: {applied.message}")
    for _ in range(REPLICAS):
        stack.start_decision_point(await_ready=False)
    for point in stack.decision_points:
        _await(f"{point.status_url}/readyz")
    return stack


def policy(action: str) -> dict[str, Any]:
    """Return the policy: one action that is allowed, and one that takes an approval for fifty uses."""
    covered = [{"type": "customer", "ids": ["*"]}]
    step = {"name": "owner", "kind": "Human", "groups": ["crm-owners"]}
    gated = {"name": "export", "effect": "RequireApproval", "actions": ["bench.export"]}
    return {
        "metadata": {"namespace": NAMESPACE, "name": POLICY},
        "spec": {
            "endpoint": ENDPOINT,
            "subjects": [{"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}],
            "rules": [
                {
                    "name": "read",
                    "effect": "Allow",
                    "actions": [action],
                    "subjects": ["agent"],
                    "resources": covered,
                },
                {
                    **gated,
                    "subjects": ["agent"],
                    "resources": covered,
                    "approval": {
                        "steps": [step],
                        "maxUses": 50,
                        "limits": {"pendingPerSubject": 50, "requestsPerHour": 1000},
                    },
                },
            ],
        },
    }


def _await(url: str) -> None:
    """Wait until a decision point is ready and the guard is proven to it."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            answer = requests.get(url, timeout=5)
            if answer.status_code == requests.codes.ok and answer.json()["guard"]["proven"]:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    raise MissingError(f"{url} did not become ready within {_READY_SECONDS:g} s")
