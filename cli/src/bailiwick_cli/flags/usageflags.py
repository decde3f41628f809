"""The arguments of `unused`. Standing: as `commandflags`, which lists it among the commands.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bailiwick_cli.options import InForceFlags, ReportOutput


@dataclass(frozen=True, kw_only=True)
class UnusedFlags(InForceFlags):
    """Of `unused`."""

    window: Annotated[
        str,
        typer.Option(
            "--window", metavar="TIME", help="How long no call must have come through by a rule, up to the last line."
        ),
    ] = "90d"
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="FILE", help="Remember the last uses in this file, so that older logs can be left out."
        ),
    ] = None
    output: Annotated[ReportOutput, typer.Option("--output", "-o", help="Output format.")] = ReportOutput.TABLE
