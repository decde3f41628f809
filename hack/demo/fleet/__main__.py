"""`python -m demo.fleet`: bring two clusters up, play the acts, say what was proven, and end everything.

Standing: the outermost part; only here is a failed step made into an exit code.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from demo.fleet.acts import Acts
from demo.fleet.rollouts import ByArgoCD, ByHand
from demo.fleet.storage import Intruder, LogShippers
from demo.fleet.world import BUCKET, Member, Shell
from demo.narrator import Narrator, Terminal
from demo.s1 import NotAsToldError
from localcluster import build
from localcluster.errors import LocalClusterError
from localcluster.progress import Progress, Terminal as Telling
from localcluster.reaper import Reaper
from support.fleetsync import HUB, RENDERING, WAVES, Fleet, copied, kubeconfig
from support.gitops import argocd_on, programs
from support.objectstore import s3_server
from support.pdp.processes import Bailiwick

_PARTS: Final = ("kept", "state")


def main() -> int:
    """Play the demo. Returns the exit code: 0, or 1 if a step failed or had another result than the demo says."""
    parser = argparse.ArgumentParser(prog="make demo-fleet", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--decisions", type=int, default=10_000, help="how many to make (default: %(default)s)")
    parser.add_argument("--by-hand", action="store_true", help="apply policies with kubectl, without Argo CD")
    options = parser.parse_args()
    started, tell = time.monotonic(), Terminal()
    try:
        play(options.decisions, tell, Telling(), by_hand=options.by_hand)
    except (NotAsToldError, LocalClusterError, AssertionError, TimeoutError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"\nThe demo did not go as expected: {error}\n")
        return 1
    _proven(tell, by_hand=options.by_hand)
    tell.answer(f"The demo took {time.monotonic() - started:.0f} s.")
    return 0


def play(decisions: int, tell: Narrator, progress: Progress, *, by_hand: bool) -> None:
    """Play all of it, and end what was started. Raises `NotAsToldError`, or whatever keeps something from starting."""
    build.ensure(progress=progress)
    if not by_hand:
        programs()
    with ExitStack() as closing:
        reaper = Reaper()
        closing.callback(reaper.release)
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="fleet-", ignore_cleanup_errors=True)))
        tell.chapter("Two clusters, and one object store")
        clusters = _clusters(closing, reaper, tell, progress)
        members = {name: Member(name, cluster) for name, cluster in clusters.items()}
        for member in members.values():
            member.begin()
        fleet = None if by_hand else _fleet(closing, clusters, folder, tell, progress)
        home = fleet.folder if fleet else copied(folder)
        for part in _PARTS:
            (home / part).mkdir()
        for name, cluster in clusters.items():
            (home / name).symlink_to(cluster.stack.folder)
        server = closing.enter_context(s3_server(folder))
        server.bucket(BUCKET)
        config = kubeconfig(clusters, folder / "kubeconfig")
        shell = Shell(home, tell, {**server.environment, **RENDERING, "KUBECONFIG": str(config)})
        shipping = _shipping(shell, closing, reaper, members)
        rollout = ByArgoCD(shell, fleet, progress) if fleet else ByHand(shell, members)
        acts = Acts(shell, rollout, members, progress)
        acts.sync()
        acts.status()
        acts.decide(decisions)
        acts.change()
        acts.keep(shipping)
        acts.who_could()
        acts.who_can()
        acts.verify()
        acts.tamper(Intruder(server))


def _clusters(closing: ExitStack, reaper: Reaper, tell: Narrator, progress: Progress) -> dict[str, Bailiwick]:
    tell.step("Two API servers start, each with the operator and a decision point.")
    own = {name: closing.enter_context(ExitStack()) for name in WAVES}
    with progress.step("Starting both"), ThreadPoolExecutor() as pool:
        begun = {
            name: pool.submit(Bailiwick.begin, own[name], replicas=1, adopt=lambda running: reaper.add(running.id))
            for name in WAVES
        }
        clusters = {name: future.result() for name, future in begun.items()}
    for name, cluster in clusters.items():
        tell.answer(f"{name}: {cluster.cluster.server}")
    return clusters


def _fleet(
    closing: ExitStack, clusters: dict[str, Bailiwick], folder: Path, tell: Narrator, progress: Progress
) -> Fleet:
    tell.step(f"Argo CD starts in {HUB}, with a Secret for each cluster.")
    with progress.step("Starting Argo CD"):
        closing.enter_context(argocd_on(clusters[HUB].cluster))
    return Fleet.begin(clusters, folder)


def _shipping(shell: Shell, closing: ExitStack, reaper: Reaper, members: Mapping[str, Member]) -> LogShippers:
    shipping = LogShippers(shell, closing, lambda running: reaper.add(running.id))
    shell.tell.step("In east, an OpenTelemetry Collector reads the logs, and a shipper stores what it writes.")
    shipping.collect(members["east"])
    shell.tell.step("In west, shippers store the logs themselves.")
    shipping.ship(f"west/{members['west'].records.name}", "west/decisions")
    shipping.ship(f"west/{members['west'].ledger.name}", "west/ledger")
    return shipping


def _proven(tell: Narrator, *, by_hand: bool) -> None:
    tell.chapter("What the demo showed")
    brought = "kubectl brings" if by_hand else "One ApplicationSet brings"
    for line in (
        f"{brought} a policy to two clusters, and in each a gate compares it with what is in force there.",
        "Decisions of both clusters go into one object store, by a Collector and by the shipper, and stay whole.",
        "The log says who could do what before a change, by the policies of that time.",
        "A line that is changed and a log that is cut are found, each by its number and in its cluster.",
    ):
        tell.held(line)


if __name__ == "__main__":
    # By default, a SIGTERM would leave running what this program started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    raise SystemExit(main())
