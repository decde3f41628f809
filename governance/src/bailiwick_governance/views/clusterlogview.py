"""What a log of all clusters says, in words and as an object: of the log, and of the ends of each cluster's chains.

Standing: under `audit verify`. Holds: data only; the end of a chain is called uncut only where the audit of its lines
found nothing bad, and only up to the oldest last cosignature of those that could go on; texts of others are escaped.
"""

from collections.abc import Iterator, Sequence

from bailiwick_api import times
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.logaudit import known_upto
from bailiwick_evidence.clusterlog.clusterlog import ClusterLogReport, LoggedCluster
from bailiwick_governance.display import Line


def cluster_log_lines(log: ClusterLogReport, reports: Sequence[ChainReport]) -> Iterator[Line]:
    """Yield what is said of the log, of its findings, and of each cluster."""
    result = ("not intact", "red") if log.forged else ("intact", "green")
    size = "" if log.size is None else f"; {log.size} entries"
    upto = "" if log.witnessed is None else f", witnessed up to {times.epoch_stamp(log.witnessed)}"
    left = f"; {log.others} entries of other clusters" if log.others else ""
    left += f"; {log.refused} entries that do not count" if log.refused else ""
    yield [(f"Cluster log {visible(log.origin)}: ", "bold"), result, (f"{size}{upto}{left}", "")]
    for found in log.findings:
        yield [("  ", ""), (found.code.value, "red"), (f": {visible(found.said)}", "")]
    for cluster in log.clusters:
        yield _cluster_line(cluster, reports)


def cluster_log_object(log: ClusterLogReport, reports: Sequence[ChainReport]) -> dict[str, object]:
    """Return the same as an object."""
    return {
        "origin": log.origin,
        "intact": not log.forged,
        "entries": log.size,
        "witnessedUpTo": _stamp(log.witnessed),
        "entriesOfOthers": log.others,
        "entriesRefused": log.refused,
        "findings": [{"code": found.code.value, "message": found.said} for found in log.findings],
        "clusters": [
            {
                "name": cluster.name,
                "chains": len(cluster.chains),
                "upTo": _stamp(_uncut_upto(cluster, reports)),
                "newest": _stamp(cluster.newest),
                "silent": cluster.silent,
                "cut": cut_chains(cluster, reports),
            }
            for cluster in log.clusters
        ],
    }


def cut_chains(cluster: LoggedCluster, reports: Sequence[ChainReport]) -> list[str]:
    """Return the chains of a cluster in the log that are not what they were."""
    return sorted(report.chain for report in reports if report.bad and report.chain in cluster.chains)


def _cluster_line(cluster: LoggedCluster, reports: Sequence[ChainReport]) -> Line:
    head = (f"Cluster {visible(cluster.name)}: ", "bold")
    chains = f"; {len(cluster.chains)} chains in the cluster log"
    if cluster.newest is None:
        return [head, ("not in the cluster log", "red"), ("", "")]
    chains += f", the newest checkpoint from {times.epoch_stamp(cluster.newest)}"
    if cut := cut_chains(cluster, reports):
        return [head, (f"not intact: {', '.join(cut)}", "red"), (chains, "")]
    if (upto := _uncut_upto(cluster, reports)) is None:
        return [head, ("nothing is known of the ends of its logs", "yellow"), (chains, "")]
    style = "yellow" if cluster.silent else "green"
    return [head, (f"no end was cut up to {times.epoch_stamp(upto)}", style), (chains, "")]


def _uncut_upto(cluster: LoggedCluster, reports: Sequence[ChainReport]) -> int | None:
    """Return up to when no end of a chain in the log was cut, in seconds since the epoch; None: not known."""
    if cut_chains(cluster, reports):
        return None
    return known_upto([report for report in reports if report.chain in cluster.chains])


def _stamp(time: int | None) -> str | None:
    return None if time is None else times.epoch_stamp(time)
