"""`python -m demo`: bring everything up, play the case, say what was proven, and clear up.

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

from demo import install
from demo.leftover import at_terminal, clear_the_ground, keep
from demo.narrator import Narrator, Terminal
from demo.s1 import RACE_USES, RACERS, S1, NotAsToldError
from demo.s2 import S2
from demo.s3 import S3
from demo.s4 import S4
from demo.stack import Stack
from localcluster.access import Cluster
from localcluster.cache import clusters_folder
from localcluster.errors import LocalClusterError
from localcluster.named import Named
from localcluster.process import Running, spawn
from localcluster.progress import Progress, Terminal as Telling
from localcluster.tokenrequest import Account

OWN: Final = "demo"
_WEBHOOKS: Final = 3


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
        _play(bench, tell)
    except (NotAsToldError, LocalClusterError, install.InstallError) as error:
        sys.stderr.write(f"\nThe demo did not go as expected: {error}\n")
        sys.stderr.write(f"The logs and decision records are in {bench.stack.folder}\n")
        code = 1
    else:
        _proven(tell)
        tell.answer(f"The demo took {time.monotonic() - started:.0f} s.")
        code = 0
    bench.adopt()
    if options.keep:
        bench.keep()
        _say_how_to_talk(bench, tell)
    else:
        bench.clear(keep_logs=code != 0)
    return code


class _Bench:
    """A stack and the cluster that it runs on."""

    def __init__(self, stack: Stack, named: Named | None, progress: Progress) -> None:
        self.stack = stack
        self._named = named
        self._progress = progress

    def adopt(self) -> None:
        """Have `localcluster down` end what was started here, too."""
        if self._named is not None:
            for running in self.stack.processes:
                self._named.adopt(running.name, running.id, self._progress)

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
        named = Named(which or OWN)
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
    kept = Kept(keeper_flags, own, progress)
    stack = Stack(cluster, folder, lambda account, file: keep_token(stack.processes, account, file, kept))
    return _Bench(stack, own, progress)


class Kept(NamedTuple):
    """Whose tokens are kept: the flags that name the cluster, and the cluster itself where it is the demo's own."""

    flags: list[str]
    named: Named | None
    progress: Progress


def keep_token(processes: list[Running], account: Account, file: Path, kept: Kept) -> Path:
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


def _play(bench: _Bench, tell: Narrator) -> None:
    stack = bench.stack
    tell.chapter("Bailiwick on a real API server")
    tell.answer(f"The API server: {stack.cluster.server}. Logs and decision records: {stack.folder}")
    install.bailiwick(stack, tell)
    tell.step("The operator starts under its own service account and proves that the guards are in force.")
    stack.start_operator()
    bench.adopt()
    stack.await_guard()
    tell.held("each guard refused the dry run that it has to refuse")
    tell.step("The accounts and policies of the four examples are applied.")
    install.crm(stack, tell)
    install.deploy(stack, tell)
    install.secrets(stack, tell)
    install.support(stack, tell)
    tell.step("An issuer of tokens for people starts. The decision points are configured to trust it.")
    stack.start_issuer()
    tell.step(f"{_WEBHOOKS} decision points start, and the CRM API in front of the first.")
    for _ in range(_WEBHOOKS):
        stack.start_decision_point()
    install.await_served(stack, tell)
    stack.start_crm()
    bench.adopt()
    tell.held("all decision points are ready")
    S1(stack, tell).play()
    S2(stack, tell).play()
    S4(stack, tell).play()
    S3(stack, tell).play()


def _proven(tell: Narrator) -> None:
    tell.chapter("What the demo showed")
    for line in (
        "A harmless read needs no approval; an export by the same identity does.",
        "Neither the agent nor a person without the verb can approve, although RBAC allows both to patch grants.",
        "An approval covers one call: other arguments are denied, and the same call is allowed once.",
        f"Of {RACERS} parallel calls over {_WEBHOOKS} processes, exactly {RACE_USES} were allowed: one per use.",
        "After a revocation, the next call is denied.",
        "A service account deploys only from an approved workload, and only to a target in scope.",
        "Automation reads a secret only while an incident is recorded by one system account and confirmed by another.",
        "On behalf of a person, an agent can do less than by itself, and a chain no more than any of its hops.",
    ):
        tell.held(line)


def _say_how_to_talk(bench: _Bench, tell: Narrator) -> None:
    stack = bench.stack
    tell.chapter("The cluster keeps running, because KEEP is set")
    tell.command(f"export KUBECONFIG={stack.cluster.admin_kubeconfig}")
    tell.command("kubectl get endpointpolicies,approvalgrants -n crm")
    tell.answer(f"Carol's kubeconfig: {stack.cluster.kubeconfig('carol')}")
    tell.answer(f"The CRM API: {stack.crm_url}, the decision points: {', '.join(p.url for p in stack.decision_points)}")
    tell.answer(f"Logs and decision records: {stack.folder}")
    tell.answer(f"To stop it: {bench.how_to_end()}")


if __name__ == "__main__":
    raise SystemExit(main())
