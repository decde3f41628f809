"""Case S2 from start to end: the very steps of `make demo`."""

from demo.narrator import Silent
from demo.s2 import S2
from demo.stack import Stack


def test_a_service_account_deploys_only_from_an_approved_workload_and_only_where_the_target_is_in_scope(
    stack: Stack,
) -> None:
    S2(stack, Silent()).play()
