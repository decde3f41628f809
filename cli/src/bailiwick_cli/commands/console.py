"""`console` and `serve-console`: requests and reviews on pages, for one person on loopback, or for many in the cluster.

Holds: the console needs an extra of the package, so its modules are imported once it is known to be there.
"""

import os

from bailiwick_cli.clusternames import cluster_name
from bailiwick_cli.consolesettings import settings_of
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.registrarkeys import registrars_of
from bailiwick_cli.verbs.consoleverbs import ConsoleFlags, ServeConsoleFlags
from bailiwick_governance import extras
from bailiwick_governance.apiserver.people import who_am_i

# ruff: noqa: PLC0415 - see above


def run(options: ConsoleFlags) -> int:
    """Serve the console until the terminal ends it."""
    if options.witness_key and not options.records:
        raise CliError("--witness-key is for --records: name the record files too")
    _require_extra()
    from bailiwick_console import server
    from bailiwick_console.threads.recordfiles import RecordFiles
    from bailiwick_console.visits.visitor import ConsoleVisitor

    records = None if options.records is None else RecordFiles(options.records, options.witness_key or ())
    cluster = connect(options)
    if cluster.impersonates:
        # A page names one person who acts, so a review on it is only ever theirs.
        raise CliError(
            "the console acts only as you: run it without --as and --as-group, and with a kubeconfig user"
            " that has no `as`. `kubectl bailiwick approve` takes them"
        )
    me = who_am_i(cluster)
    namespace = None if options.all_namespaces else cluster.namespace
    registrars = registrars_of(
        options.registrar_keys, options.registrar_quorum, options.passkey_origin, options.reviewers_installation
    )
    visitor = ConsoleVisitor(
        cluster,
        me,
        namespace,
        records,
        installation=options.installation,
        registrars=registrars,
        cluster_name=cluster_name(options.cluster_name),
    )
    server.serve(visitor, browser=not options.no_browser)
    return Exit.OK


def serve(options: ServeConsoleFlags) -> int:
    """Serve the pages to all who log in, until a signal ends it."""
    _require_extra()
    from bailiwick_console.hosted import process

    if options.kubeconfig or options.context or options.as_user or options.as_group:
        raise CliError(
            "serve-console acts as the person who logs in, and has no user of its own: run it without --kubeconfig,"
            " --context, --as and --as-group"
        )
    process.serve(settings_of(options, os.environ))
    return Exit.OK


def _require_extra() -> None:
    """Raise `CliError` where what the console stands on is not installed."""
    extras.require("the console", ("aiohttp", "jinja2", "joserfc"), "console")
