"""The arguments of `diff`. Standing: as `commandflags`, which lists it among the commands.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from bailiwick_cli.options import Flags


class DiffOutput(StrEnum):
    """How differences are printed."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    MARKDOWN = "markdown"


class FailOn(StrEnum):
    """Which classes of differences exit with 1."""

    WIDER = "wider"
    CHANGED = "changed"
    ANY = "any"


@dataclass(frozen=True, kw_only=True)
class DiffFlags(Flags):
    """Of `diff`."""

    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[BASE] HEAD",
            help="Files or folders of policies. - is stdin. With --base, --live or --against, no BASE.",
        ),
    ]
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REV", help="Compare with the same files at this Git revision."),
    ] = None
    live: Annotated[bool, typer.Option("--live", help="Compare with the policies of the namespace in the cluster.")] = (
        False
    )
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="FILE", help="Compare with a ceiling: policies that no other ones may go beyond."
        ),
    ] = None
    fail_on: Annotated[
        FailOn,
        typer.Option("--fail-on", help="Which changes exit with 1. wider: also what may widen."),
    ] = FailOn.WIDER
    output: Annotated[DiffOutput, typer.Option("--output", "-o", help="Output format.")] = DiffOutput.TABLE
