"""The arguments of the policy tools, one dataclass each. Standing: under `flags`, which lists them with all others.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from bailiwick_cli.options import Flags, LogOutput, SuiteOutput


@dataclass(frozen=True, kw_only=True)
class SuiteFlags(Flags):
    """Of `test`."""

    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Test files, or folders with files named *_test.yaml.")
    ]
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="FILE",
            help="Test these policies instead of those that the test files name. - is stdin.",
        ),
    ] = None
    filter: Annotated[
        str | None,
        typer.Option("--filter", metavar="TEXT", help="Run only tests whose name contains this, or matches it with *."),
    ] = None
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Also show the rules, conditions and actions that no test covers.")
    ] = False
    shuffle: Annotated[
        int,
        typer.Option(
            "--shuffle", metavar="N", min=0, help="Run N more times, with policies, rules and tests in another order."
        ),
    ] = 0
    output: Annotated[SuiteOutput, typer.Option("--output", "-o", help="Output format.")] = SuiteOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class ValidateFlags(Flags):
    """Of `validate`."""

    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files and folders of policies and data. - is stdin.")
    ]
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE


POLICY_TOOLS: Final[dict[str, type[Flags]]] = {
    "test": SuiteFlags,
    "validate": ValidateFlags,
}
"""The commands that work on files, without a cluster."""
