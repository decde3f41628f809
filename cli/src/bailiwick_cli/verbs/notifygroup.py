"""`kubectl bailiwick notify`: the commands on notifications, and their help. Standing: under `main`.

Holds: as `main`.
"""

import typer

from bailiwick_cli.flags import notifyflags
from bailiwick_cli.verbs.registry import command

notify = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


# Or a group of one command would be that command.
@notify.callback()
def _group() -> None:
    pass


@command(notify, "test", notifyflags.NotifyTestFlags)
def test(options: notifyflags.NotifyTestFlags) -> int:
    r"""Send a test message to the targets of notifications, as the operator would send one.

    Reads the Secret as the user of your kubeconfig: with -n that of the namespace, else that of the installation. It
    is sent from this machine, which may reach other addresses than the operator does. Exits 0 if every target took it,
    1 if a target is wrong or did not, and 2 if there is nothing to try. Needs the extra `notifications` of the package.

    Examples:
      kubectl bailiwick notify test
      kubectl bailiwick notify test -n crm --target slack
      kubectl bailiwick notify test -n crm --dry-run -o json
    """
    from bailiwick_cli.commands import notify  # noqa: PLC0415 - nobody waits for it who only wants help

    return notify.run(options)
