"""The soak misses a goal wherever something was wrong, late or not measured, and its exit code says so."""

import json
import math
from collections import Counter

import pytest

from support.soak import __main__ as soak
from support.soak.bystanders import TimedAnswers
from support.soak.goals import Goal, SoakReport, count_goal, memory_goal, time_goal

MET = Goal("wrong answers", "0", "0", met=True)
MISSED = Goal("restarts", "0", "1 (1 operator ended)", met=False)


def test_what_was_not_answered_is_later_than_all_that_was() -> None:
    assert TimedAnswers([0.1] * 99, Counter({"429": 1})).quantile(0.99) == 0.1
    assert TimedAnswers([0.1] * 98, Counter({"429": 2})).quantile(0.99) == math.inf
    assert TimedAnswers([0.3, 0.1, 0.2]).quantile(0.5) == 0.2
    assert TimedAnswers().quantile(0.99) == math.inf


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (count_goal("wrong answers", {}), True),
        (count_goal("wrong answers", {"allowed": 1}), False),
        (time_goal("calls", 0.09, 0.1, 100), True),
        (time_goal("calls", 0.1, 0.1, 100), False),
        (time_goal("calls", math.inf, 0.1, 100), False),
        (time_goal("calls", 0.0, 0.1, 0), False),
        (memory_goal("operator", 511, 512), True),
        (memory_goal("operator", 512, 512), False),
        (memory_goal("operator", 0, 512), False),
    ],
)
def test_a_goal_is_missed_where_it_was_not_reached_or_not_measured(goal: Goal, met: bool) -> None:
    assert goal.met is met


@pytest.mark.parametrize(("goals", "code"), [([MET], 0), ([MET, MISSED], 1), ([], 1)])
@pytest.mark.parametrize("output", ["table", "json"])
def test_a_missed_goal_makes_the_exit_code_1(
    goals: list[Goal], code: int, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "played", lambda seconds: SoakReport(seconds, goals, {"load": [0.1]}))
    assert soak.main(["--minutes", "0.5", "-o", output]) == code
    said = capsys.readouterr().out
    if output == "json":
        told = json.loads(said)
        assert (told["seconds"], told["met"], len(told["goals"])) == (30, code == 0, len(goals))
    else:
        assert said.count("MISSED") == (MISSED in goals)


@pytest.mark.parametrize("minutes", ["0", "-1", "46", "nan", "ten"])
def test_a_time_that_is_out_of_bounds_is_refused(minutes: str) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(["--minutes", minutes])
    assert ended.value.code == 2
