"""`list`: grants in a table, filtered, and their changes as they come.

Holds: a list never fails on one grant that it cannot read; what is printed as JSON or YAML are the objects themselves.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.options import Output
from bailiwick_cli.output import Table
from bailiwick_cli.verbs.grantverbs import ListFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import ClusterClient, Object, grants_path
from bailiwick_governance.apiserver.people import Permissions, who_am_i
from bailiwick_governance.display import Line, talk
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.grants import steps
from bailiwick_governance.grants.grantrows import COLUMNS, WIDE, listable, row
from bailiwick_governance.grants.grantview import GrantView

_WATCHED: Final = 300.0
_PAUSE: Final = 1.0

Wanted = Callable[[GrantView], bool]


def run(options: ListFlags) -> int:
    """List, and watch where that is asked."""
    cluster = connect(options)
    namespace = None if options.all_namespaces else cluster.namespace
    path = grants_path(namespace)
    items, version = _list_grants(cluster, path)
    wanted = _filter_of(options, cluster)
    found = [raw for raw in items if listable(raw, time.time()) and wanted(GrantView(raw, time.time()))]
    if options.watch:
        _watch(options, cluster, path, found, version, wanted)
    elif options.output in {Output.JSON, Output.YAML}:
        sys.stdout.write(output.document(output.object_list(found), options.output))
    else:
        _print(options, found)
        if not found and options.output is not Output.NAME:
            talk(f"No approvals found{'' if namespace is None else f' in {namespace}'}.")
    return Exit.OK


def _list_grants(cluster: ClusterClient, path: str) -> tuple[list[Object], str]:
    try:
        return cluster.list_all(path)
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN or path != grants_path(None):
            raise
        # Rights are given namespace by namespace, so that most people meet this one.
        raise CliError(
            f"{error}: you are not allowed to list all namespaces: choose one with -n instead of -A"
        ) from error


def _filter_of(options: ListFlags, cluster: ClusterClient) -> Wanted:
    tests: list[Wanted] = []
    if options.active:
        tests.append(lambda grant: grant.phase == "Active")
    if options.mine or options.to_review:
        me = who_am_i(cluster)
        if options.mine:
            tests.append(
                lambda grant: me.username in {grant.request["requester"]["username"], grant.request["subject"]["id"]}
            )
        if options.to_review:
            permissions = Permissions(cluster)
            tests.append(
                lambda grant: any(
                    permissions.may("approve", grant.namespace, step.policy) for step in steps.reviewable(grant, me)
                )
            )
    return lambda grant: all(test(grant) for test in tests)


def _print(options: ListFlags, found: Sequence[Object]) -> None:
    if options.output is Output.NAME:
        sys.stdout.writelines(output.reference(raw["metadata"]["name"]) + "\n" for raw in found)
    elif found:
        _table(options).add([_row(options, raw) for raw in found])


def _table(options: ListFlags) -> Table:
    headers = (*COLUMNS, *(WIDE if options.output is Output.WIDE else ()))
    return Table(("NAMESPACE", *headers) if options.all_namespaces else headers, show_headers=not options.no_headers)


def _row(options: ListFlags, raw: Object) -> Line:
    grant = GrantView(raw, time.time())
    cells = row(grant, wide=options.output is Output.WIDE)
    return [(visible(grant.namespace), ""), *cells] if options.all_namespaces else cells


def _watch(
    options: ListFlags, cluster: ClusterClient, path: str, found: Sequence[Object], version: str, wanted: Wanted
) -> None:
    emit = _emitter(options)
    emit(found)
    for raw in _changes(cluster, path, version):
        if listable(raw, time.time()) and wanted(GrantView(raw, time.time())):
            emit([raw])


def _emitter(options: ListFlags) -> Callable[[Sequence[Object]], None]:
    """Return what prints objects as they come."""
    table = _table(options)

    def emit(found: Sequence[Object]) -> None:
        match options.output:
            case Output.JSON:
                sys.stdout.writelines(json.dumps(raw) + "\n" for raw in found)
            case Output.YAML:
                sys.stdout.writelines("---\n" + output.document(raw, Output.YAML) for raw in found)
            case Output.NAME:
                sys.stdout.writelines(output.reference(raw["metadata"]["name"]) + "\n" for raw in found)
            case _:
                table.add([_row(options, raw) for raw in found])
        sys.stdout.flush()

    return emit


def _changes(cluster: ClusterClient, path: str, version: str) -> Iterator[dict[str, Any]]:
    """Yield every grant that was added or changed after a version, for ever; through what breaks in between."""
    while True:
        began = time.monotonic()
        try:
            for event in cluster.watch(path, version, _WATCHED):
                if event.type == "GONE":
                    items, version = cluster.list_all(path)
                    yield from items
                    break
                version = event.object["metadata"]["resourceVersion"]
                if event.type in {"ADDED", "MODIFIED"}:
                    yield event.object
        except UserError as error:
            talk(f"warning: {error}; retrying")
        if time.monotonic() - began < _PAUSE:
            time.sleep(_PAUSE)
