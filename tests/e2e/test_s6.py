"""Case S6 from start to end: the very steps of `make demo`."""

from demo import s6
from demo.narrator import Silent
from demo.stack import Stack


def test_an_export_waits_for_a_signed_approval_and_an_agent_that_is_taken_back_is_denied_everywhere(
    stack: Stack,
) -> None:
    s6.S6(stack, Silent(), s6.start(stack)).play()
