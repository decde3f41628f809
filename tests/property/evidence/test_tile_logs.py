"""The law of a log of all clusters: one whose files are not as Tessera published them is not intact.

Tessera, which is not ours, writes the logs and verifies what our tests write; what is true is what was appended.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.clusterlog.clusterlog import (
    ClusterLogReport,
    ClusterLogTrust,
    checkpoint_of_log,
    verify_cluster_log,
)
from support.evidence.tilelogs import LOG_KEY, OUTSIDE_KEY, Tessera, log_files

STAGES: Final = (5, 300, 515)
ENTRIES: Final = [b"entry %d " % number * (1 + number % 3) for number in range(STAGES[-1])]


class Stage(NamedTuple):
    """The files of a log as they were at a size."""

    size: int
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> list[Stage]:
    """One log as Tessera published it, three times."""
    tessera = Tessera(tmp_path_factory.mktemp("tessera"))
    found, begin = [], 0
    for size in STAGES:
        tessera.append(ENTRIES[begin:size])
        assert tessera.complaint() == ""
        found.append(Stage(size, tessera.files()))
        begin = size
    return found


def verified(files: Mapping[str, bytes], earlier: Sequence[Stage] = ()) -> ClusterLogReport:
    kept = tuple(checkpoint_of_log(stage.files["checkpoint"].decode(), LOG_KEY) for stage in earlier)
    trust = ClusterLogTrust(LOG_KEY, (OUTSIDE_KEY,), 0, 1.0, kept)
    note = files["checkpoint"].decode(errors="replace")
    return verify_cluster_log(note, files.get, trust, WitnessBook(()), 0.0)


def test_a_log_that_tessera_wrote_is_read_to_its_end(stages: list[Stage]) -> None:
    for number, stage in enumerate(stages):
        report = verified(stage.files, stages[: number + 1])
        assert (report.findings, report.size, report.refused) == ((), stage.size, stage.size)


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_log_is_intact_whose_files_are_not_as_tessera_published_them(
    stages: list[Stage], data: st.DataObject
) -> None:
    stage = data.draw(st.sampled_from(stages))
    files = dict(stage.files)
    read = sorted(path for path in files if path == "checkpoint" or path.startswith("tile/entries/"))
    for path in data.draw(st.lists(st.sampled_from(read), min_size=1, max_size=2, unique=True)):
        spoil(files, path, stages, data)
    earlier = data.draw(st.lists(st.sampled_from(stages), max_size=2))
    report = verified(files, earlier)
    # What a partial bundle has beyond the size is not read, and another stage is the truth of another time.
    if not report.forged:
        assert report.size in STAGES
        assert report.size is not None
        assert report.refused == report.size
        assert all(one.size <= report.size for one in earlier)
        assert unspoiled(files, stages[STAGES.index(report.size)])


def spoil(files: dict[str, bytes], path: str, stages: list[Stage], data: st.DataObject) -> None:
    """Do to a file what a thief can do to it."""
    held = files[path]
    kind = data.draw(st.sampled_from(["flip", "cut", "add", "remove", "older"]))
    if kind == "flip":
        at = data.draw(st.integers(0, len(held) - 1))
        files[path] = held[:at] + bytes([held[at] ^ data.draw(st.integers(1, 255))]) + held[at + 1 :]
    elif kind == "cut":
        files[path] = held[: data.draw(st.integers(0, len(held) - 1))]
    elif kind == "add":
        files[path] = held + data.draw(st.binary(min_size=1, max_size=4))
    elif kind == "remove" and path != "checkpoint":
        del files[path]
    else:
        other = data.draw(st.sampled_from(stages)).files
        files[path] = other[data.draw(st.sampled_from(sorted(other)))] if path != "checkpoint" else other[path]


def unspoiled(files: Mapping[str, bytes], true: Stage) -> bool:
    """Tell whether what is read of these files is as it was published."""
    partial = f"/{true.size % 256}"
    return all(
        files.get(path) == content or (path.endswith(partial) and path not in files)
        for path, content in true.files.items()
        if path == "checkpoint" or (path.startswith("tile/entries/") and (".p/" not in path or path.endswith(partial)))
    )


@given(st.lists(st.binary(min_size=1, max_size=2_000), min_size=1, max_size=40), st.integers(1, 39))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_entries_are_read_as_they_were_appended(
    tmp_path_factory: pytest.TempPathFactory, entries: list[bytes], cut: int
) -> None:
    tessera = Tessera(tmp_path_factory.mktemp("tessera"))
    parts = [part for part in (entries[:cut], entries[cut:]) if part]
    for part in parts:
        tessera.append(part)
    report = verified(tessera.files())
    assert (report.findings, report.size, report.refused) == ((), len(entries), len(entries))
    # The files of our own tests have what Tessera publishes.
    own = log_files(entries)
    assert own == {path: tessera.files()[path] for path in own}


def test_what_is_not_intact_here_is_not_for_tessera(stages: list[Stage], tmp_path: Path) -> None:
    tessera, (true, *_) = Tessera(tmp_path), stages
    tessera.put(true.files)
    assert tessera.complaint() == ""
    path = "tile/entries/000.p/5"
    for spoiled in (
        {path: true.files[path].replace(b"entry 3", b"entry 9")},
        {path: true.files[path][:-1]},
        {"checkpoint": true.files["checkpoint"].replace(b"\n5\n", b"\n4\n")},
        {"checkpoint": stages[1].files["checkpoint"]},
    ):
        tessera.put(spoiled)
        assert tessera.complaint() != ""
        assert verified(true.files | spoiled).forged
        tessera.put(true.files)
