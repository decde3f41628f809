"""The verbs of `history`: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bailiwick_cli.options import Flags, LogOutput


@dataclass(frozen=True, kw_only=True)
class HistoryShowFlags(Flags):
    r"""Show what histories have counted, for one key or for all.

    Name each part of the history's key: agent and subject as sa:NAMESPACE/NAME, ISSUER/NAME or TYPE/ID, resource as
    TYPE/ID, any other part by its value. A history without a key needs none. The numbers are those of now, without
    another call. With --all, the objects of all keys are listed. They hold a hash of the key, and not its values. Needs
    the right to get endpointhistories, and to list them with --all. No role of Bailiwick has it. Exits 0 if the numbers
    were read, also where nothing was counted, and 2 if they were not.

    Examples:
      kubectl bailiwick history show --endpoint crm-api agent=sa:agents/crm-agent -n crm
      kubectl bailiwick history show agent=corp/alice context.args.currency=EUR -n crm -o json
      kubectl bailiwick history show --all -n crm
    """

    values: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="A part of the key, with its value.")
    ] = None
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="NAME", help="Default: the only endpoint in the namespace."),
    ] = None
    all_keys: Annotated[bool, typer.Option("--all", help="List the objects of all keys.")] = False
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE
