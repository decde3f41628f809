"""`python -m demo`: bring everything up, play the cases, say what was proven, and clear up.

Standing: the outermost part; only here is a failed step made into an exit code. KEEP=1 leaves everything up; CLUSTER
names the cluster: unset is one of our own, `current` that of your kubeconfig, anything else one of `localcluster up`.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from demo import afterwards, install
from demo.leftover import at_terminal, clear_the_ground, keep
from demo.narrator import Narrator, Terminal
from demo.play import envoy_program, play, proven
from demo.s1 import NotAsToldError
from demo.stack import Stack
from localcluster.access import Cluster
from localcluster.cache import clusters_folder
from localcluster.clusters import NamedCluster
from localcluster.errors import LocalClusterError
from localcluster.process import RunningProcess, spawn
from localcluster.progress import Progress, Silent, Terminal as Telling
from localcluster.tokenrequest import Account

OWN: Final = "demo"


def main() -> int:
    """Play the demo. Returns 0, 1 where a step did not come out as told or could not be made."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keep", action="store_true", default=os.environ.get("KEEP", "") not in {"", "0"})
    parser.add_argument("--replace", action="store_true", help="remove the cluster of an earlier demo without asking")
    options = parser.parse_args()
    tell, progress = Terminal(), Telling()
    started = time.monotonic()
    try:
        bench = _bench(os.environ.get("CLUSTER", ""), progress, replace=options.replace)
        install.refuse_if_present(bench.stack)
    except (LocalClusterError, install.InstallError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        program = envoy_program(progress, tell)
        signed = play(bench.stack, tell, program)
        if options.keep:
            afterwards.leave_waiting(bench.stack, tell)
    except (NotAsToldError, LocalClusterError, install.InstallError) as error:
        sys.stderr.write(f"\nThe demo did not go as expected: {error}\n")
        sys.stderr.write(f"The logs and decision records are in {bench.stack.folder}\n")
        code = 1
    else:
        proven(tell, by_envoy=program is not None, signed=signed)
        tell.answer(f"The demo took {time.monotonic() - started:.0f} s.")
        code = 0
    if options.keep:
        bench.keep()
        _say_how_to_talk(bench, tell)
    else:
        bench.clear(keep_logs=code != 0)
    return code


class _Bench:
    """A stack and the cluster that it runs on."""

    def __init__(self, stack: Stack, named: NamedCluster | None, progress: Progress) -> None:
        self.stack = stack
        self._named = named
        self._progress = progress

    def keep(self) -> None:
        """Have no later demo take it away unasked."""
        if self._named is not None:
            keep(self._named)

    def how_to_end(self) -> str:
        """Say how to end what KEEP left up."""
        if self._named is not None:
            return f"make cluster-down ARGS='--name {self._named.name}'"
        pids = " ".join(str(running.id.pid) for running in self.stack.processes)
        return f"kill {pids}, then delete the applied manifests with kubectl delete -f, as shown above"

    def clear(self, *, keep_logs: bool) -> None:
        """End everything that was started here; on a cluster of yours, take back what was applied."""
        self.stack.stop()
        if self._named is None:
            install.remove(self.stack)
        elif keep_logs:
            self._named.down(self._progress, keep_data=True)
        else:
            self._named.down(self._progress)


def _bench(which: str, progress: Progress, *, replace: bool) -> _Bench:
    if which == "current":
        # Below the cache and not in a temporary folder: with KEEP=1 what runs goes on reading its token from there.
        cluster = Cluster.from_kubeconfig(folder=clusters_folder() / "current")
        folder = cluster.folder / "demo"
        keeper_flags = ["--kubeconfig", str(cluster.admin_kubeconfig)]
        named = None
    else:
        named = NamedCluster(which or OWN)
        if not which:
            clear_the_ground(named, progress, ask=at_terminal(), replace=replace)
        named.up(progress)
        cluster = named.cluster()
        folder = named.folder / "demo"
        keeper_flags = ["--name", named.name]
    # Logs and tokens of an earlier demo would be taken for this one's.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    own = named if not which else None
    # Several threads write down what they start: that one waits for another for a moment is nothing to tell.
    kept = Kept(keeper_flags, own, Silent())
    stack = Stack(cluster, folder, lambda account, file: keep_token(stack.processes, account, file, kept))
    if own is not None:
        # `localcluster down` ends what is started here, too.
        stack.adopt = lambda running: own.adopt(running.name, running.id, Silent())
    return _Bench(stack, own, progress)


class Kept(NamedTuple):
    """Whose tokens are kept: the flags that name the cluster, and the cluster itself where it is the demo's own."""

    flags: list[str]
    named: NamedCluster | None
    progress: Progress


def keep_token(processes: list[RunningProcess], account: Account, file: Path, kept: Kept) -> Path:
    """Keep a token fresh in a process of its own, which goes on after the demo where KEEP=1 wants that.

    It is written down at once, so that whenever the demo ends, `localcluster down` ends the process too.
    """
    config = file.with_name(f"{file.name}.kubeconfig")
    command = ["-m", "localcluster", "token-keeper", *kept.flags, "--namespace", account.namespace]
    command += ["--service-account", account.name, "--file", str(file), "--write-kubeconfig", str(config)]
    for audience in account.audiences:
        command += ["--audience", audience]
    name = f"token of {account.namespace}/{account.name} in {file.name}"
    processes.append(running := spawn(name, [sys.executable, *command], file.with_suffix(".log")))
    if kept.named is not None:
        kept.named.adopt(name, running.id, kept.progress)
    deadline = time.monotonic() + 30
    while not config.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return config


def _say_how_to_talk(bench: _Bench, tell: Narrator) -> None:
    stack = bench.stack
    tell.chapter("The cluster keeps running, because KEEP is set")
    tell.command(f"export KUBECONFIG={stack.cluster.admin_kubeconfig}")
    tell.command("kubectl get endpointpolicies,approvalgrants -n crm")
    for name, url in stack.servers.items():
        tell.answer(f"{name}: {url}")
    tell.answer(f"The decision points: {', '.join(point.url for point in stack.decision_points)}")
    tell.answer(f"Logs and decision records: {stack.folder}")
    afterwards.how_to_review(stack.cluster.kubeconfig("carol"), tell)
    tell.answer(f"To stop it: {bench.how_to_end()}")


if __name__ == "__main__":
    raise SystemExit(main())
