"""The file of reviewers' keys as the decision point watches it: what is signed counts, and nothing older comes back."""

from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP, REVIEWERS_CONFIG_MAP, REVIEWERS_SERIAL_ENTRY, Installation
from bailiwick_engine.signatures.registrars import (
    NO_FLOOR,
    NO_REGISTRARS,
    Registrars,
    judge_config_map,
    parse_registrars,
)
from bailiwick_webhook.store.guard import GuardWatch
from bailiwick_webhook.store.reviewers import ReviewerWatch
from support.signatures.keys import KeyFile, SecurityKey, config_map, entry_line, reviewers_text

CAROL: Final = entry_line("carol", SecurityKey.make().public)


class Bench:
    """The watch, fed as the list-watch feeds it."""

    def __init__(self, folder: Path) -> None:
        self.registrar = KeyFile.make(folder / "registrar")
        self.registrars = Registrars(parse_registrars(self.registrar.line))
        self.watch = self.started("")
        self.version = 0

    def started(self, recorded: str | None) -> ReviewerWatch:
        """Return the watch of a process that has just started, and found this recorded of the newest file."""
        watch = ReviewerWatch(Installation(), self.registrars)
        guard = GuardWatch(Installation(), watch.floor_changed)
        data = {} if recorded is None else {REVIEWERS_SERIAL_ENTRY: recorded}
        proof = {"metadata": {"name": GUARD_CONFIG_MAP, "resourceVersion": "1"}, "data": data}
        sink = next(sink for collection, sink in guard.collections() if collection.name == GUARD_CONFIG_MAP)
        sink.apply("ADDED", ("ns", GUARD_CONFIG_MAP), proof)
        return watch

    def file(self, serial: int, *lines: str) -> dict[str, Any]:
        return config_map(reviewers_text(*lines, serial=serial), self.registrar)

    def store(self, stored: dict[str, Any] | None, watch: ReviewerWatch | None = None) -> str:
        """Let the watch see what is stored; return why no key counts."""
        self.version += 1
        metadata = {"name": REVIEWERS_CONFIG_MAP, "resourceVersion": str(self.version)}
        key, seen = ("ns", REVIEWERS_CONFIG_MAP), watch or self.watch
        if stored is None:
            seen.sink.apply("DELETED", key, {"metadata": metadata})
        else:
            seen.sink.apply("MODIFIED", key, {**stored, "metadata": metadata})
        return seen.trust.problem


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_nothing_counts_before_it_is_read_and_without_registrars(bench: Bench) -> None:
    assert bench.watch.trust.keys is None
    assert "not read yet" in bench.watch.trust.problem
    without = ReviewerWatch(Installation(), NO_REGISTRARS)
    assert "has no registrars" in bench.store(bench.file(1, CAROL), without)


@pytest.mark.invariant(30)
def test_a_new_file_counts_at_once_and_a_removed_one_no_longer(bench: Bench) -> None:
    assert bench.store(bench.file(1, CAROL)) == ""
    assert bench.watch.trust.keys is not None
    assert len(bench.watch.trust.keys.entries) == 1
    assert bench.store(bench.file(2)) == ""
    assert bench.watch.trust.keys is not None
    assert len(bench.watch.trust.keys.entries) == 0
    assert "no entries" in bench.store(None)
    assert bench.watch.trust.keys is None


@pytest.mark.invariant(30)
def test_an_older_file_does_not_count_though_the_operator_recorded_nothing(bench: Bench) -> None:
    assert bench.store(bench.file(5)) == ""
    assert "its serial is 4" in bench.store(bench.file(4, CAROL))
    assert "another file has the serial 5" in bench.store(bench.file(5, CAROL))
    assert bench.store(bench.file(6, CAROL)) == ""


@pytest.mark.invariant(30)
def test_an_older_file_than_the_operator_recorded_does_not_count_from_then_on(bench: Bench) -> None:
    old, new = bench.file(4, CAROL), bench.file(5)
    _, recorded = judge_config_map(new, bench.registrars, NO_FLOOR)
    assert bench.store(old) == ""
    bench.watch.floor_changed(str(recorded))
    assert "its serial is 4, but 5 was in force" in bench.watch.trust.problem
    assert bench.store(new) == ""
    bench.watch.floor_changed("what no operator writes")
    assert bench.watch.trust.keys is None


@pytest.mark.invariant(30)
def test_nothing_counts_while_no_operator_has_recorded_which_file_is_the_newest(bench: Bench) -> None:
    """Else a removed entry would bring removed keys back at a decision point that starts afterwards."""
    for watch in (bench.started(None), ReviewerWatch(Installation(), bench.registrars)):
        assert "cannot be read" in bench.store(bench.file(4, CAROL), watch)
        assert watch.trust.keys is None
        watch.floor_changed("")
        assert watch.trust.keys is not None
