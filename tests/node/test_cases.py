"""The cases on a node, as `make demo-cluster` plays them: Bailiwick by its chart, and everybody a pod."""

import pytest

from demo import oncluster
from demo.incluster import InCluster
from demo.narrator import Silent
from localcluster.node.cluster import NodeCluster


@pytest.mark.timeout(900)
def test_the_four_cases_come_out_as_told_and_what_is_made_anew_inherits_nothing(
    bed: NodeCluster, ground: InCluster
) -> None:
    try:
        oncluster.play(ground, str(bed.network.host), Silent())
    finally:
        ground.uninstall(Silent())
