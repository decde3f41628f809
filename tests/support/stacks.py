"""A stack of processes of ours on a cluster, ended with the block. Standing: what starts it is `demo.stack`'s.

Holds: each process has a token file of its own, which is renewed while the block runs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bailiwick_api.accounts import Installation
from demo.stack import Stack
from localcluster.access import Cluster
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile


@contextmanager
def stack_on(cluster: Cluster, folder: Path, installation: Installation | None = None) -> Iterator[Stack]:
    """Yield a stack in which nothing runs yet."""
    with ExitStack() as closing:

        def keep(account: Account, file: Path) -> Path:
            return closing.enter_context(TokenFile(cluster, account, file)).write_kubeconfig()

        stack = Stack(cluster, folder, keep, installation or Installation())
        closing.callback(stack.stop)
        yield stack
