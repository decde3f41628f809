"""Case S5 from start to end: the very steps of `make demo`."""

from demo.narrator import Silent
from demo.s5 import S5
from demo.stack import Stack


def test_the_sixth_export_of_the_hour_is_denied_over_all_decision_points(stack: Stack) -> None:
    S5(stack, Silent()).play()
