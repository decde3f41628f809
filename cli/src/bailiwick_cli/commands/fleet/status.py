"""`fleet status`: one row for each cluster, asked at once, each within its time.

Holds: nothing is decided here, and nothing in a cluster is written; what could not be read is unknown, and what could
not be asked is a row. Of a kubeconfig only names of contexts are printed.
"""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial

from bailiwick_api.documents.policyfiles import File
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import KubeconfigContexts, connect, read_contexts
from bailiwick_cli.options import Flags, LogOutput
from bailiwick_cli.verbs.fleetverbs import FleetFailOn, FleetStatusFlags
from bailiwick_cli.views import fleetview
from bailiwick_governance.arguments import seconds
from bailiwick_governance.errors import UserError
from bailiwick_governance.fleet.argocd import ClusterContext, contexts_of, read_clusters
from bailiwick_governance.fleet.asking import ask_clusters
from bailiwick_governance.fleet.drift import refuse_unusable
from bailiwick_governance.fleet.judging import FleetCheckCode
from bailiwick_governance.fleet.reading import ClusterReading, ClusterUnansweredError, read_cluster
from bailiwick_governance.fleet.report import FleetReport, fleet_report, refuse_empty_namespace
from bailiwick_governance.health.evidencefacts import HealthTone
from bailiwick_governance.sources.policies import files_named

Files = Sequence[tuple[str, File]]


def run(options: FleetStatusFlags) -> int:
    """Ask every cluster, judge and tell."""
    limit = _refuse_mistaken(options)
    against = _against(options.against or (), options.namespace)
    # What the client logs of a plugin that failed can repeat the kubeconfig.
    logging.disable(logging.CRITICAL)
    contexts = read_contexts(options)
    clusters = _clusters(options, contexts)
    if unknown := sorted(against.keys() - {one.name for one in clusters} - {""}):
        raise CliError(f"--against names {', '.join(unknown)}, which is none of the clusters")
    readers = {one.name: partial(_read, one, options, contexts, with_data=bool(against)) for one in clusters}
    answers = ask_clusters(readers, limit)
    if options.namespace is not None and not against:
        refuse_empty_namespace(answers, options.namespace)
    report = fleet_report(answers, against, options.namespace, time.time())
    if options.output is LogOutput.JSON:
        sys.stdout.write(fleetview.document(report))
    else:
        fleetview.write_tables(report)
    return _exit_code(options.fail_on, report)


def _refuse_mistaken(options: FleetStatusFlags) -> float:
    """Return how long a cluster may take, in seconds. Raises `CliError`."""
    if FleetFailOn.NONE in (options.fail_on or ()) and len(set(options.fail_on or ())) > 1:
        raise CliError("--fail-on none stands alone")
    if FleetFailOn.DRIFT in (options.fail_on or ()) and not options.against:
        raise CliError("--fail-on drift needs --against, which says what is in Git")
    if options.context is not None and not options.argocd:
        raise CliError("--context names one cluster: set --contexts")
    limit = seconds(options.timeout, "--timeout")
    if limit <= 0:
        raise CliError("--timeout: a cluster needs some time to answer, such as 20s")
    return limit


def _against(named: Sequence[str], namespace: str | None) -> Mapping[str, Files]:
    """Return the files of each cluster that has its own, and under the empty name those of all others."""
    found: dict[str, list[tuple[str, File]]] = {}
    for one in named:
        cluster, equals, path = one.partition("=")
        cluster, path = (cluster, path) if equals else ("", one)
        found.setdefault(cluster, []).extend(files_named([path]))
    for cluster, files in found.items():
        refuse_unusable(files, f"--against {cluster}".strip(), namespace)
    return found


def _clusters(options: FleetStatusFlags, contexts: KubeconfigContexts) -> tuple[ClusterContext, ...]:
    chosen = [name for one in options.contexts or () for name in one.split(",") if name]
    if options.contexts is not None and not chosen:
        raise CliError("--contexts names no context")
    if missing := [name for name in chosen if name not in contexts.names]:
        raise CliError(f"--contexts: the kubeconfig has no context {', '.join(missing)}")
    names = tuple(dict.fromkeys(chosen)) or contexts.names
    if not options.argocd:
        if not names:
            raise CliError("the kubeconfig has no context")
        return tuple(ClusterContext(name, name) for name in names)
    try:
        named = read_clusters(connect(_one(options, options.context), contexts), options.argocd_namespace)
    except CliError as error:
        raise CliError("--argocd: the current context cannot be used") from error
    found = contexts_of(named, {name: contexts.server(name) for name in names}, options.context or contexts.current)
    # Two Secrets can have one name, and a row is found by it.
    if len({one.name for one in found}) < len(found):
        raise UserError("--argocd: two cluster Secrets have one name: name the clusters with --contexts")
    return found


def _one(options: FleetStatusFlags, context: str | None) -> Flags:
    return Flags(
        namespace=options.namespace,
        context=context,
        kubeconfig=options.kubeconfig,
        as_user=options.as_user,
        as_group=options.as_group,
        request_timeout=options.request_timeout or options.timeout,
    )


def _read(
    one: ClusterContext, options: FleetStatusFlags, contexts: KubeconfigContexts, *, with_data: bool
) -> ClusterReading:
    if one.context is None:
        raise ClusterUnansweredError(one.problem)
    try:
        cluster = connect(_one(options, one.context), contexts)
    except UserError as error:
        raise ClusterUnansweredError("its context cannot be used: see what kubectl says with it") from error
    return read_cluster(one.name, cluster, options.installation, options.namespace, with_data=with_data)


def _exit_code(fail_on: Sequence[FleetFailOn] | None, report: FleetReport) -> Exit:
    if any(row.problem is not None for row in report.rows):
        return Exit.FAILURE
    named = set(fail_on or (FleetFailOn.ANY,))
    codes = set(FleetCheckCode) if FleetFailOn.ANY in named else {FleetCheckCode(one) for one in named - _NO_CODE}
    bad = any(one.tone is not HealthTone.GOOD for row in report.rows for one in row.checks if one.code in codes)
    return Exit.NO if bad else Exit.OK


_NO_CODE = frozenset({FleetFailOn.NONE, FleetFailOn.ANY})
