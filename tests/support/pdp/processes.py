"""Bailiwick as it runs: the operator and decision points as processes of their own, under their real service accounts.

Standing: the processes are started by the demo's launcher, `demo.stack`; here is what tests want besides: a cluster of
one's own, a proxy before a decision point, and one set of processes for all tests that do not disturb it.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import pytest
import requests

from bailiwick_api.accounts import Installation
from demo.stack import DecisionPoint, Stack
from localcluster import build, process
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane
from localcluster.process import RunningProcess
from support.callers import Callers
from support.faultproxy import FaultProxy
from support.installation import install
from support.namespaces import Namespaces
from support.pdp.tenant import Tenants
from support.stacks import stack_on
from support.waits import until

REPLICAS: Final = 3
# How long a decision point behind a proxy waits for the API server.
API_SECONDS: Final = 2.0


@dataclass
class Bailiwick:
    """An operator and decision points on one cluster. `plane` is None on a cluster that is not ours."""

    cluster: Cluster
    plane: ControlPlane | None
    callers: Callers
    installation: Installation
    stack: Stack
    closing: ExitStack
    replicas: int
    operator: RunningProcess | None = None

    @classmethod
    def begin(
        cls,
        closing: ExitStack,
        cluster: Cluster | None = None,
        replicas: int = REPLICAS,
        adopt: Callable[[RunningProcess], None] | None = None,
    ) -> Self:
        """Install Bailiwick and start it; without a cluster, on a control plane of its own.

        When `closing` ends, the logs of all processes are judged. `adopt` learns of each process when it starts.
        """
        plane = None
        if cluster is None:
            plane = closing.enter_context(ControlPlane(build.ensure()))
            cluster = plane.cluster
        folder = Path(
            closing.enter_context(tempfile.TemporaryDirectory(prefix="bailiwick-", ignore_cleanup_errors=True))
        )
        callers = closing.enter_context(Callers(cluster))
        installation = Installation()
        install(callers, installation)

        stack = closing.enter_context(stack_on(cluster, folder, installation))
        stack.adopt = adopt or stack.adopt
        self = cls(cluster, plane, callers, installation, stack, closing, replicas)
        self.operator = stack.start_operator()
        # All at once: each needs a second to import what it needs.
        for _ in range(replicas):
            stack.start_decision_point(await_ready=False)
        stack.await_guard()
        for point in stack.decision_points:
            await_ready(point)
        return self

    @property
    def points(self) -> list[DecisionPoint]:
        """The decision points that run from the start."""
        return self.stack.decision_points[: self.replicas]

    def start_point(self, *flags: str, proxy: FaultProxy | None = None) -> DecisionPoint:
        """Start one more decision point, if asked behind a proxy, and wait until it accepts grants."""
        config = self.stack.folder / "webhook.token.kubeconfig"
        more = ("--kubeconfig", str(proxy.kubeconfig(config))) if proxy else ()
        point = self.stack.start_decision_point(*more, *flags, await_ready=False)
        await_ready(point)
        return point

    def end(self) -> None:
        """End all of it, and judge the logs."""
        self.closing.close()

    def stop_operator(self) -> None:
        """Let the operator end, as it would by itself when it loses the API server for longer than its lease."""
        if self.operator is not None:
            process.stop([self.operator.id])
            self.operator = None

    def revive_operator(self) -> None:
        """Start it again if it ended by itself."""
        if self.operator is None or not self.operator.alive:
            self.start_operator()

    def start_operator(self) -> None:
        """Start it again, as the kubelet would."""
        self.operator = self.stack.start_operator()

    def tenants(self, *points: DecisionPoint) -> Tenants:
        """Return what makes tenants that ask these decision points, by default those that run from the start."""
        urls = [point.url for point in points or self.points]
        return Tenants(self.cluster, self.callers, urls, Namespaces(self.callers.admin))


def readiness(point: DecisionPoint) -> tuple[int, dict[str, Any]]:
    """Return status and body of /readyz."""
    answer = requests.get(f"{point.status_url}/readyz", timeout=10)
    return answer.status_code, answer.json()


def await_ready(point: DecisionPoint) -> None:
    """Wait until a decision point is ready, the guard is proven to it, and it has keys to sign with."""

    def ready() -> bool:
        assert point.process.alive, point.process.last_words()
        try:
            code, body = readiness(point)
        except requests.ConnectionError:
            return False
        known = body["guard"]["proven"] is True and bool(body["keys"]["kids"])
        return code == requests.codes.ok and known

    until(ready, f"{point.process.name} is ready")


_SHARED: Final = pytest.StashKey[Bailiwick]()


def shared(config: pytest.Config, request: pytest.FixtureRequest) -> Bailiwick:
    """Return the one that every test of this run shares; it ends with the run.

    On a control plane of its own, so that tests of the operator alone find none running on theirs.
    """
    if _SHARED not in config.stash:
        cluster = request.getfixturevalue("cluster") if os.environ.get("CLUSTER") else None
        closing = ExitStack()
        config.add_cleanup(closing.close)
        config.stash[_SHARED] = Bailiwick.begin(closing, cluster)
    return config.stash[_SHARED]
