"""A stack of processes of ours on a cluster, ended with the block. Standing: what starts it is `demo.stack`'s.

Holds: each process has a token file of its own, which is renewed while the block runs; in the end every record of every
decision point follows from the policies that there were, and every log is whole.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bailiwick_api.accounts import Installation
from demo import install
from demo.enforcement import envoy
from demo.narrator import Silent
from demo.registrar import make_registrar
from demo.stack import ASKED, Stack
from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane
from localcluster.ports import free_ports
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile
from support.policywatch import PolicyWatch


@contextmanager
def stack_on(
    cluster: Cluster, folder: Path, installation: Installation | None = None, *, asked: int = ASKED
) -> Iterator[Stack]:
    """Yield a stack in which nothing runs yet; its logs are judged once all have ended.

    The operator asks as many decision points, those that are started first.
    """
    with ExitStack() as closing:

        def keep(account: Account, file: Path) -> Path:
            return closing.enter_context(TokenFile(cluster, account, file)).write_kubeconfig()

        stack = Stack(cluster, folder, keep, installation or Installation(), status_ports=free_ports(asked))
        watch = PolicyWatch(cluster.rest()).start()
        closing.callback(watch.stop)
        closing.callback(lambda: watch.verify(logs(stack)))
        closing.callback(stack.stop)
        yield stack


@contextmanager
def demo_stack(folder: Path) -> Iterator[Stack]:
    """Yield what `make demo` plays its cases on, with a control plane of its own."""
    with ControlPlane(build.ensure()) as plane, stack_on(plane.cluster, folder) as stack:
        install.bailiwick(stack, Silent())
        assert make_registrar(stack, Silent()), "the tests need ssh-keygen"
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


def logs(stack: Stack) -> list[Path]:
    """Return the files that processes of a stack keep their logs in."""
    return sorted([*stack.folder.glob("*.records.jsonl"), *stack.folder.glob("*.ledger.jsonl")])
