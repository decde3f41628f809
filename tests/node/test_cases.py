"""The cases on a node, as `make demo-cluster` plays them: Bailiwick by its chart, and everybody a pod."""

from pathlib import Path

import pytest

from demo import oncluster
from demo.incluster import Images, InCluster
from demo.narrator import Silent
from localcluster import build
from localcluster.node import images
from localcluster.node.cluster import NodeCluster


@pytest.mark.timeout(900)
def test_the_four_cases_come_out_as_told_and_what_is_made_anew_inherits_nothing(
    node: NodeCluster, tmp_path: Path
) -> None:
    helm = build.ensure(build.helm()) / "helm"
    named = Images(images.reference("webhook"), images.reference("operator"))
    ground = InCluster(node.cluster, tmp_path, helm, named)
    try:
        oncluster.play(ground, str(node.network.host), Silent())
    finally:
        ground.uninstall(Silent())
