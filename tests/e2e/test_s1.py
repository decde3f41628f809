"""Case S1 from start to end: the very steps of `make demo`."""

from demo.narrator import Silent
from demo.s1 import S1
from demo.stack import Stack


def test_an_agent_lists_freely_and_exports_only_with_an_approval_of_exactly_that_call(stack: Stack) -> None:
    S1(stack, Silent()).play()
