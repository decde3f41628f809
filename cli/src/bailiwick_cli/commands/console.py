"""`console`: the same requests and the same reviews as the other commands, on a page."""

from bailiwick_cli import extras
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.verbs.consoleverbs import ConsoleFlags
from bailiwick_governance.apiserver.people import who_am_i


def run(options: ConsoleFlags) -> int:
    """Serve the console until the terminal ends it."""
    if options.witness_key and not options.records:
        raise CliError("--witness-key is for --records: name the record files too")
    need_extra()
    from bailiwick_console import server  # noqa: PLC0415 - what it stands on is an extra
    from bailiwick_console.threads.recordfiles import RecordFiles  # noqa: PLC0415 - likewise
    from bailiwick_console.visits.visitor import ConsoleVisitor  # noqa: PLC0415 - likewise

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
    visitor = ConsoleVisitor(cluster, me, namespace, records, installation=options.installation)
    server.serve(visitor, browser=not options.no_browser)
    return Exit.OK


def need_extra() -> None:
    """Raise `CliError` where what the console stands on is not installed."""
    extras.require("the console", ("aiohttp", "jinja2", "joserfc"), "console")
