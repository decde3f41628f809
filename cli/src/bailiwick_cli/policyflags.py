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


@dataclass(frozen=True, kw_only=True)
class InitFlags(Flags):
    """Of `init`."""

    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where to write. It is created if it is not there.")]
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="NAME", help="The endpoint of the calls.")]
    enforcer: Annotated[
        str,
        typer.Option("--enforcer", metavar="sa:NAMESPACE/NAME", help="The account that requests decisions."),
    ]
    subject: Annotated[str, typer.Option("--subject", metavar="sa:NAMESPACE/NAME", help="The subject of the calls.")]
    resource: Annotated[str, typer.Option("--resource", metavar="TYPE", help="The type of the resources.")]
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="ACTION", help="An action to allow. Repeatable.")
    ] = None
    approve: Annotated[
        list[str] | None,
        typer.Option("--approve", metavar="ACTION", help="An action that needs an approval. Repeatable."),
    ] = None
    reviewers: Annotated[
        str | None, typer.Option("--reviewers", metavar="GROUP", help="The group whose people approve.")
    ] = None


POLICY_TOOLS: Final[dict[str, type[Flags]]] = {
    "test": SuiteFlags,
    "validate": ValidateFlags,
    "init": InitFlags,
}
"""The commands that work on files, without a cluster."""
