"""The arguments of `replay`. Standing: as `commandflags`, which lists it among the commands.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bailiwick_cli.options import Flags, LogArgument, ReplayOutput


@dataclass(frozen=True, kw_only=True)
class ReplayFlags(Flags):
    """Of `replay`."""

    files: LogArgument
    candidate: Annotated[
        list[str],
        typer.Option(
            "--candidate", metavar="FILE", help="Policies to try: a file or folder, or - for stdin. Repeatable."
        ),
    ]
    policies: Annotated[
        str | None,
        typer.Option(
            "--policies",
            metavar="FILE|ledger",
            help="The policies that decided: of a file or folder, or of the operator's ledger in the log files (the"
            " default).",
        ),
    ] = None
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="REV", help="Also take the candidate's files at this Git revision for what decided."
        ),
    ] = None
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay",
            help="Put the candidate's policies over those of the same names, and keep all others. Without it they are"
            " all policies of their endpoints.",
        ),
    ] = False
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only decisions since: a time in RFC 3339, or such as 24h."),
    ] = None
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="CLASS",
            help="Exit with 1 on this: a class such as 'deny->allow', wider (the default), any, not-replayable (also a"
            " share: not-replayable:5%), or slower:2x. Repeatable.",
        ),
    ] = None
    output: Annotated[ReplayOutput, typer.Option("--output", "-o", help="Output format.")] = ReplayOutput.TABLE
