"""What is told of people who are not logged in is bounded, and what was left out is counted."""

import pytest

from bailiwick_console.hosted.strangers import LINES, StrangerLog


def test_a_line_of_a_stranger_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    StrangerLog().tell("refused: no\noidc:carol logged in")
    assert capsys.readouterr().err.splitlines() == ["refused: no\\u000aoidc:carol logged in"]


def test_so_many_lines_a_minute_are_told_and_then_how_many_were_not(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    log = StrangerLog(lambda: now[0])
    for number in range(LINES + 3):
        log.tell(f"line {number}")
    assert capsys.readouterr().err.splitlines() == [f"line {number}" for number in range(LINES)]
    now[0] = 60.0
    log.tell("another")
    assert capsys.readouterr().err.splitlines() == [
        "3 lines of people who are not logged in were left out.",
        "another",
    ]
