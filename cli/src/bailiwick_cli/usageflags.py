"""The arguments of `unused`. Standing: as `flags`, which lists it among the commands.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bailiwick_cli.options import Flags, LogOutput


@dataclass(frozen=True, kw_only=True)
class UnusedFlags(Flags):
    """Of `unused`."""

    files: Annotated[
        list[str], typer.Argument(metavar="LOG...", help="Log files, plain or compressed with gzip. - is stdin.")
    ]
    file: Annotated[
        list[str],
        typer.Option("--filename", "-f", metavar="FILE", help="The policies in force: a file or folder. Repeatable."),
    ]
    window: Annotated[
        str,
        typer.Option("--window", metavar="TIME", help="How long a scope must not have been used, up to the last line."),
    ] = "90d"
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="FILE", help="Remember the last uses in this file, so that older logs can be left out."
        ),
    ] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE
