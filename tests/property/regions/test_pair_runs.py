"""The run of random pairs: a seed says all of it, and a disagreement is printed and ends it with 1."""

import json
import re

import pytest

from bailiwick_regions.change import ChangeClass
from property.regions import pairs, test_diffs


def test_a_run_prints_its_seed_and_what_it_came_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert pairs.main(["--pairs", "12", "--seed", "7"]) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(
        r"seed 7\npairs 12\nwalks \d+, regions in their worlds [1-9]\d*\n"
        r"classes: wider \d+, may widen \d+, changed \d+, narrower \d+, same \d+\ndisagreements 0\n",
        said,
    )
    assert sum(map(int, re.findall(r"\d+", said.partition("classes: ")[2].partition("\n")[0]))) == 12
    assert pairs.main(["--pairs", "12", "--seed", "7"]) == 0
    assert capsys.readouterr().out == said


def test_a_run_without_a_seed_draws_one(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = set()
    for _ in range(2):
        assert pairs.main(["--pairs", "1"]) == 0
        seeds.add(capsys.readouterr().out.partition("\n")[0])
    assert len(seeds) == 2


def test_a_comparison_that_says_too_little_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(test_diffs, "worst", lambda _: ChangeClass.SAME)
    assert pairs.main(["--pairs", "30", "--seed", "7"]) == 1
    _, _, told = capsys.readouterr().out.partition("\ndisagreements ")
    number, *lines = told.splitlines()
    assert int(number) == len(lines) > 0
    assert "a call widens, and it is said same: " in told
    assert [len(json.loads(line.partition(": ")[2])) for line in lines] == [2] * len(lines)


def test_a_run_that_draws_too_few_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "tallied", lambda number, seed: pairs.PairTally(pairs=number - 1))
    assert pairs.main(["--pairs", "5", "--seed", "1"]) == 1
