"""The arguments of `suggest`. Standing: as `commandflags`, which lists it among the commands.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from bailiwick_cli.options import InForceFlags
from bailiwick_governance.suggestion.unusedrules import UnusedRules


class SuggestOutput(StrEnum):
    """How suggestions are printed; `patch`: as commands for a shell."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    PATCH = "patch"


@dataclass(frozen=True, kw_only=True)
class SuggestFlags(InForceFlags):
    """Of `suggest`."""

    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Uses since: a time in RFC 3339, or such as 30d. Default: 90 days before the last line.",
        ),
    ] = None
    unused: Annotated[
        UnusedRules | None,
        typer.Option(
            "--unused",
            help="What becomes of rules that nobody used: remove them, make them ask for an approval, or keep them."
            " Subjects that never used a rule that others use are taken out of it; with approval, a rule of their own"
            " asks; with keep, they stay. Default: approval if you set --approvers, else only rules stay.",
        ),
    ] = None
    approvers: Annotated[
        list[str] | None,
        typer.Option(
            "--approvers",
            metavar="GROUP",
            help="A group of which one person must approve what is unused. Repeatable.",
        ),
    ] = None
    write: Annotated[
        str | None,
        typer.Option(
            "--write", metavar="DIR", help="Also write the changed policies into this folder, for you to apply."
        ),
    ] = None
    output: Annotated[SuggestOutput, typer.Option("--output", "-o", help="Output format.")] = SuggestOutput.TABLE
