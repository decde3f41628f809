"""The demo of a fleet from start to end, the very steps of `make demo-fleet`, with an Argo CD of its own."""

from typing import Final

import pytest

from demo.fleet.__main__ import play
from demo.narrator import Silent as Untold
from localcluster.progress import Silent

DECISIONS: Final = 800


@pytest.mark.timeout(900)
def test_an_application_set_brings_the_policy_to_two_clusters_whose_logs_are_verified() -> None:
    play(DECISIONS, Untold(), Silent(), by_hand=False)
