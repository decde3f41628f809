"""The law of a log of all clusters: one whose files are not as Tessera published them is not intact.

Tessera, which is not ours, writes the logs and verifies what our tests write; what is true is what was appended.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.clusterlog.clusterlog import (
    ClusterLogReport,
    ClusterLogTrust,
    checkpoint_of_log,
    verify_cluster_log,
)
from bailiwick_evidence.note import VerifierKey, cosign_note
from support.evidence.logs import audited_by, places
from support.evidence.tilelogs import (
    CLUSTERS,
    EAST,
    EAST_KEY,
    LOG_KEY,
    OUTSIDE_KEY,
    WEST,
    WEST_KEY,
    Tessera,
    log_files,
    process_log,
)

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


PROCESSES: Final = [process_log(number).records(number).close() for number in (2, 3, 4)]
SIGNERS: Final = {"east": (EAST_KEY, EAST), "west": (WEST_KEY, WEST)}


class DrawnEntry(NamedTuple):
    """An entry: the checkpoint of a process, and which clusters' witnesses cosigned it, and when."""

    process: int
    size: int
    signers: tuple[tuple[str, int], ...]

    def note(self) -> str:
        """Return it as it is appended."""
        log = PROCESSES[self.process]
        note = log.signed(log.lines[: self.size])
        for name, time in self.signers:
            key, private = SIGNERS[name]
            note = cosign_note(note, key.name, private, time)
        return note


ENTRY: Final = st.builds(
    DrawnEntry,
    st.integers(0, 2),
    st.integers(1, 4),
    st.dictionaries(st.sampled_from(["east", "west"]), st.integers(1, 1_000), max_size=2).map(
        lambda found: tuple(found.items())
    ),
)


@given(st.lists(ENTRY, max_size=8), st.sampled_from([CLUSTERS, {EAST_KEY: "east"}, dict(reversed(CLUSTERS.items()))]))
@settings(max_examples=200, deadline=None)
def test_each_cluster_has_what_its_own_key_cosigned_and_no_chain_of_two_is_intact(
    appended: list[DrawnEntry], clusters: dict[VerifierKey, str]
) -> None:
    files = log_files([one.note().encode() for one in appended])
    book = WitnessBook(tuple(clusters), clusters=clusters)
    trust = ClusterLogTrust(LOG_KEY, (), 0, 600.0)
    report = verify_cluster_log(files["checkpoint"].decode(), files.get, trust, book, 1_000.0)
    true = {name: [one for one in appended if name in dict(one.signers)] for name in clusters.values()}
    assert {one.name: one.chains for one in report.clusters} == {
        name: {PROCESSES[one.process].id for one in found} for name, found in true.items()
    }
    newest = {name: max((dict(one.signers)[name] for one in found), default=None) for name, found in true.items()}
    assert {one.name: one.newest for one in report.clusters} == newest
    assert {one.name for one in report.clusters if one.silent} == {
        name for name, time in newest.items() if time is None or time < 400
    }
    assert (not report.findings) == (not any(one.silent for one in report.clusters))
    for log, found in zip(PROCESSES, reports_of(book), strict=True):
        owners = {name for name, entries in true.items() if log.id in {PROCESSES[one.process].id for one in entries}}
        assert (found.cluster is None) == (len(owners) != 1)
        assert ("contradicted" in places(found)) == (len(owners) == 2)
        assert not (found.intact and len(owners) == 2)


def reports_of(book: WitnessBook) -> list[ChainReport]:
    """Return the reports of the processes, all of whose lines are here."""
    reports = {one.chain: one for one in audited_by(book.copy(), [b"".join(log.lines) for log in PROCESSES])}
    return [reports[log.id] for log in PROCESSES]
