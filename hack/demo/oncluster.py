"""`python -m demo.oncluster`: the cases on a node, with Bailiwick installed by its chart and everybody a pod.

Standing: the outermost part, beside `__main__`, which plays the same cases with processes of this machine. KEEP=1
leaves the cluster up; the issuer of people's tokens ends with this command.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final
from urllib.parse import urlsplit

from demo import afterwards, install
from demo.ground import Ground
from demo.incluster import Images, InCluster
from demo.leftover import KeptError, at_terminal, clear_the_ground, keep
from demo.narrator import Narrator, Terminal
from demo.recreation import RecreationCase
from demo.s1 import S1, NotAsToldError
from demo.s2 import S2
from demo.s3 import S3
from demo.s4 import S4
from demo.s5 import S5
from localcluster import build
from localcluster.clusters import NamedCluster
from localcluster.errors import LocalClusterError
from localcluster.node import images
from localcluster.progress import Terminal as Progress

NAME: Final = "demo-cluster"


def main() -> int:
    """Play the demo. Returns 0, 1 where a step did not come out as told or could not be made."""
    parser = argparse.ArgumentParser(prog="make demo-cluster", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keep", action="store_true", default=os.environ.get("KEEP", "") not in {"", "0"})
    parser.add_argument("--replace", action="store_true", help="remove the cluster of an earlier demo without asking")
    options = parser.parse_args()
    tell, progress, named = Terminal(), Progress(), NamedCluster(NAME)
    started = time.monotonic()
    try:
        clear_the_ground(named, progress, ask=at_terminal(), replace=options.replace)
    except KeptError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    try:
        ground = _ground(named, progress)
        play(ground, str(named.network.host), tell, then=afterwards.leave_waiting if options.keep else None)
    except (NotAsToldError, LocalClusterError, install.InstallError) as error:
        sys.stderr.write(f"\nThe demo did not go as expected: {error}\n")
        code = 1 if not isinstance(error, LocalClusterError) else error.exit_code
    else:
        _proven(tell)
        tell.answer(f"The demo took {time.monotonic() - started:.0f} s.")
        code = 0
    if options.keep:
        keep(named)
        tell.chapter("The cluster keeps running, because KEEP is set")
        tell.command(f"export KUBECONFIG={named.cluster().admin_kubeconfig}")
        afterwards.how_to_review(named.cluster().kubeconfig("carol"), tell)
        tell.answer(f"To stop it: make cluster-down ARGS='--name {NAME}'")
    else:
        named.down(progress, keep_data=code != 0)
    return code


def values(server: str) -> dict[str, Any]:
    """Return the chart's values for images that were loaded into the node, and an API server at this URL."""
    port = urlsplit(server).port or 443
    tag = {"image": {"tag": images.TAG}}
    return {
        "image": {"registry": "localhost", "pullPolicy": "Never"},
        "webhook": {**tag, "resources": {"requests": {"cpu": "50m"}}},
        "operator": {**tag, "resources": {"requests": {"cpu": "50m"}}},
        "networkPolicy": {"egressPorts": sorted({443, port})},
    }


def _ground(named: NamedCluster, progress: Progress) -> InCluster:
    helm = build.ensure(build.helm(), progress) / "helm"
    built = images.ensure(progress)
    named.up(progress, node=True)
    with progress.step("Loading the images into the node"):
        for image in built:
            named.containerd.load(image.archive)
    folder = named.folder / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return InCluster(named.cluster(), folder, helm, Images(images.reference("webhook"), images.reference("operator")))


def play(
    ground: InCluster,
    host: str,
    tell: Narrator,
    then: Callable[[Ground, Narrator], None] | None = None,
    chart_values: Mapping[str, Any] | None = None,
) -> None:
    """Install, and play the cases, and `then` something more while everything of them still runs.

    Without `chart_values`, the images are those that were loaded into the node. Raises `NotAsToldError` where a step
    does not come out as told.
    """
    tell.chapter("Bailiwick on a node, by its chart")
    with ExitStack() as stack:
        stack.enter_context(ground.issuing(host))
        ground.install(tell, chart_values or values(ground.cluster.server))
        ground.examples(tell)
        tell.held("all decision points are ready")
        S1(ground, tell).play()
        S2(ground, tell).play()
        S4(ground, tell).play()
        S3(ground, tell).play()
        S5(ground, tell).play()
        RecreationCase(ground, tell).play()
        if then is not None:
            then(ground, tell)


def _proven(tell: Narrator) -> None:
    tell.chapter("What the demo showed")
    for line in (
        "One `helm install` installs the operator, decision points, guards and certificates. All pods are restricted.",
        "The five cases give the same results as with processes, with tokens that a kubelet projected into pods.",
        "A workload is identified by the images that the kubelet reports, not by its own name.",
        "A pod and a service account that are recreated under an old name inherit nothing.",
    ):
        tell.held(line)


if __name__ == "__main__":
    raise SystemExit(main())
