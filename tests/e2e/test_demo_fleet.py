"""The demo of a fleet from start to end, the very steps of `make demo-fleet ARGS=--by-hand`, on two control planes."""

from typing import Final

import pytest

from demo.fleet.__main__ import play
from demo.narrator import Silent as Untold
from localcluster.progress import Silent

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

DECISIONS: Final = 800


def test_two_clusters_have_one_policy_and_what_is_changed_in_their_logs_is_found() -> None:
    play(DECISIONS, Untold(), Silent(), by_hand=True)
