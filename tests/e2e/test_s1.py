"""Case S1 from start to end: the very steps of `make demo`, on a control plane of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import install
from demo.narrator import Silent
from demo.s1 import S1
from demo.stack import Stack
from localcluster import build
from localcluster.controlplane import ControlPlane
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    kept: list[TokenFile] = []
    with ControlPlane(build.ensure()) as plane:

        def keep(account: Account, file: Path) -> Path:
            kept.append(TokenFile(plane.cluster, account, file).start())
            return kept[-1].write_kubeconfig()

        stack = Stack(plane.cluster, folder, keep)
        install.bailiwick(stack, Silent())
        stack.start_operator()
        stack.await_guard()
        install.crm(stack, Silent())
        for _ in range(3):
            stack.start_decision_point()
        stack.start_crm()
        yield stack
        stack.stop()
        for token in kept:
            token.stop()


def test_an_agent_lists_freely_and_exports_only_with_an_approval_of_exactly_that_call(stack: Stack) -> None:
    S1(stack, Silent()).play()
