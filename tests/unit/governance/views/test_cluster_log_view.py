"""What is said of each cluster in a log of all clusters never goes beyond what the log shows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from bailiwick_evidence.audit.findings import ChainReport, FindingCode, LogFinding
from bailiwick_evidence.audit.historyfold import HistoryFold
from bailiwick_evidence.audit.reviewfold import ReviewReport
from bailiwick_evidence.clusterlog.clusterlog import (
    ClusterLogCode,
    ClusterLogFinding,
    ClusterLogReport,
    LoggedCluster,
)
from bailiwick_governance.views.clusterlogview import cluster_log_lines, cluster_log_object
from bailiwick_governance.views.verificationview import ChainResults, LogTotals, LogVerification

THEN: Final = 1_767_261_600
LATER: Final = THEN + 3_600
TRUNCATED: Final = LogFinding(FindingCode.TRUNCATED, "lines 4 to 9 are missing")


def chain(name: str = "A", *found: LogFinding, upto: int = LATER, cluster: str = "east") -> ChainReport:
    return ChainReport(name, 5, 5, upto, found, closed=True, cluster=cluster)


def logged(*findings: ClusterLogFinding, newest: int = THEN, ahead: int = 0) -> ClusterLogReport:
    """Return the report on a log with one chain of the one cluster, A."""
    cluster = LoggedCluster("east", {"A"}, newest, ahead, silent=False)
    return ClusterLogReport("example.org/clusters", 2, LATER, findings, (cluster,))


def spoken(log: ClusterLogReport, reports: Sequence[ChainReport]) -> tuple[str, object]:
    """Return what is said of the cluster in words, and until when the ends of its logs were not cut."""
    line = [*cluster_log_lines(log, reports)][-1]
    clusters = cluster_log_object(log, reports)["clusters"]
    assert isinstance(clusters, list)
    (found,) = clusters
    return "".join(text for text, _ in line), found["upTo"]


def test_no_end_is_called_uncut_later_than_the_newest_checkpoint_in_the_log() -> None:
    words, upto = spoken(logged(), [chain(upto=LATER)])
    assert (words.split(";")[0], upto) == (
        "Cluster east: no end was cut up to 2026-01-01T10:00:00Z",
        "2026-01-01T10:00:00Z",
    )
    assert spoken(logged(), [chain(upto=THEN - 60)])[1] == "2026-01-01T09:59:00Z"


def test_checkpoints_from_the_future_are_named_and_do_not_count() -> None:
    words, upto = spoken(logged(ahead=1), [chain(upto=THEN + 10**9)])
    assert "; 1 cosignature from the future, without a time that counts" in words
    assert upto == "2026-01-01T10:00:00Z"


def test_a_cluster_is_not_intact_if_a_chain_of_it_is_not_that_the_log_does_not_have() -> None:
    words, upto = spoken(logged(), [chain(), chain("B", TRUNCATED)])
    assert (words.split(";")[0], upto) == ("Cluster east: not intact: B", None)
    words, upto = spoken(logged(), [chain(), chain("B", TRUNCATED, cluster="west")])
    assert (words.split(";")[0], upto) == ("Cluster east: no end was cut up to 2026-01-01T10:00:00Z", upto)


def test_nothing_is_known_of_any_end_by_a_log_that_is_not_intact() -> None:
    missing = ClusterLogFinding(ClusterLogCode.INCOMPLETE, "tile/entries/001.p/1 is missing")
    words, upto = spoken(logged(missing), [chain()])
    assert (words.split(";")[0], upto) == ("Cluster east: nothing is known of the ends of its logs", None)


def test_chains_that_the_log_does_not_have_are_counted() -> None:
    reports = [chain(), chain("B"), chain("C", cluster="west")]
    words, _ = spoken(logged(), reports)
    assert "; 1 chain in the cluster log, 1 here and not in it, the newest checkpoint" in words
    clusters = cluster_log_object(logged(), reports)["clusters"]
    assert isinstance(clusters, list)
    assert clusters[0]["chainsNotLogged"] == 1


def test_an_entry_that_cannot_be_read_leaves_the_end_of_its_cluster_unknown() -> None:
    log = ClusterLogReport(
        "example.org/clusters", 2, LATER, (), (LoggedCluster("east", {"A"}, THEN, silent=False, unreadable=1),)
    )
    words, upto = spoken(log, [chain()])
    assert (words.split(";")[0], upto) == ("Cluster east: nothing is known of the ends of its logs", None)


def test_of_a_cluster_that_too_few_witnesses_cosigned_it_is_said_how_many_did() -> None:
    for chains, said in (({"A"}, "1 of the 2 required witnesses"), (set(), "not in the cluster log")):
        cluster = LoggedCluster("east", chains, witnesses=len(chains), quorum=2)
        words, _ = spoken(ClusterLogReport("example.org/clusters", 2, LATER, (), (cluster,)), [chain()])
        assert words.split(" cosigned")[0] == f"Cluster east: {said}"


@pytest.mark.parametrize("logged", [None, logged()])
def test_a_cluster_of_which_nothing_is_here_is_named(logged: ClusterLogReport | None) -> None:
    totals = LogTotals(5, 0, 0, 0, 1, derived=False, histories=HistoryFold().report({}), signed=ReviewReport(0, 0, 0))
    results = ChainResults((chain(),), {}, ())
    assert not LogVerification(totals, results, logged).bad
    found = LogVerification(replace(totals, absent=("north", "west")), results, logged)
    assert (found.bad, found.headline) == (True, "Nothing is known of what was removed or changed in north, west.")
    words = ["".join(text for text, _ in line) for line in found.lines()]
    assert any(one.startswith("Cluster west: absent: no checkpoint") for one in words)
    assert found.object()["absentClusters"] == ["north", "west"]


def test_checkpoints_that_were_not_read_leave_the_log_unproven() -> None:
    totals = LogTotals(5, 0, 0, 0, 1, derived=False, histories=HistoryFold().report({}), signed=ReviewReport(0, 0, 0))
    found = LogVerification(replace(totals, unread=1), ChainResults((chain(),), {}, ()))
    assert (found.bad, found.headline.startswith("Not all of this log was checked")) == (True, True)


def test_a_cluster_of_whose_ends_nothing_is_known_is_looked_at() -> None:
    totals = LogTotals(5, 0, 0, 0, 1, derived=False, histories=HistoryFold().report({}), signed=ReviewReport(0, 0, 0))
    seen, never = chain(), ChainReport("A", 0, 0, None, (), cluster="east")
    assert not LogVerification(totals, ChainResults((seen,), {}, ()), logged()).bad
    assert LogVerification(totals, ChainResults((never,), {}, ()), logged()).bad


def test_who_cosigned_other_entries_is_named() -> None:
    log = ClusterLogReport("example.org/clusters", 9, LATER, (), (), 4, 0, ("a+1", "b+2", "c+3", "d+4"))
    words = "".join(text for text, _ in next(iter(cluster_log_lines(log, ()))))
    assert "; 4 entries cosigned by keys that you did not give: a+1, b+2, c+3" in words
    assert cluster_log_object(log, ())["keysOfOthers"] == ["a+1", "b+2", "c+3", "d+4"]


def test_the_headline_goes_no_further_than_the_newest_checkpoint_of_each_cluster() -> None:
    totals = LogTotals(5, 0, 0, 0, 1, derived=False, histories=HistoryFold().report({}), signed=ReviewReport(0, 0, 0))
    results = ChainResults((chain(upto=LATER),), {}, ())
    assert LogVerification(totals, results, logged()).headline.startswith(
        "Nothing removed or changed up to 2026-01-01T10:00:00Z"
    )
    assert LogVerification(totals, results).upto == LATER


def test_the_headline_of_several_clusters_is_that_of_the_earliest() -> None:
    totals = LogTotals(5, 0, 0, 0, 2, derived=False, histories=HistoryFold().report({}), signed=ReviewReport(0, 0, 0))
    results = ChainResults((chain(upto=THEN), chain("B", upto=LATER, cluster="west")), {}, ())
    assert LogVerification(totals, results).upto == THEN
    west = LoggedCluster("west", {"B"}, LATER, silent=False)
    both = ClusterLogReport("example.org/clusters", 2, LATER, (), (*logged().clusters, west))
    assert LogVerification(totals, results, both).upto == THEN
    never = ClusterLogReport("example.org/clusters", 2, LATER, (), (*logged().clusters, LoggedCluster("north")))
    assert LogVerification(totals, results, never).upto is None
