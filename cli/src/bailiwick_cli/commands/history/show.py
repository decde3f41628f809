"""`history show`: what histories have counted for a key, or for all keys of an endpoint.

Holds: it reads as the person who calls it, and writes nothing. The numbers are made by the engine, from the object as
it is now.
"""

import sys
import time

from bailiwick_api.kinds.meta import ENDPOINT_HISTORIES, ENDPOINT_LABEL, GROUP
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_cli import output
from bailiwick_cli.commands.history.keyvalues import counted_key
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.verbs.historyverbs import HistoryShowFlags
from bailiwick_governance.apiserver.cluster import ClusterClient, histories_path
from bailiwick_governance.display import talk
from bailiwick_governance.errors import ApiError
from bailiwick_governance.sources import clusterpolicies, policies
from bailiwick_governance.views.historyview import HEADERS, ShownHistory, histories_document, history_rows

_NOT_FOUND = 404
_FORBIDDEN = 403


def run(options: HistoryShowFlags) -> int:
    """Read and show."""
    if options.all_keys and options.values:
        raise CliError("--all lists every key: remove it, or remove KEY=VALUE")
    cluster = connect(options)
    snapshot = clusterpolicies.read_namespace(cluster)
    name, endpoint = policies.endpoint(snapshot, cluster.namespace, options.endpoint)
    if options.all_keys:
        raw = _read_all(cluster, name)
        shown = [ShownHistory.from_object(one, endpoint.histories) for one in raw]
    else:
        place = (cluster.namespace, name)
        key = counted_key(place, endpoint, options.values or (), lambda account: _uid(cluster, account))
        found = _read(cluster, key.object.name)
        shown = [ShownHistory.of_key(key.object, key.histories, found)]
    now = time.time()
    if options.output is LogOutput.JSON:
        body = histories_document((cluster.namespace, name), shown, now)
        sys.stdout.write(output.document(body, Output.JSON))
    elif not shown:
        talk(f"nothing is counted for the endpoint {name}")
    else:
        output.Table(list(HEADERS)).add(list(history_rows(shown, now)))
    return Exit.OK


def _read(cluster: ClusterClient, name: str) -> dict[str, object] | None:
    """Return an object; None: nothing was counted in it. Raises `UserError`."""
    try:
        return cluster.get(histories_path(cluster.namespace, name))
    except ApiError as error:
        if error.status == _NOT_FOUND:
            return None
        raise _refusal(error, "get") from error


def _read_all(cluster: ClusterClient, endpoint: str) -> list[dict[str, object]]:
    try:
        items, _ = cluster.list_all(histories_path(cluster.namespace), labelSelector=f"{ENDPOINT_LABEL}={endpoint}")
    except ApiError as error:
        raise _refusal(error, "list") from error
    return items


def _refusal(error: ApiError, verb: str) -> Exception:
    if error.status != _FORBIDDEN:
        return error
    return CliError(
        f"{error}; ask for a Role with the verb {verb} on {ENDPOINT_HISTORIES}.{GROUP}. No role of Bailiwick has it,"
        " since short values of keys can be guessed from the names of the objects"
    )


def _uid(cluster: ClusterClient, account: ServiceAccountName) -> str:
    try:
        return str(cluster.get(account.path)["metadata"]["uid"])
    except ApiError as error:
        raise CliError(
            f"the key has the uid of the service account, which cannot be read: {error}; use --all to list all keys"
        ) from error
