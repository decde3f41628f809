"""`serve-console`: the pages of `console` for many people, in the cluster."""

import os

from bailiwick_cli.commands.console import need_extra
from bailiwick_cli.consolesettings import settings_of
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.verbs.consoleverbs import ServeConsoleFlags


def run(options: ServeConsoleFlags) -> int:
    """Serve until a signal ends it."""
    need_extra()
    from bailiwick_console.hosted import process  # noqa: PLC0415 - what they stand on is an extra

    if options.kubeconfig or options.context or options.as_user or options.as_group:
        raise CliError(
            "serve-console acts as the person who logs in, and has no user of its own: run it without --kubeconfig,"
            " --context, --as and --as-group"
        )
    process.serve(settings_of(options, os.environ))
    return Exit.OK
