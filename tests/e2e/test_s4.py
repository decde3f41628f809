"""Case S4 from start to end: the very steps of `make demo`."""

from demo.narrator import Silent
from demo.s4 import S4
from demo.stack import Stack


def test_on_a_persons_behalf_an_agent_gets_less_than_by_itself_hop_by_hop(stack: Stack) -> None:
    S4(stack, Silent()).play()
