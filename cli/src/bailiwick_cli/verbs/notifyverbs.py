"""The verbs of `notify`: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bailiwick_cli.options import INSTALLATION, Flags, InstallationOption, LogOutput


@dataclass(frozen=True, kw_only=True)
class NotifyTestFlags(Flags):
    """Send a test message to the targets of notifications.

    Sends it as the operator would. Reads the Secret as the user of your kubeconfig: with -n that of the namespace, else
    that of the installation. The message is sent from this machine, which may reach other addresses than the operator
    does. Exits 0 if every target took it, 1 if a target is wrong or did not, and 2 if there is nothing to try. Needs
    the extra `notifications` of the package.

    Examples:
      kubectl bailiwick notify test
      kubectl bailiwick notify test -n crm --target slack
      kubectl bailiwick notify test -n crm --dry-run -o json
    """

    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="NAME", help="Try only this target. Repeatable. Default: all of the Secret."),
    ] = None
    secret: Annotated[
        str, typer.Option("--secret", metavar="NAME", help="The Secret of the installation's targets.")
    ] = "bailiwick-notifications"  # noqa: S105 - a name
    installation: InstallationOption = INSTALLATION
    console_url: Annotated[
        str | None,
        typer.Option("--console-url", metavar="URL", help="The public URL of the console, as the operator has it."),
    ] = None
    cluster_name: Annotated[
        str | None,
        typer.Option("--cluster-name", metavar="NAME", help="What the cluster is called, as the operator has it."),
    ] = None
    allowed_cidr: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-cidr",
            metavar="CIDR",
            help="Addresses that targets of namespaces can be called at although they are not public. Repeatable.",
        ),
    ] = None
    refused_cidr: Annotated[
        list[str] | None,
        typer.Option(
            "--refused-cidr",
            metavar="CIDR",
            help="Addresses that targets of namespaces are never called at, as the operator has it. Repeatable.",
        ),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE
