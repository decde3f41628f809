"""Case S3 from start to end: the very steps of `make demo`."""

from demo.narrator import Silent
from demo.s3 import S3
from demo.stack import Stack


def test_automation_rotates_always_and_reads_only_while_an_incident_is_recorded(stack: Stack) -> None:
    S3(stack, Silent()).play()
