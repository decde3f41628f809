"""What a log of all clusters says, in words and as an object: of the log, and of the ends of each cluster's chains.

Standing: under `audit verify`. Holds: data only; the ends of a cluster are called uncut only if the log is intact and
nothing bad was found in any chain of the cluster, and never up to a later time than that of its newest checkpoint in
the log: a chain that began after that is not known. Texts of others are escaped.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bailiwick_api import times
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.logaudit import known_upto
from bailiwick_evidence.clusterlog.clusterlog import ClusterLogReport, LoggedCluster
from bailiwick_governance.display import Line, counted

_NAMED: Final = 3


def cluster_log_lines(log: ClusterLogReport, reports: Sequence[ChainReport]) -> Iterator[Line]:
    """Yield what is said of the log, of its findings, and of each cluster."""
    result = ("not intact", "red") if log.forged else ("intact", "green")
    size = "" if log.size is None else f"; {counted(log.size, 'entry', 'entries')}"
    upto = "" if log.witnessed is None else f", witnessed up to {times.epoch_stamp(log.witnessed)}"
    named = f": {', '.join(map(visible, log.labels[:_NAMED]))}" if log.labels else ""
    left, entries = "", ("entry", "entries")
    if log.others:
        left += f"; {counted(log.others, *entries)} cosigned by keys that you did not give{named}"
    if log.refused:
        left += f"; {counted(log.refused, *entries)} without a signature that counts"
    yield [(f"Cluster log {visible(log.origin)}: ", "bold"), result, (f"{size}{upto}{left}", "")]
    for found in log.findings:
        yield [("  ", ""), (found.code.value, "red"), (f": {visible(found.said)}", "")]
    for cluster in log.clusters:
        yield _cluster_line(log, cluster, reports)


def cluster_log_object(log: ClusterLogReport, reports: Sequence[ChainReport]) -> dict[str, object]:
    """Return the same as an object."""
    return {
        "origin": log.origin,
        "intact": not log.forged,
        "entries": log.size,
        "witnessedUpTo": _stamp(log.witnessed),
        "entriesOfOthers": log.others,
        "keysOfOthers": list(log.labels),
        "entriesRefused": log.refused,
        "findings": [{"code": found.code.value, "message": found.said} for found in log.findings],
        "clusters": [
            {
                "name": cluster.name,
                "chains": len(cluster.chains),
                "chainsNotLogged": _not_logged(cluster, reports),
                "upTo": _stamp(_uncut_upto(log, cluster, reports)),
                "newest": _stamp(cluster.newest),
                "witnesses": cluster.witnesses,
                "fromTheFuture": cluster.ahead,
                "silent": cluster.silent,
                "entriesUnreadable": cluster.unreadable,
                "cut": cut_chains(cluster, reports),
            }
            for cluster in log.clusters
        ],
    }


def cut_chains(cluster: LoggedCluster, reports: Sequence[ChainReport]) -> list[str]:
    """Return the chains of a cluster that are not what they were, in the log or not."""
    return sorted(one.chain for one in reports if one.bad and _is_of(cluster, one))


def _not_logged(cluster: LoggedCluster, reports: Sequence[ChainReport]) -> int:
    """Return how many chains of a cluster are here of which the log has nothing, so that it shows no cut of them."""
    return sum(one.cluster == cluster.name and one.chain not in cluster.chains for one in reports)


def _is_of(cluster: LoggedCluster, report: ChainReport) -> bool:
    return report.cluster == cluster.name or report.chain in cluster.chains


def _cluster_line(log: ClusterLogReport, cluster: LoggedCluster, reports: Sequence[ChainReport]) -> Line:
    head = (f"Cluster {visible(cluster.name)}: ", "bold")
    chains = f"; {counted(len(cluster.chains), 'chain')} in the cluster log"
    if apart := _not_logged(cluster, reports):
        chains += f", {apart} here and not in it"
    ahead = counted(cluster.ahead, "cosignature")
    ahead = f"; {ahead} from the future, without a time that counts" if cluster.ahead else ""
    if cluster.newest is None:
        if cluster.witnesses:
            said = f"{cluster.witnesses} of the {cluster.quorum} required witnesses cosigned what the cluster log has"
            return [head, (said, "red"), (chains + ahead, "")]
        return [head, ("not in the cluster log", "red"), (ahead, "")]
    chains += f", the newest checkpoint from {times.epoch_stamp(cluster.newest)}{ahead}"
    if cut := cut_chains(cluster, reports):
        return [head, (f"not intact: {', '.join(cut)}", "red"), (chains, "")]
    if (upto := _uncut_upto(log, cluster, reports)) is None:
        return [head, ("nothing is known of the ends of its logs", "red"), (chains, "")]
    style = "yellow" if cluster.silent else "green"
    return [head, (f"no end was cut up to {times.epoch_stamp(upto)}", style), (chains, "")]


def _uncut_upto(log: ClusterLogReport, cluster: LoggedCluster, reports: Sequence[ChainReport]) -> int | None:
    """Return up to when no end of a cluster's logs was cut, in seconds since the epoch; None: not known."""
    if log.forged or cut_chains(cluster, reports):
        return None
    return cluster_upto(cluster, reports)


def cluster_upto(cluster: LoggedCluster, reports: Sequence[ChainReport]) -> int | None:
    """Return up to when what is known of a cluster holds, and no later than what the log has of it; None: never.

    An entry that cannot be read may have had a checkpoint that shows a cut.
    """
    upto = known_upto([one for one in reports if _is_of(cluster, one)])
    return None if upto is None or cluster.newest is None or cluster.unreadable else min(upto, cluster.newest)


def _stamp(time: int | None) -> str | None:
    return None if time is None else times.epoch_stamp(time)
