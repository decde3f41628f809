"""What a command refuses that works on files alone: kubectl's own flags that say nothing there, and stdin twice.

Standing: under the commands. Holds: a flag that would be ignored is an error, so that an answer is not taken for one of
the cluster, or of the namespace, that they named.
"""

from collections.abc import Iterable

from bailiwick_cli.errors import CliError
from bailiwick_cli.options import Flags
from bailiwick_governance.arguments import STDIN


def refuse_cluster(options: Flags, what: str) -> None:
    """Refuse the flags that choose a cluster, and who asks it. `what` does without one. Raises `CliError`."""
    for flag, value in (
        ("--context", options.context),
        ("--kubeconfig", options.kubeconfig),
        ("--as", options.as_user),
        ("--as-group", options.as_group),
        ("--request-timeout", options.request_timeout),
    ):
        if value:
            raise CliError(f"{what} does not use a cluster: remove {flag}")


def refuse_namespace(options: Flags, what: str) -> None:
    """Refuse the namespace where each policy, or record, says its own. Raises `CliError`."""
    if options.namespace:
        raise CliError(f"{what} goes by the namespaces in the files: remove --namespace")


def refuse_stdin_twice(names: Iterable[str | None]) -> None:
    """Refuse names of files of which more than one is standard input. Raises `CliError`."""
    if list(names).count(STDIN) > 1:
        raise CliError("standard input can be read only once")
