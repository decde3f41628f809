"""The stack of `make demo`, on a control plane of its own, for all cases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import install
from demo.enforcement import envoy
from demo.narrator import Silent
from demo.stack import Stack
from localcluster import build
from localcluster.controlplane import ControlPlane
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile
from support.policywatch import PolicyWatch


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    kept: list[TokenFile] = []
    with ControlPlane(build.ensure()) as plane:

        def keep(account: Account, file: Path) -> Path:
            kept.append(TokenFile(plane.cluster, account, file).start())
            return kept[-1].write_kubeconfig()

        stack = Stack(plane.cluster, folder, keep)
        install.bailiwick(stack, Silent())
        watch = PolicyWatch(plane.cluster.rest()).start()
        stack.start_operator()
        stack.await_guard()
        install.examples(stack, Silent(), envoy.policy(stack))
        stack.start_issuer()
        for _ in range(3):
            stack.start_decision_point(await_ready=False)
        stack.await_decision_points()
        install.await_served(stack, Silent())
        stack.start_crm()
        yield stack
        try:
            points = [*stack.decision_points, *([stack.guarded_point] if stack.guarded_point else [])]
            watch.verify(point.records for point in points)
        finally:
            watch.stop()
            stack.stop()
            for token in kept:
                token.stop()
