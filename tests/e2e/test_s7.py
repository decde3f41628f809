"""Case S7 from start to end: the very steps of `make demo`."""

from demo.narrator import Silent
from demo.s7 import S7
from demo.stack import Stack


def test_coverage_finds_nothing_in_the_demo_names_two_bypasses_and_prints_what_closes_them(stack: Stack) -> None:
    S7(stack, Silent()).play()
